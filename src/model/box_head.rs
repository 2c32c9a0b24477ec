//! The box head: class and exact box of each proposal, and the selection of detections.
//!
//! Axes: R proposals, F channels, C foreground classes; the background is the last class column.

use candle_core::{DType, Tensor};

use super::ModelError;
use super::box_coder::{BoxCoder, Deltas};
use super::params::Params;
use super::pooler::{ImageRoi, RoiPooler};
use super::rpn::Proposals;
use crate::config::{Config, Dialect, TestRcnn};
use crate::ops::conv2d::{Activation, Linear};
use crate::ops::kernels::{Launcher, boxes as device_boxes};
use crate::ops::nms::batched_nms;
use crate::structures::{BoxXyxy, ImageTransform};

/// Proposals per pass through the head: 50 MB of features at full size.
const CHUNK: usize = 1000;

/// Two hidden layers, then a classifier and a regressor.
#[derive(Debug, Clone)]
pub struct BoxHead {
    hidden: [Linear; 2],
    cls: Linear,
    reg: Linear,
    /// Features of proposals.
    pub pooler: RoiPooler,
    coder: BoxCoder,
    classes: usize,
    class_agnostic: bool,
    dialect: Dialect,
    selection: TestRcnn,
}

/// What the head says of R proposals.
#[derive(Debug, Clone)]
pub struct BoxOutputs {
    /// (R,C+1), background last.
    pub logits: Tensor,
    /// (R,4C), row 4c + k with k = dx, dy, dw, dh; (R,4) where the head is class-agnostic.
    pub deltas: Tensor,
}

/// A detection before its mask.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DetectedBox {
    /// In the input frame; clipped to the resized image in dialect mmdet only.
    pub bbox: BoxXyxy,
    /// Foreground class, 0-based.
    pub label: usize,
    /// Softmax probability of the class.
    pub score: f32,
}

impl BoxHead {
    pub(super) fn new(
        params: &Params<'_>,
        config: &Config,
        dialect: Dialect,
    ) -> Result<Self, ModelError> {
        let head = &config.bbox_head;
        let classes = config.num_classes.saturating_sub(1);
        let width = head.fc_out_channels;
        let inputs = head.in_channels * head.roi_feat_size * head.roi_feat_size;
        let regressions = if head.reg_class_agnostic { 1 } else { classes };
        let linear = |part, outputs, inputs, activation| {
            params.linear(
                &format!("roi_head.bbox_head.{part}"),
                outputs,
                inputs,
                activation,
            )
        };
        Ok(Self {
            hidden: [
                linear("shared_fcs.0", width, inputs, Activation::Relu)?,
                linear("shared_fcs.1", width, width, Activation::Relu)?,
            ],
            cls: linear("fc_cls", classes + 1, width, Activation::None)?,
            reg: linear("fc_reg", 4 * regressions, width, Activation::None)?,
            pooler: RoiPooler::new(&config.roi),
            coder: BoxCoder::new(&head.bbox_coder),
            classes,
            class_agnostic: head.reg_class_agnostic,
            dialect,
            selection: config.test_cfg.rcnn.clone(),
        })
    }

    /// (R,F,7,7) -> class logits and deltas.
    ///
    /// # Errors
    /// A failed tensor operation.
    pub fn forward(&self, features: &Tensor) -> Result<BoxOutputs, ModelError> {
        let mut x = features.flatten_from(1)?; // (R,F,7,7) -> (R,F·49), channel-major
        for layer in &self.hidden {
            x = layer.forward(&x)?;
        }
        Ok(BoxOutputs {
            logits: self.cls.forward(&x)?.to_dtype(DType::F32)?,
            deltas: self.reg.forward(&x)?.to_dtype(DType::F32)?,
        })
    }

    /// Class and probability of a box of the first image: of `label` where it is given, else of the most probable class.
    ///
    /// # Errors
    /// NaN scores; a label that the head does not have; a failed tensor operation.
    pub fn classify(
        &self,
        pyramid: &[Tensor],
        bbox: BoxXyxy,
        label: Option<usize>,
    ) -> Result<(usize, f32), ModelError> {
        let roi = ImageRoi { image: 0, bbox };
        let outputs = self.forward(&self.pooler.pool(pyramid, &[roi])?)?;
        let scores = softmax(&outputs.logits.flatten_all()?.to_vec1::<f32>()?);
        let mut classes = scores.iter().copied().enumerate().take(self.classes);
        let found = match label {
            Some(label) => classes.find(|(class, _)| *class == label),
            None => classes.max_by(|a, b| a.1.total_cmp(&b.1)),
        };
        found
            .filter(|(_, score)| !score.is_nan())
            .ok_or(ModelError::Nan {
                stage: "box scores",
            })
    }

    /// Detections of each image, best first.
    ///
    /// # Errors
    /// NaN or infinite outputs; a failed tensor operation.
    pub fn detect(
        &self,
        pyramid: &[Tensor],
        proposals: &[Proposals],
        transforms: &[ImageTransform],
    ) -> Result<Vec<Vec<DetectedBox>>, ModelError> {
        let images = proposals.iter().zip(transforms).enumerate();
        images
            .map(|(image, (proposals, transform))| {
                let roi = |&bbox| ImageRoi { image, bbox };
                let rois: Vec<ImageRoi> = proposals.boxes.iter().map(roi).collect();
                #[cfg(feature = "cuda")]
                if let Some(found) = self.detect_on_cuda(pyramid, proposals, &rois, transform)? {
                    return Ok(found);
                }
                let mut candidates = Candidates::default();
                for rois in rois.chunks(CHUNK) {
                    let outputs = self.forward(&self.pooler.pool(pyramid, rois)?)?;
                    self.collect(&outputs, rois, transform, &mut candidates)?;
                }
                Ok(candidates.select(&self.selection))
            })
            .collect()
    }

    /// All of it on the device; none where the image is not on one, or has too much for the kernels.
    #[cfg(feature = "cuda")]
    fn detect_on_cuda(
        &self,
        pyramid: &[Tensor],
        proposals: &Proposals,
        rois: &[ImageRoi],
        transform: &ImageTransform,
    ) -> Result<Option<Vec<DetectedBox>>, ModelError> {
        let is_on_cuda = pyramid.iter().all(|level| level.device().is_cuda());
        if !is_on_cuda || rois.is_empty() || rois.len() > CHUNK {
            return Ok(None);
        }
        let outputs = self.forward(&self.pooler.pool(pyramid, rois)?)?;
        let tensors = [&outputs.logits, &outputs.deltas];
        crate::ops::cuda::read(&tensors, "detections", |on, words| match words {
            [logits, deltas] => {
                Ok(self.select_on(on, (logits, deltas), &proposals.boxes, transform))
            }
            _ => Ok(Ok(None)),
        })?
    }

    /// Detections from the outputs for `proposals` of one image, best first.
    ///
    /// # Errors
    /// NaN or infinite outputs; a failed tensor operation.
    pub fn select(
        &self,
        outputs: &BoxOutputs,
        proposals: &[BoxXyxy],
        transform: &ImageTransform,
    ) -> Result<Vec<DetectedBox>, ModelError> {
        let roi = |&bbox| ImageRoi { image: 0, bbox };
        let rois: Vec<ImageRoi> = proposals.iter().map(roi).collect();
        let mut candidates = Candidates::default();
        self.collect(outputs, &rois, transform, &mut candidates)?;
        Ok(candidates.select(&self.selection))
    }

    /// As `select`, of outputs on a device by its kernels, logits (R,C+1) with deltas (R,4C); none where more pairs of RoI
    /// and class pass the threshold than the kernels hold.
    ///
    /// # Errors
    /// NaN or infinite outputs; the launcher's.
    pub fn select_on<L: Launcher>(
        &self,
        on: &L,
        (logits, deltas): (&L::Buffer, &L::Buffer),
        proposals: &[BoxXyxy],
        transform: &ImageTransform,
    ) -> Result<Option<Vec<DetectedBox>>, ModelError> {
        let outputs = device_boxes::BoxOutputs {
            logits,
            deltas,
            classes: self.classes,
            agnostic: self.class_agnostic,
        };
        let size = transform.resized;
        let rules = device_boxes::DetectionRules {
            score_threshold: self.selection.score_thr as f32,
            iou_threshold: self.selection.iou_threshold as f32,
            max_per_img: self.selection.max_per_img,
            limit: match self.dialect {
                Dialect::Mindspore => None,
                Dialect::Mmdet => Some((size.width as f32, size.height as f32)),
            },
        };
        let coder = self.coder.numbers();
        let kept = device_boxes::detections(on, outputs, proposals, &coder, &rules)?;
        let Some(kept) = kept else { return Ok(None) };
        if kept.iter().any(|kept| kept.score.is_nan()) {
            return Err(ModelError::Nan {
                stage: "box scores or boxes",
            });
        }
        let detected = kept.into_iter().map(|kept| DetectedBox {
            bbox: kept.bbox,
            label: kept.label,
            score: kept.score,
        });
        Ok(Some(detected.collect()))
    }

    /// Every class of every RoI with a score above the threshold, in the order (r·C + c).
    fn collect(
        &self,
        outputs: &BoxOutputs,
        rois: &[ImageRoi],
        transform: &ImageTransform,
        candidates: &mut Candidates,
    ) -> Result<(), ModelError> {
        let logits = outputs.logits.to_vec2::<f32>()?;
        let deltas = outputs.deltas.to_vec2::<f32>()?;
        let threshold = self.selection.score_thr as f32;
        for ((roi, logits), deltas) in rois.iter().zip(&logits).zip(&deltas) {
            let scores = softmax(logits);
            if scores.iter().any(|score| score.is_nan()) {
                return Err(ModelError::Nan {
                    stage: "box scores",
                });
            }
            for (label, &score) in scores.iter().enumerate().take(self.classes) {
                if score > threshold {
                    let bbox = self.decode(roi.bbox, deltas, label, transform)?;
                    candidates.push(DetectedBox { bbox, label, score });
                }
            }
        }
        Ok(())
    }

    fn decode(
        &self,
        proposal: BoxXyxy,
        deltas: &[f32],
        label: usize,
        transform: &ImageTransform,
    ) -> Result<BoxXyxy, ModelError> {
        let row = if self.class_agnostic { 0 } else { label };
        let deltas: Deltas = std::array::from_fn(|k| deltas[4 * row + k]);
        let decoded = self.coder.decode(proposal, deltas);
        if !decoded.is_finite() {
            return Err(ModelError::Nan { stage: "boxes" });
        }
        Ok(match self.dialect {
            Dialect::Mindspore => decoded,
            Dialect::Mmdet => {
                let size = transform.resized;
                decoded.clamp_to(size.width as f32, size.height as f32)
            }
        })
    }
}

/// Pairs of box and class above the threshold.
#[derive(Default)]
struct Candidates {
    all: Vec<DetectedBox>,
    boxes: Vec<BoxXyxy>,
    scores: Vec<f32>,
    labels: Vec<usize>,
}

impl Candidates {
    fn push(&mut self, found: DetectedBox) {
        self.all.push(found);
        self.boxes.push(found.bbox);
        self.scores.push(found.score);
        self.labels.push(found.label);
    }

    /// Suppression within each class, then the best of all.
    fn select(&self, selection: &TestRcnn) -> Vec<DetectedBox> {
        let threshold = selection.iou_threshold as f32;
        let keep = batched_nms(&self.boxes, &self.scores, &self.labels, threshold);
        keep.iter()
            .take(selection.max_per_img)
            .map(|&index| self.all[index])
            .collect()
    }
}

fn softmax(logits: &[f32]) -> Vec<f32> {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut values: Vec<f32> = logits.iter().map(|&x| (x - largest).exp()).collect();
    let sum: f32 = values.iter().sum();
    for value in &mut values {
        *value /= sum;
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn softmax_does_not_overflow_and_keeps_nan() {
        assert_eq!(softmax(&[1000.0, 1000.0]), [0.5, 0.5]);
        assert!(softmax(&[0.0, f32::NAN]).iter().all(|value| value.is_nan()));
    }
}
