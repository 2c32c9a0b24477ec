//! Brush, eraser and polygon on the canvas. What is being drawn lives here; when it is done it becomes one edit.

use std::sync::Arc;

use egui::{Color32, Key, Pos2, Stroke, Ui};

use crate::document::Document;
use crate::document::Truth;
use crate::document::review::{Shape, Target};
use crate::structures::{Combine, Detection, EditableMask, Paint, Rle, Size, snapped_to_border};
use crate::ui::canvas::InstanceSet;
use crate::ui::command::{Command, CommandQueue};
use crate::ui::review_command::ReviewCommand;
use crate::ui::shown::Shown;
use crate::ui::theme;
use crate::ui::view::ViewState;

/// The brush at first, in pixels of the image.
const RADIUS: f32 = 12.0;
const SMALLEST: f32 = 0.5;
const LARGEST: f32 = 1000.0;
/// A step of the brush's size.
const STEP: f32 = 1.25;
/// So near the border, in points of the screen, a corner is on it.
const SNAP: f32 = 8.0;
/// So near its first corner, in points, a polygon is closed by a click.
const CLOSE: f32 = 8.0;

/// What the pointer does on the canvas.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tool {
    /// Selects.
    #[default]
    Select,
    /// Paints.
    Brush,
    /// Takes away.
    Eraser,
    /// Adds a part corner by corner; without a selection a new annotation.
    Polygon,
    /// Cuts a hole corner by corner.
    Cut,
}

impl Tool {
    /// In the order of the buttons.
    pub const ALL: [Self; 5] = [
        Self::Select,
        Self::Brush,
        Self::Eraser,
        Self::Polygon,
        Self::Cut,
    ];

    /// As its button names it.
    pub fn label(self) -> &'static str {
        match self {
            Self::Select => "Select",
            Self::Brush => "Brush",
            Self::Eraser => "Eraser",
            Self::Polygon => "Polygon",
            Self::Cut => "Cut out",
        }
    }
}

/// A mask under the brush.
struct Painting {
    /// The annotation; a new one without.
    id: Option<u64>,
    image: usize,
    mask: EditableMask,
    last: (f32, f32),
}

/// Annotations with a mask that is not in the document yet.
struct Preview {
    /// What it was made of: it ends when the document has others.
    of: Arc<Truth>,
    set: Arc<InstanceSet>,
}

/// What is being drawn.
#[derive(Default)]
pub struct Drawing {
    /// The tool in hand.
    pub tool: Tool,
    radius: Option<f32>,
    painting: Option<Painting>,
    preview: Option<Preview>,
    /// Corners in pixels of the image.
    corners: Vec<(f64, f64)>,
}

impl Drawing {
    /// Whether the pointer draws instead of selecting.
    pub fn is_active(&self) -> bool {
        self.tool != Tool::Select
    }

    /// Radius of the brush, in pixels of the image.
    pub fn radius(&self) -> f32 {
        self.radius.unwrap_or(RADIUS)
    }

    /// Makes the brush larger (+1) or smaller (-1).
    pub fn resize(&mut self, step: i8) {
        let radius = self.radius() * STEP.powi(step.into());
        self.radius = Some(radius.clamp(SMALLEST, LARGEST));
    }

    /// Takes another tool; what was not finished is forgotten.
    pub fn take(&mut self, tool: Tool) {
        self.tool = tool;
        self.corners.clear();
        self.painting = None;
        self.preview = None;
    }

    /// The annotations as they would be, in place of these.
    pub fn preview(&self, of: &Arc<Truth>) -> Option<&Arc<InstanceSet>> {
        let preview = self.preview.as_ref()?;
        Arc::ptr_eq(&preview.of, of).then_some(&preview.set)
    }
}

/// Takes what the pointer did on the canvas in this frame, and draws what it leads to.
pub(super) fn draw_ui(ui: &Ui, doc: &mut Document, view: &mut ViewState, out: &mut CommandQueue) {
    let Some(shown) = Shown::of(ui.ctx(), doc, view) else {
        return;
    };
    let Some(size) = doc.images().get(shown.image).and_then(|image| image.size) else {
        return;
    };
    let writable = doc.review().is_some_and(|review| !review.is_read_only());
    if !writable {
        view.review.drawing.take(Tool::Select);
        return;
    }
    match view.review.drawing.tool {
        Tool::Select => {}
        Tool::Brush => paint(ui, doc, view, &shown, size, Paint::Add, out),
        Tool::Eraser => paint(ui, doc, view, &shown, size, Paint::Erase, out),
        Tool::Polygon | Tool::Cut => corners(ui, doc, view, size, out),
    }
}

fn selected_id(view: &ViewState) -> Option<u64> {
    match view.review.selected {
        Some(Target::Annotation(id)) => Some(id),
        _ => None,
    }
}

fn paint(
    ui: &Ui,
    doc: &Document,
    view: &mut ViewState,
    shown: &Shown,
    size: Size,
    paint: Paint,
    out: &mut CommandQueue,
) {
    ring(ui, view);
    let id = selected_id(view);
    let drawing = &mut view.review.drawing;
    let radius = drawing.radius();
    match (view.pointer_down, view.pointer) {
        (true, Some(at)) => {
            let is_other = drawing
                .painting
                .as_ref()
                .is_some_and(|it| it.image != shown.image);
            if drawing.painting.is_none() || is_other {
                if id.is_none() && paint == Paint::Erase {
                    return; // nothing to take away from
                }
                let old = id.and_then(|id| doc.review()?.mask(id).ok());
                drawing.painting = Some(Painting {
                    id,
                    image: shown.image,
                    mask: old.map_or_else(
                        || EditableMask::new(size),
                        |mask| EditableMask::from_rle(&mask),
                    ),
                    last: at,
                });
                drawing.preview = None;
            }
            let Some(painting) = &mut drawing.painting else {
                return;
            };
            let changed = painting.mask.stroke(painting.last, at, radius, paint);
            painting.last = at;
            if changed.is_some() || drawing.preview.is_none() {
                let (mask, id) = (painting.mask.to_rle(), painting.id);
                drawing.preview = previewed(doc, shown, id, mask);
            }
            ui.ctx().request_repaint();
        }
        (false, _) => {
            if let Some(painting) = drawing.painting.take() {
                let shape = Shape::Runs(painting.mask.to_rle());
                out.push(Command::Review(ReviewCommand::Drawn(painting.id, shape)));
            }
        }
        (true, None) => {} // outside of the image
    }
}

/// The image's annotations with another mask for one of them, or one more.
fn previewed(doc: &Document, shown: &Shown, id: Option<u64>, mask: Rle) -> Option<Preview> {
    let truth = shown.annotations()?;
    let mut shapes = truth.shapes.clone();
    let place = id.and_then(|id| {
        truth
            .instances
            .iter()
            .position(|instance| instance.id == id)
    });
    match place.and_then(|at| shapes.get_mut(at)) {
        Some(shape) => {
            shape.bbox = mask.bbox();
            shape.mask = mask;
        }
        None => shapes.push(Detection {
            bbox: mask.bbox(),
            label: 0,
            score: 1.0,
            mask_iou: None,
            iou_score: 1.0,
            mask,
            quality: None,
        }),
    }
    Some(Preview {
        of: Arc::clone(truth),
        set: InstanceSet::annotations(&shapes, doc.classes()),
    })
}

/// Points of the screen a pixel of the image has.
fn scale(ui: &Ui, view: &ViewState) -> f32 {
    view.canvas.zoom_percent() / 100.0 / ui.pixels_per_point()
}

/// The brush around the pointer.
fn ring(ui: &Ui, view: &ViewState) {
    let Some(at) = ui
        .input(|input| input.pointer.hover_pos())
        .filter(|_| view.pointer.is_some())
    else {
        return;
    };
    let radius = view.review.drawing.radius() * scale(ui, view);
    let painter = ui.painter();
    painter.circle_stroke(at, radius, Stroke::new(2.5, Color32::BLACK));
    painter.circle_stroke(at, radius, Stroke::new(1.0, Color32::WHITE));
}

fn corners(ui: &Ui, doc: &Document, view: &mut ViewState, size: Size, out: &mut CommandQueue) {
    let scale = scale(ui, view);
    let screen = ui.input(|input| input.pointer.hover_pos());
    let (pointer, clicked) = (view.pointer, view.clicked);
    let drawing = &mut view.review.drawing;
    let mut close = ui.input(|input| input.key_pressed(Key::Enter));
    if ui.input(|input| input.key_pressed(Key::Backspace)) {
        drawing.corners.pop();
    }
    if let (Some((x, y)), Some(screen)) = (pointer, screen) {
        let at = snapped_to_border((f64::from(x), f64::from(y)), size, f64::from(SNAP / scale));
        let on_screen = |corner: &(f64, f64)| {
            Pos2::new(
                screen.x + (corner.0 as f32 - x) * scale,
                screen.y + (corner.1 as f32 - y) * scale,
            )
        };
        if clicked {
            let first = drawing.corners.first().map(on_screen);
            let is_first = first.is_some_and(|first| first.distance(screen) <= CLOSE);
            match is_first && drawing.corners.len() > 2 {
                true => close = true,
                false => drawing.corners.push(at),
            }
        }
        let c = theme::colours(ui);
        let mut points: Vec<Pos2> = drawing.corners.iter().map(on_screen).collect();
        for point in &points {
            ui.painter().circle_filled(*point, 3.5, c.accent);
        }
        points.push(on_screen(&at));
        ui.painter()
            .line(points.clone(), Stroke::new(3.0, Color32::BLACK));
        ui.painter().line(points, Stroke::new(1.5, c.accent));
    }
    if close && drawing.corners.len() > 2 {
        let part: Vec<f64> = drawing
            .corners
            .drain(..)
            .flat_map(|(x, y)| [x, y])
            .collect();
        finish(doc, view, part, size, out);
    }
}

/// A closed polygon: a part of the selected annotation, a hole in it, or a new annotation.
fn finish(doc: &Document, view: &ViewState, part: Vec<f64>, size: Size, out: &mut CommandQueue) {
    let id = selected_id(view);
    let old = id.and_then(|id| doc.review()?.shape(id).ok());
    let drawn = Shape::Polygons(vec![part.clone()]);
    let shape = match (view.review.drawing.tool, old) {
        (Tool::Cut, Some(old)) => combined(&old, &drawn, size, Combine::Subtract),
        (Tool::Cut, None) => None,
        (_, Some(Shape::Polygons(mut parts))) => {
            parts.push(part);
            Some(Shape::Polygons(parts))
        }
        (_, Some(old)) => combined(&old, &drawn, size, Combine::Union),
        (_, None) => Some(drawn),
    };
    if let Some(shape) = shape {
        out.push(Command::Review(ReviewCommand::Drawn(id, shape)));
    }
}

fn combined(old: &Shape, with: &Shape, size: Size, how: Combine) -> Option<Shape> {
    let mut mask = EditableMask::from_rle(&old.mask(size).ok()?);
    mask.combine(&with.mask(size).ok()?, how).ok()?;
    Some(Shape::Runs(mask.to_rle()))
}
