//! One detected instance: what the model returns, the files hold and the window shows.

use super::{BoxXywh, Rle};

/// A detected instance in the image frame.
///
/// Numbers from the model are f32 values widened to f64; numbers from a file are as the file has them.
#[derive(Clone, Debug, PartialEq)]
pub struct Detection {
    /// Box in pixels of the image.
    pub bbox: BoxXywh,
    /// Index of the class, 0-based, without background.
    pub label: usize,
    /// Class score, softmax of the box head for the kept class, 0..1.
    pub score: f64,
    /// IoU that the mask-IoU head predicts for the mask, not clamped; `None` where no trained head exists.
    pub mask_iou: Option<f64>,
    /// `score * mask_iou`, the score that ranks masks; `score` where there is no `mask_iou`.
    pub iou_score: f64,
    /// The mask at the size of the image.
    pub mask: Rle,
    /// Estimates that need no head; only predictions of our own model have them.
    pub quality: Option<MaskQuality>,
}

/// Two estimates of a mask's quality that cost nothing, from its 28×28 probabilities.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MaskQuality {
    /// IoU of the mask at a stricter with the mask at a looser threshold (0.55 and 0.45), 0..1.
    pub stability: f64,
    /// Mean probability over the mask's foreground cells, 0..1.
    pub mean_foreground: f64,
}
