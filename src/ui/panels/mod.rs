//! Panels are functions: they read the document, change the view, and push commands.

pub mod filter_bar;
pub mod gallery;
pub mod inspector;
pub mod instances;
pub mod keys_sheet;
pub mod log_panel;
pub mod numbers;
mod parts;
pub mod selected;
pub mod settings;
pub mod show;
pub mod start;
pub mod status_bar;
pub mod top_bar;
mod virtual_rows;

pub use gallery::gallery_ui;
pub use inspector::inspector_ui;

/// The canvas with its tools.
pub fn canvas_area_ui(
    ui: &mut egui::Ui,
    _doc: &mut crate::document::Document,
    _view: &mut super::view::ViewState,
    _loader: &mut super::loader::Loader,
    _out: &mut super::command::CommandQueue,
) {
    ui.centered_and_justified(|ui| ui.weak("Canvas"));
}
