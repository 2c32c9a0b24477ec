//! The end of a residual block: sum and ReLU in one pass.

use candle_core::{CpuStorage, CustomOp2, DType, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;

use super::host;

const CHUNK: usize = 1 << 14;

/// `max(a + b, 0)` of two tensors of one shape, with a gradient for both. In f32 in one pass; NaN stays NaN.
///
/// # Errors
/// Other shapes; a failed tensor operation.
pub fn add_relu(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    if a.dtype() == DType::F32 {
        a.contiguous()?.apply_op2(&b.contiguous()?, AddRelu)
    } else {
        (a + b)?.relu()
    }
}

struct AddRelu;

impl CustomOp2 for AddRelu {
    fn name(&self) -> &'static str {
        "add_relu"
    }

    fn cpu_fwd(
        &self,
        a: &CpuStorage,
        a_layout: &Layout,
        b: &CpuStorage,
        b_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        if a_layout.shape() != b_layout.shape() {
            let (a, b) = (a_layout.shape(), b_layout.shape());
            bail!("add_relu: {a:?} and {b:?} differ");
        }
        let a = host::values(a, a_layout, self.name())?;
        let b = host::values(b, b_layout, self.name())?;
        let mut sum = vec![0.0; a.len()];
        sum.par_chunks_mut(CHUNK)
            .zip(a.par_chunks(CHUNK))
            .zip(b.par_chunks(CHUNK))
            .for_each(|((sum, a), b)| {
                for ((sum, &a), &b) in sum.iter_mut().zip(a).zip(b) {
                    let value = a + b;
                    *sum = if value < 0.0 { 0.0 } else { value };
                }
            });
        Ok((CpuStorage::F32(sum), a_layout.shape().clone()))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        a: &candle_core::CudaStorage,
        a_layout: &Layout,
        b: &candle_core::CudaStorage,
        b_layout: &Layout,
    ) -> Result<(candle_core::CudaStorage, Shape)> {
        if a_layout.shape() != b_layout.shape() {
            let (a, b) = (a_layout.shape(), b_layout.shape());
            bail!("add_relu: {a:?} and {b:?} differ");
        }
        super::cuda::forward2((a, a_layout), (b, b_layout), "add_relu", |on, a, b| {
            let shape = a_layout.shape().clone();
            let sum = super::kernels::dense::add_relu(on, a, b, shape.elem_count())?;
            Ok((sum, shape))
        })
    }

    fn bwd(
        &self,
        a: &Tensor,
        b: &Tensor,
        result: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let shared = host::behind_relu(gradient, result, self.name())?;
        Ok((
            a.track_op().then(|| shared.clone()),
            b.track_op().then(|| shared.clone()),
        ))
    }
}
