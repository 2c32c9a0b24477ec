//! Panels are functions: they read the document, change the view, and push commands.

pub mod keys_sheet;
pub mod log_panel;
pub mod settings;
pub mod start;
pub mod status_bar;
pub mod top_bar;

use egui::Ui;

use super::command::CommandQueue;
use super::loader::Loader;
use super::view::ViewState;
use crate::document::Document;

/// The gallery; a list of names until the panel with pictures is here.
pub fn gallery_ui(
    ui: &mut Ui,
    doc: &Document,
    view: &mut ViewState,
    _loader: &mut Loader,
    out: &mut CommandQueue,
) {
    if view.gallery.len() != doc.images().len() {
        view.gallery = (0..doc.images().len()).collect();
    }
    egui::ScrollArea::vertical().show_rows(
        ui,
        super::theme::ROW,
        view.gallery.len(),
        |ui, rows| {
            for row in rows {
                let Some(&index) = view.gallery.get(row) else {
                    continue;
                };
                let Some(image) = doc.images().get(index) else {
                    continue;
                };
                let row = super::widgets::Row {
                    selected: view.image == Some(index),
                    ..super::widgets::Row::new(&image.name)
                };
                if row.show(ui, super::theme::ROW).clicked() {
                    out.push(super::command::Command::SelectImage(index));
                }
            }
        },
    );
}

/// The inspector.
pub fn inspector_ui(ui: &mut Ui, _doc: &Document, _view: &mut ViewState, _out: &mut CommandQueue) {
    super::widgets::section(ui, "Instances");
}

/// The canvas with its tools.
pub fn canvas_area_ui(
    ui: &mut Ui,
    _doc: &mut Document,
    _view: &mut ViewState,
    _loader: &mut Loader,
    _out: &mut CommandQueue,
) {
    ui.centered_and_justified(|ui| ui.weak("Canvas"));
}
