//! Convolution with bias, residual and ReLU fused: the hot path of the network.
//!
//! On the CPU in f32 these layers run on kernels of their own: Winograd for 3×3 of stride 1, panels for the rest, one
//! micro kernel below both (AVX-512, AVX2 or plain, chosen at run time). On CUDA they are cuDNN's (`cuda`). A layer
//! made `Sums::F64` adds up in f64 and rounds once, for narrow models whose heads amplify rounding.
//!
//! Axes: N images or RoIs, I and O channels, H and W.

use std::sync::Arc;

use candle_core::{DType, Result, Tensor};

use crate::ops::add_relu;
use crate::structures::Precision;
use op::{Frozen, Kind, Layer, Prepared, Trainable};

mod adjoint;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod backward;
#[cfg(feature = "cuda")]
mod cuda;
mod gather;
mod kernel;
mod linear;
mod op;
mod pack;
mod panel;
mod portable;
#[cfg(test)]
mod reference;
mod shape;
mod simd;
#[cfg(test)]
mod tests;
mod tiles;
mod transform;
mod weights;
mod winograd;

#[cfg(feature = "cuda")]
pub(crate) use shape::ConvShape;

/// What follows the sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// Nothing.
    None,
    /// max(x, 0).
    Relu,
}

impl Activation {
    fn forward(self, y: Tensor) -> Result<Tensor> {
        match self {
            Self::None => Ok(y),
            Self::Relu => y.relu(),
        }
    }
}

/// How a layer adds up. Input, weights and output are f32 in both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sums {
    /// In f32 on the fast kernels.
    F32,
    /// In f64, rounded once: slower by an order, for models so narrow that it does not matter.
    F64,
}

/// A convolution layer with its weights prepared once.
#[derive(Debug, Clone)]
pub struct Conv2d(Weighted);

impl Conv2d {
    /// `weight` (O,I,kh,kw), `bias` (O); the same stride and zero padding on both axes.
    pub fn new(
        weight: Tensor,
        bias: Tensor,
        stride: usize,
        padding: usize,
        activation: Activation,
    ) -> Result<Self> {
        let kind = Kind::Conv { stride, padding };
        Ok(Self(Weighted::new(kind, weight, bias, activation)?))
    }

    /// The same layer with sums of another kind.
    pub fn with_sums(self, sums: Sums) -> Result<Self> {
        Ok(Self(self.0.with_sums(sums)?))
    }

    /// The same layer with products of another precision, which the processor does not have.
    pub fn with_precision(self, precision: Precision) -> Result<Self> {
        Ok(Self(self.0.with_precision(precision)?))
    }

    /// The same layer with each output channel's weights times `scale` (O) in every pass: a frozen BatchNorm behind a
    /// convolution that is trained.
    pub fn with_scale(mut self, scale: Tensor) -> Result<Self> {
        self.0.scale = Some(scale.reshape(((), 1, 1, 1))?);
        Ok(self)
    }

    /// (N,I,H,W) -> (N,O,H',W'), `activation(conv(x) + bias)`.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.0.forward(x)
    }

    /// (N,I,H,W) and (N,O,H',W') -> (N,O,H',W'), `activation(conv(x) + bias + residual)`.
    pub fn forward_add(&self, x: &Tensor, residual: &Tensor) -> Result<Tensor> {
        self.0.forward_add(x, residual)
    }
}

/// A fully connected layer with its weights prepared once.
#[derive(Debug, Clone)]
pub struct Linear(Weighted);

impl Linear {
    /// `weight` (O,I), `bias` (O).
    pub fn new(weight: Tensor, bias: Tensor, activation: Activation) -> Result<Self> {
        let weighted = Weighted::new(Kind::Linear, weight, bias, activation)?;
        Ok(Self(weighted))
    }

    /// The same layer with sums of another kind.
    pub fn with_sums(self, sums: Sums) -> Result<Self> {
        Ok(Self(self.0.with_sums(sums)?))
    }

    /// The same layer with products of another precision, which the processor does not have.
    pub fn with_precision(self, precision: Precision) -> Result<Self> {
        Ok(Self(self.0.with_precision(precision)?))
    }

    /// (R,I) -> (R,O), `activation(x·Wᵀ + bias)`.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.0.forward(x)
    }
}

/// The 2×2 deconvolution of stride 2 (no overlap) of the mask head.
#[derive(Debug, Clone)]
pub struct Deconv2x2(Weighted);

impl Deconv2x2 {
    /// `weight` (I,O,2,2) as PyTorch's ConvTranspose2d has it, `bias` (O).
    pub fn new(weight: Tensor, bias: Tensor, activation: Activation) -> Result<Self> {
        let weighted = Weighted::new(Kind::Deconv2x2, weight, bias, activation)?;
        Ok(Self(weighted))
    }

    /// The same layer with sums of another kind.
    pub fn with_sums(self, sums: Sums) -> Result<Self> {
        Ok(Self(self.0.with_sums(sums)?))
    }

    /// The same layer with products of another precision, which the processor does not have.
    pub fn with_precision(self, precision: Precision) -> Result<Self> {
        Ok(Self(self.0.with_precision(precision)?))
    }

    /// (R,I,H,W) -> (R,O,2H,2W): `out[o, 2y+i, 2x+j] = b[o] + Σ_c in[c,y,x]·W[c,o,i,j]`.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.0.forward(x)
    }
}

/// The three layers: what they share.
#[derive(Debug, Clone)]
struct Weighted {
    frozen: Frozen,
    /// Weight and bias in f64 where sums are, as they were when the layer was made.
    wide: Option<(Tensor, Tensor)>,
    /// (O,1,1,1) times the weight, in training.
    scale: Option<Tensor>,
    /// Of the products on CUDA; the processor has float32 alone.
    precision: Precision,
}

impl Weighted {
    fn new(kind: Kind, weight: Tensor, bias: Tensor, activation: Activation) -> Result<Self> {
        let frozen = Frozen {
            layer: Layer { kind, activation },
            weight: weight.contiguous()?,
            bias: bias.contiguous()?,
            prepared: Arc::new(Prepared::default()),
        };
        Ok(Self {
            frozen,
            wide: None,
            scale: None,
            precision: Precision::Float32,
        })
    }

    /// Weights that no longer change are kept in the type they are multiplied in.
    fn with_precision(mut self, precision: Precision) -> Result<Self> {
        self.precision = precision;
        let dtype = match precision {
            _ if !self.frozen.weight.device().is_cuda() || self.is_trainable() => return Ok(self),
            Precision::Float32 | Precision::TensorFloat32 => return Ok(self),
            Precision::Float16 => DType::F16,
            Precision::Bfloat16 => DType::BF16,
        };
        self.frozen.weight = self.frozen.weight.to_dtype(dtype)?;
        self.frozen.bias = self.frozen.bias.to_dtype(dtype)?;
        self.wide = None;
        Ok(self)
    }

    fn with_sums(mut self, sums: Sums) -> Result<Self> {
        self.wide = match sums {
            Sums::F32 => None,
            Sums::F64 => {
                let wide = |tensor: &Tensor| tensor.to_dtype(DType::F64);
                Some((wide(&self.frozen.weight)?, wide(&self.frozen.bias)?))
            }
        };
        Ok(self)
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let own = &self.frozen;
        #[cfg(feature = "cuda")]
        if x.device().is_cuda() && self.wide.is_none() {
            return self.on_cuda(x, None);
        }
        if self.is_trainable() && self.is_fast(x) {
            self.trainable(x, own.layer)
        } else if let Some(sum) = self.wide_sum(x)? {
            own.layer.activation.forward(sum)?.to_dtype(x.dtype())
        } else if !self.is_fast(x) {
            own.layer.activation.forward(self.narrow_sum(x)?)
        } else {
            x.contiguous()?.apply_op1(own.clone())
        }
    }

    fn forward_add(&self, x: &Tensor, residual: &Tensor) -> Result<Tensor> {
        let own = &self.frozen;
        #[cfg(feature = "cuda")]
        if x.device().is_cuda() && self.wide.is_none() {
            return self.on_cuda(x, Some(residual));
        }
        if self.is_trainable() && self.is_fast(x) && is_cpu_f32(residual) {
            let layer = Layer {
                activation: Activation::None,
                ..own.layer
            };
            let sum = self.trainable(x, layer)?;
            match own.layer.activation {
                Activation::Relu => add_relu(&sum, residual),
                Activation::None => sum + residual,
            }
        } else if let Some(sum) = self.wide_sum(x)? {
            let sum = (sum + residual.to_dtype(DType::F64)?)?;
            own.layer.activation.forward(sum)?.to_dtype(x.dtype())
        } else if !self.is_fast(x) || !is_cpu_f32(residual) {
            let sum = (self.narrow_sum(x)? + residual)?;
            own.layer.activation.forward(sum)
        } else {
            x.contiguous()?
                .apply_op2(&residual.contiguous()?, own.clone())
        }
    }

    fn trainable(&self, x: &Tensor, layer: Layer) -> Result<Tensor> {
        let sums = match self.wide {
            Some(_) => Sums::F64,
            None => Sums::F32,
        };
        let op = Trainable { layer, sums };
        x.contiguous()?
            .apply_op3(&self.weight()?, &self.frozen.bias, op)
    }

    fn weight(&self) -> Result<Tensor> {
        match &self.scale {
            Some(scale) => self.frozen.weight.broadcast_mul(scale),
            None => Ok(self.frozen.weight.clone()),
        }
    }

    /// Whether the kernels of this module can do it.
    fn is_fast(&self, x: &Tensor) -> bool {
        is_cpu_f32(x) && is_cpu_f32(&self.frozen.weight) && is_cpu_f32(&self.frozen.bias)
    }

    /// Whether a gradient may be asked of the weights; then they may also change, and nothing is prepared.
    fn is_trainable(&self) -> bool {
        self.frozen.weight.track_op() || self.frozen.bias.track_op()
    }

    /// The sum in float64, where it is asked for. Weights that are trained may have changed since they were prepared.
    fn wide_sum(&self, x: &Tensor) -> Result<Option<Tensor>> {
        let Some((weight, bias)) = &self.wide else {
            return Ok(None);
        };
        let x = x.to_dtype(DType::F64)?;
        let layer = self.frozen.layer;
        let sum = if self.is_trainable() || self.scale.is_some() {
            let weight = self.weight()?.to_dtype(DType::F64)?;
            layer.plain_sum(&x, &weight, &self.frozen.bias.to_dtype(DType::F64)?)
        } else {
            layer.plain_sum(&x, weight, bias)
        };
        sum.map(Some)
    }

    fn narrow_sum(&self, x: &Tensor) -> Result<Tensor> {
        let layer = self.frozen.layer;
        layer.plain_sum(x, &self.weight()?, &self.frozen.bias)
    }
}

impl Layer {
    /// The sum with bias by candle's operations.
    fn plain_sum(self, x: &Tensor, weight: &Tensor, bias: &Tensor) -> Result<Tensor> {
        match self.kind {
            Kind::Conv { stride, padding } => x
                .conv2d(weight, padding, stride, 1, 1)?
                .broadcast_add(&bias.reshape((1, (), 1, 1))?),
            Kind::Linear => x.matmul(&weight.t()?)?.broadcast_add(bias),
            Kind::Deconv2x2 => x
                .conv_transpose2d(weight, 0, 0, 2, 1)?
                .broadcast_add(&bias.reshape((1, (), 1, 1))?),
        }
    }
}

fn is_cpu_f32(x: &Tensor) -> bool {
    x.device().is_cpu() && x.dtype() == DType::F32
}
