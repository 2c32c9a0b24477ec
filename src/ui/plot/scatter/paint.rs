//! Drawing of a scatter.

use egui::{
    Align2, Color32, FontId, Pos2, Rect, Response, Shape, Stroke, StrokeKind, Ui, pos2, vec2,
};

use super::cache::Cache;
use super::{Layout, Scatter, ScatterState};
use crate::structures::thousands;
use crate::ui::plot::axes::{Axes, Plane};
use crate::ui::plot::density::CellAxis;
use crate::ui::plot::points::bit;
use crate::ui::plot::region::{Region, screen_bounds};
use crate::ui::{plot, theme, widgets};

/// Radius of a dot.
const DOT: f32 = 2.0;
/// Radius of a dot that stands out.
const BRIGHT_DOT: f32 = 2.5;
/// Radius of the ring around what is hovered or selected.
const RING: f32 = 5.0;
/// Dots let those below shine through.
const OPACITY: f32 = 0.75;
/// Dots beside bright ones.
const DIMMED: f32 = 0.35;
/// The inside of the brush.
const BRUSH_FILL: f32 = 0.14;
/// Side of the grips at the corners of the brush.
const GRIP: f32 = 5.0;
/// Decimals of values in tooltips.
const DECIMALS: usize = 4;

impl Scatter<'_> {
    pub(super) fn paint(
        &self,
        ui: &Ui,
        response: &Response,
        axes: &Axes<'_>,
        layout: &Layout,
        state: &ScatterState,
        hovered: Option<(usize, Pos2)>,
        brushed: usize,
    ) {
        let plane = &layout.plane;
        axes.paint(ui, plane);
        if self.points.placed() == 0 {
            plot::nothing(ui, plane.frame, self.empty);
            return;
        }
        let cache = &state.cache;
        match cache.texture() {
            Some(_) => density(ui, plane, cache),
            None => self.dots(ui, plane, cache),
        }
        self.histograms(ui, layout, cache);
        if let Some(region) = &state.brush {
            self.brush(ui, plane, region, brushed);
        }
        self.rings(ui, plane, hovered);
        plot::focus_frame(ui, response, plane.frame);
        if let Some((number, at)) = hovered {
            plot::tip(ui, response, at, |ui| self.tooltip(ui, plane, number, at));
        }
    }

    /// Point by point; what stands out last, over the rest.
    fn dots(&self, ui: &Ui, plane: &Plane, cache: &Cache) {
        let c = theme::colours(ui);
        let painter = ui
            .painter()
            .with_clip_rect(plane.frame.intersect(ui.clip_rect()));
        let bright = cache.bright();
        let [x, y] = plane.visible();
        let mut over = Vec::new();
        let mut rest = Vec::new();
        for position in self.points.spans(x, y).flatten() {
            let [px, py] = self.points.value(position);
            if !(x.contains(px) && y.contains(py)) {
                continue;
            }
            let at = plane.transform.screen([px, py]);
            let own = self
                .points
                .class(position)
                .and_then(|class| self.palette.get(class));
            let lit = bright.is_some_and(|bits| bit(bits, position));
            if lit {
                let colour = own.copied().unwrap_or(c.brush);
                over.push(Shape::circle_filled(at, BRIGHT_DOT, colour));
            } else {
                let opacity = if bright.is_some() { DIMMED } else { OPACITY };
                let colour = own.copied().unwrap_or(c.density[1]).gamma_multiply(opacity);
                rest.push(Shape::circle_filled(at, DOT, colour));
            }
        }
        painter.extend(rest);
        painter.extend(over);
    }

    fn histograms(&self, ui: &Ui, layout: &Layout, cache: &Cache) {
        let (Some(above), Some(right), Some(bins)) = (layout.above, layout.right, cache.bins())
        else {
            return;
        };
        let transform = &layout.plane.transform;
        let lit = cache.lit.as_ref();
        let all = &cache.all;
        let column = |axis: &CellAxis, bar: usize, share: f32| {
            let (from, to) = ends(axis, bar);
            let top = above.bottom() - share * above.height();
            Rect::from_min_max(
                pos2(transform.screen_x(from), top),
                pos2(transform.screen_x(to), above.bottom()),
            )
        };
        bars(
            ui,
            above,
            &bins.x.bars(),
            [Some(&all.x_bars), lit.map(|lit| &lit.x_bars)],
            column,
        );
        let row = |axis: &CellAxis, bar: usize, share: f32| {
            let (from, to) = ends(axis, bar);
            Rect::from_min_max(
                pos2(right.left(), transform.screen_y(to)),
                pos2(
                    right.left() + share * right.width(),
                    transform.screen_y(from),
                ),
            )
        };
        bars(
            ui,
            right,
            &bins.y.bars(),
            [Some(&all.y_bars), lit.map(|lit| &lit.y_bars)],
            row,
        );
    }

    /// What density counts, and how many points are nowhere; at the right end of what the tools leave free.
    pub(super) fn caption(&self, ui: &Ui, free: Rect, cache: &Cache) {
        let c = theme::colours(ui);
        let mut parts = Vec::new();
        if cache.is_dense() {
            let most = thousands(cache.all.most as usize);
            let all = self.counted(cache.all.total);
            parts.push(format!("density of {all}, up to {most} a cell"));
        }
        let nowhere = self.points.len() - self.points.placed();
        if nowhere > 0 {
            parts.push(format!("{} without both values", thousands(nowhere)));
        }
        let font = FontId::proportional(theme::SMALL);
        let text = parts.join(" · ");
        let galley = ui
            .painter()
            .layout_no_wrap(text.clone(), font.clone(), c.weak);
        let left = (free.right() - 2.0 * theme::GRID - galley.size().x).max(free.left());
        let at = pos2(left, free.center().y);
        widgets::elided(ui, at, free.right(), &text, &font, c.weak);
    }

    fn brush(&self, ui: &Ui, plane: &Plane, region: &Region, brushed: usize) {
        let c = theme::colours(ui);
        let Some(bounds) = screen_bounds(region, &plane.transform) else {
            return;
        };
        let clip = plane.frame.intersect(ui.clip_rect());
        let painter = ui.painter().with_clip_rect(clip);
        let stroke = Stroke::new(1.5, c.brush);
        match region {
            Region::Rect { .. } => {
                let fill = c.brush.gamma_multiply(BRUSH_FILL);
                painter.rect(bounds, 0.0, fill, stroke, StrokeKind::Middle);
            }
            Region::Lasso(corners) => {
                let path: Vec<Pos2> = corners
                    .iter()
                    .map(|&it| plane.transform.screen(it))
                    .collect();
                painter.add(Shape::closed_line(path, stroke));
                let weak = Stroke::new(1.0, c.brush.gamma_multiply(0.4));
                painter.rect_stroke(bounds, 0.0, weak, StrokeKind::Middle);
            }
        }
        for corner in [
            bounds.left_top(),
            bounds.right_top(),
            bounds.left_bottom(),
            bounds.right_bottom(),
        ] {
            let grip = Rect::from_center_size(corner, vec2(GRIP, GRIP));
            painter.rect_filled(grip, 1.0, c.brush);
        }
        if !bounds.intersects(plane.frame) {
            return;
        }
        // Above the brush where there is room, inside it otherwise.
        let shown = bounds.intersect(plane.frame);
        let font = FontId::proportional(theme::SMALL);
        let text = self.counted(brushed);
        let above = shown.top() - plane.frame.top() > 2.0 * theme::SMALL;
        let at = shown.left_top()
            + if above {
                vec2(2.0, -5.0)
            } else {
                vec2(7.0, 6.0)
            };
        let align = if above {
            Align2::LEFT_BOTTOM
        } else {
            Align2::LEFT_TOP
        };
        label(ui, at, align, &text, &font, c.text);
    }

    fn rings(&self, ui: &Ui, plane: &Plane, hovered: Option<(usize, Pos2)>) {
        let c = theme::colours(ui);
        let painter = ui
            .painter()
            .with_clip_rect(plane.frame.intersect(ui.clip_rect()));
        let ring = |at: Pos2, width: f32| {
            painter.circle_stroke(at, RING + 1.0, Stroke::new(width + 1.0, c.panel));
            painter.circle_stroke(at, RING, Stroke::new(width, c.text));
        };
        if let Some(number) = self.selected {
            let at = self.points.value_of(number);
            if at[0].is_finite() {
                ring(plane.transform.screen(at), 2.0);
            }
        }
        if let Some((_, at)) = hovered {
            ring(at, 1.0);
        }
    }

    fn tooltip(&self, ui: &mut Ui, plane: &Plane, number: usize, at: Pos2) {
        let values = plane.transform.value(at);
        for (axis, value) in [self.x, self.y].into_iter().zip(values) {
            ui.label(format!("{} {value:.DECIMALS$}", axis.name));
        }
        if let Some(describe) = self.describe {
            ui.label(describe(number));
        }
    }
}

/// Values at which a bar begins and ends.
fn ends(axis: &CellAxis, bar: usize) -> (f64, f64) {
    let at = |bar: usize| (axis.first + bar as f64) / axis.per_unit;
    (at(bar), at(bar + 1))
}

fn density(ui: &Ui, plane: &Plane, cache: &Cache) {
    let (Some(texture), Some(bins)) = (cache.texture(), cache.bins()) else {
        return;
    };
    let (x, y) = (bins.x.range(), bins.y.range());
    let min = plane.transform.screen([x.min, y.max]);
    let max = plane.transform.screen([x.max, y.min]);
    let all = Rect::from_min_max(pos2(0.0, 0.0), pos2(1.0, 1.0));
    let painter = ui
        .painter()
        .with_clip_rect(plane.frame.intersect(ui.clip_rect()));
    painter.image(
        texture.id(),
        Rect::from_min_max(min, max),
        all,
        Color32::WHITE,
    );
}

/// Bars of all points, and over them those of the bright ones.
fn bars(
    ui: &Ui,
    clip: Rect,
    axis: &CellAxis,
    counts: [Option<&Vec<u32>>; 2],
    rect: impl Fn(&CellAxis, usize, f32) -> Rect,
) {
    let c = theme::colours(ui);
    let painter = ui.painter().with_clip_rect(clip.intersect(ui.clip_rect()));
    let top = bar_top(counts[0].map_or(&[], Vec::as_slice));
    for (counts, colour) in counts.into_iter().zip([c.track, c.brush]) {
        for (bar, &count) in counts.into_iter().flatten().enumerate() {
            let share = count as f32 / top as f32;
            if count > 0 {
                painter.rect_filled(rect(axis, bar, share.min(1.0)).shrink(0.5), 0.0, colour);
            }
            if share > 1.0 {
                // A cut through the bar: it would be longer.
                let [from, to] = CUT.map(|at| rect(axis, bar, at));
                let both = from.union(to);
                let cut = if from.height() == to.height() {
                    Rect::from_min_max(pos2(from.right(), both.top()), both.max)
                } else {
                    Rect::from_min_max(both.min, pos2(both.right(), from.top()))
                };
                painter.rect_filled(cut, 0.0, c.panel);
            }
        }
    }
}

/// Where bars that are too long are cut, in parts of the longest.
const CUT: [f32; 2] = [0.80, 0.86];
/// The longest bar is at most so many times as long as all but the longest tenth.
const LONGEST: u32 = 3;

/// The count of a bar of full length: where many points have one value, such as an IoU of 0, the others must not vanish.
fn bar_top(counts: &[u32]) -> u32 {
    let mut filled: Vec<u32> = counts.iter().copied().filter(|&count| count > 0).collect();
    filled.sort_unstable();
    let most = filled.last().copied().unwrap_or(1);
    let usual = filled.get(filled.len() * 9 / 10).copied().unwrap_or(most);
    most.min(usual.saturating_mul(LONGEST))
}

/// Text on the data, with the panel's colour below so that it can be read.
fn label(ui: &Ui, at: Pos2, align: Align2, text: &str, font: &FontId, colour: Color32) {
    let galley = ui
        .painter()
        .layout_no_wrap(text.to_owned(), font.clone(), colour);
    let rect = align.anchor_size(at, galley.size());
    let below = theme::colours(ui).panel.gamma_multiply(0.85);
    ui.painter().rect_filled(
        rect.expand2(vec2(4.0, 2.0)),
        f32::from(theme::RADIUS),
        below,
    );
    ui.painter().galley(rect.min, galley, colour);
}

#[cfg(test)]
mod tests {
    use super::bar_top;

    #[test]
    fn one_long_bar_does_not_shorten_the_others() {
        let mut counts = vec![10; 30];
        assert_eq!(bar_top(&counts), 10);
        counts[3] = 25;
        assert_eq!(bar_top(&counts), 25);
        counts[3] = 5000;
        assert_eq!(bar_top(&counts), 30);
        assert_eq!(bar_top(&[0, 0]), 1);
        assert_eq!(bar_top(&[7]), 7);
    }
}
