//! Small pictures for galleries: decoded, then averaged down.

use std::io::Cursor;
use std::ops::Range;
use std::path::Path;

use super::decode::{Header, applies, decode_reduced, reduced_from};
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
    let max_side = max_side.max(1);
    let reduced = decode_reduced(path, max_side)?;
    Ok(thumbnail(reduced, max_side, declared))
}

/// As `decode_thumbnail`, from bytes in memory; `name` stands for the file in errors.
///
/// # Errors
/// As `decode`.
pub fn decode_thumbnail_bytes(
    name: &Path,
    bytes: &[u8],
    max_side: usize,
    declared: Option<Size>,
) -> Result<RgbImage, ImageError> {
    let max_side = max_side.max(1);
    let reduced = reduced_from(name, Cursor::new(bytes), max_side)?;
    Ok(thumbnail(reduced, max_side, declared))
}

fn thumbnail(
    (raw, header): (RgbImage, Header),
    max_side: usize,
    declared: Option<Size>,
) -> RgbImage {
    // Turned after shrinking: far fewer pixels to move.
    let small = shrink(raw, max_side);
    if applies(header.orientation, header.size, declared) {
        orient(small, header.orientation)
    } else {
        small
    }
}

/// Mean of what each small pixel covers, parts of pixels included.
fn shrink(image: RgbImage, max_side: usize) -> RgbImage {
    let from = image.size;
    let long = from.width.max(from.height);
    if long <= max_side {
        return image;
    }
    let scaled = |side: usize| ((side as u64 * max_side as u64 / long as u64) as usize).max(1);
    let size = Size::new(scaled(from.width), scaled(from.height));
    let stride = from.width * 3;
    let row = |y: usize| &image.rgb[y * stride..(y + 1) * stride];
    let columns: Vec<Covered> = (0..size.width)
        .map(|x| Covered::of(x, size.width, from.width))
        .collect();
    // Sums of columns in 16 bits as far as they hold them: twice as many at a time in a vector.
    let mut sums = vec![0u16; stride];
    let mut totals = vec![0f32; stride];
    let mut rgb = Vec::with_capacity(size.pixels() * 3);
    for y in 0..size.height {
        let rows = Covered::of(y, size.height, from.height);
        // Both parts of a row fit into 16 bits together.
        let [(top, above), (bottom, below)] = rows.parts;
        let both = row(top).iter().zip(row(bottom));
        for (total, (&a, &b)) in totals.iter_mut().zip(both) {
            *total = f32::from(above * u16::from(a) + below * u16::from(b));
        }
        for first in rows.whole.clone().step_by(ROWS_OF_16_BITS) {
            sums.fill(0);
            for y in first..rows.whole.end.min(first + ROWS_OF_16_BITS) {
                for (sum, &value) in sums.iter_mut().zip(row(y)) {
                    *sum += u16::from(value);
                }
            }
            for (total, &sum) in totals.iter_mut().zip(&sums) {
                *total += f32::from(ONE) * f32::from(sum);
            }
        }
        for columns in &columns {
            let mut pixel = [0f32; 3];
            let mut add = |totals: &[f32], weight: u16| {
                for (sum, &total) in pixel.iter_mut().zip(totals) {
                    *sum += f32::from(weight) * total;
                }
            };
            for (x, weight) in columns.parts {
                add(&totals[3 * x..3 * x + 3], weight);
            }
            for total in totals[3 * columns.whole.start..3 * columns.whole.end].chunks_exact(3) {
                add(total, ONE);
            }
            let share = 1.0 / (columns.weight() * rows.weight());
            rgb.extend(pixel.map(|sum| (sum * share + 0.5) as u8));
        }
    }
    RgbImage { size, rgb }
}

/// The weight of a whole row or column. Below it two weights of bytes add up to 16 bits.
const ONE: u16 = 128;

/// What an output row or column covers of the source; never nothing.
struct Covered {
    /// Partly, with weights below `ONE`; a weight of 0 where there is none.
    parts: [(usize, u16); 2],
    whole: Range<usize>,
}

impl Covered {
    /// Of `at` among `small` that cover `large`.
    fn of(at: usize, small: usize, large: usize) -> Self {
        // In parts of a source row of which it has `small`; at least a row apart, since it only shrinks.
        let (start, end) = (at * large, (at + 1) * large);
        let whole = start.div_ceil(small)..end / small;
        let share = |parts: usize| (parts as u64 * u64::from(ONE) / small as u64) as u16;
        Self {
            parts: [
                (start / small, share((small - start % small) % small)),
                ((end / small).min(large - 1), share(end % small)),
            ],
            whole,
        }
    }

    fn weight(&self) -> f32 {
        let parts: u16 = self.parts.iter().map(|(_, weight)| weight).sum();
        f32::from(parts) + f32::from(ONE) * self.whole.len() as f32
    }
}
