//! The corners of an annotation's polygons: moved, inserted, deleted.

use std::sync::Arc;

use egui::{CursorIcon, Key, Pos2};

use super::{Drawing, Easel, REACH, preview_shape};
use crate::document::review::Shape;
use crate::document::{Document, Truth};
use crate::ui::command::{Command, CommandQueue};
use crate::ui::review_command::ReviewCommand;

/// So near an edge, in points, a press makes a corner on it.
const EDGE: f32 = 6.0;

/// A corner: part, place in the part.
type Place = (usize, usize);

/// The polygons of one annotation, as they are being moved.
#[derive(Default)]
pub(super) struct Corners {
    of: Option<Of>,
    /// Corners of each part; none where the annotation has no polygons.
    parts: Vec<Vec<(f64, f64)>>,
    is_painted: bool,
    chosen: Option<Place>,
    /// The chosen one follows the pointer.
    is_held: bool,
    has_moved: bool,
}

/// Whose polygons they are: read again when the document has others.
struct Of {
    id: u64,
    truth: Arc<Truth>,
}

impl Corners {
    pub fn are_there(&self) -> bool {
        !self.parts.is_empty()
    }

    pub fn is_painted(&self) -> bool {
        self.is_painted
    }

    pub fn is_dragged(&self) -> bool {
        self.is_held && self.has_moved
    }

    /// Brings them into step with the document, unless one is in hand. Whether one was in hand that is another annotation's.
    fn renew(&mut self, easel: &Easel<'_>, doc: &Document) -> bool {
        let (Some(id), Some(truth)) = (easel.id, easel.shown.annotations()) else {
            return std::mem::take(self).is_held;
        };
        let is_known = |of: &Of| of.id == id && (self.is_held || Arc::ptr_eq(&of.truth, truth));
        if self.of.as_ref().is_some_and(is_known) {
            return false;
        }
        let was_held = self.is_held;
        let shape = doc.review().and_then(|review| review.shape(id).ok());
        let parts = match &shape {
            Some(Shape::Polygons(parts)) => parts.iter().map(|part| points(part)).collect(),
            _ => Vec::new(),
        };
        let was = self.of.as_ref().map(|of| of.id);
        let stays = was == Some(id) && parts == self.parts;
        *self = Self {
            of: Some(Of {
                id,
                truth: Arc::clone(truth),
            }),
            chosen: self.chosen.filter(|_| stays),
            is_painted: matches!(shape, Some(Shape::Runs(_) | Shape::Box(_))),
            parts,
            ..Self::default()
        };
        was_held
    }

    fn shape(&self) -> Shape {
        let part = |part: &Vec<(f64, f64)>| part.iter().flat_map(|&(x, y)| [x, y]).collect();
        Shape::Polygons(self.parts.iter().map(part).collect())
    }

    fn get_mut(&mut self, (part, at): Place) -> Option<&mut (f64, f64)> {
        self.parts.get_mut(part)?.get_mut(at)
    }

    /// The corner under the pointer.
    fn corner_at(&self, easel: &Easel<'_>, pointer: Pos2) -> Option<Place> {
        let mut best = (REACH, None);
        for (part, corners) in self.parts.iter().enumerate() {
            for (at, &corner) in corners.iter().enumerate() {
                let distance = easel.on_screen(corner).distance(pointer);
                if distance <= best.0 {
                    best = (distance, Some((part, at)));
                }
            }
        }
        best.1
    }

    /// The place that a new corner has, where the pointer is on an edge.
    fn edge_at(&self, easel: &Easel<'_>, pointer: Pos2) -> Option<Place> {
        let mut best = (EDGE, None);
        for (part, corners) in self.parts.iter().enumerate() {
            for (at, &corner) in corners.iter().enumerate() {
                let next = corners[(at + 1) % corners.len()];
                let (a, b) = (easel.on_screen(corner), easel.on_screen(next));
                let distance = distance(pointer, a, b);
                if distance <= best.0 {
                    best = (distance, Some((part, at + 1)));
                }
            }
        }
        best.1
    }

    /// Takes the chosen corner away; a part of three goes as a whole.
    fn delete(&mut self) {
        let Some((part, at)) = self.chosen.take() else {
            return;
        };
        self.is_held = false;
        let Some(corners) = self.parts.get_mut(part) else {
            return;
        };
        if corners.len() <= 3 {
            self.parts.remove(part);
        } else if at < corners.len() {
            corners.remove(at);
            self.chosen = Some((part, at.min(corners.len() - 1)));
        }
    }
}

fn points(part: &[f64]) -> Vec<(f64, f64)> {
    part.chunks_exact(2).map(|at| (at[0], at[1])).collect()
}

/// Distance of a point from a segment.
fn distance(p: Pos2, a: Pos2, b: Pos2) -> f32 {
    let (along, to) = (b - a, p - a);
    let length = along.length_sq();
    let share = if length > 0.0 {
        (to.dot(along) / length).clamp(0.0, 1.0)
    } else {
        0.0
    };
    p.distance(a + along * share)
}

/// Moves corners with the pointer.
pub(super) fn edit(
    easel: &Easel<'_>,
    doc: &Document,
    drawing: &mut Drawing,
    out: &mut CommandQueue,
) {
    let corners = &mut drawing.corners;
    if corners.renew(easel, doc) {
        drawing.preview = None;
    }
    if corners.is_painted {
        easel.cursor(CursorIcon::NotAllowed);
    }
    let id = corners.of.as_ref().map(|of| of.id);
    if corners.chosen.is_some() && (easel.pressed(Key::Delete) || easel.pressed(Key::Backspace)) {
        corners.delete();
        drawn(easel, id, corners.shape(), out);
    }
    let under = easel.pointing.at.filter(|_| !corners.is_held);
    let corner = under.and_then(|pointer| corners.corner_at(easel, pointer));
    let edge = under
        .filter(|_| corner.is_none())
        .and_then(|pointer| corners.edge_at(easel, pointer));
    let began = easel.pointing.is_pressed && !corners.is_held;
    if began {
        corners.chosen = corner.or(edge);
        corners.is_held = corners.chosen.is_some();
        corners.has_moved = false;
        if let (None, Some((part, at)), Some(new)) = (corner, edge, easel.snapped())
            && let Some(part) = corners.parts.get_mut(part)
        {
            part.insert(at, new);
            corners.has_moved = true;
        }
    }
    if corners.is_held && easel.pointing.is_down {
        // A press alone moves nothing.
        let moves = corners.has_moved || easel.pointing.is_dragged;
        let chosen = corners.chosen;
        if let (true, Some(place), Some(to)) = (moves, chosen, easel.snapped())
            && let Some(corner) = corners.get_mut(place)
            && *corner != to
        {
            *corner = to;
            corners.has_moved = true;
            drawing.preview = preview_shape(doc, easel, id, &drawing.corners.shape());
        }
        easel.cursor(CursorIcon::Grabbing);
    } else if corners.is_held {
        corners.is_held = false;
        if std::mem::take(&mut corners.has_moved) {
            drawn(easel, id, corners.shape(), out);
        }
    } else if corner.is_some() {
        easel.cursor(CursorIcon::Grab);
    } else if edge.is_some() {
        easel.cursor(CursorIcon::Copy);
    }
    show(easel, &drawing.corners, corner);
}

fn drawn(easel: &Easel<'_>, id: Option<u64>, shape: Shape, out: &mut CommandQueue) {
    let image = easel.shown.image;
    out.push(Command::Review(ReviewCommand::Drawn { id, image, shape }));
}

/// Edges, and the corners that are in view.
fn show(easel: &Easel<'_>, corners: &Corners, under: Option<Place>) {
    for (part, of_part) in corners.parts.iter().enumerate() {
        let mut points: Vec<Pos2> = of_part.iter().map(|&at| easel.on_screen(at)).collect();
        points.extend(points.first().copied());
        easel.line(points.clone());
        for (at, point) in points.iter().enumerate().take(of_part.len()) {
            if easel.frame.rect.contains(*point) {
                let place = Some((part, at));
                easel.handle(*point, place == corners.chosen || place == under);
            }
        }
    }
}
