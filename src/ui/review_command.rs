//! What a reviewer can do. A part of `Command`; its plain keys hold in the Review workspace alone.

use std::borrow::Cow;

use super::dialogs::Ask;
use super::dispatch::{Target, select_image};
use super::panels::review::tools::Tool;
use super::shown::Shown;
use super::view::{Layers, ViewState, Workspace};
use crate::document::review::{
    Applied, Edit, Keep, Opinion, Origin, Queue, ReviewSession, Shape, Target as Judged, Verdict,
};
use crate::document::{Document, Format, NoticeKind};

/// Name of the queue that the window makes.
pub const QUEUE: &str = "queue";

/// What a queue is made of: the instances of the images that the gallery shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueueOf {
    /// Annotations.
    Annotations,
    /// Predictions at or above the threshold.
    Predictions,
}

/// An intent of a reviewer.
#[derive(Clone, Debug, PartialEq)]
pub enum ReviewCommand {
    /// Say what the selected instance is; of no instance, the image misses an object.
    Judge(Verdict),
    /// Take what was said back.
    ClearVerdict,
    /// Write a note on the selected instance.
    FocusNote,
    /// This note on the selected instance.
    SetNote(String),
    /// These tags on the selected instance.
    SetTags(Vec<String>),
    /// Take the last step back.
    Undo,
    /// Do it again.
    Redo,
    /// Delete the selected annotation; a prediction is rejected.
    Delete,
    /// Make an annotation of the selected prediction.
    TakeOver,
    /// Another class for the selected annotation.
    SetClass(i64),
    /// A class that the set does not have, for the selected annotation.
    NewClass(String),
    /// The selected annotation stands for many objects, or for one.
    ToggleCrowd,
    /// Make several annotations of the parts of the selected one.
    Split,
    /// Take a tool.
    Tool(Tool),
    /// A larger (+1) or smaller (-1) brush.
    Resize(i8),
    /// What a tool has drawn: another mask for an annotation, or a new one.
    Drawn(Option<u64>, Shape),
    /// List annotations, or predictions.
    ToggleList,
    /// Begin a queue.
    MakeQueue(QueueOf),
    /// The next instance of the queue without a verdict.
    NextInQueue,
    /// Pass over the one in hand: it comes back at the end.
    Skip,
    /// The one before.
    Back,
    /// Decide a conflict with a changed file.
    Settle(u64, Keep),
    /// Open the review again that could not be opened.
    Retry,
    /// Ask where to write the corrected set.
    Export(Format),
    /// Ask where to write the audit trail.
    ExportAudit,
    /// Fine-tune on the corrected set: it is written first.
    FineTune,
}

impl ReviewCommand {
    /// Those that the palette lists, in its order.
    pub fn listed() -> Vec<Self> {
        let mut all: Vec<Self> = Verdict::ALL.map(Self::Judge).into();
        all.extend([
            Self::ClearVerdict,
            Self::FocusNote,
            Self::Undo,
            Self::Redo,
            Self::Delete,
            Self::TakeOver,
            Self::ToggleCrowd,
            Self::Split,
            Self::Tool(Tool::Select),
            Self::Tool(Tool::Brush),
            Self::Tool(Tool::Eraser),
            Self::Tool(Tool::Polygon),
            Self::Tool(Tool::Cut),
            Self::Resize(-1),
            Self::Resize(1),
            Self::ToggleList,
            Self::MakeQueue(QueueOf::Annotations),
            Self::MakeQueue(QueueOf::Predictions),
            Self::NextInQueue,
            Self::Skip,
            Self::Back,
            Self::Export(Format::Coco),
            Self::Export(Format::Yolo),
            Self::Export(Format::Voc),
            Self::Export(Format::Cvat),
            Self::Export(Format::Csv),
            Self::ExportAudit,
        ]);
        all
    }

    /// What it does.
    pub fn label(&self) -> Cow<'static, str> {
        match self {
            Self::Judge(verdict) => format!("Verdict: {}", verdict.words()).into(),
            Self::ClearVerdict => "Clear the verdict".into(),
            Self::FocusNote => "Write a note".into(),
            Self::SetNote(_) => "Keep the note".into(),
            Self::SetTags(_) => "Keep the tags".into(),
            Self::Undo => "Undo".into(),
            Self::Redo => "Redo".into(),
            Self::Delete => "Delete the annotation".into(),
            Self::TakeOver => "Make an annotation of the prediction".into(),
            Self::SetClass(_) => "Change the class".into(),
            Self::NewClass(name) => format!("New class {name}").into(),
            Self::ToggleCrowd => "A crowd, or one object".into(),
            Self::Split => "Split the annotation into its parts".into(),
            Self::Tool(tool) => format!("Tool: {}", tool.label().to_lowercase()).into(),
            Self::Resize(step) if *step > 0 => "Larger brush".into(),
            Self::Resize(_) => "Smaller brush".into(),
            Self::Drawn(..) => "Keep what was drawn".into(),
            Self::ToggleList => "Review annotations, or predictions".into(),
            Self::MakeQueue(QueueOf::Annotations) => "Queue the annotations of the gallery".into(),
            Self::MakeQueue(QueueOf::Predictions) => "Queue the predictions of the gallery".into(),
            Self::NextInQueue => "Next in the queue".into(),
            Self::Skip => "Skip in the queue".into(),
            Self::Back => "Back in the queue".into(),
            Self::Settle(_, Keep::Mine) => "Keep the correction".into(),
            Self::Settle(_, Keep::Theirs) => "Take what the file has".into(),
            Self::Retry => "Open the review again".into(),
            Self::Export(format) => {
                format!("Export the corrected set: {}…", format_name(*format)).into()
            }
            Self::ExportAudit => "Export the audit trail…".into(),
            Self::FineTune => "Fine-tune on the corrected set…".into(),
        }
    }

    /// Whether it can be carried out now.
    pub fn enabled(&self, doc: &Document, view: &ViewState) -> bool {
        let is_here = view.workspace == Workspace::Review;
        let Some(review) = doc.review() else {
            return *self == Self::Retry && is_here;
        };
        let is_writable = !review.is_read_only();
        let selected = view.review.selected.as_ref();
        let is_annotation = matches!(selected, Some(Judged::Annotation(_)));
        match self {
            Self::Export(_) | Self::ExportAudit | Self::FineTune => true,
            Self::Retry => false,
            Self::ToggleList => is_here && view.image.is_some(),
            Self::Tool(_) | Self::Drawn(..) => is_here && is_writable && view.image.is_some(),
            Self::Resize(_) => is_here && view.review.drawing.is_active(),
            Self::MakeQueue(_) => is_here && is_writable && !view.gallery.is_empty(),
            // Enter and Backspace are a polygon's while one is being drawn.
            Self::NextInQueue | Self::Skip | Self::Back => {
                !view.review.drawing.is_active()
                    && is_here
                    && is_writable
                    && review.queues().contains_key(QUEUE)
            }
            Self::Undo => is_here && is_writable && review.history_position() > 0,
            Self::Redo => {
                is_here && is_writable && review.history_position() < review.history().len()
            }
            Self::Judge(Verdict::MissingObject) => is_here && is_writable && view.image.is_some(),
            Self::Judge(_)
            | Self::ClearVerdict
            | Self::FocusNote
            | Self::SetNote(_)
            | Self::SetTags(_)
            | Self::Delete => is_here && is_writable && selected.is_some(),
            Self::TakeOver => {
                is_here && is_writable && matches!(selected, Some(Judged::Prediction(_)))
            }
            Self::SetClass(_) | Self::NewClass(_) | Self::ToggleCrowd | Self::Split => {
                is_here && is_writable && is_annotation
            }
            Self::Settle(..) => is_here && is_writable,
        }
    }
}

/// As menus name it.
pub fn format_name(format: Format) -> &'static str {
    match format {
        Format::Coco => "COCO JSON",
        Format::Results => "COCO results",
        Format::Predictions => "prediction JSON",
        Format::Csv => "CSV",
        Format::Yolo => "YOLO",
        Format::Voc => "Pascal VOC",
        Format::Cvat => "CVAT",
        Format::Overlays => "pictures with masks",
        Format::Html => "HTML report",
    }
}

/// What is selected, as verdicts know it; kept in the view so that commands and panels agree.
pub fn selected(doc: &Document, view: &ViewState, shown: &Shown) -> Option<Judged> {
    let annotation = |index: usize| {
        let truth = shown.annotations()?;
        Some(Judged::Annotation(truth.instances.get(index)?.id))
    };
    match (view.annotation, view.instance) {
        (Some((image, index)), _) if image == shown.image => annotation(index),
        (_, Some(index)) if shown.lists_annotations() => annotation(index),
        (_, Some(index)) => doc.prediction_target(shown.image, shown.listed().get(index)?),
        (_, None) => None,
    }
}

/// Carries out a command that is enabled.
pub fn carry_out(command: &ReviewCommand, target: &mut Target<'_>) {
    match command {
        ReviewCommand::Undo | ReviewCommand::Redo => walk(command, target),
        ReviewCommand::Tool(tool) => take_tool(*tool, target),
        ReviewCommand::Resize(step) => target.view.review.drawing.resize(*step),
        ReviewCommand::Drawn(id, shape) => drawn(*id, shape, target),
        ReviewCommand::FocusNote => target.view.review.focus_note = true,
        ReviewCommand::ToggleList => toggle_list(target),
        ReviewCommand::MakeQueue(of) => make_queue(*of, target),
        ReviewCommand::NextInQueue => step(target, |queue, review| {
            queue.next(review.opinions()).cloned()
        }),
        ReviewCommand::Skip => step(target, |queue, review| {
            queue.skip(review.opinions()).cloned()
        }),
        ReviewCommand::Back => step(target, |queue, _| queue.back().cloned()),
        ReviewCommand::Settle(id, keep) => target.document.settle(*id, *keep),
        ReviewCommand::Retry => target.document.retry_review(),
        ReviewCommand::Export(format) => ask(Ask::Corrected(*format), target),
        ReviewCommand::ExportAudit => ask(Ask::Audit, target),
        ReviewCommand::FineTune => ask(Ask::CorrectedToTrain, target),
        _ => edit(command, target),
    }
}

fn ask(ask: Ask, target: &mut Target<'_>) {
    target.shell.overlay = None;
    target.shell.dialogs.ask(target.ctx, ask, target.document);
}

/// Undo and redo show what they changed.
fn walk(command: &ReviewCommand, target: &mut Target<'_>) {
    let (done, word) = match command {
        ReviewCommand::Undo => (target.document.undo_edit(), "Undone"),
        _ => (target.document.redo_edit(), "Done again"),
    };
    if let Some(applied) = done {
        let text = format!("{word}: {}", applied.words);
        target.shell.toasts.say(NoticeKind::Info, text, "");
        show_image(&applied, target);
    }
}

fn show_image(applied: &Applied, target: &mut Target<'_>) {
    let review = target.document.review();
    let image = review.and_then(|review| review.image_position(applied.image_id?));
    if let Some(image) = image.filter(|image| target.view.image != Some(*image)) {
        select_image(target, image);
    }
}

/// Edits of what is selected.
fn edit(command: &ReviewCommand, target: &mut Target<'_>) {
    let selected = target.view.review.selected.clone();
    let edit = match (command, &selected) {
        (ReviewCommand::Judge(Verdict::MissingObject), None) => {
            let image = target
                .view
                .image
                .and_then(|image| target.document.image_id(image));
            image.map(|id| Edit::Verdict {
                target: Judged::Image(id),
                verdict: Some(Verdict::MissingObject),
            })
        }
        (_, None) => None,
        (ReviewCommand::Judge(verdict), Some(judged)) => Some(Edit::Verdict {
            target: judged.clone(),
            verdict: Some(*verdict),
        }),
        (ReviewCommand::ClearVerdict, Some(judged)) => Some(Edit::Verdict {
            target: judged.clone(),
            verdict: None,
        }),
        (ReviewCommand::SetNote(note), Some(judged)) => Some(Edit::Note {
            target: judged.clone(),
            note: note.clone(),
        }),
        (ReviewCommand::SetTags(tags), Some(judged)) => Some(Edit::Tags {
            target: judged.clone(),
            tags: tags.clone(),
        }),
        (ReviewCommand::TakeOver, Some(Judged::Prediction(_))) => take_over(target),
        (ReviewCommand::Delete, Some(judged @ Judged::Prediction(_))) => Some(Edit::Verdict {
            target: judged.clone(),
            verdict: Some(Verdict::Reject),
        }),
        (_, Some(Judged::Annotation(id))) => of_annotation(command, *id, target),
        (_, Some(_)) => None,
    };
    let Some(edit) = edit else { return };
    let Some(applied) = target.document.edit(&edit) else {
        return;
    };
    match command {
        ReviewCommand::Judge(_) => go_on(target),
        ReviewCommand::Delete => target.view.instance = None,
        ReviewCommand::TakeOver => {
            target.view.review.wanted = applied
                .new_ids
                .first()
                .map(|&id| Judged::Annotation(id.cast_unsigned()));
        }
        _ => {}
    }
}

fn of_annotation(command: &ReviewCommand, id: u64, target: &Target<'_>) -> Option<Edit> {
    let record = target.document.review()?.record(id)?;
    Some(match command {
        ReviewCommand::Delete => Edit::Delete { ids: vec![id] },
        ReviewCommand::SetClass(category_id) => Edit::SetClass {
            id,
            category_id: *category_id,
        },
        ReviewCommand::NewClass(name) => {
            let category_id = target.document.review()?.next_category();
            Edit::Together {
                words: String::new(),
                edits: vec![
                    Edit::AddCategory {
                        name: name.clone(),
                        id: Some(category_id),
                    },
                    Edit::SetClass { id, category_id },
                ],
            }
        }
        ReviewCommand::ToggleCrowd => Edit::SetCrowd {
            id,
            iscrowd: !record.is_crowd,
        },
        ReviewCommand::Split => Edit::Split {
            id,
            parts: Vec::new(),
        },
        _ => return None,
    })
}

/// Drawing happens on annotations: they are shown.
fn take_tool(tool: Tool, target: &mut Target<'_>) {
    let view = &mut *target.view;
    view.review.drawing.take(tool);
    if view.review.drawing.is_active() && view.layers == Layers::Predictions {
        view.layers = Layers::GroundTruth;
        if matches!(view.review.selected, Some(Judged::Prediction(_))) {
            view.instance = None;
        }
    }
}

/// A mask that was drawn. That polygons became runs is told: it is the one thing about them that cannot be taken for granted.
fn drawn(id: Option<u64>, shape: &Shape, target: &mut Target<'_>) {
    let review = target.document.review();
    let was_polygon = id.zip(review).is_some_and(|(id, review)| {
        matches!(review.shape(id), Ok(Shape::Polygons(_))) && matches!(shape, Shape::Runs(_))
    });
    let edit = match id {
        Some(id) => Edit::SetMask {
            id,
            segmentation: shape.clone(),
        },
        None => {
            let image = target
                .view
                .image
                .and_then(|image| target.document.image_id(image));
            let category = target.document.classes().category_ids.first().copied();
            let Some((image_id, category_id)) = image.zip(category) else {
                return;
            };
            Edit::Add {
                image_id,
                category_id,
                segmentation: shape.clone(),
                iscrowd: false,
                origin: None,
            }
        }
    };
    let Some(applied) = target.document.edit(&edit) else {
        return;
    };
    if was_polygon {
        let text = "The polygons are a painted mask now: exports write its run lengths";
        target.shell.toasts.say(NoticeKind::Info, text, "");
    }
    if id.is_none() {
        let new = applied.new_ids.first();
        target.view.review.wanted = new.map(|&id| Judged::Annotation(id.cast_unsigned()));
    }
}

/// The selected prediction as a new annotation.
fn take_over(target: &mut Target<'_>) -> Option<Edit> {
    let shown = Shown::of(target.ctx, target.document, target.view)?;
    let detection = shown
        .detections
        .as_ref()?
        .get(target.view.instance?)?
        .clone();
    let image_id = target.document.image_id(shown.image)?;
    let category_id = *target
        .document
        .classes()
        .category_ids
        .get(detection.label)?;
    Some(Edit::Add {
        image_id,
        category_id,
        segmentation: Shape::Runs(detection.mask.clone()),
        iscrowd: false,
        origin: Some(Origin {
            source: target.document.prediction_source(),
            score: detection.score,
            mask_iou: detection.mask_iou,
        }),
    })
}

/// After a verdict: on in the queue, or to the next instance of the image.
fn go_on(target: &mut Target<'_>) {
    let has_queue = |review: &ReviewSession| {
        let queue = review.queues().get(QUEUE);
        queue.is_some_and(|queue| queue.current() == target.view.review.selected.as_ref())
    };
    if target.document.review().is_some_and(has_queue) {
        step(target, |queue, review| {
            queue.next(review.opinions()).cloned()
        });
    } else if target.view.annotation.is_none() && target.view.instance.is_some() {
        super::dispatch::step_instance(target, 1);
    }
}

/// Moves in the queue and shows where it stands.
fn step(target: &mut Target<'_>, walk: impl FnOnce(&mut Queue, &ReviewSession) -> Option<Judged>) {
    let Some(review) = target.document.review() else {
        return;
    };
    let Some(mut queue) = review.queues().get(QUEUE).cloned() else {
        return;
    };
    let next = walk(&mut queue, review);
    target.document.keep_queue(queue);
    match next {
        Some(judged) => show(judged, target),
        None => target
            .shell
            .toasts
            .say(NoticeKind::Info, "The queue is done", ""),
    }
}

/// Shows an instance: its image now, itself as soon as that is here.
pub fn show(judged: Judged, target: &mut Target<'_>) {
    let review = target.document.review();
    let image_id = match &judged {
        Judged::Annotation(id) => review.and_then(|review| review.image_of(*id)),
        Judged::Prediction(key) => Some(key.image_id),
        Judged::Image(id) => Some(*id),
    };
    let image = image_id.and_then(|id| review.and_then(|review| review.image_position(id)));
    if let Some(image) = image {
        select_image(target, image);
        target.view.review.wanted = Some(judged);
    }
}

fn make_queue(of: QueueOf, target: &mut Target<'_>) {
    let document = &*target.document;
    let Some(review) = document.review() else {
        return;
    };
    let mut items = Vec::new();
    for &image in &target.view.gallery {
        match of {
            QueueOf::Annotations => {
                items.extend(
                    review
                        .annotation_ids(image)
                        .into_iter()
                        .map(Judged::Annotation),
                );
            }
            QueueOf::Predictions => {
                let detections = document
                    .images()
                    .get(image)
                    .and_then(|image| image.detections());
                let kept = detections.into_iter().flat_map(|all| all.iter());
                let rank_by = target.view.rank_by;
                let kept = kept.filter(|it| rank_by.admits(it, target.view.threshold));
                items.extend(kept.filter_map(|it| document.prediction_target(image, it)));
            }
        }
    }
    if items.is_empty() {
        let text = "The gallery has no such instances";
        target.shell.toasts.say(NoticeKind::Warning, text, "");
        return;
    }
    let queue = Queue::new(QUEUE, items);
    let first = queue.current().cloned();
    target.document.keep_queue(queue);
    if let Some(first) = first {
        show(first, target);
    }
}

/// Annotations beside predictions are selected by their own field, so that the list follows the layers.
fn toggle_list(target: &mut Target<'_>) {
    let view = &mut *target.view;
    view.layers = match view.layers {
        Layers::GroundTruth => Layers::Predictions,
        Layers::Predictions | Layers::Both => Layers::GroundTruth,
    };
    (view.instance, view.annotation) = (None, None);
}

/// What was said of what is selected.
pub fn opinion(doc: &Document, view: &ViewState) -> Opinion {
    let selected = view.review.selected.as_ref();
    let found = doc.review().zip(selected);
    found
        .map(|(review, judged)| review.opinion(judged))
        .unwrap_or_default()
}
