//! Functions of `kernels` on tensors of a CUDA device, without a gradient.

use candle_core::{
    CpuStorage, CudaStorage, CustomOp1, CustomOp2, Device, Layout, Result, Shape, Storage, Tensor,
    bail,
};

use super::{Cuda, Stored, Words};
use crate::ops::kernels::Launcher;

/// What a function makes: values and their shape.
type Made = Result<(Words, Shape)>;

/// One contiguous f32 tensor -> another.
pub(crate) fn on1(
    x: &Tensor,
    op: &'static str,
    run: impl Fn(&Cuda<'_>, &Words) -> Made,
) -> Result<Tensor> {
    x.contiguous()?.apply_op1_no_bwd(&Call { op, run })
}

/// Two contiguous f32 tensors -> another.
pub(crate) fn on2(
    a: &Tensor,
    b: &Tensor,
    op: &'static str,
    run: impl Fn(&Cuda<'_>, &Words, &Words) -> Made,
) -> Result<Tensor> {
    a.contiguous()?
        .apply_op2_no_bwd(&b.contiguous()?, &Call { op, run })
}

/// Runs a function that reads tensors and whose results go to the host.
pub(crate) fn read<T>(
    tensors: &[&Tensor],
    op: &'static str,
    run: impl FnOnce(&Cuda<'_>, &[Words]) -> Result<T>,
) -> Result<T> {
    let tensors = tensors
        .iter()
        .map(|tensor| tensor.contiguous())
        .collect::<Result<Vec<_>>>()?;
    let Some(Device::Cuda(device)) = tensors.first().map(Tensor::device) else {
        bail!("{op} needs tensors on a CUDA device");
    };
    let words = |tensor: &Tensor| {
        let (storage, layout) = tensor.storage_and_layout();
        match &*storage {
            Storage::Cuda(storage) => Words::of(storage, layout, op),
            _ => bail!("{op} needs all tensors on one CUDA device"),
        }
    };
    let words = tensors.iter().map(words).collect::<Result<Vec<_>>>()?;
    run(&Cuda(device), &words)
}

/// The CUDA side of an operation on one contiguous f32 tensor.
pub(crate) fn forward1(
    x: Stored<'_>,
    op: &'static str,
    run: impl Fn(&Cuda<'_>, &Words) -> Made,
) -> Result<(CudaStorage, Shape)> {
    CustomOp1::cuda_fwd(&Call { op, run }, x.0, x.1)
}

/// The CUDA side of an operation on two contiguous f32 tensors.
pub(crate) fn forward2(
    a: Stored<'_>,
    b: Stored<'_>,
    op: &'static str,
    run: impl Fn(&Cuda<'_>, &Words, &Words) -> Made,
) -> Result<(CudaStorage, Shape)> {
    CustomOp2::cuda_fwd(&Call { op, run }, a.0, a.1, b.0, b.1)
}

struct Call<F> {
    op: &'static str,
    run: F,
}

impl<F: Fn(&Cuda<'_>, &Words) -> Made> CustomOp1 for Call<F> {
    fn name(&self) -> &'static str {
        self.op
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        bail!("{} is for a CUDA device", self.op)
    }

    fn cuda_fwd(&self, x: &CudaStorage, layout: &Layout) -> Result<(CudaStorage, Shape)> {
        let words = Words::of(x, layout, self.op)?;
        let (made, shape) = (self.run)(&Cuda(&x.device), &words)?;
        Ok((made.into_storage(&x.device)?, shape))
    }
}

impl<F: Fn(&Cuda<'_>, &Words, &Words) -> Made> CustomOp2 for Call<F> {
    fn name(&self) -> &'static str {
        self.op
    }

    fn cpu_fwd(
        &self,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        bail!("{} is for a CUDA device", self.op)
    }

    fn cuda_fwd(
        &self,
        a: &CudaStorage,
        a_layout: &Layout,
        b: &CudaStorage,
        b_layout: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        let (first, second) = (
            Words::of(a, a_layout, self.op)?,
            Words::of(b, b_layout, self.op)?,
        );
        let (made, shape) = (self.run)(&Cuda(&a.device), &first, &second)?;
        Ok((made.into_storage(&a.device)?, shape))
    }
}

/// Words as numbers.
pub(crate) fn floats(on: &Cuda<'_>, words: &Words, count: usize) -> Result<Vec<f32>> {
    let words = on.download(words, count)?;
    Ok(words.into_iter().map(f32::from_bits).collect())
}
