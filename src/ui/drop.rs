//! Dragging files onto the window: a hint names what dropping will do.

use std::path::{Path, PathBuf};

use egui::{Align2, CornerRadius, FontId, LayerId, Order, Stroke, StrokeKind, vec2};

use super::command::{Command, CommandQueue};
use super::{fonts, icons, theme};
use crate::document::PathKind;

/// The hovered path and what it is; found out once, not in every frame.
#[derive(Default)]
pub struct DropHint {
    hovered: Option<(PathBuf, PathKind)>,
}

impl DropHint {
    /// Takes dropped files and draws the hint while some are dragged over the window.
    pub fn show(&mut self, ctx: &egui::Context, out: &mut CommandQueue) {
        let (hovered, dropped) = ctx.input(|input| {
            let hovered: Vec<PathBuf> = input
                .raw
                .hovered_files
                .iter()
                .filter_map(|file| file.path.clone())
                .collect();
            let dropped: Vec<PathBuf> = input
                .raw
                .dropped_files
                .iter()
                .map(|file| file.path().to_owned())
                .collect();
            (hovered, dropped)
        });
        if let Some(path) = what_is_dropped(&dropped) {
            out.push(Command::OpenPath(path));
        }
        match what_is_dropped(&hovered) {
            None => self.hovered = None,
            Some(path) => {
                if self.hovered.as_ref().is_none_or(|(old, _)| *old != path) {
                    let kind = PathKind::of(&path);
                    self.hovered = Some((path, kind));
                }
            }
        }
        if let Some((path, kind)) = &self.hovered {
            hint(ctx, path, *kind);
        }
    }
}

/// One path stands for itself; of several files their folder is opened.
fn what_is_dropped(paths: &[PathBuf]) -> Option<PathBuf> {
    match paths {
        [] => None,
        [one] => Some(one.clone()),
        [first, ..] => Some(first.parent().map_or_else(|| first.clone(), Path::to_owned)),
    }
}

fn hint(ctx: &egui::Context, path: &Path, kind: PathKind) {
    let c = theme::of(ctx.theme() == egui::Theme::Dark);
    let colour = if kind == PathKind::Unknown {
        c.error
    } else {
        c.accent
    };
    let painter = ctx.layer_painter(LayerId::new(Order::Tooltip, egui::Id::unique("drop hint")));
    let window = ctx.content_rect();
    painter.rect_filled(window, 0.0, c.backdrop);
    let frame = window.shrink(3.0 * theme::GRID);
    painter.rect_stroke(
        frame,
        CornerRadius::same(2 * theme::RADIUS),
        Stroke::new(2.0, colour),
        StrokeKind::Inside,
    );
    let card = egui::Rect::from_center_size(window.center(), vec2(420.0, 112.0));
    painter.rect(
        card,
        CornerRadius::same(2 * theme::RADIUS),
        c.popup,
        Stroke::new(1.0, c.border),
        StrokeKind::Inside,
    );
    let line = |y: f32, text: &str, font: FontId, colour| {
        painter.text(
            card.center() + vec2(0.0, y),
            Align2::CENTER_CENTER,
            text,
            font,
            colour,
        );
    };
    let icon = match kind {
        PathKind::Folder => icons::FOLDER_OPEN,
        PathKind::Image => icons::IMAGE,
        PathKind::CocoSet => icons::DATABASE,
        PathKind::Predictions => icons::POLYGON,
        PathKind::Checkpoint => icons::CUBE,
        PathKind::Unknown => icons::PROHIBIT,
    };
    let name = path.file_name().unwrap_or(path.as_os_str());
    line(-30.0, icon, FontId::proportional(22.0), colour);
    let heading = FontId::new(theme::HEADING, fonts::semibold());
    line(2.0, kind.action(), heading, c.text);
    let body = FontId::proportional(theme::BODY);
    line(26.0, &name.to_string_lossy(), body, c.weak);
}
