//! Counts of points: per cell of about two pixels, as a picture, and per bar of the marginal histograms.
//!
//! One thread does it: half a million points take a few milliseconds, and the pool of threads may be busy with a network.
//! Axes: W×H cells, row by row from the smallest y.

use egui::{Color32, ColorImage};

use super::points::{Points, set_bits};
use super::range::Range;

/// Cells that lie at multiples of their size, so that a pan moves them and never shifts points from one to another.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CellAxis {
    /// Cells per unit of the values.
    pub per_unit: f64,
    /// The number of the first cell: it begins at `first / per_unit`.
    pub first: f64,
    /// Number of cells.
    pub count: usize,
}

impl CellAxis {
    /// Cells that cover `range`.
    pub fn covering(range: Range, per_unit: f64) -> Self {
        let first = (range.min * per_unit).floor();
        let last = (range.max * per_unit).floor();
        Self {
            per_unit,
            first,
            count: (last - first).clamp(0.0, MOST_CELLS) as usize + 1,
        }
    }

    /// The cell of a value, if it is one of these. A value on the border of two belongs to the upper one.
    #[inline]
    pub fn cell(&self, value: f64) -> Option<usize> {
        // Never below zero where it counts, so that the conversion to an integer rounds down, as `floor` would.
        let cell = value * self.per_unit - self.first;
        (cell >= 0.0 && cell < self.count as f64).then_some(cell as usize)
    }

    /// From the first cell's beginning to the last one's end.
    pub fn range(&self) -> Range {
        Range {
            min: self.first / self.per_unit,
            max: (self.first + self.count as f64) / self.per_unit,
        }
    }

    /// The bars that `PER_BAR` of these cells form, at multiples of their width as well.
    pub fn bars(&self) -> Self {
        let first = (self.first / PER_BAR).floor();
        let last = ((self.first + self.count as f64 - 1.0) / PER_BAR).floor();
        Self {
            per_unit: self.per_unit / PER_BAR,
            first,
            count: (last - first) as usize + 1,
        }
    }

    /// The bar of a cell.
    fn bar(&self, cell: usize) -> usize {
        let before = self.first - (self.first / PER_BAR).floor() * PER_BAR;
        (before as usize + cell) / PER_BAR as usize
    }
}

/// No screen has more cells a side.
const MOST_CELLS: f64 = 8191.0;
/// Cells that a bar of a histogram is wide.
const PER_BAR: f64 = 4.0;

/// Counts of what is in view.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Counts {
    /// (H, W) points per cell.
    pub cells: Vec<u32>,
    /// The largest of them.
    pub most: u32,
    /// What nearly all cells with points stay at or below: where many points have one value, such as an IoU of 0, a few
    /// cells hold far more than all others, which would then look alike.
    pub high: u32,
    /// Per bar of x.
    pub x_bars: Vec<u32>,
    /// Per bar of y.
    pub y_bars: Vec<u32>,
    /// All of them.
    pub total: usize,
}

/// Which cells to count.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bins {
    /// W cells.
    pub x: CellAxis,
    /// H cells.
    pub y: CellAxis,
}

impl Bins {
    /// Counts the points that lie in the cells; with `only`, those whose bit, by position, is set. What `counts` held is
    /// gone; its memory is used again.
    pub fn count(&self, points: &Points, only: Option<&[u64]>, counts: &mut Counts) {
        counts.cells.clear();
        counts.cells.resize(self.x.count * self.y.count, 0);
        for span in points.spans(self.x.range(), self.y.range()) {
            match only {
                None => self.add(points.values(span), &mut counts.cells),
                Some(bits) => set_bits(bits, span, |position| {
                    self.add(points.values(position..position + 1), &mut counts.cells);
                }),
            }
        }
        self.sum(counts);
    }

    fn add(&self, values: &[[f32; 2]], cells: &mut [u32]) {
        for &[x, y] in values {
            let (column, row) = (self.x.cell(f64::from(x)), self.y.cell(f64::from(y)));
            if let (Some(column), Some(row)) = (column, row)
                && let Some(cell) = cells.get_mut(row * self.x.count + column)
            {
                *cell += 1;
            }
        }
    }

    /// Largest, total and bars from the cells.
    fn sum(&self, counts: &mut Counts) {
        let width = self.x.count;
        let mut columns = vec![0u32; width];
        counts.y_bars.clear();
        counts.y_bars.resize(self.y.bars().count, 0);
        counts.x_bars.clear();
        counts.x_bars.resize(self.x.bars().count, 0);
        counts.most = counts.cells.iter().copied().max().unwrap_or(0);
        counts.high = high(&counts.cells, counts.most);
        for (row, cells) in counts.cells.chunks_exact(width).enumerate() {
            for (column, &cell) in columns.iter_mut().zip(cells) {
                *column += cell;
            }
            counts.y_bars[self.y.bar(row)] += cells.iter().sum::<u32>();
        }
        for (column, &count) in columns.iter().enumerate() {
            counts.x_bars[self.x.bar(column)] += count;
        }
        counts.total = columns.iter().map(|&count| count as usize).sum();
    }
}

/// One cell of so many with points may exceed [`Counts::high`].
const EXCEEDING: usize = 200;

fn high(cells: &[u32], most: u32) -> u32 {
    let mut cells_with = [0usize; TABLE as usize];
    for &count in cells {
        if let Some(cells) = cells_with.get_mut(count as usize) {
            *cells += 1;
        }
    }
    let filled = cells.len() - cells_with[0];
    let enough = filled - filled / EXCEEDING;
    let mut seen = 0;
    let found = cells_with.iter().enumerate().skip(1).find(|(_, cells)| {
        seen += **cells;
        seen >= enough
    });
    // Where the cells are fuller than the table is long, all of them count.
    found.map_or(most, |(count, _)| count as u32).min(most)
}

/// Colours of counts on a logarithmic scale: 1 is the first of the ramp, `high` and more the last, 0 is clear.
pub struct Ramp {
    /// Colours of counts below its length.
    table: Vec<Color32>,
    stops: [Color32; 3],
    high: u32,
}

/// Counts with a colour ready; larger ones are rare.
const TABLE: u32 = 1024;

impl Ramp {
    /// A ramp up to `high`.
    pub fn new(stops: [Color32; 3], high: u32) -> Self {
        let mut ramp = Self {
            table: Vec::new(),
            stops,
            high,
        };
        ramp.table = (0..=high.min(TABLE))
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
        let share = (count as f32).ln() / (self.high.max(2) as f32).ln();
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
    let table: Vec<Color32> = rest
        .table
        .iter()
        .map(|it| it.gamma_multiply(dimmed))
        .collect();
    let colour = |count: u32| {
        let ready = table.get(count as usize).copied();
        ready.unwrap_or_else(|| rest.colour(count).gamma_multiply(dimmed))
    };
    let mut pixels = Vec::with_capacity(width * height);
    for row in (0..height).rev() {
        let cells = row * width..(row + 1) * width;
        let counts = &all.cells[cells.clone()];
        match bright {
            None => pixels.extend(counts.iter().map(|&count| colour(count))),
            Some(bright) => {
                let pairs = counts.iter().zip(&bright.cells[cells]);
                pixels.extend(pairs.map(|(&count, &lit)| match lit {
                    0 => colour(count),
                    lit => over.colour(lit),
                }));
            }
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
        let mut counts = Counts::default();
        for (xs, ys, per_unit) in [
            (Range::UNIT, Range::UNIT, 250.0),
            (
                Range {
                    min: 0.31,
                    max: 0.47,
                },
                Range {
                    min: -0.2,
                    max: 0.53,
                },
                1413.0,
            ),
            (Range { min: 2.0, max: 3.0 }, Range::UNIT, 100.0),
        ] {
            let bins = Bins {
                x: CellAxis::covering(xs, per_unit),
                y: CellAxis::covering(ys, per_unit * 1.5),
            };
            for only in [None, Some(points.by_position(&odd))] {
                bins.count(&points, only.as_deref(), &mut counts);
                let mut cells = vec![0u32; bins.x.count * bins.y.count];
                let mut bars = vec![0u32; bins.x.bars().count];
                let mut total = 0;
                for i in 0..x.len() {
                    let cell = |value: f32, axis: &CellAxis| {
                        (f64::from(value) * axis.per_unit).floor() - axis.first
                    };
                    let (cx, cy) = (cell(x[i], &bins.x), cell(y[i], &bins.y));
                    let inside = cx >= 0.0
                        && cy >= 0.0
                        && (cx as usize) < bins.x.count
                        && (cy as usize) < bins.y.count;
                    if inside && (only.is_none() || i % 2 == 1) {
                        cells[cy as usize * bins.x.count + cx as usize] += 1;
                        bars[cell(x[i], &bins.x.bars()) as usize] += 1;
                        total += 1;
                    }
                }
                assert!(counts.cells == cells, "cells over {xs:?} × {ys:?}");
                assert_eq!((counts.total, &counts.x_bars), (total, &bars));
                assert_eq!(counts.y_bars.iter().sum::<u32>() as usize, total);
                assert_eq!(counts.most, cells.iter().copied().max().unwrap());
                let above = cells.iter().filter(|&&count| count > counts.high).count();
                let filled = cells.iter().filter(|&&count| count > 0).count();
                assert!(above * EXCEEDING <= filled, "{above} of {filled}");
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
                100.0,
            ),
            y: CellAxis::covering(Range::UNIT, 100.0),
        };
        let (a, b) = (at(0.2), at(0.2333));
        assert_eq!((a.x.first, b.x.first), (20.0, 23.0));
        let [mut left, mut right] = [Counts::default(), Counts::default()];
        a.count(&points, None, &mut left);
        b.count(&points, None, &mut right);
        for row in 0..a.y.count {
            let (wa, wb) = (a.x.count, b.x.count);
            let moved = &right.cells[row * wb..row * wb + wa - 3];
            assert_eq!(&left.cells[row * wa + 3..(row + 1) * wa], moved);
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
        assert_eq!(ramp.colour(1_000_000), stops[2]);
        // A cell among many that holds far more than the others does not make them alike.
        let mut cells: Vec<u32> = (0..1000).map(|i| i % 20).collect();
        cells[7] = 50_000;
        assert_eq!(high(&cells, 50_000), 19);
        assert_eq!(high(&[0, 0], 0), 0);
        assert_eq!(high(&[5000, 6000, 7000], 7000), 7000);
        assert_eq!(Ramp::new(stops, 1).colour(1), stops[0]);
        let axis = CellAxis::covering(Range { min: 0.0, max: 1.5 }, 1.0);
        let bins = Bins { x: axis, y: axis };
        let points = Points::new(&[0.5, 1.5, 1.5], &[1.5, 0.5, 0.5], None);
        let [mut all, mut bright] = [Counts::default(), Counts::default()];
        bins.count(&points, None, &mut all);
        bins.count(&points, Some(&points.by_position(&[0b001])), &mut bright);
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
