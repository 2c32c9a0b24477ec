//! What candle lacks. The CPU path of each op is its specification.

pub mod conv2d;
mod host;
mod max_pool;
pub mod nms;
pub mod paste;
pub mod roi_align;
mod sigmoid;
mod upsample;

pub use max_pool::{MaxPool2d, max_pool2d};
pub use sigmoid::{sigmoid, sigmoid_tensor};
pub use upsample::add_upsampled;
