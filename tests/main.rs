//! Every test against the library and the binary, in one program.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

mod config;
mod support;
mod weights;
