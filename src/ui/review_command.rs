//! What a reviewer can do. A part of `Command`; its plain keys hold in the Review workspace alone.

use std::borrow::Cow;

use super::command::Command;
use super::dialogs::Ask;
use super::dispatch::{Target, select_image};
use super::panels::review::tools::Tool;
use super::review_queue::{self, QUEUE, QueueOf};
use super::shown::Shown;
use super::view::{Layers, ViewState, Workspace};
use crate::document::review::{
    Applied, Edit, Keep, Opinion, Origin, Shape, Target as Judged, Verdict,
};
use crate::document::{BoxPrompt, Document, Format, NoticeKind};
use crate::structures::BoxXywh;

/// An intent of a reviewer.
#[derive(Clone, Debug, PartialEq)]
pub enum ReviewCommand {
    /// Say what the selected instance is; of no instance, the image misses an object.
    Judge(Verdict),
    /// Take what was said back.
    ClearVerdict,
    /// Write a note on the selected instance.
    FocusNote,
    /// This note on an instance.
    SetNote(Judged, String),
    /// These tags on an instance.
    SetTags(Judged, Vec<String>),
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
    /// Mark the selected annotation to be merged, or take the mark away.
    Mark,
    /// Take all marks away.
    ClearMarks,
    /// Make one annotation of the marked ones and the selected one.
    Merge,
    /// The class of new annotations.
    SetNewClass(i64),
    /// Give the selected annotation the model's mask in its box; of a prediction it becomes a new annotation.
    PredictHere,
    /// The model's mask in a box that was drawn.
    PredictIn {
        /// The image it was drawn on.
        image: usize,
        /// The annotation that gets the mask; without, a new one.
        id: Option<u64>,
        /// In pixels of the image.
        bbox: BoxXywh,
    },
    /// Take a tool.
    Tool(Tool),
    /// A larger (+1) or smaller (-1) brush.
    Resize(i8),
    /// What a tool has drawn: another mask for an annotation, or a new one.
    Drawn {
        /// The annotation; without, a new one.
        id: Option<u64>,
        /// The image it was drawn on.
        image: usize,
        /// All of its mask.
        shape: Shape,
    },
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
    /// Open the set again whose file another program has changed.
    OpenAgain,
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
            Self::Mark,
            Self::ClearMarks,
            Self::Merge,
            Self::PredictHere,
        ]);
        all.extend(Tool::ALL.map(Self::Tool));
        all.extend([
            Self::Resize(-1),
            Self::Resize(1),
            Self::ToggleList,
            Self::MakeQueue(QueueOf::Annotations),
            Self::MakeQueue(QueueOf::Predictions),
            Self::MakeQueue(QueueOf::Suspects),
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
            Self::SetNote(..) => "Keep the note".into(),
            Self::SetTags(..) => "Keep the tags".into(),
            Self::Undo => "Undo".into(),
            Self::Redo => "Redo".into(),
            Self::Delete => "Delete the annotation".into(),
            Self::TakeOver => "Make an annotation of the prediction".into(),
            Self::SetClass(_) => "Change the class".into(),
            Self::NewClass(name) => format!("New class {name}").into(),
            Self::ToggleCrowd => "A crowd, or one object".into(),
            Self::Split => "Split the annotation into its parts".into(),
            Self::Mark => "Mark the annotation to be merged, or not".into(),
            Self::ClearMarks => "Take all marks away".into(),
            Self::Merge => "Merge the marked annotations with the selected one".into(),
            Self::SetNewClass(_) => "The class of new annotations".into(),
            Self::PredictHere => "Predict the mask in the box of the instance".into(),
            Self::PredictIn { .. } => "Predict the mask in a box".into(),
            Self::Tool(tool) => format!("Tool: {}", tool.label().to_lowercase()).into(),
            Self::Resize(step) if *step > 0 => "Larger brush".into(),
            Self::Resize(_) => "Smaller brush".into(),
            Self::Drawn { .. } => "Keep what was drawn".into(),
            Self::ToggleList => "Review annotations, or predictions".into(),
            Self::MakeQueue(QueueOf::Annotations) => "Queue the annotations of the gallery".into(),
            Self::MakeQueue(QueueOf::Predictions) => "Queue the predictions of the gallery".into(),
            Self::MakeQueue(QueueOf::Suspects) => "Queue the suspects of the gallery".into(),
            Self::MakeQueue(QueueOf::View(name) | QueueOf::Applied(name)) => {
                format!("Queue the view {name}").into()
            }
            Self::OpenAgain => "Open the changed file and merge".into(),
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
            Self::Tool(_) | Self::Drawn { .. } | Self::PredictIn { .. } | Self::SetNewClass(_) => {
                is_here && is_writable && view.image.is_some()
            }
            Self::PredictHere => is_here && is_writable && selected.is_some(),
            Self::Mark => is_here && is_writable && is_annotation,
            Self::ClearMarks => is_here && !view.review.marked.is_empty(),
            Self::Merge => is_here && is_writable && to_merge(view).len() > 1,
            Self::Resize(_) => is_here && view.review.drawing.is_active(),
            Self::OpenAgain => is_here && doc.is_changed_outside(),
            Self::MakeQueue(QueueOf::Suspects) => {
                is_here && is_writable && doc.analysis().is_some()
            }
            Self::MakeQueue(QueueOf::View(_)) => is_here && is_writable,
            Self::MakeQueue(_) => is_here && is_writable && !view.gallery.is_empty(),
            // Enter and Backspace are a polygon's while one is being drawn.
            Self::NextInQueue | Self::Skip | Self::Back => {
                !view.review.drawing.is_active()
                    && is_here
                    && is_writable
                    && review.queues().contains_key(QUEUE)
            }
            Self::Undo => {
                let is_any = view.review.drawing.is_begun() || review.history_position() > 0;
                is_here && is_writable && is_any
            }
            Self::Redo => {
                let is_undone = review.history_position() < review.history().len();
                is_here && is_writable && (view.review.drawing.can_redo() || is_undone)
            }
            // A chosen corner goes before its annotation.
            Self::Delete if view.review.drawing.has_corner() => false,
            Self::Judge(Verdict::MissingObject) => is_here && is_writable && view.image.is_some(),
            Self::Judge(_) | Self::ClearVerdict | Self::FocusNote | Self::Delete => {
                is_here && is_writable && selected.is_some()
            }
            Self::TakeOver => {
                is_here && is_writable && matches!(selected, Some(Judged::Prediction(_)))
            }
            Self::SetClass(_) | Self::NewClass(_) | Self::ToggleCrowd | Self::Split => {
                is_here && is_writable && is_annotation
            }
            Self::Settle(..) | Self::SetNote(..) | Self::SetTags(..) => is_here && is_writable,
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
        ReviewCommand::Mark => toggle_mark(target.view),
        ReviewCommand::ClearMarks => target.view.review.marked.clear(),
        ReviewCommand::SetNewClass(id) => target.view.review.new_class = Some(*id),
        ReviewCommand::PredictHere => predict_here(target),
        ReviewCommand::PredictIn { image, id, bbox } => predict_in(*image, *id, *bbox, target),
        ReviewCommand::Resize(step) => target.view.review.drawing.resize(*step),
        ReviewCommand::Drawn { id, image, shape } => drawn(*id, *image, shape, target),
        ReviewCommand::FocusNote => target.view.review.focus_note = true,
        ReviewCommand::ToggleList => toggle_list(target),
        ReviewCommand::MakeQueue(of) => review_queue::make(of, target),
        ReviewCommand::NextInQueue => {
            review_queue::step(target, |queue, said| queue.next(said).cloned());
        }
        ReviewCommand::Skip => review_queue::step(target, |queue, said| queue.skip(said).cloned()),
        ReviewCommand::Back => review_queue::step(target, |queue, _| queue.back().cloned()),
        ReviewCommand::OpenAgain => target.document.open_again(),
        ReviewCommand::Settle(id, keep) => target.document.settle(*id, *keep),
        ReviewCommand::Retry => target.document.retry_review(),
        ReviewCommand::Export(format) => ask(Ask::Corrected(*format), target),
        ReviewCommand::ExportAudit => ask(Ask::Audit, target),
        ReviewCommand::FineTune => ask(Ask::CorrectedToTrain, target),
        _ => edit(command, target),
    }
}

/// Keeps notes and tags that are still in their fields, before `command` leads elsewhere.
pub fn keep_typed(command: &Command, document: &mut Document, view: &mut ViewState) {
    let is_typed = |command: &Command| {
        use ReviewCommand::{SetNote, SetTags};
        matches!(command, Command::Review(SetNote(..) | SetTags(..)))
    };
    if !is_typed(command) {
        keep_all_typed(document, view);
    }
}

/// Keeps notes and tags that are still in their fields.
pub fn keep_all_typed(document: &mut Document, view: &mut ViewState) {
    let typed = view.review.take_typed();
    if document
        .review()
        .is_some_and(|review| !review.is_read_only())
    {
        for edit in typed {
            document.edit(&edit);
        }
    }
}

fn ask(ask: Ask, target: &mut Target<'_>) {
    target.shell.overlay = None;
    target.shell.dialogs.ask(target.ctx, ask, target.document);
}

/// Undo and redo show what they changed.
fn walk(command: &ReviewCommand, target: &mut Target<'_>) {
    // What is begun is taken back before what is done.
    let drawing = &mut target.view.review.drawing;
    match command {
        ReviewCommand::Undo if drawing.is_begun() => return drawing.undo(),
        ReviewCommand::Redo if drawing.can_redo() => return drawing.redo(),
        _ => {}
    }
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
        (ReviewCommand::SetNote(judged, note), _) => Some(Edit::Note {
            target: judged.clone(),
            note: note.clone(),
        }),
        (ReviewCommand::SetTags(judged, tags), _) => Some(Edit::Tags {
            target: judged.clone(),
            tags: tags.clone(),
        }),
        (ReviewCommand::Merge, _) => Some(Edit::Merge {
            ids: to_merge(target.view),
        }),
        (_, None) => None,
        (ReviewCommand::Judge(verdict), Some(judged)) => Some(Edit::Verdict {
            target: judged.clone(),
            verdict: Some(*verdict),
        }),
        (ReviewCommand::ClearVerdict, Some(judged)) => Some(Edit::Verdict {
            target: judged.clone(),
            verdict: None,
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
        ReviewCommand::Judge(_) => review_queue::go_on(target),
        ReviewCommand::SetClass(id) => target.view.review.new_class = Some(*id),
        ReviewCommand::NewClass(_) => {
            target.view.review.new_class = applied.new_ids.first().copied()
        }
        ReviewCommand::Merge => {
            let kept = target.view.review.marked.first().copied();
            target.view.review.marked.clear();
            target.view.review.wanted = kept.map(Judged::Annotation);
        }
        ReviewCommand::Delete => (target.view.instance, target.view.annotation) = (None, None),
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

/// The annotations that a merge takes: the marked ones, then the selected one. The first keeps its id and class.
pub fn to_merge(view: &ViewState) -> Vec<u64> {
    let mut ids = view.review.marked.clone();
    if let Some(Judged::Annotation(id)) = view.review.selected
        && !ids.contains(&id)
    {
        ids.push(id);
    }
    ids
}

fn toggle_mark(view: &mut ViewState) {
    let Some(Judged::Annotation(id)) = view.review.selected else {
        return;
    };
    let marked = &mut view.review.marked;
    match marked.iter().position(|&it| it == id) {
        Some(at) => drop(marked.remove(at)),
        None => marked.push(id),
    }
}

/// The class of a new annotation: the one that was chosen last, else the first.
pub fn new_class(doc: &Document, view: &ViewState) -> Option<i64> {
    let ids = &doc.classes().category_ids;
    let chosen = view.review.new_class.filter(|id| ids.contains(id));
    chosen.or(ids.first().copied())
}

fn predict_here(target: &mut Target<'_>) {
    let Some(shown) = Shown::of(target.ctx, target.document, target.view) else {
        return;
    };
    let (id, shape) = match &target.view.review.selected {
        Some(Judged::Annotation(id)) => {
            let truth = shown.annotations();
            let place = truth.and_then(|it| it.instances.iter().position(|of| of.id == *id));
            (Some(*id), place.and_then(|at| truth?.shapes.get(at)))
        }
        Some(Judged::Prediction(_)) => {
            let index = target.view.instance;
            (None, index.and_then(|index| shown.listed().get(index)))
        }
        _ => return,
    };
    if let Some(bbox) = shape.map(|shape| shape.bbox) {
        predict_in(shown.image, id, bbox, target);
    }
}

fn predict_in(image: usize, id: Option<u64>, bbox: BoxXywh, target: &mut Target<'_>) {
    if let Some(or_category) = new_class(target.document, target.view) {
        target.document.ask_mask(BoxPrompt {
            image,
            bbox,
            annotation: id,
            or_category,
        });
    }
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
fn drawn(id: Option<u64>, image: usize, shape: &Shape, target: &mut Target<'_>) {
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
            let image = target.document.image_id(image);
            let category = new_class(target.document, target.view);
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
        target.view.review.drawing.forget();
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
