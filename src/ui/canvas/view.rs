//! Where the canvas looks: zoom and position, nothing else.

/// Zoom and position of a canvas. View state only: it can be thrown away.
#[derive(Clone, Debug, Default)]
pub struct CanvasView {}

impl CanvasView {
    /// Shows the whole image, and keeps doing so when the window changes.
    pub fn fit(&mut self) {}

    /// One pixel of the image on one pixel of the screen.
    pub fn one_to_one(&mut self) {}

    /// Zooms about the middle of the canvas.
    pub fn zoom_by(&mut self, _factor: f32) {}

    /// 100 where a pixel of the image is a pixel of the screen.
    pub fn zoom_percent(&self) -> f32 {
        100.0
    }

    /// Whether the whole image is kept in view.
    pub fn is_fit(&self) -> bool {
        true
    }
}
