//! Training: gradients of every operation, the parts of a step, runs and their files.

mod golden;
mod gradients;
mod parts;
#[cfg(feature = "mpi")]
mod ranks;
mod resume;
pub mod runs;
mod starts;
