//! Where the predictions come from: files where there are any, else the model.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;

use super::tell::Teller;
use super::{EvaluateEvent, EvaluateRequest, Stage, run};
use crate::coco::PredictionFile;
use crate::coco::correspond::ImageRef;
use crate::coco::dataset::Dataset;
use crate::coco::predictions::{self, Joined, Pair, pair_paths, read_pair};
use crate::eval::PredictedImages;
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
    /// The model, in words.
    pub model: Option<String>,
    /// Files that were written.
    pub written: Vec<PathBuf>,
    /// Entries that the reader left out.
    pub left_out: Vec<LeftOutEntry>,
    pub left_out_count: usize,
    pub notes: Vec<String>,
    pub failed: Vec<FailedImage>,
}

/// Reads the files that `--predictions` means; `None` where there are none.
pub(super) fn files(
    request: &EvaluateRequest,
    teller: &Teller<'_>,
) -> Result<Option<Source>, JobError> {
    match &request.predictions {
        Some(path) => read_files(path, teller),
        None => Ok(None),
    }
}

/// The predictions of the files, else those of the model.
pub(super) fn predictions(
    files: Option<Source>,
    request: &EvaluateRequest,
    dataset: &Dataset,
    teller: &Teller<'_>,
) -> Result<Source, JobError> {
    match (files, &request.model) {
        (Some(mut source), Some(_)) => {
            let note = "the predictions of the file were read, the checkpoint was not run";
            source.notes.push(note.into());
            Ok(source)
        }
        (Some(source), None) => Ok(source),
        (None, Some(model)) => run::model(request, model, dataset, teller),
        (None, None) => Err(JobError::NoPredictions {
            path: request.predictions.clone().unwrap_or_default(),
        }),
    }
}

/// `None` where there are no files.
fn read_files(path: &Path, teller: &Teller<'_>) -> Result<Option<Source>, JobError> {
    let pair = pair_paths(path);
    let is_pair = pair.iter().all(|file| file.is_file());
    if !is_pair && !path.is_file() {
        return Ok(None);
    }
    teller.stage(Stage::ReadPredictions);
    let files = if is_pair {
        pair.to_vec()
    } else {
        vec![path.to_owned()]
    };
    let names: Vec<String> = files
        .iter()
        .map(|file| file.display().to_string())
        .collect();
    let loaded = format!("Load predictions from file: {}", names.join(", "));
    teller.tell(EvaluateEvent::Note(&loaded));
    let mut source = Source {
        files,
        ..Source::default()
    };
    match read_pair(path)? {
        Some(pair) => source.take_pair(pair),
        None => source.take_file(predictions::read(path)?),
    }
    Ok(Some(source))
}

impl Source {
    fn take_file(&mut self, mut file: PredictionFile) {
        self.take_remarks(&mut file, 0);
        let has_masks = file.has_masks;
        let predicted = Arc::new(to_predicted(file));
        if !has_masks {
            let file = self.files.first().map(|file| file.display().to_string());
            self.notes.push(format!(
                "{} has boxes alone: there are no numbers of masks",
                file.unwrap_or_default()
            ));
        }
        self.segm = has_masks.then(|| Arc::clone(&predicted));
        self.bbox = Some(predicted);
    }

    fn take_pair(&mut self, mut pair: Pair) {
        self.take_remarks(&mut pair.bbox, 0);
        self.take_remarks(&mut pair.segm, 1);
        match pair.join() {
            Joined::Whole(file) => {
                let predicted = Arc::new(to_predicted(file));
                self.bbox = Some(Arc::clone(&predicted));
                self.segm = Some(predicted);
            }
            Joined::Apart { pair, reason } => {
                self.notes.push(format!(
                    "boxes and masks are evaluated each by their own list: {reason}"
                ));
                let Pair { bbox, segm } = *pair;
                self.bbox = Some(Arc::new(to_predicted(bbox)));
                let has_masks = segm.has_masks;
                self.segm = has_masks.then(|| Arc::new(to_predicted(segm)));
            }
        }
    }

    /// Takes what the file says of itself; `number` is its place in `files`.
    fn take_remarks(&mut self, file: &mut PredictionFile, number: usize) {
        let path = self.files.get(number).cloned().unwrap_or_default();
        // What it says of entries left out in one sentence is listed here one by one.
        let sentence = predictions::left_out_note(&file.left_out, file.left_out_count);
        let notes = file.notes.drain(..);
        let notes = notes.filter(|note| Some(note) != sentence.as_ref());
        let notes = notes.map(|note| format!("{}: {note}", path.display()));
        self.notes.extend(notes);
        self.left_out_count += std::mem::take(&mut file.left_out_count);
        for left_out in file.left_out.drain(..) {
            self.left_out.push(LeftOutEntry {
                file: path.clone(),
                what: left_out.what(),
                reason: left_out.reason,
            });
        }
    }
}

fn to_predicted(file: PredictionFile) -> PredictedImages {
    let by_category_id = file.images.iter().any(|image| image.image_id.is_some());
    let images = file.images.into_iter().map(|image| {
        let name = match image.image_id {
            Some(id) => ImageRef::Id(id),
            None => ImageRef::Path(image.path),
        };
        (name, Arc::new(image.detections))
    });
    PredictedImages {
        images: images.collect(),
        classes: file.classes,
        by_category_id,
    }
}
