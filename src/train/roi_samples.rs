//! The four losses of the heads.
//!
//! Axes: R RoIs of the batch, image by image, positives before negatives; P positives; C classes; S = 28.

use candle_core::{D, Tensor};

use super::TrainError;
use super::assigner::assign;
use super::rpn_samples::zero;
use super::sampler::{Draw, Purpose, draw};
use super::targets::{mask_iou_targets, mask_targets};
use crate::config::{Config, TrainRcnn};
use crate::model::box_coder::BoxCoder;
use crate::model::box_head::BoxOutputs;
use crate::model::pooler::ImageRoi;
use crate::model::{Detector, label_tensor};
use crate::ops::losses::{bce_sum, cross_entropy_sum, l1_sum, squared_sum};
use crate::ops::sigmoid;
use crate::structures::{BoxXyxy, GroundTruth};

/// The RoIs that one image's losses look at, in the input frame.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RoiSamples {
    /// RoIs that answer for a ground truth.
    pub positive: Vec<BoxXyxy>,
    /// The ground truth of each.
    pub truths: Vec<usize>,
    /// Background.
    pub negative: Vec<BoxXyxy>,
}

/// Draws RoIs for one image from its ground truths (if they are to be added) and its proposals.
pub fn draw_rois(
    proposals: &[BoxXyxy],
    truth: &GroundTruth,
    config: &TrainRcnn,
    of: &Draw,
) -> RoiSamples {
    let added = if config.sampler.add_gt_as_proposals {
        truth.boxes.as_slice()
    } else {
        &[]
    };
    let candidates: Vec<BoxXyxy> = added.iter().chain(proposals).copied().collect();
    let mut assigned = assign(&candidates, &truth.boxes, &config.assigner);
    for (index, assigned) in assigned.iter_mut().take(added.len()).enumerate() {
        if truth.boxes[index].width() > 0.0 && truth.boxes[index].height() > 0.0 {
            *assigned = super::Assigned::Positive(index);
        }
    }
    let drawn = draw(&assigned, &config.sampler, &mut of.stream(Purpose::Rois));
    let boxes = |indices: &[usize]| indices.iter().map(|&index| candidates[index]).collect();
    RoiSamples {
        positive: boxes(&drawn.positive),
        negative: boxes(&drawn.negative),
        truths: drawn.truths,
    }
}

/// Class, box, mask and mask-IoU loss of a batch, loss weights applied.
///
/// # Errors
/// A label that the model has no class for; a failed tensor operation.
pub fn roi_losses(
    detector: &Detector,
    pyramid: &[Tensor],
    samples: &[RoiSamples],
    truths: &[GroundTruth],
    config: &Config,
) -> Result<[Tensor; 4], TrainError> {
    check_labels(truths, config.num_classes.saturating_sub(1))?;
    let [cls, bbox] = box_losses(detector, pyramid, samples, truths, config)?;
    let [mask, mask_iou] = mask_losses(detector, pyramid, samples, truths, config)?;
    Ok([cls, bbox, mask, mask_iou])
}

fn check_labels(truths: &[GroundTruth], classes: usize) -> Result<(), TrainError> {
    for (image, truth) in truths.iter().enumerate() {
        if let Some(&label) = truth.labels.iter().find(|&&label| label >= classes) {
            return Err(TrainError::Label {
                image,
                label,
                classes,
            });
        }
    }
    Ok(())
}

fn box_losses(
    detector: &Detector,
    pyramid: &[Tensor],
    samples: &[RoiSamples],
    truths: &[GroundTruth],
    config: &Config,
) -> Result<[Tensor; 2], TrainError> {
    let device = pyramid[0].device();
    let background = config.num_classes.saturating_sub(1);
    let coder = BoxCoder::new(&config.bbox_head.bbox_coder);
    let (mut rois, mut labels, mut own_rows, mut encoded) = (vec![], vec![], vec![], vec![]);
    for (image, (samples, truth)) in samples.iter().zip(truths).enumerate() {
        for (&bbox, &index) in samples.positive.iter().zip(&samples.truths) {
            let label = truth.labels[index];
            own_rows.push(if config.bbox_head.reg_class_agnostic {
                rois.len() as u32
            } else {
                (rois.len() * background + label) as u32
            });
            encoded.extend(coder.encode(bbox, truth.boxes[index]));
            rois.push(ImageRoi { image, bbox });
            labels.push(label);
        }
        rois.extend(
            samples
                .negative
                .iter()
                .map(|&bbox| ImageRoi { image, bbox }),
        );
        labels.resize(rois.len(), background);
    }
    if rois.is_empty() {
        return Ok([zero(device)?, zero(device)?]);
    }
    let features = detector.box_head.pooler.pool(pyramid, &rois)?;
    let BoxOutputs { logits, deltas } = detector.box_head.forward(&features)?;
    let count = rois.len() as f64;
    let cls = cross_entropy_sum(&logits, &label_tensor(labels, device)?)?;
    let bbox = if own_rows.is_empty() {
        zero(device)?
    } else {
        let targets = Tensor::from_vec(encoded, (own_rows.len(), 4), device)?;
        let rows = deltas.reshape(((), 4))?; // (R,4C) -> (R·C,4)
        l1_sum(
            &rows.index_select(&Tensor::new(own_rows, device)?, 0)?,
            &targets,
        )?
    };
    Ok([
        (cls * (config.bbox_head.loss_cls.loss_weight / count))?,
        (bbox * (config.bbox_head.loss_bbox.loss_weight / count))?,
    ])
}

fn mask_losses(
    detector: &Detector,
    pyramid: &[Tensor],
    samples: &[RoiSamples],
    truths: &[GroundTruth],
    config: &Config,
) -> Result<[Tensor; 2], TrainError> {
    let device = pyramid[0].device();
    let side = config.train_cfg.rcnn.mask_size;
    let (mut rois, mut labels, mut targets) = (vec![], vec![], vec![]);
    for (image, (samples, truth)) in samples.iter().zip(truths).enumerate() {
        rois.extend(
            samples
                .positive
                .iter()
                .map(|&bbox| ImageRoi { image, bbox }),
        );
        labels.extend(samples.truths.iter().map(|&index| truth.labels[index]));
        targets.extend(mask_targets(
            truth,
            &samples.positive,
            &samples.truths,
            side,
        )?);
    }
    if rois.is_empty() {
        return Ok([zero(device)?, zero(device)?]);
    }
    let labels = label_tensor(labels, device)?;
    let features = detector.mask_pooler.pool(pyramid, &rois)?; // shared by both heads
    let logits = detector.mask_head.forward(&features, &labels)?; // (P,S,S)
    let shape = logits.shape().clone();
    let wanted = Tensor::from_vec(targets.clone(), shape.clone(), device)?;
    let mask = (bce_sum(&logits, &wanted)? / shape.elem_count() as f64)?;
    let mask = (mask * config.mask_head.loss_mask.loss_weight)?;
    let Some(head) = &detector.mask_iou_head else {
        return Ok([mask, zero(device)?]);
    };
    // The IoU loss must not teach masks to be predictable: no gradient into the mask.
    let probabilities = logits.detach().flatten_all()?.to_vec1::<f32>()?;
    let probabilities: Vec<f32> = probabilities.into_iter().map(sigmoid).collect();
    let wanted = iou_targets(samples, truths, &probabilities, &targets, config);
    let masks = Tensor::from_vec(probabilities, shape, device)?;
    let scores = head.score(&features, &masks, &labels)?; // (P)
    let (rows, wanted): (Vec<u32>, Vec<f32>) = wanted.into_iter().unzip();
    if rows.is_empty() {
        return Ok([mask, zero(device)?]);
    }
    let count = rows.len();
    let scores = scores.index_select(&Tensor::new(rows, device)?, D::Minus1)?;
    let squares = squared_sum(&scores, &Tensor::from_vec(wanted, count, device)?)?;
    let weight = config.mask_iou_head.loss_iou.loss_weight / count as f64;
    Ok([mask, (squares * weight)?])
}

/// Row and target of every positive that enters the mask-IoU loss: those with a target above 0.
fn iou_targets(
    samples: &[RoiSamples],
    truths: &[GroundTruth],
    probabilities: &[f32],
    targets: &[f32],
    config: &Config,
) -> Vec<(u32, f32)> {
    let threshold = config.train_cfg.rcnn.mask_thr_binary as f32;
    let cells = config.train_cfg.rcnn.mask_size * config.train_cfg.rcnn.mask_size;
    let mut wanted = Vec::new();
    let mut first = 0;
    for (samples, truth) in samples.iter().zip(truths) {
        let rows = first..first + samples.positive.len();
        let values = rows.start * cells..rows.end * cells;
        let predicted: Vec<bool> = probabilities[values.clone()]
            .iter()
            .map(|&probability| probability > threshold)
            .collect();
        let ious = mask_iou_targets(
            truth,
            &samples.positive,
            &samples.truths,
            &predicted,
            &targets[values],
        );
        let counted = rows
            .clone()
            .zip(ious)
            .filter_map(|(row, iou)| Some((row as u32, iou?)));
        wanted.extend(counted.filter(|(_, iou)| *iou > 0.0));
        first = rows.end;
    }
    wanted
}
