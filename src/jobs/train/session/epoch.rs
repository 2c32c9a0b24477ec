//! The end of an epoch: checkpoint, evaluation, the best list, the lines of the log.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use candle_core::DeviceLocation;

use super::super::log::RunLog;
use super::super::measure::measure;
use super::super::records::{BestCheckpoint, EvalRecord, MetricsLine, RunState};
use super::super::{TrainEvent, TrainJobError};
use super::{Ended, Session};
use crate::jobs::JobError;
use crate::weights::TrainingProgress;

/// What an evaluation came to, for the other ranks.
const GO_ON: u8 = 0;
const STOP: u8 = 1;
const FAIL: u8 = 2;

impl Session<'_> {
    /// Checkpoint, evaluation and the lines of an epoch that is over.
    pub(super) fn end_epoch(
        &mut self,
        stop: &AtomicBool,
        log: &mut RunLog<'_>,
    ) -> Result<Ended, JobError> {
        self.save()?;
        let is_due = self.progress.epoch.is_multiple_of(self.config.eval_every)
            || self.progress.epoch == self.config.epoch_size;
        if let Some(val) = self
            .val
            .clone()
            .filter(|_| is_due && !self.progress.is_evaluated)
        {
            let found = if self.world.leads() {
                self.evaluate(&val, stop, log)
            } else {
                Ok(())
            };
            // The others wait for the first, and end with it.
            let code = match &found {
                Ok(()) => GO_ON,
                Err(JobError::Interrupted) => STOP,
                Err(_) => FAIL,
            };
            match (self.world.largest(code, stop)?, found) {
                (GO_ON, _) => self.progress.is_evaluated = true,
                (STOP, _) => return Ok(Ended::Stopped),
                (_, Err(error)) => return Err(error),
                (_, Ok(())) => return Err(TrainJobError::OtherRank.into()),
            }
        }
        for (count, what) in [
            (self.truncated, "annotations beyond num_gts"),
            (self.left_out, "annotations without area inside the image"),
        ] {
            if count > 0 {
                log.warn(&format!("{count} {what} were not trained on in this epoch"));
            }
        }
        (self.truncated, self.left_out) = (0, 0);
        let milliseconds = self.progress.epoch_seconds * 1000.0;
        log.info(&format!(
            "Train epoch time: {milliseconds:.3} ms, per step time: {:.3} ms",
            milliseconds / self.steps as f64
        ));
        Ok(Ended::Finished)
    }

    fn evaluate(
        &mut self,
        val: &Path,
        stop: &AtomicBool,
        log: &mut RunLog<'_>,
    ) -> Result<(), JobError> {
        self.told.state(RunState::Evaluating)?;
        let checkpoint = self
            .folder
            .checkpoint(0, self.progress.epoch, self.progress.step);
        let device = match self.device.location() {
            DeviceLocation::Cuda { gpu_id } => format!("cuda:{gpu_id}"),
            _ => "cpu".to_owned(),
        };
        let (told, folder) = (&mut self.told, &self.folder);
        let mut progress = |done: usize, total: usize| {
            if folder.stop_asked() {
                stop.store(true, Ordering::Relaxed);
            }
            told.record.evaluated = Some((done, total));
            told.now_and_then();
            log.tell(TrainEvent::Evaluated(done, total));
        };
        let found = measure(&checkpoint, val, &device, stop, &mut progress)?;
        self.told.record.evaluated = None;
        self.seconds_per_eval = Some(found.seconds);
        self.progress.epoch_seconds += found.seconds;
        let milliseconds = found.seconds * 1000.0;
        log.info(&format!(
            "Eval epoch time: {milliseconds:.3} ms, per step time: {:.3} ms",
            milliseconds / found.images.max(1) as f64
        ));
        let loss = self.progress.epoch_loss.value().unwrap_or(0.0);
        log.info(&format!(
            "Result metrics for epoch {}: {{'bbox_mAP': {}, 'loss': {}, 'seg_mAP': {}}}",
            self.progress.epoch,
            python(found.bbox),
            python(loss),
            python(found.segm)
        ));
        self.metrics.add(&MetricsLine::Eval(EvalRecord {
            epoch: self.progress.epoch,
            global_step: self.progress.global_step,
            bbox_map: found.bbox,
            seg_map: found.segm,
            seg_map_by_score: found.segm_by_score,
            bbox: found.bbox_numbers,
            segm: found.segm_numbers,
            loss,
            seconds: found.seconds,
        }))?;
        self.progress.metrics_bytes = self.metrics.bytes;
        self.progress.is_evaluated = true;
        let best = self.progress.best.last().map(|best| best.seg_map);
        if best.is_none_or(|best| found.segm > best) {
            self.keep_best(found.bbox, found.segm, loss)?;
        }
        // What the evaluation added must not be done again.
        self.save()
    }

    fn keep_best(&mut self, bbox: f64, segm: f64, loss: f64) -> Result<(), JobError> {
        let path = self.folder.best(self.progress.epoch, segm);
        let told = TrainingProgress {
            epoch: self.progress.epoch,
            step: self.progress.global_step as u64,
            bbox_map: Some(bbox),
            seg_map: Some(segm),
            loss: Some(loss),
        };
        let weights = self.set.snapshot(&path)?;
        self.identity().save_weights(&path, &weights, told)?;
        let best = BestCheckpoint {
            path: self.folder.relative(&path),
            epoch: self.progress.epoch,
            seg_map: segm,
        };
        self.progress.best.push(best.clone());
        let keep = self.config.keep_best_checkpoints_max;
        self.folder.retain_best(&mut self.progress.best, keep);
        self.told.record.best = Some(best);
        Ok(())
    }
}

/// A float as Python prints it.
fn python(value: f64) -> String {
    if value == value.trunc() && value.abs() < 1e16 {
        format!("{value:.1}")
    } else {
        value.to_string()
    }
}
