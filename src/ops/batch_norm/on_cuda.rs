//! BatchNorm on CUDA. What belongs to a channel is worked out on the host, as on the processor.

use candle_core::{CudaStorage, Result, Shape, Tensor, bail};

use super::{BatchNorm, BatchStatistics};
use crate::ops::conv2d::Activation;
use crate::ops::cuda::{self, Cuda, Stored, Words};
use crate::ops::kernels::dense::{self, Channels, Slopes};
use crate::ops::kernels::{Launcher, bits};

const OP: &str = "batch_norm";

/// Gradients of x, γ and β.
type Gradients = (Option<Tensor>, Option<Tensor>, Option<Tensor>);

fn channels(shape: &Shape) -> Result<Channels> {
    let (images, channels, h, w) = shape.dims4()?;
    Ok(Channels {
        images,
        channels,
        plane: h * w,
    })
}

pub(super) fn statistics(x: &Tensor) -> Result<BatchStatistics> {
    let sizes = channels(x.shape())?;
    let wide = |on: &Cuda<'_>, words: &Words| -> Result<Vec<f64>> {
        let values = cuda::floats(on, words, sizes.channels)?;
        Ok(values.into_iter().map(f64::from).collect())
    };
    cuda::read(&[x], OP, |on, words| {
        let [x] = words else { bail!("{OP}: one map") };
        let (mean, variance) = dense::batch_statistics(on, x, sizes)?;
        Ok(BatchStatistics {
            mean: wide(on, &mean)?,
            variance: wide(on, &variance)?,
            count: sizes.images * sizes.plane,
        })
    })
}

pub(super) fn forward(
    norm: &BatchNorm,
    x: Stored<'_>,
    parameters: [Stored<'_>; 2],
) -> Result<(CudaStorage, Shape)> {
    let sizes = channels(x.1.shape())?;
    let count = sizes.channels;
    let known = norm.statistics.mean.len();
    if known != count
        || parameters
            .iter()
            .any(|(_, layout)| layout.dims() != [count])
    {
        bail!("{OP}: {count} channels, but statistics of {known} or parameters of others");
    }
    cuda::forward1(x, OP, |on, values| {
        let [gamma, beta] = parameters
            .map(|(storage, layout)| cuda::floats(on, &Words::of(storage, layout, OP)?, count));
        let (gamma, beta) = (gamma?, beta?);
        let pairs = gamma.iter().zip(&beta).enumerate();
        let pairs =
            pairs.map(|(channel, (&gamma, &beta))| norm.scale_and_shift(channel, gamma, beta));
        let (scale, shift): (Vec<f32>, Vec<f32>) = pairs.unzip();
        let (scale, shift) = (on.upload(&bits(scale))?, on.upload(&bits(shift))?);
        let relu = norm.activation == Activation::Relu;
        let y = dense::batch_norm(on, values, (&scale, &shift), sizes, relu)?;
        Ok((y, x.1.shape().clone()))
    })
}

pub(super) fn backward(
    norm: &BatchNorm,
    x: &Tensor,
    gamma: &Tensor,
    dz: &Tensor,
) -> Result<Gradients> {
    let sizes = channels(x.shape())?;
    let gammas = gamma.to_vec1::<f32>()?;
    let mean: Vec<f32> = norm
        .statistics
        .mean
        .iter()
        .map(|&mean| mean as f32)
        .collect();
    let (sums, products) = cuda::read(&[x, dz], OP, |on, words| {
        let [x, dz] = words else {
            bail!("{OP}: two maps")
        };
        let mean = on.upload(&bits(mean.iter().copied()))?;
        let (sums, products) = dense::batch_norm_sums(on, x, dz, &mean, sizes)?;
        let sums = cuda::floats(on, &sums, sizes.channels)?;
        Ok((sums, cuda::floats(on, &products, sizes.channels)?))
    })?;
    let inverse: Vec<f64> = (0..sizes.channels)
        .map(|c| norm.inverse_deviation(c))
        .collect();
    let count = norm.statistics.count as f64;
    let of_each =
        |f: &dyn Fn(usize) -> f64| (0..sizes.channels).map(|c| f(c) as f32).collect::<Vec<_>>();
    let of_gamma = of_each(&|c| f64::from(products[c]) * inverse[c]);
    let scale = of_each(&|c| inverse[c] * f64::from(gammas[c]));
    let shift = of_each(&|c| f64::from(sums[c]) / count);
    let slope = of_each(&|c| f64::from(products[c]) * inverse[c] * inverse[c] / count);
    let dx = cuda::on2(x, dz, OP, |on, values, dz| {
        let upload = |values: &[f32]| on.upload(&bits(values.iter().copied()));
        let (mean, scale) = (upload(&mean)?, upload(&scale)?);
        let (shift, slope) = (upload(&shift)?, upload(&slope)?);
        let slopes = Slopes {
            mean: &mean,
            scale: &scale,
            shift: &shift,
            slope: &slope,
        };
        let dx = dense::batch_norm_backward(on, values, dz, slopes, sizes)?;
        Ok((dx, x.shape().clone()))
    })?;
    let device = x.device();
    Ok((
        Some(dx),
        Some(Tensor::from_vec(of_gamma, sizes.channels, device)?),
        Some(Tensor::from_vec(sums, sizes.channels, device)?),
    ))
}
