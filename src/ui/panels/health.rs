//! The health report of the open set: what its import dropped or altered, and what looks wrong in it.

use egui::{CollapsingHeader, RichText, ScrollArea, Ui};

use crate::document::health::{Finding, Health, KindCount, Report, Severity};
use crate::document::{Document, ImageEntry};
use crate::ui::command::{Command, CommandQueue};
use crate::ui::widgets::{self, thousands};
use crate::ui::{icons, theme};

const WIDTH: f32 = 640.0;
const ROW: f32 = 18.0;
/// Rows of one kind on screen; the rest scrolls.
const ROWS: usize = 10;

/// Draws it; true when it is to be closed.
pub fn health_ui(ctx: &egui::Context, doc: &Document, out: &mut CommandQueue) -> bool {
    let modal = widgets::modal(ctx, "health", 16);
    let height = ctx.content_rect().height() - 160.0;
    let response = modal.show(ctx, |ui| {
        ui.set_width(WIDTH.min(ctx.content_rect().width() - 64.0));
        ui.label(widgets::strong("Health of the set", theme::HEADING));
        ui.add_space(2.0 * theme::GRID);
        match doc.health() {
            None => {
                ui.weak("Nothing was checked yet");
            }
            Some(Health::Checking(done, total)) => checking(ui, done, total),
            Some(Health::Failed(text)) => {
                ui.colored_label(theme::colours(ui).error, text);
            }
            Some(Health::Ready(report)) => {
                summary(ui, report);
                ScrollArea::vertical()
                    .max_height(height)
                    .show(ui, |ui| findings(ui, report, doc.images(), out));
            }
        }
        ui.add_space(2.0 * theme::GRID);
        buttons(ui, doc, out)
    });
    response.inner || response.backdrop_response.clicked()
}

fn checking(ui: &mut Ui, done: usize, total: usize) {
    let share = done as f32 / total.max(1) as f32;
    let (done, total) = (thousands(done), thousands(total));
    ui.add(egui::ProgressBar::new(share).text(format!("{done} of {total} images")));
    ui.weak("Every record, every mask and the header of every image file is read");
}

fn summary(ui: &mut Ui, report: &Report) {
    let c = theme::colours(ui);
    let text = format!(
        "{} images, {} annotations, {} categories",
        thousands(report.images),
        thousands(report.annotations),
        thousands(report.categories)
    );
    ui.label(text);
    let (text, colour) = match report.left_out {
        0 => ("No annotation is left out".to_owned(), c.weak),
        1 => ("1 annotation is left out".to_owned(), c.error),
        many => (
            format!("{} annotations are left out", thousands(many)),
            c.error,
        ),
    };
    ui.colored_label(colour, text);
    ui.add(
        egui::Label::new(RichText::new(report.json.display().to_string()).color(c.weak)).truncate(),
    );
    ui.add_space(theme::GRID);
    if report.counts.is_empty() {
        ui.label("Nothing is wrong with this set");
    }
}

fn findings(ui: &mut Ui, report: &Report, images: &[ImageEntry], out: &mut CommandQueue) {
    for known in &report.counts {
        let c = theme::colours(ui);
        let (icon, colour) = match known.severity {
            Severity::Error => (icons::WARNING, c.error),
            Severity::Warning => (icons::WARNING, c.warning),
            Severity::Info => (icons::INFO, c.weak),
        };
        let title = format!("{icon} {}: {}", known.kind.title(), thousands(known.count));
        CollapsingHeader::new(RichText::new(title).color(colour))
            .id_salt(known.kind.name())
            .default_open(report.counts.len() <= 3)
            .show(ui, |ui| of_kind(ui, report, known, images, out));
    }
}

fn of_kind(
    ui: &mut Ui,
    report: &Report,
    known: &KindCount,
    images: &[ImageEntry],
    out: &mut CommandQueue,
) {
    let kept = report.of(known.kind);
    ui.spacing_mut().item_spacing.y = 0.0;
    ScrollArea::vertical()
        .id_salt(known.kind.name())
        .max_height(ROWS as f32 * ROW)
        .show_rows(ui, ROW, kept.len(), |ui, rows| {
            for finding in kept.get(rows).unwrap_or_default() {
                finding_ui(ui, finding, images, out);
            }
        });
    if known.count > kept.len() {
        ui.weak(format!("and {} more", thousands(known.count - kept.len())));
    }
}

fn finding_ui(ui: &mut Ui, finding: &Finding, images: &[ImageEntry], out: &mut CommandQueue) {
    let place = match (finding.line, finding.column) {
        (Some(line), Some(column)) => format!("{line}:{column}  "),
        _ => String::new(),
    };
    let text = format!("{place}{}", finding.text);
    let Some(name) = finding.image.as_deref() else {
        ui.add(egui::Label::new(text.as_str()).truncate());
        return;
    };
    let row = ui.add(egui::Button::new(text.as_str()).frame(false).truncate());
    let found = || images.iter().position(|image| image.name == name);
    if row
        .on_hover_text(format!("{text}\nClick: show {name}"))
        .clicked()
        && let Some(image) = found()
    {
        out.push(Command::SelectImage(image));
        out.push(Command::Escape);
    }
}

fn buttons(ui: &mut Ui, doc: &Document, out: &mut CommandQueue) -> bool {
    ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
        let name = match doc.health() {
            Some(Health::Checking(..)) => "Cancel",
            _ => "Close",
        };
        let closes = ui.button(name).clicked();
        if let Some(Health::Ready(report)) = doc.health()
            && ui.button("Copy the report").clicked()
        {
            ui.ctx().copy_text(as_text(report));
        }
        if let Some(Health::Failed(_)) = doc.health()
            && ui.button("Check again").clicked()
        {
            out.push(Command::CheckSet);
        }
        closes
    })
    .inner
}

/// All findings that are kept, a line each.
fn as_text(report: &Report) -> String {
    let mut text = format!("{}\n", report.json.display());
    for known in &report.counts {
        text += &format!("\n{}: {}\n", known.kind.title(), thousands(known.count));
        for finding in report.of(known.kind) {
            let place = finding.line.zip(finding.column);
            let place =
                place.map_or_else(String::new, |(line, column)| format!("{line}:{column}: "));
            text += &format!("  {place}{}\n", finding.text);
        }
    }
    text
}
