//! The region proposal network: which anchors hold an object, and the boxes they become.
//!
//! Axes: N images, A anchors a cell, H and W of a level.

use candle_core::{DType, Tensor};

use super::ModelError;
use super::anchors::LevelAnchors;
use super::box_coder::BoxCoder;
use super::params::{ConvShape, Params};
use crate::config::{self, Dialect};
use crate::ops::conv2d::{Activation, Conv2d};
use crate::ops::kernels::{Launcher, boxes as device_boxes};
use crate::ops::nms::{descending, nms, sorted_by_score};
use crate::ops::sigmoid;
use crate::structures::{BoxXyxy, ImageTransform, Size};

/// One head shared over the levels.
#[derive(Debug, Clone)]
pub struct RpnHead {
    conv: Conv2d,
    cls: Conv2d,
    reg: Conv2d,
    /// Anchors of each level, finest first.
    pub anchors: Vec<LevelAnchors>,
    coder: BoxCoder,
    dialect: Dialect,
}

/// What the head says of one level.
#[derive(Debug, Clone)]
pub struct RpnLevel {
    /// (N,A,H,W), before the sigmoid.
    pub logits: Tensor,
    /// (N,4A,H,W), channel 4a + k with k = dx, dy, dw, dh.
    pub deltas: Tensor,
}

/// What the head says of one level, in the memory of a device.
#[derive(Debug)]
pub struct LevelOn<'a, B> {
    /// (N,A,H,W), before the sigmoid.
    pub logits: &'a B,
    /// (N,4A,H,W)
    pub deltas: &'a B,
    /// W and H
    pub size: Size,
}

/// Proposals of one image, best first.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Proposals {
    /// In the input frame, clipped as the dialect says.
    pub boxes: Vec<BoxXyxy>,
    /// Objectness, 0..1.
    pub scores: Vec<f32>,
}

impl RpnHead {
    pub(super) fn new(
        params: &Params<'_>,
        config: &config::Rpn,
        dialect: Dialect,
    ) -> Result<Self, ModelError> {
        let generator = &config.anchor_generator;
        let shapes = generator.ratios.len() * generator.scales.len();
        let hidden = config.feat_channels;
        let conv = ConvShape::new(hidden, config.in_channels, 3);
        let cls = ConvShape::new(shapes, hidden, 1);
        let reg = ConvShape::new(4 * shapes, hidden, 1);
        Ok(Self {
            conv: params.conv("rpn_head.rpn_conv", conv, Activation::Relu)?,
            cls: params.conv("rpn_head.rpn_cls", cls, Activation::None)?,
            reg: params.conv("rpn_head.rpn_reg", reg, Activation::None)?,
            anchors: LevelAnchors::of_levels(generator),
            coder: BoxCoder::new(&config.bbox_coder),
            dialect,
        })
    }

    /// P2..P6 -> logits and deltas of each level.
    ///
    /// # Errors
    /// A failed tensor operation.
    pub fn forward(&self, pyramid: &[Tensor]) -> Result<Vec<RpnLevel>, ModelError> {
        let level = |map| {
            let hidden = self.conv.forward(map)?;
            Ok(RpnLevel {
                logits: self.cls.forward(&hidden)?.to_dtype(DType::F32)?,
                deltas: self.reg.forward(&hidden)?.to_dtype(DType::F32)?,
            })
        };
        pyramid.iter().map(level).collect()
    }

    /// The best boxes of each image after suppression within each level.
    ///
    /// # Errors
    /// NaN or infinite outputs; a failed tensor operation.
    pub fn propose(
        &self,
        levels: &[RpnLevel],
        transforms: &[ImageTransform],
        config: &config::Proposals,
    ) -> Result<Vec<Proposals>, ModelError> {
        #[cfg(feature = "cuda")]
        if let Some(level) = levels.first()
            && level.logits.device().is_cuda()
            && self.device_rules(config).fit()
        {
            return self.propose_on_cuda(levels, transforms, config);
        }
        let mut images = vec![Proposals::default(); transforms.len()];
        for (level, anchors) in levels.iter().zip(&self.anchors) {
            let (_, _, height, width) = level.logits.dims4()?;
            let logits = level.logits.flatten_from(1)?.to_vec2::<f32>()?;
            let deltas = level.deltas.flatten_from(1)?.to_vec2::<f32>()?;
            let outputs = logits.iter().zip(&deltas);
            for ((image, transform), (logits, deltas)) in
                images.iter_mut().zip(transforms).zip(outputs)
            {
                let map = LevelOutput {
                    anchors,
                    size: Size::new(width, height),
                    logits,
                    deltas,
                };
                let found = self.propose_level(&map, transform, config)?;
                image.boxes.extend(found.boxes);
                image.scores.extend(found.scores);
            }
        }
        Ok(images
            .into_iter()
            .map(|image| image.best(config.max_per_img))
            .collect())
    }

    /// As `propose`, of outputs on a device by its kernels: the boxes alone come to the host. `levels` are as many as
    /// `anchors`, on maps of the given height and width, logits (N,A,H,W) with deltas (N,4A,H,W).
    ///
    /// # Errors
    /// NaN or infinite outputs; more candidates than the kernels hold; the launcher's.
    pub fn propose_on<L: Launcher>(
        &self,
        on: &L,
        levels: &[LevelOn<'_, L::Buffer>],
        transforms: &[ImageTransform],
        config: &config::Proposals,
    ) -> Result<Vec<Proposals>, ModelError> {
        let pairs = levels.iter().zip(&self.anchors);
        let levels: Vec<_> = pairs
            .map(|(level, anchors)| device_boxes::Level {
                logits: level.logits,
                deltas: level.deltas,
                size: (level.size.height, level.size.width),
                stride: anchors.stride,
                base: &anchors.base,
            })
            .collect();
        let limits: Vec<(f32, f32)> = transforms
            .iter()
            .map(|transform| self.clip(transform))
            .map(|size| (size.width as f32, size.height as f32))
            .collect();
        let rules = self.device_rules(config);
        let coder = self.coder.numbers();
        let images = device_boxes::proposals(on, &levels, &limits, &coder, &rules)?;
        images.into_iter().map(Proposals::from_kept).collect()
    }

    #[cfg(feature = "cuda")]
    fn propose_on_cuda(
        &self,
        levels: &[RpnLevel],
        transforms: &[ImageTransform],
        config: &config::Proposals,
    ) -> Result<Vec<Proposals>, ModelError> {
        let outputs = levels
            .iter()
            .flat_map(|level| [&level.logits, &level.deltas]);
        let outputs: Vec<&Tensor> = outputs.collect();
        let sizes = levels.iter().map(|level| {
            let (_, _, height, width) = level.logits.dims4()?;
            Ok(Size::new(width, height))
        });
        let sizes = sizes.collect::<candle_core::Result<Vec<Size>>>()?;
        crate::ops::cuda::read(&outputs, "proposals", |on, words| {
            let pairs = words.as_chunks::<2>().0.iter().zip(&sizes);
            let levels: Vec<_> = pairs
                .map(|([logits, deltas], &size)| LevelOn {
                    logits,
                    deltas,
                    size,
                })
                .collect();
            Ok(self.propose_on(on, &levels, transforms, config))
        })?
    }

    fn device_rules(&self, config: &config::Proposals) -> device_boxes::ProposalRules {
        device_boxes::ProposalRules {
            nms_pre: config.nms_pre,
            max_per_img: config.max_per_img,
            iou_threshold: config.iou_threshold as f32,
            min_size: config.min_bbox_size as f32,
            keeps_equal: self.dialect == Dialect::Mindspore,
        }
    }

    /// What boxes are clipped to.
    fn clip(&self, transform: &ImageTransform) -> Size {
        match self.dialect {
            Dialect::Mindspore => transform.padded,
            Dialect::Mmdet => transform.resized,
        }
    }

    fn propose_level(
        &self,
        map: &LevelOutput<'_>,
        transform: &ImageTransform,
        config: &config::Proposals,
    ) -> Result<Proposals, ModelError> {
        let clip = self.clip(transform);
        let scores = map.scores()?;
        let mut candidates = Proposals::default();
        for index in best_indices(&scores, config.nms_pre) {
            let decoded = self.coder.decode(map.anchor(index), map.deltas(index));
            if !decoded.is_finite() {
                return Err(ModelError::Nan { stage: "RPN boxes" });
            }
            let clipped = decoded.clamp_to(clip.width as f32, clip.height as f32);
            if self.is_large_enough(clipped, config.min_bbox_size as f32) {
                candidates.boxes.push(clipped);
                candidates.scores.push(scores[index]);
            }
        }
        let threshold = config.iou_threshold as f32;
        let keep = nms(&candidates.boxes, &candidates.scores, threshold);
        Ok(candidates.select(&keep))
    }

    fn is_large_enough(&self, candidate: BoxXyxy, min_size: f32) -> bool {
        let (width, height) = (candidate.width(), candidate.height());
        match self.dialect {
            Dialect::Mindspore => width >= min_size && height >= min_size,
            Dialect::Mmdet => width > min_size && height > min_size,
        }
    }
}

impl Proposals {
    fn from_kept(kept: Vec<device_boxes::Kept>) -> Result<Self, ModelError> {
        if kept.iter().any(|kept| kept.score.is_nan()) {
            return Err(ModelError::Nan {
                stage: "RPN scores or boxes",
            });
        }
        Ok(Self {
            boxes: kept.iter().map(|kept| kept.bbox).collect(),
            scores: kept.iter().map(|kept| kept.score).collect(),
        })
    }

    fn select(&self, indices: &[usize]) -> Self {
        Self {
            boxes: indices.iter().map(|&index| self.boxes[index]).collect(),
            scores: indices.iter().map(|&index| self.scores[index]).collect(),
        }
    }

    fn best(&self, count: usize) -> Self {
        let mut order = sorted_by_score(&self.scores);
        order.truncate(count);
        self.select(&order)
    }
}

/// One level of one image on the host.
struct LevelOutput<'a> {
    anchors: &'a LevelAnchors,
    size: Size,
    /// (A,H,W)
    logits: &'a [f32],
    /// (4A,H,W)
    deltas: &'a [f32],
}

impl LevelOutput<'_> {
    /// Objectness by flat index (H,W,A).
    fn scores(&self) -> Result<Vec<f32>, ModelError> {
        let (shapes, cells) = (self.anchors.base.len(), self.size.pixels());
        let mut scores = Vec::with_capacity(self.logits.len());
        for cell in 0..cells {
            // (A,H,W) -> (H,W,A)
            scores.extend((0..shapes).map(|shape| sigmoid(self.logits[shape * cells + cell])));
        }
        if scores.iter().any(|score| score.is_nan()) {
            return Err(ModelError::Nan {
                stage: "RPN scores",
            });
        }
        Ok(scores)
    }

    fn deltas(&self, index: usize) -> [f32; 4] {
        let (shapes, cells) = (self.anchors.base.len(), self.size.pixels());
        let (cell, shape) = (index / shapes, index % shapes);
        std::array::from_fn(|k| self.deltas[(4 * shape + k) * cells + cell])
    }

    fn anchor(&self, index: usize) -> BoxXyxy {
        self.anchors.at(self.size.width, index)
    }
}

/// The `count` best indices, best first; equal scores by index.
fn best_indices(scores: &[f32], count: usize) -> Vec<usize> {
    let by_score = |&a: &usize, &b: &usize| descending(scores[a], scores[b]).then(a.cmp(&b));
    let mut indices: Vec<usize> = (0..scores.len()).collect();
    if indices.len() > count {
        if count > 0 {
            indices.select_nth_unstable_by(count - 1, by_score);
        }
        indices.truncate(count);
        indices.sort_unstable_by(by_score);
    }
    indices
}
