//! What is evaluated, and the twelve numbers of masks and of boxes.

use egui::{Grid, RichText, Ui};

use crate::document::Document;
use crate::document::eval::{CocoNumbers, Kind};
use crate::document::evaluation::{Analysis, Comparison};
use crate::document::ranking::RankBy;
use crate::ui::command::{Command, CommandQueue};
use crate::ui::panels::judged::{figure, signed};
use crate::ui::panels::parts::drop_down;
use crate::ui::view::ViewState;
use crate::ui::{icons, theme, widgets};

/// Why the numbers are not pycocotools'.
const ID_ZERO: &str = "An annotation has the id 0. pycocotools takes a match with it for none and prints lower numbers; \
    `maskscope eval --pycocotools-ids` counts like it";

/// Ranking, threshold, filter: what the numbers are of.
pub fn settings_ui(
    ui: &mut Ui,
    doc: &Document,
    analysis: &Analysis,
    view: &mut ViewState,
    out: &mut CommandQueue,
) {
    let c = theme::colours(ui);
    ui.horizontal_wrapped(|ui| {
        ui.spacing_mut().item_spacing.x = 2.0 * theme::GRID;
        ui.colored_label(c.weak, "masks ranked by");
        let label = |by: RankBy| by.label();
        if let Some(by) = drop_down(ui, "Rank by", 96.0, view.rank_by, &RankBy::ALL, label) {
            out.push(Command::SetRankBy(by));
        }
        let mut above = view.evaluate_above_threshold;
        let text = format!("only at or above {:.2}", view.threshold);
        let hint = "The threshold of the window; COCO counts every detection, however low";
        if ui.checkbox(&mut above, text).on_hover_text(hint).changed() {
            out.push(Command::ToggleEvaluateAboveThreshold);
        }
        filter_choice(ui, view, out);
        if analysis.evaluation.base.input.has_id_zero() {
            ui.colored_label(c.warning, format!("{} id 0", icons::WARNING))
                .on_hover_text(ID_ZERO);
        }
        left_out(ui, analysis);
        if doc.awaits_annotations() {
            ui.spinner();
        }
    });
}

fn filter_choice(ui: &mut Ui, view: &ViewState, out: &mut CommandQueue) {
    let query = view.filter.query();
    let why = match query.restriction() {
        _ if query.is_everything() => {
            Some("There is no filter: type one above the gallery".to_owned())
        }
        Err(error) => Some(error.to_string()),
        Ok(_) => None,
    };
    let text = match why {
        None => format!("only {}", query.text()),
        Some(_) => "only what the filter means".to_owned(),
    };
    let mut is_on = view.evaluate_filtered;
    let enabled = why.is_none() || is_on;
    let response = ui.add_enabled(enabled, egui::Checkbox::new(&mut is_on, text));
    let hint = "Images, objects and predictions that the filter does not mean take no part, as with --where";
    let response = response.on_hover_text(why.as_deref().unwrap_or(hint));
    let response = response.on_disabled_hover_text(why.unwrap_or_default());
    if response.changed() {
        out.push(Command::ToggleEvaluateFiltered);
    }
}

/// Predictions that could not take part, and why.
fn left_out(ui: &mut Ui, analysis: &Analysis) {
    let input = &analysis.evaluation.base.input;
    if input.left_out_count == 0 {
        return;
    }
    let c = theme::colours(ui);
    let count = widgets::thousands(input.left_out_count);
    let label = ui.colored_label(c.warning, format!("{} {count} left out", icons::WARNING));
    label.on_hover_ui(|ui| {
        for left in input.left_out.iter().take(12) {
            ui.label(format!("{}: {}", left.what, left.reason));
        }
        if input.left_out_count > 12 {
            ui.label("…");
        }
    });
}

/// Both rows of twelve, with what a second file changes below each.
pub fn numbers_ui(ui: &mut Ui, analysis: &Analysis) {
    let evaluation = &analysis.evaluation;
    let comparison = analysis.comparison.as_deref();
    // The names and the twelve share the width.
    let width = (ui.available_width() / 13.0 - 4.0).clamp(36.0, 120.0);
    Grid::new("coco numbers")
        .num_columns(13)
        .min_col_width(width)
        .max_col_width(width)
        .spacing([4.0, 2.0])
        .show(ui, |ui| {
            let c = theme::colours(ui);
            ui.label("");
            for key in CocoNumbers::KEYS {
                ui.label(RichText::new(key).size(theme::SMALL).color(c.weak))
                    .on_hover_text(meaning(key));
            }
            ui.end_row();
            for (kind, name) in [(Kind::Segm, "masks"), (Kind::Bbox, "boxes")] {
                let second = comparison.map(|it| &it.second.of(kind).numbers);
                row(ui, name, &evaluation.of(kind).numbers, second);
            }
        });
    if let Some(comparison) = comparison {
        verdict(ui, comparison);
    }
}

fn row(ui: &mut Ui, name: &str, numbers: &CocoNumbers, second: Option<&CocoNumbers>) {
    let c = theme::colours(ui);
    ui.label(RichText::new(name).color(c.weak));
    for (key, value) in numbers.named() {
        let text = widgets::strong(figure(Some(value)), theme::BODY).color(c.text);
        let label = ui.label(text);
        let exact = match value >= 0.0 {
            true => format!("{name} {key} {value:.6}"),
            false => format!("{name} {key}: no object of this size, or of any"),
        };
        label.on_hover_text(exact);
    }
    ui.end_row();
    let Some(second) = second else { return };
    ui.label(RichText::new("B less A").size(theme::SMALL).color(c.weak));
    for ((_, a), (_, b)) in numbers.named().zip(second.named()) {
        let text = match a >= 0.0 && b >= 0.0 {
            true => signed(b - a),
            false => crate::ui::plot::MISSING.to_owned(),
        };
        ui.label(RichText::new(text).size(theme::SMALL).color(c.weak));
    }
    ui.end_row();
}

/// Whether the second file is better for certain.
fn verdict(ui: &mut Ui, comparison: &Comparison) {
    let Some(interval) = comparison.segm_interval else {
        return;
    };
    let c = theme::colours(ui);
    let (words, colour) = match interval {
        it if it.is_positive() => ("B has the better masks for certain", c.success),
        it if it.is_negative() => ("B has the worse masks for certain", c.warning),
        _ => ("the masks differ within the noise of the images", c.weak),
    };
    let text = format!(
        "AP of B less A: {} to {} (95 %); {words}",
        signed(interval.low),
        signed(interval.high)
    );
    ui.colored_label(colour, RichText::new(text).size(theme::SMALL));
}

fn meaning(key: &str) -> &'static str {
    match key {
        "AP" => "Mean of the average precision over IoU .50 to .95 and all classes",
        "AP50" => "Average precision at IoU .50",
        "AP75" => "Average precision at IoU .75",
        "APs" => "AP of objects up to 32² pixels",
        "APm" => "AP of objects of 32² to 96² pixels",
        "APl" => "AP of objects from 96² pixels",
        "AR1" => "Mean recall with one detection an image and class",
        "AR10" => "Mean recall with ten detections an image and class",
        "AR100" => "Mean recall with a hundred detections an image and class",
        "ARs" => "Recall of objects up to 32² pixels",
        "ARm" => "Recall of objects of 32² to 96² pixels",
        "ARl" => "Recall of objects from 96² pixels",
        _ => "",
    }
}
