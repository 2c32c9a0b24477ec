//! Run-length masks: COCO's column-major runs, alternating background and foreground, beginning with background.

use super::{BoxXywh, Size};

/// A binary mask as run lengths. The runs sum to `size.pixels()`; the string codec lives in `coco`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rle {
    size: Size,
    runs: Vec<u32>,
}

/// Why run lengths were refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum RleError {
    /// The runs do not fill the mask.
    #[error("run lengths sum to {got}, a mask of {size} has {want} pixels")]
    Sum {
        /// Sum of the runs.
        got: u64,
        /// Pixels of the mask.
        want: u64,
        /// Size of the mask.
        size: Size,
    },
    /// Two masks of different size cannot be combined.
    #[error("masks of {left} and {right} cannot be combined: their sizes differ")]
    Sizes {
        /// Size of the first mask.
        left: Size,
        /// Size of the second mask.
        right: Size,
    },
    /// The bytes do not fill the mask.
    #[error("{got} bytes given for a mask of {size}, one a pixel is needed")]
    Bytes {
        /// Bytes given.
        got: usize,
        /// Size of the mask.
        size: Size,
    },
}

impl Rle {
    /// Checks that the runs fill the mask.
    ///
    /// # Errors
    /// `RleError::Sum` where they do not.
    pub fn new(size: Size, runs: Vec<u32>) -> Result<Self, RleError> {
        let got = runs.iter().map(|&run| u64::from(run)).sum::<u64>();
        let want = size.pixels() as u64;
        if got == want {
            Ok(Self { size, runs })
        } else {
            Err(RleError::Sum { got, want, size })
        }
    }

    /// A mask without foreground.
    pub fn empty(size: Size) -> Self {
        let mut runs = Runs::default();
        runs.push(false, size.pixels() as u64);
        Self {
            size,
            runs: runs.finish(),
        }
    }

    /// The mask of column-major bytes (pixel (x, y) at `y + height * x`); every byte but 0 is foreground.
    ///
    /// # Errors
    /// `RleError::Bytes` where their number is not the mask's pixels.
    pub fn from_column_major(size: Size, bytes: &[u8]) -> Result<Self, RleError> {
        if bytes.len() != size.pixels() {
            let got = bytes.len();
            return Err(RleError::Bytes { got, size });
        }
        let mut runs = Runs::default();
        for run in bytes.chunk_by(|a, b| (*a != 0) == (*b != 0)) {
            runs.push(run.first().is_some_and(|&byte| byte != 0), run.len() as u64);
        }
        Ok(Self {
            size,
            runs: runs.finish(),
        })
    }

    /// The mask of row-major bytes (pixel (x, y) at `x + width * y`); every byte but 0 is foreground.
    ///
    /// # Errors
    /// `RleError::Bytes` where their number is not the mask's pixels.
    pub fn from_row_major(size: Size, bytes: &[u8]) -> Result<Self, RleError> {
        if bytes.len() != size.pixels() {
            let got = bytes.len();
            return Err(RleError::Bytes { got, size });
        }
        let mut runs = Runs::default();
        for x in 0..size.width {
            for &byte in bytes.iter().skip(x).step_by(size.width) {
                runs.push(byte != 0, 1);
            }
        }
        Ok(Self {
            size,
            runs: runs.finish(),
        })
    }

    /// Row-major bytes, 1 for foreground, 0 for background.
    pub fn to_row_major(&self) -> Vec<u8> {
        let Size { width, height } = self.size;
        let mut bytes = vec![0u8; self.size.pixels()];
        for (start, end) in self.spans() {
            for at in start as usize..end as usize {
                if let Some(byte) = bytes.get_mut(at / height + at % height * width) {
                    *byte = 1;
                }
            }
        }
        bytes
    }

    /// Size of the mask.
    pub fn size(&self) -> Size {
        self.size
    }

    /// The run lengths, background first.
    pub fn runs(&self) -> &[u32] {
        &self.runs
    }

    /// Number of foreground pixels.
    pub fn area(&self) -> u64 {
        self.runs
            .iter()
            .skip(1)
            .step_by(2)
            .map(|&run| u64::from(run))
            .sum()
    }

    /// Foreground runs as half-open intervals `[start, end)` of column-major pixel numbers.
    pub fn spans(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        let mut at = 0u64;
        self.runs.chunks(2).filter_map(move |pair| {
            let start = at + u64::from(pair[0]);
            let end = start + pair.get(1).map_or(0, |&run| u64::from(run));
            at = end;
            (end > start).then_some((start, end))
        })
    }

    /// Calls `take` with each column and its foreground rows, a run over a column's end in pieces.
    pub(super) fn column_spans(&self, mut take: impl FnMut(usize, std::ops::Range<usize>)) {
        let height = self.size.height;
        for (start, end) in self.spans() {
            let (mut at, end) = (start as usize, end as usize);
            while at < end {
                let column = at / height;
                let rows = at % height..(end - column * height).min(height);
                at = column * height + rows.end;
                take(column, rows);
            }
        }
    }

    /// Foreground where this mask has none.
    pub fn inverted(&self) -> Self {
        let mut runs = Runs::default();
        for (at, &run) in self.runs.iter().enumerate() {
            runs.push(at % 2 == 0, u64::from(run));
        }
        Self::from_whole_runs(self.size, runs)
    }

    /// The mask of runs that are known to fill it.
    pub(super) fn from_whole_runs(size: Size, runs: Runs) -> Self {
        Self {
            size,
            runs: runs.finish(),
        }
    }

    /// A number that tells masks apart: equal masks have equal ones, in every version and on every machine (FNV-1a).
    pub fn fingerprint(&self) -> u64 {
        const BASIS: u64 = 0xcbf2_9ce4_8422_2325;
        const PRIME: u64 = 0x0100_0000_01b3;
        let sides = [self.size.width as u64, self.size.height as u64];
        let spans = self.spans().flat_map(|(start, end)| [start, end]);
        let numbers = sides.into_iter().chain(spans);
        let bytes = numbers.flat_map(u64::to_le_bytes);
        bytes.fold(BASIS, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(PRIME)
        })
    }

    /// Cumulative ends of the runs: a pixel is foreground where the number of ends at or before it is odd.
    pub fn ends(&self) -> Vec<u32> {
        self.runs
            .iter()
            .scan(0u32, |end, &run| {
                *end = end.wrapping_add(run);
                Some(*end)
            })
            .collect()
    }

    /// Whether the pixel in column `x` and row `y` is foreground; outside the mask it is not.
    pub fn contains(&self, x: usize, y: usize) -> bool {
        if x >= self.size.width || y >= self.size.height {
            return false;
        }
        let at = (x * self.size.height + y) as u64;
        self.spans()
            .take_while(|&(start, _)| start <= at)
            .any(|(_, end)| at < end)
    }

    /// The smallest box around the foreground, in whole pixels; all zero for an empty mask.
    pub fn bbox(&self) -> BoxXywh {
        let height = self.size.height as u64;
        let mut columns: Option<(u64, u64)> = None;
        let (mut top, mut bottom) = (u64::MAX, 0);
        for (start, end) in self.spans() {
            let (first, last) = (start / height, (end - 1) / height);
            columns = Some((columns.map_or(first, |(left, _)| left), last));
            if first == last {
                top = top.min(start % height);
                bottom = bottom.max((end - 1) % height + 1);
            } else {
                // A run over a column's end holds its last pixel and the next one's first.
                top = 0;
                bottom = height;
            }
        }
        let Some((left, right)) = columns else {
            return BoxXywh::default();
        };
        BoxXywh::new(
            left as f64,
            top as f64,
            (right + 1 - left) as f64,
            (bottom - top) as f64,
        )
    }

    /// Pixels that are foreground in both masks.
    ///
    /// # Errors
    /// `RleError::Sizes` for masks of different size.
    pub fn intersection_area(&self, other: &Self) -> Result<u64, RleError> {
        self.same_size(other)?;
        let (mut left, mut right) = (self.spans().peekable(), other.spans().peekable());
        let mut area = 0;
        while let (Some(&(a0, a1)), Some(&(b0, b1))) = (left.peek(), right.peek()) {
            area += a1.min(b1).saturating_sub(a0.max(b0));
            if a1 <= b1 {
                left.next();
            } else {
                right.next();
            }
        }
        Ok(area)
    }

    /// Intersection over union of two masks; 0 where both are empty.
    ///
    /// # Errors
    /// `RleError::Sizes` for masks of different size.
    pub fn iou(&self, other: &Self) -> Result<f64, RleError> {
        let inter = self.intersection_area(other)?;
        let union = self.area() + other.area() - inter;
        Ok(if union == 0 {
            0.0
        } else {
            inter as f64 / union as f64
        })
    }

    /// Foreground where either mask is.
    ///
    /// # Errors
    /// `RleError::Sizes` for masks of different size.
    pub fn union(&self, other: &Self) -> Result<Self, RleError> {
        self.combine(other, |a, b| a || b)
    }

    /// Foreground where this mask is and the other is not.
    ///
    /// # Errors
    /// `RleError::Sizes` for masks of different size.
    pub fn minus(&self, other: &Self) -> Result<Self, RleError> {
        self.combine(other, |a, b| a && !b)
    }

    fn combine(&self, other: &Self, keep: impl Fn(bool, bool) -> bool) -> Result<Self, RleError> {
        self.same_size(other)?;
        let mut left = Cursor::new(&self.runs);
        let mut right = Cursor::new(&other.runs);
        let mut runs = Runs::default();
        while let (Some(a), Some(b)) = (left.rest(), right.rest()) {
            let step = a.min(b);
            runs.push(keep(left.foreground(), right.foreground()), step);
            left.advance(step);
            right.advance(step);
        }
        Ok(Self {
            size: self.size,
            runs: runs.finish(),
        })
    }

    fn same_size(&self, other: &Self) -> Result<(), RleError> {
        if self.size == other.size {
            Ok(())
        } else {
            Err(RleError::Sizes {
                left: self.size,
                right: other.size,
            })
        }
    }
}

/// Collects runs, joining neighbours of one kind.
#[derive(Default)]
pub(super) struct Runs {
    runs: Vec<u32>,
    foreground: bool,
    length: u64,
}

impl Runs {
    #[inline]
    pub(super) fn push(&mut self, foreground: bool, length: u64) {
        if foreground != self.foreground && length > 0 {
            self.close();
            self.foreground = foreground;
        }
        self.length += length;
    }

    fn close(&mut self) {
        // One run holds at most u32::MAX pixels; a longer one is split by an empty run of the other kind.
        while self.length > u64::from(u32::MAX) {
            self.runs.extend([u32::MAX, 0]);
            self.length -= u64::from(u32::MAX);
        }
        self.runs.push(self.length as u32);
        self.length = 0;
    }

    fn finish(mut self) -> Vec<u32> {
        if self.length > 0 || self.runs.is_empty() {
            self.close();
        }
        self.runs
    }
}

/// Walks runs in steps of any length.
struct Cursor<'a> {
    runs: &'a [u32],
    index: usize,
    used: u64,
}

impl<'a> Cursor<'a> {
    fn new(runs: &'a [u32]) -> Self {
        let mut cursor = Self {
            runs,
            index: 0,
            used: 0,
        };
        cursor.advance(0);
        cursor
    }

    fn rest(&self) -> Option<u64> {
        self.runs
            .get(self.index)
            .map(|&run| u64::from(run) - self.used)
    }

    fn foreground(&self) -> bool {
        self.index % 2 == 1
    }

    fn advance(&mut self, step: u64) {
        self.used += step;
        while self.rest() == Some(0) {
            self.index += 1;
            self.used = 0;
        }
    }
}

#[cfg(test)]
mod tests;
