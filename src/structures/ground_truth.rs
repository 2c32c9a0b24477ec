//! What is true of one training image, in the frames of the network.
//!
//! Axes: G objects.

use super::{BoxXyxy, Size};

/// The objects of one image of a batch.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GroundTruth {
    /// (G) in the input frame.
    pub boxes: Vec<BoxXyxy>,
    /// (G) 0-based foreground classes.
    pub labels: Vec<usize>,
    /// (G) 0 and 1 on the mask grid, row-major.
    pub masks: Vec<Vec<u8>>,
    /// The mask grid of this image.
    pub grid: MaskGrid,
}

/// The grid that ground-truth masks are kept on: the input divided by `mask_divider`, padding included.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct MaskGrid {
    /// Columns and rows.
    pub size: Size,
    /// Columns per pixel of the input.
    pub scale_x: f32,
    /// Rows per pixel of the input.
    pub scale_y: f32,
}

impl MaskGrid {
    /// A box of the input on the grid.
    pub fn grid_from_input(&self, box_in_input: BoxXyxy) -> BoxXyxy {
        BoxXyxy::new(
            box_in_input.x1 * self.scale_x,
            box_in_input.y1 * self.scale_y,
            box_in_input.x2 * self.scale_x,
            box_in_input.y2 * self.scale_y,
        )
    }
}
