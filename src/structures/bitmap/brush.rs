//! The brush: a disk swept from one position to the next, and points that are drawn to the image's border.

use super::{Changed, EditableMask, Paint, PixelRect};
use crate::structures::Size;

impl EditableMask {
    /// Paints the pixels whose centres lie within `radius` of the way from `from` to `to`, in pixels of the image (pixel
    /// i covers [i, i+1)). A step of a stroke; a dab where both are the same. Positions may lie outside the image;
    /// ones that are no finite numbers paint nothing.
    pub fn stroke(
        &mut self,
        from: (f32, f32),
        to: (f32, f32),
        radius: f32,
        paint: Paint,
    ) -> Option<PixelRect> {
        let capsule = Capsule::new(from, to, radius)?;
        let mut changed = Changed::default();
        let (first, end) = within(capsule.left(), capsule.right(), self.size.width);
        for x in first..end {
            let Some((top, bottom)) = capsule.rows(x as f64 + 0.5) else {
                continue;
            };
            let (top, bottom) = within(top, bottom, self.size.height);
            changed.add(x, self.paint_rows(x, top, bottom, paint));
        }
        changed.0
    }
}

/// Pixels `first..end` of `0..count` whose centres lie in `[low, high]`.
fn within(low: f64, high: f64, count: usize) -> (usize, usize) {
    let limit = count as f64;
    let first = (low - 0.5).ceil().clamp(0.0, limit);
    let end = ((high - 0.5).floor() + 1.0).clamp(0.0, limit);
    (first as usize, end as usize)
}

/// All points within `radius` of a segment. It is convex: a vertical line cuts one interval out of it.
struct Capsule {
    a: (f64, f64),
    b: (f64, f64),
    radius: f64,
}

impl Capsule {
    fn new(from: (f32, f32), to: (f32, f32), radius: f32) -> Option<Self> {
        let numbers = [from.0, from.1, to.0, to.1, radius];
        let is_sound = numbers.iter().all(|number| number.is_finite()) && radius >= 0.0;
        is_sound.then(|| Self {
            a: (f64::from(from.0), f64::from(from.1)),
            b: (f64::from(to.0), f64::from(to.1)),
            radius: f64::from(radius),
        })
    }

    fn left(&self) -> f64 {
        self.a.0.min(self.b.0) - self.radius
    }

    fn right(&self) -> f64 {
        self.a.0.max(self.b.0) + self.radius
    }

    /// The interval on the vertical line at `x`.
    fn rows(&self, x: f64) -> Option<(f64, f64)> {
        let parts = [self.disk(self.a, x), self.disk(self.b, x), self.band(x)];
        let mut parts = parts.into_iter().flatten();
        let first = parts.next()?;
        Some(parts.fold(first, |(top, bottom), part| {
            (top.min(part.0), bottom.max(part.1))
        }))
    }

    fn disk(&self, centre: (f64, f64), x: f64) -> Option<(f64, f64)> {
        let square = self.radius.powi(2) - (x - centre.0).powi(2);
        let half = (square >= 0.0).then(|| square.sqrt())?;
        Some((centre.1 - half, centre.1 + half))
    }

    /// The rectangle between the two disks.
    fn band(&self, x: f64) -> Option<(f64, f64)> {
        let (dx, dy) = (self.b.0 - self.a.0, self.b.1 - self.a.1);
        let length = dx.hypot(dy);
        if length == 0.0 {
            return None;
        }
        let along = (x - self.a.0) * dx;
        let across = (x - self.a.0) * dy;
        // 0 <= along + v dy <= length², |across - v dx| <= radius length, for v rows below `a`
        let (top, bottom) = overlap(
            solve(dy, along, 0.0, length * length)?,
            solve(-dx, across, -self.radius * length, self.radius * length)?,
        )?;
        Some((self.a.1 + top, self.a.1 + bottom))
    }
}

/// Where `low <= offset + factor v <= high`; `None` for nowhere.
fn solve(factor: f64, offset: f64, low: f64, high: f64) -> Option<(f64, f64)> {
    if factor == 0.0 {
        let is_inside = (low..=high).contains(&offset);
        return is_inside.then_some((f64::NEG_INFINITY, f64::INFINITY));
    }
    let (a, b) = ((low - offset) / factor, (high - offset) / factor);
    Some((a.min(b), a.max(b)))
}

fn overlap(a: (f64, f64), b: (f64, f64)) -> Option<(f64, f64)> {
    let (low, high) = (a.0.max(b.0), a.1.min(b.1));
    (low <= high).then_some((low, high))
}

/// The point, moved onto each border of the image that is within `distance` of it, and into the image.
pub fn snapped_to_border(point: (f64, f64), size: Size, distance: f64) -> (f64, f64) {
    let snap = |value: f64, end: f64| {
        if value <= distance {
            0.0
        } else if value >= end - distance {
            end
        } else {
            value
        }
    };
    (
        snap(point.0, size.width as f64),
        snap(point.1, size.height as f64),
    )
}
