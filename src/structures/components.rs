//! The parts of a mask that touch nowhere: what splitting an instance makes.

use std::collections::BTreeMap;
use std::ops::Range;

use super::rle::Runs;
use super::{Rle, Size};

/// Rows of one column that are foreground.
struct Span {
    column: usize,
    rows: Range<usize>,
}

impl Rle {
    /// The parts that do not touch each other, the largest first, of equal ones the leftmost first. Pixels that meet at a
    /// corner are one part, so that a thin line stays whole.
    pub fn components(&self) -> Vec<Rle> {
        let mut spans = Vec::new();
        self.column_spans(|column, rows| spans.push(Span { column, rows }));
        let mut parents: Vec<usize> = (0..spans.len()).collect();
        let mut earlier = 0; // the first span that may touch the next
        for at in 0..spans.len() {
            let span = &spans[at];
            while spans[earlier].column + 1 < span.column
                || (spans[earlier].column + 1 == span.column
                    && spans[earlier].rows.end < span.rows.start)
            {
                earlier += 1;
            }
            let touching = (earlier..at).take_while(|&other| {
                spans[other].column + 1 == span.column && spans[other].rows.start <= span.rows.end
            });
            for other in touching {
                let (a, b) = (root(&mut parents, at), root(&mut parents, other));
                parents[a.max(b)] = a.min(b);
            }
        }
        let mut parts: BTreeMap<usize, Vec<&Span>> = BTreeMap::new();
        for (at, span) in spans.iter().enumerate() {
            parts.entry(root(&mut parents, at)).or_default().push(span);
        }
        let mut masks: Vec<Rle> = parts.values().map(|part| mask(self.size(), part)).collect();
        masks.sort_by_key(|part| std::cmp::Reverse(part.area())); // stable
        masks
    }

    /// The foreground on either side of the line through two points; either may be empty. A pixel belongs to the side
    /// of its centre.
    pub fn cut(&self, a: (f64, f64), b: (f64, f64)) -> (Rle, Rle) {
        let side = |x: usize, y: usize| {
            let (px, py) = (x as f64 + 0.5 - a.0, y as f64 + 0.5 - a.1);
            (b.0 - a.0) * py - (b.1 - a.1) * px >= 0.0
        };
        let (mut left, mut right) = (Vec::new(), Vec::new());
        self.column_spans(|column, rows| {
            let mut start = rows.start;
            while start < rows.end {
                let is_left = side(column, start);
                // A line crosses a column once: the side changes at most once within a span.
                let (mut low, mut high) = (start + 1, rows.end);
                while low < high {
                    let middle = low + (high - low) / 2;
                    if side(column, middle) == is_left {
                        low = middle + 1;
                    } else {
                        high = middle;
                    }
                }
                let list = if is_left { &mut left } else { &mut right };
                let rows = start..low;
                list.push(Span { column, rows });
                start = low;
            }
        });
        let of = |spans: &[Span]| mask(self.size(), &spans.iter().collect::<Vec<_>>());
        (of(&left), of(&right))
    }
}

fn root(parents: &mut [usize], mut at: usize) -> usize {
    while parents[at] != at {
        parents[at] = parents[parents[at]];
        at = parents[at];
    }
    at
}

/// The mask of spans in the order of the runs.
fn mask(size: Size, spans: &[&Span]) -> Rle {
    let mut runs = Runs::default();
    let mut at = 0u64;
    for span in spans {
        let start = (span.column * size.height + span.rows.start) as u64;
        runs.push(false, start - at);
        runs.push(true, span.rows.len() as u64);
        at = start + span.rows.len() as u64;
    }
    runs.push(false, size.pixels() as u64 - at);
    Rle::from_whole_runs(size, runs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::structures::Random;

    fn drawn(rows: &[&str]) -> Rle {
        let size = Size::new(rows[0].len(), rows.len());
        let bytes: Vec<u8> = rows.concat().bytes().map(|b| u8::from(b == b'#')).collect();
        Rle::from_row_major(size, &bytes).unwrap()
    }

    #[test]
    fn parts_are_told_apart() {
        let mask = drawn(&["##..#", "#...#", "..#..", ".#..#"]);
        let areas: Vec<u64> = mask.components().iter().map(Rle::area).collect();
        assert_eq!(areas, [3, 2, 2, 1]);
        // Arms of a comb that join at the end alone.
        let comb = drawn(&["####", "...#", "####", "...#", "####"]);
        assert_eq!(comb.components(), std::slice::from_ref(&comb));
        let comb = drawn(&["####", "#...", "####", "#...", "####"]);
        assert_eq!(comb.components(), std::slice::from_ref(&comb));
        assert!(drawn(&["...", "..."]).components().is_empty());
    }

    /// Against a flood fill.
    #[test]
    fn random_masks_fall_into_the_same_parts() {
        let mut random = Random::new(5);
        for round in 0..200 {
            let size = Size::new(1 + random.below(20), 1 + random.below(20));
            let bytes: Vec<u8> = (0..size.pixels())
                .map(|_| u8::from(random.unit() < 0.4))
                .collect();
            let mask = Rle::from_row_major(size, &bytes).unwrap();
            let parts = mask.components();
            let union = parts
                .iter()
                .fold(Rle::empty(size), |all, part| all.union(part).unwrap());
            assert_eq!(union, mask, "round {round}");
            let mut left = bytes.clone();
            let mut areas = Vec::new();
            for start in 0..left.len() {
                let mut stack = vec![start];
                let mut area = 0;
                while let Some(at) = stack.pop() {
                    if std::mem::take(&mut left[at]) == 0 {
                        continue;
                    }
                    area += 1;
                    let (x, y) = (at % size.width, at / size.width);
                    for nx in x.saturating_sub(1)..(x + 2).min(size.width) {
                        for ny in y.saturating_sub(1)..(y + 2).min(size.height) {
                            stack.push(ny * size.width + nx);
                        }
                    }
                }
                areas.extend((area > 0).then_some(area));
            }
            areas.sort_unstable_by(|a, b| b.cmp(a));
            assert_eq!(parts.iter().map(Rle::area).collect::<Vec<_>>(), areas);
        }
    }

    #[test]
    fn a_cut_shares_the_pixels_out() {
        let mask = drawn(&["######", "######", "######", "######"]);
        let (left, right) = mask.cut((3.0, 0.0), (3.0, 4.0));
        assert_eq!((left.area(), right.area()), (12, 12));
        assert_eq!(left.union(&right).unwrap(), mask);
        let (left, right) = mask.cut((0.0, 0.0), (6.0, 4.0));
        assert_eq!(left.union(&right).unwrap(), mask);
        assert_eq!(left.intersection_area(&right), Ok(0));
        assert_eq!((left.area(), right.area()), (12, 12));
        let (left, right) = mask.cut((0.0, 9.0), (6.0, 9.0));
        assert_eq!((left.area(), right.area()), (0, 24));
    }
}
