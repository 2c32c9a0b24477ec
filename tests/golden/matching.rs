//! One-to-one matching of boxes with their reference.

use maskscope::structures::BoxXyxy;

use super::case::BOXES;

/// Scores so close that rounding may swap their order.
const SWAPPABLE: f64 = 1e-4;

/// What is matched: boxes with scores and, for detections, labels.
pub struct Scored<'a> {
    pub boxes: &'a [BoxXyxy],
    pub scores: &'a [f32],
    /// Empty where there are none.
    pub labels: &'a [usize],
}

/// For each box the index of its reference: same number, same label, nearest box, within the tolerance; another position
/// only among scores that are nearly equal. Prints the largest distance.
pub fn matches(what: &str, got: &Scored<'_>, want: &Scored<'_>) -> Vec<usize> {
    assert_eq!(got.boxes.len(), want.boxes.len(), "{what}: number of boxes");
    let mut free: Vec<usize> = (0..want.boxes.len()).collect();
    let mut largest = 0.0f64;
    let mut found = Vec::new();
    for (at, &bbox) in got.boxes.iter().enumerate() {
        let same_label = |&index: &usize| got.labels.get(at) == want.labels.get(index);
        // Its own place first: boxes of several levels, clipped to the picture, lie within rounding of each other.
        let key = |&index: &usize| {
            let off = distance(bbox, want.boxes[index]);
            (index != at || off > BOXES, off)
        };
        let nearest = free
            .iter()
            .copied()
            .filter(same_label)
            .min_by(|a, b| key(a).partial_cmp(&key(b)).unwrap())
            .unwrap_or_else(|| panic!("{what}: box {at} has a label that the reference lacks"));
        let off = distance(bbox, want.boxes[nearest]);
        assert!(
            off <= BOXES,
            "{what}: box {at} is {off} px from any reference"
        );
        if nearest != at {
            let apart = f64::from(want.scores[nearest]) - f64::from(want.scores[at]);
            assert!(
                apart.abs() <= SWAPPABLE,
                "{what}: box {at} stands at {nearest} in the reference, scores differ by {apart}"
            );
        }
        largest = largest.max(off);
        free.retain(|&index| index != nearest);
        found.push(nearest);
    }
    println!("{what}: {largest:.2e} px (tolerance {BOXES})");
    found
}

fn distance(a: BoxXyxy, b: BoxXyxy) -> f64 {
    [a.x1 - b.x1, a.y1 - b.y1, a.x2 - b.x2, a.y2 - b.y2]
        .into_iter()
        .map(|edge| f64::from(edge).abs())
        .fold(0.0, f64::max)
}

/// `values` in the order that `indices` gives.
pub fn reorder<T: Copy>(values: &[T], indices: &[usize]) -> Vec<T> {
    indices.iter().map(|&index| values[index]).collect()
}
