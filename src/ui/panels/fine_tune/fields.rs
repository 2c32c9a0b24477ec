//! Fields of the dialog: a name at the left, a field that a screen reader and the keys find by that name.

use egui::{Margin, Popup, Response, Role, Sense, TextEdit, Ui, WidgetInfo, vec2};

use crate::ui::panels::parts::choice;
use crate::ui::{icons, theme, widgets};

/// Width of the names.
pub const NAMES: f32 = 112.0;
/// Width of a number.
pub const NUMBER: f32 = 112.0;
/// Width of the button that opens a list.
const CARET: f32 = 32.0;

/// A name and what stands right of it.
pub fn row(ui: &mut Ui, name: &str, content: impl FnOnce(&mut Ui)) {
    ui.horizontal(|ui| {
        ui.set_min_height(theme::ROW + 4.0);
        let c = theme::colours(ui);
        let (rect, _) = ui.allocate_exact_size(vec2(NAMES, theme::ROW), Sense::hover());
        let font = egui::FontId::proportional(theme::BODY);
        widgets::elided(ui, rect.left_center(), rect.right(), name, &font, c.weak);
        content(ui);
    });
}

/// A line of text under its name; the frame has the colour of errors where it cannot be used.
pub fn text(
    ui: &mut Ui,
    name: &str,
    value: &mut String,
    width: f32,
    hint: &str,
    is_refused: bool,
) -> Response {
    let c = theme::colours(ui);
    let field = TextEdit::singleline(value)
        .hint_text(hint)
        .margin(Margin::symmetric(8, 4))
        .desired_width(width);
    let response = ui
        .scope(|ui| {
            if is_refused {
                let widgets = &mut ui.visuals_mut().widgets;
                widgets.inactive.bg_stroke.color = c.error;
                widgets.hovered.bg_stroke.color = c.error;
                widgets.inactive.fg_stroke.color = c.error;
            }
            ui.add(field)
        })
        .inner;
    response.widget_info(|| WidgetInfo::labeled(Role::TextInput, ui.is_enabled(), name));
    response
}

/// An entry of a list beside a field.
pub struct Entry<T> {
    /// As the list names it.
    pub label: String,
    /// What choosing it means.
    pub value: T,
}

/// A path with a list of what it may be; returns what was chosen from the list.
pub fn path<T: Clone>(
    ui: &mut Ui,
    name: &str,
    value: &mut String,
    hint: &str,
    entries: &[Entry<T>],
) -> (Response, Option<T>) {
    let width = ui.available_width() - CARET - theme::GRID;
    ui.spacing_mut().item_spacing.x = theme::GRID;
    let field = text(ui, name, value, width, hint, false);
    let field = match value.is_empty() {
        true => field,
        false => field.on_hover_text(value.as_str()),
    };
    let button = egui::Button::new(icons::CARET_DOWN).min_size(vec2(CARET, theme::ROW));
    let button = ui.add(button);
    button.widget_info(|| {
        WidgetInfo::labeled(Role::Button, ui.is_enabled(), format!("{name}: choose"))
    });
    let mut chosen = None;
    Popup::menu(&button).show(|ui| {
        ui.set_width(320.0);
        ui.spacing_mut().item_spacing.y = 0.0;
        for entry in entries {
            if choice(ui, &entry.label, false).clicked() {
                chosen = Some(entry.value.clone());
                ui.close();
            }
        }
    });
    (field, chosen)
}
