//! One integration-test binary: linking is most of the cost of another.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test fails by panicking and prints what it skips or measures"
)]

mod analysis;
mod architecture;
#[cfg(feature = "gui")]
mod canvas;
mod cli;
mod coco;
#[cfg(target_os = "linux")]
mod companion;
mod config;
mod conv;
mod data;
mod document;
mod eval;
mod eval_cli;
#[cfg(feature = "gui")]
mod filter_ui;
mod golden;
mod images;
mod infer;
#[cfg(target_os = "linux")]
mod kernels;
mod ops;
#[cfg(feature = "gui")]
mod panels;
#[cfg(feature = "gui")]
mod plot;
mod query;
mod review;
#[cfg(feature = "gui")]
mod review_ui;
mod support;
#[cfg(feature = "gui")]
mod train_ui;
mod training;
#[cfg(feature = "gui")]
mod ui;
mod weights;
#[cfg(feature = "gui")]
mod workspaces;
