//! The Review workspace: the canvas with a queue below it, and beside it what is said and done.

mod history;
mod queue;
mod selected;
pub mod tools;

use egui::{Frame, Margin, Panel, RichText, ScrollArea, Ui};

use super::canvas_area;
use super::inspector;
use crate::document::review::{Keep, ReviewSession, Target};
use crate::document::{Document, ReviewState, TruthState};
use crate::ui::command::{Command, CommandQueue};
use crate::ui::loader::Loader;
use crate::ui::review_command::{self, ReviewCommand};
use crate::ui::shown::Shown;
use crate::ui::theme;
use crate::ui::view::{Layers, ViewState};
use crate::ui::widgets;
use tools::Drawing;

/// Between the parts.
const GAP: f32 = 12.0;
/// Height of the queue's strip.
const STRIP: f32 = 44.0;
/// Share of the right side that the list of instances has.
const LIST: f32 = 0.28;

/// What the workspace remembers.
#[derive(Default)]
pub struct ReviewView {
    /// The instance that commands are about.
    pub selected: Option<Target>,
    /// An instance that is to be selected as soon as its image's instances are here.
    pub wanted: Option<Target>,
    /// What is being drawn on the canvas.
    pub drawing: Drawing,
    /// The note's field wants the focus.
    pub focus_note: bool,
    /// What is being typed, and of which instance.
    note: Option<(Target, String)>,
    tags: Option<(Target, String)>,
    /// Name of a new class.
    class: String,
}

/// The canvas, and the queue below it.
pub fn review_centre_ui(
    ui: &mut Ui,
    doc: &mut Document,
    view: &mut ViewState,
    loader: &mut Loader,
    out: &mut CommandQueue,
) {
    doc.want_review();
    renew_selection(ui, doc, view);
    let c = theme::colours(ui);
    Panel::bottom("review queue")
        .exact_size(STRIP)
        .resizable(false)
        .frame(
            Frame::new()
                .fill(c.panel)
                .inner_margin(Margin::symmetric(theme::PADDING, 4)),
        )
        .show(ui, |ui| queue::queue_ui(ui, doc, view, out));
    canvas_area::canvas_area_ui(ui, doc, view, loader, out);
    tools::draw_ui(ui, doc, view, out);
}

/// Keeps `selected` in step with the window's selection, and selects what a queue led to.
fn renew_selection(ui: &Ui, doc: &mut Document, view: &mut ViewState) {
    let Some(shown) = Shown::of(ui.ctx(), doc, view) else {
        view.review.selected = None;
        return;
    };
    if let Some(wanted) = view.review.wanted.take()
        && !select(&wanted, doc, view, &shown)
    {
        view.review.wanted = Some(wanted);
        ui.ctx().request_repaint();
    }
    view.review.selected = review_command::selected(doc, view, &shown);
}

/// Whether it was selected, or is not there to be selected.
fn select(wanted: &Target, doc: &Document, view: &mut ViewState, shown: &Shown) -> bool {
    match wanted {
        Target::Image(_) => true,
        Target::Annotation(id) => {
            let Some(truth) = shown.annotations() else {
                return !matches!(shown.truth, TruthState::Pending);
            };
            let found = truth
                .instances
                .iter()
                .position(|instance| instance.id == *id);
            let Some(index) = found else {
                // A new annotation is on its way from the thread that reads them.
                return doc
                    .review()
                    .is_none_or(|review| review.record(*id).is_none());
            };
            if shown.lists_annotations() {
                (view.instance, view.annotation) = (Some(index), None);
            } else {
                (view.instance, view.annotation) = (None, Some((shown.image, index)));
                if view.layers == Layers::Predictions {
                    view.layers = Layers::Both;
                }
            }
            true
        }
        Target::Prediction(_) => {
            let Some(detections) = &shown.detections else {
                return false;
            };
            let is_it = |index: &usize| {
                let target = detections
                    .get(*index)
                    .and_then(|it| doc.prediction_target(shown.image, it));
                target.as_ref() == Some(wanted)
            };
            (view.instance, view.annotation) = (shown.order.iter().copied().find(is_it), None);
            true
        }
    }
}

/// Instances, the selected one, history.
pub fn review_right_ui(
    ui: &mut Ui,
    doc: &mut Document,
    view: &mut ViewState,
    out: &mut CommandQueue,
) {
    doc.want_review();
    renew_selection(ui, doc, view);
    let c = theme::colours(ui);
    match doc.review_state() {
        ReviewState::Ready(_) => {}
        ReviewState::Absent => {
            ui.colored_label(
                c.weak,
                "Review needs a set with annotations: open a COCO set",
            );
            return;
        }
        ReviewState::Opening => {
            ui.colored_label(c.weak, "The review is being opened");
            return;
        }
        ReviewState::Failed(why) => {
            let why = why.to_owned();
            ui.add(egui::Label::new(RichText::new(why).color(c.error)).wrap());
            if ui.button("Open the review again").clicked() {
                out.push(Command::Review(ReviewCommand::Retry));
            }
            return;
        }
    }
    let height = ui.available_height() * LIST;
    inspector::instances_part_ui(ui, doc, view, height, out);
    ui.add_space(GAP);
    let Some(review) = doc.review() else { return };
    ScrollArea::vertical()
        .id_salt("review")
        .auto_shrink([false, false])
        .show(ui, |ui| {
            ui.set_max_width(ui.available_width() - 2.0 * theme::GRID);
            conflicts_ui(ui, review, out);
            selected::selected_ui(ui, doc, review, view, out);
            ui.add_space(GAP);
            history::history_ui(ui, doc, review, view, out);
        });
}

fn conflicts_ui(ui: &mut Ui, review: &ReviewSession, out: &mut CommandQueue) {
    if review.conflicts().is_empty() {
        return;
    }
    let c = theme::colours(ui);
    widgets::section(
        ui,
        &format!("Conflicts with the file · {}", review.conflicts().len()),
    );
    for conflict in review.conflicts() {
        ui.add(egui::Label::new(RichText::new(&conflict.words).color(c.warning)).wrap());
        ui.horizontal(|ui| {
            for (keep, name) in [(Keep::Mine, "Keep mine"), (Keep::Theirs, "Take the file's")] {
                if ui.button(name).clicked() {
                    out.push(Command::Review(ReviewCommand::Settle(conflict.id, keep)));
                }
            }
        });
    }
    ui.add_space(GAP);
}
