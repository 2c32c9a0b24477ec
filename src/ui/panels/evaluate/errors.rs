//! What costs AP, how tight the outlines are, and which threshold to ship.

use egui::{Grid, ProgressBar, RichText, ScrollArea, Ui};

use crate::document::Document;
use crate::document::eval::knows::rankings::Ranking;
use crate::document::eval::knows::thresholds::Olrp;
use crate::document::eval::{CocoNumbers, ErrorKind, Kind, Tide};
use crate::document::evaluation::{Analysis, Boundary};
use crate::document::ranking::RankBy;
use crate::ui::command::{Command, CommandQueue};
use crate::ui::panels::judged::{self, absent, figure};
use crate::ui::plot::{Bar, Bars, Range};
use crate::ui::view::ViewState;
use crate::ui::{theme, widgets};

/// Draws everything into the rest of `ui`.
pub fn errors_ui(
    ui: &mut Ui,
    doc: &Document,
    analysis: &Analysis,
    view: &mut ViewState,
    out: &mut CommandQueue,
) {
    ScrollArea::vertical()
        .id_salt("errors")
        .auto_shrink([false, false])
        .show(ui, |ui| {
            tide_ui(ui, analysis, out);
            ui.add_space(3.0 * theme::GRID);
            boundary_ui(ui, doc, analysis, out);
            ui.add_space(3.0 * theme::GRID);
            thresholds_ui(ui, analysis, view, out);
        });
}

fn tide_ui(ui: &mut Ui, analysis: &Analysis, out: &mut CommandQueue) {
    let tide = &analysis.diagnosis.tide;
    widgets::section(ui, "What costs AP (TIDE)");
    let c = theme::colours(ui);
    let text = format!(
        "Masks, IoU {:.2} for a match, {:.2} for touching; AP50 {}. Each bar: what AP50 would gain without these errors",
        tide.positive_iou,
        tide.background_iou,
        figure(Some(tide.ap))
    );
    ui.add(egui::Label::new(RichText::new(text).size(theme::SMALL).color(c.weak)).wrap());
    let labels: Vec<String> = tide
        .bars
        .iter()
        .map(|bar| {
            format!(
                "{} · {}",
                bar.kind.label(),
                widgets::thousands(bar.count as usize)
            )
        })
        .collect();
    let rows: Vec<Bar<'_>> = tide
        .bars
        .iter()
        .zip(&labels)
        .map(|(bar, label)| Bar {
            hint: hint(bar.kind).to_owned(),
            ..Bar::new(label, Some(bar.delta_ap))
        })
        .collect();
    let most = tide
        .bars
        .iter()
        .map(|bar| bar.delta_ap)
        .fold(0.05, f64::max);
    let bars = Bars {
        name: "TIDE errors",
        rows: &rows,
        range: Range::between(0.0, most),
        decimals: 3,
        most_height: 200.0,
        empty: "There are no errors",
    };
    if let Some(kind) = bars
        .show(ui)
        .and_then(|at| tide.bars.get(at))
        .map(|bar| bar.kind)
    {
        out.push(Command::Pick(of_kind(analysis, tide, kind)));
    }
    let text = format!(
        "All false positives together cost {}, all misses {}",
        figure(Some(tide.false_positive_delta)),
        figure(Some(tide.false_negative_delta))
    );
    ui.label(RichText::new(text).size(theme::SMALL).color(c.weak));
}

fn of_kind(
    analysis: &Analysis,
    tide: &Tide,
    kind: ErrorKind,
) -> std::sync::Arc<crate::ui::picked::Picked> {
    let label = format!("{} errors", kind.label());
    let evaluation = &analysis.evaluation;
    match kind {
        ErrorKind::Missed => judged::pick(evaluation, label, [], tide.missed.iter().copied()),
        kind => judged::pick(evaluation, label, tide.detections_of(kind), []),
    }
}

fn hint(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Class => "On an object of another class",
        ErrorKind::Localization => "Right class, but the mask fits too badly",
        ErrorKind::Both => "Another class, and the mask fits badly",
        ErrorKind::Duplicate => "The object already has a detection of higher rank",
        ErrorKind::Background => "On nothing that is annotated",
        ErrorKind::Missed => "Objects that no detection reaches",
    }
}

fn boundary_ui(ui: &mut Ui, doc: &Document, analysis: &Analysis, out: &mut CommandQueue) {
    widgets::section(ui, "How tight the outlines are (Boundary AP)");
    match doc.boundary() {
        Boundary::Unknown => {
            ui.horizontal(|ui| {
                if ui
                    .button(Command::MeasureBoundary.label().into_owned())
                    .clicked()
                {
                    out.push(Command::MeasureBoundary);
                }
                absent(
                    ui,
                    "IoU of the rims of masks, 2 % of the image's diagonal wide",
                );
            });
        }
        Boundary::Measuring(done, total) => {
            let share = done as f32 / total.max(1) as f32;
            let (done, total) = (widgets::thousands(done), widgets::thousands(total));
            ui.add(ProgressBar::new(share).text(format!("{done} of {total} images")));
        }
        Boundary::Ready(result) => {
            let masks = &analysis.evaluation.of(Kind::Segm).numbers;
            Grid::new("boundary")
                .num_columns(7)
                .spacing([16.0, 4.0])
                .show(ui, |ui| {
                    let c = theme::colours(ui);
                    ui.label("");
                    for key in &CocoNumbers::KEYS[..6] {
                        ui.label(RichText::new(*key).size(theme::SMALL).color(c.weak));
                    }
                    ui.end_row();
                    for (name, numbers) in [("boundary", &result.numbers), ("mask", masks)] {
                        ui.label(name);
                        for value in &numbers.0[..6] {
                            ui.label(figure(Some(*value)));
                        }
                        ui.end_row();
                    }
                });
        }
    }
}

fn thresholds_ui(ui: &mut Ui, analysis: &Analysis, view: &ViewState, out: &mut CommandQueue) {
    widgets::section(ui, "Which threshold to ship (oLRP)");
    let Some(known) = &analysis.knowledge else {
        return absent(ui, "It is being computed");
    };
    let ranking = match view.rank_by {
        RankBy::Score => Ranking::Score,
        RankBy::MaskIou => Ranking::MaskIou,
        RankBy::IouScore => Ranking::IouScore,
    };
    let Some(olrp) = known.thresholds.of(Kind::Segm, ranking) else {
        let tables = known.thresholds.tables.iter();
        let table = tables.into_iter().find(|table| table.ranking == ranking);
        let reason = table.and_then(|table| table.reason.as_deref());
        return absent(ui, reason.unwrap_or("This ranking has no thresholds"));
    };
    let c = theme::colours(ui);
    let text = format!(
        "Masks by {}, IoU {:.2}: mean oLRP {} (0 is perfect: badly placed {}, false {}, missed {}). At each class's threshold its oLRP is lowest",
        ranking.label(),
        olrp.iou_threshold,
        figure(olrp.mean.olrp),
        figure(olrp.mean.localisation),
        figure(olrp.mean.false_positive),
        figure(olrp.mean.false_negative)
    );
    ui.add(egui::Label::new(RichText::new(text).size(theme::SMALL).color(c.weak)).wrap());
    table_ui(ui, olrp, out);
}

fn table_ui(ui: &mut Ui, olrp: &Olrp, out: &mut CommandQueue) {
    Grid::new("thresholds")
        .num_columns(8)
        .spacing([16.0, 4.0])
        .show(ui, |ui| {
            let c = theme::colours(ui);
            let names = [
                "class",
                "threshold",
                "oLRP",
                "badly placed",
                "false",
                "missed",
                "right there",
                "wrong there",
            ];
            for name in names {
                ui.label(RichText::new(name).size(theme::SMALL).color(c.weak));
            }
            ui.end_row();
            for class in olrp.per_class.iter().filter(|class| class.truths > 0) {
                ui.label(&class.class);
                match class.threshold {
                    Some(threshold) => {
                        let link = ui.link(format!("{threshold:.3}"));
                        if link
                            .on_hover_text("Click: take it as the window's threshold")
                            .clicked()
                        {
                            out.push(Command::SetThreshold(threshold));
                        }
                    }
                    None => {
                        _ = ui
                            .label(crate::ui::plot::MISSING)
                            .on_hover_text("No detection of this class is right at any threshold")
                    }
                }
                let parts = &class.components;
                for value in [
                    parts.olrp,
                    parts.localisation,
                    parts.false_positive,
                    parts.false_negative,
                ] {
                    ui.label(figure(value));
                }
                ui.label(widgets::thousands(class.true_positives as usize));
                ui.label(widgets::thousands(class.false_positives as usize));
                ui.end_row();
            }
        });
}
