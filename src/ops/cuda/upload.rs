//! Arrays of the host on their way to the device, through memory that the driver copies from while the host goes on.

use candle_core::cuda_backend::WrapErr;
use candle_core::cuda_backend::cudarc::driver::{
    CudaStream, HostSlice, PinnedHostSlice, SyncOnDrop,
};
use candle_core::{
    CpuStorage, CudaDevice, CudaStorage, DType, Device, InplaceOp1, Layout, Result, Tensor, bail,
};
use std::sync::{Mutex, PoisonError};

/// A page-locked array that is used again for the next upload.
#[derive(Debug)]
pub(crate) struct Uploader {
    device: CudaDevice,
    staged: Mutex<Option<PinnedHostSlice<f32>>>,
}

impl Uploader {
    pub(crate) fn new(device: &CudaDevice) -> Self {
        Self {
            device: device.clone(),
            staged: Mutex::new(None),
        }
    }

    /// A tensor of `shape` with these values. Returns when they are staged; what uses the tensor comes behind the copy on
    /// the device's stream.
    pub(crate) fn upload(&self, values: &[f32], shape: &[usize]) -> Result<Tensor> {
        let mut staged = self.staged.lock().unwrap_or_else(PoisonError::into_inner);
        if staged
            .as_ref()
            .is_none_or(|pinned| pinned.len() < values.len())
        {
            *staged = None; // the smaller one goes first
            let stream = self.device.cuda_stream();
            // Written here and read by the driver: neither needs it cached otherwise. SAFETY: plain numbers.
            let pinned = unsafe {
                stream
                    .context()
                    .alloc_pinned_with_flags::<f32>(values.len(), 0)
            }
            .w()?;
            *staged = Some(pinned);
        }
        let Some(pinned) = staged.as_mut() else {
            bail!("no memory to stage {} values in", values.len());
        };
        // Waits for the copy before it, which reads the same memory.
        let target = pinned.as_mut_slice().w()?;
        target[..values.len()].copy_from_slice(values);
        let device = Device::Cuda(self.device.clone());
        let tensor = Tensor::zeros(shape, DType::F32, &device)?;
        tensor.inplace_op1(&Copy { pinned })?;
        Ok(tensor)
    }
}

/// Fills a tensor from the front of a staged array.
struct Copy<'a> {
    pinned: &'a PinnedHostSlice<f32>,
}

impl InplaceOp1 for Copy<'_> {
    fn name(&self) -> &'static str {
        "upload"
    }

    fn cpu_fwd(&self, _: &mut CpuStorage, _: &Layout) -> Result<()> {
        bail!("upload is for a CUDA device")
    }

    fn cuda_fwd(&self, storage: &mut CudaStorage, layout: &Layout) -> Result<()> {
        let count = layout.shape().elem_count();
        let stream = storage.device.cuda_stream();
        let target = storage.as_cuda_slice_mut::<f32>()?;
        if count != target.len() || count > self.pinned.len() {
            bail!(
                "upload: {count} values of {} into {}",
                self.pinned.len(),
                target.len()
            );
        }
        // A part of the array, whose event is recorded so that `as_mut_slice` waits for this copy.
        let staged = Front {
            pinned: self.pinned,
            count,
        };
        stream.memcpy_htod(&staged, target).w()
    }
}

/// The first values of a staged array.
struct Front<'a> {
    pinned: &'a PinnedHostSlice<f32>,
    count: usize,
}

impl HostSlice<f32> for Front<'_> {
    fn len(&self) -> usize {
        self.count
    }

    unsafe fn stream_synced_slice<'a>(
        &'a self,
        stream: &'a CudaStream,
    ) -> (&'a [f32], SyncOnDrop<'a>) {
        // SAFETY: handed on to the same stream.
        let (all, sync) = unsafe { self.pinned.stream_synced_slice(stream) };
        (&all[..self.count], sync)
    }

    unsafe fn stream_synced_mut_slice<'a>(
        &'a mut self,
        _: &'a CudaStream,
    ) -> (&'a mut [f32], SyncOnDrop<'a>) {
        // Nothing is copied into it; an empty slice copies nothing.
        (&mut [], SyncOnDrop::Sync(None))
    }
}
