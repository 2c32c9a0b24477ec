//! Ranges of values and the ticks that mark them.

use crate::structures::thousands;

/// A closed range of values, `min` below `max`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Range {
    /// Lower end.
    pub min: f64,
    /// Upper end.
    pub max: f64,
}

impl Range {
    /// 0 to 1: scores and IoU.
    pub const UNIT: Self = Self { min: 0.0, max: 1.0 };

    /// Between two values in any order.
    pub fn between(a: f64, b: f64) -> Self {
        Self {
            min: a.min(b),
            max: a.max(b),
        }
    }

    /// What holds all finite `values`, ends included; `None` where there is none.
    pub fn covering(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let finite = values.into_iter().filter(|value| value.is_finite());
        finite.fold(None, |range: Option<Self>, value| {
            Some(range.map_or(Self::between(value, value), |range| Self {
                min: range.min.min(value),
                max: range.max.max(value),
            }))
        })
    }

    /// From `min` to `max`.
    pub fn width(self) -> f64 {
        self.max - self.min
    }

    /// Whether a value lies in it, ends included. NaN does not.
    pub fn contains(self, value: f64) -> bool {
        self.min <= value && value <= self.max
    }

    /// Moved by `by`.
    pub fn shifted(self, by: f64) -> Self {
        Self {
            min: self.min + by,
            max: self.max + by,
        }
    }

    /// Moved, and if need be made smaller, until it lies in `whole`.
    pub fn inside(self, whole: Self) -> Self {
        if self.width() >= whole.width() {
            return whole;
        }
        let by = (whole.min - self.min).max(0.0) + (whole.max - self.max).min(0.0);
        self.shifted(by)
    }

    /// Widened so that both ends are ticks; a single value gets a width.
    pub fn nice(self) -> Self {
        let width = if self.width() > 0.0 {
            self.width()
        } else {
            self.min.abs().max(1.0)
        };
        let step = nice_step(width, NICE_STEPS);
        let min = (self.min / step).floor() * step;
        let max = (self.max / step).ceil() * step;
        Self {
            min,
            max: if max > min { max } else { min + step },
        }
    }
}

/// About so many steps make a range nice.
const NICE_STEPS: f64 = 5.0;
/// A tick may miss the end of the range by this part of a step: 0.1 · 3 is not 0.3.
const SLACK: f64 = 1e-6;
/// From here on figures are grouped.
const GROUPED: f64 = 10_000.0;

/// The marks of an axis.
#[derive(Clone, Debug, PartialEq)]
pub struct Ticks {
    /// 1, 2 or 5 times a power of ten.
    pub step: f64,
    /// Multiples of the step inside the range.
    pub values: Vec<f64>,
}

impl Ticks {
    /// At most `most` steps over `range`. An empty or endless range has no ticks.
    pub fn of(range: Range, most: f64) -> Self {
        let width = range.width();
        if !(width.is_finite() && width > 0.0 && most >= 1.0) {
            return Self {
                step: 1.0,
                values: Vec::new(),
            };
        }
        let step = nice_step(width, most);
        let first = (range.min / step - SLACK).ceil();
        let last = (range.max / step + SLACK).floor();
        let values = (0..=(last - first).max(-1.0) as i64)
            .take_while(|_| last >= first)
            .map(|i| (first + i as f64) * step)
            .collect();
        Self { step, values }
    }

    /// A tick in writing: as many decimals as the step needs.
    pub fn text(&self, value: f64) -> String {
        // -0.0 would be written with its sign.
        let value = if value.abs() < self.step * SLACK {
            0.0
        } else {
            value
        };
        let decimals = (-(self.step.log10() + SLACK).floor()).max(0.0) as usize;
        if decimals == 0 && value.abs() >= GROUPED {
            let sign = if value < 0.0 { "−" } else { "" };
            return format!("{sign}{}", thousands(value.abs().round() as usize));
        }
        format!("{value:.decimals$}").replace('-', "−")
    }
}

/// The smallest of 1, 2, 5 times a power of ten of which at most `most` cover `width`.
pub fn nice_step(width: f64, most: f64) -> f64 {
    let raw = width / most;
    let power = 10f64.powf(raw.log10().floor());
    let found = [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .find(|factor| factor * power >= raw * (1.0 - SLACK));
    found.unwrap_or(10.0) * power
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_few_and_round() {
        let check = |min, max, most, expected: &str| {
            let ticks = Ticks::of(Range { min, max }, most);
            let texts: Vec<String> = ticks.values.iter().map(|&it| ticks.text(it)).collect();
            assert_eq!(texts.join(" "), expected, "{min} to {max}, {most} steps");
            assert!(ticks.values.len() as f64 <= most + 1.0);
        };
        check(0.0, 1.0, 5.0, "0.0 0.2 0.4 0.6 0.8 1.0");
        check(0.0, 1.0, 4.9, "0.0 0.5 1.0");
        check(
            0.0,
            1.0,
            10.0,
            "0.0 0.1 0.2 0.3 0.4 0.5 0.6 0.7 0.8 0.9 1.0",
        );
        check(0.13, 0.31, 5.0, "0.15 0.20 0.25 0.30");
        check(-1.0, 1.0, 4.0, "−1.0 −0.5 0.0 0.5 1.0");
        check(0.0, 36_000.0, 4.0, "0 10,000 20,000 30,000");
        check(
            0.499_98,
            0.500_02,
            4.0,
            "0.49998 0.49999 0.50000 0.50001 0.50002",
        );
        check(-30_000.0, 0.0, 3.0, "−30,000 −20,000 −10,000 0");
        check(0.21, 0.29, 1.0, "");
        check(1.0, 1.0, 5.0, "");
        check(0.0, f64::INFINITY, 5.0, "");
        check(f64::NAN, 1.0, 5.0, "");
    }

    #[test]
    fn ranges_move_into_others_and_end_on_ticks() {
        let range = |min, max| Range { min, max };
        assert_eq!(range(0.75, 1.25).inside(Range::UNIT), range(0.5, 1.0));
        assert_eq!(range(-0.25, 0.25).inside(Range::UNIT), range(0.0, 0.5));
        assert_eq!(range(-3.0, 0.25).inside(Range::UNIT), Range::UNIT);
        assert_eq!(range(0.3, 97.0).nice(), range(0.0, 100.0));
        assert_eq!(range(4.0, 4.0).nice(), range(4.0, 5.0));
        assert_eq!(Range::covering([f64::NAN]), None);
        assert_eq!(
            Range::covering([2.0, f64::NAN, -1.0]),
            Some(range(-1.0, 2.0))
        );
        assert!(!Range::UNIT.contains(f64::NAN) && Range::UNIT.contains(1.0));
    }
}
