//! A mask that is being painted: one bit a pixel, column by column as COCO's runs go, so that run lengths are a scan.
//!
//! Every operation answers with the pixels that it changed, for a window that renews only those.

use super::rle::Runs;
use super::{Rle, RleError, Size};

mod brush;
mod mapped;

pub use brush::snapped_to_border;

/// Bits of a word.
const WORD: usize = 64;

/// Columns `left..right` and rows `top..bottom`; never empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PixelRect {
    /// First column.
    pub left: usize,
    /// First row.
    pub top: usize,
    /// Behind the last column.
    pub right: usize,
    /// Behind the last row.
    pub bottom: usize,
}

impl PixelRect {
    /// The smallest rectangle around both.
    pub fn around(self, other: Self) -> Self {
        Self {
            left: self.left.min(other.left),
            top: self.top.min(other.top),
            right: self.right.max(other.right),
            bottom: self.bottom.max(other.bottom),
        }
    }
}

/// What an operation does with the pixels that it touches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paint {
    /// They become foreground.
    Add,
    /// They become background.
    Erase,
}

/// How another mask is laid over this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Combine {
    /// Foreground of either.
    Union,
    /// This one's foreground without the other's.
    Subtract,
    /// What both have.
    Intersect,
}

/// A binary mask of one bit a pixel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EditableMask {
    size: Size,
    /// Words of a column; its last one has no bit below the image.
    stride: usize,
    words: Vec<u64>,
}

impl EditableMask {
    /// A mask without foreground.
    pub fn new(size: Size) -> Self {
        let stride = size.height.div_ceil(WORD);
        Self {
            size,
            stride,
            words: vec![0; stride * size.width],
        }
    }

    /// The mask of run lengths.
    pub fn from_rle(mask: &Rle) -> Self {
        let mut bitmap = Self::new(mask.size());
        mask.column_spans(|x, rows| {
            bitmap.paint_rows(x, rows.start, rows.end, Paint::Add);
        });
        bitmap
    }

    /// The run lengths: a scan over the words, most of which are all 0 or all 1.
    pub fn to_rle(&self) -> Rle {
        let mut runs = Runs::default();
        for column in self.columns() {
            let mut left = self.size.height;
            for alike in column.chunk_by(|a, b| a == b && (*a == 0 || *a == u64::MAX)) {
                let bits = left.min(alike.len() * WORD);
                left -= bits;
                match alike {
                    [0, ..] => runs.push(false, bits as u64),
                    [u64::MAX, ..] => runs.push(true, bits as u64),
                    mixed => mixed
                        .iter()
                        .for_each(|&word| push_word(&mut runs, word, bits)),
                }
            }
        }
        Rle::from_whole_runs(self.size, runs)
    }

    /// Size of the mask.
    pub fn size(&self) -> Size {
        self.size
    }

    /// Number of foreground pixels.
    pub fn area(&self) -> u64 {
        let ones = |word: &u64| u64::from(word.count_ones());
        self.words.iter().map(ones).sum()
    }

    /// Whether the pixel in column `x` and row `y` is foreground; outside the mask it is not.
    pub fn contains(&self, x: usize, y: usize) -> bool {
        if x >= self.size.width || y >= self.size.height {
            return false;
        }
        let word = self.words.get(x * self.stride + y / WORD);
        word.is_some_and(|word| word >> (y % WORD) & 1 == 1)
    }

    /// The smallest rectangle around the foreground; `None` for an empty mask.
    pub fn bounds(&self) -> Option<PixelRect> {
        let mut bounds: Option<PixelRect> = None;
        for (x, column) in self.columns().enumerate() {
            let first = column.iter().position(|&word| word != 0);
            let last = column.iter().rposition(|&word| word != 0);
            if let (Some(first), Some(last)) = (first, last) {
                let rect = PixelRect {
                    left: x,
                    top: first * WORD + column[first].trailing_zeros() as usize,
                    right: x + 1,
                    bottom: (last + 1) * WORD - column[last].leading_zeros() as usize,
                };
                bounds = Some(bounds.map_or(rect, |known| known.around(rect)));
            }
        }
        bounds
    }

    /// Fills or clears a rectangle, cut to the mask.
    pub fn rectangle(&mut self, rect: PixelRect, paint: Paint) -> Option<PixelRect> {
        let mut changed = Changed::default();
        for x in rect.left..rect.right.min(self.size.width) {
            changed.add(x, self.paint_rows(x, rect.top, rect.bottom, paint));
        }
        changed.0
    }

    /// Lays another mask over this one: filled polygons, an eraser's outline, a second instance.
    ///
    /// # Errors
    /// `RleError::Sizes` for a mask of another size.
    pub fn combine(&mut self, other: &Rle, how: Combine) -> Result<Option<PixelRect>, RleError> {
        if other.size() != self.size {
            return Err(RleError::Sizes {
                left: self.size,
                right: other.size(),
            });
        }
        let mut changed = Changed::default();
        if how == Combine::Intersect {
            let outside = other.inverted();
            outside.column_spans(|x, rows| {
                changed.add(x, self.paint_rows(x, rows.start, rows.end, Paint::Erase));
            });
        } else {
            let paint = match how {
                Combine::Union => Paint::Add,
                Combine::Subtract | Combine::Intersect => Paint::Erase,
            };
            other.column_spans(|x, rows| {
                changed.add(x, self.paint_rows(x, rows.start, rows.end, paint));
            });
        }
        Ok(changed.0)
    }

    fn columns(&self) -> impl Iterator<Item = &[u64]> {
        self.words.chunks_exact(self.stride.max(1))
    }

    /// Paints rows `top..bottom` of a column, cut to the mask; answers with the rows that changed.
    fn paint_rows(
        &mut self,
        x: usize,
        top: usize,
        bottom: usize,
        paint: Paint,
    ) -> Option<(usize, usize)> {
        let bottom = bottom.min(self.size.height);
        if top >= bottom || x >= self.size.width {
            return None;
        }
        let mut rows: Option<(usize, usize)> = None;
        for at in top / WORD..=(bottom - 1) / WORD {
            let from = top.saturating_sub(at * WORD).min(WORD);
            let to = (bottom - at * WORD).min(WORD);
            let mask = low_bits(to) & !low_bits(from);
            let Some(word) = self.words.get_mut(x * self.stride + at) else {
                break;
            };
            let now = match paint {
                Paint::Add => *word | mask,
                Paint::Erase => *word & !mask,
            };
            let differs = *word ^ now;
            *word = now;
            if differs != 0 {
                let first = at * WORD + differs.trailing_zeros() as usize;
                let end = (at + 1) * WORD - differs.leading_zeros() as usize;
                rows = Some(rows.map_or((first, end), |(known, _)| (known, end)));
            }
        }
        rows
    }
}

/// The lowest `count` bits of a word.
fn low_bits(count: usize) -> u64 {
    if count >= WORD {
        u64::MAX
    } else {
        (1 << count) - 1
    }
}

/// Adds the lowest `bits` bits of a word to the runs.
fn push_word(runs: &mut Runs, mut word: u64, bits: usize) {
    let mut left = bits;
    while left > 0 {
        let zeros = (word.trailing_zeros() as usize).min(left);
        runs.push(false, zeros as u64);
        left -= zeros;
        word = word.checked_shr(zeros as u32).unwrap_or(0);
        let ones = (word.trailing_ones() as usize).min(left);
        runs.push(true, ones as u64);
        left -= ones;
        word = word.checked_shr(ones as u32).unwrap_or(0);
    }
}

/// The rectangle around what changed so far.
#[derive(Default)]
struct Changed(Option<PixelRect>);

impl Changed {
    fn add(&mut self, x: usize, rows: Option<(usize, usize)>) {
        let Some((top, bottom)) = rows else { return };
        let rect = PixelRect {
            left: x,
            top,
            right: x + 1,
            bottom,
        };
        self.0 = Some(self.0.map_or(rect, |known| known.around(rect)));
    }
}

#[cfg(test)]
mod tests;
