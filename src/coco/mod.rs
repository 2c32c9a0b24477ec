//! COCO files: sets, prediction files, results, the RLE string codec. Wraps hotcoco's types.

pub mod check;
mod convert;
mod corrections;
pub mod correspond;
pub mod dataset;
mod derive;
mod error;
mod file;
pub mod polygon;
pub mod predictions;
mod python_json;
pub mod rle_string;
pub mod save;
mod shape;
mod yolo;

pub use convert::{write_cvat, write_voc};
pub use corrections::{Corrected, CorrectedSet, Corrections, Counts, Origin, Record};
pub use dataset::{Annotation, Annotations, Dataset, DatasetImage};
pub use derive::{Derivation, write_derived};
pub use error::CocoError;
pub use file::{AtomicFile, content_hash, with_suffix, write_json, write_whole};
pub use shape::{Shape, ShapeError};
pub use yolo::{FormatCounts, write_yolo};

use crate::structures::{ClassTable, Detection, Size};

/// The predictions of one image.
#[derive(Clone, Debug, PartialEq)]
pub struct PredictedImage {
    /// Image path as the file has it; in a list of COCO results the image id as text.
    pub path: String,
    /// The data set's id of the image, where the file has it: lists of COCO results do.
    pub image_id: Option<u64>,
    /// Size of the image; 0×0 where the file does not tell, as a list of COCO results without masks.
    pub size: Size,
    /// Instances in file order.
    pub detections: Vec<Detection>,
    /// Keys of our JSON beside its own, where there are any.
    pub extra: Option<Box<predictions::Extras>>,
}

impl PredictedImage {
    /// Predictions on the image of that path, without id and extra keys.
    pub fn new(path: String, size: Size, detections: Vec<Detection>) -> Self {
        Self {
            path,
            image_id: None,
            size,
            detections,
            extra: None,
        }
    }
}

/// A prediction file, read whole.
#[derive(Clone, Debug, PartialEq)]
pub struct PredictionFile {
    /// Images in file order, of a list of COCO results in the order of their first entries.
    pub images: Vec<PredictedImage>,
    /// Classes by label, as far as the predictions name them.
    pub classes: ClassTable,
    /// What was left out or altered while reading, in sentences for the user.
    pub notes: Vec<String>,
    /// Entries that were left out, in file order; at most the first 10,000.
    pub left_out: Vec<predictions::LeftOut>,
    /// How many were left out altogether.
    pub left_out_count: usize,
    /// False for boxes alone: every mask is empty then, 0×0.
    pub has_masks: bool,
}
