//! The queue below the canvas: how far it is, and the way through it.

use egui::{Button, Label, ProgressBar, RichText, Ui};

use crate::document::Document;
use crate::ui::command::{Command, CommandQueue};
use crate::ui::review_command::ReviewCommand;
use crate::ui::review_queue::{QUEUE, QueueOf};
use crate::ui::saved_views;
use crate::ui::theme;
use crate::ui::view::ViewState;
use crate::ui::widgets;

/// Width of the bar.
const BAR: f32 = 120.0;

/// Draws the strip.
pub(super) fn queue_ui(ui: &mut Ui, doc: &Document, view: &mut ViewState, out: &mut CommandQueue) {
    let c = theme::colours(ui);
    ui.horizontal_centered(|ui| {
        let Some(review) = doc.review() else {
            ui.colored_label(c.weak, "No queue");
            return;
        };
        if let Some(queue) = review.queues().get(QUEUE) {
            let progress = view.review.progress_of(review, queue);
            let share = progress.reviewed as f32 / progress.total.max(1) as f32;
            ui.add(ProgressBar::new(share).desired_width(BAR));
            ui.label(progress.words()).on_hover_text(&queue.title);
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
                (QueueOf::Suspects, "Suspects of the evaluation"),
            ];
            for (of, name) in of {
                button(ui, doc, view, ReviewCommand::MakeQueue(of), name, out);
            }
            let saved = saved_views::of_open_set(doc);
            if !saved.is_empty() {
                ui.separator();
            }
            for saved in saved {
                let of = QueueOf::View(saved.name.clone());
                let name = format!("View: {}", saved.name);
                button(ui, doc, view, ReviewCommand::MakeQueue(of), &name, out);
            }
        });
        if let Some(queue) = review.queues().get(QUEUE) {
            let is_current = queue.current() == view.review.selected.as_ref();
            let text = match queue.reason().filter(|_| is_current) {
                Some(reason) => reason,
                None => &queue.title,
            };
            ui.add(Label::new(RichText::new(text).color(c.weak)).truncate())
                .on_hover_text(text);
        }
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
