//! Boxes and masks through the engine, each with what it took.

use std::sync::Arc;
use std::time::Instant;

use super::restrict;
use super::source::Source;
use super::tell::Teller;
use super::{EvaluateRequest, Stage};
use crate::coco::dataset::Dataset;
use crate::eval::{
    Cells, CocoNumbers, Curves, EvalInput, IdPolicy, Kind, Matches, Order, Overlaps,
    PredictedImages, Scope, Selection, Setup, accumulate, build, matches, measured_ious,
    rank_scores,
};
use crate::jobs::JobError;
use crate::structures::ranking::RankBy;

/// Results of one kind, and all that they come from.
#[derive(Debug)]
pub struct EvaluatedKind {
    /// Boxes or masks.
    pub kind: Kind,
    /// What ranked the detections.
    pub rank_by: RankBy,
    /// Ground truth and predictions; boxes and masks share it unless they come from lists of their own.
    pub input: Arc<EvalInput>,
    /// Their cells.
    pub cells: Arc<Cells>,
    /// Their IoUs: within the class, or where `details` were asked for of masks with annotations of every class.
    pub overlaps: Arc<Overlaps>,
    /// What an annotation with the id 0 is.
    pub ids: IdPolicy,
    /// What takes part.
    pub selection: Arc<Selection>,
    /// The ranking.
    pub order: Order,
    /// Who matched whom.
    pub matches: Matches,
    /// Precision and recall.
    pub curves: Curves,
    /// The twelve numbers.
    pub numbers: CocoNumbers,
    /// What it took.
    pub seconds: Seconds,
}

/// Wall time of the steps that the printed block names.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Seconds {
    /// Reading files and preparing masks.
    pub load: f64,
    /// Overlaps and matches.
    pub evaluate: f64,
    /// Curves and numbers.
    pub accumulate: f64,
}

/// AP with and without pycocotools' rule for the annotation id 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct IdZero {
    /// Boxes: ours, then pycocotools'.
    pub bbox: Option<[f64; 2]>,
    /// Masks: ours, then pycocotools'.
    pub segm: Option<[f64; 2]>,
}

/// Both kinds.
pub(super) struct Kinds {
    pub bbox: Option<EvaluatedKind>,
    pub segm: Option<EvaluatedKind>,
    pub id_zero: Option<IdZero>,
}

impl EvaluatedKind {
    /// What the engine asks for.
    pub fn setup(&self) -> Setup<'_> {
        Setup {
            input: &self.input,
            cells: &self.cells,
            overlaps: &self.overlaps,
            kind: self.kind,
            ids: self.ids,
        }
    }

    /// AP under the other rule for the annotation id 0.
    fn other_ap(&self) -> f64 {
        let ids = match self.ids {
            IdPolicy::ByIndex => IdPolicy::Pycocotools,
            IdPolicy::Pycocotools => IdPolicy::ByIndex,
        };
        let setup = Setup {
            ids,
            ..self.setup()
        };
        let found = matches(&setup, &self.order, &self.selection);
        CocoNumbers::of(&accumulate(&self.cells, &self.order, &found)).ap()
    }
}

impl Kinds {
    fn each(&self) -> impl Iterator<Item = &EvaluatedKind> {
        // Masks first: they decide where the two lists differ.
        self.segm.iter().chain(&self.bbox)
    }

    /// Inputs with what each left out: one, or one a kind.
    pub fn inputs(&self) -> Vec<(Kind, &EvalInput)> {
        let mut found: Vec<(Kind, &EvalInput)> = Vec::new();
        for of_kind in self.bbox.iter().chain(&self.segm) {
            let is_new = found
                .iter()
                .all(|(_, known)| !std::ptr::eq(*known, &*of_kind.input));
            if is_new {
                found.push((of_kind.kind, &of_kind.input));
            }
        }
        found
    }

    pub fn images(&self) -> usize {
        self.each()
            .next()
            .map_or(0, |kind| match &kind.selection.images {
                Some(chosen) => chosen.iter().filter(|&&chosen| chosen).count(),
                None => kind.input.images.len(),
            })
    }

    pub fn detections(&self) -> usize {
        self.each()
            .next()
            .map_or(0, |kind| match &kind.selection.detections {
                Some(chosen) => chosen.iter().filter(|&&chosen| chosen).count(),
                None => kind.input.detections.len(),
            })
    }
}

/// Evaluates what the source has; `started` is when reading began.
pub(super) fn evaluate(
    request: &EvaluateRequest,
    dataset: &Dataset,
    source: &Source,
    started: Instant,
    teller: &Teller<'_>,
) -> Result<Kinds, JobError> {
    let mut work = Work {
        request,
        dataset,
        teller,
        since: started,
        has_masks: source.segm.is_some(),
        shared: None,
    };
    let bbox = work.kind(Kind::Bbox, source.bbox.as_ref(), RankBy::Score)?;
    let segm = work.kind(Kind::Segm, source.segm.as_ref(), request.rank_by)?;
    let mut kinds = Kinds {
        bbox,
        segm,
        id_zero: None,
    };
    if kinds.each().any(|kind| kind.input.has_id_zero()) {
        kinds.id_zero = Some(IdZero::of(&kinds));
    }
    Ok(kinds)
}

/// What both kinds share where they come from one list of predictions.
#[derive(Clone)]
struct SideBySide {
    input: Arc<EvalInput>,
    cells: Arc<Cells>,
    selection: Arc<Selection>,
    /// IoUs of masks, where the selection has asked for them.
    masks: Option<Arc<Overlaps>>,
}

struct Work<'a, 't> {
    request: &'a EvaluateRequest,
    dataset: &'a Dataset,
    teller: &'a Teller<'t>,
    /// When the work began that no kind has counted yet.
    since: Instant,
    has_masks: bool,
    shared: Option<(Arc<PredictedImages>, SideBySide)>,
}

impl Work<'_, '_> {
    fn kind(
        &mut self,
        kind: Kind,
        predicted: Option<&Arc<PredictedImages>>,
        rank_by: RankBy,
    ) -> Result<Option<EvaluatedKind>, JobError> {
        let Some(predicted) = predicted else {
            return Ok(None);
        };
        let ready = match &self.shared {
            Some((of, ready)) if Arc::ptr_eq(of, predicted) => ready.clone(),
            _ => self.side_by_side(predicted)?,
        };
        self.shared = Some((Arc::clone(predicted), ready.clone()));
        if kind == Kind::Segm {
            check_ranking(&ready.input, rank_by)?;
        }
        let load = self.since.elapsed().as_secs_f64();
        let found = self.evaluate(kind, rank_by, ready, load)?;
        self.since = Instant::now();
        Ok(Some(found))
    }

    fn side_by_side(&self, predicted: &PredictedImages) -> Result<SideBySide, JobError> {
        self.teller.stage(Stage::Prepare);
        let total = self.dataset.images().len();
        let step = |done| self.teller.step(done, total);
        let input = build(self.dataset, predicted, &step).ok_or(JobError::Interrupted)?;
        let cells = Cells::new(&input);
        let mut masks = None;
        let selection = match &self.request.filter {
            Some(text) => restrict::selection(text, &input, || {
                let overlaps = self.overlaps(&input, Kind::Segm)?;
                let measured = measured_ious(&input, &overlaps);
                masks = Some(overlaps);
                Ok(measured)
            })?,
            None => Selection::default(),
        };
        Ok(SideBySide {
            input: Arc::new(input),
            cells: Arc::new(cells),
            selection: Arc::new(selection),
            masks,
        })
    }

    fn overlaps(&self, input: &EvalInput, kind: Kind) -> Result<Arc<Overlaps>, JobError> {
        let total = input.images.len();
        let step = |done| self.teller.step(done, total);
        // What follows the numbers is of masks, or of boxes where there are no masks.
        let is_primary = kind == Kind::Segm || !self.has_masks;
        let scope = if self.request.details && is_primary {
            Scope::AnyClass
        } else {
            Scope::SameClass
        };
        let overlaps = Overlaps::measure(input, kind, scope, &step);
        overlaps.map(Arc::new).ok_or(JobError::Interrupted)
    }

    fn evaluate(
        &self,
        kind: Kind,
        rank_by: RankBy,
        ready: SideBySide,
        load: f64,
    ) -> Result<EvaluatedKind, JobError> {
        self.teller.stage(Stage::Evaluate);
        let began = Instant::now();
        let overlaps = match (kind, ready.masks) {
            (Kind::Segm, Some(masks)) => masks,
            _ => self.overlaps(&ready.input, kind)?,
        };
        let ids = if self.request.pycocotools_ids {
            IdPolicy::Pycocotools
        } else {
            IdPolicy::ByIndex
        };
        let setup = Setup {
            input: &ready.input,
            cells: &ready.cells,
            overlaps: &overlaps,
            kind,
            ids,
        };
        let order = Order::new(&ready.cells, &rank_scores(&ready.input, rank_by));
        let matches = matches(&setup, &order, &ready.selection);
        let evaluate = began.elapsed().as_secs_f64();
        self.teller.check()?;
        let began = Instant::now();
        let curves = accumulate(&ready.cells, &order, &matches);
        Ok(EvaluatedKind {
            kind,
            rank_by,
            numbers: CocoNumbers::of(&curves),
            input: ready.input,
            cells: ready.cells,
            selection: ready.selection,
            overlaps,
            ids,
            order,
            matches,
            curves,
            seconds: Seconds {
                load,
                evaluate,
                accumulate: began.elapsed().as_secs_f64(),
            },
        })
    }
}

/// A ranking by a number that no prediction has would be no ranking.
fn check_ranking(input: &EvalInput, rank_by: RankBy) -> Result<(), JobError> {
    let count = input.detections.len();
    let has = (0..count).any(|at| rank_by.of(input.detection(at)).is_some());
    if count > 0 && !has {
        return Err(JobError::Ranking {
            rank_by: rank_by.key(),
        });
    }
    Ok(())
}

impl IdZero {
    fn of(kinds: &Kinds) -> Self {
        let both = |kind: &Option<EvaluatedKind>| {
            let kind = kind.as_ref()?;
            let (own, other) = (kind.numbers.ap(), kind.other_ap());
            Some(match kind.ids {
                IdPolicy::ByIndex => [own, other],
                IdPolicy::Pycocotools => [other, own],
            })
        };
        Self {
            bbox: both(&kinds.bbox),
            segm: both(&kinds.segm),
        }
    }

    /// The notice.
    pub(super) fn sentence(&self, request: &EvaluateRequest, place: Option<&str>) -> String {
        let place = place.map_or_else(String::new, |place| format!("{place}: "));
        let both = |name: &str, aps: Option<[f64; 2]>| {
            aps.map(|[ours, theirs]| format!("{name} AP {ours:.4} against {theirs:.4}"))
        };
        let aps: Vec<String> = [both("segm", self.segm), both("bbox", self.bbox)]
            .into_iter()
            .flatten()
            .collect();
        let aps = aps.join(", ");
        if request.pycocotools_ids {
            format!(
                "{place}annotation id 0: counted as unmatched, as pycocotools does (--pycocotools-ids); right would be {aps}"
            )
        } else {
            format!(
                "{place}annotation id 0: pycocotools would miscount: it takes a match with that annotation for none; {aps} (--pycocotools-ids counts like it)"
            )
        }
    }
}
