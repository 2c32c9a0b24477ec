//! What lies between the convolutions, on a device.
//!
//! Axes: N images, C channels, H and W.

use candle_core::Result;

use super::{Arg, Kernel, Launcher, Size, THREADS, each, size_arg};
use crate::ops::MaxPool2d;

const fn kernel(name: &'static str) -> Kernel {
    Kernel {
        file: "dense",
        name,
    }
}

/// `max(a + b, 0)` of `count` values.
///
/// # Errors
/// The launcher's.
pub fn add_relu<L: Launcher>(
    on: &L,
    a: &L::Buffer,
    b: &L::Buffer,
    count: usize,
) -> Result<L::Buffer> {
    let sum = on.alloc(count)?;
    let args = [
        Arg::Buffer(a),
        Arg::Buffer(b),
        Arg::Buffer(&sum),
        size_arg(count)?,
    ];
    on.launch(kernel("add_relu"), each(count)?, &args)?;
    Ok(sum)
}

/// The gradient where the result of a ReLU is positive, else 0; `count` values.
///
/// # Errors
/// The launcher's.
pub fn relu_backward<L: Launcher>(
    on: &L,
    gradient: &L::Buffer,
    result: &L::Buffer,
    count: usize,
) -> Result<L::Buffer> {
    let masked = on.alloc(count)?;
    let args = [
        Arg::Buffer(gradient),
        Arg::Buffer(result),
        Arg::Buffer(&masked),
        size_arg(count)?,
    ];
    on.launch(kernel("relu_backward"), each(count)?, &args)?;
    Ok(masked)
}

/// Sizes of a map and of the one that is enlarged to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Enlarged {
    /// N·C
    pub planes: usize,
    /// H and W of the fine map.
    pub fine: (usize, usize),
    /// H and W of the coarse map.
    pub coarse: (usize, usize),
}

impl Enlarged {
    fn args<'a, B>(self, count: usize) -> Result<[Arg<'a, B>; 5]> {
        Ok([
            size_arg(count)?,
            size_arg(self.fine.0)?,
            size_arg(self.fine.1)?,
            size_arg(self.coarse.0)?,
            size_arg(self.coarse.1)?,
        ])
    }
}

/// `fine + up(coarse)`, of the size of `fine`.
///
/// # Errors
/// The launcher's.
pub fn add_upsampled<L: Launcher>(
    on: &L,
    fine: &L::Buffer,
    coarse: &L::Buffer,
    sizes: Enlarged,
) -> Result<L::Buffer> {
    let count = sizes.planes * sizes.fine.0 * sizes.fine.1;
    let sum = on.alloc(count)?;
    let mut args = vec![Arg::Buffer(fine), Arg::Buffer(coarse), Arg::Buffer(&sum)];
    args.extend(sizes.args(count)?);
    on.launch(kernel("add_upsampled"), each(count)?, &args)?;
    Ok(sum)
}

/// The gradient of the coarse map.
///
/// # Errors
/// The launcher's.
pub fn add_upsampled_backward<L: Launcher>(
    on: &L,
    gradient: &L::Buffer,
    sizes: Enlarged,
) -> Result<L::Buffer> {
    let count = sizes.planes * sizes.coarse.0 * sizes.coarse.1;
    let sums = on.alloc(count)?;
    let mut args = vec![Arg::Buffer(gradient), Arg::Buffer(&sums)];
    args.extend(sizes.args(count)?);
    on.launch(kernel("add_upsampled_backward"), each(count)?, &args)?;
    Ok(sums)
}

/// Sizes of a pooling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pooled {
    /// N·C
    pub planes: usize,
    /// H and W before.
    pub input: (usize, usize),
    /// H and W behind.
    pub output: (usize, usize),
    /// The window.
    pub pool: MaxPool2d,
}

impl Pooled {
    fn args<'a, B>(self, count: usize) -> Result<[Arg<'a, B>; 8]> {
        Ok([
            size_arg(count)?,
            size_arg(self.input.0)?,
            size_arg(self.input.1)?,
            size_arg(self.output.0)?,
            size_arg(self.output.1)?,
            size_arg(self.pool.kernel)?,
            size_arg(self.pool.stride)?,
            size_arg(self.pool.padding)?,
        ])
    }
}

/// The largest value under each window.
///
/// # Errors
/// The launcher's.
pub fn max_pool<L: Launcher>(on: &L, input: &L::Buffer, sizes: Pooled) -> Result<L::Buffer> {
    let count = sizes.planes * sizes.output.0 * sizes.output.1;
    let output = on.alloc(count)?;
    let mut args = vec![Arg::Buffer(input), Arg::Buffer(&output)];
    args.extend(sizes.args(count)?);
    on.launch(kernel("max_pool"), each(count)?, &args)?;
    Ok(output)
}

/// The gradient of the input.
///
/// # Errors
/// The launcher's.
pub fn max_pool_backward<L: Launcher>(
    on: &L,
    input: &L::Buffer,
    gradient: &L::Buffer,
    sizes: Pooled,
) -> Result<L::Buffer> {
    let count = sizes.planes * sizes.input.0 * sizes.input.1;
    let output = on.alloc(count)?;
    let mut args = vec![
        Arg::Buffer(input),
        Arg::Buffer(gradient),
        Arg::Buffer(&output),
    ];
    args.extend(sizes.args(count)?);
    on.launch(kernel("max_pool_backward"), each(count)?, &args)?;
    Ok(output)
}

/// Sizes of a map whose channels are normalised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Channels {
    /// N
    pub images: usize,
    /// C
    pub channels: usize,
    /// H·W
    pub plane: usize,
}

impl Channels {
    fn count(self) -> usize {
        self.images * self.channels * self.plane
    }

    fn args<'a, B>(self) -> Result<[Arg<'a, B>; 3]> {
        Ok([
            size_arg(self.images)?,
            size_arg(self.channels)?,
            size_arg(self.plane)?,
        ])
    }

    fn block_each(self) -> Size {
        Size {
            grid: [self.channels as u32, 1, 1],
            threads: THREADS,
        }
    }
}

/// Mean and variance, divided by N·H·W, of each channel.
///
/// # Errors
/// The launcher's.
pub fn batch_statistics<L: Launcher>(
    on: &L,
    x: &L::Buffer,
    sizes: Channels,
) -> Result<(L::Buffer, L::Buffer)> {
    let (mean, variance) = (on.alloc(sizes.channels)?, on.alloc(sizes.channels)?);
    let mut args = vec![Arg::Buffer(x), Arg::Buffer(&mean), Arg::Buffer(&variance)];
    args.extend(sizes.args()?);
    on.launch(kernel("batch_statistics"), sizes.block_each(), &args)?;
    Ok((mean, variance))
}

/// `x·scale + shift` of each channel, then ReLU where asked.
///
/// # Errors
/// The launcher's.
pub fn batch_norm<L: Launcher>(
    on: &L,
    x: &L::Buffer,
    (scale, shift): (&L::Buffer, &L::Buffer),
    sizes: Channels,
    relu: bool,
) -> Result<L::Buffer> {
    let y = on.alloc(sizes.count())?;
    let args = [
        Arg::Buffer(x),
        Arg::Buffer(scale),
        Arg::Buffer(shift),
        Arg::Buffer(&y),
        size_arg(sizes.count())?,
        size_arg(sizes.channels)?,
        size_arg(sizes.plane)?,
        Arg::Int(i32::from(relu)),
    ];
    on.launch(kernel("batch_norm"), each(sizes.count())?, &args)?;
    Ok(y)
}

/// Of each channel Σ dz and Σ dz·(x − mean).
///
/// # Errors
/// The launcher's.
pub fn batch_norm_sums<L: Launcher>(
    on: &L,
    x: &L::Buffer,
    gradient: &L::Buffer,
    mean: &L::Buffer,
    sizes: Channels,
) -> Result<(L::Buffer, L::Buffer)> {
    let (sum, product) = (on.alloc(sizes.channels)?, on.alloc(sizes.channels)?);
    let mut args = vec![
        Arg::Buffer(x),
        Arg::Buffer(gradient),
        Arg::Buffer(mean),
        Arg::Buffer(&sum),
        Arg::Buffer(&product),
    ];
    args.extend(sizes.args()?);
    on.launch(kernel("batch_norm_sums"), sizes.block_each(), &args)?;
    Ok((sum, product))
}

/// What the gradient of a batch norm needs of each channel, (C) each.
#[derive(Clone, Copy, Debug)]
pub struct Slopes<'a, B> {
    /// Of the batch.
    pub mean: &'a B,
    /// γ/√(variance + ε)
    pub scale: &'a B,
    /// Mean of dz.
    pub shift: &'a B,
    /// Σ dz·(x − mean) / (variance + ε) / count
    pub slope: &'a B,
}

/// `scale·(dz − shift − (x − mean)·slope)`.
///
/// # Errors
/// The launcher's.
pub fn batch_norm_backward<L: Launcher>(
    on: &L,
    x: &L::Buffer,
    gradient: &L::Buffer,
    slopes: Slopes<'_, L::Buffer>,
    sizes: Channels,
) -> Result<L::Buffer> {
    let dx = on.alloc(sizes.count())?;
    let args = [
        Arg::Buffer(x),
        Arg::Buffer(gradient),
        Arg::Buffer(slopes.mean),
        Arg::Buffer(slopes.scale),
        Arg::Buffer(slopes.shift),
        Arg::Buffer(slopes.slope),
        Arg::Buffer(&dx),
        size_arg(sizes.count())?,
        size_arg(sizes.channels)?,
        size_arg(sizes.plane)?,
    ];
    on.launch(kernel("batch_norm_backward"), each(sizes.count())?, &args)?;
    Ok(dx)
}
