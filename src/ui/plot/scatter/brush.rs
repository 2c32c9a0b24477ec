//! Drawing, moving and resizing the brush with pointer and keys.

use egui::{CursorIcon, Key, PointerButton, Pos2, Rect, Response, Ui};

use super::{ScatterEvent, ScatterState, Tool, asks_to_clear};
use crate::ui::plot::axes::{self, Axes, Plane, STEP};
use crate::ui::plot::region::{Region, Sides, screen_bounds};

/// A side of the brush is taken from so near, in points.
const GRIP: f32 = 5.0;
/// A lasso gets a corner after so many points of the way.
const CORNER_DISTANCE: f32 = 3.0;
/// Corners of a lasso at most: beyond, its last one follows the pointer.
const MOST_CORNERS: usize = 1024;
/// The part of the view that Enter brushes, from its middle.
const MIDDLE: f64 = 0.25;

/// A drag that is going on.
pub(super) struct Drag {
    kind: Kind,
    /// Values under the pointer when it went down.
    from: [f64; 2],
    /// The brush before it; Esc brings it back.
    before: Option<Region>,
}

enum Kind {
    Rectangle,
    /// Corners so far, and where the last stands on the screen.
    Lasso(Vec<[f64; 2]>, Pos2),
    Move(Region),
    Resize(Region, Sides),
}

/// Reacts to pointer and keys; at most one event comes of a frame.
pub(super) fn react(
    ui: &Ui,
    response: &Response,
    axes: &Axes<'_>,
    plane: &Plane,
    state: &mut ScatterState,
    hovered: Option<usize>,
    panning: bool,
) -> Option<ScatterEvent> {
    if asks_to_clear(ui, response) {
        return clear(state);
    }
    if !panning && response.drag_started_by(PointerButton::Primary) {
        begin(ui, plane, state);
    }
    if state.drag.is_some() {
        return proceed(ui, response, axes, plane, state);
    }
    if response.clicked_by(PointerButton::Primary) && !panning {
        return match hovered {
            Some(number) => Some(ScatterEvent::Clicked(number)),
            None => {
                state.brush = None;
                Some(ScatterEvent::Cleared)
            }
        };
    }
    if response.has_focus() {
        return keys(ui, axes, plane, state);
    }
    cursor(ui, response, plane, state, hovered, panning);
    None
}

/// Ends a drag and brings back what was before; without a drag the brush goes.
fn clear(state: &mut ScatterState) -> Option<ScatterEvent> {
    if let Some(drag) = state.drag.take() {
        state.brush = drag.before;
        return Some(match &state.brush {
            Some(region) => ScatterEvent::Brushed(region.clone()),
            None => ScatterEvent::Cleared,
        });
    }
    state.brush.take().map(|_| ScatterEvent::Cleared)
}

/// What a drag from where the button went down does.
fn begin(ui: &Ui, plane: &Plane, state: &mut ScatterState) {
    let Some(origin) = ui.input(|input| input.pointer.press_origin()) else {
        return;
    };
    if !plane.frame.contains(origin) {
        return;
    }
    let from = plane.transform.value(origin);
    let shift = ui.input(|input| input.modifiers.shift);
    let sides = sides_at(plane, state.brush.as_ref(), origin);
    let kind = match &state.brush {
        _ if shift => Kind::Lasso(vec![from], origin),
        Some(region) if sides.any() => Kind::Resize(region.clone(), sides),
        Some(region) if region.contains(from[0], from[1]) => Kind::Move(region.clone()),
        _ if state.tool == Tool::Lasso => Kind::Lasso(vec![from], origin),
        _ => Kind::Rectangle,
    };
    let before = state.brush.clone();
    state.drag = Some(Drag { kind, from, before });
}

fn proceed(
    ui: &Ui,
    response: &Response,
    axes: &Axes<'_>,
    plane: &Plane,
    state: &mut ScatterState,
) -> Option<ScatterEvent> {
    let ended = !response.dragged_by(PointerButton::Primary);
    if let (Some(drag), Some(pointer)) = (&mut state.drag, response.interact_pointer_pos()) {
        let region = drag.region(ui, axes, plane, pointer);
        if region.is_some() {
            state.brush = region;
        }
    }
    if ended {
        state.drag = None;
    }
    let region = state.brush.clone()?;
    Some(if ended {
        ScatterEvent::Brushed(region)
    } else {
        ScatterEvent::Brushing(region)
    })
}

impl Drag {
    /// The brush with the pointer at a place.
    fn region(&mut self, ui: &Ui, axes: &Axes<'_>, plane: &Plane, pointer: Pos2) -> Option<Region> {
        let pointer = plane.frame.clamp(pointer);
        let at = plane.transform.value(pointer);
        let by = [at[0] - self.from[0], at[1] - self.from[1]];
        match &mut self.kind {
            Kind::Rectangle => Some(Region::rect(self.from, at)),
            Kind::Lasso(corners, last) => {
                if last.distance(pointer) >= CORNER_DISTANCE && corners.len() < MOST_CORNERS {
                    corners.push(at);
                    *last = pointer;
                }
                (corners.len() > 2).then(|| Region::Lasso(corners.clone()))
            }
            Kind::Move(region) => {
                ui.ctx().set_cursor_icon(CursorIcon::Grabbing);
                Some(region.moved(by, axes))
            }
            Kind::Resize(region, sides) => {
                ui.ctx().set_cursor_icon(icon(*sides));
                Some(region.resized(*sides, by, axes))
            }
        }
    }
}

/// Arrows move the brush, with Shift they resize it; Enter brushes the middle.
fn keys(ui: &Ui, axes: &Axes<'_>, plane: &Plane, state: &mut ScatterState) -> Option<ScatterEvent> {
    let [x, y] = [plane.transform.x, plane.transform.y];
    if state.brush.is_none() && ui.input(|input| input.key_pressed(Key::Enter)) {
        let corner = |part: f64| [x.min + part * x.width(), y.min + part * y.width()];
        let region = Region::rect(corner(MIDDLE), corner(1.0 - MIDDLE));
        state.brush = Some(region.clone());
        return Some(ScatterEvent::Brushed(region));
    }
    let region = state.brush.as_ref()?;
    let [right, up] = axes::arrows(ui);
    if (right, up) == (0.0, 0.0) {
        return None;
    }
    let by = [right * STEP * x.width(), up * STEP * y.width()];
    let region = if ui.input(|input| input.modifiers.shift) {
        let sides = Sides {
            right: true,
            top: true,
            ..Sides::default()
        };
        region.resized(sides, by, axes)
    } else {
        region.moved(by, axes)
    };
    state.brush = Some(region.clone());
    Some(ScatterEvent::Brushed(region))
}

/// The sides of the brush at a place.
fn sides_at(plane: &Plane, brush: Option<&Region>, at: Pos2) -> Sides {
    let Some(bounds) = brush.and_then(|region| screen_bounds(region, &plane.transform)) else {
        return Sides::default();
    };
    grips(bounds, at)
}

fn grips(bounds: Rect, at: Pos2) -> Sides {
    if !bounds.expand(GRIP).contains(at) {
        return Sides::default();
    }
    let near = |a: f32, b: f32| (a - b).abs() <= GRIP;
    let (left, right) = (near(at.x, bounds.left()), near(at.x, bounds.right()));
    let (top, bottom) = (near(at.y, bounds.top()), near(at.y, bounds.bottom()));
    Sides {
        // Of a brush narrower than two grips the outer half of each is taken.
        left: left && (!right || at.x < bounds.center().x),
        right: right && (!left || at.x >= bounds.center().x),
        top: top && (!bottom || at.y < bounds.center().y),
        bottom: bottom && (!top || at.y >= bounds.center().y),
    }
}

fn icon(sides: Sides) -> CursorIcon {
    match (sides.left || sides.right, sides.top || sides.bottom) {
        (true, true) if sides.left == sides.top => CursorIcon::ResizeNwSe,
        (true, true) => CursorIcon::ResizeNeSw,
        (true, false) => CursorIcon::ResizeHorizontal,
        _ => CursorIcon::ResizeVertical,
    }
}

/// What a press here would do.
fn cursor(
    ui: &Ui,
    response: &Response,
    plane: &Plane,
    state: &ScatterState,
    hovered: Option<usize>,
    panning: bool,
) {
    let Some(at) = response.hover_pos().filter(|&at| plane.frame.contains(at)) else {
        return;
    };
    if panning || state.tool == Tool::Pan {
        return;
    }
    let sides = sides_at(plane, state.brush.as_ref(), at);
    let [x, y] = plane.transform.value(at);
    ui.ctx().set_cursor_icon(if sides.any() {
        icon(sides)
    } else if hovered.is_some() {
        CursorIcon::PointingHand
    } else if state
        .brush
        .as_ref()
        .is_some_and(|brush| brush.contains(x, y))
    {
        CursorIcon::Grab
    } else {
        CursorIcon::Crosshair
    });
}

#[cfg(test)]
mod tests {
    use egui::pos2;

    use super::*;

    #[test]
    fn sides_are_taken_from_both_sides_of_the_line() {
        let bounds = Rect::from_min_max(pos2(100.0, 50.0), pos2(200.0, 150.0));
        let check = |x: f32, y: f32, expected: &str| {
            let sides = grips(bounds, pos2(x, y));
            let names = [
                (sides.left, "l"),
                (sides.right, "r"),
                (sides.bottom, "b"),
                (sides.top, "t"),
            ];
            let found: String = names
                .iter()
                .filter(|(on, _)| *on)
                .map(|(_, name)| *name)
                .collect();
            assert_eq!(found, expected, "{x} {y}");
        };
        check(97.0, 100.0, "l");
        check(103.0, 100.0, "l");
        check(150.0, 100.0, "");
        check(203.0, 148.0, "rb");
        check(150.0, 46.0, "t");
        check(150.0, 40.0, "");
        check(97.0, 20.0, "");
        let narrow = grips(
            Rect::from_min_max(pos2(100.0, 50.0), pos2(104.0, 150.0)),
            pos2(103.0, 100.0),
        );
        assert!(narrow.right && !narrow.left);
    }
}
