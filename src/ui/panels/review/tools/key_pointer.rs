//! A pointer that keys move, so that every tool works without a mouse: Alt and an arrow, Alt and Enter to press and to let go.

use egui::{Event, Key, Modifiers, Pos2, Ui, Vec2};

use super::Easel;
use crate::structures::Size;
use crate::ui::canvas::CanvasFrame;

/// Steps of an arrow with Shift.
const FAR: f64 = 10.0;
/// Arms of the cross, in points, and what is left free around its middle.
const ARM: f32 = 12.0;
const GAP: f32 = 3.0;

/// Where keys have led the pointer; nowhere while a mouse has it.
#[derive(Default)]
pub(super) struct KeyPointer {
    /// In pixels of the image.
    at: Option<(f64, f64)>,
    is_down: bool,
    has_moved: bool,
}

/// What the pointer does in this frame, whichever has it.
#[derive(Clone, Copy, Default)]
pub(super) struct Pointing {
    /// Where it is over the canvas or was pressed there, in points.
    pub at: Option<Pos2>,
    /// The same in pixels of the image; outside of it too.
    pub in_image: Option<(f64, f64)>,
    /// It is pressed, not to pan.
    pub is_down: bool,
    /// It was pressed in this frame.
    pub is_pressed: bool,
    /// It was pressed and let go at one place.
    pub is_clicked: bool,
    /// It has left the place where it was pressed.
    pub is_dragged: bool,
}

impl KeyPointer {
    /// Where the keys have led it.
    pub fn at(&self) -> Option<(f64, f64)> {
        self.at
    }

    /// It is no longer pressed.
    pub fn let_go(&mut self) {
        (self.is_down, self.has_moved) = (false, false);
    }

    /// Follows the keys, from `start` in pixels of the image where it was nowhere. Where `clicks`, a press is let go at once.
    /// Nothing while a mouse points or a widget has the keys.
    pub fn follow(
        &mut self,
        ui: &Ui,
        frame: &CanvasFrame,
        size: Size,
        start: impl FnOnce() -> (f64, f64),
        clicks: bool,
    ) -> Option<Pointing> {
        let is_mouse = ui.input(|i| i.pointer.delta() != Vec2::ZERO || i.pointer.any_down());
        if is_mouse {
            *self = Self::default();
            return None;
        }
        let (keys, by, enters) = keys(ui);
        if !keys && self.at.is_none() {
            return None;
        }
        // At least a point of the window, so that it is seen to move on an image that is shown small.
        let step = f64::from(1.0 / frame.points_per_pixel()).max(1.0).round();
        let (x, y) = self.at.unwrap_or_else(start);
        let to = |at: f64, by: f64, side: usize| (at + by * step).clamp(0.0, side as f64);
        let at = (to(x, by.0, size.width), to(y, by.1, size.height));
        self.has_moved |= self.is_down && self.at.is_some_and(|was| was != at);
        self.at = Some(at);
        let mut is_pressed = false;
        if enters && !clicks {
            self.is_down = !self.is_down;
            is_pressed = self.is_down;
            self.has_moved &= !is_pressed;
        }
        Some(Pointing {
            at: Some(frame.points_from_image(at)),
            in_image: Some(at),
            is_down: self.is_down,
            is_pressed,
            is_clicked: enters && clicks,
            is_dragged: self.has_moved,
        })
    }
}

/// Whether a key of the pointer was pressed, where the arrows lead, in steps, and whether Alt and Enter were pressed.
fn keys(ui: &Ui) -> (bool, (f64, f64), bool) {
    let (mut by, mut enters, mut any) = ((0.0, 0.0), false, false);
    if ui.memory(|memory| memory.focused().is_some()) {
        return (any, by, enters);
    }
    ui.input(|input| {
        for event in &input.events {
            let Event::Key {
                key,
                pressed: true,
                repeat,
                modifiers,
                ..
            } = event
            else {
                continue;
            };
            let Some((x, y)) = direction(*key).filter(|_| is_alt(*modifiers)) else {
                let is_enter = *key == Key::Enter && is_alt(*modifiers) && !repeat;
                (enters, any) = (enters | is_enter, any | is_enter);
                continue;
            };
            let far = if modifiers.shift { FAR } else { 1.0 };
            by = (by.0 + far * x, by.1 + far * y);
            any = true;
        }
    });
    (any, by, enters)
}

fn is_alt(modifiers: Modifiers) -> bool {
    modifiers.alt && !modifiers.command
}

fn direction(key: Key) -> Option<(f64, f64)> {
    Some(match key {
        Key::ArrowLeft => (-1.0, 0.0),
        Key::ArrowRight => (1.0, 0.0),
        Key::ArrowUp => (0.0, -1.0),
        Key::ArrowDown => (0.0, 1.0),
        _ => return None,
    })
}

/// A cross where the keys have led the pointer.
pub(super) fn cross(easel: &Easel<'_>, at: Pos2) {
    for way in [Vec2::X, Vec2::Y, -Vec2::X, -Vec2::Y] {
        let arm = [at + way * GAP, at + way * ARM];
        easel.line(arm.to_vec());
    }
}
