//! Evaluation of what is open, in the background: made once for a set and its predictions, renewed from the ranking or
//! the matches on when a ranking, the threshold or the filter changes.

mod analysis;
mod attach;
mod boundary;
mod worker;

use std::sync::Arc;

use crate::eval::{
    Cells, CocoNumbers, Curves, EvalInput, IdPolicy, Kind, Matches, Order, Overlaps, Selection,
    Setup,
};
use crate::structures::ranking::RankBy;

pub(super) use analysis::Analyst;
pub use analysis::{Analysis, Comparison};
pub(super) use attach::Attaching;
pub use attach::{Second, Side};
pub(super) use boundary::BoundaryJob;
pub use boundary::{Boundary, BoundaryResult};
pub(super) use worker::Evaluator;

/// What may change without measuring anything again.
#[derive(Clone, Debug, PartialEq)]
pub struct EvalSettings {
    /// The score that ranks masks; boxes are ranked by `score`.
    pub rank_by: RankBy,
    /// Detections below it (of `rank_by`) take no part; `None` keeps all, as COCO does.
    pub threshold: Option<f64>,
    /// What takes part beside that, where there is no filter.
    pub selection: Arc<Selection>,
    /// A query that restricts what takes part, as `--where` does.
    pub filter: Option<String>,
}

impl Default for EvalSettings {
    fn default() -> Self {
        Self {
            rank_by: RankBy::IouScore,
            threshold: None,
            selection: Arc::default(),
            filter: None,
        }
    }
}

/// What does not change with the settings.
#[derive(Debug)]
pub struct EvalBase {
    /// Ground truth and predictions.
    pub input: EvalInput,
    /// Their cells.
    pub cells: Cells,
    /// IoUs of masks with annotations of every class.
    pub masks: Overlaps,
    /// IoUs of boxes with annotations of their class.
    pub boxes: Overlaps,
    /// Measured IoU of each detection.
    pub measured: Vec<Option<f64>>,
    /// Position in `input.images` of each image of the set; `None` where it takes no part.
    pub image_of: Vec<Option<u32>>,
}

impl EvalBase {
    /// What the engine asks for.
    pub fn setup(&self, kind: Kind) -> Setup<'_> {
        Setup {
            input: &self.input,
            cells: &self.cells,
            overlaps: match kind {
                Kind::Bbox => &self.boxes,
                Kind::Segm => &self.masks,
            },
            kind,
            ids: IdPolicy::ByIndex,
        }
    }

    /// Position in `input.detections` of the `index`th prediction of image `position` of the set.
    pub fn detection_at(&self, position: usize, index: usize) -> Option<usize> {
        let image = self
            .input
            .images
            .get((*self.image_of.get(position)?)? as usize)?;
        let of_image = self.input.detections.get(image.detections.clone())?;
        let at = of_image.binary_search_by_key(&index, |d| d.index as usize);
        Some(image.detections.start + at.ok()?)
    }
}

/// Results of one kind.
#[derive(Debug)]
pub struct KindResult {
    /// The ranking.
    pub order: Arc<Order>,
    /// Who matched whom.
    pub matches: Arc<Matches>,
    /// Precision and recall.
    pub curves: Curves,
    /// The twelve numbers.
    pub numbers: CocoNumbers,
}

/// An evaluation, whole.
#[derive(Debug)]
pub struct Evaluation {
    /// What does not change with the settings.
    pub base: Arc<EvalBase>,
    /// What it was made with.
    pub settings: EvalSettings,
    /// What takes part, the threshold included.
    pub selection: Selection,
    /// Boxes.
    pub bbox: KindResult,
    /// Masks.
    pub segm: KindResult,
}

impl Evaluation {
    /// Results of a kind.
    pub fn of(&self, kind: Kind) -> &KindResult {
        match kind {
            Kind::Bbox => &self.bbox,
            Kind::Segm => &self.segm,
        }
    }
}

/// What an evaluation is working on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EvalStage {
    /// Annotations become masks.
    Annotations,
    /// Masks and boxes are laid over each other.
    Overlaps,
    /// Matches and numbers.
    Numbers,
}

impl EvalStage {
    const ALL: [Self; 3] = [Self::Annotations, Self::Overlaps, Self::Numbers];

    /// As the window names it.
    pub fn label(self) -> &'static str {
        match self {
            Self::Annotations => "Reading annotations",
            Self::Overlaps => "Measuring overlaps",
            Self::Numbers => "Matching",
        }
    }
}

/// How far the evaluation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EvalProgress {
    /// What is being done.
    pub stage: EvalStage,
    /// Images done in this stage.
    pub done: usize,
    /// All images.
    pub total: usize,
}
