//! The right side: what is picked, or everything: counts, means, outcomes, classes, the instances.

use std::collections::HashMap;
use std::sync::Arc;

use egui::{Align2, FontId, Id, Sense, Ui, pos2, vec2};

use super::cloud::{Quantity, detections_of};
use crate::document::eval::{DetectionStatus, ErrorKind, SuspectKind};
use crate::document::evaluation::Analysis;
use crate::structures::is_same;
use crate::ui::command::{Command, CommandQueue};
use crate::ui::panels::judged;
use crate::ui::panels::parts::{bar, text};
use crate::ui::panels::virtual_rows::VirtualRows;
use crate::ui::picked::{Picked, PickedInstance, PickedKind};
use crate::ui::plot::MISSING;
use crate::ui::view::ViewState;
use crate::ui::{theme, widgets};

const ROW: f32 = 22.0;
/// Classes that are listed.
const CLASSES: usize = 6;
const BAR: f32 = 40.0;

/// The sums over some detections, kept while they stay the same.
pub struct Summary {
    analysis: Analysis,
    picked: Option<Arc<Picked>>,
    detections: Vec<u32>,
    /// Annotations among what is picked.
    annotations: usize,
    means: [Option<f64>; 4],
    outcomes: Vec<(&'static str, usize)>,
    reasons: Vec<(&'static str, usize)>,
    classes: Vec<(String, usize)>,
}

impl Summary {
    fn is_of(&self, analysis: &Analysis, picked: Option<&Arc<Picked>>) -> bool {
        is_same(self.picked.as_ref(), picked)
            && Arc::ptr_eq(&self.analysis.diagnosis, &analysis.diagnosis)
    }

    fn new(analysis: &Analysis, picked: Option<&Arc<Picked>>) -> Self {
        let evaluation = &analysis.evaluation;
        let input = &evaluation.base.input;
        let mut detections = match picked {
            Some(picked) => detections_of(evaluation, picked),
            None => (0..input.detections.len() as u32).collect(),
        };
        let is_annotation = |it: &&PickedInstance| matches!(it.what, PickedKind::Annotation(_));
        let annotations =
            picked.map_or(0, |it| it.instances().iter().filter(is_annotation).count());
        let mean = |quantity: Quantity| {
            let values = detections
                .iter()
                .filter_map(|&at| quantity.of(evaluation, at as usize));
            let (sum, count) = values.fold((0.0, 0usize), |(sum, count), it| (sum + it, count + 1));
            (count > 0).then(|| sum / count as f64)
        };
        let means = Quantity::ALL.map(mean);
        let diagnosis = &analysis.diagnosis;
        let status = |wanted: &[DetectionStatus]| {
            let of = |at: &&u32| diagnosis.per_image.detections.get(**at as usize);
            detections
                .iter()
                .filter(|at| of(at).is_some_and(|it| wanted.contains(it)))
                .count()
        };
        let outcomes = vec![
            (
                "true positive at IoU .50",
                status(&[DetectionStatus::TruePositive]),
            ),
            ("false positive", status(&[DetectionStatus::FalsePositive])),
            (
                "not counted",
                status(&[DetectionStatus::Ignored, DetectionStatus::NotCounted]),
            ),
        ];
        let reasons = reasons(analysis, &detections, picked.is_none());
        let mut of_class: HashMap<u32, usize> = HashMap::new();
        for candidate in detections
            .iter()
            .filter_map(|&at| input.detections.get(at as usize))
        {
            *of_class.entry(candidate.label).or_default() += 1;
        }
        let mut classes: Vec<(String, usize)> = of_class
            .into_iter()
            .map(|(label, count)| (input.classes.name(label as usize), count))
            .collect();
        classes.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        detections.truncate(if picked.is_some() { usize::MAX } else { 0 });
        Self {
            analysis: analysis.clone(),
            picked: picked.cloned(),
            detections,
            annotations,
            means,
            outcomes,
            reasons,
            classes,
        }
    }
}

/// Why detections may be here: suspicions first, then kinds of errors.
fn reasons(analysis: &Analysis, detections: &[u32], is_all: bool) -> Vec<(&'static str, usize)> {
    let diagnosis = &analysis.diagnosis;
    let count = analysis.evaluation.base.input.detections.len();
    let mut is_inside = vec![is_all; count];
    for &at in detections {
        if let Some(inside) = is_inside.get_mut(at as usize) {
            *inside = true;
        }
    }
    let inside = |at: u32| is_inside.get(at as usize).copied().unwrap_or(false);
    let suspects = SuspectKind::ALL.iter().map(|&kind| {
        let list = diagnosis.suspects.list.iter().filter(|it| it.kind == kind);
        (
            kind.label(),
            list.filter(|it| it.detection.is_some_and(inside)).count(),
        )
    });
    let mut counts = [0; ErrorKind::ALL.len()];
    for (at, kind) in diagnosis.tide.detections.iter().enumerate() {
        if let Some(kind) = kind.filter(|_| inside(at as u32)) {
            counts[kind as usize] += 1;
        }
    }
    let errors = ErrorKind::ALL.iter().map(|kind| kind.label()).zip(counts);
    suspects
        .chain(errors)
        .filter(|(_, count)| *count > 0)
        .collect()
}

/// Draws the right side of Compare.
pub fn summary_ui(ui: &mut Ui, analysis: &Analysis, view: &mut ViewState, out: &mut CommandQueue) {
    let picked = view.picked.clone();
    let kept = view.compare.summary.take();
    let kept = kept.filter(|it| it.is_of(analysis, picked.as_ref()));
    let summary = kept.unwrap_or_else(|| Summary::new(analysis, picked.as_ref()));
    heading(ui, &summary, view, out);
    group(ui, "Means");
    for (quantity, mean) in Quantity::ALL.iter().zip(summary.means) {
        mean_row(ui, quantity.label(), mean);
    }
    group(ui, "Outcome");
    summary
        .outcomes
        .iter()
        .for_each(|(name, count)| count_row(ui, name, *count));
    if !summary.reasons.is_empty() {
        group(ui, "Why they may be here");
        summary
            .reasons
            .iter()
            .for_each(|(name, count)| count_row(ui, name, *count));
    }
    group(ui, "Classes");
    let classes = summary.classes.iter().take(CLASSES);
    classes.for_each(|(name, count)| count_row(ui, name, *count));
    let rest = summary.classes.len().saturating_sub(CLASSES);
    if rest > 0 {
        ui.weak(format!("and {rest} more"));
    }
    if !summary.detections.is_empty() && ui.available_height() > 3.0 * ROW {
        group(ui, "Instances");
        list(ui, &summary, view, out);
    }
    view.compare.summary = Some(summary);
}

fn heading(ui: &mut Ui, summary: &Summary, view: &ViewState, out: &mut CommandQueue) {
    let c = theme::colours(ui);
    let Some(picked) = &summary.picked else {
        let count = summary.classes.iter().map(|it| it.1).sum();
        let text = format!("All {} instances", widgets::thousands(count));
        ui.label(widgets::strong(text, theme::HEADING).color(c.text));
        ui.label(egui::RichText::new("Drag over the scatter to pick some").color(c.weak));
        return;
    };
    let count = summary.detections.len();
    let mut text = format!("{} picked instances", widgets::thousands(count));
    if summary.annotations > 0 {
        text = format!(
            "{text}, {} annotations",
            widgets::thousands(summary.annotations)
        );
    }
    ui.label(widgets::strong(text, theme::HEADING).color(c.text));
    ui.add(egui::Label::new(egui::RichText::new(&picked.label).color(c.weak)).wrap());
    ui.horizontal(|ui| {
        let images = match view.gallery.len() {
            1 => "1 image in the gallery".to_owned(),
            count => format!("{} images in the gallery", widgets::thousands(count)),
        };
        ui.label(egui::RichText::new(images).color(c.weak));
        if ui.button("Clear").on_hover_text("Esc").clicked() {
            out.push(Command::ClearPick);
        }
    });
}

fn group(ui: &mut Ui, name: &str) {
    ui.add_space(2.0 * theme::GRID);
    widgets::section(ui, name);
}

fn mean_row(ui: &mut Ui, name: &str, mean: Option<f64>) {
    let c = theme::colours(ui);
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), ROW), Sense::hover());
    let font = FontId::proportional(theme::BODY);
    let middle = rect.center().y;
    let number = mean.map_or_else(|| MISSING.to_owned(), |it| format!("{it:.2}"));
    widgets::elided(
        ui,
        rect.left_center(),
        rect.right() - 100.0,
        name,
        &font,
        c.text,
    );
    let end = pos2(rect.right(), middle);
    text(ui, end, Align2::RIGHT_CENTER, &number, &font, c.text);
    if let Some(mean) = mean {
        bar(ui, rect.right() - 40.0 - BAR, middle, BAR, mean);
    }
    response.widget_info(|| {
        egui::WidgetInfo::labeled(egui::Role::Label, true, format!("mean {name} {number}"))
    });
    if mean.is_none() {
        response.on_hover_text("None of these instances has this number");
    }
}

fn count_row(ui: &mut Ui, name: &str, count: usize) {
    let c = theme::colours(ui);
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), ROW), Sense::hover());
    let font = FontId::proportional(theme::BODY);
    let number = widgets::thousands(count);
    let end = pos2(rect.right(), rect.center().y);
    let at = text(ui, end, Align2::RIGHT_CENTER, &number, &font, c.text);
    widgets::elided(ui, rect.left_center(), at.left() - 8.0, name, &font, c.text);
    response.widget_info(|| {
        egui::WidgetInfo::labeled(egui::Role::Label, true, format!("{name} {number}"))
    });
}

fn list(ui: &mut Ui, summary: &Summary, view: &ViewState, out: &mut CommandQueue) {
    let evaluation = &summary.analysis.evaluation;
    let input = &evaluation.base.input;
    let rows = VirtualRows {
        pitch: ROW,
        rows: summary.detections.len(),
        reveal: None,
    };
    rows.show(ui, Id::unique("picked instances"), |ui, row, rect| {
        let Some(&detection) = summary.detections.get(row) else {
            return;
        };
        let (Some(candidate), Some(at)) = (
            input.detections.get(detection as usize),
            judged::of_detection(evaluation, detection),
        ) else {
            return;
        };
        let name = input.classes.name(candidate.label as usize);
        let image = input.images.get(candidate.image as usize);
        let number = |quantity: Quantity| {
            quantity
                .of(evaluation, detection as usize)
                .map_or_else(|| MISSING.to_owned(), |it| format!("{it:.2}"))
        };
        let numbers = [Quantity::Score, Quantity::MaskIou, Quantity::Measured]
            .map(number)
            .join("  ");
        let index = candidate.index as usize;
        let mut child = ui.new_child(
            egui::UiBuilder::new()
                .max_rect(rect)
                .id_salt(("picked", row)),
        );
        let shown = widgets::Row {
            detail: image.map_or("", |image| image.name.as_str()),
            right: &numbers,
            selected: view.image == Some(at.image) && view.instance == Some(index),
            ..widgets::Row::new(&name)
        };
        let response = shown.show(&mut child, ROW);
        if response
            .on_hover_text("score, mask IoU, measured IoU")
            .clicked()
        {
            judged::go_to(at, out);
        }
    });
}
