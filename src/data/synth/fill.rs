//! What shapes and backgrounds are painted with: two colours and a pattern.

use super::rng::Rng;
use crate::structures::{gamma_from_linear, linear_from_oklch, mix};

/// sRGB, 0..255.
pub(super) type Colour = [f32; 3];

#[derive(Clone, Copy)]
enum Pattern {
    Plain,
    Stripes,
    Checks,
    Gradient,
    Noise { seed: u64 },
}

/// A pattern in two colours, in pixels of the picture.
#[derive(Clone, Copy)]
pub(super) struct Fill {
    colours: [Colour; 2],
    pattern: Pattern,
    direction: [f32; 2],
    /// Pixels of one stripe, square or blob; the length of a gradient.
    period: f32,
}

impl Fill {
    /// A quiet fill for backgrounds: little colour, patterns close in lightness.
    pub(super) fn background(rng: &mut Rng, scale: f32) -> Self {
        let lightness = if rng.chance(0.4) {
            rng.range(0.3, 0.48)
        } else {
            rng.range(0.66, 0.9)
        };
        let (chroma, hue) = (rng.range(0.01, 0.06), rng.range(0.0, 360.0));
        let other = lightness + rng.range(0.05, 0.12) * if rng.chance(0.5) { 1.0 } else { -1.0 };
        let period = rng.range(16.0, 60.0) * scale;
        let turned = hue + rng.range(-50.0, 50.0);
        let colours = [oklch(lightness, chroma, hue), oklch(other, chroma, turned)];
        Self::with(rng, colours, period, 240.0 * scale)
    }

    /// A vivid fill for a shape of `radius`.
    pub(super) fn shape(rng: &mut Rng, radius: f32) -> Self {
        let (lightness, chroma) = (rng.range(0.42, 0.86), rng.range(0.08, 0.19));
        let hue = rng.range(0.0, 360.0);
        let step = rng.range(0.1, 0.24) * if lightness > 0.62 { -1.0 } else { 1.0 };
        let turned = hue + rng.range(-35.0, 35.0);
        let colours = [
            oklch(lightness, chroma, hue),
            oklch(lightness + step, chroma, turned),
        ];
        let period = radius * rng.range(0.25, 0.6);
        Self::with(rng, colours, period.max(3.0), 2.0 * radius)
    }

    fn with(rng: &mut Rng, colours: [Colour; 2], period: f32, length: f32) -> Self {
        let angle = rng.range(0.0, std::f32::consts::TAU);
        let (pattern, period) = match rng.below(5) {
            0 => (Pattern::Plain, period),
            1 => (Pattern::Stripes, period),
            2 => (Pattern::Checks, period),
            3 => (Pattern::Gradient, length),
            _ => (Pattern::Noise { seed: rng.next() }, period * 1.5),
        };
        Self {
            colours,
            pattern,
            direction: [angle.cos(), angle.sin()],
            period,
        }
    }

    /// The first colour: what a plain fill shows, and what contrast is judged by.
    pub(super) fn main(&self) -> Colour {
        match self.pattern {
            Pattern::Plain => self.colours[0],
            _ => mixed(self.colours, 0.5),
        }
    }

    /// Colour at a place of the picture.
    pub(super) fn at(&self, x: f32, y: f32) -> Colour {
        let [dx, dy] = self.direction;
        let (u, v) = (
            (x * dx + y * dy) / self.period,
            (y * dx - x * dy) / self.period,
        );
        // One pixel wide: no jagged edges in the pattern.
        let edge = 1.0 / self.period;
        let share = match self.pattern {
            Pattern::Plain => 0.0,
            Pattern::Stripes => square_wave(u, edge),
            Pattern::Checks => {
                let (a, b) = (square_wave(u, edge), square_wave(v, edge));
                a + b - 2.0 * a * b
            }
            Pattern::Gradient => 0.5 + 0.5 * (u * std::f32::consts::PI).sin(),
            Pattern::Noise { seed } => {
                0.65 * value_noise(seed, u, v) + 0.35 * value_noise(!seed, 2.0 * u, 2.0 * v)
            }
        };
        mixed(self.colours, share)
    }
}

pub(super) fn mixed([a, b]: [Colour; 2], share: f32) -> Colour {
    std::array::from_fn(|c| a[c] + (b[c] - a[c]) * share)
}

/// 0 and 1 by turns, one unit each, with edges `edge` wide.
fn square_wave(at: f32, edge: f32) -> f32 {
    let phase = at.rem_euclid(2.0);
    let distance = if phase < 1.0 {
        -(phase.min(1.0 - phase))
    } else {
        (phase - 1.0).min(2.0 - phase)
    };
    (0.5 + distance / edge).clamp(0.0, 1.0)
}

/// Smooth noise between random values on a grid of one unit.
fn value_noise(seed: u64, u: f32, v: f32) -> f32 {
    let (x, y) = (u.floor(), v.floor());
    let corner = |dx: i64, dy: i64| {
        let place = ((x as i64 + dx) as u64) << 32 ^ (y as i64 + dy) as u64 & 0xffff_ffff;
        (mix(seed ^ mix(place)) >> 40) as f32 / (1u32 << 24) as f32
    };
    let smooth = |t: f32| t * t * (3.0 - 2.0 * t);
    let (s, t) = (smooth(u - x), smooth(v - y));
    let upper = corner(0, 0) + (corner(1, 0) - corner(0, 0)) * s;
    let lower = corner(0, 1) + (corner(1, 1) - corner(0, 1)) * s;
    upper + (lower - upper) * t
}

/// OKLCH, hue in degrees, to sRGB 0..255, clipped.
fn oklch(lightness: f32, chroma: f32, hue: f32) -> Colour {
    let linear = linear_from_oklch(lightness, chroma, hue / 360.0);
    linear.map(|value| (gamma_from_linear(value) * 255.0).clamp(0.0, 255.0))
}
