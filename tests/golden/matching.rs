//! One-to-one matching of boxes with their reference.
//!
//! Same number, same labels, boxes within the tolerance, same order. Two decisions may fall either way by rounding, and
//! only they may differ: the order of two scores within `SWAPPABLE`, and a suppression whose IoU lies within `TIE` of the
//! threshold. Such ties are real: the pair (0 0 31.718 115.209), (0 0 43.629 119.653) of fixture `tiny`, image 0, has the
//! IoU 0.7 − 4.9e-6 in float64 and 0.7 − 8.7e-6 in the reference's own float32, which by luck fall on the same side.

use maskscope::structures::BoxXyxy;

use super::case::BOXES;

/// Scores so close that rounding may swap their order.
const SWAPPABLE: f64 = 1e-4;
/// What a box error of 1e-3 px, a tenth of the tolerance and the reference's own rounding, does to an IoU.
const TIE: f64 = 2e-5;

/// What is matched: boxes with scores, best first, and for detections labels.
pub struct Scored<'a> {
    pub boxes: &'a [BoxXyxy],
    pub scores: &'a [f32],
    /// Empty where there are none.
    pub labels: &'a [usize],
}

/// How the boxes were selected.
#[derive(Clone, Copy)]
pub struct Selection {
    /// IoU above which a better box suppresses.
    pub iou_threshold: f64,
    /// At most so many are kept.
    pub max: usize,
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

/// Matches every box with its reference or fails; prints the largest distance, and every tie that fell the other way.
pub fn matches(what: &str, got: &Scored<'_>, want: &Scored<'_>, selection: Selection) -> Matched {
    let matched = nearest(got, want);
    let missing = rest(want.boxes.len(), &matched.want);
    let extra = rest(got.boxes.len(), &matched.got);
    for &index in &missing {
        explain(what, "missing", (want, index), (got, &extra), selection);
    }
    for &index in &extra {
        explain(what, "extra", (got, index), (want, &missing), selection);
    }
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

/// Indices that are not matched.
fn rest(len: usize, matched: &[usize]) -> Vec<usize> {
    (0..len).filter(|index| !matched.contains(index)).collect()
}

/// Fails unless box `index`, which one side alone has, is due to a tie: `other` suppressed it by a better box at the very
/// threshold; or it would have been suppressed by a box that only the other side has; or the other side's list was full.
fn explain(
    what: &str,
    how: &str,
    (side, index): (&Scored<'_>, usize),
    (other, other_alone): (&Scored<'_>, &[usize]),
    selection: Selection,
) {
    let (bbox, score) = (side.boxes[index], f64::from(side.scores[index]));
    let same_label = |at: usize| side.labels.get(index) == other.labels.get(at);
    let better = |at: usize| f64::from(other.scores[at]) >= score - SWAPPABLE;
    let iou = |at: usize| f64::from(bbox.iou(other.boxes[at]));
    let threshold = selection.iou_threshold;
    let at_threshold = (0..other.boxes.len())
        .any(|at| same_label(at) && better(at) && (iou(at) - threshold).abs() <= TIE);
    let displaced = other_alone
        .iter()
        .any(|&at| same_label(at) && better(at) && iou(at) > threshold - TIE);
    let lowest = other.scores.last().map_or(0.0, |&score| f64::from(score));
    let pushed_out = other.boxes.len() == selection.max && score <= lowest + SWAPPABLE;
    assert!(
        at_threshold || displaced || pushed_out,
        "{what}: {how} {bbox:?} with score {score}, number {index}"
    );
    println!("{what}: {how} {bbox:?}, a tie at IoU {threshold}");
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
