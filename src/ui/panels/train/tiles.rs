//! Small curves of every quantity; the one that is clicked fills the large plot.

use egui::{
    Align2, Color32, FontId, Pos2, Rect, Role, Sense, Shape, Stroke, StrokeKind, Ui, WidgetInfo,
    pos2, vec2,
};

use super::TrainView;
use super::cache::Points;
use crate::document::training::{CurveOptions, Quantity, Run};
use crate::ui::panels::judged;
use crate::ui::plot::{MISSING, Range};
use crate::ui::widgets;
use crate::ui::{fonts, theme};

/// A tile is not narrower.
const LEAST: f32 = 100.0;
/// Height of a tile.
const HEIGHT: f32 = 84.0;
/// From this width on the value stands beside the name, else below it.
const BESIDE: f32 = 150.0;
/// Between tiles.
const GAP: f32 = 8.0;
/// Points of a small curve.
const POINTS: usize = 160;

/// How many stand in a row, and how many rows there are.
fn grid(width: f32) -> (usize, usize) {
    let all = Quantity::ALL.len();
    let most = (((width + GAP) / (LEAST + GAP)) as usize).clamp(1, all);
    let rows = all.div_ceil(most);
    (all.div_ceil(rows), rows)
}

/// Height of all tiles.
pub fn height(width: f32) -> f32 {
    let (_, rows) = grid(width);
    rows as f32 * (HEIGHT + GAP) - GAP
}

/// A number of a tile: as many figures as say something.
pub fn figure(quantity: Quantity, value: f64) -> String {
    match quantity {
        Quantity::Ap => judged::figure(Some(value)),
        Quantity::LearningRate if value < 0.001 => format!("{value:.1e}"),
        Quantity::LearningRate => {
            let text = format!("{value:.5}");
            let text = text.trim_end_matches('0');
            text.strip_suffix('.').unwrap_or(text).to_owned()
        }
        _ if value >= 100.0 => format!("{value:.0}"),
        Quantity::Speed | Quantity::GradNorm => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

/// Draws them; a click chooses what the large plot shows.
pub fn tiles_ui(ui: &mut Ui, view: &mut TrainView, runs: &[&Run], options: CurveOptions) {
    let options = CurveOptions {
        most: POINTS,
        ..options
    };
    let (columns, _) = grid(ui.available_width());
    let width = (ui.available_width() + GAP) / columns as f32 - GAP;
    ui.spacing_mut().item_spacing = vec2(GAP, GAP);
    for row in Quantity::ALL.chunks(columns) {
        ui.horizontal(|ui| {
            for &quantity in row {
                let (rect, response) = ui.allocate_exact_size(vec2(width, HEIGHT), Sense::click());
                let latest = runs.first().and_then(|run| run.series.latest(quantity));
                let latest = latest.filter(|value| value.is_finite());
                let value = latest.map_or(MISSING.into(), |value| figure(quantity, value));
                let is_shown = view.quantity == quantity;
                response.widget_info(|| {
                    let name = format!("{} {value}", quantity.label());
                    WidgetInfo::selected(Role::Button, true, is_shown, name)
                });
                let raised = response.hovered() || response.has_focus();
                frame(ui, rect, quantity.label(), &value, is_shown, raised);
                let curves: Vec<(Points, Color32)> = (runs.iter().rev())
                    .map(|run| {
                        let points = view.curves.get(run, quantity, options);
                        (points, colour(ui, view, run))
                    })
                    .collect();
                small_curves(ui, rect, &curves);
                if response.clicked() {
                    view.quantity = quantity;
                    view.lines = Default::default();
                }
            }
        });
    }
}

/// The colour of a run's curves.
pub fn colour(ui: &Ui, view: &TrainView, run: &Run) -> Color32 {
    let series = &theme::colours(ui).series;
    series[view.colour(&run.folder).unwrap_or(0) % series.len()]
}

fn frame(ui: &Ui, rect: Rect, name: &str, value: &str, is_shown: bool, raised: bool) {
    let c = theme::colours(ui);
    let fill = if raised { c.field_hovered } else { c.field };
    let border = if is_shown { c.accent } else { c.line };
    let stroke = Stroke::new(1.0, border);
    ui.painter()
        .rect(rect, theme::RADIUS, fill, stroke, StrokeKind::Inside);
    let inner = rect.shrink(2.0 * theme::GRID);
    let strong = FontId::new(theme::SMALL, fonts::semibold());
    let (at, align, end) = match rect.width() < BESIDE {
        true => (
            inner.min + vec2(0.0, 22.0),
            Align2::LEFT_CENTER,
            inner.right(),
        ),
        false => {
            let at = pos2(inner.right(), inner.top() + 6.0);
            (at, Align2::RIGHT_CENTER, inner.right() - 48.0)
        }
    };
    ui.painter().text(at, align, value, strong, c.text);
    let small = FontId::proportional(theme::SMALL);
    let at = inner.min + vec2(0.0, 6.0);
    widgets::elided(ui, at, end, name, &small, c.weak);
}

fn small_curves(ui: &Ui, rect: Rect, curves: &[(Points, Color32)]) {
    let area = Rect::from_min_max(
        rect.min
            + vec2(
                2.0 * theme::GRID,
                if rect.width() < BESIDE { 42.0 } else { 30.0 },
            ),
        rect.max - vec2(2.0 * theme::GRID, 2.0 * theme::GRID),
    );
    let all = || curves.iter().flat_map(|(points, _)| points.iter());
    let x = Range::covering(all().map(|point| point[0]));
    let y = Range::covering(all().map(|point| point[1]));
    for (points, colour) in curves {
        polyline(ui, area, points, x.zip(y), Stroke::new(1.25, *colour));
    }
}

/// A curve without axes that fills `area`; over these ranges, or its own.
pub fn polyline(
    ui: &Ui,
    area: Rect,
    points: &[[f64; 2]],
    ranges: Option<(Range, Range)>,
    stroke: Stroke,
) {
    let own = |axis: usize| Range::covering(points.iter().map(|point| point[axis]));
    let Some((x, y)) = ranges.or_else(|| own(0).zip(own(1))) else {
        return;
    };
    let share = |range: Range, value: f64| match range.width() {
        width if width > 0.0 => ((value - range.min) / width) as f32,
        _ => 0.5,
    };
    let place = |point: &[f64; 2]| {
        let right = area.left() + share(x, point[0]) * area.width();
        pos2(right, area.bottom() - share(y, point[1]) * area.height())
    };
    for part in points.split(|point| !point[1].is_finite()) {
        let path: Vec<Pos2> = part.iter().map(place).collect();
        match path.as_slice() {
            [] => {}
            [one] => {
                ui.painter()
                    .circle_filled(*one, stroke.width + 0.5, stroke.color);
            }
            _ => {
                ui.painter().add(Shape::line(path, stroke));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_fill_their_rows() {
        for (width, expected) in [(100.0, (1, 11)), (656.0, (6, 2)), (1900.0, (11, 1))] {
            assert_eq!(grid(width), expected, "{width}");
        }
    }

    #[test]
    fn numbers_are_short() {
        for (quantity, value, text) in [
            (Quantity::Loss, 0.7412, "0.741"),
            (Quantity::GradNorm, 1234.5, "1234"),
            (Quantity::LearningRate, 0.0025, "0.0025"),
            (Quantity::LearningRate, 0.02, "0.02"),
            (Quantity::LearningRate, 0.000_02, "2.0e-5"),
            (Quantity::Ap, 0.3624, ".362"),
            (Quantity::Speed, 3.176, "3.18"),
        ] {
            assert_eq!(figure(quantity, value), text);
        }
    }
}
