//! Counts of points: per cell of about two pixels, as a picture, and per bar of the marginal histograms.
//!
//! One thread does it: half a million points take a few milliseconds, and the pool of threads may be busy with a network.
//! Axes: W×H cells, row by row from the smallest y.

use egui::{Color32, ColorImage};

use super::points::{Points, bit};
use super::range::{Range, nice_step};

/// Cells that lie at multiples of their size, so that a pan moves them and never shifts points from one to another.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CellAxis {
    /// Width of a cell, in values.
    pub size: f64,
    /// The number of the first cell: it begins at `first · size`.
    pub first: f64,
    /// Number of cells.
    pub count: usize,
}

impl CellAxis {
    /// Cells of `size` that cover `range`.
    pub fn covering(range: Range, size: f64) -> Self {
        let first = (range.min / size).floor();
        let last = (range.max / size).floor();
        Self {
            size,
            first,
            count: (last - first).clamp(0.0, MOST_CELLS) as usize + 1,
        }
    }

    /// About `bars` bars of a round width over `range`.
    pub fn nice(range: Range, bars: f64) -> Self {
        Self::covering(range, nice_step(range.width(), bars))
    }

    /// The cell of a value, if it is one of these. A value on the border of two belongs to the upper one.
    pub fn cell(&self, value: f64) -> Option<usize> {
        let cell = (value / self.size).floor() - self.first;
        (cell >= 0.0 && cell < self.count as f64).then_some(cell as usize)
    }

    /// From the first cell's beginning to the last one's end.
    pub fn range(&self) -> Range {
        Range {
            min: self.first * self.size,
            max: (self.first + self.count as f64) * self.size,
        }
    }
}

/// No screen has more cells a side.
const MOST_CELLS: f64 = 8191.0;

/// Counts of what is in view.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Counts {
    /// (H, W) points per cell.
    pub cells: Vec<u32>,
    /// The largest of them.
    pub most: u32,
    /// Per bar of x.
    pub x_bars: Vec<u32>,
    /// Per bar of y.
    pub y_bars: Vec<u32>,
    /// All of them.
    pub total: usize,
}

/// Which cells and bars to count.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bins {
    /// W cells.
    pub x: CellAxis,
    /// H cells.
    pub y: CellAxis,
    /// Bars of the histogram of x.
    pub x_bars: CellAxis,
    /// Bars of the histogram of y.
    pub y_bars: CellAxis,
}

impl Bins {
    /// Counts the points that lie in the cells; with `only`, those whose bit, by position, is set. Values of points are
    /// rounded once, as by [`CellAxis::cell`].
    pub fn count(&self, points: &Points, only: Option<&[u64]>) -> Counts {
        let width = self.x.count;
        let mut counts = Counts {
            cells: vec![0; width * self.y.count],
            most: 0,
            x_bars: vec![0; self.x_bars.count],
            y_bars: vec![0; self.y_bars.count],
            total: 0,
        };
        for span in points.spans(self.x.range(), self.y.range()) {
            let first = span.start;
            for (offset, &[x, y]) in points.values(span).iter().enumerate() {
                if only.is_some_and(|bits| !bit(bits, first + offset)) {
                    continue;
                }
                let (x, y) = (f64::from(x), f64::from(y));
                let (Some(column), Some(row)) = (self.x.cell(x), self.y.cell(y)) else {
                    continue;
                };
                counts.cells[row * width + column] += 1;
                counts.total += 1;
                if let Some(bar) = self.x_bars.cell(x) {
                    counts.x_bars[bar] += 1;
                }
                if let Some(bar) = self.y_bars.cell(y) {
                    counts.y_bars[bar] += 1;
                }
            }
        }
        counts.most = counts.cells.iter().copied().max().unwrap_or(0);
        counts
    }
}

/// Colours of counts on a logarithmic scale: 1 is the first of the ramp, `most` the last, 0 is clear.
pub struct Ramp {
    /// Colours of counts below its length.
    table: Vec<Color32>,
    stops: [Color32; 3],
    most: u32,
}

/// Counts with a colour ready; larger ones are rare.
const TABLE: u32 = 1024;

impl Ramp {
    /// A ramp up to `most`.
    pub fn new(stops: [Color32; 3], most: u32) -> Self {
        let mut ramp = Self {
            table: Vec::new(),
            stops,
            most,
        };
        ramp.table = (0..=most.min(TABLE))
            .map(|count| ramp.compute(count))
            .collect();
        ramp
    }

    /// The colour of a count.
    pub fn colour(&self, count: u32) -> Color32 {
        let ready = self.table.get(count as usize).copied();
        ready.unwrap_or_else(|| self.compute(count))
    }

    fn compute(&self, count: u32) -> Color32 {
        if count == 0 {
            return Color32::TRANSPARENT;
        }
        let share = (count as f32).ln() / (self.most.max(2) as f32).ln();
        let [low, middle, high] = self.stops;
        if share < 0.5 {
            low.lerp_to_gamma(middle, 2.0 * share)
        } else {
            middle.lerp_to_gamma(high, 2.0 * share.min(1.0) - 1.0)
        }
    }
}

/// The picture of counts, the largest y on top. Where `bright` counts are given they lie over the rest, which is `dimmed`.
pub fn picture(
    bins: &Bins,
    all: &Counts,
    bright: Option<&Counts>,
    ramps: [&Ramp; 2],
    dimmed: f32,
) -> ColorImage {
    let [width, height] = [bins.x.count, bins.y.count];
    let [rest, over] = ramps;
    let mut pixels = Vec::with_capacity(width * height);
    let table: Vec<Color32> = rest
        .table
        .iter()
        .map(|it| it.gamma_multiply(dimmed))
        .collect();
    for row in (0..height).rev() {
        for cell in row * width..(row + 1) * width {
            let count = all.cells[cell];
            let lit = bright.map_or(0, |bright| bright.cells[cell]);
            pixels.push(if lit > 0 {
                over.colour(lit)
            } else if let Some(&ready) = table.get(count as usize) {
                ready
            } else {
                rest.colour(count).gamma_multiply(dimmed)
            });
        }
    }
    ColorImage::new([width, height], pixels)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(count: usize) -> (Vec<f32>, Vec<f32>) {
        let value = |i: usize, step: usize| (i * step % 1009) as f32 / 1008.0;
        (
            (0..count).map(|i| value(i, 7)).collect(),
            (0..count).map(|i| value(i * i, 31)).collect(),
        )
    }

    #[test]
    fn counts_are_those_of_a_naive_count() {
        let (x, y) = points(30_000);
        let points = Points::new(&x, &y, None);
        let odd: Vec<u64> = vec![0xaaaa_aaaa_aaaa_aaaa; x.len().div_ceil(64)];
        for (xs, ys, size) in [
            (Range::UNIT, Range::UNIT, 0.004),
            (
                Range {
                    min: 0.31,
                    max: 0.47,
                },
                Range {
                    min: -0.2,
                    max: 0.53,
                },
                0.0007,
            ),
            (Range { min: 2.0, max: 3.0 }, Range::UNIT, 0.01),
        ] {
            let bins = Bins {
                x: CellAxis::covering(xs, size),
                y: CellAxis::covering(ys, size * 1.5),
                x_bars: CellAxis::nice(xs, 40.0),
                y_bars: CellAxis::nice(ys, 30.0),
            };
            for only in [None, Some(odd.as_slice())] {
                let counts = bins.count(
                    &points,
                    only.map(|bits| points.by_position(bits)).as_deref(),
                );
                let mut cells = vec![0u32; bins.x.count * bins.y.count];
                let (mut total, mut bars) = (0, vec![0u32; bins.x_bars.count]);
                for i in 0..x.len() {
                    let cell = |value: f32, axis: &CellAxis| {
                        (f64::from(value) / axis.size).floor() - axis.first
                    };
                    let (cx, cy) = (cell(x[i], &bins.x), cell(y[i], &bins.y));
                    let inside = cx >= 0.0
                        && cy >= 0.0
                        && (cx as usize) < bins.x.count
                        && (cy as usize) < bins.y.count;
                    if inside && (only.is_none() || i % 2 == 1) {
                        cells[cy as usize * bins.x.count + cx as usize] += 1;
                        total += 1;
                        let bar = cell(x[i], &bins.x_bars);
                        if bar >= 0.0 && (bar as usize) < bars.len() {
                            bars[bar as usize] += 1;
                        }
                    }
                }
                assert!(counts.cells == cells, "cells over {xs:?} × {ys:?}");
                assert_eq!((counts.total, &counts.x_bars), (total, &bars));
                assert_eq!(counts.most, cells.iter().copied().max().unwrap());
                assert_eq!(total > 0, xs.min < 1.0);
            }
        }
    }

    #[test]
    fn a_pan_moves_cells_and_keeps_their_points() {
        let (x, y) = points(5_000);
        let points = Points::new(&x, &y, None);
        let at = |min: f64| Bins {
            x: CellAxis::covering(
                Range {
                    min,
                    max: min + 0.5,
                },
                0.01,
            ),
            y: CellAxis::covering(Range::UNIT, 0.01),
            x_bars: CellAxis::nice(Range::UNIT, 10.0),
            y_bars: CellAxis::nice(Range::UNIT, 10.0),
        };
        let (a, b) = (at(0.2), at(0.2333));
        assert_eq!((a.x.first, b.x.first), (20.0, 23.0));
        let (left, right) = (a.count(&points, None), b.count(&points, None));
        for row in 0..a.y.count {
            let (wa, wb) = (a.x.count, b.x.count);
            assert_eq!(
                left.cells[row * wa + 3..(row + 1) * wa],
                right.cells[row * wb..row * wb + wa - 3]
            );
        }
    }

    #[test]
    fn the_ramp_is_logarithmic_and_nothing_is_clear() {
        let stops = [
            Color32::from_gray(40),
            Color32::from_gray(100),
            Color32::from_gray(200),
        ];
        let ramp = Ramp::new(stops, 10_000);
        assert_eq!(ramp.colour(0), Color32::TRANSPARENT);
        assert_eq!(ramp.colour(1), stops[0]);
        assert_eq!(ramp.colour(100), stops[1]);
        assert_eq!(ramp.colour(10_000), stops[2]);
        assert_eq!(Ramp::new(stops, 1).colour(1), stops[0]);
        let bins = Bins {
            x: CellAxis::covering(Range { min: 0.0, max: 1.5 }, 1.0),
            y: CellAxis::covering(Range { min: 0.0, max: 1.5 }, 1.0),
            x_bars: CellAxis::nice(Range::UNIT, 2.0),
            y_bars: CellAxis::nice(Range::UNIT, 2.0),
        };
        let points = Points::new(&[0.5, 1.5, 1.5], &[1.5, 0.5, 0.5], None);
        let all = bins.count(&points, None);
        let bright = bins.count(&points, Some(&points.by_position(&[0b001])));
        let image = picture(
            &bins,
            &all,
            Some(&bright),
            [&ramp, &Ramp::new([Color32::RED; 3], 1)],
            0.5,
        );
        let dim = ramp.colour(2).gamma_multiply(0.5);
        assert_eq!(
            image.pixels,
            [
                Color32::RED,
                Color32::TRANSPARENT,
                Color32::TRANSPARENT,
                dim
            ]
        );
    }
}
