//! What candle lacks. The CPU path of each op is its specification.

mod batch_norm;
#[cfg(feature = "gpu")]
pub mod compute;
pub mod conv2d;
#[cfg(feature = "cuda")]
pub(crate) mod cuda;
mod gemm;
mod host;
pub mod kernels;
pub mod losses;
mod max_pool;
pub mod nms;
pub mod paste;
mod residual;
pub mod roi_align;
mod sigmoid;
mod tap;
mod upsample;

pub use batch_norm::{BatchNorm, BatchStatistics, batch_statistics};
pub use max_pool::{MaxPool2d, max_pool2d};
pub use residual::add_relu;
pub use sigmoid::{sigmoid, sigmoid_tensor};
pub use tap::{GradientTap, tapped};
pub use upsample::add_upsampled;
