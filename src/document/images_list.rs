//! The images of what is open.

use std::path::PathBuf;
use std::sync::Arc;

use crate::structures::{Detection, Size};

/// How far an image is.
#[derive(Clone, Debug, Default)]
pub enum ImageState {
    /// No predictions, and none asked for.
    #[default]
    Idle,
    /// Waits for the model.
    Queued,
    /// The model works on it.
    Running,
    /// Predictions are here.
    Done(Arc<Vec<Detection>>),
    /// It could not be used: what, where, what to do.
    Failed(Arc<str>),
}

/// An image of what is open.
#[derive(Clone, Debug)]
pub struct ImageEntry {
    /// The file.
    pub path: PathBuf,
    /// As lists show it: the path below the folder that is open.
    pub name: String,
    /// As prediction files name it.
    pub key: String,
    /// Size that a COCO JSON declares; decides about EXIF rotation.
    pub declared: Option<Size>,
    /// Size as decoded or as the prediction file says.
    pub size: Option<Size>,
    /// Predictions.
    pub state: ImageState,
    /// Number of annotations; 0 without ground truth.
    pub annotations: usize,
}

impl ImageEntry {
    /// The predictions, where there are any.
    pub fn detections(&self) -> Option<&Arc<Vec<Detection>>> {
        match &self.state {
            ImageState::Done(detections) => Some(detections),
            _ => None,
        }
    }
}
