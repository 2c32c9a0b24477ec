//! The status bar: what runs, where the pointer is, which mode, device and checkpoint.

use std::path::Path;
use std::time::Duration;

use egui::{Align, Layout, Ui};

use crate::document::{Document, ModelState, OpeningProgress, Progress};
use crate::ui::command::{Command, CommandQueue};
use crate::ui::panels::train;
use crate::ui::train_command::TrainCommand;
use crate::ui::view::{ViewState, Workspace};
use crate::ui::widgets::{self, thousands};
use crate::ui::{icons, theme};

/// Draws the status bar.
pub fn status_bar_ui(ui: &mut Ui, doc: &Document, view: &ViewState, out: &mut CommandQueue) {
    let c = theme::colours(ui);
    ui.style_mut().override_text_style = Some(egui::TextStyle::Small);
    ui.horizontal_centered(|ui| {
        ui.spacing_mut().item_spacing.x = 2.0 * theme::GRID;
        activity(ui, doc, view, out);
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            ui.spacing_mut().item_spacing.x = 4.0 * theme::GRID;
            checkpoint(ui, doc, out);
            if let ModelState::Ready(summary) = doc.model() {
                let text = format!("{} · {}", summary.device, summary.precision);
                ui.label(egui::RichText::new(text).color(c.weak))
                    .on_hover_text(&summary.backbone);
            }
            trains(ui, doc, view, out);
            ui.label(egui::RichText::new(mode(view)).color(c.weak))
                .on_hover_text("The mode decides what keys do; ? lists them");
            position(ui, view);
        });
    });
}

/// The workspace, and the tool in hand.
fn mode(view: &ViewState) -> String {
    let (workspace, drawing) = (view.workspace.label(), &view.review.drawing);
    match view.workspace == Workspace::Review && drawing.is_active() {
        true => format!("{workspace}: {}", drawing.tool.label()),
        false => workspace.to_owned(),
    }
}

/// What trains, while another workspace is open.
fn trains(ui: &mut Ui, doc: &Document, view: &ViewState, out: &mut CommandQueue) {
    let runs = doc.training().runs();
    let live = || runs.iter().filter(|run| run.condition.is_live());
    let Some(run) = live().next().filter(|_| view.workspace != Workspace::Train) else {
        return;
    };
    let c = theme::colours(ui);
    let text = match live().count() {
        1 => format!("Training {}: {}", run.name, train::status(run)),
        many => format!("{many} runs are training"),
    };
    if widgets::quiet_button(ui, &text, c.accent).clicked() {
        out.push(Command::Train(TrainCommand::Select(run.folder.clone())));
        out.push(Command::SetWorkspace(Workspace::Train));
    }
}

fn position(ui: &mut Ui, view: &ViewState) {
    if view.image.is_none() {
        return;
    }
    let c = theme::colours(ui);
    let zoom = format!("{:.0} %", view.canvas.zoom_percent());
    let text = match view.pointer {
        Some((x, y)) => format!("x {} y {} · {zoom}", x.floor(), y.floor()),
        None => zoom,
    };
    ui.label(egui::RichText::new(text).color(c.weak));
}

fn activity(ui: &mut Ui, doc: &Document, view: &ViewState, out: &mut CommandQueue) {
    let c = theme::colours(ui);
    if let Some(opening) = doc.opening() {
        ui.colored_label(c.accent, icons::CIRCLE_HALF);
        ui.label(opening_text(&opening, doc.awaits_annotations()));
        if widgets::quiet_button(ui, "Cancel", c.text).clicked() {
            out.push(Command::CloseSet);
        }
    } else if let Some(path) = doc.attaching() {
        ui.colored_label(c.accent, icons::CIRCLE_HALF);
        ui.label(format!("Reading {}", file_name(path)));
    } else if let Some(progress) = doc.progress() {
        job(ui, doc, &progress, out);
    } else if let ModelState::Loading(path) = doc.model() {
        ui.colored_label(c.accent, icons::CIRCLE_HALF);
        ui.label(format!("Loading {}", file_name(path)));
    } else if !doc.images().is_empty() {
        ui.label(egui::RichText::new(rest_text(doc)).color(c.weak));
        if Command::RunModel.enabled(doc, view)
            && widgets::quiet_button(ui, "Run the model", c.accent)
                .on_hover_text(widgets::command_hint(&Command::RunModel))
                .clicked()
        {
            out.push(Command::RunModel);
        }
    }
}

fn job(ui: &mut Ui, doc: &Document, progress: &Progress, out: &mut CommandQueue) {
    let c = theme::colours(ui);
    let (icon, colour) = if progress.is_paused {
        (icons::PAUSE, c.warning)
    } else {
        (icons::CIRCLE_HALF, c.accent)
    };
    ui.colored_label(colour, icon);
    let text = match doc.model() {
        ModelState::Loading(path) => format!("Loading {}", file_name(path)),
        _ => job_text(progress),
    };
    ui.label(text);
    let name = if progress.is_paused {
        "Resume"
    } else {
        "Pause"
    };
    if widgets::quiet_button(ui, name, c.text).clicked() {
        out.push(Command::TogglePause);
    }
    if widgets::quiet_button(ui, "Cancel", c.text).clicked() {
        out.push(Command::CancelJob);
    }
}

/// As in `Opening val.json · 42 % · 5,000 images`.
fn opening_text(opening: &OpeningProgress<'_>, awaits_annotations: bool) -> String {
    let name = file_name(opening.path);
    let mut text = match awaits_annotations {
        true => format!("Reading annotations of {name}"),
        false => format!("Opening {name}"),
    };
    if opening.share > 0.0 {
        text += &format!(" · {:.0} %", opening.share * 100.0);
    }
    if opening.images > 0 && !awaits_annotations {
        text += &format!(" · {} images so far", thousands(opening.images));
    }
    text
}

/// As in `Detecting 214 of 5,000 · 3.1 images/s · 25 min left`.
fn job_text(progress: &Progress) -> String {
    let verb = if progress.is_paused {
        "Paused at"
    } else {
        "Detecting"
    };
    let mut text = format!(
        "{verb} {} of {}",
        thousands(progress.done),
        thousands(progress.total)
    );
    if progress.is_paused {
        return text;
    }
    if progress.images_per_second > 0.0 {
        let rate = progress.images_per_second;
        let rate = if rate < 0.1 {
            format!("{:.0} s an image", 1.0 / rate)
        } else {
            format!("{rate:.1} images/s")
        };
        text.push_str(&format!(" · {rate}"));
    }
    if let Some(left) = progress.eta {
        text.push_str(&format!(" · {} left", duration_text(left)));
    }
    text
}

/// In the unit that matters: `40 s`, `25 min`, `3 h 10 min`.
pub fn duration_text(duration: Duration) -> String {
    let seconds = duration.as_secs_f64().ceil() as u64;
    match seconds {
        0..=89 => format!("{seconds} s"),
        90..=5_399 => format!("{} min", seconds.div_ceil(60)),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

/// What is there while nothing runs.
fn rest_text(doc: &Document) -> String {
    let all = doc.images().len();
    let plural = if all == 1 { "" } else { "s" };
    let done = all - doc.outstanding().min(all);
    match done {
        0 if matches!(doc.model(), ModelState::None) => {
            let what = match doc.has_truth() {
                true => "annotations only",
                false => "nothing is detected",
            };
            format!(
                "{} image{plural} · no checkpoint is loaded: {what}",
                thousands(all)
            )
        }
        0 => format!("{} image{plural}", thousands(all)),
        _ if done == all => format!("{} image{plural} with predictions", thousands(all)),
        _ => format!(
            "{} of {} images with predictions",
            thousands(done),
            thousands(all)
        ),
    }
}

fn checkpoint(ui: &mut Ui, doc: &Document, out: &mut CommandQueue) {
    let c = theme::colours(ui);
    let colour = match doc.model() {
        ModelState::Failed(..) => c.error,
        ModelState::None => c.text,
        _ => c.weak,
    };
    let response = widgets::quiet_button(ui, &checkpoint_text(doc), colour);
    let hint = match doc.model() {
        ModelState::Failed(_, why) => why.clone(),
        ModelState::Ready(summary) => format!(
            "{}\n{}, {} values, {}",
            summary.checkpoint.display(),
            summary.backbone,
            thousands(summary.parameters),
            summary.dialect
        ),
        _ => widgets::command_hint(&Command::OpenCheckpoint),
    };
    if response.on_hover_text(hint).clicked() {
        out.push(Command::OpenCheckpoint);
    }
}

/// The checkpoint as status bar and start screen name it.
pub fn checkpoint_text(doc: &Document) -> String {
    match doc.model() {
        ModelState::None => "No checkpoint".to_owned(),
        ModelState::Chosen(path) => file_name(path),
        ModelState::Loading(path) => format!("Loading {}", file_name(path)),
        ModelState::Ready(summary) => file_name(&summary.checkpoint),
        ModelState::Failed(path, _) => format!("{} was refused", file_name(path)),
    }
}

fn file_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or(path.as_os_str());
    name.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_job_reads_like_a_sentence() {
        let progress = Progress {
            done: 214,
            total: 5000,
            images_per_second: 3.1,
            eta: Some(Duration::from_secs(1500)),
            is_paused: false,
        };
        assert_eq!(
            job_text(&progress),
            "Detecting 214 of 5,000 · 3.1 images/s · 25 min left"
        );
        let paused = Progress {
            is_paused: true,
            ..progress
        };
        assert_eq!(job_text(&paused), "Paused at 214 of 5,000");
    }

    #[test]
    fn durations_have_the_unit_that_matters() {
        for (seconds, expected) in [
            (0, "0 s"),
            (40, "40 s"),
            (90, "2 min"),
            (1500, "25 min"),
            (11_400, "3 h 10 min"),
        ] {
            assert_eq!(duration_text(Duration::from_secs(seconds)), expected);
        }
    }
}
