//! Which ground truth a box answers for (mmdetection's MaxIoUAssigner without "+1").

use rayon::prelude::*;

use crate::config::Assigner;
use crate::structures::BoxXyxy;

/// What a box is to the loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Assigned {
    /// Neither one nor the other: not drawn.
    Ignored,
    /// Background.
    Negative,
    /// The ground truth with this index.
    Positive(usize),
}

/// Assigns each of `boxes` to one of `truths`: below `neg_iou_thr` negative, from `pos_iou_thr` on the truth it overlaps
/// most (the first among equals); with `match_low_quality` also every box that overlaps a truth as much as any does, the
/// later truth first, if that is `min_pos_iou` at least. A box or truth without area is never positive.
pub fn assign(boxes: &[BoxXyxy], truths: &[BoxXyxy], config: &Assigner) -> Vec<Assigned> {
    let (positive, negative) = (config.pos_iou_thr as f32, config.neg_iou_thr as f32);
    let best: Vec<(f32, usize)> = boxes
        .par_iter()
        .with_min_len(512)
        .map(|&candidate| best_truth(candidate, truths))
        .collect();
    let assign = |&(iou, truth): &(f32, usize)| {
        if truths.is_empty() || iou < negative {
            Assigned::Negative
        } else if iou >= positive {
            Assigned::Positive(truth)
        } else {
            Assigned::Ignored
        }
    };
    let mut assigned: Vec<Assigned> = best.iter().map(assign).collect();
    if config.match_low_quality {
        match_low_quality(boxes, truths, config.min_pos_iou as f32, &mut assigned);
    }
    let hollow = |of: &BoxXyxy| of.width() <= 0.0 || of.height() <= 0.0;
    for (assigned, candidate) in assigned.iter_mut().zip(boxes) {
        if let Assigned::Positive(truth) = *assigned
            && (hollow(candidate) || hollow(&truths[truth]))
        {
            *assigned = Assigned::Ignored;
        }
    }
    assigned
}

/// The largest IoU and the first truth that reaches it.
fn best_truth(candidate: BoxXyxy, truths: &[BoxXyxy]) -> (f32, usize) {
    let mut best = (-1.0, 0);
    for (index, &truth) in truths.iter().enumerate() {
        let iou = overlap(candidate, truth);
        if iou > best.0 {
            best = (iou, index);
        }
    }
    best
}

fn match_low_quality(
    boxes: &[BoxXyxy],
    truths: &[BoxXyxy],
    min_iou: f32,
    assigned: &mut [Assigned],
) {
    let per_truth: Vec<Vec<usize>> = truths
        .par_iter()
        .map(|&truth| {
            let (mut most, mut reach) = (min_iou, Vec::new());
            for (index, &candidate) in boxes.iter().enumerate() {
                let iou = overlap(candidate, truth);
                if iou > most {
                    (most, reach) = (iou, vec![index]);
                } else if iou == most {
                    reach.push(index);
                }
            }
            reach
        })
        .collect();
    for (truth, reach) in per_truth.into_iter().enumerate() {
        for index in reach {
            assigned[index] = Assigned::Positive(truth);
        }
    }
}

/// IoU with mmdetection's guard: two boxes without area overlap by 0, not NaN.
fn overlap(a: BoxXyxy, b: BoxXyxy) -> f32 {
    let iou = a.iou(b);
    if iou.is_nan() { 0.0 } else { iou }
}
