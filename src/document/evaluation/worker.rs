//! The thread that evaluates: the latest request wins, and each keeps what the next can use.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use super::{EvalBase, EvalProgress, EvalSettings, EvalStage, Evaluation, KindResult};
use crate::coco::dataset::Dataset;
use crate::document::Wake;
use crate::eval::{
    Cells, CocoNumbers, Kind, Matches, Order, Overlaps, PredictedImages, Scope, Selection,
    accumulate, build, matches, matches_of_fewer, measured_ious, rank_scores,
};
use crate::jobs;
use crate::structures::ranking::RankBy;

/// What a thread is asked for.
#[derive(Clone)]
struct Request {
    number: u64,
    /// Names the predictions; equal numbers are equal predictions.
    predictions_number: u64,
    predictions: Arc<PredictedImages>,
    settings: EvalSettings,
}

/// What the window and the thread share.
#[derive(Default)]
struct Shared {
    /// The latest request; earlier ones are not answered.
    request: Mutex<Slot>,
    asked: Condvar,
    /// Number of the latest request.
    number: AtomicU64,
    stage: AtomicUsize,
    done: AtomicUsize,
    total: AtomicUsize,
}

#[derive(Default)]
struct Slot {
    request: Option<Request>,
    is_closed: bool,
}

/// Evaluates on a thread of its own, latest request first.
pub(in crate::document) struct Evaluator {
    shared: Arc<Shared>,
    answers: Receiver<(u64, Arc<Evaluation>)>,
    latest: Option<Arc<Evaluation>>,
    asked: Option<(u64, EvalSettings)>,
    answered: u64,
}

impl Evaluator {
    /// A thread for `dataset`; it ends with the evaluator.
    pub fn new(dataset: Arc<Dataset>, wake: Wake) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let (sender, answers) = channel();
        let of_thread = Arc::clone(&shared);
        std::thread::Builder::new()
            .name("evaluation".into())
            .spawn(move || work(&dataset, &of_thread, &sender, &wake))?;
        Ok(Self {
            shared,
            answers,
            latest: None,
            asked: None,
            answered: 0,
        })
    }

    /// Asks for an evaluation unless it is the one last asked for. `predictions` is called where they are new.
    pub fn ask(
        &mut self,
        predictions_number: u64,
        settings: &EvalSettings,
        predictions: impl FnOnce() -> PredictedImages,
    ) {
        let is_known = |(number, asked): &(u64, EvalSettings)| {
            *number == predictions_number && asked == settings
        };
        if self.asked.as_ref().is_some_and(is_known) {
            return;
        }
        let mut slot = self
            .shared
            .request
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let same = slot
            .request
            .take()
            .filter(|r| r.predictions_number == predictions_number);
        let predictions = same.map_or_else(|| Arc::new(predictions()), |r| r.predictions);
        let number = self.shared.number.fetch_add(1, Ordering::Relaxed) + 1;
        slot.request = Some(Request {
            number,
            predictions_number,
            predictions,
            settings: settings.clone(),
        });
        self.shared.asked.notify_one();
        self.asked = Some((predictions_number, settings.clone()));
    }

    /// Takes in what the thread finished.
    pub fn poll(&mut self) {
        for (number, evaluation) in self.answers.try_iter() {
            self.answered = number;
            self.latest = Some(evaluation);
        }
    }

    /// The latest evaluation that is done.
    pub fn latest(&self) -> Option<&Arc<Evaluation>> {
        self.latest.as_ref()
    }

    /// How far the request is that was last made; `None` where it is answered.
    pub fn progress(&self) -> Option<EvalProgress> {
        if self.answered == self.shared.number.load(Ordering::Relaxed) {
            return None;
        }
        let stage = self.shared.stage.load(Ordering::Relaxed);
        Some(EvalProgress {
            stage: EvalStage::ALL
                .get(stage)
                .copied()
                .unwrap_or(EvalStage::Numbers),
            done: self.shared.done.load(Ordering::Relaxed),
            total: self.shared.total.load(Ordering::Relaxed),
        })
    }
}

impl Drop for Evaluator {
    fn drop(&mut self) {
        // What runs notices the number and stops.
        self.shared.number.fetch_add(1, Ordering::Relaxed);
        let mut slot = self
            .shared
            .request
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        slot.is_closed = true;
        self.shared.asked.notify_one();
    }
}

type Answers = Sender<(u64, Arc<Evaluation>)>;

fn work(dataset: &Dataset, shared: &Shared, answers: &Answers, wake: &Wake) {
    let mut kept = Kept::default();
    let mut last = 0;
    loop {
        let request = {
            let mut slot = shared
                .request
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            loop {
                if slot.is_closed {
                    return;
                }
                match &slot.request {
                    Some(request) if request.number != last => break request.clone(),
                    _ => {
                        slot = shared
                            .asked
                            .wait(slot)
                            .unwrap_or_else(PoisonError::into_inner)
                    }
                }
            }
        };
        last = request.number;
        if let Some(evaluation) = kept.evaluate(dataset, shared, &request, wake) {
            if answers
                .send((request.number, Arc::new(evaluation)))
                .is_err()
            {
                return;
            }
            wake();
        }
    }
}

/// What the thread keeps from one request to the next.
#[derive(Default)]
struct Kept {
    base: Option<(u64, Arc<EvalBase>)>,
    orders: HashMap<RankBy, Arc<Order>>,
    /// What the latest filter selects.
    chosen: Option<(String, Arc<Selection>)>,
    /// Of all detections of a selection; the next threshold begins with them.
    matches: HashMap<(Kind, RankBy), (Arc<Selection>, Arc<Matches>)>,
}

impl Kept {
    /// `None` where another request came meanwhile.
    fn evaluate(
        &mut self,
        dataset: &Dataset,
        shared: &Shared,
        request: &Request,
        wake: &Wake,
    ) -> Option<Evaluation> {
        let base = match &self.base {
            Some((number, base)) if *number == request.predictions_number => Arc::clone(base),
            _ => {
                self.orders.clear();
                self.matches.clear();
                self.chosen = None;
                self.base = None;
                let base = Arc::new(make_base(dataset, shared, request, wake)?);
                self.base = Some((request.predictions_number, Arc::clone(&base)));
                base
            }
        };
        shared
            .stage
            .store(EvalStage::Numbers as usize, Ordering::Relaxed);
        let settings = &request.settings;
        let chosen = self.chosen(&base, settings);
        let selection = selection(&base, settings, &chosen);
        let is_current = || shared.number.load(Ordering::Relaxed) == request.number;
        let segm = self.kind_result(&base, Kind::Segm, settings, &chosen, &selection);
        if !is_current() {
            return None;
        }
        let bbox = self.kind_result(&base, Kind::Bbox, settings, &chosen, &selection);
        Some(Evaluation {
            base,
            settings: request.settings.clone(),
            selection,
            bbox,
            segm,
        })
    }

    fn order(&mut self, base: &EvalBase, by: RankBy) -> Arc<Order> {
        let make = || Arc::new(Order::new(&base.cells, &rank_scores(&base.input, by)));
        Arc::clone(self.orders.entry(by).or_insert_with(make))
    }

    /// What the filter, or else the selection of the settings, lets take part.
    fn chosen(&mut self, base: &EvalBase, settings: &EvalSettings) -> Arc<Selection> {
        let Some(text) = &settings.filter else {
            return Arc::clone(&settings.selection);
        };
        if let Some((of, known)) = &self.chosen
            && of == text
        {
            return Arc::clone(known);
        }
        let found = jobs::evaluate::select(text, &base.input, &base.measured);
        // The window asks with queries that it has read; a wrong one selects nothing rather than everything.
        let found = found.unwrap_or_else(|error| {
            log::error!("`{text}` cannot restrict an evaluation: {error}");
            Selection {
                images: Some(vec![false; base.input.images.len()]),
                ..Selection::default()
            }
        });
        let found = Arc::new(found);
        self.chosen = Some((text.clone(), Arc::clone(&found)));
        found
    }

    /// `selection` is what is chosen with the threshold of the settings.
    fn kind_result(
        &mut self,
        base: &EvalBase,
        kind: Kind,
        settings: &EvalSettings,
        chosen: &Arc<Selection>,
        selection: &Selection,
    ) -> KindResult {
        let by = match kind {
            Kind::Bbox => RankBy::Score,
            Kind::Segm => settings.rank_by,
        };
        let order = self.order(base, by);
        let of_all = self.matches_of_all(base, kind, by, chosen);
        let matches = match settings.threshold {
            Some(_) => {
                let setup = base.setup(kind);
                Arc::new(matches_of_fewer(&setup, &order, selection, &of_all))
            }
            None => of_all,
        };
        let curves = accumulate(&base.cells, &order, &matches);
        KindResult {
            numbers: CocoNumbers::of(&curves),
            curves,
            matches,
            order,
        }
    }

    fn matches_of_all(
        &mut self,
        base: &EvalBase,
        kind: Kind,
        by: RankBy,
        selection: &Arc<Selection>,
    ) -> Arc<Matches> {
        match self.matches.get(&(kind, by)) {
            Some((of, known)) if of == selection => Arc::clone(known),
            _ => {
                let order = self.order(base, by);
                let found = Arc::new(matches(&base.setup(kind), &order, selection));
                let entry = (Arc::clone(selection), Arc::clone(&found));
                self.matches.insert((kind, by), entry);
                found
            }
        }
    }
}

fn make_base(
    dataset: &Dataset,
    shared: &Shared,
    request: &Request,
    wake: &Wake,
) -> Option<EvalBase> {
    /// Frames between are enough to see it move.
    const STEP: usize = 64;
    shared
        .total
        .store(dataset.images().len(), Ordering::Relaxed);
    let progress = |done: usize| {
        shared.done.store(done, Ordering::Relaxed);
        if done.is_multiple_of(STEP) {
            wake();
        }
        shared.number.load(Ordering::Relaxed) == request.number
    };
    let enter = |stage: EvalStage| {
        shared.done.store(0, Ordering::Relaxed);
        shared.stage.store(stage as usize, Ordering::Relaxed);
    };
    enter(EvalStage::Annotations);
    let input = build(dataset, &request.predictions, &progress)?;
    enter(EvalStage::Overlaps);
    let masks = Overlaps::measure(&input, Kind::Segm, Scope::AnyClass, &progress)?;
    let boxes = Overlaps::measure(&input, Kind::Bbox, Scope::SameClass, &progress)?;
    let mut image_of = vec![None; dataset.images().len()];
    for (number, image) in (0u32..).zip(&input.images) {
        if let Some(place) = image_of.get_mut(image.position) {
            *place = Some(number);
        }
    }
    Some(EvalBase {
        cells: Cells::new(&input),
        measured: measured_ious(&input, &masks),
        masks,
        boxes,
        image_of,
        input,
    })
}

/// What is chosen, at or above the threshold.
fn selection(base: &EvalBase, settings: &EvalSettings, chosen: &Selection) -> Selection {
    let mut selection = chosen.clone();
    if let Some(threshold) = settings.threshold {
        let keep = |position: usize| {
            let is_selected = selection
                .detections
                .as_ref()
                .is_none_or(|list| list.get(position).copied().unwrap_or(false));
            is_selected
                && settings
                    .rank_by
                    .admits(base.input.detection(position), threshold)
        };
        let kept = (0..base.input.detections.len()).map(keep).collect();
        selection.detections = Some(kept);
    }
    selection
}
