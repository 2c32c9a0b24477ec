//! cuDNN's handle and descriptors, each given back when it goes.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::c_int;
use std::rc::Rc;
use std::sync::Arc;

use candle_core::cuda_backend::DeviceId;
use candle_core::cuda_backend::cudarc::cudnn::{CudnnError, result, sys};
use candle_core::cuda_backend::cudarc::driver::CudaStream;
use candle_core::{CudaDevice, Result};

use crate::structures::Precision;

const FORMAT: sys::cudnnTensorFormat_t = sys::cudnnTensorFormat_t::CUDNN_TENSOR_NCHW;

thread_local! {
    /// A handle is for one thread.
    static HANDLES: RefCell<HashMap<DeviceId, Rc<Handle>>> = RefCell::default();
}

/// cuDNN on the stream of a device.
pub(super) struct Handle {
    pub(super) raw: sys::cudnnHandle_t,
    /// What the heuristics said of forward passes, of inputs' gradients and of weights'.
    pub(super) forward: Answers<sys::cudnnConvolutionFwdAlgo_t>,
    pub(super) input: Answers<sys::cudnnConvolutionBwdDataAlgo_t>,
    pub(super) weight: Answers<sys::cudnnConvolutionBwdFilterAlgo_t>,
    /// Must outlive the handle.
    _stream: Arc<CudaStream>,
}

impl Handle {
    /// The one of this thread.
    pub(super) fn of(device: &CudaDevice) -> Result<Rc<Self>> {
        HANDLES.with_borrow_mut(|handles| {
            if let Some(handle) = handles.get(&device.id()) {
                return Ok(Rc::clone(handle));
            }
            let stream = device.cuda_stream();
            stream.context().bind_to_thread()?;
            let handle = Rc::new(Self {
                raw: result::create_handle()?,
                forward: Answers::default(),
                input: Answers::default(),
                weight: Answers::default(),
                _stream: Arc::clone(&stream),
            });
            // SAFETY: both are valid: the handle was made just now and keeps the stream.
            unsafe { result::set_stream(handle.raw, stream.cu_stream().cast()) }?;
            handles.insert(device.id(), Rc::clone(&handle));
            Ok(handle)
        })
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // SAFETY: made by `create_handle` and given back once. At the end of a thread there is nobody to tell of an error.
        let _ = unsafe { result::destroy_handle(self.raw) };
    }
}

/// Shape and type of an array of four axes.
pub(super) struct Tensor4(pub(super) sys::cudnnTensorDescriptor_t);

impl Tensor4 {
    pub(super) fn new(kind: sys::cudnnDataType_t, shape: [usize; 4]) -> Result<Self> {
        let tensor = Self(result::create_tensor_descriptor()?);
        // SAFETY: made just now.
        unsafe { result::set_tensor4d_descriptor(tensor.0, FORMAT, kind, ints(shape)) }?;
        Ok(tensor)
    }
}

impl Drop for Tensor4 {
    fn drop(&mut self) {
        // SAFETY: made by `create_tensor_descriptor` and given back once.
        let _ = unsafe { result::destroy_tensor_descriptor(self.0) };
    }
}

/// Shape and type of the weights of a convolution, (O,I,kh,kw).
pub(super) struct Filter(pub(super) sys::cudnnFilterDescriptor_t);

impl Filter {
    pub(super) fn new(kind: sys::cudnnDataType_t, shape: [usize; 4]) -> Result<Self> {
        let filter = Self(result::create_filter_descriptor()?);
        // SAFETY: made just now.
        unsafe { result::set_filter4d_descriptor(filter.0, kind, FORMAT, ints(shape)) }?;
        Ok(filter)
    }
}

impl Drop for Filter {
    fn drop(&mut self) {
        // SAFETY: made by `create_filter_descriptor` and given back once.
        let _ = unsafe { result::destroy_filter_descriptor(self.0) };
    }
}

/// Stride, padding and arithmetic of a convolution. Sums are in float32.
pub(super) struct Window(pub(super) sys::cudnnConvolutionDescriptor_t);

impl Window {
    pub(super) fn new(stride: usize, padding: usize, precision: Precision) -> Result<Self> {
        let window = Self(result::create_convolution_descriptor()?);
        let (stride, padding) = (stride as c_int, padding as c_int);
        let mode = sys::cudnnConvolutionMode_t::CUDNN_CROSS_CORRELATION;
        let sums = sys::cudnnDataType_t::CUDNN_DATA_FLOAT;
        // SAFETY: made just now.
        unsafe {
            result::set_convolution2d_descriptor(
                window.0, padding, padding, stride, stride, 1, 1, mode, sums,
            )?;
        }
        window.set_math(math_of(precision))?;
        Ok(window)
    }

    fn set_math(&self, math: sys::cudnnMathType_t) -> std::result::Result<(), CudnnError> {
        // SAFETY: a valid descriptor.
        unsafe { result::set_convolution_math_type(self.0, math) }
    }

    /// Takes the arithmetic that the heuristics meant with an algorithm; of float32 none that rounds.
    pub(super) fn follow<A>(
        &self,
        candidate: &Candidate<A>,
        precision: Precision,
    ) -> std::result::Result<(), CudnnError> {
        match precision {
            Precision::Float32 => Ok(()),
            _ => self.set_math(candidate.math),
        }
    }
}

/// What the heuristics may choose from.
fn math_of(precision: Precision) -> sys::cudnnMathType_t {
    use sys::cudnnMathType_t as Math;
    match precision {
        Precision::Float32 => Math::CUDNN_FMA_MATH, // the default would take TensorFloat-32
        Precision::TensorFloat32 => Math::CUDNN_DEFAULT_MATH,
        Precision::Float16 | Precision::Bfloat16 => Math::CUDNN_TENSOR_OP_MATH,
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        // SAFETY: made by `create_convolution_descriptor` and given back once.
        let _ = unsafe { result::destroy_convolution_descriptor(self.0) };
    }
}

/// What follows a convolution in the same call.
pub(super) struct Activation(pub(super) sys::cudnnActivationDescriptor_t);

impl Activation {
    pub(super) fn new(relu: bool) -> Result<Self> {
        let activation = Self(result::create_activation_descriptor()?);
        let mode = if relu {
            sys::cudnnActivationMode_t::CUDNN_ACTIVATION_RELU
        } else {
            sys::cudnnActivationMode_t::CUDNN_ACTIVATION_IDENTITY
        };
        // The fused call takes no other.
        let nan = sys::cudnnNanPropagation_t::CUDNN_NOT_PROPAGATE_NAN;
        // SAFETY: made just now.
        unsafe { result::set_activation_descriptor(activation.0, mode, nan, 0.0) }?;
        Ok(activation)
    }
}

impl Drop for Activation {
    fn drop(&mut self) {
        // SAFETY: made by `create_activation_descriptor` and given back once.
        let _ = unsafe { sys::cudnnDestroyActivationDescriptor(self.0) };
    }
}

fn ints(shape: [usize; 4]) -> [c_int; 4] {
    shape.map(|length| length as c_int)
}

/// What cuDNN's heuristics say of an algorithm.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate<A> {
    pub(super) algorithm: A,
    pub(super) math: sys::cudnnMathType_t,
    pub(super) works: bool,
    pub(super) repeats: bool,
    pub(super) memory: usize,
}

/// What a convolution's algorithms depend on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Case {
    pub(super) x: [usize; 4],
    pub(super) weight: [usize; 4],
    pub(super) stride: usize,
    pub(super) padding: usize,
    pub(super) precision: Precision,
    pub(super) kind: sys::cudnnDataType_t,
}

/// Answers of the heuristics, which take longer than a small convolution.
pub(super) struct Answers<A>(RefCell<HashMap<Case, Rc<[Candidate<A>]>>>);

impl<A> Default for Answers<A> {
    fn default() -> Self {
        Self(RefCell::default())
    }
}

impl<A> Answers<A> {
    /// Images of many sizes make many cases.
    const MOST: usize = 8192;

    /// Those of a case, in the order in which they are to be tried; `ask` asks for them.
    pub(super) fn of(
        &self,
        case: Case,
        ask: impl FnOnce() -> Result<Vec<Candidate<A>>>,
    ) -> Result<Rc<[Candidate<A>]>> {
        if let Some(known) = self.0.borrow().get(&case) {
            return Ok(Rc::clone(known));
        }
        let found: Rc<[Candidate<A>]> = in_order(ask()?).into();
        let mut all = self.0.borrow_mut();
        if all.len() >= Self::MOST {
            all.clear();
        }
        all.insert(case, Rc::clone(&found));
        Ok(found)
    }
}

/// Memory that an algorithm may have while another one does with less.
const WORKSPACE: usize = 1 << 30;

/// Those that work and give the same result in every run: with a modest workspace as cuDNN orders them, then the others, the
/// smallest first.
fn in_order<A>(candidates: Vec<Candidate<A>>) -> Vec<Candidate<A>> {
    let usable = candidates
        .into_iter()
        .filter(|one| one.works && one.repeats);
    let (mut modest, mut large): (Vec<_>, Vec<_>) = usable.partition(|one| one.memory <= WORKSPACE);
    large.sort_by_key(|one| one.memory);
    modest.extend(large);
    modest
}

/// Runs the first candidate that finds memory and is not refused; false where all are refused. `reserve` makes a workspace of so
/// many bytes.
///
/// # Errors
/// A failure that is no refusal; no memory for the workspace of any that might not be refused.
pub(super) fn first_that_works<A, S>(
    candidates: &[Candidate<A>],
    reserve: impl Fn(usize) -> Result<S>,
    run: impl Fn(&Candidate<A>, &S) -> std::result::Result<(), CudnnError>,
) -> Result<bool> {
    let mut without_memory = None;
    for one in candidates {
        match reserve(one.memory) {
            Ok(scratch) => match run(one, &scratch) {
                Ok(()) => return Ok(true),
                Err(error) if is_refusal(error) => {}
                Err(error) => return Err(error.into()),
            },
            Err(error) => without_memory = Some(error),
        }
    }
    // With a smaller batch there may be memory.
    without_memory.map_or(Ok(false), Err)
}

/// Of cuDNN 9: 2000 to 2999 are bad parameters, 3000 to 3999 what is not supported.
fn is_refusal(error: CudnnError) -> bool {
    (2000..4000).contains(&(error.0 as u32))
}

/// As `first_that_works`, where there is no other way.
///
/// # Errors
/// As there; all candidates refused.
pub(super) fn must_work<A, S>(
    candidates: &[Candidate<A>],
    reserve: impl Fn(usize) -> Result<S>,
    run: impl Fn(&Candidate<A>, &S) -> std::result::Result<(), CudnnError>,
) -> Result<()> {
    if first_that_works(candidates, reserve, run)? {
        return Ok(());
    }
    Err(CudnnError(sys::cudnnStatus_t::CUDNN_STATUS_NOT_SUPPORTED).into())
}

/// The heuristics' answers, best first: `ask` fills an array of the given length and tells how many it filled.
macro_rules! candidates {
    ($perf:ty, $ask:expr) => {{
        const MOST: usize = 16;
        let mut count: std::ffi::c_int = 0;
        // SAFETY: a plain structure of numbers, of which those that cuDNN filled are read.
        let mut found: [$perf; MOST] = unsafe { std::mem::zeroed() };
        #[allow(
            clippy::redundant_closure_call,
            reason = "the macro's argument is a closure"
        )]
        ($ask)(MOST as std::ffi::c_int, &raw mut count, found.as_mut_ptr())?;
        let all = found.iter().take(count.max(0) as usize);
        all.map(|one| Candidate {
            algorithm: one.algo,
            math: one.mathType,
            works: one.status == sys::cudnnStatus_t::CUDNN_STATUS_SUCCESS,
            repeats: one.determinism == sys::cudnnDeterminism_t::CUDNN_DETERMINISTIC,
            memory: one.memory,
        })
        .collect::<Vec<_>>()
    }};
}
pub(super) use candidates;
