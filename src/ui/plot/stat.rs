//! A number with its label, and how far it is from a second one.

use egui::{Align2, FontId, Response, Role, Sense, Ui, WidgetInfo, vec2};

use super::{MISSING, signed};
use crate::ui::{fonts, icons, theme};

/// Height of a tile.
const HEIGHT: f32 = 58.0;
/// Size of the number.
const FIGURE: f32 = 18.0;

/// Which way is better.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Better {
    /// More, as of AP.
    #[default]
    Higher,
    /// Less, as of errors.
    Lower,
}

/// The tile.
#[derive(Clone, Debug)]
pub struct Stat<'a> {
    /// What it measures.
    pub label: &'a str,
    /// `None` draws an en dash.
    pub value: Option<f64>,
    /// The second value, as of another checkpoint.
    pub second: Option<f64>,
    /// Decimals of both.
    pub decimals: usize,
    /// Which way is better.
    pub better: Better,
    /// For the tooltip; of a missing value, why it is missing.
    pub hint: &'a str,
}

impl Stat<'_> {
    /// Draws it, `width` points wide. A click is the caller's to answer.
    pub fn show(&self, ui: &mut Ui, width: f32) -> Response {
        let c = theme::colours(ui);
        let (rect, response) = ui.allocate_exact_size(vec2(width, HEIGHT), Sense::click());
        let spoken = self.spoken();
        response.widget_info(|| WidgetInfo::labeled(Role::Button, ui.is_enabled(), &spoken));
        let fill = if response.hovered() || response.has_focus() {
            c.field_hovered
        } else {
            c.field
        };
        let painter = ui.painter();
        painter.rect_filled(rect, f32::from(theme::RADIUS), fill);
        super::focus_frame(ui, &response, rect);
        let inner = rect.shrink(2.0 * theme::GRID);
        let small = FontId::proportional(theme::SMALL);
        let label = inner.left_top() + vec2(0.0, theme::SMALL / 2.0 + 1.0);
        crate::ui::widgets::elided(ui, label, inner.right(), self.label, &small, c.weak);
        let figure = FontId::new(FIGURE, fonts::semibold());
        let foot = inner.left_bottom();
        let colour = if self.value.is_some() { c.text } else { c.weak };
        let used = painter.text(foot, Align2::LEFT_BOTTOM, self.value_text(), figure, colour);
        self.paint_delta(ui, inner.right_bottom(), used.right() + 1.5 * theme::GRID);
        response.on_hover_ui(|ui| {
            ui.label(spoken);
            if !self.hint.is_empty() {
                ui.label(self.hint);
            }
        })
    }

    /// At the right end; where the number leaves too little room, without the arrow: the sign says the direction too.
    fn paint_delta(&self, ui: &Ui, end: egui::Pos2, from: f32) {
        let Some((delta, change)) = self.delta() else {
            return;
        };
        let colour = change.colour(theme::colours(ui));
        for text in [format!("{} {delta}", change.icon()), delta] {
            let font = FontId::proportional(theme::SMALL);
            let galley = ui.painter().layout_no_wrap(text, font, colour);
            let at = end - galley.size() - vec2(0.0, 2.0);
            if at.x >= from {
                ui.painter().galley(at, galley, colour);
                return;
            }
        }
    }

    fn value_text(&self) -> String {
        let decimals = self.decimals;
        let finite = self.value.filter(|value| value.is_finite());
        finite.map_or_else(|| MISSING.to_owned(), |value| format!("{value:.decimals$}"))
    }

    /// The signed difference, and what it means.
    fn delta(&self) -> Option<(String, Change)> {
        let delta = self.value? - self.second?;
        if !delta.is_finite() {
            return None;
        }
        let rounds_to_zero = delta.abs() < 0.5 * 10f64.powi(-(self.decimals as i32));
        let rises = delta > 0.0;
        let change = match rounds_to_zero {
            true => Change::None,
            false => Change::Some {
                rises,
                is_better: rises == (self.better == Better::Higher),
            },
        };
        Some((signed(delta, self.decimals), change))
    }

    /// "AP 0.474, +0.013, better".
    fn spoken(&self) -> String {
        let mut text = format!("{} {}", self.label, self.value_text());
        if let Some((delta, change)) = self.delta() {
            let verdict = match change {
                Change::None => "the same",
                Change::Some {
                    is_better: true, ..
                } => "better",
                Change::Some {
                    is_better: false, ..
                } => "worse",
            };
            text += &format!(", {delta}, {verdict}");
        }
        text
    }
}

/// What a difference means.
enum Change {
    /// Too small to be written.
    None,
    /// The arrow and the sign say the direction, the colour whether it is better.
    Some { rises: bool, is_better: bool },
}

impl Change {
    fn icon(&self) -> &'static str {
        match self {
            Self::None => "=",
            Self::Some { rises: true, .. } => icons::ARROW_UP,
            Self::Some { rises: false, .. } => icons::ARROW_DOWN,
        }
    }

    fn colour(&self, c: &theme::Colours) -> egui::Color32 {
        match self {
            Self::None => c.weak,
            Self::Some {
                is_better: true, ..
            } => c.success,
            Self::Some {
                is_better: false, ..
            } => c.error,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delta_says_its_direction_and_whether_it_is_better() {
        let check = |value, second, better, expected: &str| {
            let stat = Stat {
                label: "AP",
                value,
                second,
                decimals: 3,
                better,
                hint: "",
            };
            assert_eq!(stat.spoken(), expected);
        };
        check(
            Some(0.4746),
            Some(0.46),
            Better::Higher,
            "AP 0.475, +0.015, better",
        );
        check(
            Some(0.45),
            Some(0.46),
            Better::Higher,
            "AP 0.450, −0.010, worse",
        );
        check(
            Some(0.45),
            Some(0.46),
            Better::Lower,
            "AP 0.450, −0.010, better",
        );
        check(
            Some(0.45),
            Some(0.4501),
            Better::Lower,
            "AP 0.450, +0.000, the same",
        );
        check(Some(0.45), None, Better::Higher, "AP 0.450");
        check(None, Some(0.45), Better::Higher, "AP –");
        check(Some(f64::NAN), Some(0.45), Better::Higher, "AP –");
    }
}
