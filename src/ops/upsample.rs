//! Nearest-neighbour enlargement added to a finer map: the top-down path of the feature pyramid in one pass.
//!
//! Axes: N images, C channels, H and W.

use candle_core::{CpuStorage, CustomOp2, DType, Device, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;

use super::host;
use super::kernels::dense::Enlarged;

/// (N,C,H,W) and (N,C,h,w) -> (N,C,H,W): `fine + up(coarse)`, `coarse` enlarged to the exact size of `fine`.
/// Source row of row r is `min(⌊r·(h/H)⌋, h−1)` with the ratio in f32; columns alike.
///
/// # Errors
/// Tensors that are not 4-D and f32, or differ in N or C.
pub fn add_upsampled(fine: &Tensor, coarse: &Tensor) -> Result<Tensor> {
    let (kind, narrow) = (fine.dtype(), fine.dtype() != coarse.dtype());
    if narrow || matches!(kind, DType::F16 | DType::BF16) {
        let sum = add_upsampled(&fine.to_dtype(DType::F32)?, &coarse.to_dtype(DType::F32)?)?;
        return sum.to_dtype(kind);
    }
    fine.contiguous()?
        .apply_op2(&coarse.contiguous()?, AddUpsampled)
}

/// N·C and both sizes of the two maps.
fn sizes(fine: &Shape, coarse: &Shape) -> Result<Enlarged> {
    let (n, c, height, width) = fine.dims4()?;
    let (coarse_n, coarse_c, coarse_height, coarse_width) = coarse.dims4()?;
    if (n, c) != (coarse_n, coarse_c) || coarse_height * coarse_width == 0 {
        bail!("add_upsampled: cannot add {coarse:?} to {fine:?}");
    }
    Ok(Enlarged {
        planes: n * c,
        fine: (height, width),
        coarse: (coarse_height, coarse_width),
    })
}

struct AddUpsampled;

impl CustomOp2 for AddUpsampled {
    fn name(&self) -> &'static str {
        "add_upsampled"
    }

    fn cpu_fwd(
        &self,
        fine: &CpuStorage,
        fine_layout: &Layout,
        coarse: &CpuStorage,
        coarse_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let Enlarged {
            fine: (height, width),
            coarse: (coarse_height, coarse_width),
            ..
        } = sizes(fine_layout.shape(), coarse_layout.shape())?;
        let fine = host::values(fine, fine_layout, self.name())?;
        let coarse = host::values(coarse, coarse_layout, self.name())?;
        let rows = nearest(height, coarse_height);
        let columns = nearest(width, coarse_width);
        let mut output = fine.to_vec();
        if !output.is_empty() {
            // (N,C,H,W) -> N·C planes
            output
                .par_chunks_mut(height * width)
                .zip(coarse.par_chunks(coarse_height * coarse_width))
                .for_each(|(out, plane)| add_plane(out, plane, &rows, &columns, coarse_width));
        }
        Ok((CpuStorage::F32(output), fine_layout.shape().clone()))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        fine: &candle_core::CudaStorage,
        fine_layout: &Layout,
        coarse: &candle_core::CudaStorage,
        coarse_layout: &Layout,
    ) -> Result<(candle_core::CudaStorage, Shape)> {
        let sizes = sizes(fine_layout.shape(), coarse_layout.shape())?;
        let (fine, coarse) = ((fine, fine_layout), (coarse, coarse_layout));
        super::cuda::forward2(fine, coarse, "add_upsampled", |on, fine, coarse| {
            let sum = super::kernels::dense::add_upsampled(on, fine, coarse, sizes)?;
            Ok((sum, fine_layout.shape().clone()))
        })
    }

    /// The sum hands its gradient on to `fine`; a cell of `coarse` gets the sum over the cells it was copied to.
    fn bwd(
        &self,
        fine: &Tensor,
        coarse: &Tensor,
        _result: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let gradient = gradient.contiguous()?;
        #[cfg(feature = "cuda")]
        if gradient.device().is_cuda() {
            let sizes = sizes(fine.shape(), coarse.shape())?;
            let op = "gradient of add_upsampled";
            let of_coarse = super::cuda::on1(&gradient, op, |on, gradient| {
                let sums = super::kernels::dense::add_upsampled_backward(on, gradient, sizes)?;
                Ok((sums, coarse.shape().clone()))
            })?;
            return Ok((Some(gradient), Some(of_coarse)));
        }
        let (_, _, height, width) = fine.dims4()?;
        let (_, _, coarse_height, coarse_width) = coarse.dims4()?;
        let rows = nearest(height, coarse_height);
        let columns = nearest(width, coarse_width);
        let mut sums = vec![0.0; coarse.elem_count()];
        host::with_values(&gradient, self.name(), |gradient| {
            sums.par_chunks_mut(coarse_height * coarse_width)
                .zip(gradient.par_chunks((height * width).max(1)))
                .for_each(|(sums, plane)| sum_plane(sums, plane, &rows, &columns, coarse_width));
            Ok(())
        })?;
        let of_coarse = Tensor::from_vec(sums, coarse.shape(), &Device::Cpu)?;
        Ok((Some(gradient), Some(of_coarse)))
    }
}

fn sum_plane(sums: &mut [f32], plane: &[f32], rows: &[usize], columns: &[usize], width: usize) {
    for (values, &row) in plane.chunks_exact(columns.len()).zip(rows) {
        let target = &mut sums[row * width..][..width];
        for (&value, &column) in values.iter().zip(columns) {
            target[column] += value;
        }
    }
}

fn add_plane(out: &mut [f32], plane: &[f32], rows: &[usize], columns: &[usize], width: usize) {
    for (out_row, &row) in out.chunks_exact_mut(columns.len()).zip(rows) {
        let source = &plane[row * width..][..width];
        for (value, &column) in out_row.iter_mut().zip(columns) {
            *value += source[column];
        }
    }
}

/// Source index of each of `output` positions on an axis of `input`.
fn nearest(output: usize, input: usize) -> Vec<usize> {
    let ratio = input as f32 / output as f32;
    (0..output)
        .map(|at| ((at as f32 * ratio) as usize).min(input - 1))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn even_sizes_double() {
        assert_eq!(nearest(6, 3), [0, 0, 1, 1, 2, 2]);
    }

    #[test]
    fn odd_sizes_follow_the_ratio() {
        // 5 from 3: ⌊0⌋ ⌊.6⌋ ⌊1.2⌋ ⌊1.8⌋ ⌊2.4⌋
        assert_eq!(nearest(5, 3), [0, 0, 1, 1, 2]);
    }

    #[test]
    fn adds_the_enlarged_map() {
        let fine = Tensor::ones((1, 1, 3, 3), DType::F32, &Device::Cpu).unwrap();
        let coarse = Tensor::new(&[[[[1f32, 2.0], [3.0, 4.0]]]], &Device::Cpu).unwrap();
        let sum = add_upsampled(&fine, &coarse).unwrap();
        let rows = sum.reshape((3, 3)).unwrap().to_vec2::<f32>().unwrap();
        assert_eq!(rows, [[2.0, 2.0, 3.0], [2.0, 2.0, 3.0], [4.0, 4.0, 5.0]]);
    }

    #[test]
    fn other_channels_are_an_error() {
        let fine = Tensor::ones((1, 2, 4, 4), DType::F32, &Device::Cpu).unwrap();
        let coarse = Tensor::ones((1, 1, 2, 2), DType::F32, &Device::Cpu).unwrap();
        assert!(add_upsampled(&fine, &coarse).is_err());
    }
}
