//! What a reviewer can do. A part of `Command`; its plain keys hold in the Review workspace alone.

use std::borrow::Cow;

use super::panels::review::tools::Tool;
use super::review_queue::{self, QUEUE, QueueOf};
use super::shown::Shown;
use super::view::{ViewState, Workspace};
use crate::document::review::{Keep, Opinion, Shape, Target as Judged, Verdict};
use crate::document::{Document, Format};
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
    /// Mark the selected annotation, marked already or not.
    KeepMarked,
    /// Take all marks away.
    ClearMarks,
    /// Make one annotation of the marked ones and the selected one.
    Merge,
    /// The class of new annotations.
    SetNewClass(i64),
    /// Choose a class by a few letters.
    PickClass,
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
    /// Stop the export that is under way.
    CancelExport,
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
            Self::PickClass,
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
            Self::Export(Format::Overlays),
            Self::Export(Format::Predictions),
            Self::Export(Format::Results),
            Self::Export(Format::Html),
            Self::ExportAudit,
            Self::CancelExport,
            Self::FineTune,
            Self::OpenAgain,
            Self::Retry,
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
            Self::KeepMarked => "Mark the annotation to be merged".into(),
            Self::ClearMarks => "Take all marks away".into(),
            Self::Merge => "Merge the marked annotations with the selected one".into(),
            Self::SetNewClass(_) => "The class of new annotations".into(),
            Self::PickClass => "Choose a class".into(),
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
            Self::Export(format) if format.is_of_predictions() => format!(
                "Export the predictions that were not rejected: {}…",
                format_name(*format)
            )
            .into(),
            Self::Export(format) => {
                format!("Export the corrected set: {}…", format_name(*format)).into()
            }
            Self::CancelExport => "Stop the export".into(),
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
            Self::Export(format) if format.is_of_predictions() => {
                let mut images = doc.images().iter();
                images.any(|image| image.detections().is_some())
            }
            Self::Export(_) | Self::ExportAudit | Self::FineTune => true,
            Self::CancelExport => doc.export_progress().is_some_and(|it| it.total > 0),
            Self::Retry => false,
            Self::ToggleList => is_here && view.image.is_some(),
            Self::Tool(_)
            | Self::Drawn { .. }
            | Self::PredictIn { .. }
            | Self::SetNewClass(_)
            | Self::PickClass => is_here && is_writable && view.image.is_some(),
            Self::PredictHere => is_here && is_writable && selected.is_some(),
            Self::Mark | Self::KeepMarked => is_here && is_writable && is_annotation,
            Self::ClearMarks => is_here && !view.review.marked.is_empty(),
            Self::Merge => is_here && is_writable && to_merge(view).len() > 1,
            Self::Resize(_) => is_here && view.review.drawing.is_active(),
            Self::OpenAgain => is_here && doc.is_changed_outside(),
            Self::MakeQueue(QueueOf::Suspects) => {
                is_here && is_writable && review_queue::analysis(doc).is_some()
            }
            // Of an empty gallery it is said that it is empty.
            Self::MakeQueue(QueueOf::View(_) | QueueOf::Applied(_)) => is_here && is_writable,
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
            Self::Delete if view.review.drawing.has_corners() => false,
            Self::Judge(Verdict::MissingObject) => is_here && is_writable && view.image.is_some(),
            Self::Judge(_) | Self::Delete => is_here && is_writable && selected.is_some(),
            Self::ClearVerdict | Self::FocusNote => {
                is_here && is_writable && subject(doc, view).is_some()
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

/// Before the name of a class in the palette.
pub const CLASS: &str = "Class:";

/// Gives the selected annotation a class; without one, new annotations.
pub fn class_command(view: &ViewState, id: i64) -> ReviewCommand {
    match view.review.selected {
        Some(Judged::Annotation(_)) => ReviewCommand::SetClass(id),
        _ => ReviewCommand::SetNewClass(id),
    }
}

/// The class of a new annotation: the one that was chosen last, else the first.
pub fn new_class(doc: &Document, view: &ViewState) -> Option<i64> {
    let categories = doc.categories();
    let is_there = |id: &i64| categories.label(*id).is_some();
    let chosen = view.review.new_class.filter(is_there);
    chosen.or(categories.ids().next())
}

/// What notes and tags are about: what is selected, else the image, unless something is about to be selected.
pub fn subject(doc: &Document, view: &ViewState) -> Option<Judged> {
    let image = || {
        let image = view.image.filter(|_| view.review.wanted.is_none())?;
        let is_listed = view.instance.is_none() && view.annotation.is_none();
        is_listed.then(|| doc.image_id(image).map(Judged::Image))?
    };
    view.review.selected.clone().or_else(image)
}

/// What was said of it.
pub fn opinion(doc: &Document, view: &ViewState) -> Opinion {
    let found = doc.review().zip(subject(doc, view));
    found
        .map(|(review, judged)| review.opinion(&judged))
        .unwrap_or_default()
}
