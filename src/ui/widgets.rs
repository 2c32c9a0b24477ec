//! Small parts that several panels share: rows, quiet buttons, bars of state. Colours come from the theme.

pub use crate::structures::thousands;
use egui::{
    Align2, Color32, CornerRadius, FontId, Pos2, Rect, Response, Role, Sense, Ui, WidgetInfo, pos2,
    vec2,
};

use super::command::Command;
use super::{fonts, keys, theme};

/// A row of a list that can be clicked.
pub struct Row<'a> {
    /// Drawn before the label; may be empty.
    pub icon: &'a str,
    /// What the row is; its accessible name.
    pub label: &'a str,
    /// Drawn after the label, weak; may be empty.
    pub detail: &'a str,
    /// Drawn at the right end, weak; may be empty.
    pub right: &'a str,
    /// Filled as the selected one.
    pub selected: bool,
    /// Can be clicked.
    pub enabled: bool,
}

impl<'a> Row<'a> {
    /// A row of a label alone.
    pub fn new(label: &'a str) -> Self {
        Self {
            icon: "",
            label,
            detail: "",
            right: "",
            selected: false,
            enabled: true,
        }
    }

    /// Draws it over the width of `ui`.
    pub fn show(self, ui: &mut Ui, height: f32) -> Response {
        let sense = if self.enabled {
            Sense::click()
        } else {
            Sense::hover()
        };
        let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), height), sense);
        response.widget_info(|| {
            WidgetInfo::selected(Role::Button, self.enabled, self.selected, self.label)
        });
        if ui.is_rect_visible(rect) {
            self.paint(ui, rect, &response);
        }
        response
    }

    fn paint(&self, ui: &Ui, rect: Rect, response: &Response) {
        let c = theme::colours(ui);
        let fill = if self.selected {
            c.selection
        } else if self.enabled && (response.hovered() || response.has_focus()) {
            c.field_hovered
        } else {
            Color32::TRANSPARENT
        };
        let radius = CornerRadius::same(theme::RADIUS);
        ui.painter().rect_filled(rect, radius, fill);
        let (strong, weak) = if self.enabled {
            (c.text, c.weak)
        } else {
            (c.weak, c.weak)
        };
        let body = FontId::proportional(theme::BODY);
        let small = FontId::proportional(theme::SMALL);
        let inner = rect.shrink2(vec2(2.0 * theme::GRID, 0.0));
        let middle = rect.center().y;
        let mut x = inner.left();
        if !self.icon.is_empty() {
            let at = pos2(x + 8.0, middle);
            ui.painter()
                .text(at, Align2::CENTER_CENTER, self.icon, body.clone(), weak);
            x += 16.0 + 2.0 * theme::GRID;
        }
        let right = right_text(ui, pos2(inner.right(), middle), self.right, &small, weak);
        let end = right - 2.0 * theme::GRID;
        x = elided(ui, pos2(x, middle), end, self.label, &body, strong);
        if !self.detail.is_empty() {
            elided(
                ui,
                pos2(x + 2.0 * theme::GRID, middle),
                end,
                self.detail,
                &small,
                weak,
            );
        }
    }
}

/// Writes at the right end; returns where it begins.
fn right_text(ui: &Ui, at: Pos2, text: &str, font: &FontId, colour: Color32) -> f32 {
    if text.is_empty() {
        return at.x;
    }
    let painter = ui.painter();
    painter
        .text(at, Align2::RIGHT_CENTER, text, font.clone(), colour)
        .left()
}

/// Writes one line that ends with an ellipsis where it is too long; returns where it ends.
pub fn elided(ui: &Ui, at: Pos2, end: f32, text: &str, font: &FontId, colour: Color32) -> f32 {
    let width = end - at.x;
    if width < 8.0 {
        return at.x;
    }
    let mut job = egui::text::LayoutJob::simple_singleline(text.to_owned(), font.clone(), colour);
    job.wrap = egui::text::TextWrapping::truncate_at_width(width);
    let galley = ui.painter().layout_job(job);
    let left_top = pos2(at.x, at.y - galley.size().y / 2.0);
    let used = galley.size().x;
    ui.painter().galley(left_top, galley, colour);
    at.x + used
}

/// A button of an icon alone, without a frame until it is hovered.
pub fn icon_button(ui: &mut Ui, icon: &str, name: &str) -> Response {
    let button = egui::Button::new(egui::RichText::new(icon).size(15.0))
        .frame_when_inactive(false)
        .min_size(vec2(28.0, 28.0));
    let response = ui.add(button);
    response.widget_info(|| WidgetInfo::labeled(Role::Button, true, name));
    response.on_hover_text(name)
}

/// A tooltip of a command: its label and key.
pub fn command_hint(command: &Command) -> String {
    let key = keys::shortcut_text(command);
    if key.is_empty() {
        command.label().into_owned()
    } else {
        format!("{}   {key}", command.label())
    }
}

/// A text button without a frame, as in the status bar.
pub fn quiet_button(ui: &mut Ui, text: &str, colour: Color32) -> Response {
    let text = egui::RichText::new(text).size(theme::SMALL).color(colour);
    ui.add(
        egui::Button::new(text)
            .frame_when_inactive(false)
            .min_size(vec2(0.0, 20.0)),
    )
}

/// A dialog in the middle of the window, everything else darkened.
pub fn modal(ctx: &egui::Context, name: &'static str, padding: i8) -> egui::Modal {
    let dark = ctx.theme() == egui::Theme::Dark;
    let frame = egui::Frame::popup(&ctx.style_of(ctx.theme()))
        .inner_margin(egui::Margin::same(padding))
        .corner_radius(2 * theme::RADIUS);
    egui::Modal::new(egui::Id::unique(name))
        .backdrop_color(theme::of(dark).backdrop)
        .frame(frame)
}

/// The heading of a part of a panel.
pub fn section(ui: &mut Ui, text: &str) {
    let c = theme::colours(ui);
    ui.label(
        egui::RichText::new(text)
            .font(FontId::new(theme::SMALL, fonts::semibold()))
            .color(c.weak),
    );
}

/// Text in the heavier cut.
pub fn strong(text: impl Into<String>, size: f32) -> egui::RichText {
    egui::RichText::new(text).font(FontId::new(size, fonts::semibold()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_grouped() {
        for (number, expected) in [
            (0, "0"),
            (999, "999"),
            (5000, "5,000"),
            (118_287, "118,287"),
        ] {
            assert_eq!(thousands(number), expected);
        }
    }
}
