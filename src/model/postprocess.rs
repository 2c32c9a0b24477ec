//! From the network's frame to the image: boxes, masks as runs, scores.
//!
//! Axes: S = 28 rows and columns of a mask.

use rayon::prelude::*;

use super::box_head::DetectedBox;
use crate::ops::kernels::paste::{MOST_SIDE, paste};
use crate::ops::kernels::{Launcher, bits};
use crate::ops::paste::paste_rle;
use crate::structures::{BoxXyxy, Detection, ImageTransform, MaskQuality, Rle};

/// Thresholds of the stability estimate.
const STRICT: f32 = 0.55;
const LOOSE: f32 = 0.45;

/// A detection with its mask, still in the input frame.
#[derive(Debug, Clone, PartialEq)]
pub struct MaskedBox {
    /// Box, class and score.
    pub detected: DetectedBox,
    /// S×S probabilities of the own class, row-major.
    pub mask: Vec<f32>,
    /// Predicted IoU of the mask; none where no head was trained.
    pub mask_iou: Option<f32>,
}

/// The detections of one image in its own frame, in the same order. Masks are pasted on all cores.
pub fn to_image(
    found: &[MaskedBox],
    transform: &ImageTransform,
    mask_threshold: f32,
) -> Vec<Detection> {
    found
        .par_iter()
        .map(|masked| image_detection(masked, transform, mask_threshold))
        .collect()
}

/// As `to_image`, with the masks pasted by the kernels of a device; on the processor where they are too large for those.
///
/// # Errors
/// The launcher's.
pub fn to_image_on<L: Launcher>(
    on: &L,
    found: &[MaskedBox],
    transform: &ImageTransform,
    mask_threshold: f32,
) -> candle_core::Result<Vec<Detection>> {
    let cells = found.first().map_or(0, |masked| masked.mask.len());
    let side = cells.isqrt();
    if side > MOST_SIDE || found.iter().any(|masked| masked.mask.len() != side * side) {
        return Ok(to_image(found, transform, mask_threshold));
    }
    let boxes: Vec<BoxXyxy> = found
        .iter()
        .map(|masked| paste_box(masked, transform))
        .collect();
    let probabilities = found.iter().flat_map(|masked| masked.mask.iter().copied());
    let masks = on.upload(&bits(probabilities))?;
    let pasted = paste(on, &masks, side, &boxes, transform.image, mask_threshold)?;
    let each = found.iter().zip(pasted);
    Ok(each
        .map(|(masked, mask)| detection(masked, transform, mask, mask_threshold))
        .collect())
}

/// The mask belongs to the box that its features were taken from, clipped or not.
fn paste_box(masked: &MaskedBox, image_from_input: &ImageTransform) -> BoxXyxy {
    image_from_input.image_from_input_unclamped(masked.detected.bbox)
}

fn image_detection(
    masked: &MaskedBox,
    image_from_input: &ImageTransform,
    mask_threshold: f32,
) -> Detection {
    let bbox = paste_box(masked, image_from_input);
    let mask = paste_rle(&masked.mask, bbox, image_from_input.image, mask_threshold);
    detection(masked, image_from_input, mask, mask_threshold)
}

fn detection(
    masked: &MaskedBox,
    image_from_input: &ImageTransform,
    mask: Rle,
    mask_threshold: f32,
) -> Detection {
    let DetectedBox { bbox, label, score } = masked.detected;
    let iou_score = masked.mask_iou.map_or(score, |mask_iou| score * mask_iou);
    Detection {
        bbox: image_from_input.image_from_input(bbox).to_xywh(),
        label,
        score: f64::from(score),
        mask_iou: masked.mask_iou.map(f64::from),
        iou_score: f64::from(iou_score),
        mask,
        quality: Some(quality(&masked.mask, mask_threshold)),
    }
}

/// Both estimates are 0 where the mask has no foreground.
fn quality(mask: &[f32], mask_threshold: f32) -> MaskQuality {
    let count = |threshold| mask.iter().filter(|&&value| value >= threshold).count() as f64;
    let ratio = |part: f64, whole: f64| if whole > 0.0 { part / whole } else { 0.0 };
    let foreground = mask.iter().filter(|&&value| value >= mask_threshold);
    let sum: f64 = foreground.map(|&value| f64::from(value)).sum();
    MaskQuality {
        // The stricter mask lies inside the looser one: intersection over union is the ratio of their areas.
        stability: ratio(count(STRICT), count(LOOSE)),
        mean_foreground: ratio(sum, count(mask_threshold)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quality_counts_cells() {
        let found = quality(&[0.5, 0.9, 0.46, 0.1], 0.5);
        assert_eq!(found.stability, 1.0 / 3.0);
        assert!((found.mean_foreground - 0.7).abs() < 1e-7);
    }

    #[test]
    fn an_empty_mask_has_no_quality() {
        let found = quality(&[0.1; 4], 0.5);
        assert_eq!((found.stability, found.mean_foreground), (0.0, 0.0));
    }
}
