//! The five shapes as distances to their outline: negative inside.

use super::rng::Rng;
use crate::structures::Size;

/// Names of the classes; a label indexes them.
pub const CLASSES: [&str; 5] = ["circle", "triangle", "square", "star", "ring"];

/// Half the side of a square whose corners lie almost on the circle.
const SQUARE_SIDE: f32 = 0.8;
/// Inner corners of the star.
const STAR_INNER: f32 = 0.46;
/// The band of the ring, from its middle.
const RING_MIDDLE: f32 = 0.74;
const RING_HALF_WIDTH: f32 = 0.26;

/// A shape in its place.
#[derive(Clone, Copy)]
pub(super) struct Shape {
    pub class: usize,
    centre: [f32; 2],
    pub radius: f32,
    turn: [f32; 2],
    aspect: f32,
}

impl Shape {
    /// A shape of `radius` somewhere in the picture, most of it inside.
    pub(super) fn random(rng: &mut Rng, size: Size, radius: f32) -> Self {
        let place = |rng: &mut Rng, side: usize| {
            let margin = (radius * 0.6).min(side as f32 / 2.0);
            rng.range(margin, side as f32 - margin)
        };
        let class = rng.below(CLASSES.len());
        let centre = [place(rng, size.width), place(rng, size.height)];
        let angle = rng.range(0.0, std::f32::consts::TAU);
        Self {
            class,
            centre,
            radius,
            turn: [angle.cos(), angle.sin()],
            aspect: rng.range(0.75, 1.0),
        }
    }

    /// The pixel in the shape's own frame, in radii.
    pub(super) fn local(&self, x: f32, y: f32) -> [f32; 2] {
        let (dx, dy) = (x - self.centre[0], y - self.centre[1]);
        let [cos, sin] = self.turn;
        [
            (dx * cos + dy * sin) / self.radius,
            (dy * cos - dx * sin) / (self.radius * self.aspect),
        ]
    }

    /// About the distance of a pixel to the outline in pixels; its sign is exact.
    pub(super) fn distance(&self, x: f32, y: f32) -> f32 {
        let [u, v] = self.local(x, y);
        let r = u.hypot(v);
        let distance = match self.class {
            0 => r - 1.0,
            1 => triangle(u, v),
            2 => u.abs().max(v.abs()) - SQUARE_SIDE,
            3 => star(u, v, r),
            _ => (r - RING_MIDDLE).abs() - RING_HALF_WIDTH,
        };
        distance * self.radius * self.aspect
    }

    /// Columns and rows that the shape and `margin` around it may touch: left, top, right, bottom.
    pub(super) fn window(&self, size: Size, margin: f32) -> [usize; 4] {
        // A square's corners reach beyond the radius.
        let reach = self.radius * (SQUARE_SIDE * std::f32::consts::SQRT_2).max(1.0) + margin + 1.0;
        let low = |at: f32| (at - reach).max(0.0) as usize;
        let high = |at: f32, side: usize| ((at + reach).max(0.0) as usize + 1).min(side);
        [
            low(self.centre[0]).min(size.width),
            low(self.centre[1]).min(size.height),
            high(self.centre[0], size.width),
            high(self.centre[1], size.height),
        ]
    }
}

/// Equilateral, corners on the unit circle.
fn triangle(u: f32, v: f32) -> f32 {
    let half = 3f32.sqrt() / 2.0;
    let edges = [v, -0.5 * v + half * u, -0.5 * v - half * u];
    edges.into_iter().fold(f32::MIN, f32::max) - 0.5
}

/// Five points on the unit circle; one tenth of it is enough, the rest is folded onto it.
fn star(u: f32, v: f32, r: f32) -> f32 {
    let tenth = std::f32::consts::PI / 5.0;
    let angle = v.atan2(u).rem_euclid(2.0 * tenth);
    let folded = angle.min(2.0 * tenth - angle);
    let (x, y) = (r * folded.cos(), r * folded.sin());
    // The edge runs from the point (1, 0) to the inner corner.
    let (ex, ey) = (STAR_INNER * tenth.cos() - 1.0, STAR_INNER * tenth.sin());
    (ey * (x - 1.0) - ex * y) / ex.hypot(ey)
}
