//! Where the predictions come from: files where there are any, else the model.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;

use super::kinds::Kinds;
use super::tell::Teller;
use super::{EvaluateEvent, EvaluateRequest, Stage, run};
use crate::coco::correspond::ImageRef;
use crate::coco::dataset::{Dataset, JsonKind, kind_of_json};
use crate::coco::{PredictionFile, predictions};
use crate::eval::{Kind, PredictedImages, Side};
use crate::jobs::JobError;
use crate::jobs::infer_file::FailedImage;

/// Something that took no part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LeftOutEntry {
    /// The file that holds it.
    pub file: PathBuf,
    /// What it is and where in the file.
    pub what: String,
    /// Why it took no part.
    pub reason: String,
}

/// Predictions to evaluate.
#[derive(Default)]
pub(super) struct Source {
    /// Predictions with boxes; the same as `segm` unless the lists differ.
    pub bbox: Option<Arc<PredictedImages>>,
    /// Predictions with masks.
    pub segm: Option<Arc<PredictedImages>>,
    /// The files, those of boxes first.
    pub files: Vec<PathBuf>,
    /// Files that were written.
    pub written: Vec<PathBuf>,
    /// Entries that the reader left out.
    pub left_out: Vec<LeftOutEntry>,
    pub left_out_count: usize,
    pub notes: Vec<String>,
    pub failed: Vec<FailedImage>,
}

/// Reads the files that `--predictions` means, or runs the model.
pub(super) fn predictions(
    request: &EvaluateRequest,
    dataset: &Dataset,
    teller: &Teller<'_>,
) -> Result<Source, JobError> {
    if let Some(path) = &request.predictions
        && let Some(mut source) = read_files(path, teller)?
    {
        if request.model.is_some() {
            source
                .notes
                .push("the predictions of the file were read, the checkpoint was not run".into());
        }
        return Ok(source);
    }
    match &request.model {
        Some(model) => run::model(request, model, dataset, teller),
        None => Err(JobError::NoPredictions {
            path: request.predictions.clone().unwrap_or_default(),
        }),
    }
}

/// `None` where there are no files.
fn read_files(path: &Path, teller: &Teller<'_>) -> Result<Option<Source>, JobError> {
    if !path.is_file() {
        return Ok(None);
    }
    teller.stage(Stage::ReadPredictions);
    let file = predictions::read(path)?;
    let is_results = kind_of_json(path)? == JsonKind::Results;
    let predicted = Arc::new(to_predicted(file, is_results));
    teller.tell(EvaluateEvent::Note(&loaded(&[path])));
    Ok(Some(Source {
        bbox: Some(Arc::clone(&predicted)),
        segm: Some(predicted),
        files: vec![path.to_owned()],
        ..Source::default()
    }))
}

fn loaded(files: &[&Path]) -> String {
    let names: Vec<_> = files
        .iter()
        .map(|file| file.display().to_string())
        .collect();
    format!("Load predictions from file: {}", names.join(", "))
}

fn to_predicted(file: PredictionFile, is_results: bool) -> PredictedImages {
    let images = file.images.into_iter().map(|image| {
        let name = match image.path.parse() {
            Ok(id) if is_results => ImageRef::Id(id),
            _ => ImageRef::Path(image.path),
        };
        (name, Arc::new(image.detections))
    });
    PredictedImages {
        images: images.collect(),
        classes: file.classes,
        by_category_id: is_results,
    }
}

/// Everything that took no part: entries that could not be read, then what ground truth and predictions do not share.
pub(super) fn left_out(
    dataset: &Dataset,
    files: &[PathBuf],
    mut entries: Vec<LeftOutEntry>,
    kinds: &Kinds,
) -> Vec<LeftOutEntry> {
    for (kind, input) in kinds.inputs() {
        let predictions = match kind {
            Kind::Bbox => files.first(),
            Kind::Segm => files.last(),
        };
        for left_out in &input.left_out {
            let file = match left_out.side {
                Side::Truths => Some(dataset.json()),
                Side::Predictions => predictions.map(PathBuf::as_path),
            };
            let entry = LeftOutEntry {
                file: file.unwrap_or(Path::new("the model")).to_owned(),
                what: left_out.what.clone(),
                reason: left_out.reason.clone(),
            };
            // Two lists of predictions meet the same annotations.
            if left_out.side == Side::Predictions || !entries.contains(&entry) {
                entries.push(entry);
            }
        }
    }
    entries
}
