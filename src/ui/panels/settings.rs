//! The settings: theme, size of the interface, the cache.

use egui::Ui;

use crate::document::Document;
use crate::document::settings::Settings;
use crate::ui::command::{Command, CommandQueue};
use crate::ui::persist::Memory;
use crate::ui::view::ViewState;
use crate::ui::{theme, widgets};

const WIDTH: f32 = 380.0;
const NAMES: f32 = 128.0;

/// Draws them; true when they are to be closed.
pub fn settings_ui(
    ctx: &egui::Context,
    memory: &Memory,
    doc: &Document,
    view: &ViewState,
    out: &mut CommandQueue,
) -> bool {
    let modal = widgets::modal(ctx, "settings", 16);
    let response = modal.show(ctx, |ui| {
        ui.set_width(WIDTH);
        ui.label(widgets::strong("Settings", theme::HEADING));
        ui.add_space(2.0 * theme::GRID);
        row(ui, "Theme", |ui| theme_choice(ui, memory, out));
        row(ui, "Interface size", |ui| scale(ui, memory, out));
        row(ui, "Thumbnails", |ui| {
            button(ui, Command::ClearCache, doc, view, out)
        });
        row(ui, "Recent sets", |ui| {
            button(ui, Command::ForgetRecent, doc, view, out)
        });
        ui.add_space(2.0 * theme::GRID);
        if let Some(path) = Settings::default_path() {
            let c = theme::colours(ui);
            let text = format!("Kept in {}", path.display());
            let text = egui::RichText::new(text).size(theme::SMALL).color(c.weak);
            ui.add(egui::Label::new(text).wrap());
        }
        ui.add_space(2.0 * theme::GRID);
        ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
            ui.button("Close").clicked()
        })
        .inner
    });
    response.inner || response.backdrop_response.clicked()
}

fn row(ui: &mut Ui, name: &str, content: impl FnOnce(&mut Ui)) {
    ui.horizontal(|ui| {
        ui.set_min_height(theme::ROW + 8.0);
        let c = theme::colours(ui);
        let (rect, _) = ui.allocate_exact_size(egui::vec2(NAMES, theme::ROW), egui::Sense::hover());
        let font = egui::FontId::proportional(theme::BODY);
        widgets::elided(ui, rect.left_center(), rect.right(), name, &font, c.weak);
        content(ui);
    });
}

fn theme_choice(ui: &mut Ui, memory: &Memory, out: &mut CommandQueue) {
    use egui::ThemePreference as Theme;
    let current = Theme::from(memory.theme);
    ui.spacing_mut().item_spacing.x = theme::GRID;
    for (theme, name) in [
        (Theme::System, "System"),
        (Theme::Dark, "Dark"),
        (Theme::Light, "Light"),
    ] {
        let tab =
            egui::Button::selectable(current == theme, name).min_size(egui::vec2(64.0, theme::ROW));
        if ui.add(tab).clicked() {
            out.push(Command::SetTheme(theme));
        }
    }
}

fn scale(ui: &mut Ui, memory: &Memory, out: &mut CommandQueue) {
    ui.spacing_mut().item_spacing.x = theme::GRID;
    let percent = format!("{:.0} %", memory.scale * 100.0);
    for (step, text) in [(-1, "-"), (0, percent.as_str()), (1, "+")] {
        let command = Command::ScaleInterface(step);
        let width = if step == 0 { 64.0 } else { 32.0 };
        let button = egui::Button::new(text).min_size(egui::vec2(width, theme::ROW));
        let response = ui.add(button);
        response
            .widget_info(|| egui::WidgetInfo::labeled(egui::Role::Button, true, command.label()));
        let hint = widgets::command_hint(&command);
        if response.on_hover_text(hint).clicked() {
            out.push(command);
        }
    }
}

fn button(ui: &mut Ui, command: Command, doc: &Document, view: &ViewState, out: &mut CommandQueue) {
    let button = egui::Button::new(command.label());
    if ui.add_enabled(command.enabled(doc, view), button).clicked() {
        out.push(command);
    }
}
