//! The canvas: one image with its instances, zoom and pan, hover and click. Everything inside the picture is drawn on
//! the GPU; masks are never rasterised here.

mod instances;
mod labels;
mod style;
mod view;

use std::sync::Arc;

use egui::{CursorIcon, PointerButton, Pos2, Rect, Sense, Vec2, pos2};

use crate::document::images::DecodedImage;
use crate::structures::Size;
use crate::ui::gpu::{CanvasPaint, Layer, ViewUniform};

pub use instances::{Bounds, Instance, InstanceSet};
pub use style::{LineStyle, OverlayStyle, Verdict, instance_colour};
pub use view::{CanvasFrame, CanvasView};

use self::labels::LabelInput;
use self::style::{Emphasis, StyleCache};
use self::view::{LastClick, Placement};

/// Zoom per point of scrolling: a notch of a wheel (40 points) is a fifth.
const ZOOM_PER_POINT: f32 = 0.0046;
/// Clicks so close, in points, are at the same place.
const SAME_PLACE: f32 = 4.0;

/// What the canvas shows in this frame.
pub struct CanvasInput<'a> {
    /// The decoded image, as soon as there is one.
    pub image: Option<&'a Arc<DecodedImage>>,
    /// Stands in while the image is being decoded.
    pub thumbnail: Option<egui::TextureId>,
    /// Size of the image where it is known before the image is decoded; places thumbnail and masks.
    pub image_size: Option<Size>,
    /// The predictions; or the annotations, where they alone are shown. Hover, click and labels act on these.
    pub instances: Option<&'a Arc<InstanceSet>>,
    /// Which predictions are drawn, the most important first: thresholds, filters and ranking act here. `None`: all of
    /// them, best `iou_score` first.
    pub shown: Option<&'a [usize]>,
    /// Verdict of each prediction: where given it decides about colour and line.
    pub verdicts: Option<&'a [Verdict]>,
    /// Whether each prediction is one of those that a chart picked; the others are dimmed.
    pub picked: Option<&'a [bool]>,
    /// Predictions of a second file, right of a line.
    pub wipe: Option<Wipe<'a>>,
    /// The annotations over the predictions: outlines only.
    pub ground_truth: Option<&'a Arc<InstanceSet>>,
    /// The annotation that a list led to.
    pub ground_truth_selected: Option<usize>,
    /// Verdict of each annotation.
    pub ground_truth_verdicts: Option<&'a [Verdict]>,
    /// How masks, outlines, boxes and labels look.
    pub style: &'a OverlayStyle,
    /// A tool has the primary button: dragging it does not pan, unless Space is down.
    pub draws: bool,
    /// The prediction selected anywhere in the window.
    pub selected: Option<usize>,
    /// The prediction hovered outside the canvas, in a list for example.
    pub hovered: Option<usize>,
}

/// A second set of predictions in place of the first, right of a line.
#[derive(Clone, Copy)]
pub struct Wipe<'a> {
    /// The predictions.
    pub instances: &'a Arc<InstanceSet>,
    /// Which are drawn, the most important first.
    pub shown: &'a [usize],
    /// The line, in points of the screen.
    pub x: f32,
}

/// What the user did on the canvas in this frame.
pub struct CanvasResponse {
    /// The widget: rectangle, focus, context menu.
    pub response: egui::Response,
    /// The prediction that a click picked; clicking again at the same place goes one deeper.
    pub clicked: Option<usize>,
    /// A click on no prediction: the selection can be cleared.
    pub clicked_empty: bool,
    /// A double click on the canvas.
    pub double_clicked: bool,
    /// The prediction under the pointer.
    pub hovered: Option<usize>,
    /// The pointer in pixels of the image, where it is inside.
    pub pointer_in_image: Option<(f32, f32)>,
    /// 100 where a pixel of the image is a pixel of the screen.
    pub zoom_percent: f32,
}

/// Draws the canvas into the rest of `ui` and reacts to the pointer.
pub fn show(ui: &mut egui::Ui, view: &mut CanvasView, input: &CanvasInput<'_>) -> CanvasResponse {
    let (rect, response) = ui.allocate_exact_size(ui.available_size(), Sense::click_and_drag());
    response
        .widget_info(|| egui::WidgetInfo::labeled(egui::Role::Image, ui.is_enabled(), "Canvas"));
    let size = input.image.map(|image| image.size).or(input.image_size);
    let Some(size) = size.filter(|size| size.pixels() > 0) else {
        view.frame = None;
        return nothing(response, view);
    };
    let placement = navigate(ui, &response, view, size, input.draws);
    view.frame = Some(CanvasFrame { rect, placement });
    let flags = input.instances.map_or_else(Vec::new, |set| {
        let isolated = input.selected.filter(|_| input.style.isolate);
        style::shown_flags(set, input.shown, isolated)
    });
    let touched = touch(ui, &response, view, &placement, input, &flags);
    let hovered = touched.hovered.or(input.hovered);
    paint_sides(ui, rect, &response, &placement, input, hovered, &flags);
    CanvasResponse {
        zoom_percent: view.zoom_percent(),
        ..touched
    }
}

/// The answer of a canvas without an image.
fn nothing(response: egui::Response, view: &CanvasView) -> CanvasResponse {
    CanvasResponse {
        clicked: None,
        clicked_empty: response.clicked(),
        double_clicked: response.double_clicked(),
        hovered: None,
        pointer_in_image: None,
        zoom_percent: view.zoom_percent(),
        response,
    }
}

/// Zoom about the pointer with wheel or pinch, pan with drag or two fingers.
fn navigate(
    ui: &egui::Ui,
    response: &egui::Response,
    view: &mut CanvasView,
    size: Size,
    draws: bool,
) -> Placement {
    let pixels_per_point = ui.pixels_per_point();
    let rect = response.rect;
    let mut placement = view.place(rect, pixels_per_point, size);
    let mut moved = false;
    let pans = !draws || ui.input(|i| i.key_down(egui::Key::Space));
    let by_primary = pans && response.dragged_by(PointerButton::Primary);
    if by_primary || response.dragged_by(PointerButton::Middle) {
        ui.ctx().set_cursor_icon(CursorIcon::Grabbing);
        if response.drag_delta() != Vec2::ZERO {
            view.pan(response.drag_delta(), pixels_per_point);
            moved = true;
        }
    } else if response.hovered() && ui.input(|i| i.key_down(egui::Key::Space)) {
        ui.ctx().set_cursor_icon(CursorIcon::Grab);
    }
    if let Some(pointer) = response.hover_pos() {
        let (scroll, pinch, fingers) = ui.input(|i| {
            let fingers = matches!(
                i.scroll_source(),
                Some(egui::MouseWheelSource::Trackpad | egui::MouseWheelSource::Momentum)
            );
            (i.smooth_scroll_delta(), i.zoom_delta(), fingers)
        });
        if fingers && scroll != Vec2::ZERO {
            view.pan(scroll, pixels_per_point);
            moved = true;
        }
        // With Alt the wheel is the tool's.
        let is_tools = draws && ui.input(|i| i.modifiers.alt);
        let wheel = if fingers || is_tools { 0.0 } else { scroll.y };
        let factor = pinch * (wheel * ZOOM_PER_POINT).exp();
        if factor != 1.0 {
            if moved {
                placement = view.place(rect, pixels_per_point, size);
            }
            view.zoom_about(&placement, pointer, factor);
            moved = true;
        }
    }
    if moved {
        placement = view.place(rect, pixels_per_point, size);
    }
    placement
}

/// Hover and click on the masks.
fn touch(
    ui: &egui::Ui,
    response: &egui::Response,
    view: &mut CanvasView,
    placement: &Placement,
    input: &CanvasInput<'_>,
    flags: &[bool],
) -> CanvasResponse {
    let mut out = CanvasResponse {
        clicked_empty: false,
        ..nothing(response.clone(), view)
    };
    let hits_at = |at: Pos2| {
        let inside = placement.inside(at)?;
        let is_second = input.wipe.is_some_and(|wipe| at.x >= wipe.x);
        let set = input.instances.filter(|_| !is_second)?;
        Some(set.hits(inside.x as u32, inside.y as u32, |i| {
            flags.get(i) == Some(&true)
        }))
    };
    if let Some(at) = response.hover_pos() {
        out.pointer_in_image = placement.inside(at).map(|at| (at.x, at.y));
        if !response.dragged() {
            out.hovered = hits_at(at).and_then(|hits| hits.first().copied());
        }
    }
    let panning = ui.input(|i| i.key_down(egui::Key::Space));
    if let Some(at) = response.interact_pointer_pos()
        && response.clicked()
        && !panning
    {
        let hits = hits_at(at).unwrap_or_default();
        out.clicked = pick(view, at, hits, input.selected);
        out.clicked_empty = out.clicked.is_none();
    }
    out
}

/// The smallest mask first; at the same place the next one below, and round again.
fn pick(
    view: &mut CanvasView,
    at: Pos2,
    hits: Vec<usize>,
    selected: Option<usize>,
) -> Option<usize> {
    let depth = match &view.last_click {
        Some(last)
            if last.at.distance(at) <= SAME_PLACE
                && last.hits == hits
                && last.hits.get(last.depth).copied() == selected =>
        {
            (last.depth + 1) % hits.len().max(1)
        }
        _ => 0,
    };
    let picked = hits.get(depth).copied();
    view.last_click = picked.map(|_| LastClick { at, hits, depth });
    picked
}

/// The canvas, or what is left and what is right of the line.
fn paint_sides(
    ui: &egui::Ui,
    rect: Rect,
    response: &egui::Response,
    placement: &Placement,
    input: &CanvasInput<'_>,
    hovered: Option<usize>,
    flags: &[bool],
) {
    let Some(wipe) = input.wipe else {
        return paint(
            ui,
            rect,
            rect,
            response.id,
            placement,
            input,
            hovered,
            flags,
        );
    };
    let left = Rect::from_min_max(rect.min, pos2(wipe.x, rect.bottom()));
    let right = Rect::from_min_max(pos2(wipe.x, rect.top()), rect.max);
    paint(
        ui,
        rect,
        left,
        response.id,
        placement,
        input,
        hovered,
        flags,
    );
    let second = CanvasInput {
        instances: Some(wipe.instances),
        shown: Some(wipe.shown),
        verdicts: None,
        picked: None,
        selected: None,
        hovered: None,
        ..*input
    };
    let flags = style::shown_flags(wipe.instances, Some(wipe.shown), None);
    let id = response.id.with("second");
    paint(ui, rect, right, id, placement, &second, None, &flags);
}

/// Image, masks, boxes, labels inside `clip`.
#[allow(clippy::too_many_arguments, reason = "the parts of one canvas")]
fn paint(
    ui: &egui::Ui,
    rect: Rect,
    clip: Rect,
    id: egui::Id,
    placement: &Placement,
    input: &CanvasInput<'_>,
    hovered: Option<usize>,
    flags: &[bool],
) {
    let painter = ui.painter().with_clip_rect(clip.intersect(ui.clip_rect()));
    if let (None, Some(thumbnail)) = (input.image, input.thumbnail) {
        let all = Rect::from_min_max(pos2(0.0, 0.0), pos2(1.0, 1.0));
        painter.image(thumbnail, placement.image_rect(), all, egui::Color32::WHITE);
    }
    let layers = layers(ui, id, placement, input, hovered);
    let callback = CanvasPaint {
        id,
        view: ViewUniform {
            origin: placement.origin.into(),
            screen: [0.0; 2],
            scale: placement.scale,
            pixels_per_point: placement.pixels_per_point,
            linear_target: 0,
            padding: 0,
        },
        image: input.image.cloned(),
        layers,
        mask_pixels: mask_pixels(&painter, placement, input, flags),
    };
    painter.add(egui_wgpu::Callback::new_paint_callback(rect, callback));
    let Some(set) = input.instances else { return };
    let colours = |i: usize| {
        let verdict = input.verdicts.and_then(|all| all.get(i)).copied();
        set.get(i).map_or(crate::ui::colour::ANNOTATION, |it| {
            style::instance_colour(it, input.style.colour_by, verdict)
        })
    };
    let mut over = LabelInput {
        set,
        order: input.shown.unwrap_or(set.by_score()),
        flags,
        all: input.style.boxes,
        always: [hovered, input.selected],
        colours: &colours,
    };
    labels::paint_boxes(&painter, placement, &over, input.selected);
    over.all = input.style.labels;
    labels::paint(&painter, placement, &over);
}

/// Screen pixels in the boxes of the masks that are shown and in view.
fn mask_pixels(
    painter: &egui::Painter,
    placement: &Placement,
    input: &CanvasInput<'_>,
    flags: &[bool],
) -> f32 {
    let clip = painter.clip_rect();
    let points: f32 = input
        .instances
        .into_iter()
        .flat_map(|set| set.instances().iter().zip(flags))
        .filter(|(instance, shown)| **shown && !instance.bounds.is_empty())
        .map(|(instance, _)| labels::bounds_rect(instance.bounds, placement).intersect(clip))
        .filter(|rect| rect.is_positive())
        .map(|rect| rect.area())
        .sum();
    points * placement.pixels_per_point * placement.pixels_per_point
}

/// The instance sets with their styles: predictions, then annotations.
fn layers(
    ui: &egui::Ui,
    id: egui::Id,
    placement: &Placement,
    input: &CanvasInput<'_>,
    hovered: Option<usize>,
) -> Vec<Layer> {
    let predictions = Emphasis {
        shown: input.shown,
        verdicts: input.verdicts,
        picked: input.picked,
        selected: input.selected,
        hovered,
        pixels_per_point: placement.pixels_per_point,
        annotations: false,
    };
    let annotations = Emphasis {
        shown: None,
        verdicts: input.ground_truth_verdicts,
        picked: None,
        selected: input.ground_truth_selected,
        hovered: None,
        annotations: true,
        ..predictions
    };
    [
        (input.instances, predictions, "predictions"),
        (input.ground_truth, annotations, "annotations"),
    ]
    .into_iter()
    .filter_map(|(set, emphasis, name)| {
        let set = set.filter(|set| !set.is_empty())?;
        Some(layer(ui, id.with(name), set, input.style, &emphasis))
    })
    .collect()
}

/// One set with its styles, which are kept in egui's memory from frame to frame.
fn layer(
    ui: &egui::Ui,
    id: egui::Id,
    set: &Arc<InstanceSet>,
    style: &OverlayStyle,
    emphasis: &Emphasis<'_>,
) -> Layer {
    let old = ui.data(|data| data.get_temp::<StyleCache>(id));
    let cache = StyleCache::renew(old, set, style, emphasis);
    let styles = Arc::clone(&cache.styles);
    ui.data_mut(|data| data.insert_temp(id, cache));
    let mut raised = [emphasis.selected, emphasis.hovered].to_vec();
    raised.dedup();
    let raised = raised
        .into_iter()
        .flatten()
        .filter_map(|i| set.by_area().iter().position(|&other| other == i))
        .collect();
    Layer {
        set: Arc::clone(set),
        styles,
        raised,
    }
}
