//! What the window shows of the document. It can be deleted without losing work.

use serde::{Deserialize, Serialize};

use crate::document::filter::{GalleryFilter, ImageQuery};
use crate::document::ranking::RankBy;
use crate::ui::canvas::{CanvasView, OverlayStyle};

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
    /// The instance under the pointer in a list.
    pub hovered: Option<usize>,
    /// Filter and order of the gallery.
    pub query: ImageQuery,
    /// The gallery: indices into `Document::images` after filter and order; renewed when either changes.
    pub gallery: Vec<usize>,
    /// Keeps the gallery in step with `query`.
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
    /// Position of the pointer in pixels of the image.
    pub pointer: Option<(f32, f32)>,
    /// The filter field wants the focus.
    pub focus_filter: bool,
    /// The gallery scrolls to the selected image.
    pub scroll_to_selected: bool,
}
