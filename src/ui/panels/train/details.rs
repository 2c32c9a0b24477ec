//! The right side: numbers, files, command line and configuration of the selected run, and what can be done with it.

use egui::{Align, CollapsingHeader, Layout, RichText, ScrollArea, Ui};

use super::against;
use super::list::{colour_of, seconds_text, status};
use crate::document::Document;
use crate::document::training::{ApKind, Condition, Run, RunRecord};
use crate::structures::shell;
use crate::ui::command::{Command, CommandQueue};
use crate::ui::panels::judged::figure;
use crate::ui::plot::MISSING;
use crate::ui::train_command::{self, TrainCommand};
use crate::ui::view::ViewState;
use crate::ui::widgets::{self, thousands};
use crate::ui::{icons, theme};

/// Height of a line.
const LINE: f32 = 19.0;
/// Lines of skipped images on screen; the rest scrolls.
const SKIPPED: f32 = 8.0;

/// The right side of the workspace.
pub fn train_right_ui(ui: &mut Ui, doc: &Document, view: &ViewState, out: &mut CommandQueue) {
    let c = theme::colours(ui);
    let Some(run) = train_command::selected(doc, view) else {
        ui.colored_label(c.weak, "No run is selected");
        return;
    };
    let name = widgets::strong(&run.name, theme::HEADING);
    ui.add(egui::Label::new(name).truncate())
        .on_hover_text(run.folder.display().to_string());
    let state = RichText::new(status(run)).color(colour_of(run.condition, c));
    ui.add(egui::Label::new(state).wrap());
    advice(ui, run);
    ui.add_space(theme::GRID);
    buttons(ui, doc, view, run, out);
    ui.add_space(2.0 * theme::GRID);
    ScrollArea::vertical()
        .auto_shrink([false, false])
        .show(ui, |ui| {
            // The scroll bar stands beside the values.
            ui.set_max_width(ui.available_width() - 2.0 * theme::GRID);
            ui.spacing_mut().interact_size.y = LINE;
            ui.spacing_mut().item_spacing.y = 2.0;
            if let Some(record) = &run.record {
                now(ui, run, record);
                best(ui, run, record);
                against::against_ui(ui, doc, view, run, out);
                data(ui, record);
                command_line(ui, record, out);
            }
            files(ui, run);
        });
}

/// What the state means for who reads it.
fn advice(ui: &mut Ui, run: &Run) {
    let c = theme::colours(ui);
    let message = run.record.as_ref().and_then(|it| it.message.clone());
    let text = match run.condition {
        Condition::Unreadable => run.damage.clone(),
        Condition::Interrupted => {
            let why = run.death.as_deref().unwrap_or("Its process is gone");
            Some(match run.can_resume() {
                true => format!("{why}. Resume goes on from the last checkpoint"),
                false => format!("{why}. It had not saved a checkpoint: start it anew"),
            })
        }
        // The state says it already.
        Condition::Failed | Condition::Starting => None,
        _ => message,
    };
    if let Some(text) = text {
        let text = RichText::new(text).size(theme::SMALL).color(c.weak);
        ui.add(egui::Label::new(text).wrap());
    }
}

fn buttons(ui: &mut Ui, doc: &Document, view: &ViewState, run: &Run, out: &mut CommandQueue) {
    let main = match run.condition.is_live() {
        true => (TrainCommand::Stop, "Stop"),
        false => (TrainCommand::Resume, "Resume"),
    };
    ui.horizontal_wrapped(|ui| {
        for (command, name) in [main, (TrainCommand::OpenBest, "Open best")] {
            let is_enabled = command.enabled(doc, view);
            let why = command.why_not(doc, view).unwrap_or_default();
            let command = Command::Train(command);
            let hint = widgets::command_hint(&command);
            let button = ui.add_enabled(is_enabled, egui::Button::new(name));
            if button
                .on_hover_text(hint)
                .on_disabled_hover_text(why)
                .clicked()
            {
                out.push(command);
            }
        }
        for (command, icon) in [
            (TrainCommand::Reveal, icons::FOLDER_OPEN),
            (TrainCommand::Delete, icons::TRASH),
        ] {
            let is_enabled = command.enabled(doc, view);
            let why = command.why_not(doc, view).unwrap_or_default();
            let command = Command::Train(command);
            let hint = widgets::command_hint(&command);
            let button = ui.add_enabled_ui(is_enabled, |ui| widgets::icon_button(ui, icon, &hint));
            if button.inner.on_disabled_hover_text(why).clicked() {
                out.push(command);
            }
        }
    });
}

/// Name left, value right.
pub fn row(ui: &mut Ui, name: &str, value: &str) {
    let c = theme::colours(ui);
    ui.horizontal(|ui| {
        ui.label(RichText::new(name).color(c.weak));
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            ui.add(egui::Label::new(value).truncate())
                .on_hover_text(value);
        });
    });
}

fn now(ui: &mut Ui, run: &Run, record: &RunRecord) {
    let is_live = run.condition.is_live();
    widgets::section(ui, if is_live { "Now" } else { "At its end" });
    let of = |done: usize, all: usize| format!("{} of {}", thousands(done), thousands(all));
    row(ui, "epoch", &of(record.epoch, record.epochs));
    row(ui, "step", &of(record.step, record.steps_per_epoch));
    if let Some(last) = run.series.last() {
        row(ui, "total loss", &format!("{:.3}", last.loss));
        row(ui, "images/s", &format!("{:.2}", last.images_per_second));
        let waits = 100.0 * last.data_time / last.step_time.max(1e-9);
        row(ui, "waiting for images", &format!("{waits:.0} %"));
        row(ui, "memory", &memory_text(last.memory_mib));
    }
    if is_live {
        let left = seconds_text(record.seconds_left);
        row(ui, "time left", left.as_deref().unwrap_or(MISSING));
    }
    row(ui, "device", &record.device);
    if run.refused > 0 {
        row(ui, "unreadable lines", &thousands(run.refused));
    }
    ui.add_space(2.0 * theme::GRID);
}

/// MiB in the unit that matters.
pub fn memory_text(mib: f64) -> String {
    match mib {
        _ if mib < 1000.0 => format!("{mib:.0} MiB"),
        _ => format!("{:.1} GiB", mib / 1024.0),
    }
}

fn best(ui: &mut Ui, run: &Run, record: &RunRecord) {
    widgets::section(ui, "Best so far");
    let Some(best) = &record.best else {
        let c = theme::colours(ui);
        let text = match &record.val_data {
            Some(_) => "AP is measured after each epoch",
            None => "There is no validation set, so AP is not measured",
        };
        ui.colored_label(c.weak, text);
        ui.add_space(2.0 * theme::GRID);
        return;
    };
    let mut eval = run.series.evals().iter();
    let eval = eval.rfind(|eval| eval.epoch == best.epoch);
    row(ui, "epoch", &best.epoch.to_string());
    row(ui, ApKind::Mask.label(), &figure(Some(best.seg_map)));
    for kind in [ApKind::Box, ApKind::MaskByScore] {
        let value = eval.map(|eval| kind.of(eval));
        row(ui, kind.label(), &figure(value));
    }
    row(ui, "checkpoint", &best.path);
    ui.add_space(2.0 * theme::GRID);
}

fn data(ui: &mut Ui, record: &RunRecord) {
    widgets::section(ui, "Data");
    row(ui, "training set", &record.train_data);
    let none = || MISSING.to_owned();
    let val = record.val_data.clone().unwrap_or_else(none);
    row(ui, "validation set", &val);
    let start = record.start_checkpoint.clone();
    let start = start.unwrap_or_else(|| "nothing".into());
    row(ui, "began with", &start);
    if !record.skipped.is_empty() {
        // The list ends somewhere; records of older builds have no count.
        let count = record.skipped_count.max(record.skipped.len());
        let title = match count - record.skipped.len() {
            0 => format!("{} images were skipped", thousands(count)),
            more => format!(
                "{} images were skipped, {} of them in the log alone",
                thousands(count),
                thousands(more)
            ),
        };
        CollapsingHeader::new(title).show(ui, |ui| skipped(ui, &record.skipped));
    }
    ui.add_space(2.0 * theme::GRID);
}

/// There may be thousands: only those on screen are laid out, each in one line.
fn skipped(ui: &mut Ui, images: &[(String, String)]) {
    ScrollArea::vertical()
        .id_salt("skipped images")
        .max_height(SKIPPED * LINE)
        .auto_shrink([false, true])
        .show_rows(ui, LINE, images.len(), |ui, rows| {
            for (path, reason) in images.get(rows).unwrap_or_default() {
                let text = format!("{path}: {reason}");
                let small = RichText::new(&text).size(theme::SMALL);
                let label = egui::Label::new(small).truncate();
                // As high as a line, whatever the font.
                ui.horizontal(|ui| ui.add(label).on_hover_text(text));
            }
        });
}

fn command_line(ui: &mut Ui, record: &RunRecord, out: &mut CommandQueue) {
    ui.horizontal(|ui| {
        widgets::section(ui, "Command line");
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            let copy = TrainCommand::CopyCommandLine;
            if widgets::icon_button(ui, icons::COPY, &copy.label()).clicked() {
                out.push(Command::Train(copy));
            }
        });
    });
    let line = shell::line(record.command.iter().map(String::as_str));
    let text = RichText::new(line).size(theme::SMALL);
    ui.add(egui::Label::new(text).wrap().selectable(true));
    ui.add_space(2.0 * theme::GRID);
}

fn files(ui: &mut Ui, run: &Run) {
    let Some(details) = &run.details else { return };
    let c = theme::colours(ui);
    widgets::section(ui, "Files");
    for (name, bytes) in &details.files {
        let mib = *bytes as f64 / (1024.0 * 1024.0);
        let size = match bytes {
            0..1024 => format!("{bytes} B"),
            1024..1_048_576 => format!("{:.0} KiB", *bytes as f64 / 1024.0),
            _ => memory_text(mib),
        };
        row(ui, name, &size);
    }
    ui.add_space(2.0 * theme::GRID);
    if !details.config.is_empty() {
        CollapsingHeader::new("Configuration").show(ui, |ui| {
            let text = RichText::new(&details.config).size(theme::SMALL);
            let text = text.color(c.text);
            ui.add(egui::Label::new(text).wrap().selectable(true));
        });
    }
}
