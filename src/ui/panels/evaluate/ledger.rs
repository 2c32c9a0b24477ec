//! The right side: every detection and every ground truth of the open image, matched with whom or why not.

use egui::{FontId, Id, Rect, RichText, Role, Sense, Slider, Ui, WidgetInfo, pos2, vec2};

use super::book::{Book, Marks};
use super::classes::kind_choice;
use crate::document::Document;
use crate::document::eval::{THRESHOLDS, iou_thresholds};
use crate::document::evaluation::Side;
use crate::ui::canvas::Verdict;
use crate::ui::command::{Command, CommandQueue};
use crate::ui::panels::judged;
use crate::ui::panels::virtual_rows::VirtualRows;
use crate::ui::view::ViewState;
use crate::ui::{theme, widgets};

const ROW: f32 = 42.0;
/// Side of the square with the colour of an outcome.
const SWATCH: f32 = 10.0;

/// A row of the ledger.
enum Line {
    Heading(&'static str, usize),
    Detection(usize),
    Truth(usize),
}

/// Draws the ledger.
pub fn ledger_ui(ui: &mut Ui, doc: &Document, view: &mut ViewState, out: &mut CommandQueue) {
    let c = theme::colours(ui);
    let image = view.image.and_then(|image| doc.images().get(image));
    let name = image.map_or("No image is selected", |image| image.name.as_str());
    let title = egui::Label::new(widgets::strong(name, theme::HEADING).color(c.text)).truncate();
    ui.add(title);
    if doc.evaluation(Side::A).is_none() {
        return;
    }
    ui.add_space(theme::GRID);
    controls(ui, view);
    // The slider acts in this frame.
    view.evaluate.renew(doc, view.image);
    let Some(book) = view.evaluate.book.take() else {
        judged::absent(ui, "This image takes no part in the evaluation");
        return;
    };
    counts(ui, &book);
    ui.add_space(theme::GRID);
    list(ui, &book, view, out);
    view.evaluate.book = Some(book);
}

fn controls(ui: &mut Ui, view: &mut ViewState) {
    let c = theme::colours(ui);
    let shown = &mut view.evaluate;
    ui.horizontal(|ui| {
        kind_choice(ui, &mut shown.kind);
        ui.add_space(theme::GRID);
        ui.spacing_mut().slider_width = (ui.available_width() - 96.0).max(60.0);
        let value = |at: f64| {
            let threshold = iou_thresholds().get(at as usize).copied().unwrap_or(0.5);
            format!("IoU {threshold:.2}")
        };
        let slider = Slider::new(&mut shown.threshold, 0..=THRESHOLDS - 1)
            .step_by(1.0)
            .custom_formatter(move |at, _| value(at))
            .custom_parser(|text| {
                let number: f64 = text.trim_start_matches("IoU").trim().parse().ok()?;
                let at = ((number - 0.5) / 0.05).round();
                Some(at.clamp(0.0, (THRESHOLDS - 1) as f64))
            });
        let response = ui
            .add(slider)
            .on_hover_text("A match needs this IoU or more");
        response.accessible_name("IoU threshold");
    });
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = theme::GRID;
        ui.colored_label(c.weak, "canvas");
        for marks in Marks::ALL {
            let hint = match marks {
                Marks::Outcomes => "Instances by what became of them",
                Marks::Pixels => {
                    "Agreement, false area and missed area; of the selected instance, or of all"
                }
                Marks::Plain => "Colours as in Browse",
            };
            ui.selectable_value(&mut shown.marks, marks, marks.label())
                .on_hover_text(hint);
        }
    });
}

/// How many of each, in the colours of the canvas.
fn counts(ui: &mut Ui, book: &Book) {
    ui.horizontal_wrapped(|ui| {
        ui.spacing_mut().item_spacing.x = theme::GRID;
        for (verdict, name) in [
            (Verdict::TruePositive, "true"),
            (Verdict::FalsePositive, "false"),
            (Verdict::Missed, "missed"),
            (Verdict::Ignored, "ignored"),
        ] {
            let (rect, _) = ui.allocate_exact_size(vec2(SWATCH, SWATCH), Sense::hover());
            swatch(ui, rect, verdict);
            ui.label(RichText::new(format!("{} {name}", book.count(verdict))).size(theme::SMALL));
            ui.add_space(theme::GRID);
        }
    });
}

fn swatch(ui: &Ui, rect: Rect, verdict: Verdict) {
    let (colour, _) = verdict.look();
    ui.painter().rect_filled(rect, 2.0, colour);
    if verdict == Verdict::Found {
        // White on white cannot be seen in the light theme.
        let stroke = egui::Stroke::new(1.0, theme::colours(ui).weak);
        ui.painter()
            .rect_stroke(rect, 2.0, stroke, egui::StrokeKind::Inside);
    }
}

fn list(ui: &mut Ui, book: &Book, view: &ViewState, out: &mut CommandQueue) {
    let input = &book.evaluation().base.input;
    let by = view.rank_by;
    let score = |at: &usize| {
        let entry = &book.ledger.detections[*at];
        by.of(input.detection(entry.detection as usize))
            .unwrap_or(f64::NEG_INFINITY)
    };
    let mut detections: Vec<usize> = (0..book.ledger.detections.len()).collect();
    detections.sort_by(|a, b| score(b).total_cmp(&score(a)));
    let truths = book.ledger.truths.len();
    let mut lines = vec![Line::Heading("Predictions", detections.len())];
    lines.extend(detections.into_iter().map(Line::Detection));
    lines.push(Line::Heading("Ground truth", truths));
    lines.extend((0..truths).map(Line::Truth));
    let rows = VirtualRows {
        pitch: ROW,
        rows: lines.len(),
        reveal: None,
    };
    rows.show(ui, Id::unique("ledger"), |ui, row, rect| {
        match lines.get(row) {
            Some(Line::Heading(name, count)) => {
                let c = theme::colours(ui);
                let font = FontId::proportional(theme::SMALL);
                let text = format!("{name} · {}", widgets::thousands(*count));
                widgets::elided(
                    ui,
                    pos2(rect.left(), rect.bottom() - 12.0),
                    rect.right(),
                    &text,
                    &font,
                    c.weak,
                );
            }
            Some(Line::Detection(at)) => detection_ui(ui, rect, book, *at, view, out),
            Some(Line::Truth(at)) => truth_ui(ui, rect, book, *at, view, out),
            None => {}
        }
    });
}

fn detection_ui(
    ui: &mut Ui,
    rect: Rect,
    book: &Book,
    at: usize,
    view: &ViewState,
    out: &mut CommandQueue,
) {
    let input = &book.evaluation().base.input;
    let entry = &book.ledger.detections[at];
    let candidate = &input.detections[entry.detection as usize];
    let index = candidate.index as usize;
    let class = input.classes.name(candidate.label as usize);
    let score = view.rank_by.of(input.detection(entry.detection as usize));
    let score = score.map_or_else(|| crate::ui::plot::MISSING.into(), |it| format!("{it:.2}"));
    let told = Told {
        id: ("ledger detection", at),
        title: format!("#{} {class}", index + 1),
        right: score,
        sentence: entry.outcomes[view.evaluate.threshold].sentence(input, view.evaluate.threshold),
        verdict: book
            .detections
            .get(index)
            .copied()
            .unwrap_or(Verdict::Ignored),
        is_selected: view.instance == Some(index),
    };
    if told.show(ui, rect) {
        out.push(Command::SelectInstance(Some(index)));
    }
}

fn truth_ui(
    ui: &mut Ui,
    rect: Rect,
    book: &Book,
    at: usize,
    view: &ViewState,
    out: &mut CommandQueue,
) {
    let input = &book.evaluation().base.input;
    let entry = &book.ledger.truths[at];
    let truth = &input.truths[entry.truth as usize];
    let told = Told {
        id: ("ledger truth", at),
        title: format!(
            "{} · id {}",
            input.classes.name(truth.label as usize),
            truth.id
        ),
        right: String::new(),
        sentence: entry.outcomes[view.evaluate.threshold].sentence(input, view.evaluate.threshold),
        verdict: book
            .truths
            .get(truth.index as usize)
            .copied()
            .unwrap_or(Verdict::Ignored),
        is_selected: view
            .annotation
            .is_some_and(|(_, of)| of == truth.index as usize),
    };
    if told.show(ui, rect)
        && let Some(image) = view.image
    {
        out.push(Command::ShowAnnotation(image, truth.index as usize));
    }
}

/// One entry in two lines.
struct Told {
    id: (&'static str, usize),
    title: String,
    right: String,
    sentence: String,
    verdict: Verdict,
    is_selected: bool,
}

impl Told {
    /// Draws it; whether it was clicked.
    fn show(&self, ui: &mut Ui, rect: Rect) -> bool {
        let c = theme::colours(ui);
        let response = ui.interact(rect, Id::unique(self.id), Sense::click());
        let spoken = format!("{}: {}", self.title, self.sentence);
        response
            .widget_info(|| WidgetInfo::selected(Role::Button, true, self.is_selected, &spoken));
        let fill = match (self.is_selected, response.hovered() || response.has_focus()) {
            (true, _) => c.selection,
            (false, true) => c.field_hovered,
            (false, false) => egui::Color32::TRANSPARENT,
        };
        ui.painter()
            .rect_filled(rect, f32::from(theme::RADIUS), fill);
        let top = rect.top() + 13.0;
        let square = Rect::from_center_size(pos2(rect.left() + 10.0, top), vec2(SWATCH, SWATCH));
        swatch(ui, square, self.verdict);
        let (left, end) = (rect.left() + 22.0, rect.right() - 8.0);
        let body = FontId::proportional(theme::BODY);
        let small = FontId::proportional(theme::SMALL);
        let right = ui.painter().text(
            pos2(end, top),
            egui::Align2::RIGHT_CENTER,
            &self.right,
            body.clone(),
            c.text,
        );
        widgets::elided(
            ui,
            pos2(left, top),
            right.left() - 8.0,
            &self.title,
            &body,
            c.text,
        );
        widgets::elided(
            ui,
            pos2(left, rect.top() + 30.0),
            end,
            &self.sentence,
            &small,
            c.weak,
        );
        response.on_hover_text(&self.sentence).clicked()
    }
}
