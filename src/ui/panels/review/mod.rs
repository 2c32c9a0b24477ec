//! The Review workspace: the canvas with a queue below it, and beside it what is said and done.

mod history;
mod queue;
mod selected;
pub mod tools;

use egui::{Frame, Margin, Panel, RichText, ScrollArea, Ui};

use super::canvas_area;
use super::inspector;
use crate::document::review::{Edit, Keep, Queue, QueueProgress, ReviewSession, Target};
use crate::document::{Document, ReviewState, TruthState};
use crate::structures::Detection;
use crate::ui::command::{Command, CommandQueue};
use crate::ui::loader::Loader;
use crate::ui::review_command::{self, ReviewCommand};
use crate::ui::review_queue::{self, Awaited};
use crate::ui::shown::Shown;
use crate::ui::theme;
use crate::ui::view::{Layers, ViewState};
use crate::ui::widgets;
use tools::Drawing;

/// Between the parts.
const GAP: f32 = 12.0;
/// Height of the queue's strip.
pub const STRIP: f32 = 44.0;
/// Share of the right side that the list of instances has.
const LIST: f32 = 0.28;

/// What the workspace remembers.
#[derive(Default)]
pub struct ReviewView {
    /// The instance that commands are about.
    pub selected: Option<Target>,
    /// An instance that is to be selected as soon as its image's instances are here.
    pub wanted: Option<Target>,
    /// Annotations of the shown image that are marked to be merged, the first marked first.
    pub marked: Vec<u64>,
    /// A saved view that is to be made a queue.
    pub awaited: Option<Awaited>,
    /// How far the queue has come, and for which state of the review that was counted.
    progress: Option<(u64, QueueProgress)>,
    /// The class of new annotations: the one that was chosen last.
    pub new_class: Option<i64>,
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

impl ReviewView {
    /// Notes and tags that are still in their fields, as edits; the fields show what is kept then.
    pub fn take_typed(&mut self) -> Vec<Edit> {
        let note = self.note.take();
        let note = note.map(|(target, note)| Edit::Note { target, note });
        let tags = self.tags.take().map(|(target, text)| Edit::Tags {
            target,
            tags: selected::tags_of(&text),
        });
        note.into_iter().chain(tags).collect()
    }

    /// How far a queue has come; counted when anything was said or done, not every frame.
    fn progress_of(&mut self, review: &ReviewSession, queue: &Queue) -> QueueProgress {
        let revision = review.revision();
        match &self.progress {
            Some((of, known)) if *of == revision => known.clone(),
            _ => {
                let progress = review.progress(queue);
                self.progress = Some((revision, progress.clone()));
                progress
            }
        }
    }

    /// Forgets what belongs to a set that is closed.
    pub fn close(&mut self) {
        self.drawing.forget();
        *self = Self {
            drawing: std::mem::take(&mut self.drawing),
            ..Self::default()
        };
    }
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
    if let Some(of) = review_queue::awaited(ui.ctx(), view) {
        out.push(Command::Review(ReviewCommand::MakeQueue(of)));
    }
    changed_file_ui(ui, doc, out);
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
    let wanted = view.review.wanted.take();
    // Who went on to another image no longer wants it.
    if let Some(wanted) = wanted.filter(|wanted| is_on(doc, wanted, shown.image))
        && !select(&wanted, doc, view, &shown)
    {
        view.review.wanted = Some(wanted);
    }
    view.review.selected = review_command::selected(doc, view, &shown);
    if !view.review.marked.is_empty() {
        let is_here = |id: &u64| is_on(doc, &Target::Annotation(*id), shown.image);
        let is_there = |id: &u64| doc.review().is_some_and(|it| it.record(*id).is_some());
        view.review.marked.retain(|id| is_here(id) && is_there(id));
    }
}

fn is_on(doc: &Document, target: &Target, image: usize) -> bool {
    let image_id = match target {
        Target::Image(id) => Some(*id),
        Target::Annotation(id) => doc.review().and_then(|review| review.image_of(*id)),
        Target::Prediction(key) => Some(key.image_id),
    };
    image_id.is_some() && image_id == doc.image_id(image)
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
            let of_image = doc.images().get(shown.image);
            let Some(detections) = of_image.and_then(|image| image.detections()) else {
                // The model, or a file, may bring them.
                return doc.progress().is_none() && doc.attaching().is_none();
            };
            if doc.is_reading_prediction_source() {
                return false;
            }
            if shown.detections.is_none() {
                view.layers = Layers::Both; // the next frame lists predictions
                return false;
            }
            let is_it =
                |it: &Detection| doc.prediction_target(shown.image, it).as_ref() == Some(wanted);
            let found = detections.iter().position(is_it);
            if let Some(index) = found.filter(|index| !shown.order.contains(index)) {
                // What was asked for is shown, below the threshold too.
                let value = view.rank_by.of(&detections[index]).unwrap_or(0.0);
                view.threshold = (value * 20.0).floor().clamp(0.0, 20.0) / 20.0;
                return false;
            }
            (view.instance, view.annotation) = (found, None);
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

/// A line above the canvas while the set's file is another than the one that was opened.
fn changed_file_ui(ui: &mut Ui, doc: &Document, out: &mut CommandQueue) {
    if !doc.is_changed_outside() {
        return;
    }
    let c = theme::colours(ui);
    Panel::top("changed file")
        .resizable(false)
        .frame(
            Frame::new()
                .fill(c.panel)
                .inner_margin(Margin::symmetric(theme::PADDING, 6)),
        )
        .show(ui, |ui| {
            ui.horizontal_wrapped(|ui| {
                let text = "Another program changed the set's file: annotations that are not loaded yet cannot \
                            be read until it is opened again. Corrections are kept and merged by id";
                ui.colored_label(c.warning, text);
                if ui.button("Open again and merge").clicked() {
                    out.push(Command::Review(ReviewCommand::OpenAgain));
                }
            });
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
