//! The feature pyramid: every level carries the coarser ones.
//!
//! Axes: N images, F channels of the pyramid; P2..P6 have strides 4, 8, 16, 32, 64.

use candle_core::Tensor;

use super::ModelError;
use super::params::{ConvShape, Params};
use crate::config;
use crate::ops::conv2d::{Activation, Conv2d};
use crate::ops::{MaxPool2d, add_upsampled, max_pool2d};

/// Lateral 1×1 convolutions, a top-down path, 3×3 convolutions.
#[derive(Debug, Clone)]
pub struct Fpn {
    laterals: Vec<Conv2d>,
    outputs: Vec<Conv2d>,
    levels: usize,
}

impl Fpn {
    pub(super) fn new(params: &Params<'_>, config: &config::Fpn) -> Result<Self, ModelError> {
        let channels = config.out_channels;
        let (mut laterals, mut outputs) = (Vec::new(), Vec::new());
        for (level, &inputs) in config.in_channels.iter().enumerate() {
            laterals.push(params.conv(
                &format!("neck.lateral_convs.{level}.conv"),
                ConvShape::new(channels, inputs, 1),
                Activation::None,
            )?);
            outputs.push(params.conv(
                &format!("neck.fpn_convs.{level}.conv"),
                ConvShape::new(channels, channels, 3),
                Activation::None,
            )?);
        }
        Ok(Self {
            laterals,
            outputs,
            levels: config.num_outs,
        })
    }

    /// C2..C5 -> P2..P6, each (N,F,h,w). Levels beyond the backbone's take every second row and column of the one before.
    ///
    /// # Errors
    /// A failed tensor operation.
    pub fn forward(&self, stages: &[Tensor]) -> Result<Vec<Tensor>, ModelError> {
        let subsample = MaxPool2d {
            kernel: 1,
            stride: 2,
            padding: 0,
        };
        let mut pyramid = Vec::new(); // coarsest first
        let mut coarser: Option<Tensor> = None;
        for ((lateral, output), stage) in self.laterals.iter().zip(&self.outputs).zip(stages).rev()
        {
            let mut merged = lateral.forward(stage)?;
            if let Some(coarser) = &coarser {
                merged = add_upsampled(&merged, coarser)?;
            }
            pyramid.push(output.forward(&merged)?);
            coarser = Some(merged);
        }
        pyramid.reverse();
        while let Some(last) = pyramid.last().filter(|_| pyramid.len() < self.levels) {
            pyramid.push(max_pool2d(last, subsample)?);
        }
        Ok(pyramid)
    }
}
