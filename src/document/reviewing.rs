//! The review of the open set in the window: opened on a thread when it is first wanted, edited at once, saved by a thread of
//! its own. What it changes shows in classes and annotations; the evaluation stays that of the file.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::time::Duration;

use super::evaluation::Side;
use super::review::{
    Access, Applied, Edit, Keep, Queue, ReviewError, ReviewSession, Standing, Target,
};
use super::saving::TakenBack;
use super::watch::FileWatch;
use super::{Document, Notice, NoticeKind};
use crate::coco::dataset::Dataset;

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
        if self.reviewing.is_some() {
            return;
        }
        let Some(dataset) = self.dataset.clone() else {
            return;
        };
        match self.take_back(&dataset) {
            TakenBack::Nothing => self.reviewing = Some(self.open_review(dataset)),
            TakenBack::Review(review) => {
                self.reviewing = Some(Reviewing::Ready(review));
                self.show_corrections();
            }
            TakenBack::NotYet => {}
        }
    }

    /// Where the review stands.
    pub fn review_state(&self) -> ReviewState<'_> {
        match &self.reviewing {
            None if self.dataset.is_some() => ReviewState::Opening,
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
            session.tell_saved(Arc::clone(&self.wake));
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
        self.renew_categories();
        self.correct_all(all);
    }

    fn show_corrections_of(&mut self, image: usize) {
        let Some(Reviewing::Ready(session)) = &self.reviewing else {
            return;
        };
        let corrections = session.corrections_of(image);
        self.correct(image, corrections);
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
                let images = applied.images.iter();
                let images: Vec<usize> = images
                    .filter_map(|&id| session.image_position(id))
                    .collect();
                self.renew_categories();
                for image in images {
                    self.show_corrections_of(image);
                }
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
        walk: impl FnOnce(&mut Queue, &dyn Fn(&Target) -> Standing) -> Option<Target>,
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

    /// The folder of the set's JSON.
    pub fn set_folder(&self) -> Option<PathBuf> {
        let json = std::path::absolute(self.dataset.as_ref()?.json()).ok()?;
        json.parent().map(Path::to_owned)
    }

    /// Id of an image in the set.
    pub fn image_id(&self, image: usize) -> Option<u64> {
        Some(self.dataset.as_ref()?.images().get(image)?.id)
    }

    /// Whether another program has changed the set's file since it was opened.
    pub fn is_changed_outside(&self) -> bool {
        self.watch.as_ref().is_some_and(FileWatch::is_changed)
    }

    /// Opens the set again, so that what another program changed is there as well; the review and the open predictions come
    /// back with it, and annotations that both changed wait for a decision.
    pub fn open_again(&mut self) {
        if let Some(refused) = self.unsaved() {
            let text = "Not opened again: the review is not on disk yet";
            let notice = Notice::new(NoticeKind::Error, text);
            self.notices.push(notice.with_details(refused));
            return;
        }
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
pub(super) fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(char::to_uppercase);
    first.into_iter().flatten().chain(letters).collect()
}
