//! Labels and boxes over the picture: where they fit, and how they are drawn.

use egui::{Align2, Color32, FontId, Painter, Pos2, Rect, Shape, Stroke, StrokeKind, Vec2, vec2};

use super::instances::InstanceSet;
use super::view::Placement;
use crate::ui::colour;

/// Points of the text.
const FONT_SIZE: f32 = 10.5;
/// Around the text; the coloured bar is within the left one.
const PADDING: Vec2 = vec2(4.0, 1.0);
/// Width of the coloured bar at the left.
const BAR: f32 = 3.0;
/// Labels drawn at most: more cannot be read.
const MAX_LABELS: usize = 150;
/// Instances considered at most, the most important first.
const MAX_TRIED: usize = 600;
/// A mask that is smaller than this share of its label goes without one until it is hovered or selected.
const MIN_SHARE: f32 = 0.6;

/// An instance that wants a label.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wish {
    /// The instance.
    pub(super) instance: usize,
    /// What is visible of its mask's box, in points.
    pub(super) visible: Rect,
    /// Size of the label.
    pub(super) size: Vec2,
    /// Hovered or selected: shown in any case.
    pub(super) always: bool,
}

/// Finds a place for each wish, the first ones first; leaves out what would cover another label.
pub(super) fn place(wishes: &[Wish], canvas: Rect) -> Vec<(usize, Rect)> {
    let mut placed: Vec<(usize, Rect)> = Vec::new();
    for wish in wishes {
        if placed.len() >= MAX_LABELS && !wish.always {
            continue;
        }
        if !wish.always && wish.visible.area() < MIN_SHARE * wish.size.x * wish.size.y {
            continue;
        }
        let candidates = candidates(wish, canvas);
        let free = candidates
            .iter()
            .find(|rect| placed.iter().all(|(_, other)| !rect.intersects(*other)));
        match free {
            Some(&rect) => placed.push((wish.instance, rect)),
            None if wish.always => placed.push((wish.instance, candidates[0])),
            None => {}
        }
    }
    placed
}

/// Places in order of preference: the corners inside the box, further down inside it, above it.
fn candidates(wish: &Wish, canvas: Rect) -> [Rect; 7] {
    let Wish { visible, size, .. } = *wish;
    let right = (visible.right() - size.x).max(visible.left());
    let bottom = (visible.bottom() - size.y).max(visible.top());
    let step = (visible.top() + size.y + 1.0).min(bottom);
    let corners = [
        (visible.left(), visible.top()),
        (right, visible.top()),
        (visible.left(), bottom),
        (right, bottom),
        (visible.left(), step),
        (visible.left(), visible.center().y - size.y / 2.0),
        (visible.left(), visible.top() - size.y),
    ];
    corners.map(|(x, y)| {
        let room = (canvas.max - size).max(canvas.min);
        Rect::from_min_size(
            Pos2::new(x, y).clamp(canvas.min, room).round(),
            size.round(),
        )
    })
}

/// What is written over a set, and for whom in any case.
pub(super) struct LabelInput<'a> {
    pub(super) set: &'a InstanceSet,
    /// Most important first.
    pub(super) order: &'a [usize],
    pub(super) flags: &'a [bool],
    /// All of them, or only those in `always`.
    pub(super) all: bool,
    /// Hovered, selected.
    pub(super) always: [Option<usize>; 2],
    pub(super) colours: &'a dyn Fn(usize) -> Color32,
}

/// Places and draws the labels.
pub(super) fn paint(painter: &Painter, placement: &Placement, input: &LabelInput<'_>) {
    let canvas = painter.clip_rect();
    let font = FontId::proportional(FONT_SIZE);
    let always = input.always.iter().flatten().copied();
    let others = input.order.iter().copied().filter(|_| input.all);
    let mut wishes = Vec::new();
    let mut galleys = std::collections::HashMap::new();
    for i in always.chain(others).take(MAX_TRIED) {
        if galleys.contains_key(&i) || input.flags.get(i) != Some(&true) {
            continue;
        }
        let Some(instance) = input.set.get(i) else {
            continue;
        };
        let visible = box_rect(instance, placement).intersect(canvas);
        if visible.is_negative() {
            continue;
        }
        let galley =
            painter.layout_no_wrap(instance.text.clone(), font.clone(), colour::LABEL_TEXT);
        wishes.push(Wish {
            instance: i,
            visible,
            size: galley.size() + 2.0 * PADDING + vec2(BAR, 0.0),
            always: input.always.contains(&Some(i)),
        });
        galleys.insert(i, galley);
    }
    let placed = place(&wishes, canvas);
    // The most important lies on top.
    for (i, rect) in placed.iter().rev() {
        if let Some(galley) = galleys.remove(i) {
            let bar = Rect::from_min_size(rect.min, vec2(BAR, rect.height()));
            painter.rect_filled(*rect, 2.0, colour::LABEL_BACKGROUND);
            painter.rect_filled(bar, 1.0, (input.colours)(*i));
            let at = Align2::LEFT_CENTER
                .align_size_within_rect(galley.size(), rect.translate(vec2(PADDING.x + BAR, 0.0)));
            painter.galley(at.min, galley, colour::LABEL_TEXT);
        }
    }
}

/// The pixels of a mask in points; its box where the mask is empty.
fn box_rect(instance: &super::Instance, placement: &Placement) -> Rect {
    let b = instance.bounds;
    if b.is_empty() {
        return detection_rect(instance, placement);
    }
    Rect::from_min_max(
        placement.points_from_image(b.left as f32, b.top as f32),
        placement.points_from_image(b.right as f32, b.bottom as f32),
    )
}

/// The box of a detection in points.
fn detection_rect(instance: &super::Instance, placement: &Placement) -> Rect {
    let b = instance.bbox;
    Rect::from_min_max(
        placement.points_from_image(b.x as f32, b.y as f32),
        placement.points_from_image((b.x + b.width) as f32, (b.y + b.height) as f32),
    )
}

/// Boxes: all that are shown where `all`, and that of the selected one in dashes.
pub(super) fn paint_boxes(
    painter: &Painter,
    placement: &Placement,
    input: &LabelInput<'_>,
    selected: Option<usize>,
) {
    let canvas = painter.clip_rect();
    let on_screen = |i: usize| {
        let instance = input.set.get(i)?;
        let rect = detection_rect(instance, placement);
        let seen = input.flags.get(i) == Some(&true) && rect.intersects(canvas);
        seen.then_some(rect)
    };
    if input.all {
        for i in (0..input.set.len()).filter(|&i| Some(i) != selected) {
            if let Some(rect) = on_screen(i) {
                let stroke = Stroke::new(1.0, (input.colours)(i));
                painter.rect_stroke(rect, 0.0, stroke, StrokeKind::Middle);
            }
        }
    }
    if let Some(rect) = selected.and_then(on_screen) {
        // Pieces outside the canvas would only be dashes that nobody sees.
        let rect = rect.expand(1.0).intersect(canvas.expand(8.0));
        let corners = [
            rect.left_top(),
            rect.right_top(),
            rect.right_bottom(),
            rect.left_bottom(),
            rect.left_top(),
        ];
        painter.extend(Shape::dashed_line(
            &corners,
            Stroke::new(2.5, colour::LABEL_BACKGROUND),
            4.0,
            3.0,
        ));
        painter.extend(Shape::dashed_line(
            &corners,
            Stroke::new(1.2, colour::LABEL_TEXT),
            4.0,
            3.0,
        ));
    }
}
