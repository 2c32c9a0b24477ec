//! A reliability diagram: what was promised against what was found, bin by bin, with the number of instances in each.
//! The bins and the expected calibration error come from the evaluation.

use egui::{
    Align2, Color32, FontId, Rect, Response, Role, Sense, Stroke, Ui, WidgetInfo, pos2, vec2,
};

use super::axes::{Axes, Axis, Plane, View};
use super::range::Range;
use crate::structures::thousands;
use crate::ui::{fonts, theme};

/// Height of the heading.
const HEADING: f32 = 20.0;
/// Height of the counts above the bars.
const COUNTS: f32 = 18.0;
/// Opacity of the bar of a bin that holds less than `FEW` instances: little is known of it.
const WEAK: f32 = 0.45;
/// See `WEAK`.
const FEW: usize = 10;

/// One bin.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bin {
    /// The values that fall into it.
    pub range: Range,
    /// Mean of what was promised.
    pub confidence: f64,
    /// Mean of what was found: measured IoU, or the share of true positives.
    pub accuracy: f64,
    /// Instances in it; of a bin with none the means do not count.
    pub count: usize,
}

/// The diagram.
pub struct Reliability<'a> {
    /// What is judged; the heading and accessible name.
    pub name: &'a str,
    /// Expected calibration error.
    pub ece: Option<f64>,
    /// What was promised, beside the axis.
    pub promised: &'a str,
    /// What was found, beside the axis.
    pub found: &'a str,
    /// From the lowest to the highest.
    pub bins: &'a [Bin],
    /// What stands there without instances.
    pub empty: &'a str,
}

impl Reliability<'_> {
    /// Draws it into the rest of `ui`; the index of the bin that was clicked.
    pub fn show(&self, ui: &mut Ui) -> Option<usize> {
        ui.push_id(self.name, |ui| self.show_inside(ui)).inner
    }

    fn show_inside(&self, ui: &mut Ui) -> Option<usize> {
        let size = ui.available_size().max(vec2(100.0, 110.0));
        let (area, response) = ui.allocate_exact_size(size, Sense::click());
        self.heading(ui, area);
        let axes = Axes {
            x: Axis::unit(self.promised),
            y: Axis::unit(self.found),
            diagonal: true,
        };
        let below = Rect::from_min_max(
            area.min + vec2(0.0, HEADING + COUNTS),
            area.max - vec2(4.0, 0.0),
        );
        let plane = axes.place(ui, below, &View::default());
        let axes_alone = Axes {
            diagonal: false,
            ..axes
        };
        axes_alone.paint(ui, &plane);
        super::keep_focus(ui, &response, false);
        let total: usize = self.bins.iter().map(|bin| bin.count).sum();
        if total == 0 {
            super::nothing(ui, plane.frame, self.empty);
        }
        let hovered = self.at_pointer(&response, &plane);
        let kept = self.at_keys(ui, &response);
        let raised = hovered.or(kept).filter(|&index| index < self.bins.len());
        for (index, bin) in self
            .bins
            .iter()
            .enumerate()
            .filter(|(_, bin)| bin.count > 0)
        {
            self.paint(ui, &plane, bin, raised == Some(index));
        }
        diagonal_over(ui, &plane);
        super::focus_frame(ui, &response, plane.frame);
        self.info(ui, &response, raised);
        let bin = raised.and_then(|index| Some((index, self.bins.get(index)?)));
        if let Some((_, bin)) = bin.filter(|_| hovered.is_some() || response.has_focus()) {
            let middle = plane
                .transform
                .screen_x((bin.range.min + bin.range.max) / 2.0);
            let at = pos2(
                middle,
                response
                    .hover_pos()
                    .map_or(plane.frame.center().y, |it| it.y),
            );
            super::tip(ui, &response, at, |ui| {
                for line in self.lines(bin) {
                    ui.label(line);
                }
            });
        }
        let by_pointer = response.clicked() && hovered.is_some();
        let is_clicked = by_pointer || super::pressed_by_key(&response);
        raised.filter(|_| is_clicked)
    }

    /// "mask IoU · ECE 0.041".
    fn title(&self) -> String {
        let ece = self
            .ece
            .map_or_else(|| super::MISSING.to_owned(), |ece| format!("{ece:.3}"));
        format!("{} · ECE {ece}", self.name)
    }

    fn heading(&self, ui: &Ui, area: Rect) {
        let c = theme::colours(ui);
        let font = FontId::new(theme::SMALL, fonts::semibold());
        let at = area.left_top() + vec2(2.0, HEADING / 2.0);
        ui.painter()
            .text(at, Align2::LEFT_CENTER, self.title(), font, c.text);
    }

    fn at_pointer(&self, response: &Response, plane: &Plane) -> Option<usize> {
        let pointer = response.hover_pos()?;
        let high = plane.frame.top() - COUNTS;
        if !plane.frame.x_range().contains(pointer.x)
            || !(high..=plane.frame.bottom()).contains(&pointer.y)
        {
            return None;
        }
        let [x, _] = plane.transform.value(pointer);
        self.bins.iter().position(|bin| bin.range.contains(x))
    }

    /// The bin that the arrows stand on while the diagram has the focus.
    fn at_keys(&self, ui: &Ui, response: &Response) -> Option<usize> {
        if !response.has_focus() || self.bins.is_empty() {
            return None;
        }
        let [right, _] = super::axes::arrows(ui);
        ui.data_mut(|data| {
            let at: &mut Option<usize> = data.get_temp_mut_or_default(response.id);
            if right != 0.0 {
                let last = self.bins.len() - 1;
                *at = Some(at.map_or(0, |at| at.saturating_add_signed(right as isize).min(last)));
            }
            *at
        })
    }

    fn paint(&self, ui: &Ui, plane: &Plane, bin: &Bin, raised: bool) {
        let c = theme::colours(ui);
        let painter = ui.painter();
        let transform = &plane.transform;
        let (left, right) = (
            transform.screen_x(bin.range.min) + 1.0,
            transform.screen_x(bin.range.max) - 1.0,
        );
        let colour = if raised {
            c.accent.lerp_to_gamma(c.text, 0.25)
        } else {
            c.accent
        };
        let colour = if bin.count < FEW {
            colour.gamma_multiply(WEAK)
        } else {
            colour
        };
        let top = transform.screen_y(bin.accuracy.clamp(0.0, 1.0));
        let foot = transform.screen_y(0.0);
        painter.rect_filled(
            Rect::from_min_max(pos2(left, top), pos2(right, foot)),
            1.0,
            colour,
        );
        // What was promised, as a line: the gap to the bar is the error.
        let promised = transform.screen_y(bin.confidence.clamp(0.0, 1.0));
        painter.hline(left..=right, promised, Stroke::new(1.5, c.brush));
        self.paint_count(ui, plane, bin, [left, right], c.weak);
    }

    fn paint_count(
        &self,
        ui: &Ui,
        plane: &Plane,
        bin: &Bin,
        [left, right]: [f32; 2],
        colour: Color32,
    ) {
        let most = self
            .bins
            .iter()
            .map(|bin| bin.count)
            .max()
            .unwrap_or(1)
            .max(1);
        let height = (COUNTS - 4.0) * (bin.count as f32 / most as f32);
        let foot = plane.frame.top() - 2.0;
        let rect = Rect::from_min_max(pos2(left, foot - height.max(1.0)), pos2(right, foot));
        ui.painter()
            .rect_filled(rect, 0.0, colour.gamma_multiply(0.5));
    }

    fn lines(&self, bin: &Bin) -> Vec<String> {
        let mut lines = vec![
            format!("{} {:.2} to {:.2}", self.name, bin.range.min, bin.range.max),
            format!("{} instances", thousands(bin.count)),
        ];
        if bin.count > 0 {
            lines.push(format!("{} {:.3}", self.promised, bin.confidence));
            lines.push(format!("{} {:.3}", self.found, bin.accuracy));
        }
        lines
    }

    fn info(&self, ui: &Ui, response: &Response, raised: Option<usize>) {
        response.widget_info(|| {
            let mut info = WidgetInfo::labeled(Role::Image, ui.is_enabled(), self.title());
            let bin = raised.and_then(|index| self.bins.get(index));
            info.current_text_value = bin.map(|bin| self.lines(bin).join(", "));
            info
        });
    }
}

/// The diagonal over the bars.
fn diagonal_over(ui: &Ui, plane: &Plane) {
    let ends = [0.0, 1.0].map(|at| plane.transform.screen([at, at]));
    super::axes::dashed(ui, plane.frame, &ends, theme::colours(ui).text);
}
