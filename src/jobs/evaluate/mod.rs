//! COCO evaluation of a set: predictions from files or from a model, the numbers of boxes and masks, what was left out.

mod block;
mod details;
mod kinds;
mod left_out;
mod restrict;
mod run;
mod source;
mod suspects;
mod tell;

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use super::JobError;
use super::infer::{ModelRequest, ModelSummary};
use super::infer_file::FailedImage;
use crate::coco::dataset::{Dataset, Role};
use crate::structures::ClassTable;
use crate::structures::ranking::RankBy;

pub use block::Numbers;
pub use details::{ReportFacts, write_report};
pub use kinds::{EvaluatedKind, IdZero, Seconds};
pub use restrict::{check_filter, select};
pub use source::LeftOutEntry;
pub use suspects::{SuspectList, SuspectRow, suspect_kinds};
use tell::Teller;

/// What to evaluate and how.
#[derive(Clone, Debug)]
pub struct EvaluateRequest {
    /// The set: a folder of any layout or a JSON.
    pub data: PathBuf,
    /// The folder of its images where the layout does not tell; only a model needs them.
    pub images: Option<PathBuf>,
    /// Prefix of a pair (`P.bbox.json`, `P.segm.json`) or a file of predictions.
    pub predictions: Option<PathBuf>,
    /// The model to run where no predictions are there.
    pub model: Option<ModelRequest>,
    /// The score that ranks masks; boxes are ranked by `score`.
    pub rank_by: RankBy,
    /// An annotation with the id 0 counts as unmatched, as in pycocotools.
    pub pycocotools_ids: bool,
    /// Restricts what takes part, in the query language.
    pub filter: Option<String>,
    /// Masks are compared with annotations of every class too, for what follows the numbers.
    pub details: bool,
}

/// What a front end is told meanwhile.
#[derive(Debug)]
pub enum EvaluateEvent<'a> {
    /// A stage begins.
    Stage(Stage),
    /// Work of the stage.
    Progress {
        /// Images done.
        done: usize,
        /// All images.
        total: usize,
        /// Time left, where the stage can tell.
        eta: Option<Duration>,
    },
    /// The model is ready.
    Model(&'a ModelSummary),
    /// An image failed; it counts as having no predictions.
    Failed(&'a FailedImage),
    /// Something to know at once.
    Note(&'a str),
}

/// What is being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The set's JSON is read.
    OpenSet,
    /// Prediction files are read.
    ReadPredictions,
    /// The model runs.
    RunModel,
    /// Annotations become masks.
    Prepare,
    /// Detections are laid over annotations and matched.
    Evaluate,
    /// What follows the numbers.
    Analyse,
    /// Files of the report.
    WriteReport,
}

impl Stage {
    /// For a line of progress.
    pub fn label(self) -> &'static str {
        match self {
            Self::OpenSet => "opening the set",
            Self::ReadPredictions => "reading predictions",
            Self::RunModel => "running the model",
            Self::Prepare => "preparing annotations",
            Self::Evaluate => "evaluating",
            Self::Analyse => "analysing",
            Self::WriteReport => "writing the report",
        }
    }
}

/// An evaluation, whole.
#[derive(Debug)]
pub struct Evaluated {
    /// The set's JSON.
    pub set: PathBuf,
    /// The files of predictions; empty where a model made them.
    pub sources: Vec<PathBuf>,
    /// The model, in words, where one was run.
    pub model: Option<String>,
    /// The files that were written of a model's predictions.
    pub written: Vec<PathBuf>,
    /// The score that ranks masks.
    pub rank_by: RankBy,
    /// The set's classes.
    pub classes: ClassTable,
    /// Boxes; `None` where the files have none.
    pub bbox: Option<EvaluatedKind>,
    /// Masks; `None` where the files have none.
    pub segm: Option<EvaluatedKind>,
    /// Images of the set that were evaluated.
    pub images: usize,
    /// Predictions that took part.
    pub detections: usize,
    /// What took no part; at most 10,000 of each file.
    pub left_out: Vec<LeftOutEntry>,
    /// All that took no part.
    pub left_out_count: usize,
    /// What the user should know, in sentences.
    pub notes: Vec<String>,
    /// Both ways of counting, where an annotation has the id 0.
    pub id_zero: Option<IdZero>,
    /// Images that the model could not be run on.
    pub failed: Vec<FailedImage>,
    /// Wall time of everything.
    pub seconds: f64,
}

/// Evaluates to the end, or until `stop` is set.
///
/// # Errors
/// The set, the predictions or the model refused; `Interrupted` when told to stop.
pub fn evaluate(
    request: &EvaluateRequest,
    stop: &AtomicBool,
    report: &mut (dyn FnMut(EvaluateEvent<'_>) + Send),
) -> Result<Evaluated, JobError> {
    let started = Instant::now();
    let teller = Teller::new(stop, report);
    teller.stage(Stage::OpenSet);
    let (dataset, files) = rayon::join(
        || Dataset::open_as(&request.data, Role::Val, request.images.as_deref()),
        || source::files(request, &teller),
    );
    let (dataset, files) = (dataset?, files?);
    teller.check()?;
    let mut source = source::predictions(files, request, &dataset, &teller)?;
    let found = kinds::evaluate(request, &dataset, &source, started, &teller)?;
    let remarks = left_out::remarks(&dataset, &mut source, &found, &teller)?;
    let mut notes: Vec<String> = dataset
        .notes()
        .iter()
        .map(|note| format!("{}: {note}", dataset.json().display()))
        .collect();
    notes.extend(source.notes);
    notes.extend(remarks.notes);
    let zero = remarks.id_zero.as_deref();
    notes.extend(
        found
            .id_zero
            .as_ref()
            .map(|ids| ids.sentence(request, zero)),
    );
    Ok(Evaluated {
        set: dataset.json().to_owned(),
        sources: source.files,
        model: source.model,
        written: source.written,
        rank_by: request.rank_by,
        classes: dataset.classes().clone(),
        images: found.images(),
        detections: found.detections(),
        left_out_count: remarks.left_out_count,
        left_out: remarks.left_out,
        notes,
        bbox: found.bbox,
        segm: found.segm,
        id_zero: found.id_zero,
        failed: source.failed,
        seconds: started.elapsed().as_secs_f64(),
    })
}
