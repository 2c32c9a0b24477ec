//! Boxes: an annotation moved and stretched by its own, a new rectangle, and a box that the model finds a mask in.

use egui::CursorIcon;

use super::{Drawing, Easel, REACH, box_corners, preview_shape};
use crate::document::Document;
use crate::document::review::Shape;
use crate::structures::{BoxXywh, Size};
use crate::ui::command::{Command, CommandQueue};
use crate::ui::review_command::ReviewCommand;

/// A box is at least so large, in pixels of the image: less is a slip of the hand.
const LEAST: f64 = 2.0;

/// What of a box is in hand: -1 its left or upper side, 1 the right or lower one, 0 neither.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Grip {
    across: i8,
    down: i8,
}

impl Grip {
    /// The whole box.
    const INSIDE: Self = Self { across: 0, down: 0 };
    /// A new box, by the corner opposite to where it began.
    const NEW: Self = Self { across: 1, down: 1 };

    /// The handles, corners first: they win where the box is small.
    fn handles() -> impl Iterator<Item = Self> {
        let sides = [
            (-1, -1),
            (1, -1),
            (1, 1),
            (-1, 1),
            (0, -1),
            (1, 0),
            (0, 1),
            (-1, 0),
        ];
        sides
            .into_iter()
            .map(|(across, down)| Self { across, down })
    }

    fn at(self, bbox: BoxXywh) -> (f64, f64) {
        let along = |start: f64, side: f64, grip: i8| start + side * f64::from(grip + 1) / 2.0;
        (
            along(bbox.x, bbox.width, self.across),
            along(bbox.y, bbox.height, self.down),
        )
    }

    fn cursor(self) -> CursorIcon {
        match (self.across, self.down) {
            (0, 0) => CursorIcon::Move,
            (0, _) => CursorIcon::ResizeVertical,
            (_, 0) => CursorIcon::ResizeHorizontal,
            (a, b) if a == b => CursorIcon::ResizeNwSe,
            _ => CursorIcon::ResizeNeSw,
        }
    }
}

/// A box in hand.
pub(super) struct BoxDrag {
    id: Option<u64>,
    image: usize,
    grip: Grip,
    /// Where the pointer was, in pixels of the image.
    start: (f64, f64),
    from: BoxXywh,
    to: BoxXywh,
    /// What the box is around; none of a new box.
    shape: Option<Shape>,
}

impl BoxDrag {
    fn new(easel: &Easel<'_>, grip: Grip, around: Option<(BoxXywh, Shape)>) -> Option<Self> {
        let (from, shape) = around.unzip();
        let start = pointer(easel, grip)?;
        let from = from.unwrap_or(BoxXywh::new(start.0, start.1, 0.0, 0.0));
        Some(Self {
            id: easel.id,
            image: easel.shown.image,
            grip,
            start,
            from,
            to: from,
            shape,
        })
    }

    /// The box that the pointer leads to; it stays inside the image.
    fn renew(&mut self, to: (f64, f64), size: Size) {
        let axis = |from: (f64, f64), grip: i8, start: f64, to: f64, side: usize| {
            let (low, high) = (from.0, from.0 + from.1);
            if self.grip == Grip::INSIDE {
                // Whole pixels, so that painted masks lose nothing on the way.
                let room = (side as f64 - from.1).max(0.0);
                return ((low + (to - start).round()).clamp(0.0, room), from.1);
            }
            let (a, b) = match grip {
                -1 => (to, high),
                1 => (low, to),
                _ => (low, high),
            };
            (a.min(b), (a - b).abs())
        };
        let (start, from) = (self.start, self.from);
        let x = axis(
            (from.x, from.width),
            self.grip.across,
            start.0,
            to.0,
            size.width,
        );
        let y = axis(
            (from.y, from.height),
            self.grip.down,
            start.1,
            to.1,
            size.height,
        );
        self.to = BoxXywh::new(x.0, y.0, x.1, y.1);
    }

    fn is_large_enough(&self) -> bool {
        self.to.width >= LEAST && self.to.height >= LEAST
    }

    /// The shape that the box leads to; none where nothing is another, or it is too small.
    fn moved(&self) -> Option<Shape> {
        if self.to == self.from || !self.is_large_enough() {
            return None;
        }
        Some(match &self.shape {
            None => {
                let corners = box_corners(self.to).into_iter().flat_map(|(x, y)| [x, y]);
                Shape::Polygons(vec![corners.collect()])
            }
            Some(shape) => shape.mapped(self.from, self.to),
        })
    }
}

/// A side goes to the border where the pointer is near it; a box that moves stays as far from it as it is.
fn pointer(easel: &Easel<'_>, grip: Grip) -> Option<(f64, f64)> {
    match grip {
        Grip::INSIDE => easel.at(),
        _ => easel.snapped(),
    }
}

/// Begins what `begin` says, follows the pointer, and gives the box when it is let go.
fn dragged(
    easel: &Easel<'_>,
    drawing: &mut Drawing,
    begin: impl FnOnce() -> Option<BoxDrag>,
) -> Option<BoxDrag> {
    let is_other = |drag: &BoxDrag| drag.image != easel.shown.image || drag.id != easel.id;
    drawing.drag.take_if(|drag| is_other(drag));
    if easel.is_down && easel.ui.input(|input| input.pointer.primary_pressed()) {
        drawing.drag = begin();
    }
    if !easel.is_down {
        return drawing.drag.take();
    }
    if let Some(drag) = &mut drawing.drag
        && let Some(to) = pointer(easel, drag.grip)
    {
        drag.renew(to, easel.size);
        easel.ui.request_repaint();
    }
    None
}

/// Moves and stretches the selected annotation; without one a new rectangle is drawn.
pub(super) fn stretch(
    easel: &Easel<'_>,
    doc: &Document,
    drawing: &mut Drawing,
    out: &mut CommandQueue,
) {
    let bbox = easel.bbox();
    let grip = match bbox {
        None => Some(Grip::NEW),
        Some(bbox) => grip_at(easel, bbox),
    };
    let in_hand = drawing.drag.as_ref().map(|drag| drag.grip);
    match in_hand.or(grip) {
        Some(grip) if bbox.is_some() => easel.cursor(grip.cursor()),
        _ => easel.cursor(CursorIcon::Crosshair),
    }
    let done = dragged(easel, drawing, || match bbox {
        None => BoxDrag::new(easel, Grip::NEW, None),
        Some(bbox) => {
            let shape = doc.review()?.shape(easel.id?).ok()?;
            BoxDrag::new(easel, grip?, Some((bbox, shape)))
        }
    });
    if let Some(done) = done {
        finish(&done, drawing, out);
    } else if let Some(drag) = &drawing.drag {
        let (id, to) = (drag.id, drag.to);
        let shape = drag.moved();
        easel.rectangle(to);
        if let Some(shape) = shape {
            drawing.preview = preview_shape(doc, easel, id, &shape);
        }
    } else if let Some(bbox) = bbox {
        easel.rectangle(bbox);
        for handle in Grip::handles() {
            let at = easel.on_screen(handle.at(bbox));
            easel.handle(at, grip == Some(handle));
        }
    }
}

fn grip_at(easel: &Easel<'_>, bbox: BoxXywh) -> Option<Grip> {
    let pointer = easel.pointer?;
    let near = |grip: &Grip| easel.on_screen(grip.at(bbox)).distance(pointer) <= REACH;
    let (x, y) = easel.at()?;
    let is_inside =
        x >= bbox.x && y >= bbox.y && x <= bbox.x + bbox.width && y <= bbox.y + bbox.height;
    let handle = Grip::handles().find(near);
    handle.or(is_inside.then_some(Grip::INSIDE))
}

fn finish(drag: &BoxDrag, drawing: &mut Drawing, out: &mut CommandQueue) {
    match drag.moved() {
        Some(shape) => out.push(Command::Review(ReviewCommand::Drawn {
            id: drag.id,
            image: drag.image,
            shape,
        })),
        None => drawing.preview = None,
    }
}

/// A box that the model is asked about when it is let go.
pub(super) fn predict(easel: &Easel<'_>, drawing: &mut Drawing, out: &mut CommandQueue) {
    easel.cursor(CursorIcon::Crosshair);
    let done = dragged(easel, drawing, || BoxDrag::new(easel, Grip::NEW, None));
    if let Some(drag) = &drawing.drag {
        easel.rectangle(drag.to);
    }
    if let Some(done) = done.filter(BoxDrag::is_large_enough) {
        out.push(Command::Review(ReviewCommand::PredictIn {
            image: done.image,
            id: done.id,
            bbox: done.to,
        }));
    }
}
