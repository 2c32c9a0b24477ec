//! Queues of the Review workspace: what they are made of, and the way through them.

use std::collections::HashSet;

use super::command::Command;
use super::dispatch::{Target, select_image, step_instance};
use super::picked::{PickedInstance, PickedKind};
use super::saved_views;
use super::view::ViewState;
use crate::document::eval::{Suspect, SuspectKind};
use crate::document::evaluation::{Analysis, Side};
use crate::document::filter::{passing_annotations, passing_predictions};
use crate::document::review::{Queue, ReviewSession, Standing, Target as Judged};
use crate::document::{Document, NoticeKind};

/// What the window's queue is kept under.
pub const QUEUE: &str = "queue";

/// Frames without a running filter after which the gallery is that of a view that was just applied.
const CALM: u8 = 3;

/// What a queue is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QueueOf {
    /// Annotations of the gallery's images that pass the filter.
    Annotations,
    /// Predictions at or above the threshold, likewise.
    Predictions,
    /// What the evaluation suspects in the gallery's images, the most suspicious first.
    Suspects,
    /// A saved view: it is applied first.
    View(String),
    /// The same, as soon as the gallery shows it.
    Applied(String),
}

/// A saved view whose gallery is being made.
pub struct Awaited {
    name: String,
    calm: u8,
}

/// Makes a queue and goes to its first instance.
pub fn make(of: &QueueOf, target: &mut Target<'_>) {
    let document = &*target.document;
    let Some(review) = document.review() else {
        return;
    };
    let needs_predictions = !matches!(of, QueueOf::Annotations | QueueOf::View(_));
    if needs_predictions && document.is_reading_prediction_source() {
        let text = "The file of the predictions is still being read: try again in a moment";
        target.shell.toasts.say(NoticeKind::Warning, text, "");
        return;
    }
    let view = &*target.view;
    let titled = |name: &str| match view.query.text.trim() {
        "" => name.to_owned(),
        filter => format!("{name} · {filter}"),
    };
    let (title, items, reasons) = match of {
        QueueOf::View(name) => {
            let name = name.clone();
            saved_views::carry_out(&Command::ApplyView(name.clone()), target);
            target.view.review.awaited = Some(Awaited { name, calm: 0 });
            return;
        }
        QueueOf::Annotations => (
            titled("annotations"),
            annotations(document, view, review),
            Vec::new(),
        ),
        QueueOf::Predictions => (
            titled("predictions"),
            predictions(document, view),
            Vec::new(),
        ),
        QueueOf::Suspects => {
            let (items, reasons) = suspects(document, view, review);
            (titled("suspects"), items, reasons)
        }
        QueueOf::Applied(name) => {
            let found = predictions(document, view);
            let means_annotations = view.filter.query().asks_annotations() || found.is_empty();
            let items = match means_annotations {
                true => annotations(document, view, review),
                false => found,
            };
            (name.clone(), items, Vec::new())
        }
    };
    if items.is_empty() {
        let text = "The gallery has no such instances";
        target.shell.toasts.say(NoticeKind::Warning, text, "");
        return;
    }
    let queue = Queue::new(QUEUE, items).titled(title, reasons);
    let first = queue.current().cloned();
    target.document.keep_queue(queue);
    if let Some(first) = first {
        show(first, target);
    }
}

/// The command that makes the queue of a view, once its gallery is there.
pub fn awaited(ctx: &egui::Context, view: &mut ViewState) -> Option<QueueOf> {
    let awaited = view.review.awaited.as_mut()?;
    if view.filter.error().is_some() {
        view.review.awaited = None; // the filter bar says what is wrong with it
        return None;
    }
    ctx.request_repaint();
    awaited.calm = match view.filter.is_running() {
        true => 0,
        false => awaited.calm + 1,
    };
    if awaited.calm < CALM {
        return None;
    }
    let awaited = view.review.awaited.take()?;
    Some(QueueOf::Applied(awaited.name))
}

/// Annotations of the gallery. One that was added or corrected since is judged by what the file has; new ones are in the
/// queue where nothing is asked of instances.
fn annotations(document: &Document, view: &ViewState, review: &ReviewSession) -> Vec<Judged> {
    let query = view.filter.query();
    let input = document.filter_input(view.rank_by, view.threshold);
    let picked = picked_annotations(document, view);
    let new = review.new_annotations();
    let of_image = |&image: &usize| {
        let mut there = review.annotation_ids_of_file(image);
        there.extend(new.get(&image).into_iter().flatten());
        if !query.asks_instances() && picked.is_none() {
            return there;
        }
        let passing = passing_annotations(query, &input, image);
        let passing: HashSet<u64> = passing.into_iter().collect();
        let is_picked = |id: &u64| picked.as_ref().is_none_or(|picked| picked.contains(id));
        let kept = there.into_iter();
        kept.filter(|id| passing.contains(id) && is_picked(id))
            .collect()
    };
    let all = view.gallery.iter().flat_map(of_image);
    all.map(Judged::Annotation).collect()
}

/// Ids of the annotations that a chart picked; none where it picked no annotations.
fn picked_annotations(document: &Document, view: &ViewState) -> Option<HashSet<u64>> {
    let picked = view.picked.as_ref()?;
    let is_annotation = |it: &PickedInstance| matches!(it.what, PickedKind::Annotation(_));
    if !picked.instances().iter().any(is_annotation) {
        return None;
    }
    let input = &analysis(document)?.evaluation.base.input;
    let is_picked = |truth: &&crate::document::eval::Truth| {
        let image = input.images.get(truth.image as usize);
        image.is_some_and(|image| {
            let what = PickedKind::Annotation(truth.index as usize);
            picked
                .of_image(image.position)
                .iter()
                .any(|it| it.what == what)
        })
    };
    Some(
        input
            .truths
            .iter()
            .filter(is_picked)
            .map(|it| it.id)
            .collect(),
    )
}

fn predictions(document: &Document, view: &ViewState) -> Vec<Judged> {
    let input = document.filter_input(view.rank_by, view.threshold);
    let query = view.filter.query();
    let is_picked = |image: usize, index: usize| {
        let Some(picked) = &view.picked else {
            return true;
        };
        let of_image = picked.of_image(image);
        let is_prediction = |it: &PickedInstance| matches!(it.what, PickedKind::Prediction(_));
        !of_image.iter().any(is_prediction) || picked.has_prediction(image, index)
    };
    let mut items = Vec::new();
    for &image in &view.gallery {
        let detections = document.images().get(image);
        let Some(detections) = detections.and_then(|image| image.detections()) else {
            continue;
        };
        let kept = passing_predictions(query, &input, image).into_iter();
        let kept = kept.filter(|&index| is_picked(image, index));
        items.extend(
            kept.filter_map(|index| document.prediction_target(image, detections.get(index)?)),
        );
    }
    items
}

/// The analysis, where it is one of the predictions that are open now.
pub fn analysis(document: &Document) -> Option<&Analysis> {
    let is_at_work = document.progress().is_some()
        || document.evaluation_progress(Side::A).is_some()
        || document.analysis_progress().is_some();
    document.analysis().filter(|_| !is_at_work)
}

/// What is suspected, and why.
fn suspects(
    document: &Document,
    view: &ViewState,
    review: &ReviewSession,
) -> (Vec<Judged>, Vec<String>) {
    let Some(analysis) = analysis(document) else {
        return Default::default();
    };
    let shown: HashSet<usize> = view.gallery.iter().copied().collect();
    let mut seen = HashSet::new();
    let list = analysis.diagnosis.suspects.list.iter();
    list.filter_map(|suspect| {
        let judged = suspected(document, analysis, suspect, &shown)?;
        let is_there = match &judged {
            Judged::Annotation(id) => review.record(*id).is_some(),
            _ => true,
        };
        let reason = format!("{}: {}", suspect.kind.label(), suspect.reason);
        (is_there && seen.insert(judged.clone())).then_some((judged, reason))
    })
    .unzip()
}

/// The side that somebody has to look at: the annotation where the label is doubted, else the prediction.
fn suspected(
    document: &Document,
    analysis: &Analysis,
    suspect: &Suspect,
    shown: &HashSet<usize>,
) -> Option<Judged> {
    let input = &analysis.evaluation.base.input;
    let image = input.images.get(suspect.image as usize)?.position;
    if !shown.contains(&image) {
        return None;
    }
    let doubts_label = matches!(
        suspect.kind,
        SuspectKind::Label | SuspectKind::SwappedClass | SuspectKind::MissedObject
    );
    let truth = suspect.truth.and_then(|at| input.truths.get(at as usize));
    match (truth, suspect.detection) {
        (Some(truth), detection) if doubts_label || detection.is_none() => {
            Some(Judged::Annotation(truth.id))
        }
        (_, Some(detection)) => {
            let index = input.detections.get(detection as usize)?.index as usize;
            let detections = document.images().get(image)?.detections()?;
            document.prediction_target(image, detections.get(index)?)
        }
        (_, None) => None,
    }
}

/// Whether what is selected is the queue's instance in hand.
pub fn is_in_hand(document: &Document, selected: Option<&Judged>) -> bool {
    let queue = document.review().and_then(|it| it.queues().get(QUEUE));
    selected.is_some() && queue.is_some_and(|queue| queue.current() == selected)
}

/// After a verdict: on in the queue, or to the next instance of the image.
pub fn go_on(target: &mut Target<'_>) {
    let selected = target.view.review.selected.as_ref();
    if is_in_hand(target.document, selected) {
        step(target, |queue, said| queue.next(said).cloned());
    } else if target.view.annotation.is_none() && target.view.instance.is_some() {
        step_instance(target, 1);
    }
}

/// Moves in the queue and shows where it stands.
pub fn step(
    target: &mut Target<'_>,
    walk: impl FnOnce(&mut Queue, &dyn Fn(&Judged) -> Standing) -> Option<Judged>,
) {
    match target.document.walk_queue(QUEUE, walk) {
        Some(judged) => show(judged, target),
        None => target
            .shell
            .toasts
            .say(NoticeKind::Info, "The queue is done", ""),
    }
}

/// Shows an instance again; the queue goes back to it where it holds it.
pub fn return_to(judged: Judged, target: &mut Target<'_>) {
    let place = |queue: &Queue| queue.items().iter().position(|item| *item == judged);
    let queue = target
        .document
        .review()
        .and_then(|it| it.queues().get(QUEUE));
    if let Some(at) = queue.and_then(place) {
        target
            .document
            .walk_queue(QUEUE, |queue, _| queue.go_to(at).cloned());
    }
    show(judged, target);
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
        // Until it is here nothing else is judged in its place.
        (target.view.instance, target.view.annotation) = (None, None);
        target.view.review.selected = None;
        target.view.review.wanted = Some(judged);
    }
}
