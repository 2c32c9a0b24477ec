//! Linear axes: where values stand on the screen, grid and labels, zoom and pan.
//!
//! Axes: x to the right, y upwards; values are f64, screen positions are points.

use std::f32::consts::FRAC_PI_2;

use egui::epaint::TextShape;
use egui::{
    Align2, Color32, CursorIcon, FontId, Key, PointerButton, Pos2, Rect, Response, Shape, Stroke,
    Ui, Vec2, pos2, vec2,
};

use super::range::{Range, Ticks};
use crate::ui::theme;

/// Room inside the frame around the whole range, on all sides, so that points at 0 and 1 are not cut.
const PADDING: f32 = 8.0;
/// At least so far apart stand the ticks of x and y.
const TICK_DISTANCE: Vec2 = vec2(56.0, 36.0);
/// Between ticks and the frame.
const GAP: f32 = 6.0;
/// The labels of y have room for so much, in any case.
const RESERVED: &str = "0.000";
/// Height of a line of small text.
const LINE: f32 = 16.0;
/// Zoom per point of scrolling: a notch of a wheel (40 points) is a fifth.
const ZOOM_PER_POINT: f32 = 0.0046;
/// Zoom of a key.
const ZOOM_PER_KEY: f32 = 1.25;
/// Part of the view that an arrow key moves.
pub const STEP: f64 = 0.05;
/// The smallest part of the whole range that can fill the plot: below it f32 values form visible steps.
const DEEPEST: f64 = 1e-5;
/// Dash and gap of reference lines.
const DASH: [f32; 2] = [4.0, 4.0];

/// One axis.
#[derive(Clone, Copy, Debug)]
pub struct Axis<'a> {
    /// What it measures; written beside it.
    pub name: &'a str,
    /// All of it: what is shown before zooming.
    pub whole: Range,
}

impl<'a> Axis<'a> {
    /// From 0 to 1.
    pub fn unit(name: &'a str) -> Self {
        Self {
            name,
            whole: Range::UNIT,
        }
    }
}

/// Both axes and what is drawn of them.
#[derive(Clone, Copy, Debug)]
pub struct Axes<'a> {
    /// To the right.
    pub x: Axis<'a>,
    /// Upwards.
    pub y: Axis<'a>,
    /// The line on which both are equal.
    pub diagonal: bool,
}

/// What a plot shows of its axes. It outlives frames.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct View {
    /// The ranges of x and y after zooming; `None`: all.
    zoomed: Option<[Range; 2]>,
}

impl View {
    /// Shows all.
    pub fn reset(&mut self) {
        self.zoomed = None;
    }

    /// Whether less than all is shown.
    pub fn is_zoomed(&self) -> bool {
        self.zoomed.is_some()
    }

    /// Shows these ranges, as far as they lie in the axes.
    pub fn show(&mut self, x: Range, y: Range, axes: &Axes<'_>) {
        let ranges = [fit(x, axes.x.whole), fit(y, axes.y.whole)];
        self.zoomed = (ranges != [axes.x.whole, axes.y.whole]).then_some(ranges);
    }

    /// The ranges shown.
    pub fn ranges(&self, axes: &Axes<'_>) -> [Range; 2] {
        self.zoomed.map_or([axes.x.whole, axes.y.whole], |[x, y]| {
            [fit(x, axes.x.whole), fit(y, axes.y.whole)]
        })
    }
}

/// Neither too small to draw nor outside.
fn fit(range: Range, whole: Range) -> Range {
    let least = whole.width() * DEEPEST;
    if range.width() >= least {
        return range.inside(whole);
    }
    let middle = (range.min + range.max) / 2.0;
    Range::between(middle - least / 2.0, middle + least / 2.0).inside(whole)
}

/// Values to screen and back.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Transform {
    /// The rectangle in which the ranges lie, in points.
    pub rect: Rect,
    /// The range over its width.
    pub x: Range,
    /// The range over its height, upwards.
    pub y: Range,
}

impl Transform {
    /// Where a value of x stands.
    pub fn screen_x(&self, x: f64) -> f32 {
        let share = (x - self.x.min) / self.x.width();
        (f64::from(self.rect.left()) + share * f64::from(self.rect.width())) as f32
    }

    /// Where a value of y stands.
    pub fn screen_y(&self, y: f64) -> f32 {
        let share = (y - self.y.min) / self.y.width();
        (f64::from(self.rect.bottom()) - share * f64::from(self.rect.height())) as f32
    }

    /// Where a pair of values stands.
    pub fn screen(&self, [x, y]: [f64; 2]) -> Pos2 {
        pos2(self.screen_x(x), self.screen_y(y))
    }

    /// The values at a place, also outside the rectangle.
    pub fn value(&self, at: Pos2) -> [f64; 2] {
        let x = f64::from(at.x - self.rect.left()) / f64::from(self.rect.width());
        let y = f64::from(self.rect.bottom() - at.y) / f64::from(self.rect.height());
        [
            self.x.min + x * self.x.width(),
            self.y.min + y * self.y.width(),
        ]
    }

    /// Points of the screen per unit of x and of y, both positive.
    pub fn scale(&self) -> [f64; 2] {
        [
            f64::from(self.rect.width()) / self.x.width(),
            f64::from(self.rect.height()) / self.y.width(),
        ]
    }
}

/// A placed plot: its frame and the transform inside.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Plane {
    /// All that is drawn of the values lies in it, in points.
    pub frame: Rect,
    /// Lies in the frame with equal padding on all sides.
    pub transform: Transform,
}

impl Plane {
    /// The ranges up to the frame: the padding shows values too.
    pub fn visible(&self) -> [Range; 2] {
        let [x0, y1] = self.transform.value(self.frame.min);
        let [x1, y0] = self.transform.value(self.frame.max);
        [Range::between(x0, x1), Range::between(y0, y1)]
    }
}

impl Axes<'_> {
    /// Lays the axes out in `area`: labels below and left, the rest is the frame.
    pub fn place(&self, ui: &Ui, area: Rect, view: &View) -> Plane {
        let [x, y] = view.ranges(self);
        let below = GAP
            + LINE
            + if self.x.name.is_empty() {
                0.0
            } else {
                LINE + 2.0
            };
        let height = (area.height() - below).max(1.0);
        let ticks = Ticks::of(y, steps(height, TICK_DISTANCE.y));
        let name = if self.y.name.is_empty() {
            0.0
        } else {
            LINE + 2.0
        };
        let left = (label_width(ui, &ticks) + GAP + name).ceil();
        let frame = Rect::from_min_max(
            pos2((area.left() + left).round(), area.top().round()),
            pos2(area.right().round(), (area.bottom() - below).round()),
        );
        let frame = Rect::from_min_size(
            frame.min,
            frame.size().max(Vec2::splat(2.0 * PADDING + 8.0)),
        );
        let transform = Transform {
            rect: frame.shrink(PADDING),
            x,
            y,
        };
        Plane { frame, transform }
    }

    /// Grid, ticks, names, diagonal.
    pub fn paint(&self, ui: &Ui, plane: &Plane) {
        let c = theme::colours(ui);
        let painter = ui.painter();
        let frame = plane.frame;
        let font = FontId::proportional(theme::SMALL);
        let grid = Stroke::new(1.0, c.line);
        let transform = &plane.transform;
        let x_ticks = Ticks::of(transform.x, steps(transform.rect.width(), TICK_DISTANCE.x));
        for &value in &x_ticks.values {
            let x = painter.round_to_pixel_center(transform.screen_x(value));
            painter.vline(x, frame.y_range(), grid);
            let at = pos2(x, frame.bottom() + GAP);
            let text = x_ticks.text(value);
            painter.text(at, Align2::CENTER_TOP, text, font.clone(), c.weak);
        }
        let y_ticks = Ticks::of(transform.y, steps(transform.rect.height(), TICK_DISTANCE.y));
        for &value in &y_ticks.values {
            let y = painter.round_to_pixel_center(transform.screen_y(value));
            painter.hline(frame.x_range(), y, grid);
            let at = pos2(frame.left() - GAP, y);
            let text = y_ticks.text(value);
            painter.text(at, Align2::RIGHT_CENTER, text, font.clone(), c.weak);
        }
        self.names(ui, plane);
        if self.diagonal {
            diagonal(ui, plane);
        }
    }

    fn names(&self, ui: &Ui, plane: &Plane) {
        let c = theme::colours(ui);
        let font = FontId::proportional(theme::SMALL);
        let at = pos2(plane.frame.center().x, plane.frame.bottom() + GAP + LINE);
        let painter = ui.painter();
        painter.text(at, Align2::CENTER_TOP, self.x.name, font.clone(), c.text);
        if self.y.name.is_empty() {
            return;
        }
        let y = plane.transform.y;
        let ticks = Ticks::of(y, steps(plane.transform.rect.height(), TICK_DISTANCE.y));
        let left = plane.frame.left() - GAP - label_width(ui, &ticks) - LINE;
        upwards(
            ui,
            pos2(left, plane.frame.center().y),
            self.y.name,
            c.text,
            Align2::CENTER_TOP,
        );
    }
}

/// Text that reads upwards; `anchor` is the point of the text, before it is turned, that lies at `at`.
pub fn upwards(ui: &Ui, at: Pos2, text: &str, colour: Color32, anchor: Align2) {
    let font = FontId::proportional(theme::SMALL);
    let galley = ui.painter().layout_no_wrap(text.to_owned(), font, colour);
    let min = anchor.anchor_size(at, galley.size()).min;
    let shape = TextShape::new(min, galley, colour).with_angle_and_anchor(-FRAC_PI_2, anchor);
    ui.painter().add(shape);
}

fn steps(length: f32, apart: f32) -> f64 {
    f64::from((length / apart).max(1.0))
}

/// Room for the labels of y: the same until a zoom needs many decimals, so that the plot stays where it is.
fn label_width(ui: &Ui, ticks: &Ticks) -> f32 {
    let widths = ticks
        .values
        .iter()
        .map(|&value| text_width(ui, &ticks.text(value)));
    widths.fold(text_width(ui, RESERVED), f32::max)
}

fn text_width(ui: &Ui, text: &str) -> f32 {
    let font = FontId::proportional(theme::SMALL);
    let galley = ui
        .painter()
        .layout_no_wrap(text.to_owned(), font, Color32::PLACEHOLDER);
    galley.size().x
}

/// Dashes where x and y are equal.
fn diagonal(ui: &Ui, plane: &Plane) {
    let [x, y] = [plane.transform.x, plane.transform.y];
    let (from, to) = (x.min.max(y.min), x.max.min(y.max));
    if from >= to {
        return;
    }
    let ends = [from, to].map(|at| plane.transform.screen([at, at]));
    dashed(ui, plane.frame, &ends, theme::colours(ui).weak);
}

/// A dashed line, cut at `clip`.
pub fn dashed(ui: &Ui, clip: Rect, path: &[Pos2], colour: Color32) {
    let painter = ui.painter().with_clip_rect(clip.intersect(ui.clip_rect()));
    painter.extend(Shape::dashed_line(
        path,
        Stroke::new(1.0, colour),
        DASH[0],
        DASH[1],
    ));
}

/// Whether a drag of the main button pans.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlainDrag {
    /// It does.
    Pans,
    /// It means something else; the middle button and Space pan.
    IsFree,
}

/// Wheel and pinch zoom at the pointer (over the labels of an axis only that axis), two fingers and drags pan, a double
/// click shows all. Returns whether the pointer pans now, so that it means nothing else.
pub fn navigate(
    ui: &Ui,
    response: &Response,
    axes: &Axes<'_>,
    plane: &Plane,
    view: &mut View,
    plain: PlainDrag,
) -> bool {
    if response.double_clicked() {
        view.reset();
        return false;
    }
    let space = ui.input(|input| input.key_down(Key::Space));
    let primary = space || plain == PlainDrag::Pans;
    let panning = response.dragged_by(PointerButton::Middle)
        || (primary && response.dragged_by(PointerButton::Primary));
    if panning {
        ui.ctx().set_cursor_icon(CursorIcon::Grabbing);
        pan(axes, plane, view, response.drag_delta());
    } else if primary && response.hovered() {
        ui.ctx().set_cursor_icon(CursorIcon::Grab);
    }
    if let Some(pointer) = response.hover_pos() {
        wheel(ui, axes, plane, view, pointer);
    }
    panning || space
}

/// Takes the wheel, so that a scroll area around the plot stays where it is.
fn wheel(ui: &Ui, axes: &Axes<'_>, plane: &Plane, view: &mut View, pointer: Pos2) {
    let (scroll, pinch, fingers) = ui.input_mut(|input| {
        let fingers = matches!(
            input.scroll_source(),
            Some(egui::MouseWheelSource::Trackpad | egui::MouseWheelSource::Momentum)
        );
        let pinch = input.zoom_delta();
        (
            std::mem::take(&mut input.smooth_scroll_delta),
            pinch,
            fingers,
        )
    });
    if fingers && scroll != Vec2::ZERO {
        pan(axes, plane, view, scroll);
    }
    let turned = if fingers { 0.0 } else { scroll.y };
    let factor = pinch * (turned * ZOOM_PER_POINT).exp();
    if factor != 1.0 {
        zoom(axes, plane, view, pointer, factor);
    }
}

/// Moves what is shown along with the pointer; `by` in points.
fn pan(axes: &Axes<'_>, plane: &Plane, view: &mut View, by: Vec2) {
    if by == Vec2::ZERO {
        return;
    }
    let [sx, sy] = plane.transform.scale();
    let [x, y] = view.ranges(axes);
    view.show(
        x.shifted(-f64::from(by.x) / sx),
        y.shifted(f64::from(by.y) / sy),
        axes,
    );
}

/// Zooms about a place of the screen, which keeps its values; above 1 comes nearer.
pub fn zoom(axes: &Axes<'_>, plane: &Plane, view: &mut View, about: Pos2, factor: f32) {
    let [x, y] = view.ranges(axes);
    let [at_x, at_y] = plane.transform.value(about);
    let by = |range: Range, at: f64| Range {
        min: at + (range.min - at) / f64::from(factor),
        max: at + (range.max - at) / f64::from(factor),
    };
    let only_x = about.y > plane.frame.bottom();
    let only_y = about.x < plane.frame.left() && !only_x;
    let x = if only_y { x } else { by(x, at_x) };
    let y = if only_x { y } else { by(y, at_y) };
    view.show(x, y, axes);
}

/// Page up and Page down zoom, Home shows all, arrows move. Call it while the plot has the focus.
pub fn keys(ui: &Ui, axes: &Axes<'_>, plane: &Plane, view: &mut View, arrows_move: bool) {
    let pressed = |key| ui.input(|input| input.key_pressed(key));
    let middle = plane.frame.center();
    if pressed(Key::PageUp) {
        zoom(axes, plane, view, middle, ZOOM_PER_KEY);
    }
    if pressed(Key::PageDown) {
        zoom(axes, plane, view, middle, 1.0 / ZOOM_PER_KEY);
    }
    if pressed(Key::Home) {
        view.reset();
    }
    let [right, up] = arrows(ui);
    if arrows_move && (right, up) != (0.0, 0.0) {
        let [x, y] = view.ranges(axes);
        view.show(
            x.shifted(right * STEP * x.width()),
            y.shifted(up * STEP * y.width()),
            axes,
        );
    }
}

/// Presses of the arrow keys in this frame: to the right, and upwards.
pub fn arrows(ui: &Ui) -> [f64; 2] {
    ui.input(|input| {
        let presses = |key| input.num_presses(key) as f64;
        [
            presses(Key::ArrowRight) - presses(Key::ArrowLeft),
            presses(Key::ArrowUp) - presses(Key::ArrowDown),
        ]
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const AXES: Axes<'_> = Axes {
        x: Axis {
            name: "",
            whole: Range::UNIT,
        },
        y: Axis {
            name: "",
            whole: Range {
                min: -2.0,
                max: 2.0,
            },
        },
        diagonal: false,
    };

    fn plane(view: &View) -> Plane {
        let frame = Rect::from_min_size(pos2(40.0, 10.0), vec2(416.0, 216.0));
        let [x, y] = view.ranges(&AXES);
        Plane {
            frame,
            transform: Transform {
                rect: frame.shrink(PADDING),
                x,
                y,
            },
        }
    }

    #[test]
    fn values_come_back_from_the_screen() {
        let mut view = View::default();
        view.show(
            Range {
                min: 0.25,
                max: 0.2502,
            },
            Range {
                min: -1.0,
                max: 1.5,
            },
            &AXES,
        );
        for view in [View::default(), view] {
            let plane = plane(&view);
            let t = plane.transform;
            for share in [0.0, 0.1, 0.5, 0.999] {
                let value = [t.x.min + share * t.x.width(), t.y.max - share * t.y.width()];
                let [x, y] = t.value(t.screen(value));
                // A screen position is f32: 2^-15 of a point at some hundreds of points.
                assert!((x - value[0]).abs() * t.scale()[0] < 1e-4, "{x} {value:?}");
                assert!((y - value[1]).abs() * t.scale()[1] < 1e-4, "{y} {value:?}");
            }
        }
        let t = plane(&View::default()).transform;
        assert_eq!(t.screen([0.0, -2.0]), pos2(48.0, 218.0));
        assert_eq!(t.screen([1.0, 2.0]), pos2(448.0, 18.0));
    }

    #[test]
    fn zoom_keeps_the_values_under_the_pointer() {
        let mut view = View::default();
        let at = pos2(300.0, 100.0);
        let before = plane(&view).transform.value(at);
        zoom(&AXES, &plane(&view), &mut view, at, 3.0);
        let after = plane(&view).transform.value(at);
        assert!((before[0] - after[0]).abs() < 1e-9 && (before[1] - after[1]).abs() < 1e-9);
        assert!((view.ranges(&AXES)[0].width() - 1.0 / 3.0).abs() < 1e-9);
        // Below the frame lies the x axis: it alone is zoomed.
        let y = view.ranges(&AXES)[1];
        zoom(&AXES, &plane(&view), &mut view, pos2(300.0, 240.0), 2.0);
        assert_eq!(view.ranges(&AXES)[1], y);
        zoom(&AXES, &plane(&view), &mut view, at, 1e9);
        let deepest = view.ranges(&AXES)[0].width();
        assert!((deepest / DEEPEST - 1.0).abs() < 1e-6, "{deepest}");
        zoom(&AXES, &plane(&view), &mut view, at, 1e-9);
        assert!(!view.is_zoomed());
    }

    #[test]
    fn pan_ends_at_the_whole_range() {
        let mut view = View::default();
        view.show(
            Range { min: 0.4, max: 0.6 },
            Range {
                min: -1.0,
                max: 1.0,
            },
            &AXES,
        );
        pan(&AXES, &plane(&view), &mut view, vec2(40.0, 0.0));
        let x = view.ranges(&AXES)[0];
        assert!(
            (x.min - 0.38).abs() < 1e-9 && (x.width() - 0.2).abs() < 1e-9,
            "{x:?}"
        );
        pan(&AXES, &plane(&view), &mut view, vec2(1e6, -1e6));
        let [x, y] = view.ranges(&AXES);
        assert!(x.min.abs() < 1e-9 && (x.width() - 0.2).abs() < 1e-9);
        assert!((y.min + 2.0).abs() < 1e-9 && (y.width() - 2.0).abs() < 1e-9);
    }
}
