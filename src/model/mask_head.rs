//! The mask head: a 28×28 mask of each detection, for its own class only.
//!
//! Axes: R detections, F channels of the pyramid, M of the head, C foreground classes; S = 28 rows and columns.

use candle_core::{DType, Tensor};

use super::ModelError;
use super::params::{ConvShape, Params};
use crate::config::Config;
use crate::ops::conv2d::{Activation, Conv2d, Deconv2x2};

/// Convolutions, a deconvolution, and the last layer as rows, one a class.
#[derive(Debug, Clone)]
pub struct MaskHead {
    convs: Vec<Conv2d>,
    upsample: Deconv2x2,
    /// (C,M,1,1)
    logit_rows: Tensor,
    /// (C)
    logit_biases: Tensor,
}

impl MaskHead {
    pub(super) fn new(params: &Params<'_>, config: &Config) -> Result<Self, ModelError> {
        let head = &config.mask_head;
        let classes = config.num_classes.saturating_sub(1);
        let channels = head.conv_out_channels;
        let mut convs = Vec::new();
        for index in 0..head.num_convs {
            let inputs = if index == 0 {
                head.in_channels
            } else {
                channels
            };
            convs.push(params.conv(
                &format!("roi_head.mask_head.convs.{index}.conv"),
                ConvShape::new(channels, inputs, 3),
                Activation::Relu,
            )?);
        }
        let logits = "roi_head.mask_head.conv_logits";
        let rows = params.tensor(&format!("{logits}.weight"), &[classes, channels, 1, 1])?;
        let biases = params.tensor(&format!("{logits}.bias"), &[classes])?;
        Ok(Self {
            convs,
            upsample: params.deconv(
                "roi_head.mask_head.upsample",
                channels,
                channels,
                Activation::Relu,
            )?,
            logit_rows: rows,
            logit_biases: biases,
        })
    }

    /// (R,F,14,14) and labels (R) -> (R,28,28) logits, each of the RoI's own class.
    ///
    /// # Errors
    /// A label that the model does not have; a failed tensor operation.
    pub fn forward(&self, features: &Tensor, labels: &Tensor) -> Result<Tensor, ModelError> {
        let mut x = features.clone();
        for conv in &self.convs {
            x = conv.forward(&x)?;
        }
        // (R,M,28,28); the last layer has its weights in f32
        let x = self.upsample.forward(&x)?.to_dtype(DType::F32)?;
        let (r, channels, height, width) = x.dims4()?;
        // A row of the last layer each: (C,M,1,1) -> (R,M,1,1) -> (R,1,M)
        let rows = self.logit_rows.index_select(labels, 0)?;
        let rows = rows.reshape((r, 1, channels))?;
        let biases = self.logit_biases.index_select(labels, 0)?;
        let biases = biases.reshape((r, 1, 1))?;
        let logits = rows.matmul(&x.reshape((r, channels, height * width))?)?; // (R,1,S·S)
        Ok(logits.broadcast_add(&biases)?.reshape((r, height, width))?)
    }
}
