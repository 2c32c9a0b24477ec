//! Whether a run is to be deleted: its files do not come back.

use std::path::Path;

use egui::{Align, Layout, RichText};

use crate::document::Document;
use crate::ui::command::{Command, CommandQueue};
use crate::ui::train_command::TrainCommand;
use crate::ui::view::ViewState;
use crate::ui::{theme, widgets};

const WIDTH: f32 = 440.0;

/// Draws the question about the run of a folder; true when it is answered, or the run is gone.
pub fn delete_ui(
    ctx: &egui::Context,
    doc: &Document,
    view: &ViewState,
    folder: &Path,
    out: &mut CommandQueue,
) -> bool {
    let Some(run) = doc.training().run(folder) else {
        return true;
    };
    let modal = widgets::modal(ctx, "delete run", 16);
    let response = modal.show(ctx, |ui| {
        ui.set_width(WIDTH.min(ctx.content_rect().width() - 64.0));
        let c = theme::colours(ui);
        let title = format!("Delete {}?", run.name);
        ui.label(widgets::strong(title, theme::HEADING));
        ui.add_space(theme::GRID);
        let text =
            "The folder goes with its checkpoints, curves and log. They cannot be brought back.";
        ui.add(egui::Label::new(text).wrap());
        let folder = RichText::new(run.folder.display().to_string());
        ui.add(egui::Label::new(folder.size(theme::SMALL).color(c.weak)).wrap());
        ui.add_space(2.0 * theme::GRID);
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            let delete = TrainCommand::DeleteNow(run.folder.clone());
            let is_enabled = delete.enabled(doc, view);
            let text = RichText::new("Delete").color(c.error);
            let is_deleted = ui
                .add_enabled(is_enabled, egui::Button::new(text))
                .clicked();
            if is_deleted {
                out.push(Command::Train(delete));
            }
            let keeps = ui.button("Keep");
            // Enter keeps: what cannot be undone takes a look.
            if ui.memory(|memory| memory.focused().is_none()) {
                keeps.request_focus();
            }
            is_deleted || keeps.clicked()
        })
        .inner
    });
    response.inner || response.backdrop_response.clicked()
}
