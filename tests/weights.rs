//! Checkpoints: the formats, the name maps, hostile files.

#[path = "weights/bounded.rs"]
mod bounded;
#[path = "weights/build.rs"]
pub mod build;
#[path = "weights/files.rs"]
mod files;
#[path = "weights/foreign.rs"]
pub mod foreign;
#[path = "weights/foreign_detectors.rs"]
mod foreign_detectors;
#[path = "weights/golden.rs"]
mod golden;
#[path = "weights/hostile.rs"]
mod hostile;
#[path = "weights/mutations.rs"]
mod mutations;
#[path = "weights/real.rs"]
mod real;
