//! The mask-IoU head: how well a predicted mask will overlap the true one. This is mask scoring.
//!
//! Axes: R detections, F channels of the pyramid, Q of the head, C foreground classes.

use candle_core::{D, DType, Tensor};

use super::ModelError;
use super::params::{ConvShape, Params};
use crate::config::Config;
use crate::ops::conv2d::{Activation, Conv2d, Linear};
use crate::ops::{MaxPool2d, max_pool2d};

/// Convolutions over features and mask together, then fully connected layers.
#[derive(Debug, Clone)]
pub struct MaskIouHead {
    convs: Vec<Conv2d>,
    hidden: Vec<Linear>,
    output: Linear,
}

impl MaskIouHead {
    pub(super) fn new(params: &Params<'_>, config: &Config) -> Result<Self, ModelError> {
        let head = &config.mask_iou_head;
        let name = |part: &str, index: usize| format!("roi_head.mask_iou_head.{part}.{index}");
        let mut convs = Vec::new();
        let mut inputs = head.in_channels + 1; // the mask is the last channel
        for index in 0..head.num_convs {
            let stride = if index + 1 == head.num_convs { 2 } else { 1 };
            let shape = ConvShape::strided(head.conv_out_channels, inputs, 3, stride);
            convs.push(params.conv(&name("convs", index), shape, Activation::Relu)?);
            inputs = head.conv_out_channels;
        }
        let side = head.roi_feat_size.div_ceil(2); // after the stride-2 convolution
        let mut inputs = inputs * side * side;
        let mut hidden = Vec::new();
        for index in 0..head.num_fcs {
            let outputs = head.fc_out_channels;
            hidden.push(params.linear(&name("fcs", index), outputs, inputs, Activation::Relu)?);
            inputs = outputs;
        }
        Ok(Self {
            convs,
            hidden,
            output: params.linear(
                "roi_head.mask_iou_head.fc_mask_iou",
                config.num_classes.saturating_sub(1),
                inputs,
                Activation::None,
            )?,
        })
    }

    /// (R,F,14,14) features and (R,28,28) mask probabilities -> (R,C) predicted IoU for each class, not clamped.
    ///
    /// # Errors
    /// A failed tensor operation.
    pub fn forward(&self, features: &Tensor, masks: &Tensor) -> Result<Tensor, ModelError> {
        let halve = MaxPool2d {
            kernel: 2,
            stride: 2,
            padding: 0,
        };
        let pooled = max_pool2d(&masks.unsqueeze(1)?, halve)?; // (R,28,28) -> (R,1,14,14)
        let mut x = Tensor::cat(&[features, &pooled], 1)?; // (R,F+1,14,14)
        for conv in &self.convs {
            x = conv.forward(&x)?;
        }
        let mut x = x.flatten_from(1)?; // (R,Q,7,7) -> (R,Q·49), channel-major
        for layer in &self.hidden {
            x = layer.forward(&x)?;
        }
        Ok(self.output.forward(&x)?.to_dtype(DType::F32)?)
    }

    /// As `forward`, for the class of each RoI only: labels (R) -> (R).
    ///
    /// # Errors
    /// A label that the model does not have; a failed tensor operation.
    pub fn score(
        &self,
        features: &Tensor,
        masks: &Tensor,
        labels: &Tensor,
    ) -> Result<Tensor, ModelError> {
        let every_class = self.forward(features, masks)?;
        let column = labels.unsqueeze(1)?;
        Ok(every_class.gather(&column, D::Minus1)?.squeeze(1)?) // (R,C) -> (R)
    }
}
