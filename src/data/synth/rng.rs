//! The random numbers of a picture.

use crate::structures::{Random, mix};

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// A stream of random numbers.
pub(super) struct Rng(Random);

impl Rng {
    /// The stream of one picture of a set.
    pub(super) fn new(seed: u64, index: u64) -> Self {
        let state = mix(seed.wrapping_add(GOLDEN)) ^ index.wrapping_mul(GOLDEN);
        Self(Random::new(mix(state)))
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0.bits()
    }

    /// Uniform in [0, 1).
    pub(super) fn unit(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1u32 << 24) as f32
    }

    /// Uniform in [low, high).
    pub(super) fn range(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.unit()
    }

    /// Uniform in the logarithm.
    pub(super) fn log_range(&mut self, low: f32, high: f32) -> f32 {
        (self.range(low.ln(), high.ln())).exp()
    }

    /// Uniform in `0..count`.
    pub(super) fn below(&mut self, count: usize) -> usize {
        (((self.next() >> 32) * count as u64) >> 32) as usize
    }

    pub(super) fn chance(&mut self, probability: f32) -> bool {
        self.unit() < probability
    }

    /// About normal, deviation 1: eight bytes summed.
    pub(super) fn normal(&mut self) -> f32 {
        const DEVIATION: f32 = 209.02; // of a sum of eight uniform bytes
        let sum: i32 = self
            .next()
            .to_le_bytes()
            .iter()
            .map(|&b| i32::from(b))
            .sum();
        (sum - 1020) as f32 / DEVIATION
    }
}
