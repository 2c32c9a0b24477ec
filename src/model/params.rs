//! Takes layers out of a checkpoint: by name, with their shape checked and frozen BatchNorm folded in.
//!
//! Axes: O output and I input channels, k side of a kernel.

use candle_core::{Device, Tensor};

use super::ModelError;
use crate::ops::conv2d::{Activation, Conv2d, Deconv2x2, Linear, Sums};
use crate::weights::Weights;

const BATCH_NORM_EPSILON: f64 = 1e-5; // mmdetection and MindSpore

/// Channels and window of a convolution.
#[derive(Clone, Copy, Debug)]
pub(super) struct ConvShape {
    pub(super) outputs: usize,
    pub(super) inputs: usize,
    pub(super) kernel: usize,
    pub(super) stride: usize,
}

impl ConvShape {
    /// A window that moves one cell at a time.
    pub(super) fn new(outputs: usize, inputs: usize, kernel: usize) -> Self {
        Self::strided(outputs, inputs, kernel, 1)
    }

    /// A window that moves `stride` cells at a time.
    pub(super) fn strided(outputs: usize, inputs: usize, kernel: usize, stride: usize) -> Self {
        Self {
            outputs,
            inputs,
            kernel,
            stride,
        }
    }

    fn weight(self) -> [usize; 4] {
        [self.outputs, self.inputs, self.kernel, self.kernel]
    }
}

/// Zeros on every side that keep the size of a map, or halve it rounding up where the stride is 2.
///
/// The one place that decides where padding goes: symmetric, as mmdetection has it. Whether MindSpore's original pads
/// its stride-2 layers at the bottom and right only could not be found out (it would shift boxes by about 2 px).
pub(super) fn padding(kernel: usize) -> usize {
    kernel / 2
}

/// The tensors of a checkpoint on their way into layers.
pub(super) struct Params<'a> {
    pub(super) weights: &'a Weights,
    pub(super) device: &'a Device,
    pub(super) sums: Sums,
}

/// Pyramid channels below which a model adds up in f64: it costs little there, and heads scaled up for so few channels
/// turn the rounding of a long f32 sum into another decision at a threshold.
const NARROW: usize = 64;

/// How a model with so many pyramid channels adds up.
pub(super) fn sums(pyramid_channels: usize) -> Sums {
    if pyramid_channels < NARROW {
        Sums::F64
    } else {
        Sums::F32
    }
}

impl Params<'_> {
    /// A convolution with `{name}.weight` and `{name}.bias`.
    pub(super) fn conv(
        &self,
        name: &str,
        shape: ConvShape,
        activation: Activation,
    ) -> Result<Conv2d, ModelError> {
        let weight = self.values(&format!("{name}.weight"), &shape.weight())?;
        let bias = self.values(&format!("{name}.bias"), &[shape.outputs])?;
        self.conv_from(weight, bias, shape, activation)
    }

    /// A convolution without bias followed by the frozen BatchNorm `norm`, as one convolution:
    /// `y = (conv(x) − μ)·k + β` with `k = γ/√(σ² + ε)`.
    pub(super) fn conv_norm(
        &self,
        conv: &str,
        norm: &str,
        shape: ConvShape,
        activation: Activation,
    ) -> Result<Conv2d, ModelError> {
        let mut weight = self.values(&format!("{conv}.weight"), &shape.weight())?;
        let statistic = |part| self.values(&format!("{norm}.{part}"), &[shape.outputs]);
        let (gamma, beta) = (statistic("weight")?, statistic("bias")?);
        let (mean, variance) = (statistic("running_mean")?, statistic("running_var")?);
        let mut bias = Vec::with_capacity(shape.outputs);
        let kernel_len = weight.len() / shape.outputs.max(1);
        for (output, row) in weight.chunks_exact_mut(kernel_len.max(1)).enumerate() {
            let deviation = (f64::from(variance[output]) + BATCH_NORM_EPSILON).sqrt();
            let scale = f64::from(gamma[output]) / deviation;
            for value in row {
                *value = (f64::from(*value) * scale) as f32;
            }
            bias.push((f64::from(beta[output]) - f64::from(mean[output]) * scale) as f32);
        }
        self.conv_from(weight, bias, shape, activation)
    }

    /// A fully connected layer with `{name}.weight` (O,I) and `{name}.bias` (O).
    pub(super) fn linear(
        &self,
        name: &str,
        outputs: usize,
        inputs: usize,
        activation: Activation,
    ) -> Result<Linear, ModelError> {
        let weight = self.tensor(&format!("{name}.weight"), &[outputs, inputs])?;
        let bias = self.tensor(&format!("{name}.bias"), &[outputs])?;
        Ok(Linear::new(weight, bias, activation)?.with_sums(self.sums)?)
    }

    /// A 2×2 deconvolution with `{name}.weight` (I,O,2,2) and `{name}.bias` (O).
    pub(super) fn deconv(
        &self,
        name: &str,
        outputs: usize,
        inputs: usize,
        activation: Activation,
    ) -> Result<Deconv2x2, ModelError> {
        let weight = self.tensor(&format!("{name}.weight"), &[inputs, outputs, 2, 2])?;
        let bias = self.tensor(&format!("{name}.bias"), &[outputs])?;
        Ok(Deconv2x2::new(weight, bias, activation)?.with_sums(self.sums)?)
    }

    /// One tensor on the device.
    pub(super) fn tensor(&self, name: &str, shape: &[usize]) -> Result<Tensor, ModelError> {
        let values = self.values(name, shape)?;
        Ok(Tensor::from_vec(values, shape, self.device)?)
    }

    fn conv_from(
        &self,
        weight: Vec<f32>,
        bias: Vec<f32>,
        shape: ConvShape,
        activation: Activation,
    ) -> Result<Conv2d, ModelError> {
        let weight = Tensor::from_vec(weight, &shape.weight(), self.device)?;
        let bias = Tensor::from_vec(bias, shape.outputs, self.device)?;
        let padding = padding(shape.kernel);
        let conv = Conv2d::new(weight, bias, shape.stride, padding, activation)?;
        Ok(conv.with_sums(self.sums)?)
    }

    fn values(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, ModelError> {
        let values = self.weights.values(name, shape)?;
        if values.iter().all(|value| value.is_finite()) {
            Ok(values)
        } else {
            Err(ModelError::BrokenWeight { name: name.into() })
        }
    }
}
