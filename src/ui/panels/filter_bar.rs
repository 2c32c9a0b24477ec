//! Above the gallery: the filter, its class, the order, saved views, and how many images pass.

use egui::{Align, Button, Layout, Popup, Response, RichText, ScrollArea, Ui, vec2};

use super::filter_field::{NEEDS_EVALUATION, filter_field_ui};
use super::parts::choice;
use super::view_menu::{naming_ui, view_menu};
use crate::document::Document;
use crate::document::filter::{Schema, SortBy};
use crate::ui::command::{Command, CommandQueue};
use crate::ui::view::ViewState;
use crate::ui::{icons, theme, widgets};

/// Height of a chip.
const CHIP: f32 = 22.0;
/// Width of the lists of classes and orders.
const MENU: f32 = 200.0;
/// Height of the list of classes; longer ones scroll.
const MENU_HEIGHT: f32 = 360.0;

/// Draws the filter bar. Without predictions and annotations there is no class to filter by.
pub fn filter_bar_ui(ui: &mut Ui, doc: &Document, view: &mut ViewState, out: &mut CommandQueue) {
    filter_field_ui(ui, doc, view);
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = theme::GRID;
        class_chip(ui, doc, view);
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            view_menu(ui, doc, view, out);
        });
    });
    naming_ui(ui, view, out);
    picked_chip(ui, view, out);
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = theme::GRID;
        sort_button(ui, doc, view);
        direction_button(ui, view);
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            let c = theme::colours(ui);
            let all = widgets::thousands(doc.images().len());
            let found = widgets::thousands(view.gallery.len());
            let text = RichText::new(format!("{found} of {all}")).color(c.weak);
            ui.label(text).on_hover_text("Images that pass the filter");
            if view.filter.is_running() {
                ui.spinner()
                    .on_hover_text("The filter goes over the images");
            }
        });
    });
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

/// What a chart picked, with the way back.
fn picked_chip(ui: &mut Ui, view: &ViewState, out: &mut CommandQueue) {
    let Some(picked) = &view.picked else { return };
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = theme::GRID;
        let room = ui.available_width() - CHIP - 2.0 * theme::GRID;
        ui.scope(|ui| {
            ui.set_max_width(room);
            let c = theme::colours(ui);
            let text = RichText::new(&picked.label)
                .size(theme::SMALL)
                .color(c.text);
            let plate = Button::new(text)
                .fill(c.selection)
                .corner_radius(CHIP / 2.0)
                .min_size(vec2(0.0, CHIP))
                .truncate();
            let plate = ui
                .add(plate)
                .on_hover_text(format!("Picked: {}", picked.label));
            plate.accessible_name(format!("Picked: {}", picked.label));
        });
        let clear = chip(ui, icons::X, true, true).accessible_name("Clear the pick");
        if clear.on_hover_text("Show all images again (Esc)").clicked() {
            out.push(Command::ClearPick);
        }
    });
}

fn class_chip(ui: &mut Ui, doc: &Document, view: &mut ViewState) {
    let name = view.filter.query().class().map(str::to_owned);
    let text = name.as_deref().unwrap_or("any class");
    let text = format!("{text}  {}", icons::CARET_DOWN);
    let is_right = view.filter.error().is_none();
    let has_instances = view.filter.has_predictions() || doc.has_truth();
    let enabled = is_right && (has_instances || name.is_some());
    let response = chip(ui, &text, name.is_some(), enabled)
        .accessible_name(format!("Class: {}", name.as_deref().unwrap_or("any class")))
        .on_disabled_hover_text(match is_right {
            true => "No image has predictions or annotations yet, which the class is looked for in",
            false => "The filter is to be corrected first",
        });
    let mut chosen = None;
    if name.is_some() {
        let clear = chip(ui, icons::X, true, is_right).accessible_name("Any class");
        if clear.on_hover_text("Any class").clicked() {
            chosen = Some(None);
        }
    }
    Popup::menu(&response).show(|ui| {
        ui.set_width(MENU);
        ui.spacing_mut().item_spacing.y = 0.0;
        let names = &doc.classes().names;
        let scroll = ScrollArea::vertical().max_height(MENU_HEIGHT);
        scroll.show_rows(ui, theme::ROW, names.len() + 1, |ui, rows| {
            for row in rows {
                let class = row.checked_sub(1).and_then(|label| names.get(label));
                let label = class.map_or("any class", String::as_str);
                if choice(ui, label, name.as_ref() == class).clicked() {
                    chosen = Some(class.cloned());
                    ui.close();
                }
            }
        });
    });
    if let Some(class) = chosen {
        let schema = Schema {
            classes: doc.classes(),
        };
        let query = view.filter.query().with_class(class.as_deref(), &schema);
        view.query.text = query.to_string();
    }
}

fn sort_button(ui: &mut Ui, doc: &Document, view: &mut ViewState) {
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
            let has_numbers = !sort.is_evaluated() || doc.evaluation_fields().is_some();
            let row = ui.add_enabled_ui(has_numbers, |ui| {
                choice(ui, sort.label(), view.query.sort == sort)
            });
            let row = row.inner.on_disabled_hover_text(NEEDS_EVALUATION);
            if row.clicked() {
                view.query.sort = sort;
                view.query.descending = sort.begins_descending();
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
