//! The weights of the map's cells in each output cell, one short list for each cell and axis.

use candle_core::{Result, bail};

/// More samples on an axis of a cell than any real box asks for: bounds the time that a broken one can take.
const MOST_SAMPLES: f32 = 1e6;

/// A RoI on one axis, in cells of the map.
pub(super) struct Span {
    start: f32,
    /// Length of one output cell.
    bin: f32,
}

impl Span {
    pub(super) fn new(low: f32, high: f32, scale: f32, bins: usize) -> Result<Self> {
        let start = low * scale - 0.5;
        let end = high * scale - 0.5;
        let bin = (end - start).max(0.0) / bins as f32;
        if !(start.is_finite() && end.is_finite() && bin < MOST_SAMPLES) {
            bail!("roi_align: RoI from {low} to {high} is not a usable box");
        }
        Ok(Self { start, bin })
    }

    /// Weights of the `len` map cells in each of `bins` output cells.
    pub(super) fn taps(&self, bins: usize, sampling_ratio: usize, len: usize) -> Result<Taps> {
        let samples = if sampling_ratio > 0 {
            sampling_ratio
        } else {
            self.bin.ceil() as usize
        };
        let mut taps = Taps::default();
        for bin in 0..bins {
            let offset = self.start + bin as f32 * self.bin;
            taps.begin_bin();
            for sample in 0..samples {
                let at = offset + (sample as f32 + 0.5) * self.bin / samples as f32;
                taps.sample(at, len);
            }
            taps.finish_bin(samples);
        }
        Ok(taps)
    }
}

/// Weights of consecutive map cells, a run per output cell.
#[derive(Default)]
pub(super) struct Taps {
    pub(super) bins: Vec<Bin>,
    pub(super) weights: Vec<f32>,
}

#[derive(Clone, Copy, Default)]
pub(super) struct Bin {
    /// First map cell of the run.
    pub(super) first: usize,
    /// Where the run lies in `weights`.
    pub(super) weights: (usize, usize),
}

impl Taps {
    fn begin_bin(&mut self) {
        let at = self.weights.len();
        self.bins.push(Bin {
            first: 0,
            weights: (at, at),
        });
    }

    /// Adds a sample point at `at` on an axis of `len` cells; samples come in ascending order.
    fn sample(&mut self, at: f32, len: usize) {
        if at < -1.0 || at > len as f32 {
            return; // outside: counts as zero
        }
        let at = at.max(0.0);
        let low = at as usize;
        if low >= len - 1 {
            self.add(len - 1, 1.0);
        } else {
            let high_weight = at - low as f32;
            self.add(low, 1.0 - high_weight);
            self.add(low + 1, high_weight);
        }
    }

    fn add(&mut self, cell: usize, weight: f32) {
        let Some(bin) = self.bins.last_mut() else {
            return;
        };
        if self.weights.len() == bin.weights.0 {
            bin.first = cell;
        }
        let at = bin.weights.0 + (cell - bin.first);
        if at >= self.weights.len() {
            self.weights.resize(at + 1, 0.0);
        }
        self.weights[at] += weight;
    }

    fn finish_bin(&mut self, samples: usize) {
        let end = self.weights.len();
        if let Some(bin) = self.bins.last_mut() {
            bin.weights.1 = end;
            for weight in &mut self.weights[bin.weights.0..end] {
                *weight /= samples as f32;
            }
        }
    }

    pub(super) fn runs(&self) -> impl Iterator<Item = (usize, &[f32])> {
        self.bins
            .iter()
            .map(|bin| (bin.first, &self.weights[bin.weights.0..bin.weights.1]))
    }

    /// The part `[start, end)` of the axis that any cell touches.
    pub(super) fn extent(&self) -> (usize, usize) {
        let used = || self.runs().filter(|(_, weights)| !weights.is_empty());
        let start = used().map(|(first, _)| first).min().unwrap_or(0);
        let end = used().map(|(first, weights)| first + weights.len()).max();
        (start, end.unwrap_or(0).max(start))
    }
}
