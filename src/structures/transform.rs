//! From the image frame (pixels of the file) to the input frame (what the network sees) and back.

use super::{BoxXyxy, Size};

/// How an image was brought to the network's input: resized, then padded right and bottom.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ImageTransform {
    /// Size of the image in its file (upright).
    pub image: Size,
    /// Size after the resize.
    pub resized: Size,
    /// Size after padding: the network's input.
    pub padded: Size,
    /// `resized.width / image.width`.
    pub scale_x: f32,
    /// `resized.height / image.height`.
    pub scale_y: f32,
}

impl ImageTransform {
    /// The transform of an image that becomes `resized` and is padded to `padded`.
    pub fn new(image: Size, resized: Size, padded: Size) -> Self {
        Self {
            image,
            resized,
            padded,
            scale_x: (resized.width as f64 / image.width as f64) as f32,
            scale_y: (resized.height as f64 / image.height as f64) as f32,
        }
    }

    /// A box of the input in the image frame, clamped to the image: the box that is reported.
    pub fn image_from_input(&self, box_in_input: BoxXyxy) -> BoxXyxy {
        let inside = box_in_input.clamp_to(self.resized.width as f32, self.resized.height as f32);
        self.image_from_input_unclamped(inside)
            .clamp_to(self.image.width as f32, self.image.height as f32)
    }

    /// A box of the input in the image frame as it is: the box that a mask is pasted into.
    pub fn image_from_input_unclamped(&self, box_in_input: BoxXyxy) -> BoxXyxy {
        BoxXyxy::new(
            box_in_input.x1 / self.scale_x,
            box_in_input.y1 / self.scale_y,
            box_in_input.x2 / self.scale_x,
            box_in_input.y2 / self.scale_y,
        )
    }

    /// A box of the image in the input frame.
    pub fn input_from_image(&self, box_in_image: BoxXyxy) -> BoxXyxy {
        BoxXyxy::new(
            box_in_image.x1 * self.scale_x,
            box_in_image.y1 * self.scale_y,
            box_in_image.x2 * self.scale_x,
            box_in_image.y2 * self.scale_y,
        )
    }
}
