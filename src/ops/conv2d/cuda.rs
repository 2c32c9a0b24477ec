//! The three layers on CUDA: convolutions by cuDNN, products by cuBLAS through candle.
//!
//! Axes: N images or RoIs, I and O channels, H and W.

use candle_core::backend::BackendStorage;
use candle_core::{
    CpuStorage, CudaStorage, CustomOp1, CustomOp2, CustomOp3, DType, Layout, Result, Shape,
    Storage, Tensor, bail,
};

use super::op::{Kind, Layer};
use super::{Activation, Weighted};
use crate::ops::cuda::{ConvWeights, OnCuda, Stored};
use crate::ops::{add_relu, host};
use crate::structures::Precision;

const OP: &str = "conv2d on CUDA";

impl Weighted {
    /// `activation(layer(x) + residual)`.
    pub(super) fn on_cuda(&self, x: &Tensor, residual: Option<&Tensor>) -> Result<Tensor> {
        let Layer { kind, activation } = self.frozen.layer;
        match (kind, residual) {
            (Kind::Conv { stride, padding }, _) => {
                let conv = OnCuda {
                    stride,
                    padding,
                    precision: self.precision,
                };
                let (weight, bias) = (self.weight()?, self.frozen.bias.clone());
                self.conv_on_cuda(conv, x, (&weight, &bias), residual)
            }
            (Kind::Linear, None) => activation.forward(self.linear_on_cuda(x)?),
            (Kind::Deconv2x2, None) => self.deconv_on_cuda(x),
            (_, Some(_)) => bail!("{OP}: only a convolution has a residual"),
        }
    }

    fn conv_on_cuda(
        &self,
        conv: OnCuda,
        x: &Tensor,
        (weight, bias): (&Tensor, &Tensor),
        residual: Option<&Tensor>,
    ) -> Result<Tensor> {
        let activation = self.frozen.layer.activation;
        if !self.is_trainable() {
            let dtype = weight.dtype();
            let x = x.to_dtype(dtype)?.contiguous()?;
            let op = FrozenOnCuda {
                conv,
                weight: weight.contiguous()?,
                bias: bias.contiguous()?,
                activation,
            };
            return match residual {
                None => x.apply_op1(op),
                Some(residual) => x.apply_op2(&residual.to_dtype(dtype)?.contiguous()?, op),
            };
        }
        let fused = match residual {
            None => activation,
            Some(_) => Activation::None,
        };
        let op = TrainableOnCuda {
            conv,
            activation: fused,
        };
        let sum = x.contiguous()?.apply_op3(&weight.contiguous()?, bias, op)?;
        match (residual, activation) {
            (None, _) => Ok(sum),
            (Some(residual), Activation::Relu) => add_relu(&sum, residual),
            (Some(residual), Activation::None) => sum + residual,
        }
    }

    /// candle knows the gradients of all of it.
    fn linear_on_cuda(&self, x: &Tensor) -> Result<Tensor> {
        let (weight, bias) = (&self.frozen.weight, &self.frozen.bias);
        let narrow = half_type(self.precision).unwrap_or(weight.dtype());
        let product = x.to_dtype(narrow)?.matmul(&weight.to_dtype(narrow)?.t()?)?;
        product.to_dtype(bias.dtype())?.broadcast_add(bias)
    }

    /// A 1×1 convolution to 4·O channels, row 4o + 2i + j for tap (i, j), whose result is laid out anew.
    fn deconv_on_cuda(&self, x: &Tensor) -> Result<Tensor> {
        let (inputs, outputs, _, _) = self.frozen.weight.dims4()?;
        let taps = 4 * outputs;
        let weight = self.frozen.weight.reshape((inputs, taps))?.t()?; // (I,O,2,2) -> (4O,I)
        let weight = weight.contiguous()?.reshape((taps, inputs, 1, 1))?;
        let bias = self.frozen.bias.unsqueeze(1)?.broadcast_as((outputs, 4))?;
        let bias = bias.contiguous()?.reshape(taps)?;
        let conv = OnCuda {
            stride: 1,
            padding: 0,
            precision: self.precision,
        };
        let y = self.conv_on_cuda(conv, x, (&weight, &bias), None)?;
        let (rois, _, height, width) = y.dims4()?;
        // (R,4O,H,W) -> (R,O,H,2,W,2) -> (R,O,2H,2W)
        y.reshape(&[rois, outputs, 2, 2, height, width])?
            .permute([0, 1, 4, 2, 5, 3])?
            .contiguous()?
            .reshape((rois, outputs, 2 * height, 2 * width))
    }
}

/// The type of two bytes that a precision multiplies in.
fn half_type(precision: Precision) -> Option<DType> {
    match precision {
        Precision::Float16 => Some(DType::F16),
        Precision::Bfloat16 => Some(DType::BF16),
        Precision::Float32 | Precision::TensorFloat32 => None,
    }
}

/// A convolution whose weights want no gradient, with what follows in the same call. It has none itself, as `Frozen`.
struct FrozenOnCuda {
    conv: OnCuda,
    weight: Tensor,
    bias: Tensor,
    activation: Activation,
}

impl FrozenOnCuda {
    fn run(&self, x: Stored<'_>, residual: Option<Stored<'_>>) -> Result<(CudaStorage, Shape)> {
        let (weight, weight_layout) = self.weight.storage_and_layout();
        let (bias, bias_layout) = self.bias.storage_and_layout();
        let (Storage::Cuda(weight), Storage::Cuda(bias)) = (&*weight, &*bias) else {
            bail!("{OP}: weight and bias must be on the device");
        };
        let weights = ConvWeights {
            weight: (weight, weight_layout),
            bias: (bias, bias_layout),
            relu: self.activation == Activation::Relu,
        };
        self.conv.forward(x, weights, residual)
    }
}

impl CustomOp1 for FrozenOnCuda {
    fn name(&self) -> &'static str {
        OP
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        bail!("{OP}: a tensor on the processor")
    }

    fn cuda_fwd(&self, x: &CudaStorage, layout: &Layout) -> Result<(CudaStorage, Shape)> {
        self.run((x, layout), None)
    }
}

impl CustomOp2 for FrozenOnCuda {
    fn name(&self) -> &'static str {
        OP
    }

    fn cpu_fwd(
        &self,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        bail!("{OP}: a tensor on the processor")
    }

    fn cuda_fwd(
        &self,
        x: &CudaStorage,
        x_layout: &Layout,
        residual: &CudaStorage,
        residual_layout: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        self.run((x, x_layout), Some((residual, residual_layout)))
    }
}

/// A convolution with gradients for (x, weight, bias), all float32. In a type of two bytes its inputs are rounded on the
/// way into each product, forward and backward; sums, results and gradients stay float32.
#[derive(Clone, Copy)]
struct TrainableOnCuda {
    conv: OnCuda,
    activation: Activation,
}

impl CustomOp3 for TrainableOnCuda {
    fn name(&self) -> &'static str {
        OP
    }

    fn cpu_fwd(
        &self,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        bail!("{OP}: a tensor on the processor")
    }

    fn cuda_fwd(
        &self,
        x: &CudaStorage,
        x_layout: &Layout,
        weight: &CudaStorage,
        weight_layout: &Layout,
        bias: &CudaStorage,
        bias_layout: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        let relu = self.activation == Activation::Relu;
        let Some(half) = half_type(self.conv.precision) else {
            let weights = ConvWeights {
                weight: (weight, weight_layout),
                bias: (bias, bias_layout),
                relu,
            };
            return self.conv.forward((x, x_layout), weights, None);
        };
        let narrow = |storage: &CudaStorage, layout: &Layout| -> Result<(CudaStorage, Layout)> {
            let narrow = storage.to_dtype(layout, half)?;
            Ok((narrow, Layout::contiguous(layout.shape())))
        };
        let (x, weight) = (narrow(x, x_layout)?, narrow(weight, weight_layout)?);
        let bias = narrow(bias, bias_layout)?;
        let weights = ConvWeights {
            weight: (&weight.0, &weight.1),
            bias: (&bias.0, &bias.1),
            relu,
        };
        let (y, shape) = self.conv.forward((&x.0, &x.1), weights, None)?;
        let wide = y.to_dtype(&Layout::contiguous(&shape), DType::F32)?;
        Ok((wide, shape))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        result: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let dz = match self.activation {
            Activation::None => gradient.contiguous()?,
            Activation::Relu => host::behind_relu(gradient, result, OP)?,
        };
        let narrow = |tensor: &Tensor| match half_type(self.conv.precision) {
            Some(half) => tensor.to_dtype(half),
            None => Ok(tensor.clone()),
        };
        let narrow_dz = narrow(&dz)?;
        let of_x = || {
            let dx = self.conv.input_gradient(x, &narrow(weight)?, &narrow_dz)?;
            dx.to_dtype(DType::F32)
        };
        let of_weight = || {
            let dw = self.conv.weight_gradient(&narrow(x)?, weight, &narrow_dz)?;
            dw.to_dtype(DType::F32)
        };
        let of_bias = || dz.sum((0, 2, 3)); // (N,O,H,W) -> (O)
        Ok((
            x.track_op().then(of_x).transpose()?,
            weight.track_op().then(of_weight).transpose()?,
            bias.track_op().then(of_bias).transpose()?,
        ))
    }
}
