//! Training: gradients of every operation, the parts of a step, runs and their files.

mod golden;
mod gradients;
mod parts;
pub mod runs;
