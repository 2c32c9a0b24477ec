//! Boundary AP of what is shown, measured on a thread when it is asked for: rims take longer than masks.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};

use super::{Evaluation, Side};
use crate::document::{Document, Wake};
use crate::eval::{CocoNumbers, Curves, Kind, Setup, accumulate, boundary_overlaps, matches};

/// Boundary AP of an evaluation.
#[derive(Debug)]
pub struct BoundaryResult {
    /// Precision and recall.
    pub curves: Curves,
    /// The twelve numbers.
    pub numbers: CocoNumbers,
}

/// How far boundary AP is.
#[derive(Clone, Copy, Debug)]
pub enum Boundary<'a> {
    /// Not asked for, or of an evaluation that no longer holds.
    Unknown,
    /// Images done, of all.
    Measuring(usize, usize),
    /// The result.
    Ready(&'a Arc<BoundaryResult>),
}

#[derive(Default)]
struct Shared {
    done: AtomicUsize,
    is_cancelled: AtomicBool,
}

/// A measurement. Dropping it ends its thread.
pub(in crate::document) struct BoundaryJob {
    of: Arc<Evaluation>,
    shared: Arc<Shared>,
    answer: Receiver<BoundaryResult>,
    result: Option<Arc<BoundaryResult>>,
}

impl BoundaryJob {
    fn start(of: Arc<Evaluation>, wake: Wake) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let (sender, answer) = channel();
        let (of_thread, evaluation) = (Arc::clone(&shared), Arc::clone(&of));
        std::thread::Builder::new()
            .name("boundary".into())
            .spawn(move || {
                if let Some(result) = measure(&evaluation, &of_thread, &wake) {
                    // The receiver is gone when the result is no longer wanted.
                    let _ = sender.send(result);
                    wake();
                }
            })?;
        Ok(Self {
            of,
            shared,
            answer,
            result: None,
        })
    }

    /// Takes in what the thread found.
    pub fn poll(&mut self) {
        if let Ok(result) = self.answer.try_recv() {
            self.result = Some(Arc::new(result));
        }
    }
}

impl Drop for BoundaryJob {
    fn drop(&mut self) {
        self.shared.is_cancelled.store(true, Ordering::Relaxed);
    }
}

fn measure(of: &Evaluation, shared: &Shared, wake: &Wake) -> Option<BoundaryResult> {
    /// Frames between are enough to see it move.
    const STEP: usize = 64;
    let base = &of.base;
    let overlaps = boundary_overlaps(&base.input, &base.masks, &|done| {
        shared.done.store(done, Ordering::Relaxed);
        if done.is_multiple_of(STEP) {
            wake();
        }
        !shared.is_cancelled.load(Ordering::Relaxed)
    })?;
    let setup = Setup {
        overlaps: &overlaps,
        ..base.setup(Kind::Segm)
    };
    let found = matches(&setup, &of.segm.order, &of.selection);
    let curves = accumulate(&base.cells, &of.segm.order, &found);
    Some(BoundaryResult {
        numbers: CocoNumbers::of(&curves),
        curves,
    })
}

impl Document {
    /// Measures boundary AP of the shown predictions' latest evaluation, unless that is under way or done.
    pub fn measure_boundary(&mut self) {
        let Some(of) = self.evaluation(Side::A).cloned() else {
            return;
        };
        if !matches!(self.boundary(), Boundary::Unknown) {
            return;
        }
        match BoundaryJob::start(of, Arc::clone(&self.wake)) {
            Ok(job) => self.boundary = Some(job),
            Err(error) => log::error!("cannot start a thread: {error}"),
        }
    }

    /// Boundary AP of the latest evaluation.
    pub fn boundary(&self) -> Boundary<'_> {
        let (Some(job), Some(of)) = (&self.boundary, self.evaluation(Side::A)) else {
            return Boundary::Unknown;
        };
        match &job.result {
            _ if !Arc::ptr_eq(&job.of, of) => Boundary::Unknown,
            Some(result) => Boundary::Ready(result),
            None => {
                let done = job.shared.done.load(Ordering::Relaxed);
                Boundary::Measuring(done, of.base.input.images.len())
            }
        }
    }
}
