//! One-to-one matching of boxes with their reference.
//!
//! Same number, same labels, boxes within the tolerance; the same order but for scores within `SWAPPABLE`, as the oracle's
//! table has it.

use maskscope::structures::BoxXyxy;

use super::case::BOXES;

/// Scores so close that rounding may swap their order.
const SWAPPABLE: f64 = 1e-4;

/// What is matched: boxes with scores, best first, and for detections labels.
pub struct Scored<'a> {
    pub boxes: &'a [BoxXyxy],
    pub scores: &'a [f32],
    /// Empty where there are none.
    pub labels: &'a [usize],
}

/// Indices of matched boxes, in the order found.
pub struct Matched {
    got: Vec<usize>,
    want: Vec<usize>,
}

impl Matched {
    /// The matched values on this side.
    pub fn got<T: Copy>(&self, values: &[T]) -> Vec<T> {
        self.got.iter().map(|&index| values[index]).collect()
    }

    /// The matched values of the reference.
    pub fn want<T: Copy>(&self, values: &[T]) -> Vec<T> {
        self.want.iter().map(|&index| values[index]).collect()
    }

    /// Pairs of index and reference index.
    pub fn pairs(&self) -> impl Iterator<Item = (usize, usize)> {
        self.got.iter().copied().zip(self.want.iter().copied())
    }
}

/// Matches every box with its reference or fails; prints the largest distance.
pub fn matches(what: &str, got: &Scored<'_>, want: &Scored<'_>) -> Matched {
    let matched = nearest(got, want);
    let missing = rest(want.boxes, &matched.want);
    let extra = rest(got.boxes, &matched.got);
    assert!(
        missing.is_empty() && extra.is_empty(),
        "{what}: missing {missing:?}, extra {extra:?}"
    );
    check_order(what, &matched, want);
    let distances = matched
        .pairs()
        .map(|(a, b)| distance(got.boxes[a], want.boxes[b]));
    let largest = distances.fold(0.0, f64::max);
    println!("{what}: {largest:.2e} px (tolerance {BOXES})");
    matched
}

/// Each box with the nearest free reference of its label within the tolerance.
fn nearest(got: &Scored<'_>, want: &Scored<'_>) -> Matched {
    let mut free: Vec<usize> = (0..want.boxes.len()).collect();
    let mut matched = Matched {
        got: Vec::new(),
        want: Vec::new(),
    };
    for (at, &bbox) in got.boxes.iter().enumerate() {
        let candidates = free.iter().copied().filter_map(|index| {
            let off = distance(bbox, want.boxes[index]);
            let same_label = got.labels.get(at) == want.labels.get(index);
            // Of equal boxes (several levels, clipped to the picture) the one with the nearest score.
            let apart = (got.scores[at] - want.scores[index]).abs();
            (same_label && off <= BOXES).then_some((index, f64::from(apart)))
        });
        if let Some((index, _)) = candidates.min_by(|a, b| a.1.total_cmp(&b.1)) {
            free.retain(|&other| other != index);
            matched.got.push(at);
            matched.want.push(index);
        }
    }
    matched
}

/// Boxes that are not matched, with their place.
fn rest(boxes: &[BoxXyxy], matched: &[usize]) -> Vec<(usize, BoxXyxy)> {
    let alone = boxes.iter().copied().enumerate();
    alone
        .filter(|(index, _)| !matched.contains(index))
        .collect()
}

/// Among matched boxes the order is the reference's, but for scores that are nearly equal.
fn check_order(what: &str, matched: &Matched, want: &Scored<'_>) {
    for (at, &index) in matched.want.iter().enumerate() {
        let best_behind = matched.want[at..]
            .iter()
            .map(|&later| f64::from(want.scores[later]));
        let best_behind = best_behind.fold(f64::NEG_INFINITY, f64::max);
        let score = f64::from(want.scores[index]);
        assert!(
            score >= best_behind - SWAPPABLE,
            "{what}: box {at} with score {score} stands before one with {best_behind}"
        );
    }
}

fn distance(a: BoxXyxy, b: BoxXyxy) -> f64 {
    [a.x1 - b.x1, a.y1 - b.y1, a.x2 - b.x2, a.y2 - b.y2]
        .into_iter()
        .map(|edge| f64::from(edge).abs())
        .fold(0.0, f64::max)
}
