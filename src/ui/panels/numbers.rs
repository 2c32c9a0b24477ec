//! The four numbers of an instance, always in this order and under these names, and why one may be missing.

use crate::document::TruthState;
use crate::structures::Detection;

/// What stands where a number does not exist.
pub const MISSING: &str = "–";

/// A number of an instance.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    /// It exists.
    Value(f64),
    /// It exists outside 0..1 and is shown clamped.
    OutOfRange(f64),
    /// It does not exist, and why.
    Missing(&'static str),
    /// It is being computed.
    Pending,
}

/// Annotations are not predicted.
const NOT_PREDICTED: &str = "An annotation has no scores: nothing predicted it";
/// Nothing is selected.
const NOTHING: &str = "No instance is selected";
/// The model lacks the head.
const NO_HEAD: &str =
    "The model that found this instance predicts no mask IoU, or its file keeps none";

impl Number {
    /// Two decimals, clamped; an en dash where there is none.
    pub fn text(self) -> String {
        match self {
            Self::Value(value) | Self::OutOfRange(value) => format!("{:.2}", value.clamp(0.0, 1.0)),
            Self::Missing(_) => MISSING.into(),
            Self::Pending => "…".into(),
        }
    }

    /// What a bar shows.
    pub fn value(self) -> Option<f64> {
        match self {
            Self::Value(value) | Self::OutOfRange(value) => Some(value.clamp(0.0, 1.0)),
            Self::Missing(_) | Self::Pending => None,
        }
    }

    /// What a tooltip says about it; empty where there is nothing to say.
    pub fn hint(self) -> String {
        match self {
            Self::Value(value) => format!("{value:.4}"),
            Self::OutOfRange(value) => {
                format!("{value:.4} lies outside 0..1 and is shown clamped")
            }
            Self::Missing(why) => why.into(),
            Self::Pending => "Being measured".into(),
        }
    }

    fn of(value: f64) -> Self {
        if (0.0..=1.0).contains(&value) {
            Self::Value(value)
        } else {
            Self::OutOfRange(value)
        }
    }
}

/// The four numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Numbers {
    /// Class score.
    pub score: Number,
    /// Predicted mask IoU.
    pub mask_iou: Number,
    /// Their product.
    pub iou_score: Number,
    /// IoU with the ground truth.
    pub measured: Number,
}

impl Numbers {
    /// Names of the four in the details of an instance.
    pub const NAMES: [&'static str; 4] =
        ["score", "mask IoU, predicted", "iou score", "IoU, measured"];

    /// All four, in order.
    pub fn all(self) -> [Number; 4] {
        [self.score, self.mask_iou, self.iou_score, self.measured]
    }

    /// Of nothing.
    pub fn nothing() -> Self {
        Self::missing(NOTHING)
    }

    /// Of an annotation.
    pub fn of_annotation() -> Self {
        Self::missing(NOT_PREDICTED)
    }

    fn missing(why: &'static str) -> Self {
        let missing = Number::Missing(why);
        Self {
            score: missing,
            mask_iou: missing,
            iou_score: missing,
            measured: missing,
        }
    }

    /// Of prediction `index` of an image.
    pub fn of(detection: &Detection, index: usize, truth: &TruthState) -> Self {
        Self {
            score: Number::of(detection.score),
            mask_iou: detection
                .mask_iou
                .map_or(Number::Missing(NO_HEAD), Number::of),
            iou_score: Number::of(detection.iou_score),
            measured: measured(index, truth),
        }
    }
}

fn measured(index: usize, truth: &TruthState) -> Number {
    match truth {
        TruthState::Absent => Number::Missing("What is open has no ground truth to measure with"),
        TruthState::Pending => Number::Pending,
        TruthState::Ready(truth) => match truth.measured.get(index) {
            Some(Some(iou)) => Number::of(*iou),
            Some(None) => {
                Number::Missing("The instance lies mostly on a crowd region, which is not measured")
            }
            None => Number::Pending,
        },
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::document::Truth;
    use crate::structures::{BoxXywh, Rle, Size};

    #[test]
    fn what_is_missing_says_why_and_what_is_outside_is_flagged() {
        let detection = |mask_iou| Detection {
            bbox: BoxXywh::default(),
            label: 0,
            score: 0.5,
            mask_iou,
            iou_score: 0.5,
            mask: Rle::empty(Size::new(2, 2)),
            quality: None,
        };
        let none = Numbers::of(&detection(None), 0, &TruthState::Absent);
        assert_eq!(none.all().map(Number::text), ["0.50", "–", "0.50", "–"]);
        assert!(none.measured.hint().contains("no ground truth"));
        let truth = Truth {
            measured: vec![Some(0.25), None],
            ..Truth::default()
        };
        let truth = TruthState::Ready(Arc::new(truth));
        let wide = Numbers::of(&detection(Some(1.25)), 0, &truth);
        assert_eq!(wide.mask_iou, Number::OutOfRange(1.25));
        assert_eq!(wide.mask_iou.text(), "1.00");
        assert!(wide.mask_iou.hint().contains("1.25"));
        assert_eq!(wide.measured, Number::Value(0.25));
        let crowd = Numbers::of(&detection(Some(-0.1)), 1, &truth);
        assert_eq!(crowd.mask_iou.text(), "0.00");
        assert!(crowd.measured.hint().contains("crowd"));
        let unknown = Numbers::of(&detection(None), 2, &truth);
        assert_eq!(unknown.measured, Number::Pending);
    }
}
