//! The learning rate of every update (semantics.md 4.8).

use crate::config::{Config, LrType};

/// Rate by update.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    /// After the warm-up, before any drop.
    pub base: f64,
    /// Where the cosine ends.
    pub low: f64,
    /// Updates of the warm-up.
    pub warmup: usize,
    /// Share of `base` that the warm-up begins with.
    pub warmup_ratio: f64,
    /// How the rate falls.
    pub kind: LrType,
    /// 0-based epochs from which on the rate is a tenth of what it was.
    pub drops: Vec<usize>,
    /// Updates of an epoch.
    pub updates_per_epoch: usize,
    /// Of the run.
    pub epochs: usize,
}

impl Schedule {
    /// The schedule of a configuration for epochs of so many updates.
    pub fn new(config: &Config, updates_per_epoch: usize) -> Self {
        Self {
            base: config.lr,
            low: config.min_lr,
            warmup: config.warmup_step,
            warmup_ratio: config.warmup_ratio,
            kind: config.lr_type,
            drops: config.lr_steps.clone(),
            updates_per_epoch: updates_per_epoch.max(1),
            epochs: config.epoch_size,
        }
    }

    /// The rate of update `index`, 0-based.
    pub fn rate(&self, index: usize) -> f64 {
        if index < self.warmup {
            let start = self.base * self.warmup_ratio;
            return start + index as f64 * ((self.base - start) / self.warmup as f64);
        }
        match self.kind {
            LrType::Multistep => {
                let epoch = index / self.updates_per_epoch;
                let drops = self.drops.iter().filter(|&&drop| drop <= epoch).count();
                self.base * 0.1f64.powi(drops as i32)
            }
            LrType::Dynamic => {
                let whole = (self.updates_per_epoch * (self.epochs + 1)) as f64;
                let passed = (index - self.warmup) as f64 / whole;
                let cosine = (std::f64::consts::PI * passed).cos();
                self.low + (self.base - self.low) * (1.0 + cosine) / 2.0
            }
        }
    }

    /// What a log line prints after `done` updates: the rate of the next one; at the end that of the last.
    pub fn printed(&self, done: usize) -> f64 {
        let last = self.updates_per_epoch * self.epochs;
        self.rate(done.min(last.saturating_sub(1)))
    }
}
