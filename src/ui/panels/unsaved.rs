//! The question before the window closes over edits that no disk has taken.

use egui::{Align, Layout, RichText};

use crate::document::Document;
use crate::ui::{theme, widgets};

/// Width of the dialog.
const WIDTH: f32 = 480.0;

/// What was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Nothing yet.
    Open,
    /// The window stays.
    Stay,
    /// The window closes.
    Close,
}

/// Asks; `what` is what would be lost. It goes away by itself when the disk has taken everything.
pub fn unsaved_ui(ctx: &egui::Context, doc: &Document, what: &str) -> Answer {
    if !doc.has_unsaved() {
        return Answer::Stay;
    }
    let modal = widgets::modal(ctx, "not saved", 16);
    let response = modal.show(ctx, |ui| {
        ui.set_width(WIDTH.min(ctx.content_rect().width() - 64.0));
        let c = theme::colours(ui);
        let title = "Close and lose what is not saved?";
        ui.label(widgets::strong(title, theme::HEADING));
        ui.add_space(theme::GRID);
        ui.add(egui::Label::new(what).wrap());
        ui.add_space(2.0 * theme::GRID);
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            let lose = RichText::new("Close and lose it").color(c.error);
            if ui.button(lose).clicked() {
                ui.ctx().send_viewport_cmd(egui::ViewportCommand::Close);
                return Answer::Close;
            }
            let keep = ui.button("Keep open");
            // Enter keeps: what cannot be undone takes a look.
            if ui.memory(|memory| memory.focused().is_none()) {
                keep.request_focus();
            }
            match keep.clicked() {
                true => Answer::Stay,
                false => Answer::Open,
            }
        })
        .inner
    });
    match response.backdrop_response.clicked() {
        true => Answer::Stay,
        false => response.inner,
    }
}
