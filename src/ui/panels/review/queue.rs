//! The queue below the canvas: how far it is, and the way through it.

use egui::{Button, ProgressBar, Ui};

use crate::document::Document;
use crate::ui::command::{Command, CommandQueue};
use crate::ui::review_command::{QUEUE, QueueOf, ReviewCommand};
use crate::ui::theme;
use crate::ui::view::ViewState;
use crate::ui::widgets;

/// Width of the bar.
const BAR: f32 = 120.0;

/// Draws the strip.
pub(super) fn queue_ui(ui: &mut Ui, doc: &Document, view: &ViewState, out: &mut CommandQueue) {
    let c = theme::colours(ui);
    ui.horizontal_centered(|ui| {
        let Some(review) = doc.review() else {
            ui.colored_label(c.weak, "No queue");
            return;
        };
        if let Some(queue) = review.queues().get(QUEUE) {
            let progress = queue.progress(review.opinions());
            let share = progress.reviewed as f32 / progress.total.max(1) as f32;
            ui.add(ProgressBar::new(share).desired_width(BAR));
            ui.label(progress.words());
            let buttons = [
                (ReviewCommand::Back, "Back"),
                (ReviewCommand::Skip, "Skip"),
                (ReviewCommand::NextInQueue, "Next"),
            ];
            for (command, name) in buttons {
                button(ui, doc, view, command, name, out);
            }
            ui.separator();
        } else {
            ui.colored_label(c.weak, "No queue yet: queue what the gallery shows");
        }
        ui.menu_button("New queue…", |ui| {
            let of = [
                (QueueOf::Annotations, "Annotations of the gallery"),
                (QueueOf::Predictions, "Predictions of the gallery"),
            ];
            for (of, name) in of {
                button(ui, doc, view, ReviewCommand::MakeQueue(of), name, out);
            }
        });
    });
}

fn button(
    ui: &mut Ui,
    doc: &Document,
    view: &ViewState,
    command: ReviewCommand,
    name: &str,
    out: &mut CommandQueue,
) {
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
