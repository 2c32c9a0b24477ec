//! The sheet of keys, under `?`.

use egui::Grid;

use crate::ui::command::{Command, Group};
use crate::ui::{keys, theme, widgets};

const COLUMN: f32 = 330.0;
const ROW: f32 = 18.0;

/// Draws it; true when it is to be closed.
pub fn keys_sheet_ui(ctx: &egui::Context) -> bool {
    let modal = widgets::modal(ctx, "keys", 16);
    let height = ctx.content_rect().height() - 96.0;
    let response = modal.show(ctx, |ui| {
        ui.set_width(2.0 * COLUMN + 6.0 * theme::GRID);
        ui.label(widgets::strong("Keys", theme::HEADING));
        ui.add_space(2.0 * theme::GRID);
        egui::ScrollArea::vertical()
            .max_height(height)
            .min_scrolled_height(height)
            .show(ui, |ui| {
                ui.horizontal_top(|ui| {
                    column(ui, &[Group::Go, Group::File, Group::Review]);
                    ui.add_space(4.0 * theme::GRID);
                    column(
                        ui,
                        &[Group::View, Group::Model, Group::Train, Group::Window],
                    );
                });
            });
    });
    response.backdrop_response.clicked()
}

fn column(ui: &mut egui::Ui, groups: &[Group]) {
    let c = theme::colours(ui);
    ui.vertical(|ui| {
        ui.set_width(COLUMN);
        ui.spacing_mut().interact_size.y = ROW;
        for group in groups {
            widgets::section(ui, group.label());
            Grid::new(group.label())
                .num_columns(2)
                .min_col_width(COLUMN / 3.0)
                .spacing([2.0 * theme::GRID, theme::GRID])
                .show(ui, |ui| {
                    let commands = Command::listed().into_iter();
                    for command in commands.filter(|command| command.group() == *group) {
                        let keys = keys::all_shortcuts_text(&command);
                        if keys.is_empty() {
                            continue;
                        }
                        ui.colored_label(c.accent, keys);
                        ui.label(command.label());
                        ui.end_row();
                    }
                    let others: &[_] = match group {
                        Group::View => &MOUSE,
                        Group::Review => &TOOLS,
                        _ => &[],
                    };
                    for (key, does) in others {
                        ui.colored_label(c.accent, *key);
                        ui.label(*does);
                        ui.end_row();
                    }
                });
            ui.add_space(3.0 * theme::GRID);
        }
    });
}

/// What the pointer does on the canvas.
const MOUSE: [(&str, &str); 3] = [
    ("Space + drag", "Pan; the middle button pans too"),
    ("Wheel", "Zoom about the pointer"),
    ("Click again", "The next mask below"),
];

/// How a tool is used without a mouse.
const TOOLS: [(&str, &str); 3] = [
    ("Alt + arrow", "Lead the pointer of the tool in hand"),
    ("Alt + Shift + arrow", "Ten times as far"),
    ("Alt + Enter", "Press it, or let go; a corner of a polygon"),
];
