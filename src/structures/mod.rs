//! Plain values that every layer speaks: sizes, boxes, run-length masks, transforms, detections. No tensors, no IO.

mod boxes;
mod classes;
mod detection;
mod ground_truth;
mod oklch;
mod precision;
mod random;
pub mod ranking;
mod rle;
mod shared;
pub mod shell;
mod size;
mod text;
mod transform;

pub use boxes::{BoxXywh, BoxXyxy};
pub use classes::ClassTable;
pub use detection::{Detection, MaskQuality};
pub use ground_truth::{GroundTruth, MaskGrid};
pub use oklch::{gamma_from_linear, linear_from_oklch};
pub use precision::Precision;
pub use random::{Random, mix};
pub use rle::{Rle, RleError};
pub use shared::is_same;
pub use size::Size;
pub use text::thousands;
pub use transform::ImageTransform;
