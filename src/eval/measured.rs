//! Measured IoU: how well a predicted mask fits the annotation that it most resembles.

use super::{EvalInput, Overlaps};

/// A prediction with this share of its own area on a crowd region of its class is not measured.
pub const CROWD_SHARE: f64 = 0.5;

/// Measured IoU of each detection: the largest mask IoU with a non-crowd annotation of its class in its image, 0 where
/// there is none; `None` where the prediction lies mostly on a crowd region. `overlaps` are those of masks.
pub fn measured_ious(input: &EvalInput, overlaps: &Overlaps) -> Vec<Option<f64>> {
    (0..input.detections.len())
        .map(|position| measured_iou(input, overlaps, position))
        .collect()
}

fn measured_iou(input: &EvalInput, overlaps: &Overlaps, detection: usize) -> Option<f64> {
    let label = input.detections.get(detection)?.label;
    let of_class = overlaps.of(detection).iter().filter_map(|pair| {
        let truth = input.truths.get(pair.truth as usize)?;
        (truth.label == label).then_some((truth.is_crowd, pair.iou))
    });
    best_overlap(of_class)
}

/// The rule of measured IoU, from the overlaps with the annotations of the class: crowd region or not, and the IoU, or
/// for a crowd region the share of the prediction's own area on it.
pub fn best_overlap(of_class: impl Iterator<Item = (bool, f64)>) -> Option<f64> {
    let mut best = 0.0_f64;
    for (is_crowd, overlap) in of_class {
        if !is_crowd {
            best = best.max(overlap);
        } else if overlap >= CROWD_SHARE {
            return None;
        }
    }
    Some(best)
}
