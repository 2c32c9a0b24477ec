//! What the window shows of the selected image: its predictions, its annotations, which of them and in which order.
//!
//! Kept in egui's memory from frame to frame, so that no frame sorts or packs what the last one did.

use std::sync::Arc;

use super::canvas::InstanceSet;
use super::view::{Layers, ViewState, Workspace};
use crate::document::ranking::{RankBy, ranked};
use crate::document::{Document, Truth, TruthState};
use crate::structures::{BoxXywh, ClassTable, Detection, is_same};

/// Images whose packed instances are kept: the selected one and those it was reached from.
const KEPT_SETS: usize = 16;

/// What there is of the selected image.
#[derive(Clone)]
pub struct Shown {
    /// The image.
    pub image: usize,
    /// Its predictions.
    pub detections: Option<Arc<Vec<Detection>>>,
    /// Its annotations.
    pub truth: TruthState,
    /// The list: predictions at or above the threshold, best first; all annotations where there are no predictions.
    pub order: Arc<Vec<usize>>,
}

impl Shown {
    /// Of the image that is selected. A selected instance that is no longer in the list is deselected.
    pub fn of(ctx: &egui::Context, doc: &mut Document, view: &mut ViewState) -> Option<Self> {
        let image = view.image?;
        let detections = doc.images().get(image)?.detections().cloned();
        // Who corrects annotations alone has them in the list.
        let in_review = view.workspace == Workspace::Review;
        let detections = detections.filter(|_| !in_review || view.layers != Layers::GroundTruth);
        let truth = doc.truth(image);
        let id = egui::Id::unique("shown instances");
        let old = ctx.data(|data| data.get_temp::<Cached>(id));
        let key = Key {
            image,
            detections: detections.clone(),
            truth: ready(&truth).cloned(),
            rank_by: view.rank_by,
            threshold: view.threshold.to_bits(),
        };
        let cached = match old {
            Some(cached) if cached.key.is(&key) => cached,
            old => {
                // An index into annotations means nothing among predictions.
                let was = old.filter(|old| old.key.image == image);
                let was = was.as_ref();
                if was.is_some_and(|old| old.key.detections.is_some() != detections.is_some()) {
                    let instance = view.instance.take();
                    if in_review && detections.is_some() {
                        view.annotation = instance.map(|index| (image, index));
                    }
                }
                let was = was.and_then(|old| old.truth.as_ref());
                if let Some((was, now)) = was.zip(key.truth.as_ref()) {
                    follow(view, image, key.detections.is_none(), was, now);
                }
                let truth = key.truth.clone().or_else(|| was.cloned());
                let order = Arc::new(key.order());
                let cached = Cached { key, truth, order };
                ctx.data_mut(|data| data.insert_temp(id, cached.clone()));
                cached
            }
        };
        let order = cached.order;
        if detections.is_none()
            && ready(&truth).is_some()
            && let Some((_, index)) = view.annotation.take_if(|(of, _)| *of == image)
        {
            view.instance = Some(index);
        }
        let is_known = detections.is_some() || !matches!(truth, TruthState::Pending);
        if is_known && view.instance.is_some_and(|it| !order.contains(&it)) {
            view.instance = None;
        }
        Some(Self {
            image,
            detections,
            truth,
            order,
        })
    }

    /// The annotations, where they are here.
    pub fn annotations(&self) -> Option<&Arc<Truth>> {
        ready(&self.truth)
    }

    /// The box of an annotation of the image, by its id.
    pub fn bbox_of(&self, id: u64) -> Option<BoxXywh> {
        let truth = self.annotations()?;
        let place = truth.instances.iter().position(|it| it.id == id)?;
        Some(truth.shapes.get(place)?.bbox)
    }

    /// Predictions, or annotations where there are none: what `order` and the selection index.
    pub fn listed(&self) -> &[Detection] {
        match (&self.detections, self.annotations()) {
            (Some(detections), _) => detections,
            (None, Some(truth)) => &truth.shapes,
            (None, None) => &[],
        }
    }

    /// Whether the list holds annotations for want of predictions.
    pub fn lists_annotations(&self) -> bool {
        self.detections.is_none() && self.annotations().is_some()
    }

    /// Predictions below the threshold.
    pub fn below(&self) -> usize {
        self.listed().len().saturating_sub(self.order.len())
    }
}

/// A selected annotation stays selected where corrections changed its place among the others.
fn follow(view: &mut ViewState, image: usize, is_listed: bool, was: &Arc<Truth>, now: &Arc<Truth>) {
    if Arc::ptr_eq(was, now) {
        return;
    }
    let place = |index: usize| {
        let id = was.instances.get(index)?.id;
        now.instances.iter().position(|instance| instance.id == id)
    };
    if is_listed {
        view.instance = view.instance.and_then(place);
    }
    if let Some((_, index)) = view.annotation.filter(|(of, _)| *of == image) {
        view.annotation = place(index).map(|index| (image, index));
    }
}

fn ready(truth: &TruthState) -> Option<&Arc<Truth>> {
    match truth {
        TruthState::Ready(truth) => Some(truth),
        TruthState::Absent | TruthState::Pending => None,
    }
}

/// What the order of a list depends on. It keeps the predictions alive, so that an address means one of them only.
#[derive(Clone)]
struct Key {
    image: usize,
    detections: Option<Arc<Vec<Detection>>>,
    truth: Option<Arc<Truth>>,
    rank_by: RankBy,
    threshold: u64,
}

impl Key {
    fn is(&self, other: &Self) -> bool {
        self.image == other.image
            && is_same(self.detections.as_ref(), other.detections.as_ref())
            && is_same(self.truth.as_ref(), other.truth.as_ref())
            && (self.rank_by, self.threshold) == (other.rank_by, other.threshold)
    }

    fn order(&self) -> Vec<usize> {
        match (&self.detections, &self.truth) {
            (Some(all), _) => ranked(all, self.rank_by, f64::from_bits(self.threshold)),
            (None, Some(truth)) => (0..truth.shapes.len()).collect(),
            (None, None) => Vec::new(),
        }
    }
}

#[derive(Clone)]
struct Cached {
    key: Key,
    /// The last annotations that were here: what the selection indexes while others are read.
    truth: Option<Arc<Truth>>,
    order: Arc<Vec<usize>>,
}

/// Whose instances are packed.
#[derive(Clone)]
enum Owner {
    Detections(Arc<Vec<Detection>>),
    Annotations(Arc<Truth>),
}

#[derive(Clone)]
struct Packed {
    owner: Owner,
    classes: usize,
    set: Arc<InstanceSet>,
}

/// The predictions packed for canvas and hit test; made once for each vector of predictions.
pub fn packed(
    ctx: &egui::Context,
    detections: &Arc<Vec<Detection>>,
    classes: &ClassTable,
) -> Arc<InstanceSet> {
    let is = |owner: &Owner| matches!(owner, Owner::Detections(it) if Arc::ptr_eq(it, detections));
    find(ctx, classes, is, || {
        let owner = Owner::Detections(Arc::clone(detections));
        (owner, InstanceSet::new(detections, classes))
    })
}

/// The annotations packed for canvas and hit test.
pub fn packed_annotations(
    ctx: &egui::Context,
    truth: &Arc<Truth>,
    classes: &ClassTable,
) -> Arc<InstanceSet> {
    let is = |owner: &Owner| matches!(owner, Owner::Annotations(it) if Arc::ptr_eq(it, truth));
    find(ctx, classes, is, || {
        let owner = Owner::Annotations(Arc::clone(truth));
        (owner, InstanceSet::annotations(&truth.shapes, classes))
    })
}

fn find(
    ctx: &egui::Context,
    classes: &ClassTable,
    is: impl Fn(&Owner) -> bool,
    make: impl FnOnce() -> (Owner, Arc<InstanceSet>),
) -> Arc<InstanceSet> {
    let id = egui::Id::unique("packed instances");
    let mut kept = ctx
        .data(|data| data.get_temp::<Arc<Vec<Packed>>>(id))
        .unwrap_or_default();
    // A label keeps its name as long as anything has it; a class that is taken back had no instance any more.
    let found = kept
        .iter()
        .find(|packed| packed.classes == classes.len() && is(&packed.owner));
    if let Some(found) = found {
        return Arc::clone(&found.set);
    }
    let (owner, set) = make();
    let all = Arc::make_mut(&mut kept);
    if all.len() >= KEPT_SETS {
        all.remove(0);
    }
    all.push(Packed {
        owner,
        classes: classes.len(),
        set: Arc::clone(&set),
    });
    ctx.data_mut(|data| data.insert_temp(id, kept));
    set
}
