//! Plots: data in, interactions out. They know nothing of images or evaluation; drawn by egui's painter alone.
//!
//! Every plot is a small struct of what is shown, with `show(ui, ..)`; what outlives a frame is a state that the caller
//! keeps. Clicks give a plot the focus; then arrows, Page up, Page down, Home, Enter and Esc act on it.

pub mod axes;
pub mod bars;
pub mod density;
pub mod lines;
pub mod matrix;
pub mod points;
pub mod range;
pub mod region;
pub mod reliability;
pub mod scatter;
pub mod stat;

pub use axes::{Axes, Axis, Plane, Transform, View};
pub use bars::{Bar, Bars};
pub use lines::{Lines, LinesState, Series};
pub use matrix::{Matrix, MatrixState};
pub use points::Points;
pub use range::{Range, Ticks};
pub use region::Region;
pub use reliability::{Bin, Reliability};
pub use scatter::{Scatter, ScatterEvent, ScatterState, Tool};
pub use stat::Stat;

use egui::{Align2, FontId, PopupAnchor, Pos2, Rect, Response, Tooltip, Ui, Vec2};

use super::theme;

/// What stands where a number does not exist.
pub use super::panels::numbers::MISSING;

/// Half the side of the square beside which a tooltip stands.
const TIP_DISTANCE: f32 = 10.0;

/// A sentence in the middle of a plot that has nothing to show.
fn nothing(ui: &Ui, area: Rect, text: &str) {
    let c = theme::colours(ui);
    let font = FontId::proportional(theme::BODY);
    let width = (area.width() - 4.0 * theme::GRID).max(theme::GRID);
    let galley = ui.painter().layout(text.to_owned(), font, c.weak, width);
    let at = Align2::CENTER_CENTER.align_size_within_rect(galley.size(), area);
    let around = at.expand(2.0 * theme::GRID);
    ui.painter()
        .rect_filled(around, f32::from(theme::RADIUS), c.panel);
    ui.painter().galley(at.min, galley, c.weak);
}

/// A tooltip beside a place of a plot, at once: who moves over a plot wants its values.
fn tip(ui: &Ui, response: &Response, at: Pos2, content: impl FnOnce(&mut Ui)) {
    let around = Rect::from_center_size(at, Vec2::splat(2.0 * TIP_DISTANCE));
    Tooltip::always_open(
        ui.ctx().clone(),
        response.layer_id,
        response.id,
        PopupAnchor::ParentRect(around),
    )
    .gap(0.0)
    .show(|ui| {
        ui.spacing_mut().item_spacing.y = 2.0;
        content(ui);
    });
}

/// The focus stays while arrows are pressed, and Esc acts on the plot first where `escape` says so. A click takes it.
fn keep_focus(ui: &Ui, response: &Response, escape: bool) {
    if response.clicked() || response.drag_started() {
        response.request_focus();
    }
    let filter = egui::EventFilter {
        tab: false,
        horizontal_arrows: true,
        vertical_arrows: true,
        escape,
    };
    ui.memory_mut(|memory| memory.set_focus_lock_filter(response.id, filter));
}

/// Enter, Space or the request of a screen reader, in place of a click of the pointer.
fn pressed_by_key(response: &Response) -> bool {
    response.clicked() && !response.clicked_by(egui::PointerButton::Primary)
}

/// The frame of what has the focus.
fn focus_frame(ui: &Ui, response: &Response, rect: Rect) {
    if response.has_focus() {
        let stroke = egui::Stroke::new(1.0, theme::colours(ui).accent);
        let radius = f32::from(theme::RADIUS);
        ui.painter()
            .rect_stroke(rect, radius, stroke, egui::StrokeKind::Inside);
    }
}

/// `value` with its sign, also where it is zero; the minus is as wide as the plus.
fn signed(value: f64, decimals: usize) -> String {
    // What rounds to zero is written as zero.
    let half = 0.5 * 10f64.powi(-(decimals as i32));
    let value = if value.abs() < half { 0.0 } else { value };
    format!("{value:+.decimals$}").replace('-', "−")
}

#[cfg(test)]
mod tests {
    use super::signed;

    #[test]
    fn signs_are_written() {
        for (value, text) in [
            (0.015, "+0.015"),
            (-0.0131, "−0.013"),
            (-0.000_4, "+0.000"),
            (0.0, "+0.000"),
            (f64::NAN, "NaN"),
        ] {
            assert_eq!(signed(value, 3), text);
        }
    }
}
