//! Convolution by cuDNN, forward and backward.
//!
//! Axes: N images or RoIs, I and O channels, H and W.

use std::ffi::c_void;

use candle_core::cuda_backend::CudaDType;
use candle_core::cuda_backend::cudarc::cudnn::{result, sys};
use candle_core::cuda_backend::cudarc::driver::{CudaSlice, DevicePtr, DeviceRepr};
use candle_core::{
    CpuStorage, CudaDevice, CudaStorage, CustomOp2, DType, Layout, Result, Shape, Tensor, bail,
};
use half::{bf16, f16};

use super::cudnn::{self, Candidate, Case, Filter, Handle, Tensor4, Window, candidates};
use super::{address, dtype};
use crate::ops::conv2d::ConvShape;
use crate::structures::Precision;

/// A convolution on a CUDA device; arrays are float32, float16 or bfloat16, all of one type.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OnCuda {
    /// On both axes.
    pub(crate) stride: usize,
    /// Zeros on each side of both axes.
    pub(crate) padding: usize,
    /// Of the products.
    pub(crate) precision: Precision,
}

/// Shapes of one call.
#[derive(Clone, Copy, Debug)]
struct Shapes {
    x: [usize; 4],
    weight: [usize; 4],
    y: [usize; 4],
}

/// A type that cuDNN takes.
trait Value: CudaDType + DeviceRepr {
    const KIND: sys::cudnnDataType_t;
}

impl Value for f32 {
    const KIND: sys::cudnnDataType_t = sys::cudnnDataType_t::CUDNN_DATA_FLOAT;
}

impl Value for f16 {
    const KIND: sys::cudnnDataType_t = sys::cudnnDataType_t::CUDNN_DATA_HALF;
}

impl Value for bf16 {
    const KIND: sys::cudnnDataType_t = sys::cudnnDataType_t::CUDNN_DATA_BFLOAT16;
}

/// Calls a generic function for the type of a storage.
macro_rules! by_type {
    ($storage:expr, $function:ident, $($argument:expr),*) => {
        match dtype($storage) {
            DType::F16 => $function::<f16>($($argument),*),
            DType::BF16 => $function::<bf16>($($argument),*),
            DType::F32 => $function::<f32>($($argument),*),
            other => bail!("conv2d by cuDNN takes no {other:?}"),
        }
    };
}

/// Storage and layout of a tensor.
pub(crate) type Stored<'a> = (&'a CudaStorage, &'a Layout);

/// What a convolution adds up with, and what follows.
#[derive(Clone, Copy)]
pub(crate) struct ConvWeights<'a> {
    /// (O,I,kh,kw)
    pub(crate) weight: Stored<'a>,
    /// (O)
    pub(crate) bias: Stored<'a>,
    /// Whether max(x, 0) follows.
    pub(crate) relu: bool,
}

impl OnCuda {
    fn shapes(&self, x: &[usize], weight: &[usize]) -> Result<Shapes> {
        let s = ConvShape::new(x, weight, self.stride, self.padding)?;
        if s.n * s.i * s.o == 0 {
            bail!("conv2d: cuDNN convolves no empty arrays, got {x:?} and {weight:?}");
        }
        Ok(Shapes {
            x: [s.n, s.i, s.h, s.w],
            weight: [s.o, s.i, s.kh, s.kw],
            y: [s.n, s.o, s.oh, s.ow],
        })
    }

    fn case<T: Value>(&self, shapes: &Shapes) -> Case {
        Case {
            x: shapes.x,
            weight: shapes.weight,
            stride: self.stride,
            padding: self.padding,
            precision: self.precision,
            kind: T::KIND,
        }
    }

    /// `activation(conv(x) + bias + residual)`.
    pub(crate) fn forward(
        &self,
        x: Stored<'_>,
        weights: ConvWeights<'_>,
        residual: Option<Stored<'_>>,
    ) -> Result<(CudaStorage, Shape)> {
        let shapes = self.shapes(x.1.dims(), weights.weight.1.dims())?;
        if weights.bias.1.dims() != [shapes.y[1]] {
            let (weight, bias) = (shapes.weight, weights.bias.1.dims());
            bail!("conv2d: weight {weight:?} and bias {bias:?} do not fit");
        }
        if let Some((_, layout)) = residual
            && layout.dims() != shapes.y
        {
            let (got, want) = (layout.dims(), shapes.y);
            bail!("conv2d: the residual is {got:?}, the output {want:?}");
        }
        let y = by_type!(x.0, forward_of, *self, shapes, x, weights, residual)?;
        Ok((y, Shape::from(&shapes.y)))
    }

    /// The gradient of the input, of shape `x`: from weight (O,I,kh,kw) and the gradient of the sum.
    pub(crate) fn input_gradient(
        &self,
        x: &Tensor,
        weight: &Tensor,
        dz: &Tensor,
    ) -> Result<Tensor> {
        let op = Backward {
            conv: *self,
            shapes: self.shapes(x.dims(), weight.dims())?,
            of: Of::Input,
        };
        weight
            .contiguous()?
            .apply_op2_no_bwd(&dz.contiguous()?, &op)
    }

    /// The gradient of the weights, of shape `weight`: from the input and the gradient of the sum.
    pub(crate) fn weight_gradient(
        &self,
        x: &Tensor,
        weight: &Tensor,
        dz: &Tensor,
    ) -> Result<Tensor> {
        let op = Backward {
            conv: *self,
            shapes: self.shapes(x.dims(), weight.dims())?,
            of: Of::Weight,
        };
        x.contiguous()?.apply_op2_no_bwd(&dz.contiguous()?, &op)
    }
}

/// Memory of the device as foreign code takes it.
fn pointer(address: u64) -> *mut c_void {
    address as *mut c_void
}

fn scaling(factor: &f32) -> *const c_void {
    std::ptr::from_ref(factor).cast()
}

struct Scratch(Option<CudaSlice<u8>>);

impl Scratch {
    fn new(device: &CudaDevice, bytes: usize) -> Result<Self> {
        // SAFETY: cuDNN's own scratch memory: it writes before it reads.
        let slice = || unsafe { device.alloc::<u8>(bytes) };
        Ok(Self((bytes > 0).then(slice).transpose()?))
    }

    fn pointer(&self, device: &CudaDevice) -> *mut c_void {
        let stream = device.cuda_stream();
        let address = self.0.as_ref().map(|slice| slice.device_ptr(&stream).0);
        address.map_or(std::ptr::null_mut(), pointer)
    }
}

/// Memory for a result, and where it lies.
fn output<T: Value>(device: &CudaDevice, count: usize) -> Result<(CudaSlice<T>, *mut c_void)> {
    // SAFETY: cuDNN writes all of it.
    let slice = unsafe { device.alloc::<T>(count)? };
    let stream = device.cuda_stream();
    let (address, in_order) = slice.device_ptr(&stream);
    drop(in_order);
    Ok((slice, pointer(address)))
}

fn forward_of<T: Value>(
    conv: OnCuda,
    shapes: Shapes,
    x: Stored<'_>,
    weights: ConvWeights<'_>,
    residual: Option<Stored<'_>>,
) -> Result<CudaStorage> {
    const OP: &str = "conv2d";
    let device = &x.0.device;
    let handle = Handle::of(device)?;
    let of_x = Tensor4::new(T::KIND, shapes.x)?;
    let of_weight = Filter::new(T::KIND, shapes.weight)?;
    let of_bias = Tensor4::new(T::KIND, [1, shapes.y[1], 1, 1])?;
    let of_y = Tensor4::new(T::KIND, shapes.y)?;
    let window = Window::new(conv.stride, conv.padding, conv.precision)?;
    let activation = cudnn::Activation::new(weights.relu)?;
    let at_x = pointer(address::<T>(x.0, x.1, OP)?);
    let at_weight = pointer(address::<T>(weights.weight.0, weights.weight.1, OP)?);
    let at_bias = pointer(address::<T>(weights.bias.0, weights.bias.1, OP)?);
    let at_residual = residual
        .map(|(storage, layout)| address::<T>(storage, layout, OP))
        .transpose()?
        .map(pointer);
    // Before a workspace, which can be a smaller one.
    let (slice, y) = output::<T>(device, shapes.y.iter().product())?;
    let reserve = |bytes| Scratch::new(device, bytes);
    let all = handle.forward.of(conv.case::<T>(&shapes), || {
        let ask = |most, count, found| {
            // SAFETY: the descriptors live until the end of this function.
            unsafe {
                result::get_convolution_forward_algorithm(
                    handle.raw,
                    of_x.0,
                    of_weight.0,
                    window.0,
                    of_y.0,
                    most,
                    count,
                    found,
                )
            }
        };
        Ok(candidates!(sys::cudnnConvolutionFwdAlgoPerf_t, ask))
    })?;
    use sys::cudnnConvolutionFwdAlgo_t as Algorithm;
    let fits = |one: &&Candidate<Algorithm>| {
        // The only one that cuDNN has for a sum without activation in the same call.
        let only = Algorithm::CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM;
        weights.relu || one.algorithm == only
    };
    let fused: Vec<_> = all.iter().filter(fits).copied().collect();
    let factor = if residual.is_some() { 1.0 } else { 0.0 };
    let in_one_call = |one: &Candidate<Algorithm>, scratch: &Scratch| {
        window.follow(one, conv.precision)?;
        // SAFETY: every array holds what its descriptor says; all work is in order on the stream of the device.
        unsafe {
            result::convolution_bias_activation_forward(
                handle.raw,
                scaling(&1.0),
                of_x.0,
                at_x,
                of_weight.0,
                at_weight,
                window.0,
                one.algorithm,
                scratch.pointer(device),
                one.memory,
                scaling(&factor),
                of_y.0,
                at_residual.unwrap_or(y), // else not read: its factor is 0
                of_bias.0,
                at_bias,
                activation.0,
                of_y.0,
                y,
            )
        }
    };
    if cudnn::first_that_works(&fused, reserve, in_one_call)? {
        return Ok(CudaStorage::wrap_cuda_slice(slice, device.clone()));
    }
    // One after the other, which every convolution can have.
    cudnn::must_work(&all, reserve, |one, scratch| {
        window.follow(one, conv.precision)?;
        // SAFETY: as above.
        unsafe {
            result::convolution_forward(
                handle.raw,
                scaling(&1.0),
                of_x.0,
                at_x,
                of_weight.0,
                at_weight,
                window.0,
                one.algorithm,
                scratch.pointer(device),
                one.memory,
                scaling(&0.0),
                of_y.0,
                y,
            )
        }
    })?;
    // SAFETY: as above; adding and the activation work in place.
    unsafe {
        let one = scaling(&1.0);
        sys::cudnnAddTensor(handle.raw, one, of_bias.0, at_bias, one, of_y.0, y).result()?;
        if let Some(residual) = at_residual {
            sys::cudnnAddTensor(handle.raw, one, of_y.0, residual, one, of_y.0, y).result()?;
        }
        if weights.relu {
            let (raw, zero) = (activation.0, scaling(&0.0));
            result::activation_forward(handle.raw, raw, one, of_y.0, y, zero, of_y.0, y)?;
        }
    }
    Ok(CudaStorage::wrap_cuda_slice(slice, device.clone()))
}

#[derive(Clone, Copy, Debug)]
enum Of {
    Input,
    Weight,
}

/// A gradient as an operation: of the weights' values or the input's, and the gradient of the sum.
#[derive(Clone, Copy, Debug)]
struct Backward {
    conv: OnCuda,
    shapes: Shapes,
    of: Of,
}

impl CustomOp2 for Backward {
    fn name(&self) -> &'static str {
        match self.of {
            Of::Input => "gradient of conv2d's input",
            Of::Weight => "gradient of conv2d's weights",
        }
    }

    fn cpu_fwd(
        &self,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        bail!("{} by cuDNN is for a CUDA device", self.name())
    }

    fn cuda_fwd(
        &self,
        known: &CudaStorage,
        known_layout: &Layout,
        dz: &CudaStorage,
        dz_layout: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        if dz_layout.dims() != self.shapes.y {
            let (got, want) = (dz_layout.dims(), self.shapes.y);
            bail!(
                "{}: a gradient of {got:?}, the output is {want:?}",
                self.name()
            );
        }
        let (known, dz) = ((known, known_layout), (dz, dz_layout));
        let (storage, shape) = match self.of {
            Of::Input => (
                by_type!(known.0, input_gradient_of, *self, known, dz)?,
                self.shapes.x,
            ),
            Of::Weight => (
                by_type!(known.0, weight_gradient_of, *self, known, dz)?,
                self.shapes.weight,
            ),
        };
        Ok((storage, Shape::from(&shape)))
    }
}

fn input_gradient_of<T: Value>(
    op: Backward,
    weight: Stored<'_>,
    dz: Stored<'_>,
) -> Result<CudaStorage> {
    let Backward { conv, shapes, .. } = op;
    let device = &weight.0.device;
    let handle = Handle::of(device)?;
    let of_x = Tensor4::new(T::KIND, shapes.x)?;
    let of_weight = Filter::new(T::KIND, shapes.weight)?;
    let of_dz = Tensor4::new(T::KIND, shapes.y)?;
    let window = Window::new(conv.stride, conv.padding, conv.precision)?;
    let at_weight = pointer(address::<T>(weight.0, weight.1, op.name())?);
    let at_dz = pointer(address::<T>(dz.0, dz.1, op.name())?);
    let (slice, dx) = output::<T>(device, shapes.x.iter().product())?;
    let reserve = |bytes| Scratch::new(device, bytes);
    let all = handle.input.of(conv.case::<T>(&shapes), || {
        let ask = |most, count, found| {
            // SAFETY: the descriptors live until the end of this function.
            unsafe {
                result::get_convolution_backward_data_algorithm(
                    handle.raw,
                    of_weight.0,
                    of_dz.0,
                    window.0,
                    of_x.0,
                    most,
                    count,
                    found,
                )
            }
        };
        Ok(candidates!(sys::cudnnConvolutionBwdDataAlgoPerf_t, ask))
    })?;
    cudnn::must_work(&all, reserve, |one, scratch| {
        window.follow(one, conv.precision)?;
        // SAFETY: every array holds what its descriptor says; all work is in order on the stream of the device.
        unsafe {
            result::convolution_backward_data(
                handle.raw,
                scaling(&1.0),
                of_weight.0,
                at_weight,
                of_dz.0,
                at_dz,
                window.0,
                one.algorithm,
                scratch.pointer(device),
                one.memory,
                scaling(&0.0),
                of_x.0,
                dx,
            )
        }
    })?;
    Ok(CudaStorage::wrap_cuda_slice(slice, device.clone()))
}

fn weight_gradient_of<T: Value>(
    op: Backward,
    x: Stored<'_>,
    dz: Stored<'_>,
) -> Result<CudaStorage> {
    let Backward { conv, shapes, .. } = op;
    let device = &x.0.device;
    let handle = Handle::of(device)?;
    let of_x = Tensor4::new(T::KIND, shapes.x)?;
    let of_weight = Filter::new(T::KIND, shapes.weight)?;
    let of_dz = Tensor4::new(T::KIND, shapes.y)?;
    let window = Window::new(conv.stride, conv.padding, conv.precision)?;
    let at_x = pointer(address::<T>(x.0, x.1, op.name())?);
    let at_dz = pointer(address::<T>(dz.0, dz.1, op.name())?);
    let (slice, dw) = output::<T>(device, shapes.weight.iter().product())?;
    let reserve = |bytes| Scratch::new(device, bytes);
    let all = handle.weight.of(conv.case::<T>(&shapes), || {
        let ask = |most, count, found| {
            // SAFETY: the descriptors live until the end of this function.
            unsafe {
                result::get_convolution_backward_filter_algorithm(
                    handle.raw,
                    of_x.0,
                    of_dz.0,
                    window.0,
                    of_weight.0,
                    most,
                    count,
                    found,
                )
            }
        };
        Ok(candidates!(sys::cudnnConvolutionBwdFilterAlgoPerf_t, ask))
    })?;
    cudnn::must_work(&all, reserve, |one, scratch| {
        window.follow(one, conv.precision)?;
        // SAFETY: every array holds what its descriptor says; all work is in order on the stream of the device.
        unsafe {
            result::convolution_backward_filter(
                handle.raw,
                scaling(&1.0),
                of_x.0,
                at_x,
                of_dz.0,
                at_dz,
                window.0,
                one.algorithm,
                scratch.pointer(device),
                one.memory,
                scaling(&0.0),
                of_weight.0,
                dw,
            )
        }
    })?;
    Ok(CudaStorage::wrap_cuda_slice(slice, device.clone()))
}
