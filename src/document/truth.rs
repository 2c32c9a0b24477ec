//! Ground truth of one image, rasterised on a thread when it is first asked for.

use std::sync::Arc;

use crate::structures::Detection;

/// An annotation as the window shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct TruthInstance {
    /// Id in the JSON.
    pub id: u64,
    /// A group of objects that is never a match.
    pub is_crowd: bool,
}

/// Annotations of an image. `shapes` and `instances` run in parallel.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Truth {
    /// Box, label and mask of each annotation; score 1, no mask IoU.
    pub shapes: Vec<Detection>,
    /// The rest of it.
    pub instances: Vec<TruthInstance>,
    /// Measured IoU of each prediction of the image, for the predictions it was computed with: the largest mask IoU with
    /// a non-crowd annotation of its class; `None` where the prediction lies mostly on a crowd region.
    pub measured: Vec<Option<f64>>,
}

/// Where the annotations of an image are.
#[derive(Clone, Debug)]
pub enum TruthState {
    /// Nothing open has ground truth.
    Absent,
    /// On their way.
    Pending,
    /// Here.
    Ready(Arc<Truth>),
}
