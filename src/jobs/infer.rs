//! Inference over a list of images in the background.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::structures::{ClassTable, Detection, Size};

/// Which model to run and how.
#[derive(Clone, Debug, Default)]
pub struct ModelRequest {
    /// Checkpoint file of any format.
    pub checkpoint: PathBuf,
    /// Configuration file; the checkpoint's own without.
    pub config: Option<PathBuf>,
    /// `a.b=c` settings.
    pub set: Vec<String>,
    /// `auto`, `cpu`, `cuda` or `cuda:N`; empty is `auto`.
    pub device: String,
}

/// What is known of a loaded model.
#[derive(Clone, Debug)]
pub struct ModelSummary {
    /// The checkpoint.
    pub checkpoint: PathBuf,
    /// Foreground classes.
    pub classes: ClassTable,
    /// For example `ResNet-50 caffe`.
    pub backbone: String,
    /// `mindspore` or `mmdet`.
    pub dialect: &'static str,
    /// For example `CPU, 2 threads, AVX-512`.
    pub device: String,
    /// `float32`.
    pub precision: &'static str,
    /// Values of all tensors, BatchNorm statistics included.
    pub parameters: usize,
    /// Whether `mask_iou` means something.
    pub mask_scoring: bool,
    /// What the user should know.
    pub notes: Vec<String>,
}

/// An image to run on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageTask {
    /// The caller's number of the image, returned with every event.
    pub index: usize,
    /// The file.
    pub path: PathBuf,
    /// Size that a COCO JSON declares, which decides about EXIF rotation.
    pub declared: Option<Size>,
}

/// What happens during a job, in order.
#[derive(Clone, Debug)]
pub enum InferEvent {
    /// The model is ready.
    ModelLoaded(ModelSummary),
    /// Work on an image begins.
    Started {
        /// The caller's number.
        index: usize,
    },
    /// An image is done.
    Detected {
        /// The caller's number.
        index: usize,
        /// Size of the image as decoded.
        size: Size,
        /// Instances, best score first.
        detections: Arc<Vec<Detection>>,
    },
    /// An image could not be used; the rest goes on.
    Failed {
        /// The caller's number.
        index: usize,
        /// What, where, what to do.
        error: String,
    },
    /// How far the job is.
    Progress {
        /// Images done or failed.
        done: usize,
        /// All images.
        total: usize,
        /// Over the last images.
        images_per_second: f64,
        /// Time left at that speed.
        eta: Option<Duration>,
    },
    /// The job ended: every image was tried.
    Finished {
        /// Images that failed.
        failed: usize,
    },
    /// The job was cancelled; what was reported stays.
    Cancelled,
    /// The model could not be loaded, or broke.
    Fatal(String),
}

/// A running job. Dropping it cancels.
pub struct InferJob {}

impl InferJob {
    /// Loads the model and runs it over `tasks` on a thread of its own. `wake` is called after every event.
    pub fn start(
        _model: ModelRequest,
        _tasks: Vec<ImageTask>,
        _wake: impl Fn() + Send + Sync + 'static,
    ) -> Self {
        Self {}
    }

    /// The image that the user looks at comes first, then its neighbours.
    pub fn prioritise(&self, _index: usize) {}

    /// Holds the job between images, or lets it go on.
    pub fn set_paused(&self, _paused: bool) {}

    /// Whether the job is held.
    pub fn is_paused(&self) -> bool {
        false
    }

    /// Stops after the image in hand.
    pub fn cancel(&self) {}

    /// Events since the last call, without waiting.
    pub fn events(&self) -> Vec<InferEvent> {
        Vec::new()
    }
}
