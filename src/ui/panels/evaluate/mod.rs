//! The Evaluate workspace.

use egui::Ui;

use crate::document::Document;
use crate::ui::command::CommandQueue;
use crate::ui::loader::Loader;
use crate::ui::view::ViewState;

/// What the workspace shows of the evaluation. It can be deleted without losing work.
#[derive(Default)]
pub struct EvaluateView {}

/// The centre of the workspace.
pub fn evaluate_centre_ui(
    ui: &mut Ui,
    _doc: &mut Document,
    _view: &mut ViewState,
    _loader: &mut Loader,
    _out: &mut CommandQueue,
) {
    ui.label("Evaluate");
}

/// The right side of the workspace.
pub fn evaluate_right_ui(
    ui: &mut Ui,
    _doc: &mut Document,
    _view: &mut ViewState,
    _out: &mut CommandQueue,
) {
    ui.label("Evaluate");
}
