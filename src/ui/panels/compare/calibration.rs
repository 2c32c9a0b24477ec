//! Reliability: what a number promises against what comes of it.

use egui::{Ui, vec2};

use crate::document::eval::knows::calibration::{self, Calibration, Diagram};
use crate::document::evaluation::Evaluation;
use crate::ui::command::{Command, CommandQueue};
use crate::ui::panels::judged;
use crate::ui::plot::{Bin, Range, Reliability};

/// Least width of a diagram.
const WIDTH: f32 = 220.0;
const GAP: f32 = 12.0;

/// One diagram with its words.
struct Told<'a> {
    of: &'a Diagram,
    name: String,
    found: &'static str,
}

fn all(calibration: &Calibration) -> Vec<Told<'_>> {
    let mask_iou = Told {
        of: &calibration.mask_iou,
        name: "mask IoU as IoU".into(),
        found: "measured IoU",
    };
    let precision = calibration.precision.iter().map(|of| Told {
        of,
        name: format!("{} as precision", of.number.label()),
        found: "precision",
    });
    let aware = Told {
        of: &calibration.localisation_aware,
        name: "iou score as precision × IoU".into(),
        found: "precision × IoU",
    };
    std::iter::once(mask_iou)
        .chain(precision)
        .chain([aware])
        .collect()
}

/// All diagrams in a grid over the rest of `ui`.
pub fn calibration_ui(
    ui: &mut Ui,
    calibration: &Calibration,
    evaluation: &Evaluation,
    out: &mut CommandQueue,
) {
    let told = all(calibration);
    let space = ui.available_size();
    let columns = (((space.x + GAP) / (WIDTH + GAP)) as usize).clamp(1, told.len());
    let rows = told.len().div_ceil(columns);
    let width = (space.x - GAP * (columns - 1) as f32) / columns as f32;
    let height = ((space.y - GAP * (rows - 1) as f32) / rows as f32).clamp(180.0, width.max(180.0));
    egui::ScrollArea::vertical()
        .id_salt("calibration")
        .show(ui, |ui| {
            ui.spacing_mut().item_spacing = vec2(GAP, GAP);
            for row in told.chunks(columns) {
                ui.horizontal(|ui| {
                    for told in row {
                        sized(ui, width, height, |ui| diagram(ui, told, evaluation, out));
                    }
                });
            }
        });
}

/// The two that matter most, one above the other.
pub fn pair_ui(
    ui: &mut Ui,
    calibration: &Calibration,
    evaluation: &Evaluation,
    out: &mut CommandQueue,
) {
    let told = all(calibration);
    let space = ui.available_size();
    let height = (space.y - GAP) / 2.0;
    ui.spacing_mut().item_spacing.y = GAP;
    for told in told.iter().take(2) {
        sized(ui, space.x, height, |ui| diagram(ui, told, evaluation, out));
    }
}

fn sized(ui: &mut Ui, width: f32, height: f32, content: impl FnOnce(&mut Ui)) {
    let layout = egui::Layout::top_down(egui::Align::Min);
    ui.allocate_ui_with_layout(vec2(width, height), layout, |ui| {
        ui.set_min_size(vec2(width, height));
        content(ui);
    });
}

fn diagram(ui: &mut Ui, told: &Told<'_>, evaluation: &Evaluation, out: &mut CommandQueue) {
    let reliability = told.of.reliability.as_ref();
    let bins: Vec<Bin> =
        reliability.map_or_else(Vec::new, |it| it.all.bins.iter().map(bin).collect());
    let plot = Reliability {
        name: &told.name,
        ece: reliability.map(|it| it.all.ece),
        promised: "promised",
        found: told.found,
        bins: &bins,
        empty: told
            .of
            .reason
            .as_deref()
            .unwrap_or("No detection takes part"),
    };
    let Some(clicked) = plot.show(ui) else { return };
    let (Some(reliability), Some(bin)) = (reliability, bins.get(clicked)) else {
        return;
    };
    let count = evaluation.base.input.detections.len();
    let inside = (0..count).filter(|&at| reliability.in_bin(at) == Some(clicked));
    let number = told.of.number.label();
    let label = format!("{number} {:.2} to {:.2}", bin.range.min, bin.range.max);
    let picked = judged::pick(evaluation, label, inside.map(|at| at as u32), []);
    out.push(Command::Pick(picked));
}

fn bin(bin: &calibration::Bin) -> Bin {
    Bin {
        range: Range::between(bin.lower, bin.upper),
        confidence: bin.mean_predicted,
        accuracy: bin.mean_actual,
        count: bin.count,
    }
}
