//! The tools on the canvas. What is being drawn lives here; when it is done it becomes one edit.

mod boxes;
mod brush;
mod corners;
mod key_pointer;
mod polygon;

use std::sync::Arc;

use egui::{Color32, CursorIcon, Event, Key, Painter, Pos2, Stroke, Ui};

use crate::document::review::{Shape, Target};
use crate::document::{Document, Truth};
use crate::structures::{BoxXywh, Detection, Paint, Rle, Size, snapped_to_border};
use crate::ui::canvas::{CanvasFrame, InstanceSet};
use crate::ui::command::CommandQueue;
use crate::ui::review_command;
use crate::ui::shown::Shown;
use crate::ui::theme;
use crate::ui::view::ViewState;
use boxes::BoxDrag;
use brush::Brush;
use corners::Corners;
use key_pointer::{KeyPointer, Pointing};
use polygon::Polygon;

/// So near the border, in points of the screen, a position is on it.
const SNAP: f32 = 8.0;
/// So near a corner or handle, in points, the pointer has it.
const REACH: f32 = 8.0;
/// Side of a handle, in points.
const HANDLE: f32 = 8.0;

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
    /// Moves, inserts and deletes the corners of polygons.
    Corners,
    /// Moves and stretches an annotation by its box; without a selection a new rectangle.
    Box,
    /// Asks the model for the mask in a box.
    Predict,
}

impl Tool {
    /// In the order of the buttons.
    pub const ALL: [Self; 8] = [
        Self::Select,
        Self::Brush,
        Self::Eraser,
        Self::Polygon,
        Self::Cut,
        Self::Corners,
        Self::Box,
        Self::Predict,
    ];

    /// As its button names it.
    pub fn label(self) -> &'static str {
        match self {
            Self::Select => "Select",
            Self::Brush => "Brush",
            Self::Eraser => "Eraser",
            Self::Polygon => "Polygon",
            Self::Cut => "Cut out",
            Self::Corners => "Corners",
            Self::Box => "Box",
            Self::Predict => "Predict",
        }
    }

    /// How it is used.
    pub fn hint(self, has_selection: bool) -> &'static str {
        match (self, has_selection) {
            (Self::Select, _) => "",
            (Self::Brush, false) => "Nothing is selected: paints a new annotation",
            (Self::Eraser, false) => "Select the annotation to take away from",
            (Self::Brush | Self::Eraser, true) => {
                "Drag over the picture; Alt and the wheel, or , and . set the size; with Space it pans"
            }
            (Self::Polygon, _) => {
                "Click corner by corner; Enter or the first corner closes, Backspace takes one back"
            }
            (Self::Cut, false) => "Select the annotation to cut a hole into",
            (Self::Cut, true) => "Click around a hole; Enter or the first corner closes",
            (Self::Corners, false) => "Select the annotation whose corners are to be moved",
            (Self::Corners, true) => {
                "Drag a corner; a click on an edge makes one, Delete takes one away"
            }
            (Self::Box, false) => "Nothing is selected: drag a new rectangle",
            (Self::Box, true) => "Drag the box to move it, its handles to stretch it",
            (Self::Predict, false) => "Drag a box: the model's mask in it becomes a new annotation",
            (Self::Predict, true) => {
                "Drag a box: the selected annotation gets the model's mask in it"
            }
        }
    }
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
    brush: Brush,
    polygon: Polygon,
    corners: Corners,
    drag: Option<BoxDrag>,
    preview: Option<Preview>,
    keys: KeyPointer,
}

impl Drawing {
    /// Whether the pointer draws instead of selecting.
    pub fn is_active(&self) -> bool {
        self.tool != Tool::Select
    }

    /// Radius of the brush, in pixels of the image.
    pub fn radius(&self) -> f32 {
        self.brush.radius()
    }

    /// Makes the brush larger (+1) or smaller (-1).
    pub fn resize(&mut self, step: i8) {
        self.brush.resize(step.into());
    }

    /// Takes another tool; what was not finished is forgotten.
    pub fn take(&mut self, tool: Tool) {
        self.tool = tool;
        self.forget();
        if tool == Tool::Select {
            self.keys = KeyPointer::default();
        }
    }

    /// Forgets what is not finished, and what would not be taken.
    pub fn forget(&mut self) {
        self.brush.painting = None;
        self.polygon.clear();
        self.corners = Corners::default();
        self.drag = None;
        self.preview = None;
        self.keys.let_go();
    }

    /// Whether Delete is for corners of a polygon, not for the annotation.
    pub fn has_corners(&self) -> bool {
        self.tool == Tool::Corners && self.corners.are_there()
    }

    /// Whether the annotation in hand has no polygons.
    pub fn has_no_corners(&self) -> bool {
        self.corners.is_painted()
    }

    /// Whether something is begun that an undo takes back first.
    pub fn is_begun(&self) -> bool {
        self.brush.painting.is_some()
            || !self.polygon.is_empty()
            || self.drag.is_some()
            || self.corners.is_dragged()
    }

    /// Whether corners were taken back that can be set again.
    pub fn can_redo(&self) -> bool {
        self.polygon.can_redo()
    }

    /// Takes the last corner back, or the stroke in hand.
    pub fn undo(&mut self) {
        if !self.polygon.undo() {
            self.forget();
        }
    }

    /// Corners that were taken back are forgotten: something before them was.
    pub fn forget_redo(&mut self) {
        self.polygon.forget_redo();
    }

    /// Sets a corner again that was taken back.
    pub fn redo(&mut self) {
        self.polygon.redo();
    }

    /// The annotations as they would be, in place of these.
    pub fn preview(&self, of: &Arc<Truth>) -> Option<&Arc<InstanceSet>> {
        let preview = self.preview.as_ref()?;
        Arc::ptr_eq(&preview.of, of).then_some(&preview.set)
    }
}

/// The canvas in this frame, as the tools see it.
struct Easel<'a> {
    ui: &'a Ui,
    painter: Painter,
    frame: CanvasFrame,
    shown: &'a Shown,
    size: Size,
    /// The selected annotation.
    id: Option<u64>,
    /// The class of a new one.
    new_label: usize,
    pointing: Pointing,
}

impl Easel<'_> {
    /// The pointer in pixels of the image; outside of it too.
    fn at(&self) -> Option<(f64, f64)> {
        self.pointing.in_image
    }

    /// The same, in the image and drawn to its border.
    fn snapped(&self) -> Option<(f64, f64)> {
        Some(self.snapped_to_border(self.at()?))
    }

    fn snapped_to_border(&self, at: (f64, f64)) -> (f64, f64) {
        let distance = f64::from(SNAP / self.frame.points_per_pixel());
        snapped_to_border(at, self.size, distance)
    }

    /// A position in the image on the screen.
    fn on_screen(&self, at: (f64, f64)) -> Pos2 {
        self.frame.points_from_image(at)
    }

    /// Whether a key was pressed, alone, that no field and no dialog has.
    fn pressed(&self, key: Key) -> bool {
        let is_free = self.ui.memory(|memory| memory.focused().is_none());
        // With Alt it is the pointer's; Alt itself may be let go in the same frame.
        let is_it = |event: &Event| matches!(event, Event::Key { key: of, pressed: true, modifiers, .. } if *of == key && !modifiers.alt);
        is_free && self.ui.input(|input| input.events.iter().any(is_it))
    }

    /// The selected annotation's box, as it is in the document.
    fn bbox(&self) -> Option<BoxXywh> {
        self.shown.bbox_of(self.id?)
    }

    /// White on black: what lies below is a picture, whatever the theme.
    fn line(&self, points: Vec<Pos2>) {
        self.painter
            .line(points.clone(), Stroke::new(3.5, Color32::BLACK));
        self.painter.line(points, Stroke::new(1.5, Color32::WHITE));
    }

    fn rectangle(&self, bbox: BoxXywh) {
        let [a, b, c, d] = box_corners(bbox).map(|at| self.on_screen(at));
        self.line(vec![a, b, c, d, a]);
    }

    fn handle(&self, at: Pos2, is_raised: bool) {
        let c = theme::colours(self.ui);
        let side = HANDLE + if is_raised { 4.0 } else { 0.0 };
        let rect = egui::Rect::from_center_size(at, egui::Vec2::splat(side));
        let fill = if is_raised { c.accent } else { Color32::WHITE };
        self.painter
            .rect_filled(rect.expand(1.0), 1.0, Color32::BLACK);
        self.painter.rect_filled(rect, 1.0, fill);
    }

    fn cursor(&self, icon: CursorIcon) {
        if self.pointing.at.is_some() {
            self.ui.set_cursor_icon(icon);
        }
    }
}

/// Upper left, upper right, lower right, lower left.
fn box_corners(bbox: BoxXywh) -> [(f64, f64); 4] {
    let (right, bottom) = (bbox.x + bbox.width, bbox.y + bbox.height);
    [
        (bbox.x, bbox.y),
        (right, bbox.y),
        (right, bottom),
        (bbox.x, bottom),
    ]
}

/// Takes what the pointer did on the canvas in this frame, and draws what it leads to.
pub(super) fn draw_ui(ui: &Ui, doc: &mut Document, view: &mut ViewState, out: &mut CommandQueue) {
    let Some(shown) = Shown::of(ui.ctx(), doc, view) else {
        return;
    };
    let size = doc.images().get(shown.image).and_then(|image| image.size);
    let (Some(size), Some(frame)) = (size, view.canvas.frame()) else {
        return;
    };
    let writable = doc.review().is_some_and(|review| !review.is_read_only());
    if !writable {
        view.review.drawing.take(Tool::Select);
        return;
    }
    let pointing = pointing(ui, view, &shown, &frame, size);
    let easel = Easel {
        ui,
        painter: ui.painter().with_clip_rect(frame.rect),
        frame,
        shown: &shown,
        size,
        id: match view.review.selected {
            Some(Target::Annotation(id)) => Some(id),
            _ => None,
        },
        new_label: new_label(doc, view),
        pointing,
    };
    for id in &view.review.marked {
        mark(&easel, *id);
    }
    let drawing = &mut view.review.drawing;
    match drawing.tool {
        Tool::Select => {}
        Tool::Brush => brush::paint(&easel, doc, drawing, Paint::Add, out),
        Tool::Eraser => brush::paint(&easel, doc, drawing, Paint::Erase, out),
        Tool::Polygon | Tool::Cut => polygon::draw(&easel, doc, drawing, out),
        Tool::Corners => corners::edit(&easel, doc, drawing, out),
        Tool::Box => boxes::stretch(&easel, doc, drawing, out),
        Tool::Predict => boxes::predict(&easel, drawing, out),
    }
    if let Some(at) = drawing.keys.at() {
        key_pointer::cross(&easel, frame.points_from_image(at));
    }
}

/// What the pointer does: the one that keys move, or the mouse's.
fn pointing(
    ui: &Ui,
    view: &mut ViewState,
    shown: &Shown,
    frame: &CanvasFrame,
    size: Size,
) -> Pointing {
    let drawing = &mut view.review.drawing;
    let clicks = matches!(drawing.tool, Tool::Polygon | Tool::Cut);
    let mouse = ui.input(|input| input.pointer.latest_pos());
    let mouse = mouse.filter(|_| view.pointer_down || view.over_canvas);
    let in_image = mouse.map(|mouse| {
        let (x, y) = frame.image_from_points(mouse);
        (x.into(), y.into())
    });
    let selected = match view.review.selected {
        Some(Target::Annotation(id)) => shown.bbox_of(id),
        _ => None,
    };
    let start = || {
        let middle = |bbox: BoxXywh| (bbox.x + bbox.width / 2.0, bbox.y + bbox.height / 2.0);
        let at: (f64, f64) = match (in_image, selected) {
            (Some(at), _) => at,
            (None, Some(bbox)) => middle(bbox),
            (None, None) => (size.width as f64 / 2.0, size.height as f64 / 2.0),
        };
        (at.0.round(), at.1.round())
    };
    let is_active = drawing.tool != Tool::Select;
    let keys = &mut drawing.keys;
    let by_keys = is_active.then(|| keys.follow(ui, frame, size, start, clicks));
    if let Some(by_keys) = by_keys.flatten() {
        if let Some(at) = keys.at() {
            view.canvas.reveal(at);
            view.pointer = Some((at.0 as f32, at.1 as f32));
        }
        return by_keys;
    }
    Pointing {
        at: mouse,
        in_image,
        is_down: view.pointer_down,
        is_pressed: view.pointer_down && ui.input(|input| input.pointer.primary_pressed()),
        is_clicked: view.clicked,
        is_dragged: ui.input(|input| input.pointer.is_decidedly_dragging()),
    }
}

fn new_label(doc: &Document, view: &ViewState) -> usize {
    let class = review_command::new_class(doc, view);
    let label = class.and_then(|id| doc.categories().label(id));
    label.unwrap_or(0)
}

/// A frame around an annotation that is marked to be merged.
fn mark(easel: &Easel<'_>, id: u64) {
    let Some(bbox) = easel.shown.bbox_of(id) else {
        return;
    };
    let [a, b, c, d] = box_corners(bbox).map(|at| easel.on_screen(at));
    let path = [a, b, c, d, a];
    let accent = theme::colours(easel.ui).accent;
    let dashes = |stroke| egui::Shape::dashed_line(&path, stroke, 6.0, 4.0);
    easel
        .painter
        .line(path.to_vec(), Stroke::new(3.0, Color32::BLACK));
    easel.painter.extend(dashes(Stroke::new(2.0, accent)));
}

/// The image's annotations with another mask for one of them, or one more.
fn previewed(doc: &Document, easel: &Easel<'_>, id: Option<u64>, mask: Rle) -> Option<Preview> {
    let truth = easel.shown.annotations()?;
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
            label: easel.new_label,
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

/// A polygon of more corners is not filled while it moves: that would take longer than a frame.
const FILLED: usize = 5_000;

/// The mask that a shape would have, as a preview; none of one that takes too long.
fn preview_shape(
    doc: &Document,
    easel: &Easel<'_>,
    id: Option<u64>,
    shape: &Shape,
) -> Option<Preview> {
    if let Shape::Polygons(parts) = shape
        && parts.iter().map(Vec::len).sum::<usize>() > 2 * FILLED
    {
        return None;
    }
    previewed(doc, easel, id, shape.mask(easel.size).ok()?)
}
