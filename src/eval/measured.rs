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
    let mut best = 0.0_f64;
    for pair in overlaps.of(detection) {
        let truth = input.truths.get(pair.truth as usize)?;
        if truth.label != label {
            continue;
        }
        if !truth.is_crowd {
            best = best.max(pair.iou);
        } else if pair.iou >= CROWD_SHARE {
            return None;
        }
    }
    Some(best)
}
