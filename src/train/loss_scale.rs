//! What losses are multiplied with before the backward pass, so that small gradients do not vanish in float16.

use serde::{Deserialize, Serialize};

/// Updates without overflow after which it grows.
const PATIENCE: usize = 2000;
const GROWTH: f64 = 2.0;
const BACKOFF: f64 = 0.5;
/// A float16 holds up to 65,504: beyond it a scale would overflow by itself.
const MOST: f64 = 65_536.0;
/// Updates left out in a row that end a run (semantics.md 4.9).
const SKIPS: usize = 20;

/// A factor that follows what the gradients bear, or stays.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LossScale {
    factor: f64,
    /// Updates since it last changed.
    since: usize,
    is_dynamic: bool,
    /// Updates left out in a row.
    #[serde(default)]
    skipped: usize,
}

/// What becomes of an update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It counts.
    Keep,
    /// Gradients overflowed: it is left out, and the next is scaled less.
    Skip,
    /// Gradients are no numbers, and a smaller factor did not help.
    Broken,
}

impl LossScale {
    /// A factor that stays.
    pub fn fixed(factor: f64) -> Self {
        Self {
            factor,
            since: 0,
            is_dynamic: false,
            skipped: 0,
        }
    }

    /// A factor that is halved where gradients overflow, and doubled after 2,000 updates without. The 20th overflow in a row is
    /// none that a factor can mend.
    pub fn dynamic(first: f64) -> Self {
        Self {
            factor: first.min(MOST),
            since: 0,
            is_dynamic: true,
            skipped: 0,
        }
    }

    /// The factor of the next loss.
    pub fn factor(&self) -> f64 {
        self.factor
    }

    /// Whether it changes.
    pub fn is_dynamic(&self) -> bool {
        self.is_dynamic
    }

    /// Learns from the norm of an update's gradients.
    pub fn judge(&mut self, norm: f64) -> Verdict {
        if norm.is_finite() {
            (self.since, self.skipped) = (self.since + 1, 0);
            if self.is_dynamic && self.since >= PATIENCE {
                self.factor = (self.factor * GROWTH).min(MOST);
                self.since = 0;
            }
            return Verdict::Keep;
        }
        (self.since, self.skipped) = (0, self.skipped + 1);
        if !self.is_dynamic || self.skipped >= SKIPS {
            return Verdict::Broken;
        }
        self.factor *= BACKOFF;
        Verdict::Skip
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overflow_halves_and_patience_doubles() {
        let mut scale = LossScale::dynamic(256.0);
        assert_eq!(
            (scale.judge(f64::INFINITY), scale.factor()),
            (Verdict::Skip, 128.0)
        );
        for _ in 0..PATIENCE - 1 {
            assert_eq!((scale.judge(1.0), scale.factor()), (Verdict::Keep, 128.0));
        }
        assert_eq!((scale.judge(1.0), scale.factor()), (Verdict::Keep, 256.0));
    }

    #[test]
    fn limits_hold() {
        let mut scale = LossScale::dynamic(256.0);
        for _ in 0..2 {
            for _ in 1..SKIPS {
                assert_eq!(scale.judge(f64::NAN), Verdict::Skip);
            }
            assert_eq!(scale.judge(0.5), Verdict::Keep); // not in a row
        }
        for _ in 1..SKIPS {
            assert_eq!(scale.judge(f64::NAN), Verdict::Skip);
        }
        assert_eq!(scale.judge(f64::NAN), Verdict::Broken);
        let mut scale = LossScale::dynamic(1e9);
        for _ in 0..3 * PATIENCE {
            scale.judge(0.5);
        }
        assert_eq!(scale.factor(), MOST);
    }

    #[test]
    fn a_fixed_factor_stays() {
        let mut scale = LossScale::fixed(256.0);
        for _ in 0..2 * PATIENCE {
            assert_eq!(scale.judge(1.0), Verdict::Keep);
        }
        assert_eq!(
            (scale.judge(f64::NAN), scale.factor()),
            (Verdict::Broken, 256.0)
        );
    }
}
