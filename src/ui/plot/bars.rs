//! Horizontal bars with labels and values: AP per class, ranking headroom, kinds of errors. The caller sorts.

use egui::{
    Align2, Color32, FontId, Rect, Response, Role, ScrollArea, Sense, Stroke, Ui, WidgetInfo, pos2,
    vec2,
};

use super::range::Range;
use super::{MISSING, signed};
use crate::ui::{fonts, theme, widgets};

/// Height of a bar.
const BAR: f32 = 6.0;
/// Height of the ends of an interval.
const WHISKER: f32 = 7.0;
/// Part of the width that labels get, and how much at most.
const LABELS: (f32, f32) = (0.36, 200.0);
/// Width of values and of deltas.
const VALUE: f32 = 56.0;
const DELTA: f32 = 60.0;

/// One row.
#[derive(Clone, Debug)]
pub struct Bar<'a> {
    /// What it is.
    pub label: &'a str,
    /// How long the bar is; `None` draws an en dash.
    pub value: Option<f64>,
    /// The value in writing, in place of `decimals` figures.
    pub text: Option<String>,
    /// Lower and upper end of an interval.
    pub interval: Option<[f64; 2]>,
    /// How far the value is from another one.
    pub delta: Option<f64>,
    /// Another colour than the accent.
    pub colour: Option<Color32>,
    /// Stands out among the others: the one in use.
    pub selected: bool,
    /// More for the tooltip; of a missing value, why it is missing. May be empty.
    pub hint: String,
}

impl<'a> Bar<'a> {
    /// A row with a value alone.
    pub fn new(label: &'a str, value: Option<f64>) -> Self {
        Self {
            label,
            value,
            text: None,
            interval: None,
            delta: None,
            colour: None,
            selected: false,
            hint: String::new(),
        }
    }
}

/// Rows over a common range.
pub struct Bars<'a> {
    /// The accessible name, and what tells lists of one panel apart.
    pub name: &'a str,
    /// The rows, in order.
    pub rows: &'a [Bar<'a>],
    /// Bars begin at its lower end; a longer one ends at the upper.
    pub range: Range,
    /// Decimals of values and deltas.
    pub decimals: usize,
    /// More rows than fit into so many points scroll.
    pub most_height: f32,
    /// What stands there without rows.
    pub empty: &'a str,
}

/// Left and right ends of the columns.
struct Columns {
    label: [f32; 2],
    bar: [f32; 2],
    value: f32,
    delta: f32,
}

impl Bars<'_> {
    /// Draws it over the width of `ui`; the index of the row that was clicked.
    pub fn show(&self, ui: &mut Ui) -> Option<usize> {
        if self.rows.is_empty() {
            ui.label(egui::RichText::new(self.empty).color(theme::colours(ui).weak));
            return None;
        }
        let mut clicked = None;
        ui.push_id(self.name, |ui| {
            ui.spacing_mut().item_spacing.y = 0.0;
            let area = ScrollArea::vertical()
                .max_height(self.most_height)
                .auto_shrink([false, true]);
            area.show_rows(ui, theme::ROW, self.rows.len(), |ui, visible| {
                for index in visible {
                    if let Some(row) = self.rows.get(index)
                        && ui.push_id(index, |ui| self.row(ui, row)).inner.clicked()
                    {
                        clicked = Some(index);
                    }
                }
            });
        });
        clicked
    }

    fn row(&self, ui: &mut Ui, row: &Bar<'_>) -> Response {
        let width = ui.available_width();
        let (rect, response) = ui.allocate_exact_size(vec2(width, theme::ROW), Sense::click());
        let spoken = format!("{} {}", row.label, self.value_text(row));
        response.widget_info(|| {
            WidgetInfo::selected(Role::Button, ui.is_enabled(), row.selected, &spoken)
        });
        if !ui.is_rect_visible(rect) {
            return response;
        }
        let c = theme::colours(ui);
        let fill = if row.selected {
            c.selection
        } else if response.hovered() || response.has_focus() {
            c.field_hovered
        } else {
            Color32::TRANSPARENT
        };
        ui.painter()
            .rect_filled(rect, f32::from(theme::RADIUS), fill);
        self.paint(ui, rect, row);
        response.on_hover_ui(|ui| self.hint(ui, row))
    }

    fn columns(&self, rect: Rect) -> Columns {
        let has_delta = self.rows.iter().any(|row| row.delta.is_some());
        let left = rect.left() + theme::GRID;
        let label = left + (rect.width() * LABELS.0).min(LABELS.1);
        let delta = rect.right() - theme::GRID;
        let value = delta - if has_delta { DELTA } else { 0.0 };
        Columns {
            label: [left, label],
            bar: [
                label + 2.0 * theme::GRID,
                (value - VALUE).max(label + 4.0 * theme::GRID),
            ],
            value,
            delta,
        }
    }

    fn paint(&self, ui: &Ui, rect: Rect, row: &Bar<'_>) {
        let c = theme::colours(ui);
        let columns = self.columns(rect);
        let middle = rect.center().y;
        let body = FontId::proportional(theme::BODY);
        let [left, end] = columns.label;
        widgets::elided(ui, pos2(left, middle), end, row.label, &body, c.text);
        self.paint_bar(ui, &columns, middle, row);
        let painter = ui.painter();
        let strong = FontId::new(theme::BODY, fonts::semibold());
        let (font, colour) = match row.value {
            Some(_) => (strong, c.text),
            None => (body, c.weak),
        };
        let text = self.value_text(row);
        painter.text(
            pos2(columns.value, middle),
            Align2::RIGHT_CENTER,
            text,
            font,
            colour,
        );
        if let Some(delta) = row.delta {
            let at = pos2(columns.delta, middle);
            let font = FontId::proportional(theme::BODY);
            painter.text(
                at,
                Align2::RIGHT_CENTER,
                signed(delta, self.decimals),
                font,
                c.weak,
            );
        }
    }

    fn paint_bar(&self, ui: &Ui, columns: &Columns, middle: f32, row: &Bar<'_>) {
        let c = theme::colours(ui);
        let painter = ui.painter();
        let [left, right] = columns.bar;
        let at = |value: f64| {
            let share = (value - self.range.min) / self.range.width();
            left + share.clamp(0.0, 1.0) as f32 * (right - left)
        };
        let lane = |from: f32, to: f32| {
            Rect::from_min_max(pos2(from, middle - BAR / 2.0), pos2(to, middle + BAR / 2.0))
        };
        painter.rect_filled(lane(left, right), BAR / 2.0, c.field);
        let Some(value) = row.value.filter(|value| value.is_finite()) else {
            return;
        };
        let colour = row.colour.unwrap_or(c.accent);
        painter.rect_filled(lane(left, at(value)), BAR / 2.0, colour);
        if let Some([low, high]) = row.interval {
            let stroke = Stroke::new(1.5, c.text);
            painter.hline(at(low)..=at(high), middle, stroke);
            for end in [low, high] {
                painter.vline(
                    at(end),
                    middle - WHISKER / 2.0..=middle + WHISKER / 2.0,
                    stroke,
                );
            }
        }
    }

    fn value_text(&self, row: &Bar<'_>) -> String {
        let decimals = self.decimals;
        match (&row.text, row.value) {
            (Some(text), _) => text.clone(),
            (None, Some(value)) if value.is_finite() => format!("{value:.decimals$}"),
            _ => MISSING.into(),
        }
    }

    fn hint(&self, ui: &mut Ui, row: &Bar<'_>) {
        let decimals = self.decimals + 1;
        ui.label(widgets::strong(row.label, theme::BODY));
        let mut line = match row.value {
            Some(value) => format!("{value:.decimals$}"),
            None => String::new(),
        };
        if let Some([low, high]) = row.interval {
            line += &format!(" ({low:.decimals$} to {high:.decimals$})");
        }
        if let Some(delta) = row.delta {
            line += &format!(", {}", signed(delta, decimals));
        }
        for text in [line, row.hint.clone()] {
            if !text.is_empty() {
                ui.label(text);
            }
        }
    }
}
