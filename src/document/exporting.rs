//! Exports of the review, each on a thread of its own: how far it is, how it is stopped, what it leads to.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::time::{Duration, Instant};

use super::reviewing::sentence;
use super::{Document, Notice, NoticeKind};
use crate::coco::dataset::Dataset;
use crate::coco::{CocoError, Derivation, PredictedImage, predictions, write_derived};
use crate::jobs::JobError;
use crate::jobs::export::{ExportRequest, ExportSummary, export};
use crate::structures::{ClassTable, Detection, Size, shell};

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
    answer: Receiver<Written>,
    /// The set is trained on when it is there.
    to_train: bool,
}

/// What to tell of an export, and whether its output is there.
struct Written {
    notice: Notice,
    is_there: bool,
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
    images: Vec<PredictedEntry>,
    classes: ClassTable,
    hash: String,
}

/// The predictions of one image, shared until they are written.
pub(super) struct PredictedEntry {
    path: String,
    size: Size,
    detections: Arc<Vec<Detection>>,
}

impl PredictedEntry {
    /// As a file holds them.
    pub fn to_write(&self) -> PredictedImage {
        PredictedImage::new(self.path.clone(), self.size, self.detections.to_vec())
    }
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

    /// An export from a terminal, of predictions those of a file; none where nothing is open that could be exported.
    pub fn export_line(&self, format: &str, out: &Path) -> Option<String> {
        let text = |path: &Path| path.to_string_lossy().into_owned();
        let mut words = ["maskscope", "export"].map(str::to_owned).to_vec();
        words.extend([text(self.dataset.as_ref()?.json())]);
        words.extend(["--format".to_owned(), format.to_owned()]);
        if let Some(predictions) = self.predictions_path() {
            words.extend(["--predictions".into(), text(predictions)]);
        }
        words.extend(["--out".into(), text(out)]);
        Some(shell::line(words.iter().map(String::as_str)))
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
        let dataset = Arc::clone(dataset);
        let in_memory = match self.in_memory(format) {
            Ok(in_memory) => in_memory,
            Err(text) => {
                self.notices.push(Notice::new(NoticeKind::Warning, text));
                return;
            }
        };
        let mut request = ExportRequest {
            format,
            out: output.to_owned(),
            predictions: self.predictions_path.clone(),
            prediction_hash: None,
            command_line: self.export_line(format.name(), output).unwrap_or_default(),
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
            match export(&dataset, &corrections, &remarks, &request, &mut tick) {
                Ok(summary) if to_train => match place_images(&dataset, &request.out) {
                    Ok(()) => told(&summary),
                    Err(error) => not_placed(&request.out, &error),
                },
                Ok(summary) => told(&summary),
                Err(JobError::Interrupted | JobError::Coco(CocoError::Cancelled { .. })) => {
                    Written {
                        notice: Notice::new(NoticeKind::Info, "The export was stopped"),
                        is_there: false,
                    }
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
    fn in_memory(&self, format: Format) -> Result<Option<InMemory>, &'static str> {
        if !format.is_of_predictions() || self.predictions_path.is_some() {
            return Ok(None);
        }
        let images: Vec<PredictedEntry> = self.predicted_images().collect();
        if images.is_empty() {
            return Ok(None);
        }
        // Without it nobody knows which of them were rejected.
        let hash = self
            .prediction_hash()
            .ok_or(match self.is_reading_prediction_source() {
                true => "The checkpoint is still being read to tell what was rejected: export in a moment",
                false => "The checkpoint cannot be read, and with it what was rejected: bring it back and run the model again",
            })?;
        Ok(Some(InMemory {
            images,
            classes: self.classes.clone(),
            hash: hash.to_owned(),
        }))
    }

    /// Images with predictions.
    pub(super) fn predicted_images(&self) -> impl Iterator<Item = PredictedEntry> + '_ {
        self.images.iter().filter_map(|image| {
            Some(PredictedEntry {
                path: image.key.clone(),
                size: image.size?,
                detections: Arc::clone(image.detections()?),
            })
        })
    }

    /// Does `work` on a thread; what it says at the end.
    fn tell_later<T: Send + 'static>(
        &mut self,
        name: &str,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<Receiver<T>> {
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
        for (written, export) in ended(&mut self.exporting, |export| &export.answer) {
            if written.is_there && export.to_train {
                self.draft_mut().train_data = export.out.display().to_string();
                self.has_set_to_train = true;
            }
            self.notices.push(written.notice);
        }
        let told = ended(&mut self.exports, |export| export);
        self.notices
            .extend(told.into_iter().map(|(notice, _)| notice));
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

/// What has ended, with its answer; what ended without one is forgotten.
fn ended<T, W>(running: &mut Vec<W>, answer: impl Fn(&W) -> &Receiver<T>) -> Vec<(T, W)> {
    let mut ended = Vec::new();
    let mut still = Vec::new();
    for one in std::mem::take(running) {
        match answer(&one).try_recv() {
            Ok(told) => ended.push((told, one)),
            Err(TryRecvError::Empty) => still.push(one),
            Err(TryRecvError::Disconnected) => {}
        }
    }
    *running = still;
    ended
}

impl InMemory {
    /// Writes them where the export reads; the folder goes with what is returned.
    fn write(self, request: &mut ExportRequest) -> Result<tempfile::TempDir, JobError> {
        let folder = tempfile::tempdir().map_err(|source| JobError::Folder {
            path: std::env::temp_dir(),
            source,
        })?;
        let path = folder.path().join("predictions.json");
        let images: Vec<PredictedImage> =
            self.images.iter().map(PredictedEntry::to_write).collect();
        predictions::write(&path, &images, &self.classes)?;
        request.predictions = Some(path);
        request.prediction_hash = Some(self.hash);
        Ok(folder)
    }
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

fn not_written(error: &JobError) -> Written {
    let notice = Notice::new(NoticeKind::Error, "The set was not exported");
    Written {
        notice: notice.with_details(error.to_string()),
        is_there: false,
    }
}

fn not_placed(out: &Path, error: &JobError) -> Written {
    let text = format!(
        "{} was written, but its images are not found from there",
        out.display()
    );
    Written {
        notice: Notice::new(NoticeKind::Error, text).with_details(error.to_string()),
        is_there: false,
    }
}

fn told(summary: &ExportSummary) -> Written {
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
    let text = format!("Exported {}", written.join(" and "));
    Written {
        notice: Notice::new(NoticeKind::Info, text).with_details(details.join("\n")),
        is_there: true,
    }
}
