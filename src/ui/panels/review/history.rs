//! What was done, in words, whether it is saved, and where it goes.

use egui::{Button, RichText, Ui};

use crate::document::review::{ReviewSession, SaveState};
use crate::document::{Document, ExportProgress, Format};
use crate::ui::command::{Command, CommandQueue};
use crate::ui::panels::status_bar::duration_text;
use crate::ui::review_command::{ReviewCommand, format_name};
use crate::ui::theme;
use crate::ui::view::ViewState;
use crate::ui::widgets;

/// Steps on screen: what was done last is what somebody looks for.
const SHOWN: usize = 60;

const OF_SET: [Format; 6] = [
    Format::Coco,
    Format::Yolo,
    Format::Voc,
    Format::Cvat,
    Format::Csv,
    Format::Overlays,
];
const OF_PREDICTIONS: [Format; 3] = [Format::Predictions, Format::Results, Format::Html];

/// Draws history and export.
pub(super) fn history_ui(
    ui: &mut Ui,
    doc: &Document,
    review: &ReviewSession,
    view: &ViewState,
    out: &mut CommandQueue,
) {
    let c = theme::colours(ui);
    let (history, done) = (review.history(), review.history_position());
    widgets::section(ui, &format!("History · {}", widgets::thousands(done)));
    ui.add_space(theme::GRID);
    ui.horizontal_wrapped(|ui| {
        for (command, name) in [(ReviewCommand::Undo, "Undo"), (ReviewCommand::Redo, "Redo")] {
            let is_enabled = command.enabled(doc, view);
            let command = Command::Review(command);
            let button = ui.add_enabled(is_enabled, Button::new(name));
            if button
                .on_hover_text(widgets::command_hint(&command))
                .clicked()
            {
                out.push(command);
            }
        }
        let (text, colour) = match review.save_state() {
            SaveState::Saved => ("Saved".to_owned(), c.weak),
            SaveState::Saving => ("Saving".to_owned(), c.weak),
            SaveState::NotSaved(why) => (format!("Not saved: {why}"), c.error),
        };
        let saved = ui.add(egui::Label::new(RichText::new(text).color(colour)).wrap());
        if let Some(path) = review.database() {
            saved.on_hover_text(path.display().to_string());
        }
    });
    export_ui(ui, doc, view, out);
    ui.add_space(theme::GRID);
    if history.is_empty() {
        ui.colored_label(c.weak, "Nothing was done yet");
    }
    for (index, line) in history.iter().enumerate().rev().take(SHOWN) {
        // What was taken back is still there to be done again.
        let colour = if index < done { c.text } else { c.weak };
        let mut text = RichText::new(&line.words).size(theme::SMALL).color(colour);
        if index >= done {
            text = text.strikethrough();
        }
        ui.add(egui::Label::new(text).truncate())
            .on_hover_text(&line.at);
    }
    if history.len() > SHOWN {
        let more = widgets::thousands(history.len() - SHOWN);
        ui.colored_label(
            c.weak,
            format!("and {more} before; all are in the audit trail"),
        );
    }
}

fn export_ui(ui: &mut Ui, doc: &Document, view: &ViewState, out: &mut CommandQueue) {
    ui.horizontal_wrapped(|ui| {
        ui.menu_button("Export…", |ui| {
            let section = |ui: &mut Ui, formats: &[Format], out: &mut CommandQueue| {
                for &format in formats {
                    let command = ReviewCommand::Export(format);
                    let is_enabled = command.enabled(doc, view);
                    let button = ui.add_enabled(is_enabled, Button::new(format_name(format)));
                    if button.clicked() {
                        out.push(Command::Review(command));
                        ui.close();
                    }
                }
            };
            widgets::section(ui, "Corrected set");
            section(ui, &OF_SET, out);
            if ui.button("Audit trail").clicked() {
                out.push(Command::Review(ReviewCommand::ExportAudit));
                ui.close();
            }
            widgets::section(ui, "Predictions, not the rejected ones");
            section(ui, &OF_PREDICTIONS, out);
        });
        let hint = "Writes the corrected set, then opens the fine-tune dialog with it";
        if ui.button("Fine-tune on it…").on_hover_text(hint).clicked() {
            out.push(Command::Review(ReviewCommand::FineTune));
        }
    });
    if let Some(progress) = doc.export_progress() {
        progress_ui(ui, &progress, out);
    }
}

/// How far an export is, and a button that stops it.
fn progress_ui(ui: &mut Ui, progress: &ExportProgress, out: &mut CommandQueue) {
    let name = progress.out.file_name().unwrap_or_default();
    let text = match progress.total {
        0 => format!("Writing {}", name.display()),
        total => format!("{} of {total} images", progress.done),
    };
    let share = progress.done as f32 / progress.total.max(1) as f32;
    ui.horizontal(|ui| {
        // A file that is written in one go is over before anybody could.
        if progress.total > 0
            && widgets::quiet_button(ui, "Cancel", theme::colours(ui).text).clicked()
        {
            out.push(Command::Review(ReviewCommand::CancelExport));
        }
        ui.add(egui::ProgressBar::new(share).text(text))
            .on_hover_text(progress.out.display().to_string());
    });
    if let Some(eta) = progress.eta.filter(|eta| eta.as_secs() > 0) {
        let left = format!("{} left", duration_text(eta));
        ui.colored_label(theme::colours(ui).weak, left);
    }
}
