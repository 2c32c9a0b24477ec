//! One integration binary; each area has its own module.

mod support;
mod weights;
//! Every test against the library and the binary, in one program.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

mod config;
