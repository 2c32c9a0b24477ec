//! Puts small masks of probabilities into boxes of an image: as probabilities, or thresholded straight to runs.
//!
//! Axes: S rows and columns of the small mask; X columns and Y rows of the image.
//!
//! The value at pixel (X, Y) is `mask(u, v)` with `u = (X + 0.5 − x1)/(x2 − x1)·S − 0.5`, `v` alike: bilinear, zero
//! outside the mask and outside the box widened by one pixel. Both forms evaluate the same expressions in the same order,
//! so that they agree on every pixel. Between two mask rows the value is `a + f·(b − a)`, each operation of which is
//! monotone in f also when rounded: the pixels above the threshold are found by bisection, not one by one, and no
//! full-size mask ever exists.

use std::ops::Range;

use crate::structures::{BoxXyxy, Rle, Size};

/// Probabilities at the size of the image, row-major: `size.pixels()` values. For tests and soft displays.
///
/// `mask` is S×S, row-major; `box_in_image` is in pixels of the image and may reach outside.
pub fn paste_soft(mask: &[f32], box_in_image: BoxXyxy, image: Size) -> Vec<f32> {
    let mut values = vec![0.0; image.pixels()];
    let Some(window) = Window::new(mask, box_in_image, image) else {
        return values;
    };
    let mut column = window.empty_column();
    for x in window.x.clone() {
        if window.blend_column(x, &mut column) {
            for (y, place) in window.y.clone().zip(&window.rows) {
                values[y * image.width + x] = place.map_or(0.0, |place| place.value(&column));
            }
        }
    }
    values
}

/// The pixels with a pasted value of at least `threshold` (> 0), as column-major runs.
///
/// `mask` is S×S, row-major; `box_in_image` is in pixels of the image and may reach outside. A box without width or
/// height gives an empty mask. Memory: the runs and one number per row of the box.
pub fn paste_rle(mask: &[f32], box_in_image: BoxXyxy, image: Size, threshold: f32) -> Rle {
    let mut runs = RunBuilder::default();
    if let Some(window) = Window::new(mask, box_in_image, image) {
        let mut column = window.empty_column();
        for x in window.x.clone() {
            if window.blend_column(x, &mut column) {
                let first_pixel = x * image.height + window.y.start;
                window.foreground(&column, threshold, |rows| {
                    runs.push(first_pixel + rows.start..first_pixel + rows.end);
                });
            }
        }
    }
    runs.finish(image)
}

/// The part of an image that a mask can reach, with where each of its rows falls in the mask.
struct Window<'a> {
    mask: &'a [f32],
    side: usize,
    box_in_image: BoxXyxy,
    x: Range<usize>,
    y: Range<usize>,
    /// One entry a row of `y`; none where the row lies outside the mask.
    rows: Vec<Option<Place>>,
    /// Consecutive entries of `rows` between the same two mask rows.
    bands: Vec<Range<usize>>,
}

/// A position between two neighbours on an axis of the mask; index 0 is the zero before the first.
#[derive(Clone, Copy)]
struct Place {
    low: usize,
    fraction: f32,
}

impl Place {
    /// Position of `pixel` on the axis from `low` to `high` of the image, over `side` mask cells.
    fn of(pixel: usize, low: f32, high: f32, side: usize) -> Option<Self> {
        let at = (pixel as f32 + 0.5 - low) / (high - low) * side as f32 - 0.5;
        let floor = at.floor();
        (floor >= -1.0 && floor < side as f32).then_some(Self {
            low: (floor + 1.0) as usize,
            fraction: at - floor,
        })
    }

    /// Interpolates a line of S + 2 values, the outer ones zero.
    fn value(self, line: &[f32]) -> f32 {
        lerp(line[self.low], line[self.low + 1], self.fraction)
    }
}

fn lerp(a: f32, b: f32, fraction: f32) -> f32 {
    a + fraction * (b - a)
}

impl<'a> Window<'a> {
    fn new(mask: &'a [f32], box_in_image: BoxXyxy, image: Size) -> Option<Self> {
        let side = mask.len().isqrt();
        let BoxXyxy { x1, y1, x2, y2 } = box_in_image;
        let usable = box_in_image.width() > 0.0 && box_in_image.height() > 0.0;
        if side == 0 || !usable || !box_in_image.is_finite() {
            return None;
        }
        let y = reach(y1, y2, image.height);
        let rows: Vec<_> = y.clone().map(|y| Place::of(y, y1, y2, side)).collect();
        Some(Self {
            mask,
            side,
            box_in_image,
            x: reach(x1, x2, image.width),
            y,
            bands: bands(&rows),
            rows,
        })
    }

    fn empty_column(&self) -> Vec<f32> {
        vec![0.0; self.side + 2] // a zero before the first and after the last row
    }

    /// The mask at image column `x`, a value per mask row; false where the column lies outside the mask.
    fn blend_column(&self, x: usize, column: &mut [f32]) -> bool {
        let BoxXyxy { x1, x2, .. } = self.box_in_image;
        let Some(place) = Place::of(x, x1, x2, self.side) else {
            return false;
        };
        // Index 0 of a place is the zero before the first cell, so cell `low − 1` and cell `low`.
        let (left, right) = (place.low.checked_sub(1), place.low);
        for (value, row) in column[1..]
            .iter_mut()
            .zip(self.mask.chunks_exact(self.side))
        {
            let a = left.and_then(|left| row.get(left)).copied().unwrap_or(0.0);
            let b = row.get(right).copied().unwrap_or(0.0);
            *value = lerp(a, b, place.fraction);
        }
        true
    }

    /// Calls `found` with each stretch of `rows` whose value reaches the threshold, in ascending order.
    fn foreground(&self, column: &[f32], threshold: f32, mut found: impl FnMut(Range<usize>)) {
        let inside =
            |row: usize| self.rows[row].is_some_and(|place| place.value(column) >= threshold);
        for band in &self.bands {
            let (first, last) = (inside(band.start), inside(band.end - 1));
            match (first, last) {
                (false, false) => {}
                (true, true) => found(band.clone()),
                (true, false) => found(band.start..first_where(band, |row| !inside(row))),
                (false, true) => found(first_where(band, inside)..band.end),
            }
        }
    }
}

/// Pixels of an axis of `len` that a box from `low` to `high` can touch: one more than it covers on each side.
fn reach(low: f32, high: f32, len: usize) -> Range<usize> {
    // `as` saturates: a box far outside leaves an empty range
    let start = (low.floor() - 1.0).max(0.0) as usize;
    let end = (high.ceil() + 1.0).max(0.0) as usize;
    start.min(len)..end.min(len).max(start.min(len))
}

/// Groups rows that lie between the same two mask rows; leaves out rows outside the mask.
fn bands(rows: &[Option<Place>]) -> Vec<Range<usize>> {
    let mut bands: Vec<Range<usize>> = Vec::new();
    let mut previous = None;
    for (at, place) in rows.iter().enumerate() {
        let low = place.map(|place| place.low);
        match bands.last_mut() {
            Some(band) if low.is_some() && low == previous => band.end = at + 1,
            _ if low.is_some() => bands.push(at..at + 1),
            _ => {}
        }
        previous = low;
    }
    bands
}

/// First row of `band` for which `holds`, which is false and then true along it.
fn first_where(band: &Range<usize>, holds: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high) = (band.start, band.end - 1); // false at low, true at high
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if holds(middle) {
            high = middle;
        } else {
            low = middle;
        }
    }
    high
}

/// Collects ascending stretches of column-major pixels as alternating runs.
#[derive(Default)]
pub(super) struct RunBuilder {
    runs: Vec<u32>,
    end: usize,
}

impl RunBuilder {
    pub(super) fn push(&mut self, pixels: Range<usize>) {
        let length = pixels.len() as u32;
        match self.runs.last_mut() {
            Some(run) if pixels.start == self.end => *run += length,
            _ => {
                self.runs.push((pixels.start - self.end) as u32);
                self.runs.push(length);
            }
        }
        self.end = pixels.end;
    }

    pub(super) fn finish(mut self, image: Size) -> Rle {
        let rest = image.pixels() - self.end;
        if rest > 0 || self.runs.is_empty() {
            self.runs.push(rest as u32);
        }
        Rle::new(image, self.runs).unwrap_or_else(|_| Rle::empty(image))
    }
}
