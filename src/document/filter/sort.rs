//! What orders the gallery.

use serde::{Deserialize, Serialize};

use super::FilterInput;
use crate::document::ImageEntry;
use crate::document::ranking::RankBy;
use crate::structures::Detection;

/// What orders the gallery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum SortBy {
    /// As in the folder or file.
    #[default]
    FileOrder,
    /// Number of instances at or above the threshold; number of annotations where no image has predictions.
    Count,
    /// Highest ranking score of an image, whatever the threshold.
    BestScore,
    /// Mean ranking score of the instances at or above the threshold.
    MeanScore,
    /// Lowest predicted mask IoU among the instances at or above the threshold.
    LowestMaskIou,
    /// Average precision of the image alone.
    ImageAp,
    /// True positives.
    TruePositives,
    /// False positives.
    FalsePositives,
    /// Annotations that no prediction found.
    FalseNegatives,
}

impl SortBy {
    /// Every choice, in the order of the list.
    pub const ALL: [Self; 9] = [
        Self::FileOrder,
        Self::Count,
        Self::BestScore,
        Self::MeanScore,
        Self::LowestMaskIou,
        Self::ImageAp,
        Self::TruePositives,
        Self::FalsePositives,
        Self::FalseNegatives,
    ];

    /// As the list names it.
    pub fn label(self) -> &'static str {
        match self {
            Self::FileOrder => "file order",
            Self::Count => "count",
            Self::BestScore => "best score",
            Self::MeanScore => "mean score",
            Self::LowestMaskIou => "lowest mask IoU",
            Self::ImageAp => "AP of the image",
            Self::TruePositives => "true positives",
            Self::FalsePositives => "false positives",
            Self::FalseNegatives => "false negatives",
        }
    }

    /// Whether the end that one looks for is the largest: many, good scores, many mistakes; the worst AP and masks first.
    pub fn begins_descending(self) -> bool {
        !matches!(self, Self::FileOrder | Self::LowestMaskIou | Self::ImageAp)
    }

    /// Whether it needs predictions that were evaluated against ground truth.
    pub fn is_evaluated(self) -> bool {
        matches!(
            self,
            Self::ImageAp | Self::TruePositives | Self::FalsePositives | Self::FalseNegatives
        )
    }

    /// What orders an image; `None` where it has nothing of the kind.
    pub(super) fn key(
        self,
        index: usize,
        image: &ImageEntry,
        input: &FilterInput<'_>,
        no_predictions: bool,
    ) -> Option<f64> {
        let counted = |list: &Vec<Option<u32>>| list.get(index).copied().flatten().map(f64::from);
        match self {
            Self::FileOrder => None,
            Self::ImageAp => input.evaluation?.ap.get(index).copied().flatten(),
            Self::TruePositives => counted(&input.evaluation?.tp),
            Self::FalsePositives => counted(&input.evaluation?.fp),
            Self::FalseNegatives => counted(&input.evaluation?.misses),
            _ => match image.detections() {
                Some(detections) => self.of_predictions(detections, input.rank_by, input.threshold),
                None if no_predictions && self == Self::Count => Some(image.annotations as f64),
                None => None,
            },
        }
    }

    fn of_predictions(
        self,
        detections: &[Detection],
        rank_by: RankBy,
        threshold: f64,
    ) -> Option<f64> {
        let shown = || {
            detections
                .iter()
                .filter(|detection| rank_by.admits(detection, threshold))
        };
        match self {
            Self::Count => Some(shown().count() as f64),
            Self::BestScore => best_score(detections, rank_by),
            Self::MeanScore => {
                let (sum, count) = shown()
                    .filter_map(|detection| rank_by.of(detection))
                    .fold((0.0, 0_usize), |(sum, count), score| {
                        (sum + score, count + 1)
                    });
                (count > 0).then(|| sum / count as f64)
            }
            Self::LowestMaskIou => shown()
                .filter_map(|detection| detection.mask_iou)
                .min_by(f64::total_cmp),
            _ => None,
        }
    }
}

/// Highest ranking score of an image.
pub fn best_score(detections: &[Detection], rank_by: RankBy) -> Option<f64> {
    detections
        .iter()
        .filter_map(|detection| rank_by.of(detection))
        .max_by(f64::total_cmp)
}
