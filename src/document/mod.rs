//! What is open: images, predictions, annotations, the model, the job that runs. No egui; it survives without a window.
//!
//! Nothing here waits: opening, inference, annotations and export run on threads; `poll` takes in what they finished.

mod categories;
pub mod evaluation;
mod exporting;
pub mod filter;
pub mod health;
mod images_list;
mod mask_in_box;
mod open;
mod opening;
mod prediction_source;
pub mod review;
mod reviewing;
mod running;
mod saving;
pub mod settings;
mod state;
pub mod training;
mod truth;
mod watch;

use std::path::Path;
use std::sync::Arc;

use crate::structures::Rle;

pub use crate::eval;
pub use crate::jobs::images;
pub use crate::jobs::infer::{ImageTask, ModelRequest, ModelSummary};
pub use crate::jobs::logging;
pub use crate::structures::ranking;
pub use categories::Categories;
pub use exporting::{ExportProgress, Format};
pub use images_list::{ImageEntry, ImageState};
pub use mask_in_box::BoxPrompt;
pub use opening::OpeningProgress;
pub use reviewing::ReviewState;
pub use state::{Document, ModelState, Notice, NoticeKind, Progress, Source, SourceKind};
pub use truth::{Truth, TruthInstance, TruthState};

/// Called from threads when `poll` has something to take in.
pub type Wake = Arc<dyn Fn() + Send + Sync>;

/// A mask as COCO JSON has it: size and compressed runs.
pub fn coco_rle(mask: &Rle) -> String {
    let size = mask.size();
    let counts = crate::coco::rle_string::encode(mask);
    serde_json::json!({ "size": [size.height, size.width], "counts": counts }).to_string()
}

/// What a path is, by name and first bytes: decides what dropping or opening it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathKind {
    /// A folder of images.
    Folder,
    /// An image.
    Image,
    /// A COCO JSON, or a folder laid out as a COCO set.
    CocoSet,
    /// A prediction JSON or COCO results.
    Predictions,
    /// Weights.
    Checkpoint,
    /// Nothing that can be opened.
    Unknown,
}

impl PathKind {
    /// What opening it does, for the drop hint.
    pub fn action(self) -> &'static str {
        match self {
            Self::Folder => "Open the folder",
            Self::Image => "Open the image",
            Self::CocoSet => "Open the COCO set",
            Self::Predictions => "Open the predictions",
            Self::Checkpoint => "Load the checkpoint",
            Self::Unknown => "Maskscope cannot open this",
        }
    }

    /// Looks at the name and, for a JSON, at its first bytes. Quick enough for a drop hint.
    pub fn of(path: &Path) -> Self {
        open::kind_of(path)
    }
}
