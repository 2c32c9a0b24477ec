//! Labels and boxes over the picture: where they fit, and how they are drawn.

use egui::{Align2, Color32, FontId, Painter, Pos2, Rect, Shape, Stroke, StrokeKind, Vec2, vec2};

use super::instances::{Bounds, Instance, InstanceSet};
use super::view::Placement;
use crate::ui::colour;

/// Points of the text.
const FONT_SIZE: f32 = 10.5;
/// Around the text; the coloured bar is within the left one.
const PADDING: Vec2 = vec2(4.0, 1.0);
/// Width of the coloured bar at the left.
const BAR: f32 = 3.0;
/// Share of their strength that the labels of the others keep while one is selected.
const BACK: f32 = 0.6;
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
        let free = candidates.iter().find(|rect| {
            placed
                .iter()
                .all(|(_, other)| !rect.intersect(*other).is_positive())
        });
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
            // One is selected: the labels of the others step back with their masks.
            let back = input.always[1].is_some() && !input.always.contains(&Some(*i));
            let strength = if back { BACK } else { 1.0 };
            let faded = |colour: Color32| colour.gamma_multiply(strength);
            painter.rect_filled(*rect, 2.0, faded(colour::LABEL_BACKGROUND));
            painter.rect_filled(bar, 1.0, faded((input.colours)(*i)));
            let at = Align2::LEFT_CENTER
                .align_size_within_rect(galley.size(), rect.translate(vec2(PADDING.x + BAR, 0.0)));
            painter.galley_with_override_text_color(at.min, galley, faded(colour::LABEL_TEXT));
        }
    }
}

/// The pixels of a mask in points; its box where the mask is empty.
fn box_rect(instance: &Instance, placement: &Placement) -> Rect {
    if instance.bounds.is_empty() {
        return detection_rect(instance, placement);
    }
    bounds_rect(instance.bounds, placement)
}

/// Pixels of the image in points.
pub(super) fn bounds_rect(bounds: Bounds, placement: &Placement) -> Rect {
    Rect::from_min_max(
        placement.points_from_image(bounds.left as f32, bounds.top as f32),
        placement.points_from_image(bounds.right as f32, bounds.bottom as f32),
    )
}

/// The box of a detection in points.
fn detection_rect(instance: &Instance, placement: &Placement) -> Rect {
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

#[cfg(test)]
mod tests {
    use super::*;
    use egui::pos2;

    const CANVAS: Rect = Rect::from_min_max(pos2(0.0, 0.0), pos2(400.0, 300.0));

    fn wish(instance: usize, visible: Rect) -> Wish {
        Wish {
            instance,
            visible,
            size: vec2(80.0, 15.0),
            always: false,
        }
    }

    fn square(x: f32, y: f32, side: f32) -> Rect {
        Rect::from_min_size(pos2(x, y), Vec2::splat(side))
    }

    #[test]
    fn labels_lie_inside_their_box_and_never_on_each_other() {
        let wishes: Vec<Wish> = (0..60)
            .map(|i| {
                let (x, y) = ((i * 37 % 300) as f32, (i * 53 % 200) as f32);
                wish(i, square(x, y, 100.0))
            })
            .collect();
        let placed = place(&wishes, CANVAS);
        assert!(placed.len() > 20, "{} of 60", placed.len());
        for (n, (i, rect)) in placed.iter().enumerate() {
            assert!(CANVAS.contains_rect(*rect), "{rect:?}");
            let around = wishes[*i].visible.expand2(vec2(1.0, 16.0));
            assert!(around.contains_rect(*rect), "{rect:?} of {around:?}");
            for (_, other) in &placed[..n] {
                assert!(!rect.intersect(*other).is_positive(), "{rect:?} {other:?}");
            }
        }
        assert_eq!(
            placed[0].1.min, wishes[0].visible.min,
            "the first has its choice"
        );
    }

    #[test]
    fn the_least_important_is_dropped_but_never_the_hovered() {
        let narrow = square(50.0, 50.0, 30.0);
        let mut wishes: Vec<Wish> = (0..12).map(|i| wish(i, narrow)).collect();
        let placed = |wishes: &[Wish]| -> Vec<usize> {
            place(wishes, CANVAS).iter().map(|(i, _)| *i).collect()
        };
        let without = placed(&wishes);
        assert!(
            without.len() < 12 && without.starts_with(&[0, 1]),
            "{without:?}"
        );
        wishes[11].always = true;
        assert!(placed(&wishes).contains(&11));
    }

    #[test]
    fn a_tiny_mask_has_no_label_until_it_is_hovered() {
        let mut one = wish(0, square(10.0, 10.0, 5.0));
        assert!(place(&[one], CANVAS).is_empty());
        one.always = true;
        assert_eq!(place(&[one], CANVAS).len(), 1);
    }

    #[test]
    fn a_canvas_smaller_than_a_label_is_no_panic() {
        let canvas = Rect::from_min_size(pos2(5.0, 5.0), vec2(10.0, 4.0));
        assert_eq!(place(&[wish(0, canvas.expand(50.0))], canvas).len(), 1);
    }
}
