//! The confusion matrix: a cell opens its instances.

use egui::{RichText, Ui};

use crate::document::eval::Confusion;
use crate::document::evaluation::Analysis;
use crate::ui::command::{Command, CommandQueue};
use crate::ui::panels::judged;
use crate::ui::plot::{Matrix, MatrixState};
use crate::ui::theme;
use crate::ui::view::ViewState;

/// More classes are too many to read: those with the most mistakes come first.
const BUSIEST: usize = 24;

/// Scroll, and which classes.
#[derive(Default)]
pub struct ConfusionView {
    /// Every class, however many.
    pub all: bool,
    matrix: MatrixState,
}

/// Draws the matrix into the rest of `ui`.
pub fn confusion_ui(
    ui: &mut Ui,
    analysis: &Analysis,
    view: &mut ViewState,
    out: &mut CommandQueue,
) {
    let confusion = &analysis.diagnosis.confusion;
    let shown = &mut view.evaluate.confusion;
    let c = theme::colours(ui);
    let rule = confusion.rule;
    let by = analysis.evaluation.settings.rank_by.label();
    ui.horizontal(|ui| {
        let text = format!(
            "IoU at least {:.2}, {by} at least {:.2}",
            rule.iou, rule.min_score
        );
        ui.label(RichText::new(text).size(theme::SMALL).color(c.weak));
        if confusion.classes > BUSIEST {
            let text = format!("all {} classes", confusion.classes);
            let hint = format!("Without: the {BUSIEST} classes with the most mistakes");
            ui.checkbox(&mut shown.all, text).on_hover_text(hint);
        }
    });
    let labels = labels(confusion, shown.all);
    let background = confusion.classes;
    let order: Vec<usize> = labels.iter().copied().chain([background]).collect();
    let classes = &analysis.evaluation.base.input.classes;
    let names: Vec<String> = labels.iter().map(|&label| classes.name(label)).collect();
    let named = |last: &'static str| -> Vec<&str> {
        names.iter().map(String::as_str).chain([last]).collect()
    };
    let (rows, columns) = (named("nothing there"), named("not found"));
    let counts: Vec<u64> = order
        .iter()
        .flat_map(|&row| {
            order
                .iter()
                .map(move |&column| confusion.count(row, column))
        })
        .collect();
    let matrix = Matrix {
        name: "Confusion matrix",
        row_role: "true",
        column_role: "predicted",
        rows: &rows,
        columns: &columns,
        counts: &counts,
        background: true,
        empty: "The set has no classes",
    };
    let Some((row, column)) = matrix.show(ui, &mut shown.matrix) else {
        return;
    };
    let (Some(&at_row), Some(&at_column)) = (order.get(row), order.get(column)) else {
        return;
    };
    let instances = confusion.instances(at_row, at_column);
    if instances.is_empty() {
        return;
    }
    let label = format!("true {}, predicted {}", rows[row], columns[column]);
    let detections = instances.iter().filter_map(|it| it.detection);
    let truths = instances.iter().filter_map(|it| it.truth);
    let picked = judged::pick(&analysis.evaluation, label, detections, truths);
    out.push(Command::Pick(picked));
}

/// The classes that are shown, in their order.
fn labels(confusion: &Confusion, all: bool) -> Vec<usize> {
    let classes = confusion.classes;
    let mut labels: Vec<usize> = (0..classes).collect();
    if all || classes <= BUSIEST {
        return labels;
    }
    let mistakes = |&label: &usize| {
        let others = (0..=classes).filter(|&other| other != label);
        let both =
            others.map(|other| confusion.count(label, other) + confusion.count(other, label));
        both.sum::<u64>()
    };
    labels.sort_by_cached_key(|label| std::cmp::Reverse(mistakes(label)));
    labels.truncate(BUSIEST);
    labels.sort_unstable();
    labels
}
