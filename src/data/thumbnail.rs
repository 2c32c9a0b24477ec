//! Small pictures for galleries: decoded, then averaged down.

use std::path::Path;

use super::decode::{applies, decode_raw};
use super::orient::orient;
use super::{ImageError, RgbImage};
use crate::structures::Size;

/// Rows of bytes whose sum always fits into 16 bits.
const ROWS_OF_16_BITS: usize = 257;

/// Decodes an image and shrinks it to fit `max_side` in both axes; a smaller one stays as it is.
///
/// # Errors
/// As `decode`.
pub fn decode_thumbnail(
    path: &Path,
    max_side: usize,
    declared: Option<Size>,
) -> Result<RgbImage, ImageError> {
    let (raw, orientation) = decode_raw(path)?;
    let turned = applies(orientation, raw.size, declared);
    // Turned after shrinking: far fewer pixels to move.
    let small = shrink(raw, max_side.max(1));
    Ok(if turned {
        orient(small, orientation)
    } else {
        small
    })
}

/// Mean of the source pixels that each small pixel covers.
fn shrink(image: RgbImage, max_side: usize) -> RgbImage {
    let from = image.size;
    let long = from.width.max(from.height);
    if long <= max_side {
        return image;
    }
    let scaled = |side: usize| ((side as u64 * max_side as u64 / long as u64) as usize).max(1);
    let size = Size::new(scaled(from.width), scaled(from.height));
    // Sums of columns in 16 bits as far as they hold them: twice as many at a time in a vector.
    let mut sums = vec![0u16; from.width * 3];
    let mut totals = vec![0u32; from.width * 3];
    let mut rgb = Vec::with_capacity(size.pixels() * 3);
    for y in 0..size.height {
        let (top, bottom) = covered(y, size.height, from.height);
        let rows = &image.rgb[top * from.width * 3..bottom * from.width * 3];
        totals.fill(0);
        for rows in rows.chunks(from.width * 3 * ROWS_OF_16_BITS) {
            sums.fill(0);
            for row in rows.chunks_exact(from.width * 3) {
                for (sum, &value) in sums.iter_mut().zip(row) {
                    *sum += u16::from(value);
                }
            }
            for (total, &sum) in totals.iter_mut().zip(&sums) {
                *total += u32::from(sum);
            }
        }
        for x in 0..size.width {
            let (left, right) = covered(x, size.width, from.width);
            let count = ((right - left) * (bottom - top)) as u64;
            let mut pixel = [0u64; 3];
            for column in totals[left * 3..right * 3].chunks_exact(3) {
                for (sum, &total) in pixel.iter_mut().zip(column) {
                    *sum += u64::from(total);
                }
            }
            rgb.extend(pixel.map(|sum| ((sum + count / 2) / count) as u8));
        }
    }
    RgbImage { size, rgb }
}

/// Source range `[start, end)` of an output pixel; never empty.
fn covered(at: usize, small: usize, large: usize) -> (usize, usize) {
    let start = at * large / small;
    (start, ((at + 1) * large / small).max(start + 1))
}
