//! BatchNorm on the statistics of the batch, with the ReLU behind it: a backbone that is trained from scratch.
//!
//! Axes: N images, C channels, H and W; M = N·H·W values of a channel.

use std::sync::Arc;

use candle_core::{CpuStorage, CustomOp3, Device, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;

use super::conv2d::Activation;
use super::host;

#[cfg(feature = "cuda")]
mod on_cuda;

/// Mean and variance of each channel of a batch.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchStatistics {
    /// (C)
    pub mean: Vec<f64>,
    /// (C), divided by M.
    pub variance: Vec<f64>,
    /// M
    pub count: usize,
}

impl BatchStatistics {
    /// (C), divided by M − 1: what is kept for inference.
    pub fn unbiased_variance(&self) -> impl Iterator<Item = f64> {
        let factor = self.count as f64 / (self.count.max(2) - 1) as f64;
        self.variance.iter().map(move |variance| variance * factor)
    }
}

/// Statistics of `x` (N,C,H,W), summed in f64. They carry no gradient; `BatchNorm` accounts for it.
///
/// # Errors
/// A tensor that is not 4-D, f32, on the CPU, or is empty.
pub fn batch_statistics(x: &Tensor) -> Result<BatchStatistics> {
    let (n, c, h, w) = x.dims4()?;
    let (plane, count) = (h * w, n * h * w);
    if count == 0 {
        bail!("batch_norm: {:?} holds no values", x.shape());
    }
    #[cfg(feature = "cuda")]
    if x.device().is_cuda() {
        return on_cuda::statistics(x);
    }
    host::with_values(&x.contiguous()?, "batch_norm", |values| {
        let of_channel = |channel: usize| {
            let planes = || values.chunks_exact(plane).skip(channel).step_by(c);
            let mean = planes().map(sum).sum::<f64>() / count as f64;
            let squares = planes().map(|plane| sum_of(plane, |v| (v - mean) * (v - mean)));
            (mean, squares.sum::<f64>() / count as f64)
        };
        let (mean, variance) = (0..c).into_par_iter().map(of_channel).unzip();
        Ok(BatchStatistics {
            mean,
            variance,
            count,
        })
    })
}

fn sum(values: &[f32]) -> f64 {
    sum_of(values, |v| v)
}

/// Σ f(v) in f64, in eight interleaved sums that a vector unit can hold.
fn sum_of(values: &[f32], f: impl Fn(f64) -> f64) -> f64 {
    let (chunks, rest) = values.as_chunks::<8>();
    let mut sums = [0.0; 8];
    for chunk in chunks {
        for (sum, &value) in sums.iter_mut().zip(chunk) {
            *sum += f(f64::from(value));
        }
    }
    sums.iter().sum::<f64>() + rest.iter().map(|&v| f(f64::from(v))).sum::<f64>()
}

/// Σ (x − mean)·dz, as `sum_of`.
fn sum_of_products(x: &[f32], mean: f32, dz: &[f32]) -> f64 {
    let ((x, x_rest), (dz, dz_rest)) = (x.as_chunks::<8>(), dz.as_chunks::<8>());
    let product = |x: f32, dz: f32| f64::from((x - mean) * dz);
    let mut sums = [0.0; 8];
    for (x, dz) in x.iter().zip(dz) {
        for ((sum, &x), &dz) in sums.iter_mut().zip(x).zip(dz) {
            *sum += product(x, dz);
        }
    }
    let rest = x_rest.iter().zip(dz_rest).map(|(&x, &dz)| product(x, dz));
    sums.iter().sum::<f64>() + rest.sum::<f64>()
}

/// `activation((x − mean)/√(variance + ε)·γ + β)` for x (N,C,H,W), γ and β (C).
#[derive(Clone, Debug)]
pub struct BatchNorm {
    /// Of this very `x`.
    pub statistics: Arc<BatchStatistics>,
    /// ε
    pub epsilon: f64,
    /// What follows.
    pub activation: Activation,
}

impl BatchNorm {
    /// (N,C,H,W) -> (N,C,H,W), with gradients for all three; that of `x` goes through the statistics as well.
    ///
    /// # Errors
    /// Shapes that do not fit; tensors that are not f32 on the CPU.
    pub fn forward(&self, x: &Tensor, gamma: &Tensor, beta: &Tensor) -> Result<Tensor> {
        x.contiguous()?.apply_op3(gamma, beta, self.clone())
    }

    fn inverse_deviation(&self, channel: usize) -> f64 {
        1.0 / (self.statistics.variance[channel] + self.epsilon).sqrt()
    }

    /// What a channel is multiplied with, and what is added.
    fn scale_and_shift(&self, channel: usize, gamma: f32, beta: f32) -> (f32, f32) {
        let scale = self.inverse_deviation(channel) * f64::from(gamma);
        let shift = f64::from(beta) - self.statistics.mean[channel] * scale;
        (scale as f32, shift as f32)
    }
}

impl CustomOp3 for BatchNorm {
    fn name(&self) -> &'static str {
        "batch_norm"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        gamma: &CpuStorage,
        gamma_layout: &Layout,
        beta: &CpuStorage,
        beta_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (_, c, h, w) = x_layout.shape().dims4()?;
        let x = host::values(x, x_layout, self.name())?;
        let gamma = host::values(gamma, gamma_layout, self.name())?;
        let beta = host::values(beta, beta_layout, self.name())?;
        if gamma.len() != c || beta.len() != c || self.statistics.mean.len() != c {
            bail!(
                "batch_norm: {c} channels, but parameters of {}",
                gamma.len()
            );
        }
        let relu = self.activation == Activation::Relu;
        let mut y = vec![0.0; x.len()];
        y.par_chunks_mut((h * w).max(1))
            .zip(x.par_chunks((h * w).max(1)))
            .enumerate()
            .for_each(|(plane, (y, x))| {
                let channel = plane % c;
                let (scale, shift) = self.scale_and_shift(channel, gamma[channel], beta[channel]);
                for (y, &x) in y.iter_mut().zip(x) {
                    let value = x * scale + shift;
                    *y = if relu && value < 0.0 { 0.0 } else { value };
                }
            });
        Ok((CpuStorage::F32(y), x_layout.shape().clone()))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        x: &candle_core::CudaStorage,
        x_layout: &Layout,
        gamma: &candle_core::CudaStorage,
        gamma_layout: &Layout,
        beta: &candle_core::CudaStorage,
        beta_layout: &Layout,
    ) -> Result<(candle_core::CudaStorage, Shape)> {
        let parameters = [(gamma, gamma_layout), (beta, beta_layout)];
        on_cuda::forward(self, (x, x_layout), parameters)
    }

    fn bwd(
        &self,
        x: &Tensor,
        gamma: &Tensor,
        _beta: &Tensor,
        result: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let dz = match self.activation {
            Activation::None => gradient.contiguous()?,
            Activation::Relu => host::behind_relu(gradient, result, self.name())?,
        };
        #[cfg(feature = "cuda")]
        if x.device().is_cuda() {
            return on_cuda::backward(self, x, gamma, &dz);
        }
        let gamma = gamma.to_vec1::<f32>()?;
        let (c, shape) = (gamma.len(), x.shape().clone());
        let plane = x.dim(2)? * x.dim(3)?;
        let (dx, sums) = host::with_values(&dz, self.name(), |dz| {
            host::with_values(x, self.name(), |x| Ok(self.gradients(x, dz, &gamma, plane)))
        })?;
        let of_channels = |f: fn(&(f64, f64)) -> f64| {
            let values = sums.iter().map(|sums| f(sums) as f32).collect::<Vec<_>>();
            Tensor::from_vec(values, c, &Device::Cpu)
        };
        Ok((
            Some(Tensor::from_vec(dx, shape, &Device::Cpu)?),
            Some(of_channels(|sums| sums.1)?),
            Some(of_channels(|sums| sums.0)?),
        ))
    }
}

impl BatchNorm {
    /// dx, and of each channel Σ dz and Σ dz·x̂ with x̂ = (x − mean)/√(variance + ε).
    fn gradients(
        &self,
        x: &[f32],
        dz: &[f32],
        gamma: &[f32],
        plane: usize,
    ) -> (Vec<f32>, Vec<(f64, f64)>) {
        let c = gamma.len();
        let of_channel = |channel: usize| {
            let mean = self.statistics.mean[channel] as f32;
            let planes = |of: usize| of * plane..(of + 1) * plane;
            let (mut of_dz, mut of_product) = (0.0, 0.0);
            for at in (channel..x.len() / plane.max(1)).step_by(c).map(planes) {
                of_dz += sum(&dz[at.clone()]);
                of_product += sum_of_products(&x[at.clone()], mean, &dz[at]);
            }
            (of_dz, of_product * self.inverse_deviation(channel))
        };
        let sums: Vec<(f64, f64)> = (0..c).into_par_iter().map(of_channel).collect();
        let count = self.statistics.count as f64;
        let mut dx = vec![0.0; x.len()];
        dx.par_chunks_mut(plane)
            .zip(x.par_chunks(plane))
            .zip(dz.par_chunks(plane))
            .enumerate()
            .for_each(|(index, ((dx, x), dz))| {
                let channel = index % c;
                let inverse = self.inverse_deviation(channel);
                let (of_dz, of_product) = sums[channel];
                let mean = self.statistics.mean[channel] as f32;
                let scale = (inverse * f64::from(gamma[channel])) as f32;
                let shift = (of_dz / count) as f32;
                let slope = (of_product * inverse / count) as f32;
                for ((dx, &x), &dz) in dx.iter_mut().zip(x).zip(dz) {
                    *dx = scale * (dz - shift - (x - mean) * slope);
                }
            });
        (dx, sums)
    }
}
