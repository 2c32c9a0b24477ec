//! The start: nothing is open. Three ways in, the checkpoint, and what was open before.

use std::path::Path;

use egui::{
    Align, Align2, FontId, Layout, Rect, Role, Sense, Stroke, StrokeKind, Ui, WidgetInfo, vec2,
};

use super::status_bar::checkpoint_text;
use super::top_bar::paint_mark;
use crate::document::{Document, ModelState};
use crate::ui::command::{Command, CommandQueue};
use crate::ui::train_command::TrainCommand;
use crate::ui::widgets::{self, Row};
use crate::ui::{fonts, icons, keys, theme};

const WIDTH: f32 = 640.0;
const GAP: f32 = 12.0;
const CARD_HEIGHT: f32 = 132.0;
const RECENT: usize = 6;

/// A way to begin.
struct Card {
    command: Command,
    icon: &'static str,
    title: &'static str,
    hint: &'static str,
}

/// The demo first: it works without any file.
const CARDS: [Card; 3] = [
    Card {
        command: Command::OpenDemo,
        icon: icons::SHAPES,
        title: "Open the demo",
        hint: "A small built-in set of shapes, and a model that finds them",
    },
    Card {
        command: Command::OpenFolder,
        icon: icons::FOLDER_OPEN,
        title: "Open folder…",
        hint: "Photos: png, jpg, webp, bmp, tiff",
    },
    Card {
        command: Command::OpenCocoSet,
        icon: icons::DATABASE,
        title: "Open COCO set…",
        hint: "Images with their annotations",
    },
];

/// Draws the start screen into the whole of `ui`.
pub fn start_ui(ui: &mut Ui, doc: &Document, last: Option<&Path>, out: &mut CommandQueue) {
    let c = theme::colours(ui);
    let area = ui.available_rect_before_wrap();
    let width = WIDTH.min(area.width() - 8.0 * theme::GRID);
    let rows = doc.settings().recent.len().min(RECENT) as f32;
    let height = 356.0 + rows * 28.0;
    let top = ((area.height() - height) / 2.0 - 2.0 * theme::GRID).max(4.0 * theme::GRID);
    let left = (area.width() - width) / 2.0;
    let column = Rect::from_min_size(area.min + vec2(left, top), vec2(width, area.height() - top));
    let column = egui::UiBuilder::new().max_rect(column);
    ui.scope_builder(column, |ui| {
        egui::ScrollArea::vertical().show(ui, |ui| {
            ui.set_width(width);
            title(ui, c);
            ui.add_space(5.0 * theme::GRID);
            cards(ui, width, out);
            ui.add_space(3.0 * theme::GRID);
            checkpoint(ui, doc, out);
            fine_tune(ui, out);
            recent(ui, doc, last, out);
            ui.add_space(4.0 * theme::GRID);
            let hint = "Or drop a folder, images, a COCO JSON, predictions or a checkpoint onto the window";
            ui.label(egui::RichText::new(hint).size(theme::SMALL).color(c.weak));
        });
    });
}

fn title(ui: &mut Ui, c: &theme::Colours) {
    ui.horizontal(|ui| {
        let (rect, _) = ui.allocate_exact_size(vec2(32.0, 32.0), Sense::hover());
        paint_mark(ui, rect, c);
        ui.add_space(theme::GRID);
        ui.label(widgets::strong("Maskscope", theme::TITLE).color(c.text));
    });
    ui.add_space(theme::GRID);
    let text = "Which of these masks are good, does the model know it, and what do I do about it?";
    ui.label(egui::RichText::new(text).color(c.weak));
}

fn cards(ui: &mut Ui, width: f32, out: &mut CommandQueue) {
    let count = CARDS.len() as f32;
    let card_width = ((width - (count - 1.0) * GAP) / count).floor();
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = GAP;
        for (at, card) in CARDS.iter().enumerate() {
            if card_ui(ui, card, card_width, at == 0).clicked() {
                out.push(card.command.clone());
            }
        }
    });
}

fn card_ui(ui: &mut Ui, card: &Card, width: f32, is_first: bool) -> egui::Response {
    let c = theme::colours(ui);
    let (rect, response) = ui.allocate_exact_size(vec2(width, CARD_HEIGHT), Sense::click());
    response.widget_info(|| WidgetInfo::labeled(Role::Button, true, card.title));
    let raised = response.hovered() || response.has_focus();
    let border = match (is_first, response.has_focus()) {
        (true, _) | (_, true) => c.accent,
        _ => c.border,
    };
    let fill = if raised { c.field_hovered } else { c.field };
    let painter = ui.painter();
    painter.rect(
        rect,
        2.0 * f32::from(theme::RADIUS),
        fill,
        Stroke::new(1.0, border),
        StrokeKind::Inside,
    );
    let inner = rect.shrink(4.0 * theme::GRID);
    let icon_colour = if is_first { c.accent } else { c.text };
    painter.text(
        inner.left_top(),
        Align2::LEFT_TOP,
        card.icon,
        FontId::proportional(22.0),
        icon_colour,
    );
    let key = keys::shortcut_text(&card.command);
    painter.text(
        inner.right_top(),
        Align2::RIGHT_TOP,
        key,
        FontId::proportional(theme::SMALL),
        c.weak,
    );
    let hint = painter.layout(
        card.hint.into(),
        FontId::proportional(theme::SMALL + 0.5),
        c.weak,
        inner.width(),
    );
    let at = inner.left_bottom() - vec2(0.0, 32.0);
    painter.text(
        at - vec2(0.0, theme::GRID),
        Align2::LEFT_BOTTOM,
        card.title,
        FontId::new(theme::HEADING, fonts::semibold()),
        c.text,
    );
    painter.galley(at, hint, c.weak);
    response
}

fn checkpoint(ui: &mut Ui, doc: &Document, out: &mut CommandQueue) {
    let text = match doc.model() {
        ModelState::None => "None loaded: images are shown without detections".to_owned(),
        _ => checkpoint_text(doc),
    };
    let row = Row {
        icon: icons::CUBE,
        detail: &text,
        right: &keys::shortcut_text(&Command::OpenCheckpoint),
        ..Row::new("Load checkpoint…")
    };
    if row.show(ui, 32.0).clicked() {
        out.push(Command::OpenCheckpoint);
    }
}

fn fine_tune(ui: &mut Ui, out: &mut CommandQueue) {
    let command = Command::Train(TrainCommand::FineTune);
    let row = Row {
        icon: icons::SPARKLE,
        detail: "Train a checkpoint on your own classes",
        right: &keys::shortcut_text(&command),
        ..Row::new("Fine-tune…")
    };
    if row.show(ui, 32.0).clicked() {
        out.push(command);
    }
}

fn recent(ui: &mut Ui, doc: &Document, last: Option<&Path>, out: &mut CommandQueue) {
    let paths = &doc.settings().recent;
    if paths.is_empty() {
        return;
    }
    ui.add_space(3.0 * theme::GRID);
    ui.with_layout(Layout::top_down(Align::Min), |ui| {
        widgets::section(ui, "  Recent");
        ui.spacing_mut().item_spacing.y = 0.0;
        let is_last = |path: &&std::path::PathBuf| Some(path.as_path()) == last;
        let first = paths.iter().filter(is_last);
        let others = paths.iter().filter(|path| !is_last(path));
        for path in first.chain(others).take(RECENT) {
            let name = path
                .file_name()
                .unwrap_or(path.as_os_str())
                .to_string_lossy();
            let label = match is_last(&path) {
                true => format!("Continue with {name}"),
                false => name.into_owned(),
            };
            let parent = path.parent().map(|parent| parent.display().to_string());
            let row = Row {
                icon: icons::CLOCK_COUNTER_CLOCKWISE,
                detail: parent.as_deref().unwrap_or_default(),
                ..Row::new(&label)
            };
            let response = row.show(ui, 28.0);
            if response.on_hover_text(path.display().to_string()).clicked() {
                out.push(Command::OpenPath(path.clone()));
            }
        }
    });
}
