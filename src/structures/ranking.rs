//! The score that orders and filters instances.

use serde::{Deserialize, Serialize};

use super::Detection;

/// Which score ranks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub enum RankBy {
    /// Class score.
    Score,
    /// Predicted mask IoU.
    MaskIou,
    /// Their product.
    #[default]
    IouScore,
}

impl RankBy {
    /// Every choice, in the order of the lists.
    pub const ALL: [Self; 3] = [Self::Score, Self::MaskIou, Self::IouScore];

    /// As the lists name it.
    pub fn label(self) -> &'static str {
        match self {
            Self::Score => "score",
            Self::MaskIou => "mask IoU",
            Self::IouScore => "iou score",
        }
    }

    /// As the command line and files name it.
    pub fn key(self) -> &'static str {
        match self {
            Self::Score => "score",
            Self::MaskIou => "mask_iou",
            Self::IouScore => "iou_score",
        }
    }

    /// The score of an instance; `None` where it has none.
    pub fn of(self, detection: &Detection) -> Option<f64> {
        match self {
            Self::Score => Some(detection.score),
            Self::MaskIou => detection.mask_iou,
            Self::IouScore => Some(detection.iou_score),
        }
    }

    /// Whether an instance is at or above `threshold`; one without the score passes only where nothing is asked of it.
    pub fn admits(self, detection: &Detection, threshold: f64) -> bool {
        threshold <= 0.0 || self.of(detection).is_some_and(|score| score >= threshold)
    }
}

/// Indices of the instances at or above `threshold`, best first; equal scores keep their order. Instances without the
/// score come last and pass only where nothing is asked of them.
pub fn ranked(detections: &[Detection], by: RankBy, threshold: f64) -> Vec<usize> {
    let key = |index: &usize| by.of(&detections[*index]).unwrap_or(f64::NEG_INFINITY);
    let mut order: Vec<usize> = (0..detections.len())
        .filter(|&index| by.admits(&detections[index], threshold))
        .collect();
    order.sort_by(|a, b| key(b).total_cmp(&key(a)));
    order
}
