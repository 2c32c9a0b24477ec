//! Plain values that every layer speaks: sizes, boxes, run-length masks, transforms, detections. No tensors, no IO.

mod bitmap;
mod boxes;
mod classes;
mod components;
mod detection;
mod ground_truth;
mod oklch;
pub mod outline;
mod precision;
mod random;
pub mod ranking;
mod rle;
mod shared;
pub mod shell;
mod size;
mod text;
mod transform;

pub use bitmap::{Combine, EditableMask, Paint, PixelRect, snapped_to_border};
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
pub use text::{csv_field, thousands};
pub use transform::ImageTransform;
