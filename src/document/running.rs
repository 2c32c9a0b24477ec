//! The model on what is open: start, events, pause, cancel; and the export of what it found.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::channel;

use super::exporting::PredictedEntry;
use super::state::{Document, ModelState, Notice, NoticeKind, Progress};
use super::{ImageState, ImageTask, ModelSummary};
use crate::coco::predictions;
use crate::jobs::infer::{InferEvent, InferJob};
use crate::structures::{Detection, Size};

/// A running job.
pub(super) struct Running {
    job: InferJob,
    progress: Progress,
    /// Label in the document of each label of the model.
    labels: Vec<usize>,
    detections: usize,
}

impl Running {
    pub fn progress(&self) -> Progress {
        Progress {
            is_paused: self.job.is_paused(),
            ..self.progress.clone()
        }
    }
}

impl Document {
    /// Takes a checkpoint and runs it on what is open, in place of predictions of another.
    pub fn choose_checkpoint(&mut self, path: &Path) {
        self.has_demo_model = false;
        self.request.checkpoint = path.to_owned();
        self.box_prompts = None; // they hold the model before
        self.model = ModelState::Chosen(path.to_owned());
        if self.source.is_some() {
            self.run(true);
        }
    }

    /// Runs the model on every image without predictions; with `again` on all.
    pub fn run(&mut self, again: bool) {
        if self.request.checkpoint.as_os_str().is_empty() {
            let text = "No checkpoint is loaded: choose one first";
            self.notices.push(Notice::new(NoticeKind::Warning, text));
            return;
        }
        if self.awaits_annotations() {
            return; // it runs by itself as soon as they are here
        }
        self.cancel();
        self.predictions_path = None;
        self.prediction_source = None;
        let wanted = |state: &ImageState| again || !matches!(state, ImageState::Done(_));
        let indices: Vec<usize> = (0..self.images.len())
            .filter(|&index| wanted(&self.images[index].state))
            .collect();
        let tasks: Vec<_> = indices.iter().map(|&index| self.task(index)).collect();
        for index in indices {
            self.set_state(index, ImageState::Queued);
        }
        self.model = ModelState::Loading(self.request.checkpoint.clone());
        let total = tasks.len();
        let wake = Arc::clone(&self.wake);
        self.running = Some(Running {
            job: InferJob::start(self.request.clone(), tasks, move || wake()),
            progress: Progress {
                done: 0,
                total,
                images_per_second: 0.0,
                eta: None,
                is_paused: false,
            },
            labels: Vec::new(),
            detections: 0,
        });
    }

    fn task(&self, index: usize) -> ImageTask {
        let image = &self.images[index];
        ImageTask {
            index,
            path: image.path.clone(),
            declared: image.declared,
        }
    }

    /// Holds the job, or lets it go on.
    pub fn set_paused(&mut self, paused: bool) {
        if let Some(running) = &self.running {
            running.job.set_paused(paused);
        }
    }

    /// Stops the job; what it found stays.
    pub fn cancel(&mut self) {
        if self.running.take().is_some() {
            self.reset_unfinished();
            if let ModelState::Loading(path) = &self.model {
                self.model = ModelState::Chosen(path.clone());
            }
        }
    }

    /// The image on screen comes first in the job.
    pub fn focus(&mut self, index: usize) {
        if let Some(running) = &self.running {
            running.job.prioritise(index);
        }
    }

    fn reset_unfinished(&mut self) {
        for index in 0..self.images.len() {
            if matches!(
                self.images[index].state,
                ImageState::Queued | ImageState::Running
            ) {
                self.set_state(index, ImageState::Idle);
            }
        }
    }

    pub(super) fn take_inference(&mut self) {
        let Some(running) = &self.running else { return };
        for event in running.job.events() {
            self.take_event(event);
        }
    }

    fn take_event(&mut self, event: InferEvent) {
        match event {
            InferEvent::ModelLoaded(summary) => self.model_loaded(summary),
            InferEvent::Started { index } => self.set_state(index, ImageState::Running),
            InferEvent::Detected {
                index,
                size,
                detections,
            } => self.detected(index, size, detections),
            InferEvent::Failed { index, error } => {
                self.set_state(index, ImageState::Failed(error.into()));
            }
            InferEvent::Progress {
                done,
                total,
                images_per_second,
                eta,
            } => {
                if let Some(running) = &mut self.running {
                    running.progress = Progress {
                        done,
                        total,
                        images_per_second,
                        eta,
                        is_paused: false,
                    };
                }
            }
            InferEvent::Finished { failed } => self.finished(failed),
            InferEvent::Cancelled => self.cancel(),
            InferEvent::Fatal(error) => {
                self.running = None;
                self.reset_unfinished();
                self.model = ModelState::Failed(self.request.checkpoint.clone(), error.clone());
                let text = error.lines().next().unwrap_or_default().to_owned();
                self.notices
                    .push(Notice::new(NoticeKind::Error, text).with_details(error));
            }
        }
    }

    fn model_loaded(&mut self, summary: ModelSummary) {
        let labels = self.merge_classes(&summary.classes);
        if let Some(running) = &mut self.running {
            running.labels = labels;
        }
        let set = self.source.as_ref().map(|source| source.path.clone());
        // The demo's own model is no choice of the user's.
        if !self.has_demo_model {
            self.settings
                .used_checkpoint(&summary.checkpoint, set.as_deref());
        }
        if !summary.notes.is_empty() {
            let text = match summary.notes.as_slice() {
                [one] => one.clone(),
                many => format!("{} remarks about the checkpoint", many.len()),
            };
            self.notices
                .push(Notice::new(NoticeKind::Info, text).with_details(summary.notes.join("\n")));
        }
        self.model = ModelState::Ready(Arc::new(summary));
    }

    fn detected(&mut self, index: usize, size: Size, detections: Arc<Vec<Detection>>) {
        let Some(running) = &mut self.running else {
            return;
        };
        running.detections += detections.len();
        let is_same = running
            .labels
            .iter()
            .enumerate()
            .all(|(label, &known)| label == known);
        let detections = if is_same {
            detections
        } else {
            relabelled(&detections, &running.labels)
        };
        if let Some(image) = self.images.get_mut(index) {
            image.size = Some(size);
        }
        self.set_state(index, ImageState::Done(detections));
    }

    fn finished(&mut self, failed: usize) {
        let Some(running) = self.running.take() else {
            return;
        };
        let images = running.progress.total - failed.min(running.progress.total);
        let plural = |n: usize, noun: &str| format!("{n} {noun}{}", if n == 1 { "" } else { "s" });
        let (instances, images) = (
            plural(running.detections, "instance"),
            plural(images, "image"),
        );
        let found = format!("{instances} in {images}");
        self.notices.push(match failed {
            0 => Notice::new(NoticeKind::Info, found),
            n => {
                let failures = self.images.iter().filter_map(|image| match &image.state {
                    ImageState::Failed(error) => Some(error.to_string()),
                    _ => None,
                });
                let details = failures.collect::<Vec<_>>().join("\n");
                let text = format!("{found}; {} could not be used", plural(n, "image"));
                Notice::new(NoticeKind::Warning, text).with_details(details)
            }
        });
    }

    /// Writes the predictions as JSON on a thread; a notice tells the end.
    pub fn export(&mut self, output: &Path) {
        let images: Vec<_> = self.predicted_images().collect();
        if images.is_empty() {
            let text = "Nothing to export: no image has predictions";
            self.notices.push(Notice::new(NoticeKind::Warning, text));
            return;
        }
        let (sender, result) = channel();
        let (output, classes, wake) = (
            output.to_owned(),
            self.classes.clone(),
            Arc::clone(&self.wake),
        );
        let thread = std::thread::Builder::new()
            .name("export".into())
            .spawn(move || {
                let images: Vec<_> = images.iter().map(PredictedEntry::to_write).collect();
                let notice = match predictions::write(&output, &images, &classes) {
                    Ok(()) => {
                        let text =
                            format!("{} images written to {}", images.len(), output.display());
                        Notice::new(NoticeKind::Info, text)
                    }
                    Err(error) => Notice::new(NoticeKind::Error, error.to_string()),
                };
                // The receiver is gone when the window closed meanwhile.
                let _ = sender.send(notice);
                wake();
            });
        match thread {
            Ok(_) => self.exports.push(result),
            Err(error) => {
                let text = format!("cannot start a thread: {error}");
                self.notices.push(Notice::new(NoticeKind::Error, text));
            }
        }
    }
}

fn relabelled(detections: &[Detection], labels: &[usize]) -> Arc<Vec<Detection>> {
    let relabel = |detection: &Detection| Detection {
        label: labels
            .get(detection.label)
            .copied()
            .unwrap_or(detection.label),
        ..detection.clone()
    };
    Arc::new(detections.iter().map(relabel).collect())
}
