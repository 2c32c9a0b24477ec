//! What the window shows of the document. It can be deleted without losing work.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::document::evaluation::EvalSettings;
use crate::document::filter::{GalleryFilter, ImageQuery};
use crate::document::ranking::RankBy;
use crate::document::review::Target;
use crate::structures::is_same;
use crate::ui::canvas::{CanvasView, OverlayStyle};
use crate::ui::panels::compare::CompareView;
use crate::ui::panels::evaluate::EvaluateView;
use crate::ui::panels::review::ReviewView;
use crate::ui::panels::train::TrainView;
use crate::ui::picked::Picked;

/// Which instances the canvas draws.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Layers {
    /// Predictions alone.
    #[default]
    Predictions,
    /// Annotations alone.
    GroundTruth,
    /// Both.
    Both,
}

/// What the centre and the right side show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Workspace {
    /// One image and its instances.
    #[default]
    Browse,
    /// The four numbers against each other.
    Compare,
    /// COCO evaluation.
    Evaluate,
    /// Runs of training; needs no set.
    Train,
    /// Verdicts and corrections.
    Review,
}

impl Workspace {
    /// In the order of the tabs.
    pub const ALL: [Self; 5] = [
        Self::Browse,
        Self::Compare,
        Self::Evaluate,
        Self::Train,
        Self::Review,
    ];

    /// As the tab names it.
    pub fn label(self) -> &'static str {
        match self {
            Self::Browse => "Browse",
            Self::Compare => "Compare",
            Self::Evaluate => "Evaluate",
            Self::Train => "Train",
            Self::Review => "Review",
        }
    }

    /// What it is for.
    pub fn hint(self) -> &'static str {
        match self {
            Self::Browse => "Look at images and what the model sees in them",
            Self::Compare => "Does the model know which of its masks are good?",
            Self::Evaluate => "COCO numbers, and why each match is one",
            Self::Train => "Fine-tune, and follow what trains",
            Self::Review => "Verdicts on instances, and corrections of annotations",
        }
    }
}

/// A saved view that is being named.
#[derive(Clone, Debug, PartialEq)]
pub struct Naming {
    /// The view that gets another name; `None` for one that is to be saved.
    pub from: Option<String>,
    /// What was typed.
    pub text: String,
    /// The field has had the focus.
    pub is_focused: bool,
}

/// Selection, filters and display options: one selection everywhere.
#[derive(Default)]
pub struct ViewState {
    /// Index of the image on the canvas, into `Document::images`.
    pub image: Option<usize>,
    /// Index of the selected instance, into the image's detections (or its annotations where there are no predictions).
    pub instance: Option<usize>,
    /// An annotation that a list led to: its image, its place among the image's annotations.
    pub annotation: Option<(usize, usize)>,
    /// The instance under the pointer in a list.
    pub hovered: Option<usize>,
    /// Filter and order of the gallery.
    pub query: ImageQuery,
    /// The gallery: indices into `Document::images` after filter, order and pick.
    pub gallery: Vec<usize>,
    /// The same before the pick; renewed when filter or order change.
    pub passing: Vec<usize>,
    /// What `gallery` was made of: a generation of the filter, and the pick.
    pub gallery_of: Option<(u64, Option<Arc<Picked>>)>,
    /// Keeps `passing` in step with `query`.
    pub filter: GalleryFilter,
    /// The filter field offers completions, which Esc closes first.
    pub completion_open: bool,
    /// A view that is being named.
    pub naming: Option<Naming>,
    /// Instances below it (of `rank_by`) are hidden.
    pub threshold: f64,
    /// The score that orders and filters instances.
    pub rank_by: RankBy,
    /// What is drawn.
    pub layers: Layers,
    /// How it is drawn.
    pub style: OverlayStyle,
    /// Zoom and pan.
    pub canvas: CanvasView,
    /// Where the canvas changes from the first to the second predictions, as a share of its width; `None`: nowhere.
    pub wipe: Option<f32>,
    /// Position of the pointer in pixels of the image.
    pub pointer: Option<(f32, f32)>,
    /// The pointer is over the canvas, beside the image too.
    pub over_canvas: bool,
    /// The primary button is down on the canvas, not to pan.
    pub pointer_down: bool,
    /// It was pressed and released at one place of the canvas in this frame.
    pub clicked: bool,
    /// What the centre and the right side show.
    pub workspace: Workspace,
    /// Instances that a chart was asked for: the gallery shows their images alone.
    pub picked: Option<Arc<Picked>>,
    /// Whether detections below the threshold take no part in the evaluation.
    pub evaluate_above_threshold: bool,
    /// Whether only what the filter means takes part in the evaluation.
    pub evaluate_filtered: bool,
    /// The Compare workspace.
    pub compare: CompareView,
    /// The Evaluate workspace.
    pub evaluate: EvaluateView,
    /// The Train workspace.
    pub train: TrainView,
    /// The Review workspace.
    pub review: ReviewView,
    /// The filter field wants the focus.
    pub focus_filter: bool,
    /// The gallery scrolls to the selected image.
    pub scroll_to_selected: bool,
}

/// What is selected, to notice that it is something else.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    image: Option<usize>,
    instance: Option<usize>,
    annotation: Option<(usize, usize)>,
    wanted: Option<Target>,
}

impl ViewState {
    /// What is selected, and what will be.
    pub fn selection(&self) -> Selection {
        Selection {
            image: self.image,
            instance: self.instance,
            annotation: self.annotation,
            wanted: self.review.wanted.clone(),
        }
    }

    /// Brings `gallery` into step with `passing` and the pick.
    pub fn renew_gallery(&mut self) {
        let generation = self.filter.generation();
        let is_made = self.gallery_of.as_ref().is_some_and(|(of, picked)| {
            let same = is_same(picked.as_ref(), self.picked.as_ref());
            *of == generation && same
        });
        if is_made {
            return;
        }
        let passing = self.passing.iter().copied();
        self.gallery = match &self.picked {
            Some(picked) => passing.filter(|&image| picked.has_image(image)).collect(),
            None => passing.collect(),
        };
        self.gallery_of = Some((generation, self.picked.clone()));
    }

    /// The filter where it restricts the evaluation; `None` where it does not, or cannot.
    fn evaluated_filter(&self) -> Option<String> {
        let query = self.filter.query();
        let restricts =
            self.evaluate_filtered && !query.is_everything() && query.restriction().is_ok();
        restricts.then(|| query.text().to_owned())
    }

    /// What the evaluation is made with.
    pub fn eval_settings(&self) -> EvalSettings {
        EvalSettings {
            rank_by: self.rank_by,
            threshold: self.evaluate_above_threshold.then_some(self.threshold),
            filter: self.evaluated_filter(),
            ..EvalSettings::default()
        }
    }
}
