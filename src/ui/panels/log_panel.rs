//! The log: what was said since the start, also by messages that are closed.

use std::collections::VecDeque;

use egui::{Align, Layout, ScrollArea, Ui};

use crate::document::logging::{self, LogLine};
use crate::ui::command::{Command, CommandQueue};
use crate::ui::{icons, theme, widgets};

/// Lines kept; as many as the buffer behind them.
const KEPT: usize = 2_000;
/// Height at the first start.
pub const HEIGHT: f32 = 180.0;
const ROW: f32 = 18.0;

/// The lines that were read so far.
#[derive(Default)]
pub struct LogPanel {
    lines: VecDeque<LogLine>,
    next: u64,
}

impl LogPanel {
    /// Reads what is new.
    pub fn read(&mut self) {
        for line in logging::lines_since(self.next) {
            self.next = line.number + 1;
            if self.lines.len() == KEPT {
                self.lines.pop_front();
            }
            self.lines.push_back(line);
        }
    }

    /// All lines as text.
    pub fn text(&self) -> String {
        let lines = self.lines.iter();
        lines
            .map(|line| format!("{} {}: {}\n", line.level, line.target, line.message))
            .collect()
    }

    /// Draws the panel.
    pub fn show(&mut self, ui: &mut Ui, out: &mut CommandQueue) {
        self.read();
        ui.horizontal(|ui| {
            widgets::section(ui, "Log");
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                if widgets::icon_button(ui, icons::X, "Close the log").clicked() {
                    out.push(Command::ToggleLog);
                }
                if widgets::icon_button(ui, icons::COPY, "Copy the log").clicked() {
                    out.push(Command::CopyLog);
                }
            });
        });
        if self.lines.is_empty() {
            ui.weak("Nothing was logged yet");
            return;
        }
        ui.spacing_mut().item_spacing.y = 0.0;
        ScrollArea::vertical()
            .auto_shrink([false, false])
            .stick_to_bottom(true)
            .show_rows(ui, ROW, self.lines.len(), |ui, rows| {
                for at in rows {
                    if let Some(line) = self.lines.get(at) {
                        line_ui(ui, line);
                    }
                }
            });
    }
}

fn line_ui(ui: &mut Ui, line: &LogLine) {
    let c = theme::colours(ui);
    let (name, colour) = match line.level {
        log::Level::Error => ("error", c.error),
        log::Level::Warn => ("warning", c.warning),
        _ => ("info", c.weak),
    };
    let (rect, response) =
        ui.allocate_exact_size(egui::vec2(ui.available_width(), ROW), egui::Sense::hover());
    response.widget_info(|| {
        egui::WidgetInfo::labeled(egui::Role::Label, true, format!("{name}: {}", line.message))
    });
    let font = egui::FontId::proportional(theme::SMALL);
    let at = rect.left_center();
    widgets::elided(ui, at, at.x + 56.0, name, &font, colour);
    let first = line.message.lines().next().unwrap_or_default();
    let at = egui::pos2(at.x + 60.0, at.y);
    widgets::elided(ui, at, rect.right(), first, &font, c.text);
    response.on_hover_text(&line.message);
}
