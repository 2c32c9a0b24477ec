//! Precision over recall, of all classes or one, at two thresholds and on average.

use std::sync::Arc;

use egui::{Popup, ScrollArea, Ui};

use super::EvaluateView;
use super::classes::kind_choice;
use crate::document::eval::{Area, Curves, Kind, recall_points};
use crate::document::evaluation::{Analysis, Evaluation};
use crate::structures::is_same;
use crate::ui::panels::parts::choice;
use crate::ui::plot::lines::DECIMALS;
use crate::ui::plot::{Axis, Lines, LinesState, Series};
use crate::ui::{icons, theme};

/// Thresholds of the curves, as positions and in words.
const SHOWN: [(usize, &str); 3] = [(0, "IoU .50"), (5, "IoU .75"), (8, "IoU .90")];

/// The chosen class, and the curves while nothing changes.
#[derive(Default)]
pub struct CurvesView {
    /// A class; `None`: their mean.
    pub class: Option<usize>,
    lines: LinesState,
    made: Option<Made>,
}

struct Made {
    of: Arc<Evaluation>,
    second: Option<Arc<Evaluation>>,
    kind: Kind,
    class: Option<usize>,
    curves: Vec<(String, bool, usize, Vec<[f64; 2]>)>,
}

/// Draws the curves into the rest of `ui`.
pub fn curves_ui(ui: &mut Ui, analysis: &Analysis, view: &mut EvaluateView) {
    ui.horizontal(|ui| {
        kind_choice(ui, &mut view.kind);
        class_choice(ui, analysis, &mut view.curves);
    });
    let kind = view.kind;
    let curves = &mut view.curves;
    curves.renew(analysis, kind);
    let Some(made) = &curves.made else { return };
    let series: Vec<Series<'_>> = made
        .curves
        .iter()
        .map(|(name, dashed, colour, points)| Series {
            dashed: *dashed,
            colour: Some(*colour),
            ..Series::new(name, points)
        })
        .collect();
    let lines = Lines {
        name: "Precision over recall",
        series: &series,
        x: Axis::unit("recall"),
        y: Axis::unit("precision"),
        diagonal: false,
        marked: None,
        decimals: DECIMALS,
        empty: "There is no object to find: the class has no annotation",
    };
    lines.show(ui, &mut curves.lines);
}

fn class_choice(ui: &mut Ui, analysis: &Analysis, view: &mut CurvesView) {
    let classes = &analysis.evaluation.base.input.classes;
    let name = view
        .class
        .map_or_else(|| "all classes".to_owned(), |label| classes.name(label));
    let response = ui.button(format!("{name}  {}", icons::CARET_DOWN));
    let response = response.on_hover_text("Of which class");
    Popup::menu(&response).show(|ui| {
        ui.set_width(200.0);
        ui.spacing_mut().item_spacing.y = 0.0;
        let scroll = ScrollArea::vertical().max_height(320.0);
        scroll.show_rows(ui, theme::ROW, classes.len() + 1, |ui, rows| {
            for row in rows {
                let class = row.checked_sub(1);
                let label = class.map_or_else(|| "all classes".to_owned(), |it| classes.name(it));
                if choice(ui, &label, view.class == class).clicked() {
                    view.class = class;
                    ui.close();
                }
            }
        });
    });
}

impl CurvesView {
    fn renew(&mut self, analysis: &Analysis, kind: Kind) {
        let second = analysis.comparison.as_ref().map(|it| &it.second);
        let is_made = self.made.as_ref().is_some_and(|made| {
            let same = is_same(made.second.as_ref(), second);
            same && Arc::ptr_eq(&made.of, &analysis.evaluation)
                && made.kind == kind
                && made.class == self.class
        });
        if is_made {
            return;
        }
        let mut curves = Vec::new();
        let sides = [(Some(&analysis.evaluation), false), (second, true)];
        for (side, is_second) in sides.into_iter().filter_map(|(it, is)| Some((it?, is))) {
            let of = &side.of(kind).curves;
            for (colour, (threshold, name)) in SHOWN.into_iter().enumerate() {
                let points = curve(of, self.class, threshold);
                if !points.is_empty() {
                    let side = if is_second { ", B" } else { "" };
                    curves.push((format!("{name}{side}"), is_second, colour, points));
                }
            }
        }
        self.made = Some(Made {
            of: Arc::clone(&analysis.evaluation),
            second: second.cloned(),
            kind,
            class: self.class,
            curves,
        });
    }
}

/// (recall, precision); empty where nothing exists.
fn curve(curves: &Curves, class: Option<usize>, threshold: usize) -> Vec<[f64; 2]> {
    let precision = match class {
        None => curves
            .mean_precision_curve(Area::All, threshold)
            .unwrap_or_default(),
        Some(label) => curves
            .precision_curve(label, Area::All, threshold)
            .collect(),
    };
    let points = recall_points().iter().zip(precision);
    points
        .filter(|(_, precision)| *precision >= 0.0)
        .map(|(&recall, precision)| [recall, precision])
        .collect()
}
