//! Carrying out what a reviewer does; `dispatch` hands it on.

use super::command::Command;
use super::dialogs::Ask;
use super::dispatch::{Target, select_image};
use super::palette::Palette;
use super::panels::review::tools::Tool;
use super::review_command::{CLASS, ReviewCommand, new_class, subject, to_merge};
use super::review_queue;
use super::shell::Overlay;
use super::shown::Shown;
use super::view::{Layers, ViewState};
use crate::document::review::{Applied, Edit, Origin, Shape, Target as Judged, Verdict};
use crate::document::{BoxPrompt, Document, NoticeKind};
use crate::structures::BoxXywh;

/// Carries out a command that is enabled.
pub fn carry_out(command: &ReviewCommand, target: &mut Target<'_>) {
    match command {
        ReviewCommand::Undo | ReviewCommand::Redo => walk(command, target),
        ReviewCommand::Tool(tool) => take_tool(*tool, target),
        ReviewCommand::Mark => toggle_mark(target.view),
        ReviewCommand::KeepMarked => target.view.review.marked = to_merge(target.view),
        ReviewCommand::ClearMarks => target.view.review.marked.clear(),
        ReviewCommand::SetNewClass(id) => target.view.review.new_class = Some(*id),
        ReviewCommand::PredictHere => predict_here(target),
        ReviewCommand::PredictIn { image, id, bbox } => predict_in(*image, *id, *bbox, target),
        ReviewCommand::Resize(step) => target.view.review.drawing.resize(*step),
        ReviewCommand::Drawn { id, image, shape } => drawn(*id, *image, shape, target),
        ReviewCommand::PickClass => {
            target.shell.palette = Palette::asking(&format!("{CLASS} "));
            target.shell.overlay = Some(Overlay::Palette);
        }
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
        ReviewCommand::CancelExport => target.document.cancel_export(),
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
    let is_writable = |document: &Document| {
        let review = document.review();
        review.is_some_and(|review| !review.is_read_only())
    };
    if is_writable(document) {
        for edit in view.review.take_typed() {
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
        _ => drawing.forget_redo(),
    }
    let (done, word) = match command {
        ReviewCommand::Undo => (target.document.undo_edit(), "Undone"),
        _ => (target.document.redo_edit(), "Done again"),
    };
    if let Some(applied) = done {
        let text = format!("{word}: {}", applied.words);
        target.shell.toasts.say(NoticeKind::Info, text, "");
        show_changed(&applied, target);
    }
}

fn show_changed(applied: &Applied, target: &mut Target<'_>) {
    let Some(review) = target.document.review() else {
        return;
    };
    let is_there = |judged: &&Judged| match judged {
        Judged::Annotation(id) => review.record(*id).is_some(),
        Judged::Prediction(_) => true,
        Judged::Image(_) => false,
    };
    let queue = review.queues().get(review_queue::QUEUE);
    let in_queue = |judged: &&Judged| queue.is_some_and(|queue| queue.items().contains(judged));
    let there = || applied.about.iter().filter(is_there);
    let judged = there().find(in_queue).or_else(|| there().next()).cloned();
    if let Some(judged) = judged {
        return review_queue::return_to(judged, target);
    }
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
        (ReviewCommand::Judge(Verdict::MissingObject) | ReviewCommand::ClearVerdict, None) => {
            let verdict = match command {
                ReviewCommand::Judge(verdict) => Some(*verdict),
                _ => None,
            };
            let subject = subject(target.document, target.view);
            subject.map(|target| Edit::Verdict { target, verdict })
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
        ReviewCommand::Delete | ReviewCommand::TakeOver
            if review_queue::is_in_hand(target.document, selected.as_ref()) =>
        {
            review_queue::go_on(target);
        }
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
            // Behind the id of a new class.
            let new = applied.new_ids.last();
            target.view.review.wanted = new.map(|&id| Judged::Annotation(id.cast_unsigned()));
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

fn predict_here(target: &mut Target<'_>) {
    let Some(shown) = Shown::of(target.ctx, target.document, target.view) else {
        return;
    };
    let (id, bbox) = match &target.view.review.selected {
        Some(Judged::Annotation(id)) => (Some(*id), shown.bbox_of(*id)),
        Some(Judged::Prediction(_)) => {
            let index = target.view.instance;
            let shape = index.and_then(|index| shown.listed().get(index));
            (None, shape.map(|shape| shape.bbox))
        }
        _ => return,
    };
    if let Some(bbox) = bbox {
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

/// A mask that was drawn.
fn drawn(id: Option<u64>, image: usize, shape: &Shape, target: &mut Target<'_>) {
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
    if id.is_none() {
        let new = applied.new_ids.first();
        target.view.review.wanted = new.map(|&id| Judged::Annotation(id.cast_unsigned()));
    }
}

/// The selected prediction, which is accepted by that, as a new annotation; with its class where the set has none of that name.
fn take_over(target: &mut Target<'_>) -> Option<Edit> {
    let shown = Shown::of(target.ctx, target.document, target.view)?;
    let detections = shown.detections.as_ref()?;
    let detection = detections.get(target.view.instance?)?.clone();
    let document = &*target.document;
    let image_id = document.image_id(shown.image)?;
    let known = document.categories().id(detection.label);
    let category_id = match known {
        Some(id) => id,
        None => document.review()?.next_category(),
    };
    let accept = document
        .prediction_target(shown.image, &detection)
        .map(|target| Edit::Verdict {
            target,
            verdict: Some(Verdict::Accept),
        });
    let add = Edit::Add {
        image_id,
        category_id,
        segmentation: Shape::Runs(detection.mask.clone()),
        iscrowd: false,
        origin: Some(Origin {
            source: document.prediction_source_name(),
            score: detection.score,
            mask_iou: detection.mask_iou,
        }),
    };
    if known.is_some() {
        return Some(Edit::Together {
            words: String::new(),
            edits: [add].into_iter().chain(accept).collect(),
        });
    }
    let name = document.classes().name(detection.label);
    let file = document.images().get(shown.image)?.name.clone();
    Some(Edit::Together {
        words: format!("Promote to {name}, a new class, in {file}"),
        edits: [
            Edit::AddCategory {
                name,
                id: Some(category_id),
            },
            add,
        ]
        .into_iter()
        .chain(accept)
        .collect(),
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
