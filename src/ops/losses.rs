//! Sums of the losses over samples, of candle operations whose gradients were checked.
//!
//! Axes: S samples, K values or classes of each.

use candle_core::{D, Result, Tensor};

/// Σ BCE(z, t) = Σ max(z, 0) − z·t + ln(1 + e^−|z|), for logits and targets of one shape -> scalar.
///
/// # Errors
/// Shapes that differ.
pub fn bce_sum(logits: &Tensor, targets: &Tensor) -> Result<Tensor> {
    let softplus = (logits.abs()?.neg()?.exp()? + 1.0)?.log()?;
    ((logits.relu()? - (logits * targets)?)? + softplus)?.sum_all()
}

/// Σ |p − t| -> scalar.
///
/// # Errors
/// Shapes that differ.
pub fn l1_sum(predicted: &Tensor, targets: &Tensor) -> Result<Tensor> {
    (predicted - targets)?.abs()?.sum_all()
}

/// Σ (p − t)² -> scalar.
///
/// # Errors
/// Shapes that differ.
pub fn squared_sum(predicted: &Tensor, targets: &Tensor) -> Result<Tensor> {
    (predicted - targets)?.sqr()?.sum_all()
}

/// Σ ln Σ e^z − z[label] over samples: logits (S,K), labels (S) u32 -> scalar. In the form that does not overflow.
///
/// # Errors
/// A label that is no column; shapes that do not fit.
pub fn cross_entropy_sum(logits: &Tensor, labels: &Tensor) -> Result<Tensor> {
    // Subtracting the largest logit changes nothing, so that it needs no gradient.
    let largest = logits.detach().max_keepdim(D::Minus1)?;
    let shifted = logits.broadcast_sub(&largest)?;
    let log_sums = shifted.exp()?.sum_keepdim(D::Minus1)?.log()?; // (S,1)
    let own = shifted.gather(&labels.unsqueeze(1)?, D::Minus1)?; // (S,1)
    (log_sums - own)?.sum_all()
}
