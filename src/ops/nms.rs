//! Greedy non-maximum suppression on host data.

use std::cmp::Ordering;

use crate::structures::BoxXyxy;

/// Indices of `scores`, best first; equal scores stay in input order. Scores must not be NaN.
pub fn sorted_by_score(scores: &[f32]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|&a, &b| descending(scores[a], scores[b]));
    order
}

/// The order of sorts by score, best first; numbers that do not compare count as equal.
pub fn descending(a: f32, b: f32) -> Ordering {
    b.partial_cmp(&a).unwrap_or(Ordering::Equal)
}

/// Indices of the kept boxes, best first. A box is suppressed by a better one with IoU above `threshold` (strictly;
/// the NaN of two empty boxes never suppresses). Equal scores stay in input order.
pub fn nms(boxes: &[BoxXyxy], scores: &[f32], threshold: f32) -> Vec<usize> {
    suppress(boxes, sorted_by_score(scores), threshold)
}

/// `nms` inside each group; all kept indices best first, equal scores by index.
pub fn batched_nms(
    boxes: &[BoxXyxy],
    scores: &[f32],
    groups: &[usize],
    threshold: f32,
) -> Vec<usize> {
    let mut order = sorted_by_score(scores);
    order.sort_by_key(|&index| groups[index]); // stable: best first inside a group
    let mut keep: Vec<usize> = order
        .chunk_by(|&a, &b| groups[a] == groups[b])
        .flat_map(|group| suppress(boxes, group.to_vec(), threshold))
        .collect();
    keep.sort_by(|&a, &b| descending(scores[a], scores[b]).then(a.cmp(&b)));
    keep
}

/// Walks `order` and drops what an earlier, kept box covers.
fn suppress(boxes: &[BoxXyxy], order: Vec<usize>, threshold: f32) -> Vec<usize> {
    let mut dropped = vec![false; order.len()];
    let mut keep = Vec::new();
    for (at, &index) in order.iter().enumerate() {
        if dropped[at] {
            continue;
        }
        keep.push(index);
        for (drop, &later) in dropped.iter_mut().zip(&order).skip(at + 1) {
            *drop = *drop || boxes[index].iou(boxes[later]) > threshold;
        }
    }
    keep
}

#[cfg(test)]
mod tests {
    use super::*;

    fn square(at: f32, side: f32) -> BoxXyxy {
        BoxXyxy::new(at, at, at + side, at + side)
    }

    #[test]
    fn empty_boxes_suppress_nothing() {
        let boxes = [square(3.0, 0.0), square(3.0, 0.0)];
        assert_eq!(nms(&boxes, &[0.2, 0.9], 0.0), [1, 0]);
    }

    #[test]
    fn groups_do_not_meet_and_ties_go_by_index() {
        let boxes = [square(0.0, 10.0); 4];
        let keep = batched_nms(&boxes, &[0.5, 0.5, 0.5, 0.9], &[1, 0, 1, 2], 0.5);
        assert_eq!(keep, [3, 0, 1]);
    }

    #[test]
    fn nothing_in_nothing_out() {
        assert!(nms(&[], &[], 0.5).is_empty());
        assert!(batched_nms(&[], &[], &[], 0.5).is_empty());
    }
}
