//! From files to what the network sees: decode, resize, normalise, pad; and the synthetic set.

mod decode;
mod error;
mod folder;
mod jpeg;
mod orient;
mod overlay;
mod prepare;
mod reduced;
mod resize;
mod sample;
pub mod synth;
mod thumbnail;

pub use decode::{decode, decode_bytes, probe, probe_as_declared};
pub use error::{ImageError, MAX_PIXELS};
pub use folder::{IMAGE_SUFFIXES, has_image_suffix, list_images};
pub use overlay::{class_colour, draw_mask, write_png};
pub use prepare::{normalise, padded_size, prepare, resized_size};
pub use resize::{resize, resize_mask};
pub use sample::{LabelledObject, TrainSample, train_sample};
pub use thumbnail::{decode_thumbnail, decode_thumbnail_bytes};

use crate::structures::{ImageTransform, Size};

/// An 8-bit RGB image, upright as semantics.md 2.1 says.
#[derive(Clone, Debug)]
pub struct RgbImage {
    /// Width and height.
    pub size: Size,
    /// Row-major, three bytes a pixel.
    pub rgb: Vec<u8>,
}

/// What the network sees of one image.
#[derive(Clone, Debug)]
pub struct PreparedImage {
    /// (3,H,W) of the padded size, row-major.
    pub planes: Vec<f32>,
    /// How the image came to be so.
    pub transform: ImageTransform,
}
