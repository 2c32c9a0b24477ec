//! Takes layers out of a checkpoint, or of the tensors in training: by name, with their shape checked and frozen
//! BatchNorm folded in.
//!
//! Axes: O output and I input channels, k side of a kernel.

use candle_core::{Device, Tensor};

use super::ModelError;
use super::conv_norm::{BatchNormLayer, ConvNorm};
use super::parameters::ParameterSet;
use crate::ops::conv2d::{Activation, Conv2d, Deconv2x2, Linear, Sums};
use crate::structures::Precision;
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

/// Where layers get their tensors from.
#[derive(Clone, Copy)]
pub(super) enum Source<'a> {
    /// A checkpoint: nothing changes any more.
    Checkpoint(&'a Weights, &'a Device, Precision),
    /// Tensors in training, shared with the optimiser.
    Training(&'a ParameterSet),
}

/// Tensors on their way into layers.
pub(super) struct Params<'a> {
    pub(super) source: Source<'a>,
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
        let weight = self.tensor(&format!("{name}.weight"), &shape.weight())?;
        let bias = self.tensor(&format!("{name}.bias"), &[shape.outputs])?;
        self.conv_from(weight, bias, shape, activation)
    }

    /// A convolution without bias followed by the BatchNorm `norm`. A frozen one becomes part of the convolution:
    /// `y = (conv(x) − μ)·k + β` with `k = γ/√(σ² + ε)`.
    pub(super) fn conv_norm(
        &self,
        conv: &str,
        norm: &str,
        shape: ConvShape,
        activation: Activation,
    ) -> Result<ConvNorm, ModelError> {
        let weight_name = format!("{conv}.weight");
        if let Source::Training(set) = self.source
            && set.batch_norm(norm)
        {
            let weight = set.tensor(&weight_name, &shape.weight())?;
            let bias = Tensor::zeros(shape.outputs, weight.dtype(), weight.device())?;
            let conv = self.conv_from(weight, bias, shape, Activation::None)?;
            return Ok(ConvNorm::separate(
                conv,
                batch_norm(set, norm, shape.outputs)?,
                activation,
            ));
        }
        let statistic = |part| self.values(&format!("{norm}.{part}"), &[shape.outputs]);
        let (gamma, beta) = (statistic("weight")?, statistic("bias")?);
        let (mean, variance) = (statistic("running_mean")?, statistic("running_var")?);
        let (mut scale, mut bias) = (Vec::new(), Vec::new());
        for output in 0..shape.outputs {
            let deviation = (f64::from(variance[output]) + BATCH_NORM_EPSILON).sqrt();
            let k = f64::from(gamma[output]) / deviation;
            bias.push((f64::from(beta[output]) - f64::from(mean[output]) * k) as f32);
            scale.push(k);
        }
        let bias = Tensor::from_vec(bias, shape.outputs, self.device())?;
        let weight = self.tensor(&weight_name, &shape.weight())?;
        let conv = if weight.track_op() {
            let scale = scale.iter().map(|&k| k as f32);
            let scale = Tensor::from_iter(scale, self.device())?;
            self.conv_from(weight, bias, shape, activation)?
                .with_scale(scale)?
        } else {
            self.conv_from(
                self.scaled(&weight_name, &scale, shape)?,
                bias,
                shape,
                activation,
            )?
        };
        Ok(ConvNorm::folded(conv, activation))
    }

    /// A weight (O,I,k,k) with the rows of each output scaled, rounded once.
    fn scaled(&self, name: &str, scale: &[f64], shape: ConvShape) -> Result<Tensor, ModelError> {
        let mut weight = self.values(name, &shape.weight())?;
        let kernel_len = weight.len() / shape.outputs.max(1);
        for (row, k) in weight.chunks_exact_mut(kernel_len.max(1)).zip(scale) {
            for value in row {
                *value = (f64::from(*value) * k) as f32;
            }
        }
        Ok(Tensor::from_vec(weight, &shape.weight(), self.device())?)
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
        let layer = Linear::new(weight, bias, activation)?.with_sums(self.sums)?;
        Ok(layer.with_precision(self.precision())?)
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
        let layer = Deconv2x2::new(weight, bias, activation)?.with_sums(self.sums)?;
        Ok(layer.with_precision(self.precision())?)
    }

    /// One tensor on the device.
    pub(super) fn tensor(&self, name: &str, shape: &[usize]) -> Result<Tensor, ModelError> {
        match self.source {
            Source::Training(set) => set.tensor(name, shape),
            Source::Checkpoint(..) => {
                let values = self.values(name, shape)?;
                Ok(Tensor::from_vec(values, shape, self.device())?)
            }
        }
    }

    fn device(&self) -> &Device {
        match self.source {
            Source::Checkpoint(_, device, _) => device,
            Source::Training(set) => set.device(),
        }
    }

    fn precision(&self) -> Precision {
        match self.source {
            Source::Checkpoint(_, _, precision) => precision,
            Source::Training(set) => set.precision(),
        }
    }

    fn conv_from(
        &self,
        weight: Tensor,
        bias: Tensor,
        shape: ConvShape,
        activation: Activation,
    ) -> Result<Conv2d, ModelError> {
        let padding = padding(shape.kernel);
        let conv = Conv2d::new(weight, bias, shape.stride, padding, activation)?;
        Ok(conv
            .with_sums(self.sums)?
            .with_precision(self.precision())?)
    }

    fn values(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, ModelError> {
        let values = match self.source {
            Source::Checkpoint(weights, ..) => weights.values(name, shape)?,
            Source::Training(set) => set.tensor(name, shape)?.flatten_all()?.to_vec1()?,
        };
        if values.iter().all(|value| value.is_finite()) {
            Ok(values)
        } else {
            Err(ModelError::BrokenWeight { name: name.into() })
        }
    }
}

fn batch_norm(
    set: &ParameterSet,
    norm: &str,
    channels: usize,
) -> Result<BatchNormLayer, ModelError> {
    let tensor = |part: &str| set.tensor(&format!("{norm}.{part}"), &[channels]);
    let statistic = |part: &str| set.statistic(&format!("{norm}.{part}"), channels);
    Ok(BatchNormLayer {
        gamma: tensor("weight")?,
        beta: tensor("bias")?,
        running_mean: statistic("running_mean")?,
        running_variance: statistic("running_var")?,
        epsilon: BATCH_NORM_EPSILON,
    })
}
