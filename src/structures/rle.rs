//! Run-length masks: COCO's column-major runs, alternating background and foreground, beginning with background.

use super::Size;

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
        Self {
            size,
            runs: vec![size.pixels() as u32],
        }
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
}
