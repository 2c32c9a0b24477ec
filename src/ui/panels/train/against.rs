//! The selected run against what it began with: images that got better and worse.

use std::sync::Arc;

use egui::{Label, RichText, Ui};

use crate::document::Document;
use crate::document::training::Run;
use crate::ui::command::{Command, CommandQueue};
use crate::ui::picked::{Picked, PickedInstance, PickedKind};
use crate::ui::train_command::TrainCommand;
use crate::ui::view::{ViewState, Workspace};
use crate::ui::widgets::{self, Row, thousands};
use crate::ui::{icons, theme};

/// Draws the section.
pub fn against_ui(
    ui: &mut Ui,
    doc: &Document,
    view: &ViewState,
    run: &Run,
    out: &mut CommandQueue,
) {
    let c = theme::colours(ui);
    widgets::section(ui, "Against the start");
    let comparing = doc.comparing_with_start();
    if let Some((_, done)) = comparing.filter(|(folder, _)| *folder == run.folder) {
        ui.horizontal(|ui| {
            ui.colored_label(c.accent, icons::CIRCLE_HALF);
            ui.label(match done {
                0 => "The start sees the validation set",
                _ => "The best checkpoint sees it",
            });
            if widgets::quiet_button(ui, "Cancel", c.text).clicked() {
                out.push(Command::Train(TrainCommand::CancelAgainst));
            }
        });
    } else if let Some((_, balance)) = &view.train.balance {
        let images = [
            (icons::ARROW_UP, "better images", &balance.better),
            (icons::ARROW_DOWN, "worse images", &balance.worse),
        ];
        for (icon, name, images) in images {
            let row = Row {
                icon,
                right: &thousands(images.len()),
                enabled: !images.is_empty(),
                ..Row::new(name)
            };
            let hint =
                "Objects won and lost, false ones gone and new; IoU decides where these are even";
            if row.show(ui, theme::ROW).on_hover_text(hint).clicked() {
                let all = images.iter().map(|&image| PickedInstance {
                    image,
                    what: PickedKind::Image,
                });
                out.push(Command::Pick(Arc::new(Picked::new(name, all.collect()))));
                out.push(Command::SetWorkspace(Workspace::Compare));
            }
        }
        if let Some(note) = doc.note_against_start(run) {
            let text = RichText::new(note).size(theme::SMALL).color(c.warning);
            ui.add(Label::new(text).wrap());
        }
    } else {
        let command = TrainCommand::AgainstStart;
        let is_enabled = command.enabled(doc, view);
        let why = command.why_not(doc, view).unwrap_or_default();
        let button = ui.add_enabled(is_enabled, egui::Button::new(command.label().into_owned()));
        let hint = "Both checkpoints see the validation set; then images that got better and worse are shown";
        let button = button.on_hover_text(hint).on_disabled_hover_text(why);
        if button.clicked() {
            out.push(Command::Train(command));
        }
        if !is_enabled {
            let text = RichText::new(why).size(theme::SMALL).color(c.weak);
            ui.add(Label::new(text).wrap());
        }
    }
    ui.add_space(2.0 * theme::GRID);
}
