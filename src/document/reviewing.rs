//! The review of the open set in the window: opened on a thread when it is first wanted, edited at once, saved by a thread of
//! its own. What it changes shows in classes and annotations; the evaluation stays that of the file.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::time::Duration;

use super::evaluation::Side;
use super::review::{
    Access, Applied, Corrections, Edit, Keep, Opinion, PredictionKey, Queue, ReviewError,
    ReviewSession, Target,
};
use super::watch::FileWatch;
use super::{Document, Notice, NoticeKind};
use crate::coco::dataset::Dataset;
use crate::jobs::export::{ExportRequest, ExportSummary, export};
use crate::structures::Detection;

pub use crate::jobs::export::Format;

/// Where the review of what is open stands.
pub enum ReviewState<'a> {
    /// Nothing open can be reviewed: it has no annotations of its own.
    Absent,
    /// It is being opened.
    Opening,
    /// It is here.
    Ready(&'a ReviewSession),
    /// It cannot be opened: what, where, what to do.
    Failed(&'a str),
}

/// A review, or what there is instead.
pub(super) enum Reviewing {
    Opening(Receiver<Result<ReviewSession, ReviewError>>),
    Ready(Box<ReviewSession>),
    Failed(String),
}

impl Document {
    /// Asks a thread for the review of the open set, where it is not open yet. Nothing is made on disk before.
    pub fn want_review(&mut self) {
        if self.reviewing.is_none()
            && let Some(dataset) = &self.dataset
        {
            self.reviewing = Some(self.open_review(Arc::clone(dataset)));
        }
    }

    /// Where the review stands.
    pub fn review_state(&self) -> ReviewState<'_> {
        match &self.reviewing {
            None => ReviewState::Absent,
            Some(Reviewing::Opening(_)) => ReviewState::Opening,
            Some(Reviewing::Ready(session)) => ReviewState::Ready(session),
            Some(Reviewing::Failed(why)) => ReviewState::Failed(why),
        }
    }

    /// The review, where it is open.
    pub fn review(&self) -> Option<&ReviewSession> {
        match &self.reviewing {
            Some(Reviewing::Ready(session)) => Some(session),
            _ => None,
        }
    }

    fn open_review(&self, dataset: Arc<Dataset>) -> Reviewing {
        let (done, answer) = channel();
        let wake = Arc::clone(&self.wake);
        let work = move || {
            // A window that has closed the set meanwhile does not wait for it.
            let _ = done.send(ReviewSession::open(dataset, Access::Edit));
            wake();
        };
        match std::thread::Builder::new()
            .name("open review".into())
            .spawn(work)
        {
            Ok(_) => Reviewing::Opening(answer),
            Err(error) => Reviewing::Failed(format!("Cannot start a thread: {error}")),
        }
    }

    /// Opens a review again that could not be opened.
    pub fn retry_review(&mut self) {
        if matches!(self.reviewing, Some(Reviewing::Failed(_))) {
            self.reviewing = None;
        }
    }

    pub(super) fn take_review(&mut self) {
        let Some(Reviewing::Opening(answer)) = &self.reviewing else {
            return;
        };
        let next = match answer.try_recv() {
            Err(TryRecvError::Empty) => return,
            Err(TryRecvError::Disconnected) => {
                Reviewing::Failed("Opening the review broke; the log holds the details".into())
            }
            Ok(Err(error)) => Reviewing::Failed(sentence(&error.to_string())),
            Ok(Ok(session)) => Reviewing::Ready(Box::new(session)),
        };
        if let Reviewing::Ready(session) = &next {
            let kind = match session.is_read_only() {
                true => NoticeKind::Warning,
                false => NoticeKind::Info,
            };
            let notes = session
                .notes()
                .iter()
                .map(|note| Notice::new(kind, sentence(note)));
            self.notices.extend(notes);
            let conflicts = session.conflicts().len();
            if conflicts > 0 {
                let plural = if conflicts == 1 { "" } else { "s" };
                let text = format!(
                    "{conflicts} correction{plural} and a changed file disagree: decide in Review"
                );
                self.notices.push(Notice::new(NoticeKind::Warning, text));
            }
        }
        self.reviewing = Some(next);
        self.show_corrections();
    }

    /// Brings classes and all corrected images into step with the review.
    fn show_corrections(&mut self) {
        let Some(Reviewing::Ready(session)) = &self.reviewing else {
            return;
        };
        let all = session.corrections_by_image();
        self.correct_all(all);
        self.renew_classes();
    }

    fn show_corrections_of(&mut self, image: usize) {
        let Some(Reviewing::Ready(session)) = &self.reviewing else {
            return;
        };
        let corrections = session.corrections_of(image);
        self.correct(image, corrections);
    }

    /// The file's classes, then the new ones: labels stay what they are.
    fn renew_classes(&mut self) {
        let Some(Reviewing::Ready(session)) = &self.reviewing else {
            return;
        };
        let classes = session.classes();
        if classes.names.len() >= self.classes.names.len() || self.has_review_classes {
            self.has_review_classes = true;
            if classes != self.classes {
                self.classes = classes;
                self.classes_changed();
            }
        }
    }

    /// Does an edit; a refusal is told, and that polygons became run lengths. What was done, where anything was.
    pub fn edit(&mut self, edit: &Edit) -> Option<Applied> {
        let applied = self.with_review(|session| session.apply(edit).map(Some))?;
        if applied.is_painted {
            let text = "The polygons are a painted mask now: exports write its run lengths";
            self.notices.push(Notice::new(NoticeKind::Info, text));
        }
        Some(applied)
    }

    /// Takes the last step back.
    pub fn undo_edit(&mut self) -> Option<Applied> {
        self.with_review(ReviewSession::undo)
    }

    /// Does the next step again.
    pub fn redo_edit(&mut self) -> Option<Applied> {
        self.with_review(ReviewSession::redo)
    }

    /// Decides a conflict.
    pub fn settle(&mut self, id: u64, keep: Keep) {
        self.with_review(|session| session.settle(id, keep).map(Some));
        self.show_corrections();
    }

    /// Runs `work` on the review and shows what it changed.
    fn with_review(
        &mut self,
        work: impl FnOnce(&mut ReviewSession) -> Result<Option<Applied>, ReviewError>,
    ) -> Option<Applied> {
        let Some(Reviewing::Ready(session)) = &mut self.reviewing else {
            return None;
        };
        match work(session) {
            Err(error) => {
                let text = sentence(&error.to_string());
                self.notices.push(Notice::new(NoticeKind::Error, text));
                None
            }
            Ok(applied) => {
                let applied = applied?;
                let image = applied.image_id.and_then(|id| session.image_position(id));
                match image {
                    Some(image) => self.show_corrections_of(image),
                    // Something of several images, or of none.
                    None => self.show_corrections(),
                }
                self.renew_classes();
                self.reviewed();
                Some(applied)
            }
        }
    }

    /// Lets edits reach the disk before the next frame is drawn. A slow disk costs one frame a few milliseconds, once an edit;
    /// what it has not taken by then is on its way.
    pub fn commit_edits(&mut self) {
        const PATIENCE: Duration = Duration::from_millis(5);
        let Some(session) = self.review() else { return };
        let revision = session.revision();
        if self.committed != revision {
            session.wait_briefly(PATIENCE);
            self.committed = revision;
        }
    }

    /// Keeps a queue of the review, and where it stands.
    pub fn keep_queue(&mut self, queue: Queue) {
        let Some(Reviewing::Ready(session)) = &mut self.reviewing else {
            return;
        };
        if let Err(error) = session.keep_queue(queue) {
            let text = sentence(&error.to_string());
            self.notices.push(Notice::new(NoticeKind::Error, text));
        }
    }

    /// Walks in a queue; where it came to.
    pub fn walk_queue(
        &mut self,
        name: &str,
        walk: impl FnOnce(&mut Queue, &BTreeMap<Target, Opinion>) -> Option<Target>,
    ) -> Option<Target> {
        let Some(Reviewing::Ready(session)) = &mut self.reviewing else {
            return None;
        };
        match session.walk_queue(name, walk) {
            Ok(to) => to,
            Err(error) => {
                let text = sentence(&error.to_string());
                self.notices.push(Notice::new(NoticeKind::Error, text));
                None
            }
        }
    }

    /// What verdicts on a prediction of an image belong to; none where the image is not of a set.
    pub fn prediction_target(&self, image: usize, detection: &Detection) -> Option<Target> {
        let image_id = self.dataset.as_ref()?.images().get(image)?.id;
        let source = self.prediction_source();
        Some(Target::Prediction(PredictionKey::new(
            image_id,
            &source,
            &detection.mask,
        )))
    }

    /// Name of the checkpoint or file that predictions come from.
    pub fn prediction_source(&self) -> String {
        let path = self
            .predictions_path
            .as_deref()
            .unwrap_or(&self.request.checkpoint);
        path.file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned()
    }

    /// Id of an image in the set.
    pub fn image_id(&self, image: usize) -> Option<u64> {
        Some(self.dataset.as_ref()?.images().get(image)?.id)
    }

    /// Writes the corrected set on a thread; the end is told.
    pub fn export_review(&mut self, format: Format, output: &Path) {
        let started = self.start_export(format, output);
        self.exports.extend(started);
    }

    /// The end of the export that was started; none where it was refused, which is told.
    fn start_export(&mut self, format: Format, output: &Path) -> Option<Receiver<Notice>> {
        let session = self.review()?;
        let dataset = self.dataset.as_ref()?;
        if let Err(error) = session.check_settled() {
            let text = sentence(&error.to_string());
            self.notices.push(Notice::new(NoticeKind::Error, text));
            return None;
        }
        let (corrections, remarks) = (session.corrections().clone(), session.remarks());
        let dataset = Arc::clone(dataset);
        let request = ExportRequest {
            format,
            out: output.to_owned(),
            predictions: self.predictions_path.clone(),
            command_line: String::new(),
        };
        self.tell_later("export set", move || {
            match export(&dataset, &corrections, &remarks, &request, &mut |_, _| true) {
                Ok(summary) => told(&summary),
                Err(error) => Notice::new(NoticeKind::Error, "The set was not exported")
                    .with_details(error.to_string()),
            }
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

    /// Writes the corrected set, and puts it into the draft of a fine-tuning.
    pub fn export_to_train(&mut self, output: &Path) {
        let started = self.start_export(Format::Coco, output);
        self.to_train = started.map(|answer| (output.to_owned(), answer));
    }

    /// Puts a set that was written into the draft; one that failed is only told.
    pub(super) fn take_set_to_train(&mut self) {
        let Some((path, answer)) = self.to_train.take() else {
            return;
        };
        match answer.try_recv() {
            Ok(notice) => {
                if notice.kind != NoticeKind::Error {
                    self.draft_mut().train_data = path.display().to_string();
                    self.has_set_to_train = true;
                }
                self.notices.push(notice);
            }
            Err(TryRecvError::Empty) => self.to_train = Some((path, answer)),
            Err(TryRecvError::Disconnected) => {}
        }
    }

    /// Whether a corrected set was written that is to be trained on; it is in the draft then.
    pub fn take_corrected_to_train(&mut self) -> bool {
        std::mem::take(&mut self.has_set_to_train)
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

    /// Whether another program has changed the set's file since it was opened.
    pub fn is_changed_outside(&self) -> bool {
        self.watch.as_ref().is_some_and(FileWatch::is_changed)
    }

    /// Opens the set again, so that what another program changed is there as well; the review and the open predictions come
    /// back with it, and annotations that both changed wait for a decision.
    pub fn open_again(&mut self) {
        let Some(source) = &self.source else { return };
        let path = source.path.clone();
        let second = self.second.as_ref().map(|second| second.path.clone());
        let predictions = [(self.predictions_path.clone(), Side::A), (second, Side::B)];
        let predictions = predictions.into_iter();
        self.to_attach_again = predictions
            .filter_map(|(path, side)| Some((path?, side)))
            .collect();
        self.open(&path);
    }
}

/// Upper case first, as everything that is told.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(char::to_uppercase);
    first.into_iter().flatten().chain(letters).collect()
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

impl ReviewSession {
    /// Id of the image of an annotation, a deleted one among them.
    pub fn image_of(&self, id: u64) -> Option<u64> {
        let record = self
            .corrections()
            .annotations
            .get(&id)
            .and_then(Option::as_ref);
        record
            .map(|record| record.image_id)
            .or_else(|| self.head_image(id))
    }

    /// What differs, by position of the image.
    pub fn corrections_by_image(&self) -> HashMap<usize, Corrections> {
        let all = self.corrections();
        let mut images: HashMap<usize, Corrections> = HashMap::new();
        for (&id, record) in &all.annotations {
            let image = self.image_of(id).and_then(|id| self.image_position(id));
            if let Some(image) = image {
                let of_image = images.entry(image).or_default();
                of_image.annotations.insert(id, record.clone());
            }
        }
        for corrections in images.values_mut() {
            corrections.categories.clone_from(&all.categories);
        }
        images
    }

    /// What differs in one image; none where nothing does.
    pub fn corrections_of(&self, image: usize) -> Option<Corrections> {
        let image_id = self.set().images().get(image)?.id;
        let all = self.corrections();
        let here = all
            .annotations
            .iter()
            .filter(|(id, _)| self.image_of(**id) == Some(image_id));
        let corrections = Corrections {
            annotations: here.map(|(&id, record)| (id, record.clone())).collect(),
            categories: all.categories.clone(),
        };
        (!corrections.annotations.is_empty()).then_some(corrections)
    }
}
