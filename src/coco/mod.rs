//! COCO files: sets, prediction files, results, the RLE string codec. Wraps hotcoco's types.

pub mod check;
pub mod dataset;
mod error;
mod file;
pub mod polygon;
pub mod predictions;
mod python_json;
pub mod rle_string;
pub mod save;

pub use dataset::{Annotation, Annotations, Dataset, DatasetImage};
pub use error::CocoError;
pub use file::{AtomicFile, write_json};

use crate::structures::{ClassTable, Detection, Size};

/// The predictions of one image.
#[derive(Clone, Debug, PartialEq)]
pub struct PredictedImage {
    /// Image path as the file has it.
    pub path: String,
    /// Size of the image.
    pub size: Size,
    /// Instances, best score first.
    pub detections: Vec<Detection>,
}

/// A prediction file, read whole.
#[derive(Clone, Debug, Default)]
pub struct PredictionFile {
    /// Images in file order.
    pub images: Vec<PredictedImage>,
    /// Classes by label, as far as the predictions name them.
    pub classes: ClassTable,
    /// What was left out or altered while reading, in sentences for the user.
    pub notes: Vec<String>,
}
