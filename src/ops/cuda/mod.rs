//! CUDA: memory and launches for `kernels`, convolutions by cuDNN.
//!
//! All work of a device goes through the one stream of candle's device, in order: memory that is given back is free for
//! what comes later on that stream, and nothing here waits but `download` and `give_memory_back`.

#![allow(
    unsafe_code,
    reason = "launches of kernels and calls of cuDNN: foreign code that is given addresses"
)]

mod call;
mod conv;
mod cudnn;
#[cfg(feature = "nccl")]
mod nccl;
mod upload;

use candle_core::cuda_backend::cudarc::driver::{
    CudaSlice, DevicePtr, LaunchConfig, PushKernelArg, result, sys,
};
use candle_core::cuda_backend::{CudaDType, CudaStorageSlice, WrapErr};
use candle_core::{CudaDevice, CudaStorage, DType, Layout, Result, bail};

use sys::CUmemPool_attribute as Pool;

use super::kernels::{Arg, Kernel, Launcher, Size};

pub(crate) use call::{floats, forward1, forward2, on1, on2, read};
pub(crate) use conv::{ConvWeights, OnCuda, Stored};
#[cfg(feature = "nccl")]
pub use nccl::{Lane, Ring};
pub(crate) use upload::Uploader;

/// One text a file of kernels, compiled by the build script.
const PTX: [(&str, &str); 4] = [
    (
        "boxes",
        include_str!(concat!(env!("OUT_DIR"), "/boxes.ptx")),
    ),
    (
        "dense",
        include_str!(concat!(env!("OUT_DIR"), "/dense.ptx")),
    ),
    (
        "paste",
        include_str!(concat!(env!("OUT_DIR"), "/paste.ptx")),
    ),
    (
        "roi_align",
        include_str!(concat!(env!("OUT_DIR"), "/roi_align.ptx")),
    ),
];

/// A device that runs kernels.
pub(crate) struct Cuda<'a>(pub(crate) &'a CudaDevice);

/// Memory of the device, of words of four bytes.
pub(crate) struct Words {
    address: u64,
    len: usize,
    /// Given back with it; none where it belongs to a tensor.
    owned: Option<CudaSlice<f32>>,
}

impl Words {
    /// The values of a contiguous f32 tensor. They stay its own.
    pub(crate) fn of(storage: &CudaStorage, layout: &Layout, op: &str) -> Result<Self> {
        Ok(Self {
            address: address::<f32>(storage, layout, op)?,
            len: layout.shape().elem_count(),
            owned: None,
        })
    }

    /// The storage of a tensor; only of words that were allocated.
    pub(crate) fn into_storage(self, device: &CudaDevice) -> Result<CudaStorage> {
        match self.owned {
            Some(slice) => Ok(CudaStorage::wrap_cuda_slice(slice, device.clone())),
            None => bail!("memory of another tensor cannot become a tensor"),
        }
    }
}

/// Where a contiguous tensor lies. The address is good while the tensor lives, and for all that was started by then.
fn address<T: CudaDType>(storage: &CudaStorage, layout: &Layout, op: &str) -> Result<u64> {
    let Some((start, end)) = layout.contiguous_offsets() else {
        let strides = layout.stride();
        bail!("{op} needs a contiguous tensor, got strides {strides:?}");
    };
    let slice = storage.as_cuda_slice::<T>()?;
    if end > slice.len() {
        bail!(
            "{op}: the tensor {:?} is larger than its storage",
            layout.shape()
        );
    }
    let stream = storage.device.cuda_stream();
    let (address, _in_order) = slice.device_ptr(&stream);
    Ok(address + (start * size_of::<T>()) as u64)
}

impl Launcher for Cuda<'_> {
    type Buffer = Words;

    fn alloc(&self, words: usize) -> Result<Words> {
        // SAFETY: a kernel writes all of it before anything reads it: that is what each function in `kernels` is for.
        let slice = unsafe { self.0.alloc::<f32>(words.max(1))? };
        Ok(self.own(slice, words))
    }

    fn upload(&self, words: &[u32]) -> Result<Words> {
        let values: Vec<f32> = words.iter().map(|&word| f32::from_bits(word)).collect();
        let count = values.len();
        let slice = match count {
            0 => self.0.alloc_zeros::<f32>(1)?,
            _ => self.0.clone_htod(&values)?,
        };
        Ok(self.own(slice, count))
    }

    fn download(&self, buffer: &Words, words: usize) -> Result<Vec<u32>> {
        if words > buffer.len {
            bail!("{words} words of a buffer of {}", buffer.len);
        }
        let mut values = vec![0u32; words];
        let stream = self.0.cuda_stream();
        stream.context().bind_to_thread().w()?;
        // SAFETY: the buffer holds so many words, and the stream is waited for before the host reads them.
        unsafe { result::memcpy_dtoh_async(&mut values, buffer.address, stream.cu_stream()) }
            .w()?;
        stream.synchronize().w()?;
        Ok(values)
    }

    fn launch(&self, kernel: Kernel, size: Size, args: &[Arg<'_, Words>]) -> Result<()> {
        let Some((_, ptx)) = PTX.iter().find(|(file, _)| *file == kernel.file) else {
            bail!("no kernels in {}", kernel.file);
        };
        if size.grid.contains(&0) {
            return Ok(()); // nothing to do, which CUDA refuses
        }
        let function = self
            .0
            .get_or_load_custom_func(kernel.name, kernel.file, ptx)?;
        let mut builder = function.builder();
        for arg in args {
            match arg {
                Arg::Buffer(words) => builder.arg(&words.address),
                Arg::Int(value) => builder.arg(value),
                Arg::Float(value) => builder.arg(value),
            };
        }
        let [x, y, z] = size.grid;
        let config = LaunchConfig {
            grid_dim: (x, y, z),
            block_dim: (size.threads, 1, 1),
            shared_mem_bytes: 0,
        };
        // SAFETY: number and kinds of the arguments are those of the kernel, and its indices stay inside its arrays: both
        // are tested with the same calls on the processor.
        unsafe { builder.launch(config) }.w()?;
        Ok(())
    }
}

impl Cuda<'_> {
    fn own(&self, slice: CudaSlice<f32>, len: usize) -> Words {
        let stream = self.0.cuda_stream();
        let (address, in_order) = slice.device_ptr(&stream);
        drop(in_order);
        Words {
            address,
            len,
            owned: Some(slice),
        }
    }
}

/// Lets the driver keep memory that was given back for what comes later. By default it goes back to the system whenever the host
/// waits, which is at least once an image.
pub(crate) fn keep_memory(device: &CudaDevice) -> Result<()> {
    set(device, Pool::CU_MEMPOOL_ATTR_RELEASE_THRESHOLD, u64::MAX)
}

/// Gives what was kept and is not in use back to the system. Waits for the work before it.
pub(crate) fn give_memory_back(device: &CudaDevice) -> Result<()> {
    device.cuda_stream().synchronize().w()?;
    // SAFETY: as in `set`.
    unsafe { result::mem_pool::trim_to(pool(device)?, 0).w() }
}

/// Lets `most_memory` begin anew.
pub(crate) fn forget_most_memory(device: &CudaDevice) -> Result<()> {
    set(device, Pool::CU_MEMPOOL_ATTR_USED_MEM_HIGH, 0)
}

/// Most bytes that were in use at once.
pub(crate) fn most_memory(device: &CudaDevice) -> Result<u64> {
    let mut bytes = 0u64;
    let most = Pool::CU_MEMPOOL_ATTR_USED_MEM_HIGH;
    // SAFETY: as in `set`.
    unsafe { result::mem_pool::get_attribute(pool(device)?, most, (&raw mut bytes).cast()).w()? };
    Ok(bytes)
}

fn set(device: &CudaDevice, attribute: Pool, value: u64) -> Result<()> {
    let mut value = value;
    // SAFETY: a pool of the driver, and both attributes are numbers of 64 bits.
    unsafe {
        result::mem_pool::set_attribute(pool(device)?, attribute, (&raw mut value).cast()).w()
    }
}

/// What the memory of tensors comes from.
fn pool(device: &CudaDevice) -> Result<sys::CUmemoryPool> {
    let card = device.cuda_stream().context().cu_device();
    // SAFETY: the card is open, and its own pool needs no making.
    unsafe { result::device::get_default_mem_pool(card) }.w()
}

/// The type of the values in a storage.
pub(crate) fn dtype(storage: &CudaStorage) -> DType {
    match storage.slice {
        CudaStorageSlice::F16(_) => DType::F16,
        CudaStorageSlice::BF16(_) => DType::BF16,
        CudaStorageSlice::F64(_) => DType::F64,
        _ => DType::F32,
    }
}
