//! The Compare workspace: does the model know which of its masks are good, and what a second model changes.

mod calibration;
mod cloud;
mod headroom;
mod sides;
mod summary;

use egui::{Ui, vec2};

use super::{canvas_area_ui, judged};
use crate::document::Document;
use crate::document::evaluation::Analysis;
use crate::ui::command::CommandQueue;
use crate::ui::loader::Loader;
use crate::ui::theme;
use crate::ui::view::ViewState;

pub use cloud::{CloudView, PointColour, Quantity};
pub use headroom::{HeadroomView, Part};
pub use sides::{Change, SidesView};

/// The scatter stands beside the diagrams in so much room.
const BESIDE: f32 = 560.0;
/// Room for the headroom below the scatter.
const BELOW: f32 = 460.0;

/// What the upper part shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CompareTab {
    /// The scatter with what matters most beside it.
    #[default]
    Scatter,
    /// All reliability diagrams.
    Calibration,
    /// Rankings.
    Headroom,
    /// A second prediction file.
    Sides,
}

impl CompareTab {
    /// In their order.
    pub const ALL: [Self; 4] = [
        Self::Scatter,
        Self::Calibration,
        Self::Headroom,
        Self::Sides,
    ];

    /// As the tab names it.
    pub fn label(self) -> &'static str {
        match self {
            Self::Scatter => "Scatter",
            Self::Calibration => "Calibration",
            Self::Headroom => "Ranking headroom",
            Self::Sides => "A against B",
        }
    }
}

/// What the workspace shows. It can be deleted without losing work.
#[derive(Default)]
pub struct CompareView {
    /// What the upper part shows.
    pub tab: CompareTab,
    /// The scatter.
    pub cloud: CloudView,
    /// The bars of headroom.
    pub headroom: HeadroomView,
    /// The list of differences.
    pub sides: SidesView,
    summary: Option<summary::Summary>,
}

/// The centre of the workspace: charts above the canvas.
pub fn compare_centre_ui(
    ui: &mut Ui,
    doc: &mut Document,
    view: &mut ViewState,
    loader: &mut Loader,
    out: &mut CommandQueue,
) {
    let parts = &mut (doc, view, out);
    judged::with_canvas(
        ui,
        "compare canvas",
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
    tabs(ui, doc, view);
    ui.add_space(theme::GRID);
    match view.compare.tab {
        CompareTab::Scatter => overview(ui, doc, &analysis, view, out),
        CompareTab::Sides => {
            let mut sides = std::mem::take(&mut view.compare.sides);
            sides::sides_ui(ui, doc, &analysis, &mut sides, out);
            view.compare.sides = sides;
        }
        CompareTab::Calibration => with_knowledge(ui, doc, &analysis, |ui, known| {
            let evaluation = &analysis.evaluation;
            calibration::calibration_ui(ui, &known.calibration, evaluation, out);
        }),
        CompareTab::Headroom => with_knowledge(ui, doc, &analysis, |ui, known| {
            let shown = &mut view.compare.headroom;
            headroom::headroom_ui(ui, known, shown, view.rank_by, out);
        }),
    }
}

fn tabs(ui: &mut Ui, doc: &Document, view: &mut ViewState) {
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = theme::GRID;
        for tab in CompareTab::ALL {
            ui.selectable_value(&mut view.compare.tab, tab, tab.label());
        }
        if judged::is_working(doc) {
            ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
                judged::progress(ui, doc);
            });
        }
    });
}

/// Parts that need what takes longest.
fn with_knowledge(
    ui: &mut Ui,
    doc: &Document,
    analysis: &Analysis,
    show: impl FnOnce(&mut Ui, &crate::document::eval::knows::Analysis),
) {
    match &analysis.knowledge {
        Some(known) => show(ui, known),
        None if judged::is_working(doc) => judged::progress(ui, doc),
        None => judged::absent(ui, "The log says why this could not be computed"),
    }
}

/// The scatter, the two diagrams that matter most beside it, headroom below, as far as there is room.
fn overview(
    ui: &mut Ui,
    doc: &Document,
    analysis: &Analysis,
    view: &mut ViewState,
    out: &mut CommandQueue,
) {
    let space = ui.available_size();
    let below = if space.y > BELOW { headroom::BARS } else { 0.0 };
    let upper = space.y - below;
    let beside = if space.x > BESIDE {
        (space.x * 0.3).clamp(180.0, 360.0)
    } else {
        0.0
    };
    ui.horizontal_top(|ui| {
        ui.spacing_mut().item_spacing.x = 12.0;
        let layout = egui::Layout::top_down(egui::Align::Min);
        let left = vec2(
            space.x - beside - if beside > 0.0 { 12.0 } else { 0.0 },
            upper,
        );
        ui.allocate_ui_with_layout(left, layout, |ui| cloud::cloud_ui(ui, analysis, view, out));
        if beside > 0.0 {
            ui.allocate_ui_with_layout(vec2(beside, upper), layout, |ui| {
                ui.set_min_size(vec2(beside, upper));
                with_knowledge(ui, doc, analysis, |ui, known| {
                    calibration::pair_ui(ui, &known.calibration, &analysis.evaluation, out);
                });
            });
        }
    });
    if below > 0.0 {
        with_knowledge(ui, doc, analysis, |ui, known| {
            let shown = HeadroomView::default();
            headroom::bars_ui(ui, &known.headroom.all, &shown, view.rank_by, out);
        });
    }
}

/// The right side of the workspace: what is picked.
pub fn compare_right_ui(
    ui: &mut Ui,
    doc: &mut Document,
    view: &mut ViewState,
    out: &mut CommandQueue,
) {
    if let Some(analysis) = doc.analysis().cloned() {
        summary::summary_ui(ui, &analysis, view, out);
    }
}
