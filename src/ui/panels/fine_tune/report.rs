//! The preflight: what would go wrong, which classes, which heads start anew, memory, time, proposals.

use egui::{Align, CollapsingHeader, Color32, Layout, RichText, Ui};

use super::classes;
use crate::document::Document;
use crate::document::training::{Finding, FineTune, PreflightReport, Severity};
use crate::ui::command::{Command, CommandQueue};
use crate::ui::panels::train::seconds_text;
use crate::ui::train_command::TrainCommand;
use crate::ui::widgets::{self, thousands};
use crate::ui::{icons, theme};

/// Text below a sign begins here.
const INDENT: f32 = 16.0;

/// Draws what the last check found.
pub fn report_ui(ui: &mut Ui, doc: &mut Document, out: &mut CommandQueue) {
    head(ui, doc, out);
    let checks = doc.training().checks();
    let is_stale = checks.is_stale(doc.training().draft()) && checks.running().is_none();
    let found = checks.found().map(|found| found.result.clone());
    let c = theme::colours(ui);
    if is_stale {
        let text = RichText::new("Values have changed since this check").size(theme::SMALL);
        ui.label(text.color(c.weak));
    }
    match found {
        None => {
            let text = "As soon as the sets are chosen they are looked through here: files, classes, memory, time";
            ui.add(egui::Label::new(RichText::new(text).color(c.weak)).wrap());
        }
        Some(Err(error)) => {
            sign(ui, icons::WARNING_CIRCLE, c.error, |ui| {
                ui.add(egui::Label::new(RichText::new(error).color(c.text)).wrap());
            });
        }
        Some(Ok(report)) => {
            findings(ui, &report);
            if !was_read(&report) {
                ui.add_space(theme::GRID);
                classes::changes_ui(ui, doc.draft_mut());
                return;
            }
            measures(ui, &report);
            proposals(ui, &report, doc.draft_mut());
            reinitialised(ui, &report);
            ui.add_space(theme::GRID);
            classes::classes_ui(ui, &report, doc.draft_mut());
        }
    }
}

fn head(ui: &mut Ui, doc: &Document, out: &mut CommandQueue) {
    let c = theme::colours(ui);
    let running = doc.training().checks().running();
    let can_check = doc.training().draft().problems().is_empty();
    ui.horizontal(|ui| {
        widgets::section(ui, "Preflight");
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            let mut push = |command| out.push(Command::Train(command));
            match running {
                Some(with_trial) => {
                    if widgets::quiet_button(ui, "Cancel the check", c.text).clicked() {
                        push(TrainCommand::CancelCheck);
                    }
                    let text = match with_trial {
                        true => "Measuring time and memory",
                        false => "Checking",
                    };
                    ui.label(RichText::new(text).size(theme::SMALL).color(c.accent));
                    ui.colored_label(c.accent, icons::CIRCLE_HALF);
                }
                None => {
                    for (command, hint) in [
                        (
                            TrainCommand::MeasureTime,
                            "Takes a few steps and measures them",
                        ),
                        (
                            TrainCommand::Check,
                            "Looks through sets, classes and settings",
                        ),
                    ] {
                        let button = egui::Button::new(command.label().into_owned());
                        let button = ui.add_enabled(can_check, button).on_hover_text(hint);
                        if button.clicked() {
                            push(command);
                        }
                    }
                }
            }
        });
    });
}

/// A sign, and text that wraps right of it.
fn sign(ui: &mut Ui, icon: &str, colour: Color32, content: impl FnOnce(&mut Ui)) {
    ui.horizontal_top(|ui| {
        ui.colored_label(colour, icon);
        ui.vertical(content);
    });
}

fn has_errors(report: &PreflightReport) -> bool {
    let mut findings = report.findings.iter();
    findings.any(|finding| finding.severity == Severity::Error)
}

/// Whether the check came as far as the sets; else its other numbers are none.
fn was_read(report: &PreflightReport) -> bool {
    report.train_images > 0 || !has_errors(report)
}

fn findings(ui: &mut Ui, report: &PreflightReport) {
    let c = theme::colours(ui);
    if !has_errors(report) {
        sign(ui, icons::CHECK, c.success, |ui| {
            let text = format!(
                "{} images to train on, {} to validate",
                thousands(report.train_images),
                thousands(report.val_images)
            );
            ui.label(text);
        });
    }
    for finding in &report.findings {
        finding_ui(ui, finding);
    }
}

fn finding_ui(ui: &mut Ui, finding: &Finding) {
    let c = theme::colours(ui);
    let (icon, colour, name) = match finding.severity {
        Severity::Error => (icons::WARNING_CIRCLE, c.error, "error"),
        Severity::Warning => (icons::WARNING, c.warning, "warning"),
        Severity::Note => (icons::INFO, c.weak, "note"),
    };
    sign(ui, icon, colour, |ui| {
        ui.spacing_mut().item_spacing.y = 1.0;
        let what = ui.add(egui::Label::new(&finding.what).wrap());
        what.widget_info(|| {
            let text = format!("{name}: {}", finding.what);
            egui::WidgetInfo::labeled(egui::Role::Label, true, text)
        });
        for (text, colour) in [(&finding.place, c.weak), (&finding.fix, c.text)] {
            if !text.is_empty() {
                let text = RichText::new(text).size(theme::SMALL).color(colour);
                ui.add(egui::Label::new(text).wrap());
            }
        }
    });
    ui.add_space(2.0);
}

fn memory(ui: &mut Ui, report: &PreflightReport) {
    let c = theme::colours(ui);
    let gib = |mib: f64| format!("{:.1}", mib / 1024.0);
    let (needed, device) = (gib(report.memory_mib), &report.device);
    // 0: the machine does not tell, so nothing can be said about whether it suffices.
    let is_known = report.memory_free_mib > 0.0;
    let (icon, colour) = match report.memory_mib <= report.memory_free_mib {
        _ if !is_known => (icons::INFO, c.weak),
        true => (icons::CHECK, c.success),
        false => (icons::WARNING, c.warning),
    };
    let text = match is_known {
        true => format!(
            "About {needed} of {} GiB of memory that are free, on {device}",
            gib(report.memory_free_mib)
        ),
        false => format!("About {needed} GiB of memory, on {device}"),
    };
    sign(ui, icon, colour, |ui| {
        ui.add(egui::Label::new(text).wrap());
    });
}

fn measures(ui: &mut Ui, report: &PreflightReport) {
    let c = theme::colours(ui);
    memory(ui, report);
    let steps = format!(
        "{} epochs of {} steps",
        thousands(report.epochs),
        thousands(report.steps_per_epoch)
    );
    match (seconds_text(report.seconds_total), report.seconds_per_step) {
        (Some(total), Some(step)) => sign(ui, icons::CHECK, c.success, |ui| {
            let text = format!("About {total}: {steps}, {step:.2} s each as measured");
            ui.add(egui::Label::new(text).wrap());
        }),
        _ => sign(ui, icons::INFO, c.weak, |ui| {
            let text = format!("{steps}; “Measure time” takes a few and tells how long they are");
            ui.add(egui::Label::new(text).wrap());
        }),
    }
}

fn proposals(ui: &mut Ui, report: &PreflightReport, draft: &mut FineTune) {
    let c = theme::colours(ui);
    for proposal in &report.proposals {
        let (key, value) = (&proposal.key, &proposal.value);
        let is_used = draft.has(key, value);
        ui.horizontal(|ui| {
            ui.colored_label(c.accent, icons::SPARKLE);
            ui.label(widgets::strong(format!("{key} = {value}"), theme::BODY));
            if is_used {
                ui.colored_label(c.success, icons::CHECK);
                ui.weak("used");
                return;
            }
            let button = widgets::quiet_button(ui, "Use", c.accent);
            button.widget_info(|| {
                let name = format!("Use {key} {value}");
                egui::WidgetInfo::labeled(egui::Role::Button, true, name)
            });
            if button.clicked() {
                draft.apply(key, value);
            }
        });
        ui.horizontal_top(|ui| {
            ui.add_space(INDENT);
            let why = RichText::new(&proposal.why)
                .size(theme::SMALL)
                .color(c.weak);
            ui.add(egui::Label::new(why).wrap());
        });
    }
}

fn reinitialised(ui: &mut Ui, report: &PreflightReport) {
    let count = report.reinitialised.len();
    if count == 0 {
        return;
    }
    let title = match count {
        1 => "1 layer starts anew".to_owned(),
        many => format!("{many} layers start anew"),
    };
    CollapsingHeader::new(title).show(ui, |ui| {
        for name in &report.reinitialised {
            let text = RichText::new(name).size(theme::SMALL);
            ui.add(egui::Label::new(text).truncate());
        }
    });
}
