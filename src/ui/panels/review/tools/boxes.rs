//! Boxes: an annotation moved and stretched by its own, a new rectangle, and a box that the model finds a mask in.

use egui::CursorIcon;

use super::{Drawing, Easel, REACH, box_corners, preview_shape};
use crate::document::Document;
use crate::document::review::Shape;
use crate::structures::BoxXywh;
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
    /// The pointer has left the place of the press: a click moves nothing.
    has_moved: bool,
    /// The box that was previewed last.
    previewed: Option<BoxXywh>,
}

impl BoxDrag {
    fn new(easel: &Easel<'_>, grip: Grip, around: Option<(BoxXywh, Shape)>) -> Option<Self> {
        let (from, shape) = around.unzip();
        let start = easel.at()?;
        let corner = easel.snapped()?;
        let from = from.unwrap_or(BoxXywh::new(corner.0, corner.1, 0.0, 0.0));
        Some(Self {
            id: easel.id,
            image: easel.shown.image,
            grip,
            start,
            from,
            to: from,
            shape,
            has_moved: false,
            previewed: None,
        })
    }

    /// The box that the pointer leads to. What is inside the image stays there.
    fn renew(&mut self, easel: &Easel<'_>) {
        let Some(at) = easel.at() else { return };
        self.has_moved |= easel.pointing.is_dragged;
        if !self.has_moved {
            return;
        }
        let (from, size) = (self.from, easel.size);
        let (dx, dy) = (at.0 - self.start.0, at.1 - self.start.1);
        self.to = if self.grip == Grip::INSIDE {
            BoxXywh {
                x: shifted(from.x, from.width, dx, size.width),
                y: shifted(from.y, from.height, dy, size.height),
                ..from
            }
        } else {
            let (x, y) = match &self.shape {
                None => at,
                // The side follows the pointer from where it was, not from where it was taken.
                Some(_) => {
                    let (x, y) = self.grip.at(from);
                    (x + dx, y + dy)
                }
            };
            let (x, y) = easel.snapped_to_border((x, y));
            let (x, width) = stretched(from.x, from.width, self.grip.across, x);
            let (y, height) = stretched(from.y, from.height, self.grip.down, y);
            BoxXywh::new(x, y, width, height)
        };
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

/// A side's start after a move by whole pixels, so that painted masks lose nothing on the way.
fn shifted(low: f64, length: f64, by: f64, side: usize) -> f64 {
    let room = (side as f64 - length).max(0.0);
    // A box that sticks out already is not pulled in.
    (low + by.round()).clamp(low.min(0.0), low.max(room))
}

/// Start and length of a side whose one end goes to `to`.
fn stretched(low: f64, length: f64, grip: i8, to: f64) -> (f64, f64) {
    let high = low + length;
    let (a, b) = match grip {
        -1 => (to, high),
        1 => (low, to),
        _ => return (low, length),
    };
    (a.min(b), (a - b).abs())
}

/// Begins what `begin` says, follows the pointer, and gives the box when it is let go.
fn dragged(
    easel: &Easel<'_>,
    drawing: &mut Drawing,
    begin: impl FnOnce() -> Option<BoxDrag>,
) -> Option<BoxDrag> {
    let is_other = |drag: &BoxDrag| drag.image != easel.shown.image || drag.id != easel.id;
    if drawing.drag.take_if(|drag| is_other(drag)).is_some() {
        drawing.preview = None;
    }
    if easel.pointing.is_pressed {
        drawing.drag = begin();
    }
    if !easel.pointing.is_down {
        return drawing.drag.take();
    }
    if let Some(drag) = &mut drawing.drag {
        drag.renew(easel);
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
    } else if let Some(drag) = &mut drawing.drag {
        easel.rectangle(drag.to);
        if drag.previewed.replace(drag.to) != Some(drag.to) {
            let (id, shape) = (drag.id, drag.moved());
            drawing.preview = shape.and_then(|shape| preview_shape(doc, easel, id, &shape));
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
    let pointer = easel.pointing.at?;
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
