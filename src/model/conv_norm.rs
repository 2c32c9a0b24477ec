//! A convolution without bias and the BatchNorm behind it: folded into one layer where the norm is frozen.
//!
//! Axes: N images, I and O channels, H and W.

use std::sync::Arc;

use candle_core::{Tensor, Var};

use super::ModelError;
use crate::ops::conv2d::{Activation, Conv2d};
use crate::ops::{BatchNorm, BatchStatistics, add_relu, batch_statistics};

/// Share of a batch in the running statistics.
const MOMENTUM: f64 = 0.1;

/// The pair with what follows it.
#[derive(Debug, Clone)]
pub(super) struct ConvNorm {
    conv: Conv2d,
    /// None where it is folded into `conv`.
    norm: Option<BatchNormLayer>,
    activation: Activation,
}

/// A BatchNorm on the statistics of its batch.
#[derive(Debug, Clone)]
pub(super) struct BatchNormLayer {
    pub(super) gamma: Tensor,
    pub(super) beta: Tensor,
    pub(super) running_mean: Var,
    pub(super) running_variance: Var,
    pub(super) epsilon: f64,
}

impl ConvNorm {
    /// A convolution that holds scale and shift of its norm, and the activation.
    pub(super) fn folded(conv: Conv2d, activation: Activation) -> Self {
        Self {
            conv,
            norm: None,
            activation,
        }
    }

    /// A plain convolution and its norm.
    pub(super) fn separate(conv: Conv2d, norm: BatchNormLayer, activation: Activation) -> Self {
        Self {
            conv,
            norm: Some(norm),
            activation,
        }
    }

    /// (N,I,H,W) -> (N,O,H',W').
    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor, ModelError> {
        let y = self.conv.forward(x)?;
        match &self.norm {
            None => Ok(y),
            Some(norm) => norm.forward(&y, self.activation),
        }
    }

    /// (N,I,H,W) and (N,O,H',W') -> (N,O,H',W'): the sum before the activation.
    pub(super) fn forward_add(&self, x: &Tensor, residual: &Tensor) -> Result<Tensor, ModelError> {
        let Some(norm) = &self.norm else {
            return Ok(self.conv.forward_add(x, residual)?);
        };
        let y = norm.forward(&self.conv.forward(x)?, Activation::None)?;
        Ok(match self.activation {
            Activation::Relu => add_relu(&y, residual)?,
            Activation::None => (y + residual)?,
        })
    }
}

impl BatchNormLayer {
    fn forward(&self, x: &Tensor, activation: Activation) -> Result<Tensor, ModelError> {
        let statistics = batch_statistics(x)?;
        self.follow(&statistics)?;
        let norm = BatchNorm {
            statistics: Arc::new(statistics),
            epsilon: self.epsilon,
            activation,
        };
        Ok(norm.forward(x, &self.gamma, &self.beta)?)
    }

    /// running = 0.9·running + 0.1·batch, with the unbiased variance.
    fn follow(&self, batch: &BatchStatistics) -> Result<(), ModelError> {
        let blend = |running: &Var, batch: &mut dyn Iterator<Item = f64>| {
            let old = running.to_vec1::<f32>()?;
            let values = old
                .iter()
                .zip(batch)
                .map(|(&old, new)| ((1.0 - MOMENTUM) * f64::from(old) + MOMENTUM * new) as f32);
            let new = Tensor::from_iter(values, running.device())?;
            running.set(&new)
        };
        blend(&self.running_mean, &mut batch.mean.iter().copied())?;
        blend(&self.running_variance, &mut batch.unbiased_variance())?;
        Ok(())
    }
}
