//! What is open: images, predictions, annotations, filters. No egui.

pub use crate::jobs::images;
