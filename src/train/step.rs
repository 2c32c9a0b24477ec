//! One pass: a batch to its six losses.

use candle_core::Tensor;

use super::TrainError;
use super::roi_samples::{RoiSamples, draw_rois, roi_losses};
use super::rpn_samples::{AnchorSamples, draw_anchors, rpn_losses};
use super::sampler::Draw;
use crate::config::Config;
use crate::model::Detector;
use crate::model::rpn::RpnLevel;
use crate::structures::{BoxXyxy, GroundTruth, ImageTransform, Size};

/// Images with their ground truth.
#[derive(Clone, Debug)]
pub struct Batch {
    /// (N,3,H,W), normalised and padded.
    pub images: Tensor,
    /// One an image.
    pub transforms: Vec<ImageTransform>,
    /// One an image.
    pub truths: Vec<GroundTruth>,
    /// What each image's samples are drawn by.
    pub draws: Vec<Draw>,
}

/// The six losses, scalars of the graph, loss weights applied.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "names of the six losses")]
pub struct Losses {
    pub rpn_cls: Tensor,
    pub rpn_box: Tensor,
    pub cls: Tensor,
    pub bbox: Tensor,
    pub mask: Tensor,
    pub mask_iou: Tensor,
}

impl Losses {
    /// In the order of files.
    pub fn all(&self) -> [&Tensor; 6] {
        [
            &self.rpn_cls,
            &self.rpn_box,
            &self.cls,
            &self.bbox,
            &self.mask,
            &self.mask_iou,
        ]
    }

    /// What is minimised.
    ///
    /// # Errors
    /// A failed tensor operation.
    pub fn total(&self) -> Result<Tensor, TrainError> {
        let [first, rest @ ..] = self.all();
        let mut sum = first.clone();
        for loss in rest {
            sum = (sum + loss)?;
        }
        Ok(sum)
    }
}

/// The losses of a batch on `detector`, which must be `Detector::trainable`.
///
/// # Errors
/// NaN in the network; a label that the model has no class for; a failed tensor operation.
pub fn losses(detector: &Detector, config: &Config, batch: &Batch) -> Result<Losses, TrainError> {
    let maps = Maps::of(detector, batch)?;
    let rules = &config.train_cfg.rpn_proposal;
    let proposals = detector
        .rpn
        .propose(&maps.levels, &batch.transforms, rules)?;
    let boxes: Vec<&[BoxXyxy]> = proposals.iter().map(|found| &found.boxes[..]).collect();
    maps.losses(detector, config, batch, &boxes)
}

/// The losses of a batch as if these were the proposals of its images, so that two devices draw the same samples.
///
/// # Errors
/// As `losses`.
pub fn losses_at(
    detector: &Detector,
    config: &Config,
    batch: &Batch,
    proposals: &[&[BoxXyxy]],
) -> Result<Losses, TrainError> {
    Maps::of(detector, batch)?.losses(detector, config, batch, proposals)
}

/// What the network makes of whole images.
struct Maps {
    pyramid: Vec<Tensor>,
    levels: Vec<RpnLevel>,
}

impl Maps {
    fn of(detector: &Detector, batch: &Batch) -> Result<Self, TrainError> {
        let stages = detector.backbone.forward(&batch.images)?;
        let pyramid = detector.fpn.forward(&stages)?;
        let levels = detector.rpn.forward(&pyramid)?;
        Ok(Self { pyramid, levels })
    }

    fn losses(
        &self,
        detector: &Detector,
        config: &Config,
        batch: &Batch,
        proposals: &[&[BoxXyxy]],
    ) -> Result<Losses, TrainError> {
        let Self { pyramid, levels } = self;
        let anchors = anchors_of(detector, config, batch, pyramid)?;
        let [rpn_cls, rpn_box] = rpn_losses(levels, &anchors, &batch.truths, config)?;
        let images = batch.truths.iter().zip(&batch.draws);
        let rois: Vec<RoiSamples> = proposals
            .iter()
            .zip(images)
            .map(|(found, (truth, of))| draw_rois(found, truth, &config.train_cfg.rcnn, of))
            .collect();
        let [cls, bbox, mask, mask_iou] =
            roi_losses(detector, pyramid, &rois, &batch.truths, config)?;
        Ok(Losses {
            rpn_cls,
            rpn_box,
            cls,
            bbox,
            mask,
            mask_iou,
        })
    }
}

fn anchors_of(
    detector: &Detector,
    config: &Config,
    batch: &Batch,
    pyramid: &[Tensor],
) -> Result<Vec<AnchorSamples>, TrainError> {
    let mut maps = Vec::new();
    for level in pyramid {
        let (_, _, height, width) = level.dims4()?;
        maps.push(Size::new(width, height));
    }
    let images = batch.truths.iter().zip(&batch.draws).zip(&batch.transforms);
    let stage = &config.train_cfg.rpn;
    Ok(images
        .map(|((truth, of), transform)| {
            draw_anchors(&detector.rpn, &maps, transform.padded, truth, stage, of)
        })
        .collect())
}
