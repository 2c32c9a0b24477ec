//! The shapes as distances to their outline: negative inside.

use super::rng::Rng;
use crate::structures::Size;

/// Names of the usual classes; a label indexes them.
pub const CLASSES: [&str; 5] = ["circle", "triangle", "square", "star", "ring"];
/// Names of the other ones.
const OTHER_CLASSES: [&str; 3] = ["cross", "hexagon", "crescent"];

/// Which shapes a set has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Shapes {
    /// `CLASSES`, which the demo's model knows.
    #[default]
    Usual,
    /// Cross, hexagon and crescent: something to fine-tune to.
    Other,
}

impl Shapes {
    /// Names of the classes; a label indexes them.
    pub fn classes(self) -> &'static [&'static str] {
        match self {
            Self::Usual => &CLASSES,
            Self::Other => &OTHER_CLASSES,
        }
    }
}

/// Half the side of a square whose corners lie almost on the circle.
const SQUARE_SIDE: f32 = 0.8;
/// Inner corners of the star.
const STAR_INNER: f32 = 0.46;
/// The band of the ring, from its middle.
const RING_MIDDLE: f32 = 0.74;
const RING_HALF_WIDTH: f32 = 0.26;
/// A bar of the cross, from its middle.
const BAR_LENGTH: f32 = 0.94;
const BAR_HALF_WIDTH: f32 = 0.32;
/// The circle that is cut out of the crescent.
const BITE_RADIUS: f32 = 0.8;
const BITE_OFFSET: f32 = 0.45;

/// A shape in its place.
#[derive(Clone, Copy)]
pub(super) struct Shape {
    pub class: usize,
    shapes: Shapes,
    centre: [f32; 2],
    pub radius: f32,
    turn: [f32; 2],
    aspect: f32,
}

impl Shape {
    /// A shape of `radius` somewhere in the picture, most of it inside.
    pub(super) fn random(rng: &mut Rng, shapes: Shapes, size: Size, radius: f32) -> Self {
        let place = |rng: &mut Rng, side: usize| {
            let margin = (radius * 0.6).min(side as f32 / 2.0);
            rng.range(margin, side as f32 - margin)
        };
        let class = rng.below(shapes.classes().len());
        let centre = [place(rng, size.width), place(rng, size.height)];
        let angle = rng.range(0.0, std::f32::consts::TAU);
        Self {
            class,
            shapes,
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
        let distance = match (self.shapes, self.class) {
            (Shapes::Usual, 0) => r - 1.0,
            (Shapes::Usual, 1) => triangle(u, v),
            (Shapes::Usual, 2) => u.abs().max(v.abs()) - SQUARE_SIDE,
            (Shapes::Usual, 3) => star(u, v, r),
            (Shapes::Usual, _) => (r - RING_MIDDLE).abs() - RING_HALF_WIDTH,
            (Shapes::Other, 0) => cross(u.abs(), v.abs()),
            (Shapes::Other, 1) => hexagon(u.abs(), v.abs()),
            (Shapes::Other, _) => (r - 1.0).max(BITE_RADIUS - (u - BITE_OFFSET).hypot(v)),
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

/// Two bars, in one quadrant.
fn cross(u: f32, v: f32) -> f32 {
    let bar = |along: f32, across: f32| (along - BAR_LENGTH).max(across - BAR_HALF_WIDTH);
    bar(u, v).min(bar(v, u))
}

/// Corners on the unit circle, in one quadrant.
fn hexagon(u: f32, v: f32) -> f32 {
    let half = 3f32.sqrt() / 2.0;
    v.max(half * u + 0.5 * v) - half
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
