//! Convolution with bias, residual and ReLU fused: the hot path of the network.
//!
//! Axes: N images or RoIs, I and O channels, H and W.

use candle_core::{Result, Tensor};

/// What follows the sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// Nothing.
    None,
    /// max(x, 0).
    Relu,
}

/// A convolution layer with its weights prepared once.
#[derive(Debug, Clone)]
pub struct Conv2d {
    weight: Tensor,
    bias: Tensor,
    stride: usize,
    padding: usize,
    activation: Activation,
}

impl Conv2d {
    /// `weight` (O,I,kh,kw), `bias` (O); the same stride and zero padding on both axes.
    pub fn new(
        weight: Tensor,
        bias: Tensor,
        stride: usize,
        padding: usize,
        activation: Activation,
    ) -> Result<Self> {
        Ok(Self {
            weight,
            bias,
            stride,
            padding,
            activation,
        })
    }

    /// (N,I,H,W) -> (N,O,H',W'), `activation(conv(x) + bias)`.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.finish(self.sum(x)?)
    }

    /// (N,I,H,W) and (N,O,H',W') -> (N,O,H',W'), `activation(conv(x) + bias + residual)`.
    pub fn forward_add(&self, x: &Tensor, residual: &Tensor) -> Result<Tensor> {
        self.finish((self.sum(x)? + residual)?)
    }

    fn sum(&self, x: &Tensor) -> Result<Tensor> {
        x.conv2d(&self.weight, self.padding, self.stride, 1, 1)?
            .broadcast_add(&self.bias.reshape((1, (), 1, 1))?)
    }

    fn finish(&self, y: Tensor) -> Result<Tensor> {
        match self.activation {
            Activation::None => Ok(y),
            Activation::Relu => y.relu(),
        }
    }
}

/// A fully connected layer with its weights prepared once.
#[derive(Debug, Clone)]
pub struct Linear {
    weight: Tensor,
    bias: Tensor,
    activation: Activation,
}

impl Linear {
    /// `weight` (O,I), `bias` (O).
    pub fn new(weight: Tensor, bias: Tensor, activation: Activation) -> Result<Self> {
        Ok(Self {
            weight,
            bias,
            activation,
        })
    }

    /// (R,I) -> (R,O), `activation(x·Wᵀ + bias)`.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let y = x.matmul(&self.weight.t()?)?.broadcast_add(&self.bias)?;
        match self.activation {
            Activation::None => Ok(y),
            Activation::Relu => y.relu(),
        }
    }
}

/// The 2×2 deconvolution of stride 2 (no overlap) of the mask head.
#[derive(Debug, Clone)]
pub struct Deconv2x2 {
    weight: Tensor,
    bias: Tensor,
    activation: Activation,
}

impl Deconv2x2 {
    /// `weight` (I,O,2,2) as PyTorch's ConvTranspose2d has it, `bias` (O).
    pub fn new(weight: Tensor, bias: Tensor, activation: Activation) -> Result<Self> {
        Ok(Self {
            weight,
            bias,
            activation,
        })
    }

    /// (R,I,H,W) -> (R,O,2H,2W): `out[o, 2y+i, 2x+j] = b[o] + Σ_c in[c,y,x]·W[c,o,i,j]`.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let y = x
            .conv_transpose2d(&self.weight, 0, 0, 2, 1)?
            .broadcast_add(&self.bias.reshape((1, (), 1, 1))?)?;
        match self.activation {
            Activation::None => Ok(y),
            Activation::Relu => y.relu(),
        }
    }
}
