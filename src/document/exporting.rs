//! Exports of the review, each on a thread of its own: how far it is, how it is stopped, what it leads to.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::time::{Duration, Instant};

use super::reviewing::sentence;
use super::{Document, Notice, NoticeKind};
use crate::coco::dataset::Dataset;
use crate::coco::{Derivation, PredictedImage, predictions, write_derived};
use crate::jobs::JobError;
use crate::jobs::export::{ExportRequest, ExportSummary, export};
use crate::structures::{ClassTable, shell};

pub use crate::jobs::export::Format;

/// Shared with the thread.
#[derive(Default)]
struct Steps {
    done: AtomicUsize,
    total: AtomicUsize,
    stop: AtomicBool,
}

/// An export of the corrected set that is under way.
pub(super) struct Exporting {
    out: PathBuf,
    begin: Instant,
    steps: Arc<Steps>,
    answer: Receiver<Notice>,
    /// The set is trained on when it is there.
    to_train: bool,
}

/// How far an export is.
#[derive(Clone, Debug, PartialEq)]
pub struct ExportProgress {
    /// What is written.
    pub out: PathBuf,
    /// Images done.
    pub done: usize,
    /// All images; 0 as long as that is not known.
    pub total: usize,
    /// Time left, where it can be said.
    pub eta: Option<Duration>,
}

/// Predictions that the model made in the window and no file holds.
struct InMemory {
    images: Vec<PredictedImage>,
    classes: ClassTable,
    hash: Option<String>,
}

impl Document {
    /// Writes the corrected set, or predictions without the rejected ones, on a thread; the end is told.
    pub fn export_review(&mut self, format: Format, output: &Path) {
        self.start_export(format, output, false);
    }

    /// Writes the corrected set, and puts it into the draft of a fine-tuning. Its images are found from wherever it lies.
    pub fn export_to_train(&mut self, output: &Path) {
        self.start_export(Format::Coco, output, true);
    }

    /// The export that is under way; of several the last.
    pub fn export_progress(&self) -> Option<ExportProgress> {
        let last = self.exporting.last()?;
        let of = |count: &AtomicUsize| count.load(Ordering::Relaxed);
        let (done, total) = (of(&last.steps.done), of(&last.steps.total));
        let left = total.saturating_sub(done) as f64 / done as f64;
        let eta = (done > 0).then(|| last.begin.elapsed().mul_f64(left));
        Some(ExportProgress {
            out: last.out.clone(),
            done,
            total,
            eta,
        })
    }

    /// Stops the export that is under way; what was at its output stays.
    pub fn cancel_export(&mut self) {
        if let Some(last) = self.exporting.last() {
            last.steps.stop.store(true, Ordering::Relaxed);
        }
    }

    /// Whether a corrected set was written that is to be trained on; it is in the draft then.
    pub fn take_corrected_to_train(&mut self) -> bool {
        std::mem::take(&mut self.has_set_to_train)
    }

    fn start_export(&mut self, format: Format, output: &Path, to_train: bool) {
        let (Some(session), Some(dataset)) = (self.review(), self.dataset.as_ref()) else {
            return;
        };
        if let Err(error) = session.check_settled() {
            let text = sentence(&error.to_string());
            self.notices.push(Notice::new(NoticeKind::Error, text));
            return;
        }
        let (corrections, remarks) = (session.corrections().clone(), session.remarks());
        let (dataset, in_memory) = (Arc::clone(dataset), self.in_memory(format));
        let mut request = ExportRequest {
            format,
            out: output.to_owned(),
            predictions: self.predictions_path.clone(),
            prediction_hash: None,
            command_line: command_line(&dataset, format, self.predictions_path(), output),
        };
        let steps = Arc::<Steps>::default();
        let theirs = Arc::clone(&steps);
        let work = move || {
            let mut tick = |done, total| {
                theirs.done.store(done, Ordering::Relaxed);
                theirs.total.store(total, Ordering::Relaxed);
                !theirs.stop.load(Ordering::Relaxed)
            };
            let _kept = match in_memory.map(|it| it.write(&mut request)).transpose() {
                Ok(folder) => folder,
                Err(error) => return not_written(&error),
            };
            let done = export(&dataset, &corrections, &remarks, &request, &mut tick);
            match done {
                Ok(summary) if to_train => match place_images(&dataset, &request.out) {
                    Ok(()) => told(&summary),
                    Err(error) => not_written(&error),
                },
                Ok(summary) => told(&summary),
                Err(_) if theirs.stop.load(Ordering::Relaxed) => {
                    let text = "The export was stopped: nothing was written";
                    Notice::new(NoticeKind::Info, text)
                }
                Err(error) => not_written(&error),
            }
        };
        if let Some(answer) = self.tell_later("export set", work) {
            self.exporting.push(Exporting {
                out: output.to_owned(),
                begin: Instant::now(),
                steps,
                answer,
                to_train,
            });
        }
    }

    /// The predictions on screen, where a format means them and no file has them.
    fn in_memory(&self, format: Format) -> Option<InMemory> {
        let means_them = matches!(format, Format::Results | Format::Predictions | Format::Html);
        if !means_them || self.predictions_path.is_some() {
            return None;
        }
        let images: Vec<PredictedImage> = self.predicted_images().collect();
        (!images.is_empty()).then(|| InMemory {
            images,
            classes: self.classes.clone(),
            hash: self.prediction_hash().map(str::to_owned),
        })
    }

    /// Images with predictions, as a file holds them.
    pub(super) fn predicted_images(&self) -> impl Iterator<Item = PredictedImage> + '_ {
        self.images.iter().filter_map(|image| {
            let detections = image.detections()?.to_vec();
            Some(PredictedImage::new(
                image.key.clone(),
                image.size?,
                detections,
            ))
        })
    }

    /// Does `work` on a thread; what it says at the end.
    fn tell_later(
        &mut self,
        name: &str,
        work: impl FnOnce() -> Notice + Send + 'static,
    ) -> Option<Receiver<Notice>> {
        let (done, answer) = channel();
        let wake = Arc::clone(&self.wake);
        let work = move || {
            // A document that is gone needs no notice.
            let _ = done.send(work());
            wake();
        };
        match std::thread::Builder::new().name(name.into()).spawn(work) {
            Ok(_) => Some(answer),
            Err(error) => {
                let text = format!("Cannot start a thread: {error}");
                self.notices.push(Notice::new(NoticeKind::Error, text));
                None
            }
        }
    }

    /// Takes in exports that have ended. A set that is to be trained on goes into the draft; one that failed is only told.
    pub(super) fn take_exports(&mut self) {
        let mut ended = Vec::new();
        self.exporting
            .retain(|export| match export.answer.try_recv() {
                Ok(notice) => {
                    ended.push((notice, export.to_train.then(|| export.out.clone())));
                    false
                }
                Err(error) => error == TryRecvError::Empty,
            });
        for (notice, to_train) in ended {
            if let Some(path) = to_train.filter(|_| notice.kind == NoticeKind::Info) {
                self.draft_mut().train_data = path.display().to_string();
                self.has_set_to_train = true;
            }
            self.notices.push(notice);
        }
        let mut notices = Vec::new();
        self.exports.retain(|export| match export.try_recv() {
            Ok(notice) => {
                notices.push(notice);
                false
            }
            Err(error) => error == TryRecvError::Empty,
        });
        self.notices.extend(notices);
    }

    /// Writes the audit trail of the review on a thread; the end is told.
    pub fn export_audit(&mut self, output: &Path) {
        let Some(session) = self.review() else { return };
        let (audit, output) = (session.audit(), output.to_owned());
        let started = self.tell_later("export audit", move || match audit.export(&output) {
            Ok(()) => Notice::new(NoticeKind::Info, format!("Exported {}", output.display())),
            Err(error) => Notice::new(NoticeKind::Error, "The audit trail was not written")
                .with_details(error.to_string()),
        });
        self.exports.extend(started);
    }
}

impl InMemory {
    /// Writes them where the export reads; the folder goes with what is returned.
    fn write(self, request: &mut ExportRequest) -> Result<tempfile::TempDir, JobError> {
        let folder = tempfile::tempdir().map_err(|source| JobError::Folder {
            path: std::env::temp_dir(),
            source,
        })?;
        let path = folder.path().join("predictions.json");
        predictions::write(&path, &self.images, &self.classes)?;
        request.predictions = Some(path);
        request.prediction_hash = self.hash;
        Ok(folder)
    }
}

/// The same from a terminal; a report tells it.
fn command_line(set: &Dataset, format: Format, predictions: Option<&Path>, out: &Path) -> String {
    let path = |path: &Path| path.to_string_lossy().into_owned();
    let mut words = vec!["maskscope".to_owned(), "export".into(), path(set.json())];
    words.extend(["--format".into(), format.name().into()]);
    if let Some(predictions) = predictions {
        words.extend(["--predictions".into(), path(predictions)]);
    }
    words.extend(["--out".into(), path(out)]);
    shell::line(words.iter().map(String::as_str))
}

/// Names the images of a written set by their whole path, where they are not found from where it lies.
fn place_images(set: &Dataset, written: &Path) -> Result<(), JobError> {
    if set.is_at_home(written) {
        return Ok(());
    }
    let corrected = Dataset::open_as(written, crate::coco::dataset::Role::Any, Some(set.folder()))?;
    let classes = corrected.classes().names.iter().cloned().map(Some);
    let all = Derivation {
        images: None,
        classes: classes.collect(),
    };
    Ok(write_derived(&corrected, &all, written)?)
}

fn not_written(error: &JobError) -> Notice {
    Notice::new(NoticeKind::Error, "The set was not exported").with_details(error.to_string())
}

fn told(summary: &ExportSummary) -> Notice {
    let written: Vec<String> = summary
        .written
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    let edits = &summary.edits;
    let mut details = vec![format!(
        "{} masks and {} classes or flags changed, {} added, {} deleted, {} new classes",
        edits.masks_changed,
        edits.fields_changed,
        edits.added,
        edits.deleted,
        edits.categories_added
    )];
    details.extend(summary.notes.iter().cloned());
    Notice::new(
        NoticeKind::Info,
        format!("Exported {}", written.join(" and ")),
    )
    .with_details(details.join("\n"))
}
