//! The model over the set's images.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::source::Source;
use super::tell::Teller;
use super::{EvaluateEvent, EvaluateRequest, Stage};
use crate::coco::correspond::{ImageRef, corresponding_labels};
use crate::coco::dataset::Dataset;
use crate::coco::predictions::{PairImage, pair_paths, write_pair};
use crate::eval::PredictedImages;
use crate::jobs::JobError;
use crate::jobs::infer::{ImageTask, InferEvent, InferJob, ModelRequest};
use crate::jobs::infer_file::FailedImage;
use crate::structures::Detection;

/// Stop is looked at this often while the model works.
const PATIENCE: Duration = Duration::from_millis(200);

/// Runs the model and keeps its predictions in the pair of files that `--predictions` names.
pub(super) fn model(
    request: &EvaluateRequest,
    request_model: &ModelRequest,
    dataset: &Dataset,
    teller: &Teller<'_>,
) -> Result<Source, JobError> {
    teller.stage(Stage::RunModel);
    let mut run = Run {
        dataset,
        teller,
        found: PredictedImages::default(),
        failed: Vec::new(),
        model: None,
    };
    let job = InferJob::start(request_model.clone(), run.tasks(), || {});
    run.drive(&job)?;
    let Run {
        mut found,
        failed,
        model,
        ..
    } = run;
    // The order of the work may differ from that of the set.
    found.images.sort_by_key(|(image, _)| match image {
        ImageRef::Position(position) => *position,
        _ => usize::MAX,
    });
    let found = Arc::new(found);
    let written = match &request.predictions {
        Some(prefix) => keep(prefix, dataset, &found)?,
        None => Vec::new(),
    };
    Ok(Source {
        model,
        written,
        bbox: Some(Arc::clone(&found)),
        segm: Some(found),
        failed,
        ..Source::default()
    })
}

/// Writes the pair, with the set's ids of images and categories; classes that the set does not have stay away.
fn keep(
    prefix: &Path,
    dataset: &Dataset,
    found: &PredictedImages,
) -> Result<Vec<PathBuf>, JobError> {
    let labels = corresponding_labels(dataset.classes(), &found.classes, false);
    let of_set = |detection: &Detection| {
        let label = labels.get(detection.label).copied().flatten()?;
        Some(Detection {
            label,
            ..detection.clone()
        })
    };
    let relabelled: Vec<(u64, Vec<Detection>)> = found
        .images
        .iter()
        .filter_map(|(image, detections)| {
            let ImageRef::Position(position) = image else {
                return None;
            };
            let id = dataset.images().get(*position)?.id;
            Some((id, detections.iter().filter_map(of_set).collect()))
        })
        .collect();
    let images = relabelled.iter().map(|(image_id, detections)| PairImage {
        image_id: *image_id,
        detections,
    });
    write_pair(prefix, images, dataset.classes())?;
    Ok(pair_paths(prefix).to_vec())
}

struct Run<'a, 't> {
    dataset: &'a Dataset,
    teller: &'a Teller<'t>,
    found: PredictedImages,
    failed: Vec<FailedImage>,
    model: Option<String>,
}

impl Run<'_, '_> {
    /// Images whose file is there; the others have failed already.
    fn tasks(&mut self) -> Vec<ImageTask> {
        let mut tasks = Vec::new();
        for (index, image) in self.dataset.images().iter().enumerate() {
            if image.exists {
                tasks.push(ImageTask {
                    index,
                    path: image.path.clone(),
                    declared: image.declared,
                });
            } else {
                let error = format!(
                    "{}: there is no such file; --images names the folder of the images",
                    image.path.display()
                );
                self.fail(index, error);
            }
        }
        tasks
    }

    fn fail(&mut self, index: usize, error: String) {
        let image = self.dataset.images().get(index);
        let path = image.map(|image| image.file_name.clone());
        let failed = FailedImage {
            path: path.unwrap_or_default(),
            error,
        };
        self.teller.tell(EvaluateEvent::Failed(&failed));
        self.failed.push(failed);
    }

    fn drive(&mut self, job: &InferJob) -> Result<(), JobError> {
        loop {
            if self.teller.is_stopped() {
                job.cancel();
            }
            match job.wait_event(PATIENCE) {
                Some(InferEvent::ModelLoaded(summary)) => {
                    self.teller.tell(EvaluateEvent::Model(&summary));
                    self.model = Some(format!(
                        "{} ({}, dialect {})",
                        summary.checkpoint.display(),
                        summary.backbone,
                        summary.dialect
                    ));
                    self.found.classes = summary.classes;
                }
                Some(InferEvent::Detected {
                    index, detections, ..
                }) => {
                    let image = (ImageRef::Position(index), detections);
                    self.found.images.push(image);
                }
                Some(InferEvent::Failed { index, error }) => self.fail(index, error),
                Some(InferEvent::Progress {
                    done, total, eta, ..
                }) => self
                    .teller
                    .tell(EvaluateEvent::Progress { done, total, eta }),
                Some(InferEvent::Finished { .. }) => return Ok(()),
                Some(InferEvent::Cancelled) => return Err(JobError::Interrupted),
                Some(InferEvent::Fatal(text)) => return Err(JobError::Fatal(text)),
                Some(InferEvent::Started { .. }) | None => {}
            }
        }
    }
}
