//! The synthetic set: overlapping textured shapes with exact masks, the same for the same seed and index.
//!
//! Masks are the visible pixels: those whose centre lies inside the shape and inside none painted later. A ring's hole
//! is not mask. Boxes enclose the mask. Lengths are meant for 256×256 and grow with the picture.

mod annotations;
mod detections;
mod fill;
mod outline;
mod rng;
mod scene;
mod set;
mod shape;

pub use annotations::{AnnotationsRequest, write_annotations};
pub use scene::{
    Contents, MAX_SIDE, MIN_SIDE, Stats, SynthInstance, SynthScene, scene, scene_with,
};
pub use set::{SetSummary, SynthError, write_set};
pub use shape::{CLASSES, Shapes};
