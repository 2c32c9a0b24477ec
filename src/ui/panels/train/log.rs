//! The end of the selected run's log.

use egui::{Align, FontId, Layout, Role, ScrollArea, Sense, Ui, WidgetInfo, vec2};

use crate::document::Document;
use crate::ui::view::ViewState;
use crate::ui::{icons, theme, train_command, widgets};

const ROW: f32 = 17.0;

/// Draws it into the rest of `ui`.
pub fn log_ui(ui: &mut Ui, doc: &Document, view: &ViewState) {
    let run = train_command::selected(doc, view);
    let log = run.and_then(|run| run.details.as_ref()?.log.as_ref());
    ui.horizontal(|ui| {
        widgets::section(ui, "Log of the run");
        let Some(log) = log else { return };
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            let copies = widgets::icon_button(ui, icons::COPY, "Copy the log of the run");
            if copies.clicked() {
                ui.ctx().copy_text(log.text.clone());
            }
            let name = log.path.file_name().unwrap_or(log.path.as_os_str());
            let text = egui::RichText::new(name.to_string_lossy()).size(theme::SMALL);
            ui.add(egui::Label::new(text.color(theme::colours(ui).weak)).truncate())
                .on_hover_text(log.path.display().to_string());
        });
    });
    let Some(log) = log else {
        ui.weak("Nothing was logged yet");
        return;
    };
    let lines: Vec<&str> = log.text.lines().collect();
    ui.spacing_mut().item_spacing.y = 0.0;
    ScrollArea::vertical()
        .auto_shrink([false, false])
        .stick_to_bottom(true)
        .show_rows(ui, ROW, lines.len(), |ui, rows| {
            for line in lines.get(rows).unwrap_or_default() {
                line_ui(ui, line);
            }
        });
}

fn line_ui(ui: &mut Ui, line: &str) {
    let c = theme::colours(ui);
    let size = vec2(ui.available_width(), ROW);
    let (rect, response) = ui.allocate_exact_size(size, Sense::hover());
    response.widget_info(|| WidgetInfo::labeled(Role::Label, true, line));
    let colour = if line.contains("] ERROR") {
        c.error
    } else if line.contains("] WARN") {
        c.warning
    } else {
        c.text
    };
    let font = FontId::proportional(theme::SMALL);
    widgets::elided(ui, rect.left_center(), rect.right(), line, &font, colour);
    response.on_hover_text(line);
}
