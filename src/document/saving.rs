//! Whether reviews are on disk. A disk that refuses is told at once; what it has not taken stays in memory, after the set was closed
//! too, and is tried again and again.

use std::time::Duration;

use super::review::{ReviewError, ReviewSession, SaveState};
use super::reviewing::{Reviewing, sentence};
use super::{Document, Notice, NoticeKind};

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
        let refused = self.refused()?;
        Some(sentence(&refused.to_string()))
    }

    /// Whether the disk refuses something now.
    pub fn has_unsaved(&self) -> bool {
        self.refused().is_some()
    }

    fn wait_for_commit(&self) {
        if let Some(review) = self.review() {
            review.wait_briefly(PATIENCE);
        }
    }

    fn refused(&self) -> Option<ReviewError> {
        let leaving = self.saving.leaving.iter();
        self.review()
            .into_iter()
            .chain(leaving)
            .find_map(|review| review.unsaved())
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
}
