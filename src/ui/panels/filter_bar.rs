//! Above the gallery: filter by name and class, order, and how many images pass.

use egui::{
    Align, Align2, Button, FontId, Id, Layout, Popup, Response, RichText, Role, ScrollArea, Sense,
    TextEdit, Ui, WidgetInfo, vec2,
};

use super::parts::{choice, text};
use crate::document::Document;
use crate::document::filter::SortBy;
use crate::ui::command::Command;
use crate::ui::view::ViewState;
use crate::ui::{icons, theme, widgets};

/// Height of the text field and of buttons beside it.
const FIELD: f32 = 28.0;
/// Height of a chip.
const CHIP: f32 = 22.0;
/// Width of the lists of classes and orders.
const MENU: f32 = 200.0;
/// Height of the list of classes; longer ones scroll.
const MENU_HEIGHT: f32 = 360.0;

/// Draws the filter bar. `has_predictions`: whether any image has some; without them there is no class to filter by.
pub fn filter_bar_ui(ui: &mut Ui, doc: &Document, view: &mut ViewState, has_predictions: bool) {
    name_field(ui, view);
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = theme::GRID;
        class_chip(ui, doc, view, has_predictions);
    });
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = theme::GRID;
        sort_button(ui, view);
        direction_button(ui, view);
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            let c = theme::colours(ui);
            let all = widgets::thousands(doc.images().len());
            let found = widgets::thousands(view.gallery.len());
            let text = RichText::new(format!("{found} of {all}")).color(c.weak);
            ui.label(text).on_hover_text("Images that pass the filter");
        });
    });
}

fn name_field(ui: &mut Ui, view: &mut ViewState) {
    let c = theme::colours(ui);
    let id = Id::unique("gallery filter");
    let width = ui.available_width();
    let field = TextEdit::singleline(&mut view.query.text)
        .id(id)
        .hint_text(RichText::new("Filter by name").color(c.weak))
        .margin(egui::Margin::symmetric(10, 6))
        .desired_width(width)
        .min_size(vec2(width, FIELD));
    let response = ui
        .scope(|ui| {
            ui.visuals_mut().selection.stroke.color = c.accent;
            ui.add(field).accessible_name("Filter by name")
        })
        .inner;
    if std::mem::take(&mut view.focus_filter) {
        response.request_focus();
    }
    if view.query.text.is_empty() {
        let key = widgets::command_hint(&Command::FocusFilter);
        response.on_hover_text(key);
        return;
    }
    let at = egui::Rect::from_center_size(
        response.rect.right_center() - vec2(14.0, 0.0),
        vec2(20.0, 20.0),
    );
    // Drawn by hand: a button would be wider than its place and push the panel open.
    let clear = ui.interact(at, id.with("clear"), Sense::click());
    clear.widget_info(|| WidgetInfo::labeled(Role::Button, true, "Clear the name filter"));
    let colour = if clear.hovered() { c.text } else { c.weak };
    let font = FontId::proportional(theme::SMALL);
    text(
        ui,
        at.center(),
        Align2::CENTER_CENTER,
        icons::X,
        &font,
        colour,
    );
    if clear.clicked() {
        view.query.text.clear();
    }
}

/// A rounded button.
fn chip(ui: &mut Ui, text: &str, is_on: bool, enabled: bool) -> Response {
    let c = theme::colours(ui);
    let colour = if enabled { c.text } else { c.weak };
    let button = Button::new(RichText::new(text).size(theme::SMALL).color(colour))
        .fill(if is_on { c.selection } else { c.field })
        .corner_radius(CHIP / 2.0)
        .min_size(vec2(0.0, CHIP));
    ui.add_enabled(enabled, button)
}

fn class_chip(ui: &mut Ui, doc: &Document, view: &mut ViewState, has_predictions: bool) {
    let name = view.query.label.map(|label| doc.classes().name(label));
    let text = name.as_deref().unwrap_or("any class");
    let text = format!("{text}  {}", icons::CARET_DOWN);
    let enabled = has_predictions || name.is_some();
    let response = chip(ui, &text, name.is_some(), enabled)
        .accessible_name(format!("Class: {}", name.as_deref().unwrap_or("any class")))
        .on_disabled_hover_text("No image has predictions yet, which the class is looked for in");
    if name.is_some() {
        let clear = chip(ui, icons::X, true, true).accessible_name("Any class");
        if clear.on_hover_text("Any class").clicked() {
            view.query.label = None;
        }
    }
    Popup::menu(&response).show(|ui| {
        ui.set_width(MENU);
        ui.spacing_mut().item_spacing.y = 0.0;
        let classes = doc.classes();
        let rows = classes.len() + 1;
        ScrollArea::vertical().max_height(MENU_HEIGHT).show_rows(
            ui,
            theme::ROW,
            rows,
            |ui, rows| {
                for row in rows {
                    let label = row.checked_sub(1);
                    let name = label.map_or_else(|| "any class".into(), |l| classes.name(l));
                    if choice(ui, &name, view.query.label == label).clicked() {
                        view.query.label = label;
                        ui.close();
                    }
                }
            },
        );
    });
}

fn sort_button(ui: &mut Ui, view: &mut ViewState) {
    let c = theme::colours(ui);
    let label = view.query.sort.label();
    let text = format!("{label}  {}", icons::CARET_DOWN);
    // Without a frame the text begins where the fields above begin.
    let response = ui
        .scope(|ui| {
            ui.visuals_mut().widgets.inactive.fg_stroke.color = c.weak;
            let button = Button::new(text).frame(false).min_size(vec2(0.0, CHIP));
            ui.add(button)
        })
        .inner
        .accessible_name(format!("Sort by: {label}"))
        .on_hover_text("What orders the gallery");
    Popup::menu(&response).show(|ui| {
        ui.set_width(MENU);
        ui.spacing_mut().item_spacing.y = 0.0;
        for sort in SortBy::ALL {
            if choice(ui, sort.label(), view.query.sort == sort).clicked() {
                view.query.sort = sort;
                // The end of each order that one looks for: many, good and bad masks first.
                view.query.descending =
                    matches!(sort, SortBy::Count | SortBy::BestScore | SortBy::MeanScore);
                ui.close();
            }
        }
    });
}

fn direction_button(ui: &mut Ui, view: &mut ViewState) {
    let c = theme::colours(ui);
    let (icon, name) = if view.query.descending {
        (icons::SORT_DESCENDING, "Descending")
    } else {
        (icons::SORT_ASCENDING, "Ascending")
    };
    let button = Button::new(RichText::new(icon).color(c.weak))
        .frame_when_inactive(false)
        .min_size(vec2(CHIP, CHIP));
    let response = ui
        .add(button)
        .accessible_name(format!("Order: {}", name.to_lowercase()));
    if response.on_hover_text(name).clicked() {
        view.query.descending = !view.query.descending;
    }
}
