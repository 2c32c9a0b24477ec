//! The health report of the open set, made in the background on request.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, TryRecvError, channel};

use super::{Document, Wake};
use crate::coco::CocoError;
use crate::coco::dataset::Dataset;
use crate::jobs::check;

pub use crate::jobs::check::{Finding, Kind, KindCount, Report, Severity};

/// How far the report is.
#[derive(Clone, Copy, Debug)]
pub enum Health<'a> {
    /// Images that are checked, of all.
    Checking(usize, usize),
    /// The report.
    Ready(&'a Arc<Report>),
    /// Why there is none.
    Failed(&'a str),
}

#[derive(Default)]
struct Shared {
    done: AtomicUsize,
    is_cancelled: AtomicBool,
}

/// A report that is wanted. Dropping it ends its thread.
pub(super) struct Checkup {
    shared: Arc<Shared>,
    total: usize,
    answer: Receiver<Result<Report, CocoError>>,
    result: Option<Result<Arc<Report>, String>>,
}

impl Checkup {
    /// Starts the thread.
    fn start(set: Arc<Dataset>, wake: Wake) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let (sender, answer) = channel();
        let (of_thread, total) = (Arc::clone(&shared), set.images().len());
        std::thread::Builder::new()
            .name("check".into())
            .spawn(move || {
                let report = check::of_set(&set, &mut |done, _| {
                    of_thread.done.store(done, Ordering::Relaxed);
                    wake();
                    !of_thread.is_cancelled.load(Ordering::Relaxed)
                });
                // The receiver is gone when the report is no longer wanted.
                let _ = sender.send(report);
                wake();
            })?;
        Ok(Self {
            shared,
            total,
            answer,
            result: None,
        })
    }

    /// Takes in what the thread found.
    pub fn poll(&mut self) {
        if self.result.is_some() {
            return;
        }
        self.result = match self.answer.try_recv() {
            Ok(result) => Some(result.map(Arc::new).map_err(|error| error.to_string())),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => {
                Some(Err("the check broke; the log holds the details".into()))
            }
        };
    }

    fn health(&self) -> Health<'_> {
        match &self.result {
            Some(Ok(report)) => Health::Ready(report),
            Some(Err(text)) => Health::Failed(text),
            None => Health::Checking(self.shared.done.load(Ordering::Relaxed), self.total),
        }
    }
}

impl Drop for Checkup {
    fn drop(&mut self) {
        self.shared.is_cancelled.store(true, Ordering::Relaxed);
    }
}

impl Document {
    /// Checks every record, mask and image file of the open set on a thread, unless that is under way or done.
    pub fn check_set(&mut self) {
        let is_known = matches!(self.health(), Some(Health::Checking(..) | Health::Ready(_)));
        let Some(set) = self.dataset.clone().filter(|_| !is_known) else {
            return;
        };
        match Checkup::start(set, Arc::clone(&self.wake)) {
            Ok(checkup) => self.checkup = Some(checkup),
            Err(error) => log::error!("cannot start a thread: {error}"),
        }
    }

    /// The health report of the open set; `None` where it was not asked for.
    pub fn health(&self) -> Option<Health<'_>> {
        self.checkup.as_ref().map(Checkup::health)
    }

    /// Ends a check that is under way; a report that is ready stays.
    pub fn cancel_check(&mut self) {
        if let Some(Health::Checking(..)) = self.health() {
            self.checkup = None;
        }
    }
}
