//! One integration-test binary: linking is most of the cost of another.
//! Every test against the library and the binary, in one program.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

mod architecture;
mod canvas;
mod coco;
mod config;
mod data;
mod golden;
mod infer;
mod ops;
mod support;
mod weights;
