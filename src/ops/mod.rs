//! What candle lacks. The CPU path of each op is its specification.

pub mod conv2d;
