//! The classes of the training set: how often each occurs, whether the checkpoint knows it, merging, renaming, dropping.

use egui::{Align2, FontId, Rect, Sense, Ui, pos2, vec2};

use super::fields;
use crate::document::training::{ClassCount, FineTune, PreflightReport};
use crate::ui::panels::parts;
use crate::ui::widgets::{self, thousands};
use crate::ui::{icons, theme};

/// Height of a class.
const ROW: f32 = 26.0;
/// Width of the bar of a class.
const BAR: f32 = 72.0;
/// Width of the two buttons.
const BUTTONS: f32 = 76.0;
/// Rows on screen; the rest scrolls.
const ROWS: usize = 8;

/// Draws changes and table.
pub fn classes_ui(ui: &mut Ui, report: &PreflightReport, draft: &mut FineTune) {
    let known = report.classes.iter().filter(|class| class.known).count();
    let title = format!(
        "Classes: {}, of which the checkpoint knows {}",
        thousands(report.classes.len()),
        thousands(known)
    );
    widgets::section(ui, &title);
    changes(ui, draft);
    let most = report.classes.iter().map(|class| class.annotations).max();
    let most = most.unwrap_or(0).max(1);
    let width = ui.available_width();
    ui.spacing_mut().item_spacing.y = 0.0;
    egui::ScrollArea::vertical()
        .id_salt("classes of the set")
        .max_height(ROW * ROWS as f32)
        .auto_shrink([false, true])
        .show_rows(ui, ROW, report.classes.len(), |ui, rows| {
            for class in report.classes.get(rows).unwrap_or_default() {
                class_ui(ui, class, most, width, draft);
            }
        });
}

/// Draws the changes alone, where the classes are not known: one of them may be why.
pub fn changes_ui(ui: &mut Ui, draft: &mut FineTune) {
    if draft.renames.is_empty() && draft.drops.is_empty() {
        return;
    }
    widgets::section(ui, "Changes of classes");
    changes(ui, draft);
}

fn class_ui(ui: &mut Ui, class: &ClassCount, most: usize, width: f32, draft: &mut FineTune) {
    let c = theme::colours(ui);
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = 0.0;
        let (rect, response) = ui.allocate_exact_size(vec2(width - BUTTONS, ROW), Sense::hover());
        let counts = format!(
            "{} in {} images",
            thousands(class.annotations),
            thousands(class.images)
        );
        let state = if class.known { "known" } else { "new" };
        response.widget_info(|| {
            let text = format!("{}: {counts}, {state}", class.name);
            egui::WidgetInfo::labeled(egui::Role::Label, true, text)
        });
        let body = FontId::proportional(theme::BODY);
        let small = FontId::proportional(theme::SMALL);
        let middle = rect.center().y;
        let right = rect.right() - theme::GRID;
        let colour = if class.known { c.success } else { c.weak };
        let at = pos2(right, middle);
        parts::text(ui, at, Align2::RIGHT_CENTER, state, &small, colour);
        let at = pos2(right - 44.0, middle);
        let count = thousands(class.annotations);
        let written = parts::text(ui, at, Align2::RIGHT_CENTER, &count, &small, c.text);
        let bar = written.left().min(at.x - 40.0) - BAR - theme::GRID;
        let share = class.annotations as f64 / most as f64;
        parts::bar(ui, bar, middle, BAR, share);
        let end = bar - 2.0 * theme::GRID;
        widgets::elided(ui, rect.left_center(), end, &class.name, &body, c.text);
        response.on_hover_text(format!("{}: {counts}", class.name));
        buttons(ui, class, draft);
    });
}

fn buttons(ui: &mut Ui, class: &ClassCount, draft: &mut FineTune) {
    let is_target = draft.renames.iter().any(|(_, new)| *new == class.name);
    let is_dropped = draft.drops.contains(&class.name);
    let is_listed = is_dropped || draft.renames.iter().any(|(old, _)| *old == class.name);
    let name = format!("Rename or merge {}", class.name);
    let can_rename = !is_target && !is_listed;
    let rename = ui.add_enabled_ui(can_rename, |ui| widgets::icon_button(ui, icons::TAG, &name));
    let rename = rename
        .inner
        .on_disabled_hover_text("Its change is listed above the classes");
    if rename.clicked() {
        draft.renames.push((class.name.clone(), class.name.clone()));
    }
    let name = format!("Drop {}", class.name);
    let drop = ui.add_enabled_ui(!is_dropped, |ui| {
        widgets::icon_button(ui, icons::TRASH, &name)
    });
    if drop.inner.clicked() {
        draft.drop_class(&class.name);
    }
}

/// Renamed and dropped classes, each with a way back.
fn changes(ui: &mut Ui, draft: &mut FineTune) {
    let c = theme::colours(ui);
    let (mut renamed, mut dropped) = (None, None);
    for (at, (old, new)) in draft.renames.iter_mut().enumerate() {
        ui.horizontal(|ui| {
            let (rect, _) = ui.allocate_exact_size(vec2(fields::NAMES, ROW), Sense::hover());
            old_name(ui, rect, old, c);
            ui.colored_label(c.weak, icons::CARET_RIGHT);
            let name = format!("New name of {old}");
            let width = ui.available_width() - 40.0;
            let hint = "The same name twice merges";
            let is_refused = new.trim().is_empty();
            fields::text(ui, &name, new, width, hint, is_refused);
            let name = format!("Keep the name {old}");
            if widgets::icon_button(ui, icons::X, &name).clicked() {
                renamed = Some(at);
            }
        });
    }
    for (at, name) in draft.drops.iter().enumerate() {
        ui.horizontal(|ui| {
            let (rect, _) = ui.allocate_exact_size(vec2(fields::NAMES, ROW), Sense::hover());
            old_name(ui, rect, name, c);
            let width = ui.available_width() - 40.0;
            let (rect, _) = ui.allocate_exact_size(vec2(width, ROW), Sense::hover());
            let font = FontId::proportional(theme::BODY);
            widgets::elided(
                ui,
                rect.left_center(),
                rect.right(),
                "dropped",
                &font,
                c.weak,
            );
            let label = format!("Keep {name}");
            if widgets::icon_button(ui, icons::X, &label).clicked() {
                dropped = Some(at);
            }
        });
    }
    if let Some(at) = renamed {
        draft.renames.remove(at);
    }
    if let Some(at) = dropped {
        draft.drops.remove(at);
    }
}

fn old_name(ui: &Ui, rect: Rect, name: &str, c: &theme::Colours) {
    let font = FontId::proportional(theme::BODY);
    widgets::elided(ui, rect.left_center(), rect.right(), name, &font, c.text);
}
