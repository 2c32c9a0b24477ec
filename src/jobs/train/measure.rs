//! AP on the validation set after an epoch: the very evaluation of `eval`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use super::prepare::absolute;
use crate::eval::{CocoNumbers, Order, accumulate, matches, rank_scores};
use crate::jobs::evaluate::{EvaluateEvent, EvaluateRequest, EvaluatedKind, Stage, evaluate};
use crate::jobs::infer::ModelRequest;
use crate::jobs::{JobError, model};
use crate::structures::ranking::RankBy;

/// AP of boxes, of masks by `iou_score` and by `score`, and COCO's 12 numbers of both.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Measured {
    pub bbox: f64,
    pub segm: f64,
    pub segm_by_score: f64,
    pub bbox_numbers: BTreeMap<String, f64>,
    pub segm_numbers: BTreeMap<String, f64>,
    pub images: usize,
    pub seconds: f64,
}

/// Runs a checkpoint over the set. `progress` gets images done and all of them.
pub(super) fn measure(
    checkpoint: &Path,
    data: &Path,
    device: &str,
    stop: &AtomicBool,
    progress: &mut (dyn FnMut(usize, usize) + Send),
) -> Result<Measured, JobError> {
    let began = Instant::now();
    let request = EvaluateRequest {
        data: data.to_owned(),
        images: None,
        predictions: None,
        model: Some(ModelRequest {
            checkpoint: checkpoint.to_owned(),
            config: None,
            set: Vec::new(),
            device: device.to_owned(),
        }),
        rank_by: RankBy::IouScore,
        pycocotools_ids: false,
        filter: None,
        details: false,
    };
    // What waits for the next step would stand beside what the model takes.
    crate::alloc::release();
    let mut runs = false;
    let found = evaluate(&request, stop, &mut |event| match event {
        EvaluateEvent::Stage(stage) => runs = stage == Stage::RunModel,
        EvaluateEvent::Progress { done, total, .. } if runs => progress(done, total),
        _ => {}
    });
    // The next step needs the memory.
    model::forget();
    let found = found?;
    let ap = |kind: &Option<EvaluatedKind>| kind.as_ref().map_or(-1.0, |kind| kind.numbers.ap());
    Ok(Measured {
        bbox: ap(&found.bbox),
        segm: ap(&found.segm),
        segm_by_score: found.segm.as_ref().map_or(-1.0, by_score),
        bbox_numbers: numbers(&found.bbox),
        segm_numbers: numbers(&found.segm),
        images: found.images,
        seconds: began.elapsed().as_secs_f64(),
    })
}

fn numbers(of: &Option<EvaluatedKind>) -> BTreeMap<String, f64> {
    let numbers = of.iter().flat_map(|kind| kind.numbers.0);
    let keys = CocoNumbers::KEYS.into_iter().map(str::to_owned);
    keys.zip(numbers).collect()
}

/// Mask AP with the class score alone as ranking.
fn by_score(of: &EvaluatedKind) -> f64 {
    let order = Order::new(&of.cells, &rank_scores(&of.input, RankBy::Score));
    let found = matches(&of.setup(), &order, &of.selection);
    CocoNumbers::of(&accumulate(&of.cells, &order, &found)).ap()
}

/// The path of a validation set as it is kept in a record.
pub(super) fn shown(data: Option<&PathBuf>) -> Option<String> {
    data.map(|path| absolute(path).display().to_string())
}
