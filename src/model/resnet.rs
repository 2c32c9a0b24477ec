//! The backbone: a ResNet of bottleneck blocks with BatchNorm.
//!
//! Axes: N images, H and W of the input; C2..C5 have strides 4, 8, 16, 32.

use candle_core::Tensor;

use super::ModelError;
use super::conv_norm::ConvNorm;
use super::params::{ConvShape, Params, padding};
use crate::config::{Backbone, Style};
use crate::ops::conv2d::Activation;
use crate::ops::{MaxPool2d, max_pool2d};

const EXPANSION: usize = 4; // output channels of a bottleneck per channel of its 3×3
const STEM_KERNEL: usize = 7;
const STEM_POOL: usize = 3;

/// ResNet-50, -101, -152 or tiny.
#[derive(Debug, Clone)]
pub struct ResNet {
    stem: ConvNorm,
    stages: Vec<Vec<Bottleneck>>,
    out_indices: Vec<usize>,
}

impl ResNet {
    pub(super) fn new(params: &Params<'_>, config: &Backbone) -> Result<Self, ModelError> {
        let base = config.base_channels;
        let stem = params.conv_norm(
            "backbone.conv1",
            "backbone.bn1",
            ConvShape::strided(base, 3, STEM_KERNEL, 2),
            Activation::Relu,
        )?;
        let mut stages = Vec::new();
        let mut inputs = base;
        for (index, blocks) in config.depth.blocks().into_iter().enumerate() {
            let channels = base << index;
            let mut stage = Vec::new();
            for block in 0..blocks {
                let shape = BottleneckShape {
                    inputs,
                    channels,
                    stride: if block == 0 && index > 0 { 2 } else { 1 },
                    projected: block == 0,
                    style: config.style,
                };
                let name = format!("backbone.layer{}.{block}", index + 1);
                stage.push(Bottleneck::new(params, &name, shape)?);
                inputs = channels * EXPANSION;
            }
            stages.push(stage);
        }
        Ok(Self {
            stem,
            stages,
            out_indices: config.out_indices.clone(),
        })
    }

    /// (N,3,H,W) -> the stages that the configuration asks for, finest first; C2..C5 of ⌈H/4⌉..⌈H/32⌉ by default.
    ///
    /// # Errors
    /// A failed tensor operation.
    pub fn forward(&self, images: &Tensor) -> Result<Vec<Tensor>, ModelError> {
        let pool = MaxPool2d {
            kernel: STEM_POOL,
            stride: 2,
            padding: padding(STEM_POOL),
        };
        let mut x = max_pool2d(&self.stem.forward(images)?, pool)?;
        let mut outputs = Vec::new();
        for (index, stage) in self.stages.iter().enumerate() {
            for block in stage {
                x = block.forward(&x)?;
            }
            if self.out_indices.contains(&index) {
                outputs.push(x.clone());
            }
        }
        Ok(outputs)
    }
}

/// 1×1, 3×3, 1×1 with a shortcut; the last ReLU is fused with the sum.
#[derive(Debug, Clone)]
struct Bottleneck {
    conv1: ConvNorm,
    conv2: ConvNorm,
    conv3: ConvNorm,
    projection: Option<ConvNorm>,
}

struct BottleneckShape {
    inputs: usize,
    channels: usize,
    stride: usize,
    projected: bool,
    style: Style,
}

impl Bottleneck {
    fn new(params: &Params<'_>, name: &str, shape: BottleneckShape) -> Result<Self, ModelError> {
        let BottleneckShape {
            inputs,
            channels,
            stride,
            ..
        } = shape;
        let outputs = channels * EXPANSION;
        let (stride1, stride2) = match shape.style {
            Style::Caffe => (stride, 1),
            Style::Pytorch => (1, stride),
        };
        let conv = |part: usize, shape, activation| {
            let (conv, norm) = (format!("{name}.conv{part}"), format!("{name}.bn{part}"));
            params.conv_norm(&conv, &norm, shape, activation)
        };
        let projection = || {
            params.conv_norm(
                &format!("{name}.downsample.0"),
                &format!("{name}.downsample.1"),
                ConvShape::strided(outputs, inputs, 1, stride),
                Activation::None,
            )
        };
        let conv1 = ConvShape::strided(channels, inputs, 1, stride1);
        let conv2 = ConvShape::strided(channels, channels, 3, stride2);
        let conv3 = ConvShape::new(outputs, channels, 1);
        Ok(Self {
            conv1: conv(1, conv1, Activation::Relu)?,
            conv2: conv(2, conv2, Activation::Relu)?,
            conv3: conv(3, conv3, Activation::Relu)?,
            projection: shape.projected.then(projection).transpose()?,
        })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor, ModelError> {
        let y = self.conv2.forward(&self.conv1.forward(x)?)?;
        let sum = match &self.projection {
            Some(projection) => self.conv3.forward_add(&y, &projection.forward(x)?)?,
            None => self.conv3.forward_add(&y, x)?,
        };
        Ok(sum)
    }
}
