//! Max pooling with padding, which candle's own lacks.
//!
//! Axes: N images or RoIs, C channels, H and W.

use candle_core::{CpuStorage, CustomOp1, DType, Device, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;

use super::host;

/// Window of a max pooling, the same on both axes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaxPool2d {
    /// Side of the window.
    pub kernel: usize,
    /// Step of the window.
    pub stride: usize,
    /// Rows and columns of −∞ on every side.
    pub padding: usize,
}

impl MaxPool2d {
    /// Length of an output axis; 0 where the window does not fit.
    fn output_len(&self, input: usize) -> usize {
        (input + 2 * self.padding)
            .checked_sub(self.kernel)
            .map_or(0, |rest| rest / self.stride + 1)
    }

    #[cfg(feature = "cuda")]
    fn sizes(&self, planes: usize, input: (usize, usize)) -> super::kernels::dense::Pooled {
        super::kernels::dense::Pooled {
            planes,
            input,
            output: (self.output_len(input.0), self.output_len(input.1)),
            pool: *self,
        }
    }

    /// The part `[start, end)` of an input axis under the window of output `at`.
    fn window(&self, at: usize, input: usize) -> (usize, usize) {
        let start = at * self.stride;
        let end = (start + self.kernel).saturating_sub(self.padding);
        (start.saturating_sub(self.padding), end.min(input))
    }
}

/// (N,C,H,W) -> (N,C,H',W'), the largest value under each window; NaN wins over every number, so that it is noticed.
///
/// # Errors
/// A tensor that is not 4-D and f32; a window of no size.
pub fn max_pool2d(x: &Tensor, pool: MaxPool2d) -> Result<Tensor> {
    if pool.kernel == 0 || pool.stride == 0 {
        bail!("max_pool2d: kernel and stride must be positive, got {pool:?}");
    }
    if matches!(x.dtype(), DType::F16 | DType::BF16) {
        return max_pool2d(&x.to_dtype(DType::F32)?, pool)?.to_dtype(x.dtype());
    }
    x.contiguous()?.apply_op1(pool)
}

impl CustomOp1 for MaxPool2d {
    fn name(&self) -> &'static str {
        "max_pool2d"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (n, c, height, width) = layout.shape().dims4()?;
        let input = host::values(storage, layout, self.name())?;
        let (out_height, out_width) = (self.output_len(height), self.output_len(width));
        let mut output = vec![0.0; n * c * out_height * out_width];
        if !output.is_empty() {
            // (N,C,H,W) -> N·C planes
            output
                .par_chunks_mut(out_height * out_width)
                .zip(input.par_chunks(height * width))
                .for_each(|(out, plane)| self.pool_plane(plane, height, width, out, out_width));
        }
        let shape = Shape::from((n, c, out_height, out_width));
        Ok((CpuStorage::F32(output), shape))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        x: &candle_core::CudaStorage,
        layout: &Layout,
    ) -> Result<(candle_core::CudaStorage, Shape)> {
        let (n, c, height, width) = layout.shape().dims4()?;
        let sizes = self.sizes(n * c, (height, width));
        super::cuda::forward1((x, layout), "max_pool2d", |on, x| {
            let pooled = super::kernels::dense::max_pool(on, x, sizes)?;
            Ok((pooled, Shape::from((n, c, sizes.output.0, sizes.output.1))))
        })
    }

    /// The gradient of a window goes to its largest value, the first in reading order among equal ones (as in PyTorch).
    fn bwd(&self, x: &Tensor, _result: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let (_, _, height, width) = x.dims4()?;
        let (_, _, out_height, out_width) = gradient.dims4()?;
        let gradient = gradient.contiguous()?;
        #[cfg(feature = "cuda")]
        if x.device().is_cuda() {
            let sizes = self.sizes(x.dim(0)? * x.dim(1)?, (height, width));
            let op = "gradient of max_pool2d";
            let dx = super::cuda::on2(x, &gradient, op, |on, input, gradient| {
                let dx = super::kernels::dense::max_pool_backward(on, input, gradient, sizes)?;
                Ok((dx, x.shape().clone()))
            })?;
            return Ok(Some(dx));
        }
        let mut dx = vec![0.0; x.elem_count()];
        if !dx.is_empty() && out_height * out_width > 0 {
            host::with_values(x, self.name(), |x| {
                host::with_values(&gradient, self.name(), |gradient| {
                    dx.par_chunks_mut(height * width)
                        .zip(x.par_chunks(height * width))
                        .zip(gradient.par_chunks(out_height * out_width))
                        .for_each(|((dx, plane), gradient)| {
                            self.spread_plane(dx, plane, gradient, (height, width), out_width);
                        });
                    Ok(())
                })
            })?;
        }
        Ok(Some(Tensor::from_vec(dx, x.shape(), &Device::Cpu)?))
    }
}

impl MaxPool2d {
    fn pool_plane(
        &self,
        plane: &[f32],
        height: usize,
        width: usize,
        out: &mut [f32],
        out_width: usize,
    ) {
        let mut tallest = vec![0.0; width]; // maximum over the rows of the window, per column
        for (y, out_row) in out.chunks_exact_mut(out_width).enumerate() {
            let (top, bottom) = self.window(y, height);
            tallest.fill(f32::NEG_INFINITY);
            for row in plane[top * width..bottom * width].chunks_exact(width) {
                for (largest, &value) in tallest.iter_mut().zip(row) {
                    *largest = larger(*largest, value);
                }
            }
            for (x, value) in out_row.iter_mut().enumerate() {
                let (left, right) = self.window(x, width);
                *value = tallest[left..right]
                    .iter()
                    .fold(f32::NEG_INFINITY, |a, &b| larger(a, b));
            }
        }
    }
}

impl MaxPool2d {
    fn spread_plane(
        &self,
        dx: &mut [f32],
        plane: &[f32],
        gradient: &[f32],
        (height, width): (usize, usize),
        out_width: usize,
    ) {
        for (y, row) in gradient.chunks_exact(out_width).enumerate() {
            let (top, bottom) = self.window(y, height);
            for (x, &gradient) in row.iter().enumerate() {
                let (left, right) = self.window(x, width);
                let (mut largest, mut at) = (f32::NEG_INFINITY, top * width + left);
                for row in top..bottom {
                    for column in left..right {
                        let value = plane[row * width + column];
                        if value > largest || value.is_nan() {
                            (largest, at) = (value, row * width + column);
                        }
                    }
                }
                dx[at] += gradient;
            }
        }
    }
}

fn larger(a: f32, b: f32) -> f32 {
    if b > a || b.is_nan() { b } else { a }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(rows: &[[f32; 5]], kernel: usize, stride: usize, padding: usize) -> Vec<Vec<f32>> {
        let flat = rows.concat();
        let x = Tensor::from_vec(flat, (1, 1, rows.len(), 5), &Device::Cpu).unwrap();
        let pool = MaxPool2d {
            kernel,
            stride,
            padding,
        };
        let y = max_pool2d(&x, pool).unwrap();
        y.squeeze(0).unwrap().squeeze(0).unwrap().to_vec2().unwrap()
    }

    const ROWS: [[f32; 5]; 3] = [
        [-1.0, -2.0, -3.0, -4.0, -5.0],
        [-9.0, -8.0, -1.5, -6.0, -7.0],
        [-3.0, -3.0, -3.0, -3.0, -0.5],
    ];

    #[test]
    fn padding_is_minus_infinity_and_size_rounds_up() {
        let want = vec![vec![-1.0, -1.5, -4.0], vec![-3.0, -1.5, -0.5]];
        assert_eq!(pool(&ROWS, 3, 2, 1), want);
    }

    #[test]
    fn a_window_of_one_subsamples() {
        let want = vec![vec![-1.0, -3.0, -5.0], vec![-3.0, -3.0, -0.5]];
        assert_eq!(pool(&ROWS, 1, 2, 0), want);
    }

    #[test]
    fn two_by_two_drops_the_remainder() {
        assert_eq!(pool(&ROWS, 2, 2, 0), vec![vec![-1.0, -1.5]]);
    }

    #[test]
    fn nan_is_kept() {
        let mut rows = ROWS;
        rows[1][1] = f32::NAN;
        let y = pool(&rows, 3, 2, 1);
        assert!(y[0][0].is_nan() && y[1][1].is_nan() && y[1][2] == -0.5);
    }
}
