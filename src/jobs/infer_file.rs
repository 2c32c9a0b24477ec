//! Inference over an image or a folder into a prediction file: resumable, replaced only when whole.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde::Serialize;

use super::infer::{ImageTask, InferEvent, InferJob, ModelRequest, ModelSummary};
use super::{JobError, model, peak_memory};
use crate::coco::PredictedImage;
use crate::coco::dataset::Dataset;
use crate::coco::predictions::{Resumed, Writer};
use crate::data;
use crate::structures::Size;

/// What to run on and where to write.
#[derive(Clone, Debug)]
pub struct InferFileRequest {
    /// Model and settings.
    pub model: ModelRequest,
    /// An image, a folder of images, or the JSON of a COCO set.
    pub input: PathBuf,
    /// The prediction JSON.
    pub output: PathBuf,
    /// Folders within the folder too.
    pub recursive: bool,
}

/// What a front end is told meanwhile.
#[derive(Debug)]
pub enum InferFileEvent<'a> {
    /// The model is ready; `todo` of `total` images are left, the others were done by an earlier run.
    Begins {
        /// The model.
        model: &'a ModelSummary,
        /// Images still to do.
        todo: usize,
        /// All images.
        total: usize,
        /// What became of an earlier, interrupted run.
        note: Option<String>,
    },
    /// An image failed; the rest goes on.
    Failed(&'a FailedImage),
    /// How far the run is.
    Progress {
        /// Images done, those of an earlier run included.
        done: usize,
        /// All images.
        total: usize,
        /// Over the last images.
        images_per_second: f64,
        /// Time left at that speed.
        eta: Option<Duration>,
    },
}

/// An image that could not be used.
#[derive(Clone, Debug, Serialize)]
pub struct FailedImage {
    /// As it would have been named in the output.
    pub path: String,
    /// What, where, what to do.
    pub error: String,
}

/// The end of a run; `--json` prints it.
#[derive(Clone, Debug, Serialize)]
pub struct InferSummary {
    /// The prediction file.
    pub output: PathBuf,
    /// Images in the prediction file.
    pub images: usize,
    /// Of these, done by an earlier, interrupted run.
    pub resumed: usize,
    /// Instances written in this run.
    pub detections: usize,
    /// Images that could not be used.
    pub failed: Vec<FailedImage>,
    /// Wall time of this run without loading the model.
    pub seconds: f64,
    /// Images of this run over that time.
    pub images_per_second: f64,
    /// Values of all tensors of the model, BatchNorm statistics included.
    pub parameters: usize,
    /// `mindspore` or `mmdet`.
    pub dialect: &'static str,
    /// What ran the network.
    pub device: String,
    /// Arithmetic of the network.
    pub precision: &'static str,
    /// Largest resident memory in bytes, where the system tells.
    pub peak_memory_bytes: Option<u64>,
}

/// Runs to the end, or until `stop` is set.
///
/// # Errors
/// Model, input or output refused; `Stopped` when told to stop, with everything so far kept.
pub fn infer_to_file(
    request: &InferFileRequest,
    stop: &AtomicBool,
    report: &mut dyn FnMut(InferFileEvent<'_>),
) -> Result<InferSummary, JobError> {
    let images = list_inputs(&request.input, request.recursive)?;
    let model = model::load(&request.model)?;
    let fingerprint = fingerprint(&request.model.checkpoint, &model.config_text())?;
    let Resumed {
        mut writer,
        done,
        note,
    } = Writer::resume_or_create(&request.output, &fingerprint)?;
    let todo = outstanding(&images, &done);
    report(InferFileEvent::Begins {
        model: &model.summary,
        todo: todo.len(),
        total: images.len(),
        note,
    });

    let started = Instant::now();
    let done_before = images.len() - todo.len();
    let mut run = Run {
        images: &images,
        done_before,
        detections: 0,
        written: 0,
        failed: Vec::new(),
    };
    let job = InferJob::start(request.model.clone(), todo, || {});
    let finished = run.drive(&job, stop, report, |image| {
        writer.append(&image, &model.summary.classes)
    })?;
    if !finished {
        return Err(JobError::Stopped {
            done: done_before + run.written,
            total: images.len(),
            partial: writer.partial_path().to_owned(),
        });
    }
    writer.finish()?;

    let seconds = started.elapsed().as_secs_f64();
    Ok(InferSummary {
        output: request.output.clone(),
        images: done_before + run.written,
        resumed: done_before,
        detections: run.detections,
        images_per_second: run.written as f64 / seconds.max(1e-9),
        failed: run.failed,
        seconds,
        parameters: model.summary.parameters,
        dialect: model.summary.dialect,
        device: model.summary.device.clone(),
        precision: model.summary.precision,
        peak_memory_bytes: peak_memory(),
    })
}

/// State of one run of `infer_to_file`.
struct Run<'a> {
    images: &'a [Input],
    done_before: usize,
    detections: usize,
    written: usize,
    failed: Vec<FailedImage>,
}

impl Run<'_> {
    /// Hands every result to `write`; false when stopped before the end.
    fn drive(
        &mut self,
        job: &InferJob,
        stop: &AtomicBool,
        report: &mut dyn FnMut(InferFileEvent<'_>),
        mut write: impl FnMut(PredictedImage) -> Result<(), crate::coco::CocoError>,
    ) -> Result<bool, JobError> {
        loop {
            if stop.load(Ordering::Relaxed) {
                job.cancel();
            }
            match job.wait_event(Duration::from_millis(100)) {
                Some(InferEvent::Detected {
                    index,
                    size,
                    detections,
                }) => {
                    self.detections += detections.len();
                    self.written += 1;
                    let path = name(&self.images[index].path);
                    write(PredictedImage::new(path, size, detections.to_vec()))?;
                }
                Some(InferEvent::Failed { index, error }) => {
                    self.failed.push(FailedImage {
                        path: name(&self.images[index].path),
                        error,
                    });
                    if let Some(failed) = self.failed.last() {
                        report(InferFileEvent::Failed(failed));
                    }
                }
                Some(InferEvent::Progress {
                    done,
                    images_per_second,
                    eta,
                    ..
                }) => {
                    let done = self.done_before + done;
                    let total = self.images.len();
                    report(InferFileEvent::Progress {
                        done,
                        total,
                        images_per_second,
                        eta,
                    });
                }
                Some(InferEvent::Finished { .. }) => return Ok(true),
                Some(InferEvent::Cancelled) => return Ok(false),
                Some(InferEvent::Fatal(text)) => return Err(JobError::Fatal(text)),
                Some(InferEvent::ModelLoaded(_) | InferEvent::Started { .. }) | None => {}
            }
        }
    }
}

/// An image to run on.
struct Input {
    path: PathBuf,
    /// What a COCO JSON says of its size.
    declared: Option<Size>,
}

impl From<PathBuf> for Input {
    fn from(path: PathBuf) -> Self {
        Self {
            path,
            declared: None,
        }
    }
}

fn list_inputs(input: &Path, recursive: bool) -> Result<Vec<Input>, JobError> {
    let metadata = input.metadata().map_err(|source| JobError::Read {
        path: input.to_owned(),
        source,
    })?;
    if !metadata.is_dir() {
        if input
            .extension()
            .is_some_and(|e| e.eq_ignore_ascii_case("json"))
        {
            return of_set(input);
        }
        return Ok(vec![input.to_owned().into()]);
    }
    let images = data::list_images(input, recursive)?;
    if images.is_empty() {
        let hint = if recursive {
            ""
        } else {
            "; --recursive looks into its folders too"
        };
        return Err(JobError::NoImages {
            path: input.to_owned(),
            hint,
        });
    }
    Ok(images.into_iter().map(Input::from).collect())
}

/// The images of a COCO set, in its order.
fn of_set(json: &Path) -> Result<Vec<Input>, JobError> {
    let set = Dataset::open(json)?;
    if set.images().is_empty() {
        return Err(JobError::NoImages {
            path: json.to_owned(),
            hint: "",
        });
    }
    let images = set.images().iter().map(|image| Input {
        path: image.path.clone(),
        declared: image.declared,
    });
    Ok(images.collect())
}

fn outstanding(images: &[Input], done: &[String]) -> Vec<ImageTask> {
    let done: std::collections::HashSet<&str> = done.iter().map(String::as_str).collect();
    let tasks = images
        .iter()
        .enumerate()
        .filter(|(_, image)| !done.contains(name(&image.path).as_str()));
    tasks
        .map(|(index, image)| ImageTask {
            index,
            path: image.path.clone(),
            declared: image.declared,
        })
        .collect()
}

/// The key of an image in the prediction file: its path as given, with `/`.
fn name(path: &Path) -> String {
    path.to_string_lossy().replace('\\', "/")
}

/// Names a run by what decides its results: the checkpoint's bytes and the configuration in force.
fn fingerprint(checkpoint: &Path, config: &str) -> Result<String, JobError> {
    let read = |source| JobError::Read {
        path: checkpoint.to_owned(),
        source,
    };
    let mut file = std::fs::File::open(checkpoint).map_err(read)?;
    let mut hasher = crc32fast::Hasher::new();
    let mut buffer = vec![0u8; 1 << 20];
    let mut length = 0u64;
    loop {
        let got = std::io::Read::read(&mut file, &mut buffer).map_err(read)?;
        if got == 0 {
            break;
        }
        length += got as u64;
        hasher.update(&buffer[..got]);
    }
    let config = crc32fast::hash(config.as_bytes());
    Ok(format!("{length:x}-{:08x}-{config:08x}", hasher.finalize()))
}
