//! Boxes and masks through the engine, each with what it took.

use std::sync::Arc;
use std::time::Instant;

use super::source::Source;
use super::tell::Teller;
use super::{EvaluateRequest, Stage};
use crate::coco::dataset::Dataset;
use crate::eval::{
    Cells, CocoNumbers, Curves, EvalInput, IdPolicy, Kind, Matches, Order, Overlaps,
    PredictedImages, Scope, Selection, Setup, accumulate, build, matches, rank_scores,
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
    /// Their IoUs: of masks with annotations of every class, of boxes within the class.
    pub overlaps: Overlaps,
    /// What an annotation with the id 0 is.
    pub ids: IdPolicy,
    /// What takes part.
    pub selection: Selection,
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

    pub fn left_out_count(&self) -> usize {
        self.inputs()
            .iter()
            .map(|(_, input)| input.left_out_count)
            .sum()
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
    let mut shared = None;
    let mut of_kind = |kind, predicted: &Option<Arc<PredictedImages>>, rank_by| {
        let Some(predicted) = predicted else {
            return Ok(None);
        };
        let before = if kind == Kind::Bbox || source.bbox.is_none() {
            started
        } else {
            Instant::now()
        };
        let side_by_side = match &shared {
            Some((of, ready)) if Arc::ptr_eq(of, predicted) => SideBySide::clone(ready),
            _ => {
                let ready = side_by_side(dataset, predicted, teller)?;
                shared = Some((Arc::clone(predicted), ready.clone()));
                ready
            }
        };
        let load = before.elapsed().as_secs_f64();
        evaluate_kind(request, kind, rank_by, side_by_side, load, teller).map(Some)
    };
    let bbox = of_kind(Kind::Bbox, &source.bbox, RankBy::Score)?;
    let segm = of_kind(Kind::Segm, &source.segm, request.rank_by)?;
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

#[derive(Clone)]
struct SideBySide {
    input: Arc<EvalInput>,
    cells: Arc<Cells>,
}

fn side_by_side(
    dataset: &Dataset,
    predicted: &PredictedImages,
    teller: &Teller<'_>,
) -> Result<SideBySide, JobError> {
    teller.stage(Stage::Prepare);
    let total = dataset.images().len();
    let input = build(dataset, predicted, &|done| teller.step(done, total));
    let input = input.ok_or(JobError::Interrupted)?;
    let cells = Cells::new(&input);
    Ok(SideBySide {
        input: Arc::new(input),
        cells: Arc::new(cells),
    })
}

fn evaluate_kind(
    request: &EvaluateRequest,
    kind: Kind,
    rank_by: RankBy,
    SideBySide { input, cells }: SideBySide,
    load: f64,
    teller: &Teller<'_>,
) -> Result<EvaluatedKind, JobError> {
    if kind == Kind::Segm {
        check_ranking(&input, rank_by)?;
    }
    teller.stage(Stage::Evaluate);
    let began = Instant::now();
    let total = input.images.len();
    let step = |done| teller.step(done, total);
    let overlaps = Overlaps::measure(&input, kind, Scope::SameClass, &step);
    let overlaps = overlaps.ok_or(JobError::Interrupted)?;
    let ids = if request.pycocotools_ids {
        IdPolicy::Pycocotools
    } else {
        IdPolicy::ByIndex
    };
    let setup = Setup {
        input: &input,
        cells: &cells,
        overlaps: &overlaps,
        kind,
        ids,
    };
    let selection = Selection::default();
    let order = Order::new(&cells, &rank_scores(&input, rank_by));
    let matches = matches(&setup, &order, &selection);
    let evaluate = began.elapsed().as_secs_f64();
    teller.check()?;
    let began = Instant::now();
    let curves = accumulate(&cells, &order, &matches);
    Ok(EvaluatedKind {
        kind,
        rank_by,
        numbers: CocoNumbers::of(&curves),
        input,
        cells,
        overlaps,
        ids,
        selection,
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
    pub(super) fn sentence(&self, request: &EvaluateRequest) -> String {
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
                "annotation id 0: counted as unmatched, as pycocotools does (--pycocotools-ids); right would be {aps}"
            )
        } else {
            format!(
                "annotation id 0: pycocotools would miscount: it takes a match with that annotation for none; {aps} (--pycocotools-ids counts like it)"
            )
        }
    }
}
