//! What is open: images, predictions, annotations, filters. No egui.
