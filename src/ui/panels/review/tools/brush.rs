//! Brush and eraser.

use egui::{Color32, Stroke};

use super::{Drawing, Easel, previewed};
use crate::document::Document;
use crate::document::review::Shape;
use crate::structures::{EditableMask, Paint};
use crate::ui::command::{Command, CommandQueue};
use crate::ui::review_command::ReviewCommand;

/// The brush at first, in pixels of the image.
const RADIUS: f32 = 12.0;
const SMALLEST: f32 = 0.5;
const LARGEST: f32 = 1000.0;
/// A step of the brush's size.
const STEP: f32 = 1.25;
/// Steps of the size per point of scrolling: a notch of a wheel is one.
const STEPS_PER_POINT: f32 = 1.0 / 40.0;

/// The brush, and what is under it.
#[derive(Default)]
pub(super) struct Brush {
    radius: Option<f32>,
    pub painting: Option<Painting>,
}

/// A mask under the brush.
pub(super) struct Painting {
    /// The annotation; a new one without.
    id: Option<u64>,
    image: usize,
    mask: EditableMask,
    last: (f32, f32),
    has_changed: bool,
}

impl Painting {
    /// Nothing where no pixel is another.
    fn done(self) -> Option<Command> {
        self.has_changed.then(|| {
            Command::Review(ReviewCommand::Drawn {
                id: self.id,
                image: self.image,
                shape: Shape::Runs(self.mask.to_rle()),
            })
        })
    }
}

impl Brush {
    pub fn radius(&self) -> f32 {
        self.radius.unwrap_or(RADIUS)
    }

    pub fn resize(&mut self, steps: f32) {
        let radius = self.radius() * STEP.powf(steps);
        self.radius = Some(radius.clamp(SMALLEST, LARGEST));
    }
}

/// Paints where the pointer is pressed.
pub(super) fn paint(
    easel: &Easel<'_>,
    doc: &Document,
    drawing: &mut Drawing,
    paint: Paint,
    out: &mut CommandQueue,
) {
    let (alt, scrolled) = (easel.ui).input(|i| (i.modifiers.alt, i.smooth_scroll_delta().y));
    if alt && easel.pointing.at.is_some() && scrolled != 0.0 {
        drawing.brush.resize(scrolled * STEPS_PER_POINT);
    }
    ring(easel, drawing.radius());
    let radius = drawing.radius();
    let brush = &mut drawing.brush;
    let at = easel.at().filter(|_| easel.pointing.is_down);
    let Some((x, y)) = at else {
        if let Some(painting) = brush.painting.take() {
            let done = painting.done();
            if done.is_none() {
                drawing.preview = None;
            }
            out.extend(done);
        }
        return;
    };
    let at = (x as f32, y as f32);
    let other = brush
        .painting
        .take_if(|painting| painting.image != easel.shown.image);
    out.extend(other.and_then(Painting::done));
    if brush.painting.is_none() {
        // A stroke that was taken back does not begin again under the pressed button.
        if !easel.pointing.is_pressed {
            return;
        }
        let Some(mask) = mask_to_paint(easel, doc, paint) else {
            return;
        };
        brush.painting = Some(Painting {
            id: easel.id,
            image: easel.shown.image,
            mask,
            last: at,
            has_changed: false,
        });
        drawing.preview = None;
    }
    let Some(painting) = &mut brush.painting else {
        return;
    };
    let changed = painting.mask.stroke(painting.last, at, radius, paint);
    painting.last = at;
    if changed.is_some() {
        painting.has_changed = true;
        let (mask, id) = (painting.mask.to_rle(), painting.id);
        drawing.preview = previewed(doc, easel, id, mask);
    }
    easel.ui.request_repaint();
}

/// The mask as it is; none where there is nothing to take away from, or the mask cannot be read.
fn mask_to_paint(easel: &Easel<'_>, doc: &Document, paint: Paint) -> Option<EditableMask> {
    match easel.id {
        None if paint == Paint::Erase => None,
        None => Some(EditableMask::new(easel.size)),
        Some(id) => Some(EditableMask::from_rle(&doc.review()?.mask(id).ok()?)),
    }
}

/// The brush around the pointer.
fn ring(easel: &Easel<'_>, radius: f32) {
    let Some(at) = easel.pointing.at else { return };
    let radius = radius * easel.frame.points_per_pixel();
    let painter = &easel.painter;
    painter.circle_stroke(at, radius, Stroke::new(2.5, Color32::BLACK));
    painter.circle_stroke(at, radius, Stroke::new(1.0, Color32::WHITE));
}
