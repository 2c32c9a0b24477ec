//! What the Compare and the Evaluate workspace share: what they say while there is no evaluation, and the way from its
//! numbers to the instances of the window.

use std::sync::Arc;

use egui::{Align, CentralPanel, Frame, Id, Layout, Margin, Panel, ProgressBar, RichText, Ui};

use crate::document::evaluation::{Analysis, Evaluation, Side};
use crate::document::{Document, ImageState};
use crate::ui::command::{Command, CommandQueue};
use crate::ui::picked::{Picked, PickedInstance, PickedKind};
use crate::ui::view::ViewState;
use crate::ui::{icons, theme, widgets};

/// Width of a message.
const MESSAGE: f32 = 420.0;

/// The analysis, or a picture of why there is none and what to do.
pub fn analysed(
    ui: &mut Ui,
    doc: &Document,
    view: &ViewState,
    out: &mut CommandQueue,
) -> Option<Analysis> {
    if let Some(analysis) = doc.analysis() {
        return Some(analysis.clone());
    }
    if doc.awaits_annotations() {
        message(
            ui,
            icons::CIRCLE_HALF,
            "The annotations are being read",
            "The gallery works meanwhile",
            |_| {},
        );
        return None;
    }
    if !doc.has_truth() {
        let body =
            "Numbers need ground truth: open a COCO set, then its predictions or a checkpoint";
        let commands = [Command::OpenCocoSet, Command::OpenDemo];
        message(ui, icons::TAG, "There is no ground truth", body, |ui| {
            buttons(ui, doc, view, &commands, out);
        });
        return None;
    }
    if doc.progress().is_some() {
        let body = "It is evaluated as soon as the model has seen every image";
        message(ui, icons::CUBE, "The model is at work", body, |_| {});
        return None;
    }
    let has_predictions = |state: &ImageState| matches!(state, ImageState::Done(_));
    if !doc
        .images()
        .iter()
        .any(|image| has_predictions(&image.state))
    {
        let body = "Open a prediction file, or run a checkpoint on the images";
        let commands = [
            Command::OpenPredictions,
            Command::OpenCheckpoint,
            Command::RunModel,
        ];
        message(ui, icons::CUBE, "There are no predictions", body, |ui| {
            buttons(ui, doc, view, &commands, out);
        });
        return None;
    }
    message(ui, icons::CIRCLE_HALF, "Evaluating", "", |ui| {
        progress(ui, doc)
    });
    None
}

/// Whether newer numbers are on their way.
pub fn is_working(doc: &Document) -> bool {
    let sides = [Side::A, Side::B];
    sides
        .iter()
        .any(|&side| doc.evaluation_progress(side).is_some())
        || doc.analysis_progress().is_some()
}

/// How far they are, in one line.
pub fn progress(ui: &mut Ui, doc: &Document) {
    let (text, share) = match (doc.evaluation_progress(Side::A), doc.analysis_progress()) {
        (Some(progress), _) => {
            let share = progress.done as f32 / progress.total.max(1) as f32;
            (progress.stage.label(), share)
        }
        (None, Some(share)) => ("Analysing", share),
        (None, None) => return,
    };
    let width = ui.available_width().min(MESSAGE);
    ui.add(ProgressBar::new(share).desired_width(width).text(text));
}

fn buttons(
    ui: &mut Ui,
    doc: &Document,
    view: &ViewState,
    commands: &[Command],
    out: &mut CommandQueue,
) {
    for command in commands.iter().filter(|command| command.enabled(doc, view)) {
        if ui.button(command.label().into_owned()).clicked() {
            out.push(command.clone());
        }
    }
}

/// A picture of what is missing, and what can be done about it.
pub fn message(ui: &mut Ui, icon: &str, title: &str, body: &str, more: impl FnOnce(&mut Ui)) {
    let c = theme::colours(ui);
    let room = ((ui.available_height() - 160.0) / 2.0).max(16.0);
    ui.with_layout(Layout::top_down(Align::Center), |ui| {
        ui.add_space(room);
        ui.set_max_width(MESSAGE);
        ui.label(RichText::new(icon).size(32.0).color(c.weak));
        ui.add_space(theme::GRID);
        ui.label(widgets::strong(title, theme::HEADING).color(c.text));
        if !body.is_empty() {
            ui.label(RichText::new(body).color(c.weak));
        }
        ui.add_space(2.0 * theme::GRID);
        more(ui);
    });
}

/// Charts from this width on stand beside the canvas, else above it.
const BESIDE: f32 = 1300.0;
/// Share of the canvas at first.
const CANVAS: f32 = 0.42;

/// Makes room for the canvas beside or below the charts, which get the rest of `ui`.
pub fn with_canvas<T>(
    ui: &mut Ui,
    name: &'static str,
    of: &mut T,
    canvas: impl FnOnce(&mut Ui, &mut T),
    charts: impl FnOnce(&mut Ui, &mut T),
) {
    let space = ui.available_size();
    let is_beside = space.x >= BESIDE;
    let (panel, length, least) = match is_beside {
        true => (Panel::right(Id::unique((name, "beside"))), space.x, 480.0),
        false => (Panel::bottom(Id::unique((name, "below"))), space.y, 200.0),
    };
    panel
        .default_size(length * CANVAS)
        .size_range(80.0..=(length - least).max(80.0))
        .resizable(true)
        .frame(Frame::new())
        .show(ui, |ui| {
            // A panel keeps the size of what it held last: while there is no image, that would be next to nothing.
            ui.take_available_space();
            canvas(ui, of);
        });
    let frame = Frame::new()
        .fill(theme::colours(ui).panel)
        .inner_margin(Margin::same(theme::PADDING));
    CentralPanel::default()
        .frame(frame)
        .show(ui, |ui| charts(ui, of));
}

/// A line in place of something that does not exist, and why.
pub fn absent(ui: &mut Ui, text: &str) {
    let c = theme::colours(ui);
    ui.add(egui::Label::new(RichText::new(text).color(c.weak)).wrap());
}

/// A detection as the window names it.
pub fn of_detection(evaluation: &Evaluation, detection: u32) -> Option<PickedInstance> {
    let input = &evaluation.base.input;
    let candidate = input.detections.get(detection as usize)?;
    Some(PickedInstance {
        image: input.images.get(candidate.image as usize)?.position,
        what: PickedKind::Prediction(candidate.index as usize),
    })
}

/// A ground truth as the window names it.
pub fn of_truth(evaluation: &Evaluation, truth: u32) -> Option<PickedInstance> {
    let input = &evaluation.base.input;
    let truth = input.truths.get(truth as usize)?;
    Some(PickedInstance {
        image: input.images.get(truth.image as usize)?.position,
        what: PickedKind::Annotation(truth.index as usize),
    })
}

/// Shows the images of these detections and ground truths alone.
pub fn pick(
    evaluation: &Evaluation,
    label: String,
    detections: impl IntoIterator<Item = u32>,
    truths: impl IntoIterator<Item = u32>,
) -> Arc<Picked> {
    let detections = detections
        .into_iter()
        .filter_map(|it| of_detection(evaluation, it));
    let truths = truths.into_iter().filter_map(|it| of_truth(evaluation, it));
    Arc::new(Picked::new(label, detections.chain(truths).collect()))
}

/// Selects image and instance.
pub fn go_to(instance: PickedInstance, out: &mut CommandQueue) {
    match instance.what {
        PickedKind::Prediction(index) => {
            out.push(Command::SelectImage(instance.image));
            out.push(Command::SelectInstance(Some(index)));
        }
        PickedKind::Annotation(index) => out.push(Command::ShowAnnotation(instance.image, index)),
        PickedKind::Image => out.push(Command::SelectImage(instance.image)),
    }
}

/// Three decimals without the zero before the point, as tables have it; an en dash for what does not exist.
pub fn figure(value: Option<f64>) -> String {
    match value.filter(|value| value.is_finite() && *value >= 0.0) {
        Some(value) if value < 0.9995 => format!("{value:.3}").trim_start_matches('0').to_owned(),
        Some(value) => format!("{value:.3}"),
        None => crate::ui::plot::MISSING.to_owned(),
    }
}

/// A difference with its sign: `+.012`.
pub fn signed(value: f64) -> String {
    let figures = format!("{:.3}", value.abs());
    let sign = if value < -0.0005 { "−" } else { "+" };
    format!("{sign}{}", figures.trim_start_matches('0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_short() {
        assert_eq!(figure(Some(0.4746)), ".475");
        assert_eq!(figure(Some(1.0)), "1.000");
        assert_eq!(figure(Some(0.0)), ".000");
        assert_eq!(figure(Some(-1.0)), "–");
        assert_eq!(figure(None), "–");
        assert_eq!(signed(-0.0125), "−.013");
        assert_eq!(signed(0.001), "+.001");
        assert_eq!(signed(0.0), "+.000");
    }
}
