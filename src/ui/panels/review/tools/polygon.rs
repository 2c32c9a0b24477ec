//! Polygons corner by corner: a new annotation, another part, a hole.

use egui::{CursorIcon, Key};

use super::{Drawing, Easel, REACH, Tool};
use crate::document::Document;
use crate::document::review::Shape;
use crate::structures::{Combine, EditableMask, Size};
use crate::ui::command::{Command, CommandQueue};
use crate::ui::review_command::ReviewCommand;
use crate::ui::theme;

/// A polygon that is not closed yet.
#[derive(Default)]
pub(super) struct Polygon {
    /// Corners in pixels of the image.
    corners: Vec<(f64, f64)>,
    /// Those that were taken back, the last one at the end.
    taken_back: Vec<(f64, f64)>,
    /// The image and the annotation that they are for.
    of: Option<(usize, Option<u64>)>,
}

impl Polygon {
    pub fn is_empty(&self) -> bool {
        self.corners.is_empty()
    }

    pub fn can_redo(&self) -> bool {
        !self.taken_back.is_empty()
    }

    pub fn forget_redo(&mut self) {
        self.taken_back.clear();
    }

    pub fn clear(&mut self) {
        self.corners.clear();
        self.taken_back.clear();
    }

    fn push(&mut self, corner: (f64, f64)) {
        self.corners.push(corner);
        self.taken_back.clear();
    }

    /// Takes the last corner back; false where there is none.
    pub fn undo(&mut self) -> bool {
        let last = self.corners.pop();
        self.taken_back.extend(last);
        last.is_some()
    }

    pub fn redo(&mut self) {
        self.corners.extend(self.taken_back.pop());
    }
}

/// Sets corners where the pointer clicks.
pub(super) fn draw(
    easel: &Easel<'_>,
    doc: &Document,
    drawing: &mut Drawing,
    out: &mut CommandQueue,
) {
    let tool = drawing.tool;
    let polygon = &mut drawing.polygon;
    let of = (easel.shown.image, easel.id);
    if polygon.of != Some(of) {
        polygon.clear();
        polygon.of = Some(of);
    }
    let mut close = easel.pressed(Key::Enter);
    if easel.pressed(Key::Backspace) {
        polygon.undo();
    }
    easel.cursor(CursorIcon::Crosshair);
    let at = easel
        .snapped()
        .filter(|_| tool == Tool::Polygon || easel.id.is_some());
    if let (Some(at), Some(pointer), true) = (at, easel.pointing.at, easel.pointing.is_clicked) {
        let first = polygon.corners.first().map(|&first| easel.on_screen(first));
        let is_first = first.is_some_and(|first| first.distance(pointer) <= REACH);
        match is_first && polygon.corners.len() > 2 {
            true => close = true,
            false => polygon.push(at),
        }
    }
    let corners = polygon.corners.iter().copied();
    let points: Vec<_> = corners.chain(at).map(|at| easel.on_screen(at)).collect();
    let accent = theme::colours(easel.ui).accent;
    for point in points.iter().take(polygon.corners.len()) {
        easel.painter.circle_filled(*point, 3.5, accent);
    }
    easel.line(points);
    if close && polygon.corners.len() > 2 {
        let corners = std::mem::take(&mut polygon.corners);
        polygon.clear();
        let part = corners.into_iter().flat_map(|(x, y)| [x, y]).collect();
        finish(easel, doc, tool, part, out);
    }
}

/// A closed polygon: a part of the selected annotation, a hole in it, or a new annotation.
fn finish(easel: &Easel<'_>, doc: &Document, tool: Tool, part: Vec<f64>, out: &mut CommandQueue) {
    let id = easel.id;
    let old = id.and_then(|id| doc.review()?.shape(id).ok());
    let drawn = Shape::Polygons(vec![part.clone()]);
    let shape = match (tool, old) {
        (Tool::Cut, Some(old)) => combined(&old, &drawn, easel.size, Combine::Subtract),
        (Tool::Cut, None) => None,
        (_, Some(Shape::Polygons(mut parts))) => {
            parts.push(part);
            Some(Shape::Polygons(parts))
        }
        (_, Some(old)) => combined(&old, &drawn, easel.size, Combine::Union),
        // Of an annotation that cannot be read nothing is replaced.
        (_, None) => id.is_none().then_some(drawn),
    };
    if let Some(shape) = shape {
        let image = easel.shown.image;
        out.push(Command::Review(ReviewCommand::Drawn { id, image, shape }));
    }
}

fn combined(old: &Shape, with: &Shape, size: Size, how: Combine) -> Option<Shape> {
    let mut mask = EditableMask::from_rle(&old.mask(size).ok()?);
    mask.combine(&with.mask(size).ok()?, how).ok()?;
    Some(Shape::Runs(mask.to_rle()))
}
