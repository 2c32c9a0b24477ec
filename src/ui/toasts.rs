//! Short messages over the canvas. What went well goes away by itself; warnings and errors stay until they are closed.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use egui::{Align, Align2, Frame, Id, Layout, Margin, Order, ScrollArea, Stroke, Ui, vec2};

use super::{icons, theme, widgets};
use crate::document::{Notice, NoticeKind};

/// How long good news is shown.
const INFO_TIME: Duration = Duration::from_secs(6);
/// Toasts at once; the log keeps those that had to make room.
const MOST: usize = 4;
const WIDTH: f32 = 360.0;
const DETAILS_HEIGHT: f32 = 160.0;

struct Toast {
    number: u64,
    notice: Notice,
    since: Instant,
    details_open: bool,
    /// The same message again is counted, not repeated.
    times: usize,
}

/// The messages on screen.
pub struct Toasts {
    toasts: VecDeque<Toast>,
    next: u64,
    sender: Sender<Notice>,
    receiver: Receiver<Notice>,
}

impl Default for Toasts {
    fn default() -> Self {
        let (sender, receiver) = channel();
        Self {
            toasts: VecDeque::new(),
            next: 0,
            sender,
            receiver,
        }
    }
}

impl Toasts {
    /// For threads that have something to tell; they must ask for a repaint themselves.
    pub fn sender(&self) -> Sender<Notice> {
        self.sender.clone()
    }

    /// Shows a message and writes it into the log.
    pub fn add(&mut self, notice: Notice) {
        let level = match notice.kind {
            NoticeKind::Info => log::Level::Info,
            NoticeKind::Warning => log::Level::Warn,
            NoticeKind::Error => log::Level::Error,
        };
        if notice.details.is_empty() {
            log::log!(level, "{}", notice.text);
        } else {
            log::log!(level, "{}: {}", notice.text, notice.details);
        }
        if let Some(same) = self.toasts.iter_mut().find(|toast| toast.notice == notice) {
            same.times += 1;
            same.since = Instant::now();
            return;
        }
        if self.toasts.len() == MOST {
            // Good news makes room first.
            let at = self
                .toasts
                .iter()
                .position(|t| t.notice.kind == NoticeKind::Info);
            self.toasts.remove(at.unwrap_or(0));
        }
        self.toasts.push_back(Toast {
            number: self.next,
            notice,
            since: Instant::now(),
            details_open: false,
            times: 1,
        });
        self.next += 1;
    }

    /// Shows a message of the window's own.
    pub fn say(&mut self, kind: NoticeKind, text: impl Into<String>, details: impl Into<String>) {
        self.add(Notice {
            kind,
            text: text.into(),
            details: details.into(),
        });
    }

    /// Draws them, the newest at the bottom, above the status bar and `above` points more.
    pub fn show(&mut self, ctx: &egui::Context, above: f32) {
        while let Ok(notice) = self.receiver.try_recv() {
            self.add(notice);
        }
        let now = Instant::now();
        self.toasts.retain(|toast| {
            toast.notice.kind != NoticeKind::Info
                || toast.details_open
                || now.duration_since(toast.since) < INFO_TIME
        });
        if self.toasts.is_empty() {
            return;
        }
        let next_end = self
            .toasts
            .iter()
            .filter(|t| t.notice.kind == NoticeKind::Info);
        if let Some(end) = next_end.map(|toast| toast.since + INFO_TIME).min() {
            ctx.request_repaint_after(end.saturating_duration_since(now));
        }
        let mut closed = None;
        egui::Area::new(Id::unique("toasts"))
            .order(Order::Tooltip)
            .anchor(
                Align2::CENTER_BOTTOM,
                vec2(0.0, -theme::STATUS_BAR - above - 3.0 * theme::GRID),
            )
            .show(ctx, |ui| {
                ui.spacing_mut().item_spacing.y = 2.0 * theme::GRID;
                for toast in &mut self.toasts {
                    if toast_ui(ui, toast) {
                        closed = Some(toast.number);
                    }
                }
            });
        if let Some(closed) = closed {
            self.toasts.retain(|toast| toast.number != closed);
        }
    }
}

/// Draws one; true when it was closed.
fn toast_ui(ui: &mut Ui, toast: &mut Toast) -> bool {
    let c = theme::colours(ui);
    let (icon, colour) = match toast.notice.kind {
        NoticeKind::Info => (icons::CHECK, c.success),
        NoticeKind::Warning => (icons::WARNING, c.warning),
        NoticeKind::Error => (icons::WARNING_CIRCLE, c.error),
    };
    let mut closed = false;
    let frame = Frame::popup(ui.style())
        .inner_margin(Margin::symmetric(12, 8))
        .stroke(Stroke::new(1.0, c.border));
    ui.push_id(toast.number, |ui| {
        frame.show(ui, |ui| {
            ui.set_width(WIDTH);
            ui.horizontal_top(|ui| {
                ui.colored_label(colour, egui::RichText::new(icon).size(15.0));
                ui.with_layout(Layout::right_to_left(Align::Min), |ui| {
                    closed = widgets::icon_button(ui, icons::X, "Close message").clicked();
                    ui.with_layout(Layout::top_down(Align::Min), |ui| {
                        ui.add_space(2.0);
                        toast_text(ui, toast);
                    });
                });
            });
        });
    });
    closed
}

fn toast_text(ui: &mut Ui, toast: &mut Toast) {
    let c = theme::colours(ui);
    let text = if toast.times > 1 {
        format!("{} ({} times)", toast.notice.text, toast.times)
    } else {
        toast.notice.text.clone()
    };
    ui.add(egui::Label::new(text).wrap());
    if toast.notice.details.is_empty() {
        return;
    }
    ui.horizontal(|ui| {
        let name = if toast.details_open {
            "Hide details"
        } else {
            "Details"
        };
        if widgets::quiet_button(ui, name, c.accent).clicked() {
            toast.details_open = !toast.details_open;
        }
        if widgets::quiet_button(ui, "Copy", c.accent).clicked() {
            ui.ctx()
                .copy_text(format!("{}\n{}", toast.notice.text, toast.notice.details));
        }
    });
    if toast.details_open {
        ScrollArea::vertical()
            .max_height(DETAILS_HEIGHT)
            .show(ui, |ui| {
                let details = egui::RichText::new(&toast.notice.details)
                    .size(theme::SMALL)
                    .color(c.weak);
                ui.add(egui::Label::new(details).wrap().selectable(true));
            });
    }
}
