//! Progress from many threads to one front end, and the wish to stop.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::{EvaluateEvent, Stage};
use crate::jobs::JobError;

/// More often no one can read.
const EVERY: Duration = Duration::from_millis(50);

/// Tells a front end; shared by the threads of a stage.
pub(super) struct Teller<'a> {
    stop: &'a AtomicBool,
    front: Mutex<Front<'a>>,
}

struct Front<'a> {
    report: &'a mut (dyn FnMut(EvaluateEvent<'_>) + Send),
    stage_began: Instant,
    told: Instant,
}

impl<'a> Teller<'a> {
    pub fn new(
        stop: &'a AtomicBool,
        report: &'a mut (dyn FnMut(EvaluateEvent<'_>) + Send),
    ) -> Self {
        let now = Instant::now();
        Self {
            stop,
            front: Mutex::new(Front {
                report,
                stage_began: now,
                told: now,
            }),
        }
    }

    pub fn tell(&self, event: EvaluateEvent<'_>) {
        let mut front = self.front.lock().unwrap_or_else(PoisonError::into_inner);
        (front.report)(event);
    }

    pub fn stage(&self, stage: Stage) {
        let mut front = self.front.lock().unwrap_or_else(PoisonError::into_inner);
        front.stage_began = Instant::now();
        (front.report)(EvaluateEvent::Stage(stage));
    }

    /// For the engine's progress callbacks: tells now and then, and whether to go on.
    pub fn step(&self, done: usize, total: usize) -> bool {
        // A thread that finds another one telling has better things to do.
        if let Ok(mut front) = self.front.try_lock()
            && front.told.elapsed() >= EVERY
        {
            front.told = Instant::now();
            let spent = front.stage_began.elapsed().as_secs_f64();
            let left = spent * total.saturating_sub(done) as f64 / (done as f64).max(1.0);
            let eta = Duration::try_from_secs_f64(left).ok().filter(|_| done > 0);
            (front.report)(EvaluateEvent::Progress { done, total, eta });
        }
        !self.is_stopped()
    }

    pub fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    pub fn check(&self) -> Result<(), JobError> {
        if self.is_stopped() {
            return Err(JobError::Interrupted);
        }
        Ok(())
    }
}
