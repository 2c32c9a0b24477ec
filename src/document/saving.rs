//! Whether reviews are on disk. A disk that refuses is told at once; what it has not taken stays in memory, after the set was closed
//! too, and is tried again and again.

use std::time::Duration;

use super::review::{ReviewError, ReviewSession, SaveState};
use super::reviewing::{Reviewing, sentence};
use super::{Document, Notice, NoticeKind};
use crate::coco::dataset::Dataset;

/// So long a set that is closed, or the window, waits for a commit that is on its way.
const PATIENCE: Duration = Duration::from_millis(200);

/// Reviews of sets that were closed before the disk took them, and what was told.
#[derive(Default)]
pub(super) struct Saving {
    leaving: Vec<ReviewSession>,
    is_told: bool,
}

impl Document {
    /// What is not on disk, in one sentence: what, where, why. Waits a moment for what is on its way.
    pub fn unsaved(&self) -> Option<String> {
        self.wait_for_commit();
        let unsaved = self.reviews().find_map(ReviewSession::unsaved)?;
        Some(sentence(&unsaved.to_string()))
    }

    /// Whether something is not on disk now.
    pub fn has_unsaved(&self) -> bool {
        self.reviews().any(|review| review.unsaved().is_some())
    }

    fn reviews(&self) -> impl Iterator<Item = &ReviewSession> {
        self.review().into_iter().chain(&self.saving.leaving)
    }

    fn wait_for_commit(&self) {
        if let Some(review) = self.review() {
            review.wait_briefly(PATIENCE);
        }
    }

    /// What a disk has refused, not what is on its way.
    fn refused(&self) -> Option<ReviewError> {
        let is_refused =
            |review: &&ReviewSession| matches!(review.save_state(), SaveState::NotSaved(_));
        self.reviews().find(is_refused)?.unsaved()
    }

    /// Tells the first refusal, and that everything is on disk after one.
    pub(super) fn take_saving(&mut self) {
        let is_left = |review: &ReviewSession| review.save_state() != SaveState::Saved;
        self.saving.leaving.retain(is_left);
        match self.refused() {
            Some(refused) if !self.saving.is_told => {
                self.saving.is_told = true;
                let text = "The review cannot be saved; it is tried again and again";
                let notice = Notice::new(NoticeKind::Error, text);
                let details = sentence(&refused.to_string());
                self.notices.push(notice.with_details(details));
            }
            None if self.saving.is_told && self.saving.leaving.is_empty() => {
                self.saving.is_told = false;
                let text = "The review is saved again";
                self.notices.push(Notice::new(NoticeKind::Info, text));
            }
            _ => {}
        }
    }

    /// Lets go of the review: at once where it is on disk, else as soon as it is.
    pub(super) fn leave_review(&mut self) {
        self.wait_for_commit();
        if let Some(Reviewing::Ready(review)) = self.reviewing.take()
            && review.save_state() != SaveState::Saved
        {
            self.saving.leaving.push(*review);
        }
    }

    /// The review of a set that was closed before the disk took it, and is opened again: it is taken up where its file is the same,
    /// else its end is waited for.
    pub(super) fn take_back(&mut self, set: &Dataset) -> TakenBack {
        let is_of_set = |review: &ReviewSession| review.set().json() == set.json();
        let Some(at) = self.saving.leaving.iter().position(is_of_set) else {
            return TakenBack::Nothing;
        };
        match self.saving.leaving[at].set().check_unchanged() {
            Ok(()) => TakenBack::Review(Box::new(self.saving.leaving.remove(at))),
            Err(_) => TakenBack::NotYet,
        }
    }
}

/// What a set that is opened again finds of its review.
pub(super) enum TakenBack {
    /// None is on its way to the disk.
    Nothing,
    /// This one.
    Review(Box<ReviewSession>),
    /// One whose file has changed meanwhile: it has to be on disk first.
    NotYet,
}
