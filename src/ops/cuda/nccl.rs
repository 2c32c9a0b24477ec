//! Sums over the cards of several processes: NCCL on a stream of its own, beside the stream that computes.

use std::mem::ManuallyDrop;
use std::sync::{Arc, Mutex, PoisonError};

use candle_core::cuda_backend::WrapErr;
use candle_core::cuda_backend::cudarc::driver::{CudaEvent, CudaStream};
use candle_core::cuda_backend::cudarc::nccl::{Comm, Id, ReduceOp, result::NcclError};
use candle_core::{
    CpuStorage, CudaStorage, Device, Error, InplaceOp1, Layout, Result, Tensor, bail,
};

/// What the processes of one ring have in common: the first one makes it, the others are given it.
pub type RingId = [u8; 128];

/// This process's card among those of the others.
pub struct Ring(Mutex<Link>);

struct Link {
    /// Never destroyed: that aborts, and waits for ranks that may be lost. It goes with the process.
    comm: ManuallyDrop<Comm>,
    /// Where it sums.
    stream: Arc<CudaStream>,
    /// Where candle computes.
    compute: Arc<CudaStream>,
}

// SAFETY: NCCL lets any thread use a communicator, one at a time; the lock of `Ring` sees to that.
unsafe impl Send for Link {}

/// What a card needs to sum, before the others are waited for.
pub struct Lane {
    stream: Arc<CudaStream>,
    compute: Arc<CudaStream>,
}

impl Lane {
    /// A stream of its own on a device.
    ///
    /// # Errors
    /// No CUDA device; CUDA refuses.
    pub fn of(device: &Device) -> Result<Self> {
        let Device::Cuda(device) = device else {
            bail!("NCCL sums on CUDA devices alone");
        };
        // SAFETY: two streams use a tensor in `sum` alone, which orders them itself. With tracking, every operation of candle would
        // record an event from the second stream on.
        unsafe { device.disable_event_tracking() };
        let compute = device.cuda_stream();
        let stream = compute.context().new_stream().w()?;
        Ok(Self { stream, compute })
    }
}

/// What was asked for up to now, on its way.
pub struct Pending(CudaEvent);

impl Ring {
    /// A new id, for the first process.
    ///
    /// # Errors
    /// NCCL refuses.
    pub fn id() -> Result<RingId> {
        let id = Id::new().map_err(refused)?;
        Ok(id.internal().map(|byte| byte as u8))
    }

    /// Joins the others; waits until all `size` of them are there, each with a card of its own.
    ///
    /// # Errors
    /// NCCL refuses, as where two processes share a card.
    pub fn join(lane: Lane, rank: usize, size: usize, id: RingId) -> Result<Self> {
        let Lane { stream, compute } = lane;
        let id = Id::uninit(id.map(|byte| byte as _));
        let comm = Comm::from_rank(Arc::clone(&stream), rank, size, id).map_err(refused)?;
        Ok(Self(Mutex::new(Link {
            comm: ManuallyDrop::new(comm),
            stream,
            compute,
        })))
    }

    /// Begins to sum tensors over all processes: one behind the other in one contiguous tensor. It holds the sums when what `pending`
    /// answers is over. All processes sum tensors of the same sizes in the same order.
    ///
    /// # Errors
    /// Another type than f32, another device; NCCL refuses.
    pub fn sum(&self, parts: &[Tensor]) -> Result<Tensor> {
        let flat: Result<Vec<Tensor>> = parts.iter().map(Tensor::flatten_all).collect();
        let whole = match flat?.as_slice() {
            // The memory of a gradient may be that of another one too.
            [one] => one.copy()?,
            many => Tensor::cat(many, 0)?,
        };
        whole.inplace_op1(&AllReduce(self))?;
        Ok(whole)
    }

    /// Everything that was asked for so far; what candle computes from now on comes behind it.
    ///
    /// # Errors
    /// CUDA refuses.
    pub fn pending(&self) -> Result<Pending> {
        let link = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let event = link.stream.record_event(None).w()?;
        link.compute.wait(&event).w()?;
        Ok(Pending(event))
    }
}

impl Pending {
    /// Whether it is over. Does not wait.
    ///
    /// # Errors
    /// Something on the card failed.
    pub fn is_over(&self) -> Result<bool> {
        self.0.try_is_complete().w()
    }
}

struct AllReduce<'a>(&'a Ring);

impl InplaceOp1 for AllReduce<'_> {
    fn name(&self) -> &'static str {
        "all_reduce"
    }

    fn cpu_fwd(&self, _: &mut CpuStorage, _: &Layout) -> Result<()> {
        bail!("NCCL sums on CUDA devices alone")
    }

    fn cuda_fwd(&self, storage: &mut CudaStorage, layout: &Layout) -> Result<()> {
        let whole = storage.as_cuda_slice_mut::<f32>()?;
        if layout.contiguous_offsets() != Some((0, whole.len())) {
            bail!("all_reduce: a part of a tensor cannot be summed in place");
        }
        let link = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Behind everything that made the gradients, beside everything that comes.
        link.stream.join(&link.compute).w()?;
        link.comm
            .all_reduce_in_place(whole, &ReduceOp::Sum)
            .map_err(refused)?;
        Ok(())
    }
}

fn refused(error: NcclError) -> Error {
    Error::Msg(format!("NCCL: {:?}", error.0))
}
