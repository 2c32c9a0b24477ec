//! Access to tensors in host memory for the CPU paths.

use candle_core::{CpuStorage, Device, Layout, Result, Storage, Tensor, bail};
use rayon::prelude::*;

/// The values of a contiguous f32 tensor, row-major. `op` is named in the error.
pub(crate) fn values<'a>(storage: &'a CpuStorage, layout: &Layout, op: &str) -> Result<&'a [f32]> {
    let all = storage.as_slice::<f32>()?;
    match layout
        .contiguous_offsets()
        .and_then(|(start, end)| all.get(start..end))
    {
        Some(values) => Ok(values),
        None => bail!(
            "{op} needs a contiguous tensor, got strides {:?}",
            layout.stride()
        ),
    }
}

/// Runs `work` on the values of a contiguous f32 tensor of the CPU, row-major. `op` is named in the error.
pub(crate) fn with_values<T>(
    tensor: &Tensor,
    op: &str,
    work: impl FnOnce(&[f32]) -> Result<T>,
) -> Result<T> {
    let (storage, layout) = tensor.storage_and_layout();
    match &*storage {
        Storage::Cpu(storage) => work(values(storage, layout, op)?),
        _ => bail!("the backward pass of {op} needs a tensor on the CPU"),
    }
}

/// The gradient where the result of a ReLU is positive, else 0.
pub(crate) fn behind_relu(gradient: &Tensor, result: &Tensor, op: &str) -> Result<Tensor> {
    const CHUNK: usize = 1 << 14;
    #[cfg(feature = "cuda")]
    if gradient.device().is_cuda() {
        let shape = gradient.shape();
        return super::cuda::on2(
            gradient,
            result,
            "gradient of ReLU",
            |on, gradient, result| {
                let count = shape.elem_count();
                let masked = super::kernels::dense::relu_backward(on, gradient, result, count)?;
                Ok((masked, shape.clone()))
            },
        );
    }
    let shape = gradient.shape().clone();
    let gradient = gradient.contiguous()?;
    let masked = with_values(&gradient, op, |gradient| {
        with_values(result, op, |result| {
            let mut masked = vec![0.0; gradient.len()];
            masked
                .par_chunks_mut(CHUNK)
                .zip(gradient.par_chunks(CHUNK))
                .zip(result.par_chunks(CHUNK))
                .for_each(|((out, gradient), result)| {
                    for ((out, &g), &y) in out.iter_mut().zip(gradient).zip(result) {
                        *out = if y > 0.0 { g } else { 0.0 };
                    }
                });
            Ok(masked)
        })
    })?;
    Tensor::from_vec(masked, shape, &Device::Cpu)
}
