//! Prediction files: our JSON (semantics.md 7.1) and COCO result lists in; our JSON out, streamed and resumable.

mod entry;
mod quality;
mod read;
mod results;
mod writer;

pub use read::{read, read_bytes};
pub use writer::{Resumed, Writer, write};
