//! The fine-tune dialog: what the run is to be on the left, what the preflight says about it on the right, the command
//! line that does the same below.

mod classes;
mod fields;
mod form;
mod report;

use egui::{Align, Key, Layout, Modifiers, RichText, ScrollArea, Ui, vec2};

use crate::document::Document;
use crate::ui::command::{Command, CommandQueue};
use crate::ui::train_command::TrainCommand;
use crate::ui::view::ViewState;
use crate::ui::{icons, theme, widgets};

/// Width of one column.
const COLUMN: f32 = 440.0;
/// Between the columns.
const GAP: f32 = 24.0;
/// Taken by title, command line and buttons.
const AROUND: f32 = 236.0;
/// Most of the height that is used: a taller dialog would be a page.
const TALLEST: f32 = 620.0;

/// What the dialog shows beside the draft. It can be deleted without losing work.
#[derive(Default)]
pub struct FineTuneView {
    /// A setting that is being typed.
    setting: String,
}

/// Draws it; true when it is to be closed.
pub fn fine_tune_ui(
    ctx: &egui::Context,
    doc: &mut Document,
    view: &mut ViewState,
    out: &mut CommandQueue,
) -> bool {
    if let Some(wait) = doc.tend_draft() {
        ctx.request_repaint_after(wait);
    }
    let window = ctx.content_rect();
    let two = window.width() >= 2.0 * COLUMN + GAP + 80.0;
    let width = if two { 2.0 * COLUMN + GAP } else { COLUMN };
    let width = width.min(window.width() - 64.0);
    let height = (window.height() - AROUND).clamp(120.0, TALLEST);
    let modal = widgets::modal(ctx, "fine-tune", 16);
    let response = modal.show(ctx, |ui| {
        ui.set_width(width);
        ui.label(widgets::strong("Fine-tune", theme::HEADING));
        ui.add_space(2.0 * theme::GRID);
        if two {
            columns(ui, height, doc, view, out);
        } else {
            scroll(ui, "fine-tune form", height, |ui| {
                form::form_ui(ui, doc, view, out);
                report::report_ui(ui, doc, out);
            });
        }
        ui.separator();
        command_line(ui, doc);
        ui.add_space(theme::GRID);
        buttons(ui, doc, view, out)
    });
    view.train.dialog_opened = false;
    response.inner
}

fn columns(
    ui: &mut Ui,
    height: f32,
    doc: &mut Document,
    view: &mut ViewState,
    out: &mut CommandQueue,
) {
    ui.horizontal_top(|ui| {
        ui.spacing_mut().item_spacing.x = GAP;
        let layout = Layout::top_down(Align::Min);
        ui.allocate_ui_with_layout(vec2(COLUMN, height), layout, |ui| {
            scroll(ui, "fine-tune form", height, |ui| {
                form::form_ui(ui, doc, view, out);
            });
        });
        ui.allocate_ui_with_layout(vec2(COLUMN, height), layout, |ui| {
            scroll(ui, "fine-tune report", height, |ui| {
                report::report_ui(ui, doc, out);
            });
        });
    });
}

fn scroll(ui: &mut Ui, name: &'static str, height: f32, content: impl FnOnce(&mut Ui)) {
    ScrollArea::vertical()
        .id_salt(name)
        .max_height(height)
        .min_scrolled_height(height)
        .auto_shrink([false, false])
        .show(ui, |ui| {
            // The scroll bar stands beside the fields.
            ui.set_max_width(ui.available_width() - 10.0);
            ui.spacing_mut().item_spacing = vec2(2.0 * theme::GRID, theme::GRID);
            content(ui);
        });
}

/// What does the same in a terminal.
fn command_line(ui: &mut Ui, doc: &Document) {
    let c = theme::colours(ui);
    let line = doc.training().draft().command_line();
    ui.horizontal(|ui| {
        widgets::section(ui, "Does the same in a terminal");
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            if widgets::quiet_button(ui, "Copy command line", c.accent).clicked() {
                ui.ctx().copy_text(line.clone());
            }
        });
    });
    let text = RichText::new(&line).size(theme::SMALL);
    ScrollArea::vertical()
        .id_salt("fine-tune command line")
        .max_height(46.0)
        .min_scrolled_height(46.0)
        .auto_shrink([false, false])
        .show(ui, |ui| {
            ui.add(egui::Label::new(text).wrap().selectable(true));
        });
}

fn buttons(ui: &mut Ui, doc: &Document, view: &ViewState, out: &mut CommandQueue) -> bool {
    let c = theme::colours(ui);
    let start = TrainCommand::Start;
    let blocker = doc.training().blocker();
    let can_start = start.enabled(doc, view);
    let mut is_done = false;
    ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
        let (fill, colour) = match can_start {
            true => (c.accent, c.on_accent),
            false => (c.field, c.weak),
        };
        let text = RichText::new("Start").color(colour);
        let button = egui::Button::new(text).fill(fill);
        let button = ui.add_enabled(can_start, button.min_size(vec2(72.0, 28.0)));
        let why = blocker.as_deref().unwrap_or_default();
        let pressed = ui.input_mut(|input| input.consume_key(Modifiers::COMMAND, Key::Enter));
        let clicked = button
            .on_hover_text("Start training   Ctrl+Enter")
            .on_disabled_hover_text(why)
            .clicked();
        if can_start && (clicked || pressed) {
            out.push(Command::Train(start));
        }
        let cancel = egui::Button::new("Cancel").min_size(vec2(72.0, 28.0));
        is_done = ui.add(cancel).clicked();
        ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
            if let Some(why) = &blocker {
                let is_checking = doc.training().checks().running().is_some();
                let (icon, colour) = match is_checking {
                    true => (icons::CIRCLE_HALF, c.weak),
                    false => (icons::WARNING_CIRCLE, c.warning),
                };
                ui.colored_label(colour, icon);
                ui.add(egui::Label::new(RichText::new(why).color(colour)).truncate());
            }
        });
    });
    is_done
}
