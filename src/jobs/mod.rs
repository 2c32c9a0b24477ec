//! Long work on named threads: events out, pause and cancel in. Adaptors only, no logic.

#[cfg(feature = "gpu")]
pub mod adapter;
mod batches;
pub mod check;
pub mod checkpoint;
pub mod companion;
pub mod device;
pub mod doctor;
mod error;
pub mod evaluate;
pub mod export;
pub mod images;
pub mod infer;
pub mod infer_file;
mod lineup;
pub mod logging;
pub mod mask_in_box;
mod memory;
pub mod model;
mod queue;
mod roi_work;
pub mod sets;
pub mod synth;
pub mod train;
mod upload;

pub use error::JobError;
pub use memory::{available_memory, peak_memory, resident_memory};
