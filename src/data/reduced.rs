//! A JPEG at a half, a quarter or an eighth of its size, straight from its coefficients: for thumbnails.

use libjpeg_turbo_rs::{DecodeLimits, Decoder, PixelFormat, ScalingFactor};

use super::RgbImage;
use super::error::MAX_PIXELS;
use crate::structures::Size;

/// One in so many pixels of each axis, the smallest picture first.
const SCALES: [usize; 3] = [8, 4, 2];
/// Of a progressive file; encoders write about ten.
const MAX_SCANS: usize = 256;
/// The coefficients of the largest progressive image, three 16-bit numbers a pixel, and as much again.
const MAX_MEMORY: u64 = MAX_PIXELS as u64 * 3 * 2 * 2;

/// An image of `size` at the smallest scale that leaves its longer side `side` pixels. None where there is no such scale and
/// where the file is not whole: what is wrong with it is for the decoder of whole images to say.
pub(super) fn decode(bytes: &[u8], size: Size, side: usize) -> Option<RgbImage> {
    let long = size.width.max(size.height);
    let scale = SCALES.into_iter().find(|scale| long / scale >= side)?;
    let limits = DecodeLimits {
        max_pixels: MAX_PIXELS as u64,
        max_scans: MAX_SCANS,
        max_memory: Some(MAX_MEMORY),
        ..DecodeLimits::default()
    };
    let mut decoder = Decoder::new_with_limits(bytes, limits).ok()?;
    decoder.set_stop_on_warning(true);
    decoder.set_output_format(PixelFormat::Rgb);
    decoder.set_scale(ScalingFactor::try_new(1, scale as u32).ok()?);
    let image = decoder.decode_image().ok()?;
    let size = Size::new(image.width, image.height);
    (image.data.len() == 3 * size.pixels()).then_some(RgbImage {
        size,
        rgb: image.data,
    })
}
