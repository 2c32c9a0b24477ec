//! One integration-test binary: linking is most of the cost of another.

mod architecture;
//! Every test against the library and the binary, in one program.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

mod config;
//! The one integration binary.

mod coco;
mod data;
mod golden;
mod ops;
mod support;
mod weights;
