//! The two losses of the region proposal network.
//!
//! Axes: N images, A anchors a cell, H and W of a level, T all anchors of an image, S those drawn.

use candle_core::{D, Device, Tensor};

use super::TrainError;
use super::assigner::assign;
use super::sampler::{Draw, Drawn, Purpose, draw};
use crate::config::{Config, Sampler, TrainStage};
use crate::model::box_coder::BoxCoder;
use crate::model::rpn::{RpnHead, RpnLevel};
use crate::ops::losses::{bce_sum, l1_sum};
use crate::structures::{BoxXyxy, GroundTruth, Size};

/// The anchors that one image's losses look at. Indices run over all levels, finest first, (row, column, shape) in each.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AnchorSamples {
    /// What was drawn.
    pub drawn: Drawn,
    /// The anchors of `drawn.positive`, in the input frame.
    pub anchors: Vec<BoxXyxy>,
}

/// Draws anchors for one image, out of all whose cell lies in its own padded size: what the largest image of a batch adds
/// on the right and below takes no part, so that the draw does not depend on the other images.
pub fn draw_anchors(
    head: &RpnHead,
    maps: &[Size],
    padded: Size,
    truth: &GroundTruth,
    config: &TrainStage,
    of: &Draw,
) -> AnchorSamples {
    let (mut anchors, mut indices, mut first) = (Vec::new(), Vec::new(), 0);
    for (level, &map) in head.anchors.iter().zip(maps) {
        let own = level.cells(padded);
        let grid = level.grid(map);
        let count = grid.len();
        for (index, anchor) in grid.into_iter().enumerate() {
            let cell = index / level.base.len();
            if cell % map.width < own.width && cell / map.width < own.height {
                anchors.push(anchor);
                indices.push(first + index);
            }
        }
        first += count;
    }
    let assigned = assign(&anchors, &truth.boxes, &config.assigner);
    let mut drawn = draw(&assigned, &config.sampler, &mut of.stream(Purpose::Anchors));
    let anchors = drawn.positive.iter().map(|&index| anchors[index]).collect();
    for index in drawn.positive.iter_mut().chain(&mut drawn.negative) {
        *index = indices[*index];
    }
    AnchorSamples { drawn, anchors }
}

/// Sums of the two losses over their normaliser `sampler.num · N`, loss weights applied: objectness and boxes.
///
/// # Errors
/// A failed tensor operation.
pub fn rpn_losses(
    levels: &[RpnLevel],
    samples: &[AnchorSamples],
    truths: &[GroundTruth],
    config: &Config,
) -> Result<[Tensor; 2], TrainError> {
    let (logits, deltas) = flattened(levels)?;
    let device = logits.device().clone();
    let total = logits.dim(0)? / samples.len().max(1);
    let coder = BoxCoder::new(&config.rpn.bbox_coder);
    let (mut drawn, mut objects, mut positive, mut encoded) = (vec![], vec![], vec![], vec![]);
    for (image, (samples, truth)) in samples.iter().zip(truths).enumerate() {
        let row = |&index: &usize| (image * total + index) as u32;
        drawn.extend(samples.drawn.positive.iter().map(row));
        objects.resize(drawn.len(), 1.0f32);
        drawn.extend(samples.drawn.negative.iter().map(row));
        objects.resize(drawn.len(), 0.0);
        positive.extend(samples.drawn.positive.iter().map(row));
        for (&anchor, &index) in samples.anchors.iter().zip(&samples.drawn.truths) {
            encoded.extend(coder.encode(anchor, truth.boxes[index]));
        }
    }
    let normaliser = normaliser(&config.train_cfg.rpn.sampler, samples.len());
    let of_objects = if drawn.is_empty() {
        zero(&device)?
    } else {
        let targets = Tensor::new(objects, &device)?;
        bce_sum(
            &logits.index_select(&Tensor::new(drawn, &device)?, 0)?,
            &targets,
        )?
    };
    let of_boxes = if positive.is_empty() {
        zero(&device)?
    } else {
        let targets = Tensor::from_vec(encoded, (positive.len(), 4), &device)?;
        l1_sum(
            &deltas.index_select(&Tensor::new(positive, &device)?, 0)?,
            &targets,
        )?
    };
    Ok([
        (of_objects * (config.rpn.loss_cls.loss_weight / normaliser))?,
        (of_boxes * (config.rpn.loss_bbox.loss_weight / normaliser))?,
    ])
}

fn normaliser(sampler: &Sampler, images: usize) -> f64 {
    (sampler.num * images.max(1)) as f64
}

/// A loss without members.
pub(super) fn zero(device: &Device) -> Result<Tensor, TrainError> {
    Ok(Tensor::new(0f32, device)?)
}

/// Logits (N·T) and deltas (N·T,4) of all levels in the order of the anchors.
fn flattened(levels: &[RpnLevel]) -> Result<(Tensor, Tensor), TrainError> {
    let (mut logits, mut deltas) = (Vec::new(), Vec::new());
    for level in levels {
        let n = level.logits.dim(0)?;
        let flat = level.logits.permute((0, 2, 3, 1))?; // (N,A,H,W) -> (N,H,W,A)
        logits.push(flat.reshape((n, ()))?);
        let flat = level.deltas.permute((0, 2, 3, 1))?; // (N,4A,H,W) -> (N,H,W,4A)
        deltas.push(flat.reshape((n, (), 4))?);
    }
    let logits = Tensor::cat(&logits, D::Minus1)?.flatten_all()?;
    let deltas = Tensor::cat(&deltas, 1)?.flatten(0, 1)?;
    Ok((logits, deltas))
}
