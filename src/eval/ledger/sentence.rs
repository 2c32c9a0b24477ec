//! The ledger in plain words.

use super::super::words::{annotation, annotation_with_class, class, number, short, told_apart};
use super::{DetectionOutcome, Ignored, Missed, TruthOutcome, Unmatched};
use crate::eval::matching::MAX_DETECTIONS;
use crate::eval::{EvalInput, iou_thresholds};

/// `lower IoU than .75: best is annotation 17 at .62`.
fn too_low(threshold: usize, what: &str, iou: f64) -> String {
    let limit = iou_thresholds().get(threshold).copied().unwrap_or(1.0);
    let (limit, iou) = told_apart(limit, iou);
    format!("lower IoU than {limit}: best is {what} at {iou}")
}

impl DetectionOutcome {
    /// The outcome at a threshold (its index) in words, without a full stop; a fragment to stand after a detection.
    pub fn sentence(&self, input: &EvalInput, threshold: usize) -> String {
        match *self {
            Self::Matched { truth, iou } => {
                format!("matched {} at IoU {}", annotation(input, truth), short(iou))
            }
            Self::Unmatched(why) => why.sentence(input, threshold),
            Self::Ignored(why) => why.sentence(input),
            Self::BeyondMaxDets { rank } => format!(
                "not counted: rank {} of its class in this image, the first {MAX_DETECTIONS} count",
                rank + 1
            ),
            Self::Deselected => "not counted: left out by the filter".into(),
        }
    }
}

impl Unmatched {
    fn sentence(self, input: &EvalInput, threshold: usize) -> String {
        match self {
            Self::BestIouTooLow { truth, iou } => {
                too_low(threshold, &annotation(input, truth), iou)
            }
            Self::Taken { by, truth, iou } => {
                let score = input.detection(by as usize).score;
                format!(
                    "{} (IoU {}) is already taken by {} (score {})",
                    annotation(input, truth),
                    short(iou),
                    number(input, by),
                    short(score)
                )
            }
            Self::ClassDiffers { truth, iou } => format!(
                "class differs: lies on {} at IoU {}",
                annotation_with_class(input, truth),
                short(iou)
            ),
            Self::Apart => "touches no annotation of its class".into(),
            Self::NoTruthOfClass => "the image has no annotation of its class".into(),
            Self::IdZero { truth, iou } => format!(
                "overlaps {} at IoU {}, whose id pycocotools takes for no match",
                annotation(input, truth),
                short(iou)
            ),
        }
    }
}

impl Ignored {
    fn sentence(self, input: &EvalInput) -> String {
        match self {
            Self::CrowdRegion { truth, share } => format!(
                "ignored: {:.0} % of it lies on the crowd region of {}",
                share * 100.0,
                annotation(input, truth)
            ),
            Self::TruthOutOfRange { truth, iou } => format!(
                "ignored: matched {} at IoU {}, whose area is out of range",
                annotation(input, truth),
                short(iou)
            ),
            Self::AreaOutOfRange { area } => {
                format!("ignored: its area of {area:.0} px is out of range")
            }
        }
    }
}

impl TruthOutcome {
    /// The outcome at a threshold (its index) in words, without a full stop; a fragment to stand after a ground truth.
    pub fn sentence(&self, input: &EvalInput, threshold: usize) -> String {
        match *self {
            Self::Matched { by, iou } => {
                format!("matched by {} at IoU {}", number(input, by), short(iou))
            }
            Self::Missed(why) => why.sentence(input, threshold),
            Self::CrowdRegion => "ignored: a crowd region cannot be missed".into(),
            Self::AreaOutOfRange { area } => {
                format!("ignored: its area of {area:.0} px is out of range")
            }
            Self::Deselected => "not counted: left out by the filter".into(),
        }
    }
}

impl Missed {
    fn sentence(self, input: &EvalInput, threshold: usize) -> String {
        match self {
            Self::PreferredAnother {
                detection,
                iou,
                other,
                other_iou,
            } => format!(
                "missed: {} (IoU {}) matched {} at IoU {}",
                number(input, detection),
                short(iou),
                annotation(input, other),
                short(other_iou)
            ),
            Self::NotCounted { detection, iou } => format!(
                "missed: {} (IoU {}) is not counted",
                number(input, detection),
                short(iou)
            ),
            Self::OfAnotherClass { detection, iou } => {
                let of = input.detections.get(detection as usize);
                let class = of.map_or_else(String::new, |of| class(input, of.label));
                format!(
                    "missed: {} lies on it at IoU {} as {class}",
                    number(input, detection),
                    short(iou)
                )
            }
            Self::BestIouTooLow { detection, iou } => {
                format!(
                    "missed: {}",
                    too_low(threshold, &number(input, detection), iou)
                )
            }
            Self::NoneNear => "missed: no prediction of its class touches it".into(),
            Self::IdZero { by, iou } => format!(
                "missed: {} overlaps it at IoU {}, but pycocotools takes its id 0 for no match",
                number(input, by),
                short(iou)
            ),
        }
    }
}
