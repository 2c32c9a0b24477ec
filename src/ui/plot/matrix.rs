//! A matrix of counts, such as a confusion matrix: rows are true classes, columns predicted ones, background last.
//!
//! Axes: R rows by C columns, row by row. A cell is as strong as its share of its row; zero is blank.

use egui::epaint::TextShape;
use egui::{
    Align2, Color32, FontId, Key, Mesh, Pos2, Rect, Response, Role, Sense, Stroke, StrokeKind, Ui,
    Vec2, WidgetInfo, pos2, vec2,
};

use super::axes::upwards;
use crate::structures::thousands;
use crate::ui::theme;

/// Sides of cells: below the smallest names could not be read, and the matrix scrolls.
const CELL: [f32; 2] = [14.0, 44.0];
/// From this side on counts are written into cells.
const WRITTEN: f32 = 30.0;
/// Room for the names of rows and columns at most.
const NAMES: f32 = 120.0;
/// Between the classes and the background.
const APART: f32 = 6.0;
/// Between names and cells.
const GAP: f32 = 6.0;
/// Height of the line that names the columns' axis, and width of that of the rows.
const TITLE: f32 = 18.0;
/// Width of a scroll bar.
const BAR: f32 = 4.0;
/// Shares are drawn by this power, so that a confusion of 4 % is seen at a fifth of the full colour.
const POWER: f32 = 0.5;

/// The matrix.
pub struct Matrix<'a> {
    /// The accessible name, and what tells matrices of one panel apart.
    pub name: &'a str,
    /// What a row is: "true".
    pub row_role: &'a str,
    /// What a column is: "predicted".
    pub column_role: &'a str,
    /// (R) names.
    pub rows: &'a [&'a str],
    /// (C) names.
    pub columns: &'a [&'a str],
    /// (R, C) counts; what is missing is zero.
    pub counts: &'a [u64],
    /// The last row and the last column are the background, set apart.
    pub background: bool,
    /// What stands there without rows or columns.
    pub empty: &'a str,
}

/// What outlives a frame.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MatrixState {
    /// How far it is scrolled, in points.
    offset: Vec2,
    /// The cell that the keys stand on.
    cursor: Option<(usize, usize)>,
}

/// Where the parts stand.
struct Layout {
    /// What shows cells.
    body: Rect,
    side: f32,
    /// Size of all cells.
    whole: Vec2,
    offset: Vec2,
    /// Rows and columns after the last class.
    classes: [usize; 2],
    background: bool,
}

impl Layout {
    /// Left end of a column, or upper end of a row, from the first.
    fn along(&self, axis: usize, index: usize) -> f32 {
        let apart = self.background && index >= self.classes[axis];
        index as f32 * self.side + if apart { APART } else { 0.0 }
    }

    fn cell(&self, row: usize, column: usize) -> Rect {
        let at = vec2(self.along(1, column), self.along(0, row)) - self.offset;
        Rect::from_min_size(self.body.min + at, Vec2::splat(self.side))
    }

    /// The row or column at a distance from the first.
    fn index(&self, axis: usize, at: f32, count: usize) -> Option<usize> {
        let plain = (at / self.side) as usize;
        let candidates = [plain, plain.saturating_sub(1)];
        candidates.into_iter().find(|&index| {
            let from = self.along(axis, index);
            index < count && (from..from + self.side).contains(&at)
        })
    }

    /// The rows or columns in view.
    fn visible(&self, axis: usize, count: usize) -> std::ops::Range<usize> {
        let (offset, length) = match axis {
            0 => (self.offset.y, self.body.height()),
            _ => (self.offset.x, self.body.width()),
        };
        let first = ((offset - APART) / self.side).max(0.0) as usize;
        let last = ((offset + length) / self.side) as usize + 1;
        first.min(count)..last.min(count)
    }
}

impl Matrix<'_> {
    /// Draws it into the rest of `ui`; row and column of the cell that was clicked.
    pub fn show(&self, ui: &mut Ui, state: &mut MatrixState) -> Option<(usize, usize)> {
        ui.push_id(self.name, |ui| self.show_inside(ui, state))
            .inner
    }

    fn show_inside(&self, ui: &mut Ui, state: &mut MatrixState) -> Option<(usize, usize)> {
        let size = ui.available_size().max(vec2(140.0, 120.0));
        let (area, response) = ui.allocate_exact_size(size, Sense::click_and_drag());
        if self.rows.is_empty() || self.columns.is_empty() {
            super::nothing(ui, area, self.empty);
            return None;
        }
        let mut layout = self.layout(ui, area);
        self.scroll(ui, &response, &layout, state);
        super::keep_focus(ui, &response, state.cursor.is_some());
        self.keys(ui, &response, &layout, state);
        layout.offset = state.offset;
        let hovered = response
            .hover_pos()
            .and_then(|at| self.cell_at(&layout, at));
        let raised = hovered.or(state.cursor.filter(|_| response.has_focus()));
        self.paint(ui, &layout, raised);
        self.names(ui, area, &layout, raised);
        bars(ui, &layout);
        super::focus_frame(ui, &response, layout.body.expand(2.0));
        self.info(ui, &response, raised);
        if let Some((row, column)) = raised.filter(|_| !response.dragged()) {
            let at = layout.cell(row, column).intersect(layout.body).center();
            super::tip(ui, &response, at, |ui| {
                ui.label(self.text(row, column));
                ui.label(self.share_text(row, column));
            });
        }
        let clicked = hovered.filter(|_| response.clicked());
        clicked.or(raised.filter(|_| super::pressed_by_key(&response)))
    }

    /// The count of a cell.
    pub fn count(&self, row: usize, column: usize) -> u64 {
        let at = row * self.columns.len() + column;
        self.counts.get(at).copied().unwrap_or(0)
    }

    fn total(&self, row: usize) -> u64 {
        (0..self.columns.len())
            .map(|column| self.count(row, column))
            .sum()
    }

    /// "true person, predicted dog: 12".
    pub fn text(&self, row: usize, column: usize) -> String {
        let name =
            |names: &[&str], index: usize| names.get(index).copied().unwrap_or("").to_owned();
        format!(
            "{} {}, {} {}: {}",
            self.row_role,
            name(self.rows, row),
            self.column_role,
            name(self.columns, column),
            thousands(self.count(row, column) as usize),
        )
    }

    /// "4.1 % of true person".
    fn share_text(&self, row: usize, column: usize) -> String {
        let total = self.total(row);
        let name = self.rows.get(row).copied().unwrap_or("");
        if total == 0 {
            return format!("no {} {name}", self.row_role);
        }
        let percent = 100.0 * self.count(row, column) as f64 / total as f64;
        let of = thousands(total as usize);
        format!("{percent:.1} % of {of} {} {name}", self.row_role)
    }

    fn layout(&self, ui: &Ui, area: Rect) -> Layout {
        let longest = |names: &[&str]| {
            let widths = names.iter().map(|name| width(ui, name));
            widths.fold(0.0, f32::max).min(NAMES).ceil()
        };
        let (rows, columns) = (self.rows.len(), self.columns.len());
        let head = vec2(longest(self.rows), longest(self.columns)) + Vec2::splat(GAP + TITLE);
        let room = (area.size() - head - Vec2::splat(BAR + 4.0)).max(Vec2::splat(3.0 * CELL[0]));
        let apart = if self.background { APART } else { 0.0 };
        let fitting = ((room.x - apart) / columns as f32).min((room.y - apart) / rows as f32);
        let side = fitting.floor().clamp(CELL[0], CELL[1]);
        let whole = vec2(columns as f32, rows as f32) * side + Vec2::splat(apart);
        let background = usize::from(self.background);
        Layout {
            body: Rect::from_min_size((area.min + head).round(), room.min(whole)),
            side,
            whole,
            offset: Vec2::ZERO,
            classes: [
                rows - background.min(rows),
                columns - background.min(columns),
            ],
            background: self.background,
        }
    }

    /// Wheel, two fingers and drags scroll a matrix that does not fit; otherwise the wheel is left to what is around.
    fn scroll(&self, ui: &Ui, response: &Response, layout: &Layout, state: &mut MatrixState) {
        let most = (layout.whole - layout.body.size()).max(Vec2::ZERO);
        if most != Vec2::ZERO {
            if response.hovered() {
                let by = ui.input_mut(|input| std::mem::take(&mut input.smooth_scroll_delta));
                state.offset -= by;
            }
            state.offset -= response.drag_delta();
        }
        state.offset = state.offset.clamp(Vec2::ZERO, most);
    }

    /// Arrows move from cell to cell, and into view; Esc leaves the cells.
    fn keys(&self, ui: &Ui, response: &Response, layout: &Layout, state: &mut MatrixState) {
        if !response.has_focus() {
            return;
        }
        if ui.input(|input| input.key_pressed(Key::Escape)) {
            state.cursor = None;
            return;
        }
        let [right, up] = super::axes::arrows(ui);
        if (right, up) != (0.0, 0.0) {
            let step = |at: usize, by: f64, count: usize| {
                at.saturating_add_signed(by as isize).min(count - 1)
            };
            let (row, column) = match state.cursor {
                None => (0, 0),
                Some((row, column)) => (
                    step(row, -up, self.rows.len()),
                    step(column, right, self.columns.len()),
                ),
            };
            state.cursor = Some((row, column));
            let low = vec2(layout.along(1, column), layout.along(0, row));
            let high = low + Vec2::splat(layout.side) - layout.body.size();
            state.offset = state.offset.max(high).min(low).max(Vec2::ZERO);
        }
    }

    fn cell_at(&self, layout: &Layout, at: Pos2) -> Option<(usize, usize)> {
        if !layout.body.contains(at) {
            return None;
        }
        let from = at - layout.body.min + layout.offset;
        let row = layout.index(0, from.y, self.rows.len())?;
        let column = layout.index(1, from.x, self.columns.len())?;
        Some((row, column))
    }

    fn paint(&self, ui: &Ui, layout: &Layout, raised: Option<(usize, usize)>) {
        let c = theme::colours(ui);
        let painter = ui
            .painter()
            .with_clip_rect(layout.body.intersect(ui.clip_rect()));
        let (rows, columns) = (
            layout.visible(0, self.rows.len()),
            layout.visible(1, self.columns.len()),
        );
        let mut cells = Mesh::default();
        let mut texts = Vec::new();
        for row in rows {
            let total = self.total(row);
            for column in columns.clone() {
                let rect = layout.cell(row, column).shrink(0.5);
                cells.add_colored_rect(rect, c.field);
                let count = self.count(row, column);
                if count == 0 {
                    continue;
                }
                let share = count as f32 / total as f32;
                let fill = self.fill(c, row, column, share);
                cells.add_colored_rect(rect, fill);
                if layout.side >= WRITTEN {
                    texts.push((rect.center(), short(count), readable(c, fill)));
                }
            }
        }
        painter.add(cells);
        let font = FontId::proportional(theme::SMALL);
        for (at, text, colour) in texts {
            painter.text(at, Align2::CENTER_CENTER, text, font.clone(), colour);
        }
        if let Some((row, column)) = raised {
            let rect = layout.cell(row, column);
            painter.rect_stroke(rect, 1.0, Stroke::new(1.5, c.text), StrokeKind::Inside);
        }
    }

    /// Blue where both are the same class, orange where they are not.
    fn fill(&self, c: &theme::Colours, row: usize, column: usize, share: f32) -> Color32 {
        let is_same = self.rows.get(row) == self.columns.get(column);
        let colour = if is_same { c.density[1] } else { c.brush };
        c.field.lerp_to_gamma(colour, share.powf(POWER))
    }

    fn names(&self, ui: &Ui, area: Rect, layout: &Layout, raised: Option<(usize, usize)>) {
        let c = theme::colours(ui);
        let font = FontId::proportional(theme::SMALL);
        let body = layout.body;
        let left = Rect::from_min_max(
            pos2(area.left(), body.top()),
            pos2(body.left(), body.bottom()),
        );
        let painter = ui.painter().with_clip_rect(left.intersect(ui.clip_rect()));
        let background =
            |axis: usize, index: usize| self.background && index >= layout.classes[axis];
        for row in layout.visible(0, self.rows.len()) {
            let lit = raised.is_some_and(|raised| raised.0 == row);
            let colour = name_colour(c, lit, background(0, row));
            let galley = name_galley(ui, self.rows[row], &font, colour);
            let at = pos2(body.left() - GAP, layout.cell(row, 0).center().y);
            let min = Align2::RIGHT_CENTER.anchor_size(at, galley.size()).min;
            painter.galley(min, galley, colour);
        }
        let above = Rect::from_min_max(
            pos2(body.left(), area.top()),
            pos2(body.right(), body.top()),
        );
        let painter = ui.painter().with_clip_rect(above.intersect(ui.clip_rect()));
        for column in layout.visible(1, self.columns.len()) {
            let lit = raised.is_some_and(|raised| raised.1 == column);
            let colour = name_colour(c, lit, background(1, column));
            let galley = name_galley(ui, self.columns[column], &font, colour);
            let at = pos2(layout.cell(0, column).center().x, body.top() - GAP);
            let min = Align2::LEFT_CENTER.anchor_size(at, galley.size()).min;
            let turned = TextShape::new(min, galley, colour);
            let turned =
                turned.with_angle_and_anchor(-std::f32::consts::FRAC_PI_2, Align2::LEFT_CENTER);
            painter.add(turned);
        }
        let title = pos2(body.center().x, area.top());
        ui.painter()
            .text(title, Align2::CENTER_TOP, self.column_role, font, c.text);
        upwards(
            ui,
            pos2(area.left(), body.center().y),
            self.row_role,
            c.text,
            Align2::CENTER_TOP,
        );
    }

    fn info(&self, ui: &Ui, response: &Response, raised: Option<(usize, usize)>) {
        response.widget_info(|| {
            let mut info = WidgetInfo::labeled(Role::Image, ui.is_enabled(), self.name);
            info.current_text_value = raised.map(|(row, column)| self.text(row, column));
            info
        });
    }
}

fn name_colour(c: &theme::Colours, lit: bool, background: bool) -> Color32 {
    match (lit, background) {
        (true, _) => c.accent,
        (false, true) => c.weak,
        (false, false) => c.text,
    }
}

/// A name, elided where it is longer than its room.
fn name_galley(
    ui: &Ui,
    name: &str,
    font: &FontId,
    colour: Color32,
) -> std::sync::Arc<egui::Galley> {
    let mut job = egui::text::LayoutJob::simple_singleline(name.to_owned(), font.clone(), colour);
    job.wrap = egui::text::TextWrapping::truncate_at_width(NAMES);
    ui.painter().layout_job(job)
}

fn width(ui: &Ui, text: &str) -> f32 {
    let font = FontId::proportional(theme::SMALL);
    let galley = ui
        .painter()
        .layout_no_wrap(text.to_owned(), font, Color32::PLACEHOLDER);
    galley.size().x
}

/// A count that fits into a cell: 12, 1.2k, 35k, 1.2M.
fn short(count: u64) -> String {
    let scaled = |unit: f64, name: &str| {
        let value = count as f64 / unit;
        let decimals = usize::from(value < 9.95);
        format!("{value:.decimals$}{name}")
    };
    match count {
        0..1000 => count.to_string(),
        1000..999_500 => scaled(1e3, "k"),
        _ => scaled(1e6, "M"),
    }
}

/// The text colour of the theme that stands out more from a fill.
fn readable(c: &theme::Colours, fill: Color32) -> Color32 {
    if theme::contrast(c.text, fill) >= theme::contrast(c.on_accent, fill) {
        c.text
    } else {
        c.on_accent
    }
}

/// Where the view lies in what does not fit.
fn bars(ui: &Ui, layout: &Layout) {
    let c = theme::colours(ui);
    let (body, whole, offset) = (layout.body, layout.whole, layout.offset);
    if whole.y > body.height() + 0.5 {
        let (from, length) = handle(offset.y, body.height(), whole.y);
        let at = pos2(body.right() + 3.0, body.top() + from);
        ui.painter().rect_filled(
            Rect::from_min_size(at, vec2(BAR, length)),
            BAR / 2.0,
            c.field_pressed,
        );
    }
    if whole.x > body.width() + 0.5 {
        let (from, length) = handle(offset.x, body.width(), whole.x);
        let at = pos2(body.left() + from, body.bottom() + 3.0);
        ui.painter().rect_filled(
            Rect::from_min_size(at, vec2(length, BAR)),
            BAR / 2.0,
            c.field_pressed,
        );
    }
}

fn handle(offset: f32, length: f32, whole: f32) -> (f32, f32) {
    (offset / whole * length, length / whole * length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_told_in_words_and_counts_made_short() {
        let matrix = Matrix {
            name: "confusion",
            row_role: "true",
            column_role: "predicted",
            rows: &["person", "dog", "background"],
            columns: &["person", "dog", "background"],
            counts: &[1200, 12, 88, 0, 0, 0, 3, 4],
            background: true,
            empty: "",
        };
        assert_eq!(matrix.text(0, 1), "true person, predicted dog: 12");
        assert_eq!(matrix.share_text(0, 0), "92.3 % of 1,300 true person");
        assert_eq!(matrix.share_text(1, 0), "no true dog");
        assert_eq!((matrix.count(2, 1), matrix.count(2, 2)), (4, 0));
        for (count, text) in [
            (7, "7"),
            (999, "999"),
            (1000, "1.0k"),
            (9_960, "10k"),
            (35_400, "35k"),
            (999_499, "999k"),
            (999_500, "1.0M"),
        ] {
            assert_eq!(short(count), text);
        }
    }

    #[test]
    fn the_cell_under_a_place_is_that_drawn_there() {
        let layout = Layout {
            body: Rect::from_min_size(pos2(100.0, 50.0), vec2(300.0, 200.0)),
            side: 14.0,
            whole: vec2(81.0 * 14.0 + APART, 81.0 * 14.0 + APART),
            offset: vec2(0.0, 960.0),
            classes: [80, 80],
            background: true,
        };
        for axis in [0, 1] {
            for index in [0, 1, 17, 79, 80] {
                let from = layout.along(axis, index);
                assert_eq!(layout.index(axis, from + 0.5, 81), Some(index));
                assert_eq!(layout.index(axis, from + 13.5, 81), Some(index));
            }
            let gap = layout.along(axis, 80) - 1.0;
            assert_eq!(layout.index(axis, gap, 81), None);
        }
        let rows = layout.visible(0, 81);
        assert!(rows.contains(&80) && !rows.contains(&60), "{rows:?}");
    }
}
