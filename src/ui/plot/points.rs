//! The points of a scatter, sorted into a grid: what is under the pointer, in a brush or in view is found without asking all.
//!
//! Axes: N points as given, of them M with both values, in the order of their cells; G×G cells, row by row from the
//! smallest y.

use std::sync::atomic::{AtomicU64, Ordering};

use super::range::Range;
use super::region::{Edge, Region, crosses};

/// About so many points share a cell.
const PER_CELL: usize = 8;
/// Cells a side at most: their starts stay below a MiB.
const LONGEST_SIDE: usize = 512;
/// An edge of a lasso also counts for cells that it misses by less than this part of a cell: rounding.
const NEAR: f64 = 1e-3;

/// Points that can be drawn, hovered and brushed. Immutable: other values are other points. Half a million take some
/// milliseconds to sort, which a worker thread can do.
#[derive(Debug)]
pub struct Points {
    generation: u64,
    given: usize,
    /// (M) what was given as number i stands at position p: `numbers[p] = i`.
    numbers: Vec<u32>,
    /// (M)
    at: Vec<[f32; 2]>,
    /// (M), or empty where points have no class.
    classes: Vec<u16>,
    grid: Grid,
    /// (G·G + 1) the first position of each cell.
    starts: Vec<u32>,
}

/// Bits by number or position: bit `i % 64` of word `i / 64`.
pub fn bit(words: &[u64], at: usize) -> bool {
    words
        .get(at / 64)
        .is_some_and(|word| word >> (at % 64) & 1 == 1)
}

/// Sets a bit of words that are long enough.
pub fn set_bit(words: &mut [u64], at: usize) {
    if let Some(word) = words.get_mut(at / 64) {
        *word |= 1 << (at % 64);
    }
}

/// Sets the bits of a range.
fn fill_bits(words: &mut [u64], range: std::ops::Range<usize>) {
    for (word, mask) in masks(range) {
        if let Some(word) = words.get_mut(word) {
            *word |= mask;
        }
    }
}

/// Calls with every bit of a range that is set.
pub(super) fn set_bits(words: &[u64], range: std::ops::Range<usize>, mut each: impl FnMut(usize)) {
    for (at, mask) in masks(range) {
        let mut left = words.get(at).map_or(0, |word| word & mask);
        while left != 0 {
            each(at * 64 + left.trailing_zeros() as usize);
            left &= left - 1;
        }
    }
}

/// The words that hold a range of bits, each with the mask of its part of the range.
fn masks(range: std::ops::Range<usize>) -> impl Iterator<Item = (usize, u64)> {
    let (start, end) = (range.start, range.end.max(range.start));
    (start / 64..end.div_ceil(64)).map(move |word| {
        let from = start.saturating_sub(word * 64);
        let to = (end - word * 64).min(64);
        let below = |bits: usize| {
            if bits == 64 {
                u64::MAX
            } else {
                (1 << bits) - 1
            }
        };
        (word, below(to) & !below(from.min(64)))
    })
}

/// Number of bits set.
pub fn count_bits(words: &[u64]) -> usize {
    words.iter().map(|word| word.count_ones() as usize).sum()
}

/// Cells over the range of the data.
#[derive(Clone, Copy, Debug)]
struct Grid {
    side: usize,
    low: [f64; 2],
    /// Cells per unit.
    scale: [f64; 2],
}

impl Grid {
    fn over(ranges: Option<[Range; 2]>, points: usize) -> Self {
        let side = ((points / PER_CELL) as f64).sqrt() as usize;
        let side = side.clamp(1, LONGEST_SIDE);
        let [x, y] = ranges.unwrap_or([Range::UNIT; 2]);
        let scale = |range: Range| {
            let scale = side as f64 / range.width();
            if scale.is_finite() { scale } else { 0.0 }
        };
        Self {
            side,
            low: [x.min, y.min],
            scale: [scale(x), scale(y)],
        }
    }

    /// Column or row of a value; never falls while the value rises, so that two ends enclose all between.
    fn line(&self, axis: usize, value: f64) -> usize {
        let at = (value - self.low[axis]) * self.scale[axis];
        (at as usize).min(self.side - 1) // below 0 saturates to 0
    }

    fn cell(&self, x: f64, y: f64) -> usize {
        self.line(1, y) * self.side + self.line(0, x)
    }

    /// First and last column or row of a range.
    fn lines(&self, axis: usize, range: Range) -> [usize; 2] {
        [self.line(axis, range.min), self.line(axis, range.max)]
    }
}

impl Points {
    /// Sorts points; of slices of different lengths the shorter counts. A point with a value that is not finite is
    /// nowhere: it has a number, but is never drawn, hovered or brushed. `classes`, where given, are indices of colours.
    pub fn new(x: &[f32], y: &[f32], classes: Option<&[u16]>) -> Self {
        static GENERATIONS: AtomicU64 = AtomicU64::new(0);
        let given = x.len().min(y.len()).min(u32::MAX as usize);
        let finite = || {
            let pairs = x.iter().zip(y).take(given).enumerate();
            pairs.filter(|(_, (x, y))| x.is_finite() && y.is_finite())
        };
        let xs = Range::covering(finite().map(|(_, (&x, _))| f64::from(x)));
        let ys = Range::covering(finite().map(|(_, (_, &y))| f64::from(y)));
        let placed = finite().count();
        let grid = Grid::over(xs.zip(ys).map(|(x, y)| [x, y]), placed);
        let mut starts = vec![0u32; grid.side * grid.side + 1];
        let cells: Vec<u32> = finite()
            .map(|(_, (&x, &y))| grid.cell(f64::from(x), f64::from(y)) as u32)
            .collect();
        for &cell in &cells {
            starts[cell as usize + 1] += 1;
        }
        for cell in 1..starts.len() {
            starts[cell] += starts[cell - 1];
        }
        let mut next = starts.clone();
        let mut numbers = vec![0; placed];
        let mut at = vec![[0.0; 2]; placed];
        let mut sorted = vec![0; if classes.is_some() { placed } else { 0 }];
        for ((number, (&x, &y)), &cell) in finite().zip(&cells) {
            let position = next[cell as usize] as usize;
            next[cell as usize] += 1;
            numbers[position] = number as u32;
            at[position] = [x, y];
            if let Some(classes) = classes {
                sorted[position] = classes.get(number).copied().unwrap_or(0);
            }
        }
        Self {
            generation: GENERATIONS.fetch_add(1, Ordering::Relaxed),
            given,
            numbers,
            at,
            classes: sorted,
            grid,
            starts,
        }
    }

    /// Number of points given, N.
    pub fn len(&self) -> usize {
        self.given
    }

    /// Whether none was given.
    pub fn is_empty(&self) -> bool {
        self.given == 0
    }

    /// Number of points with both values, M.
    pub fn placed(&self) -> usize {
        self.at.len()
    }

    /// Different for all points that were ever made in this process.
    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    /// The ranges of the data; `None` where there is no point.
    pub fn bounds(&self) -> Option<[Range; 2]> {
        let of = |axis: usize| Range::covering(self.at.iter().map(|at| f64::from(at[axis])));
        Some([of(0)?, of(1)?])
    }

    /// The values at a position.
    pub(super) fn value(&self, position: usize) -> [f64; 2] {
        self.at
            .get(position)
            .map_or([f64::NAN; 2], |at| at.map(f64::from))
    }

    /// Values of the point that was given as `number`, by search; NaN where it has none.
    pub fn value_of(&self, number: usize) -> [f64; 2] {
        let found = self.numbers.iter().position(|&it| it as usize == number);
        found.map_or([f64::NAN; 2], |position| self.value(position))
    }

    /// The number of the point at a position.
    pub(super) fn number(&self, position: usize) -> usize {
        self.numbers
            .get(position)
            .map_or(usize::MAX, |&number| number as usize)
    }

    /// The class of the point at a position, where points have one.
    pub(super) fn class(&self, position: usize) -> Option<usize> {
        self.classes.get(position).map(|&class| class.into())
    }

    /// Positions of all points in cells that touch the ranges: every point inside is among them.
    pub(super) fn spans(
        &self,
        x: Range,
        y: Range,
    ) -> impl Iterator<Item = std::ops::Range<usize>> + '_ {
        let [first, last] = self.grid.lines(0, x);
        let [low, high] = self.grid.lines(1, y);
        (low..=high).map(move |row| self.span(row, first, last))
    }

    /// Positions in the cells of a row from column `first` to `last`.
    fn span(&self, row: usize, first: usize, last: usize) -> std::ops::Range<usize> {
        let base = row * self.grid.side;
        self.starts[base + first] as usize..self.starts[base + last + 1] as usize
    }

    /// Values at positions.
    pub(super) fn values(&self, span: std::ops::Range<usize>) -> &[[f32; 2]] {
        &self.at[span]
    }

    /// How many points lie in the ranges.
    pub fn count_in(&self, x: Range, y: Range) -> usize {
        count_bits(&self.select(&Region::Rect { x, y }))
    }

    /// Bits by position of flags by number.
    pub(super) fn by_position(&self, flags: &[u64]) -> Vec<u64> {
        let mut bits = self.no_bits();
        for (position, &number) in self.numbers.iter().enumerate() {
            if bit(flags, number as usize) {
                set_bit(&mut bits, position);
            }
        }
        bits
    }

    /// Bits by number of the points in a region: what a filter of the caller needs.
    pub fn flags_in(&self, region: &Region) -> Vec<u64> {
        let bits = self.select(region);
        let mut flags = vec![0; self.given.div_ceil(64)];
        for (position, &number) in self.numbers.iter().enumerate() {
            if bit(&bits, position) {
                set_bit(&mut flags, number as usize);
            }
        }
        flags
    }

    /// Numbers of the points in a region, ascending.
    pub fn numbers_in(&self, region: &Region) -> Vec<usize> {
        let bits = self.select(region);
        let inside = (0..self.placed()).filter(|&position| bit(&bits, position));
        let mut numbers: Vec<usize> = inside.map(|position| self.number(position)).collect();
        numbers.sort_unstable();
        numbers
    }

    fn no_bits(&self) -> Vec<u64> {
        vec![0; self.placed().div_ceil(64)]
    }

    /// Bits by position of the points in a region. Cells that no edge touches are taken or left whole.
    pub(super) fn select(&self, region: &Region) -> Vec<u64> {
        let mut bits = self.no_bits();
        let Some([x, y]) = region.bounds() else {
            return bits;
        };
        let [first, last] = self.grid.lines(0, x);
        let [low, high] = self.grid.lines(1, y);
        let mut touched = vec![false; self.grid.side];
        let mut edges: Vec<Edge> = Vec::new();
        for row in low..=high {
            touched.fill(false);
            edges.clear();
            if let Region::Rect { .. } = region {
                touched[first] = true;
                touched[last] = true;
                if row == low || row == high {
                    touched[first..=last].fill(true);
                }
            } else {
                edges.extend(
                    region
                        .edges()
                        .filter(|&edge| self.touch(edge, row, &mut touched)),
                );
            }
            let inside = |[x, y]: [f64; 2]| match region {
                Region::Rect { .. } => region.contains(x, y),
                Region::Lasso(_) => {
                    edges.iter().filter(|&&edge| crosses(edge, x, y)).count() % 2 == 1
                }
            };
            for (column, &is_touched) in touched.iter().enumerate().take(last + 1).skip(first) {
                let span = self.span(row, column, column);
                if is_touched {
                    for position in span {
                        if inside(self.value(position)) {
                            set_bit(&mut bits, position);
                        }
                    }
                } else if !span.is_empty() && inside(self.value(span.start)) {
                    fill_bits(&mut bits, span);
                }
            }
        }
        bits
    }

    /// Marks the columns of a row that an edge passes; whether it passes the row at all.
    fn touch(&self, edge: Edge, row: usize, touched: &mut [bool]) -> bool {
        let [a, b] = edge;
        let ys = Range::between(a[1], b[1]);
        let grid = &self.grid;
        if row < grid.line(1, ys.min) || row > grid.line(1, ys.max) {
            return false;
        }
        // The part of the edge in the row, in cells. Values beyond the grid belong to its outermost cells.
        let cells = |value: f64, axis: usize| (value - grid.low[axis]) * grid.scale[axis];
        let (ya, yb) = (cells(a[1], 1), cells(b[1], 1));
        let low = if row == 0 {
            f64::NEG_INFINITY
        } else {
            row as f64 - NEAR
        };
        let high = if row + 1 == grid.side {
            f64::INFINITY
        } else {
            row as f64 + 1.0 + NEAR
        };
        let along = |y: f64| {
            if ya == yb {
                0.0
            } else {
                ((y - ya) / (yb - ya)).clamp(0.0, 1.0)
            }
        };
        let (s, t) = if ya == yb {
            (0.0, 1.0)
        } else {
            (along(low), along(high))
        };
        let x = |share: f64| cells(a[0], 0) + share * (cells(b[0], 0) - cells(a[0], 0));
        let xs = Range::between(x(s), x(t));
        let column = |x: f64| (x as usize).min(grid.side - 1);
        touched[column(xs.min - NEAR)..=column(xs.max + NEAR)].fill(true);
        true
    }

    /// Position of the point nearest to a pair of values, no further than `radius` points of the screen; `scale` is points
    /// per unit. Of equally near ones that with the smallest number.
    pub(super) fn nearest(&self, [x, y]: [f64; 2], scale: [f64; 2], radius: f64) -> Option<usize> {
        let around = |at: f64, scale: f64| Range {
            min: at - radius / scale,
            max: at + radius / scale,
        };
        let mut best: Option<(f64, u32, usize)> = None;
        for span in self.spans(around(x, scale[0]), around(y, scale[1])) {
            for position in span {
                let [px, py] = self.value(position);
                let (dx, dy) = ((px - x) * scale[0], (py - y) * scale[1]);
                let distance = dx * dx + dy * dy;
                let key = (distance, self.numbers[position]);
                let nearer = best.is_none_or(|(far, number, _)| key < (far, number));
                if distance <= radius * radius && nearer {
                    best = Some((distance, self.numbers[position], position));
                }
            }
        }
        best.map(|(_, _, position)| position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Random(u64);

    impl Random {
        /// 0 to 1, in 1,000 steps, so that values coincide and lie on the borders of cells.
        fn next(&mut self) -> f32 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            (self.0 % 1001) as f32 / 1000.0
        }
    }

    fn random(count: usize, seed: u64) -> (Vec<f32>, Vec<f32>) {
        let mut random = Random(seed);
        let mut x: Vec<f32> = (0..count).map(|_| random.next()).collect();
        let y = x.iter().map(|&x| (x + random.next()) / 2.0).collect();
        for at in (7..count).step_by(97) {
            x[at] = [f32::NAN, f32::INFINITY][at % 2];
        }
        (x, y)
    }

    fn naive(x: &[f32], y: &[f32], region: &Region) -> Vec<usize> {
        let inside =
            |&i: &usize| x[i].is_finite() && region.contains(f64::from(x[i]), f64::from(y[i]));
        (0..x.len()).filter(inside).collect()
    }

    #[test]
    fn regions_hold_what_asking_every_point_finds() {
        for (count, seed) in [(1, 3), (40, 5), (5_000, 7), (60_000, 11)] {
            let (x, y) = random(count, seed);
            let points = Points::new(&x, &y, None);
            assert_eq!(points.placed(), x.iter().filter(|x| x.is_finite()).count());
            let mut random = Random(seed + 1);
            for trial in 0..60 {
                let mut corner = || {
                    [
                        f64::from(random.next()) * 1.4 - 0.2,
                        f64::from(random.next()) * 1.4 - 0.2,
                    ]
                };
                let region = if trial % 2 == 0 {
                    Region::rect(corner(), corner())
                } else {
                    Region::Lasso((0..3 + trial / 2).map(|_| corner()).collect())
                };
                let found = points.numbers_in(&region);
                assert_eq!(found, naive(&x, &y, &region), "{count} points, {region:?}");
                let flags = points.flags_in(&region);
                assert_eq!(count_bits(&flags), found.len());
                assert!(found.iter().all(|&number| bit(&flags, number)));
            }
        }
    }

    #[test]
    fn bits_are_filled_and_listed() {
        for (from, to) in [
            (0, 0),
            (0, 64),
            (3, 5),
            (60, 70),
            (64, 128),
            (1, 191),
            (70, 70),
        ] {
            let mut words = vec![0; 3];
            fill_bits(&mut words, from..to);
            for at in 0..192 {
                assert_eq!(
                    bit(&words, at),
                    (from..to).contains(&at),
                    "{at} of {from}..{to}"
                );
            }
            assert_eq!(count_bits(&words), to - from);
            let mut listed = Vec::new();
            set_bits(&words, 2..100, |at| listed.push(at));
            let want: Vec<usize> = (from.max(2)..to.min(100)).collect();
            assert_eq!(listed, want);
        }
    }

    #[test]
    fn the_nearest_point_is_that_of_a_search_of_all() {
        let (x, y) = random(20_000, 13);
        let points = Points::new(&x, &y, None);
        let scale = [700.0, 400.0];
        let mut random = Random(17);
        let mut found = 0;
        for _ in 0..400 {
            let at = [
                f64::from(random.next()) * 1.2 - 0.1,
                f64::from(random.next()) * 1.2 - 0.1,
            ];
            let distance = |i: usize| {
                let dx = (f64::from(x[i]) - at[0]) * scale[0];
                let dy = (f64::from(y[i]) - at[1]) * scale[1];
                dx * dx + dy * dy
            };
            let near = (0..x.len()).filter(|&i| distance(i) <= 64.0);
            let want = near.min_by(|&a, &b| distance(a).total_cmp(&distance(b)).then(a.cmp(&b)));
            let got = points
                .nearest(at, scale, 8.0)
                .map(|position| points.number(position));
            assert_eq!(got, want, "{at:?}");
            found += usize::from(want.is_some());
        }
        assert!(found > 100, "the search must find something: {found}");
    }

    #[test]
    fn few_equal_or_no_points_are_no_trouble() {
        let none = Points::new(&[], &[], None);
        assert!(none.is_empty() && none.bounds().is_none());
        assert_eq!(none.nearest([0.5, 0.5], [100.0; 2], 8.0), None);
        let equal = Points::new(&[0.5; 300], &[0.25; 300], Some(&[3; 300]));
        assert_eq!(
            equal
                .nearest([0.5, 0.25], [100.0; 2], 8.0)
                .map(|p| equal.number(p)),
            Some(0)
        );
        assert_eq!(equal.class(7), Some(3));
        assert_eq!(equal.count_in(Range::UNIT, Range::UNIT), 300);
        assert_eq!(equal.count_in(Range { min: 0.6, max: 1.0 }, Range::UNIT), 0);
        let lost = Points::new(&[f32::NAN, 0.5], &[0.1, 0.2], None);
        assert_eq!((lost.len(), lost.placed(), lost.number(0)), (2, 1, 1));
        assert!(lost.value_of(0)[0].is_nan() && lost.value_of(1)[0] == 0.5);
        let flags = lost.by_position(&[0b10]);
        assert!(bit(&flags, 0));
    }
}
