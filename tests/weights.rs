//! Checkpoints: the formats, the name maps, hostile files.

#[path = "weights/golden.rs"]
mod golden;
