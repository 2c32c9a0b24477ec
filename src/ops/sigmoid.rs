//! The logistic function.

use candle_core::{Result, Tensor};

/// `1 / (1 + exp(-x))` in f32; NaN stays NaN.
pub fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

/// `sigmoid` of every value, with a gradient.
///
/// # Errors
/// A failed tensor operation.
pub fn sigmoid_tensor(x: &Tensor) -> Result<Tensor> {
    (x.neg()?.exp()? + 1.0)?.recip()
}
