//! The Evaluate workspace: COCO's numbers, where they come from, and why each match is one.

pub mod book;
mod classes;
mod confusion;
mod curves;
mod errors;
mod ledger;
mod numbers;
mod suspects;

use egui::Ui;

use super::{canvas_area_ui, judged};
use crate::document::Document;
use crate::document::eval::Kind;
use crate::ui::command::CommandQueue;
use crate::ui::loader::Loader;
use crate::ui::theme;
use crate::ui::view::ViewState;

pub use book::{Book, Marks};
pub use classes::{ClassesView, Column};
pub use confusion::ConfusionView;
pub use curves::CurvesView;
pub use suspects::SuspectsView;

/// What the upper part shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EvaluateTab {
    /// AP by class and size.
    #[default]
    Classes,
    /// Precision over recall.
    Curves,
    /// The confusion matrix.
    Confusion,
    /// TIDE, boundary AP, thresholds.
    Errors,
    /// The suspects queue.
    Suspects,
}

impl EvaluateTab {
    /// In their order.
    pub const ALL: [Self; 5] = [
        Self::Classes,
        Self::Curves,
        Self::Confusion,
        Self::Errors,
        Self::Suspects,
    ];

    /// As the tab names it.
    pub fn label(self) -> &'static str {
        match self {
            Self::Classes => "Classes",
            Self::Curves => "Curves",
            Self::Confusion => "Confusion",
            Self::Errors => "Errors",
            Self::Suspects => "Suspects",
        }
    }
}

/// What the workspace shows. It can be deleted without losing work.
pub struct EvaluateView {
    /// What the upper part shows.
    pub tab: EvaluateTab,
    /// Masks or boxes: what classes, curves and the ledger are about.
    pub kind: Kind,
    /// The ledger's IoU threshold: its position among .50, .55, ... .95.
    pub threshold: usize,
    /// What the canvas shows.
    pub marks: Marks,
    /// The ledger of the selected image.
    pub book: Option<Book>,
    classes: ClassesView,
    curves: CurvesView,
    confusion: ConfusionView,
    suspects: SuspectsView,
}

impl Default for EvaluateView {
    fn default() -> Self {
        Self {
            tab: EvaluateTab::default(),
            kind: Kind::Segm,
            threshold: 0,
            marks: Marks::default(),
            book: None,
            classes: ClassesView::default(),
            curves: CurvesView::default(),
            confusion: ConfusionView::default(),
            suspects: SuspectsView::default(),
        }
    }
}

impl EvaluateView {
    /// Brings the ledger into step with image, threshold and evaluation.
    pub fn renew(&mut self, doc: &Document, image: Option<usize>) {
        book::renew(&mut self.book, doc, image, self.threshold, self.kind);
    }
}

/// The centre of the workspace: numbers above the canvas.
pub fn evaluate_centre_ui(
    ui: &mut Ui,
    doc: &mut Document,
    view: &mut ViewState,
    loader: &mut Loader,
    out: &mut CommandQueue,
) {
    let parts = &mut (doc, view, out);
    judged::with_canvas(
        ui,
        "evaluate canvas",
        parts,
        |ui, (doc, view, out)| canvas_area_ui(ui, doc, view, loader, out),
        |ui, (doc, view, out)| charts_ui(ui, doc, view, out),
    );
}

/// The numbers beside or above the canvas.
fn charts_ui(ui: &mut Ui, doc: &Document, view: &mut ViewState, out: &mut CommandQueue) {
    let Some(analysis) = judged::analysed(ui, doc, view, out) else {
        return;
    };
    numbers::settings_ui(ui, doc, &analysis, view, out);
    numbers::numbers_ui(ui, &analysis);
    ui.add_space(2.0 * theme::GRID);
    tabs(ui, doc, view);
    ui.add_space(theme::GRID);
    match view.evaluate.tab {
        EvaluateTab::Classes => classes::classes_ui(ui, &analysis, view, out),
        EvaluateTab::Curves => curves::curves_ui(ui, &analysis, &mut view.evaluate),
        EvaluateTab::Confusion => confusion::confusion_ui(ui, &analysis, view, out),
        EvaluateTab::Errors => errors::errors_ui(ui, doc, &analysis, view, out),
        EvaluateTab::Suspects => suspects::suspects_ui(ui, &analysis, view, out),
    }
}

fn tabs(ui: &mut Ui, doc: &Document, view: &mut ViewState) {
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = theme::GRID;
        for tab in EvaluateTab::ALL {
            ui.selectable_value(&mut view.evaluate.tab, tab, tab.label());
        }
        if judged::is_working(doc) {
            ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
                judged::progress(ui, doc);
            });
        }
    });
}

/// The right side of the workspace: the ledger of the selected image.
pub fn evaluate_right_ui(
    ui: &mut Ui,
    doc: &mut Document,
    view: &mut ViewState,
    out: &mut CommandQueue,
) {
    view.evaluate.renew(doc, view.image);
    ledger::ledger_ui(ui, doc, view, out);
}
