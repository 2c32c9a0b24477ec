//! Bootstrap over images: how often each resample holds each image, and intervals of what comes of it.
//!
//! Axes: I images, B resamples in blocks of `LANES`, which one pass counts side by side.

use serde::Serialize;

use crate::structures::Random;

/// Resamples that one pass counts side by side.
pub const LANES: usize = 64;
/// Resamples unless told otherwise: three blocks.
pub const RESAMPLES: usize = 3 * LANES;
/// Share of the resamples below and above a 95 % interval.
const TAIL: f64 = 0.025;

/// A 95 % interval by percentiles of the resamples, as numpy interpolates them.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

impl Interval {
    /// The interval of the samples that exist (are no NaN); `None` of fewer than two.
    pub fn of(samples: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut samples: Vec<f64> = samples.into_iter().filter(|s| !s.is_nan()).collect();
        if samples.len() < 2 {
            return None;
        }
        samples.sort_unstable_by(f64::total_cmp);
        Some(Self {
            low: percentile(&samples, TAIL)?,
            high: percentile(&samples, 1.0 - TAIL)?,
        })
    }

    /// The interval of the paired differences `a - b`.
    pub fn of_difference(a: &[f64], b: &[f64]) -> Option<Self> {
        Self::of(a.iter().zip(b).map(|(a, b)| a - b))
    }

    /// Whether all of it lies above 0.
    pub fn is_positive(self) -> bool {
        self.low > 0.0
    }

    /// Whether all of it lies below 0.
    pub fn is_negative(self) -> bool {
        self.high < 0.0
    }
}

fn percentile(sorted: &[f64], share: f64) -> Option<f64> {
    let at = share * (sorted.len() - 1) as f64;
    let low = *sorted.get(at.floor() as usize)?;
    let high = *sorted.get(at.ceil() as usize)?;
    Some(low + (high - low) * at.fract())
}

/// How often each resample holds each image.
#[derive(Clone, Debug, PartialEq)]
pub struct Weights {
    resamples: usize,
    /// By block: (I, LANES). Lanes past the last resample hold nothing.
    blocks: Vec<Vec<[u8; LANES]>>,
}

impl Weights {
    /// Draws `resamples` times as many of the marked images as there are, with replacement. The same seed gives the same
    /// resamples on every machine.
    pub fn draw(is_drawn: &[bool], resamples: usize, seed: u64) -> Self {
        let drawn: Vec<usize> = (0..is_drawn.len()).filter(|&i| is_drawn[i]).collect();
        let mut weights = Self::none(is_drawn.len(), resamples);
        for resample in 0..resamples {
            let mut random = Random::new(seed ^ (resample as u64).wrapping_mul(STREAM));
            let (block, lane) = (resample / LANES, resample % LANES);
            for _ in 0..drawn.len() {
                if let Some(&image) = drawn.get(random.below(drawn.len())) {
                    let weight = &mut weights.blocks[block][image][lane];
                    *weight = weight.saturating_add(1);
                }
            }
        }
        weights
    }

    /// Resamples given as counts of images, each of the same length.
    pub fn given(resamples: &[Vec<u8>]) -> Self {
        let images = resamples.first().map_or(0, Vec::len);
        let mut weights = Self::none(images, resamples.len());
        for (resample, counts) in resamples.iter().enumerate() {
            let block = &mut weights.blocks[resample / LANES];
            for (of_image, &count) in block.iter_mut().zip(counts) {
                of_image[resample % LANES] = count;
            }
        }
        weights
    }

    fn none(images: usize, resamples: usize) -> Self {
        let blocks = resamples.div_ceil(LANES);
        Self {
            resamples,
            blocks: vec![vec![[0; LANES]; images]; blocks],
        }
    }

    /// Number of resamples.
    pub fn resamples(&self) -> usize {
        self.resamples
    }

    /// Number of blocks.
    pub(super) fn blocks(&self) -> usize {
        self.blocks.len()
    }

    /// (I, LANES) of a block.
    pub(super) fn block(&self, block: usize) -> &[[u8; LANES]] {
        self.blocks.get(block).map_or(&[], Vec::as_slice)
    }

    /// Values of all resamples from those of the blocks' lanes.
    pub(super) fn joined<'a>(&self, lanes: impl Iterator<Item = &'a [f64; LANES]>) -> Vec<f64> {
        lanes.flatten().copied().take(self.resamples).collect()
    }
}

/// An odd number that sets the streams of the resamples apart.
const STREAM: u64 = 0xd134_2543_de82_ef95;

/// Marks half of the selected images (the smaller half of an odd number), by a seeded shuffle.
pub(super) fn half(is_selected: &[bool], seed: u64) -> Vec<bool> {
    let mut images: Vec<usize> = (0..is_selected.len()).filter(|&i| is_selected[i]).collect();
    let mut random = Random::new(seed);
    random.shuffle(&mut images);
    let mut marked = vec![false; is_selected.len()];
    for &image in images.iter().take(images.len() / 2) {
        marked[image] = true;
    }
    marked
}
