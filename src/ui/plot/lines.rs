//! Curves: precision over recall, reliability, anything over a threshold. A legend that hides series, a crosshair with
//! values, intervals as bands, a marked value of x that a click moves.

use egui::{
    Align2, Color32, FontId, Key, Mesh, Pos2, Rect, Response, Role, Sense, Shape, Stroke, Ui,
    WidgetInfo, pos2, vec2,
};

use super::MISSING;
use super::axes::{self, Axes, Axis, PlainDrag, Plane, View};
use crate::ui::theme;

/// Width of a curve.
const WIDTH: f32 = 1.75;
/// Radius of the marks of points.
const MARK: f32 = 2.5;
/// Opacity of bands.
const BAND: f32 = 0.18;
/// Dash and gap of a dashed series.
const DASH: [f32; 2] = [6.0, 4.0];
/// Height of a legend's row.
const LEGEND: f32 = 20.0;
/// Length of the sample of a line in the legend.
const SAMPLE: f32 = 18.0;
/// Decimals of values that lie between 0 and 1.
pub const DECIMALS: [usize; 2] = [3, 3];

/// One curve.
#[derive(Clone, Copy, Debug)]
pub struct Series<'a> {
    /// Its name in the legend.
    pub name: &'a str,
    /// (x, y), x never falling. Where a value is not finite the curve is interrupted.
    pub points: &'a [[f64; 2]],
    /// Lower and upper end of an interval at each point, as of a bootstrap; empty: no band.
    pub band: &'a [[f64; 2]],
    /// Marks every point.
    pub marks: bool,
    /// Dashed, as a second checkpoint beside the first.
    pub dashed: bool,
    /// The index of its colour in the theme; by its place where `None`.
    pub colour: Option<usize>,
}

impl<'a> Series<'a> {
    /// A plain curve.
    pub fn new(name: &'a str, points: &'a [[f64; 2]]) -> Self {
        Self {
            name,
            points,
            band: &[],
            marks: false,
            dashed: false,
            colour: None,
        }
    }

    /// The index of the point with x nearest to a value.
    fn nearest(&self, x: f64) -> Option<usize> {
        let far = |i: usize| (self.points[i][0] - x).abs();
        let finite = (0..self.points.len()).filter(|&i| self.points[i][0].is_finite());
        finite.min_by(|&a, &b| far(a).total_cmp(&far(b)))
    }
}

/// Curves over common axes.
pub struct Lines<'a> {
    /// The accessible name, and what tells plots of one panel apart.
    pub name: &'a str,
    /// The curves, drawn in order.
    pub series: &'a [Series<'a>],
    /// To the right.
    pub x: Axis<'a>,
    /// Upwards.
    pub y: Axis<'a>,
    /// The line on which x and y are equal.
    pub diagonal: bool,
    /// A value of x that is marked, such as the threshold that holds.
    pub marked: Option<f64>,
    /// What stands in the middle where there is nothing to draw.
    pub empty: &'a str,
    /// Decimals of x and y in the tooltip.
    pub decimals: [usize; 2],
}

/// What outlives a frame.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LinesState {
    /// Zoom.
    pub view: View,
    /// Names of series that the legend hides.
    hidden: Vec<String>,
    /// Where the keys have put the crosshair.
    cursor: Option<f64>,
}

impl LinesState {
    /// Whether a series is drawn.
    pub fn shows(&self, name: &str) -> bool {
        !self.hidden.iter().any(|hidden| hidden == name)
    }

    /// Hides or shows a series.
    pub fn toggle(&mut self, name: &str) {
        match self.hidden.iter().position(|hidden| hidden == name) {
            Some(at) => drop(self.hidden.remove(at)),
            None => self.hidden.push(name.to_owned()),
        }
    }
}

/// The answer of a frame.
pub struct LinesResponse {
    /// The widget of the plot.
    pub response: Response,
    /// x under the crosshair.
    pub hovered: Option<f64>,
    /// x of a click, or of Enter at the crosshair.
    pub clicked: Option<f64>,
    /// Where the plot stands.
    pub plane: Plane,
}

impl Lines<'_> {
    /// Draws it into the rest of `ui` and reacts.
    pub fn show(&self, ui: &mut Ui, state: &mut LinesState) -> LinesResponse {
        ui.push_id(self.name, |ui| self.show_inside(ui, state))
            .inner
    }

    fn show_inside(&self, ui: &mut Ui, state: &mut LinesState) -> LinesResponse {
        if self.series.len() > 1 {
            self.legend(ui, state);
        }
        let size = ui.available_size().max(vec2(120.0, 90.0));
        let (area, response) = ui.allocate_exact_size(size, Sense::click_and_drag());
        let axes = Axes {
            x: self.x,
            y: self.y,
            diagonal: self.diagonal,
        };
        let area = Rect::from_min_max(area.min + vec2(0.0, 6.0), area.max - vec2(8.0, 0.0));
        let plane = axes.place(ui, area, &state.view);
        let panning = axes::navigate(
            ui,
            &response,
            &axes,
            &plane,
            &mut state.view,
            PlainDrag::Pans,
        );
        super::keep_focus(ui, &response, state.cursor.is_some());
        if response.has_focus() {
            axes::keys(ui, &axes, &plane, &mut state.view, false);
            self.move_cursor(ui, &plane, state);
        } else {
            state.cursor = None;
        }
        let plane = axes.place(ui, area, &state.view);
        axes.paint(ui, &plane);
        if self.series.iter().all(|series| series.points.is_empty()) {
            super::nothing(ui, plane.frame, self.empty);
        }
        for (index, series) in self.series.iter().enumerate() {
            if state.shows(series.name) {
                paint(ui, &plane, series, self.colour(ui, index));
            }
        }
        self.mark(ui, &plane);
        super::focus_frame(ui, &response, plane.frame);
        let pointer = response
            .hover_pos()
            .filter(|&at| plane.frame.contains(at) && !panning);
        let hovered = pointer
            .map(|at| plane.transform.value(at)[0])
            .or(state.cursor);
        let hovered = hovered.map(|x| x.clamp(self.x.whole.min, self.x.whole.max));
        if let Some(x) = hovered {
            self.crosshair(ui, &response, &plane, state, x);
        }
        self.info(ui, &response, state);
        let by_pointer = response.clicked() && pointer.is_some();
        let is_clicked = by_pointer || super::pressed_by_key(&response);
        LinesResponse {
            clicked: hovered.filter(|_| is_clicked),
            hovered,
            response,
            plane,
        }
    }

    fn colour(&self, ui: &Ui, index: usize) -> Color32 {
        let colours = &theme::colours(ui).series;
        let index = self
            .series
            .get(index)
            .and_then(|it| it.colour)
            .unwrap_or(index);
        colours[index % colours.len()]
    }

    fn legend(&self, ui: &mut Ui, state: &mut LinesState) {
        ui.horizontal_wrapped(|ui| {
            ui.spacing_mut().item_spacing = vec2(theme::GRID, 0.0);
            for (index, series) in self.series.iter().enumerate() {
                let shown = state.shows(series.name);
                if entry(ui, series, self.colour(ui, index), shown).clicked() {
                    state.toggle(series.name);
                }
            }
        });
    }

    /// Arrows move the crosshair from point to point of the first series that is shown; Esc takes it away.
    fn move_cursor(&self, ui: &Ui, plane: &Plane, state: &mut LinesState) {
        let [right, _] = axes::arrows(ui);
        if ui.input(|input| input.key_pressed(Key::Escape)) {
            state.cursor = None;
        }
        let Some(series) = self.series.iter().find(|it| state.shows(it.name)) else {
            return;
        };
        if right == 0.0 || series.points.is_empty() {
            return;
        }
        let at = match state.cursor {
            None => Some(plane.transform.x.min),
            Some(x) => series.nearest(x).map(|index| {
                let last = series.points.len() - 1;
                let to = index.saturating_add_signed(right as isize).min(last);
                series.points[to][0]
            }),
        };
        state.cursor = at.filter(|x| x.is_finite());
    }

    fn mark(&self, ui: &Ui, plane: &Plane) {
        let Some(x) = self.marked else { return };
        let at = plane.transform.screen_x(x);
        if plane.frame.x_range().contains(at) {
            let stroke = Stroke::new(1.0, theme::colours(ui).text);
            ui.painter().vline(at, plane.frame.y_range(), stroke);
        }
    }

    fn crosshair(&self, ui: &Ui, response: &Response, plane: &Plane, state: &LinesState, x: f64) {
        let c = theme::colours(ui);
        let at = plane.transform.screen_x(x);
        axes::dashed(
            ui,
            plane.frame,
            &[pos2(at, plane.frame.top()), pos2(at, plane.frame.bottom())],
            c.weak,
        );
        let mut rows = Vec::new();
        for (index, series) in self.series.iter().enumerate() {
            let found = series.nearest(x).filter(|_| state.shows(series.name));
            let Some(found) = found else { continue };
            let colour = self.colour(ui, index);
            let value = series.points[found];
            if value[1].is_finite() {
                let place = plane.transform.screen(value);
                if plane.frame.contains(place) {
                    ui.painter()
                        .circle(place, MARK + 1.0, colour, Stroke::new(1.5, c.panel));
                }
            }
            rows.push((
                colour,
                series.name,
                value[1],
                series.band.get(found).copied(),
            ));
        }
        let place = pos2(
            at,
            response
                .hover_pos()
                .map_or(plane.frame.center().y, |it| it.y),
        );
        super::tip(ui, response, place, |ui| {
            let digits = self.decimals[0];
            ui.label(format!("{} {x:.digits$}", self.x.name));
            for (colour, name, value, band) in rows {
                ui.horizontal(|ui| {
                    let (dot, _) = ui.allocate_exact_size(vec2(8.0, 8.0), Sense::hover());
                    ui.painter().circle_filled(dot.center(), 4.0, colour);
                    ui.label(format!(
                        "{name} {}",
                        value_text(value, band, self.decimals[1])
                    ));
                });
            }
        });
    }

    fn info(&self, ui: &Ui, response: &Response, state: &LinesState) {
        response.widget_info(|| {
            let mut info = WidgetInfo::labeled(Role::Image, ui.is_enabled(), self.name);
            let digits = self.decimals[0];
            let mut text = format!("{} against {}", self.y.name, self.x.name);
            for series in self.series.iter().filter(|it| state.shows(it.name)) {
                let at = state.cursor.and_then(|x| series.nearest(x));
                text += &match at.map(|index| series.points[index]) {
                    Some([x, y]) => format!(
                        "; {} {} at {x:.digits$}",
                        series.name,
                        value_text(y, None, self.decimals[1]),
                    ),
                    None => format!("; {}", series.name),
                };
            }
            info.current_text_value = Some(text);
            info
        });
    }
}

/// "0.412 (0.398 to 0.427)".
fn value_text(value: f64, band: Option<[f64; 2]>, decimals: usize) -> String {
    if !value.is_finite() {
        return MISSING.into();
    }
    match band {
        Some([low, high]) => format!("{value:.decimals$} ({low:.decimals$} to {high:.decimals$})"),
        None => format!("{value:.decimals$}"),
    }
}

/// An entry of the legend: a switch.
fn entry(ui: &mut Ui, series: &Series<'_>, colour: Color32, shown: bool) -> Response {
    let c = theme::colours(ui);
    let font = FontId::proportional(theme::SMALL);
    let text = if shown { c.text } else { c.weak };
    let galley = ui
        .painter()
        .layout_no_wrap(series.name.to_owned(), font, text);
    let size = vec2(SAMPLE + 3.0 * theme::GRID + galley.size().x, LEGEND);
    let (rect, response) = ui.allocate_exact_size(size, Sense::click());
    response
        .widget_info(|| WidgetInfo::selected(Role::CheckBox, ui.is_enabled(), shown, series.name));
    if response.hovered() || response.has_focus() {
        let radius = f32::from(theme::RADIUS);
        ui.painter().rect_filled(rect, radius, c.field_hovered);
    }
    let left = rect.left_center() + vec2(theme::GRID, 0.0);
    let sample = [left, left + vec2(SAMPLE, 0.0)];
    let stroke = Stroke::new(WIDTH, if shown { colour } else { c.track });
    if series.dashed {
        ui.painter()
            .extend(Shape::dashed_line(&sample, stroke, DASH[0], DASH[1]));
    } else {
        ui.painter().line_segment(sample, stroke);
    }
    let at = pos2(
        left.x + SAMPLE + theme::GRID,
        rect.center().y - galley.size().y / 2.0,
    );
    if !shown {
        let middle = rect.center().y;
        let end = at.x + galley.size().x;
        ui.painter()
            .hline(at.x..=end, middle, Stroke::new(1.0, c.weak));
    }
    ui.painter().galley(at, galley, text);
    response.on_hover_text(if shown { "Hide" } else { "Show" })
}

fn paint(ui: &Ui, plane: &Plane, series: &Series<'_>, colour: Color32) {
    let painter = ui
        .painter()
        .with_clip_rect(plane.frame.intersect(ui.clip_rect()));
    if !series.band.is_empty() {
        painter.add(band(plane, series, colour.gamma_multiply(BAND)));
    }
    let stroke = Stroke::new(WIDTH, colour);
    let is_drawn = |point: &[f64; 2]| point[0].is_finite() && point[1].is_finite();
    for part in series.points.split(|point| !is_drawn(point)) {
        let path: Vec<Pos2> = part
            .iter()
            .map(|&point| plane.transform.screen(point))
            .collect();
        if series.marks || path.len() == 1 {
            painter.extend(
                path.iter()
                    .map(|&at| Shape::circle_filled(at, MARK, colour)),
            );
        }
        if path.len() < 2 {
            continue;
        }
        if series.dashed {
            painter.extend(Shape::dashed_line(&path, stroke, DASH[0], DASH[1]));
        } else {
            painter.add(Shape::line(path, stroke));
        }
    }
}

/// The band as quads between neighbours that both have an interval.
fn band(plane: &Plane, series: &Series<'_>, colour: Color32) -> Mesh {
    let mut mesh = Mesh::default();
    let ends: Vec<Option<[Pos2; 2]>> = series
        .points
        .iter()
        .zip(series.band)
        .map(|(&[x, _], &[low, high])| {
            let finite = x.is_finite() && low.is_finite() && high.is_finite();
            finite.then(|| [low, high].map(|y| plane.transform.screen([x, y])))
        })
        .collect();
    for pair in ends.windows(2) {
        if let [Some(a), Some(b)] = pair {
            let first = mesh.vertices.len() as u32;
            for corner in [a[0], a[1], b[0], b[1]] {
                mesh.colored_vertex(corner, colour);
            }
            mesh.add_triangle(first, first + 1, first + 2);
            mesh.add_triangle(first + 1, first + 2, first + 3);
        }
    }
    mesh
}

/// Text in a corner of a plot, such as "AP 0.474".
pub fn corner_text(ui: &Ui, plane: &Plane, align: Align2, text: &str) {
    let c = theme::colours(ui);
    let at = align.pos_in_rect(&plane.frame.shrink(8.0));
    let font = FontId::proportional(theme::SMALL);
    ui.painter().text(at, align, text, font, c.weak);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_point_is_found_and_gaps_are_passed() {
        let points = [[0.0, 1.0], [f64::NAN, 0.5], [0.5, f64::NAN], [1.0, 0.25]];
        let series = Series::new("a", &points);
        for (x, index) in [(-1.0, 0), (0.2, 0), (0.3, 2), (0.8, 3), (9.0, 3)] {
            assert_eq!(series.nearest(x), Some(index), "{x}");
        }
        assert_eq!(Series::new("b", &[]).nearest(0.5), None);
        assert_eq!(value_text(f64::NAN, None, 3), "–");
        assert_eq!(
            value_text(0.25, Some([0.1, 0.3]), 3),
            "0.250 (0.100 to 0.300)"
        );
    }

    #[test]
    fn the_legend_hides_by_name() {
        let mut state = LinesState::default();
        assert!(state.shows("a"));
        state.toggle("a");
        assert!(!state.shows("a") && state.shows("b"));
        state.toggle("a");
        assert!(state.shows("a"));
    }
}
