//! One data step: losses, gradients, an update where a group of micro-batches ends, and what is told of it.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use candle_core::Tensor;

use super::super::feed::{Fed, Sample};
use super::super::log::RunLog;
use super::super::records::{LossValues, MetricsLine, StepRecord};
use super::super::saved::Mean;
use super::super::{TrainEvent, TrainJobError};
use super::Session;
use crate::jobs::batches::is_out_of_memory;
use crate::jobs::upload::Upload;
use crate::jobs::{JobError, resident_memory};
use crate::model::{Detector, ModelError};
use crate::train::{Batch, Losses, TrainError, Update, Verdict, losses};

/// Images that could not be read that are listed in the record.
const SKIPPED_LISTED: usize = 1000;
/// Steps that the speed is averaged over.
const SPEED_WINDOW: f64 = 50.0;

/// The files of a batch, for messages.
fn paths(samples: &[Sample]) -> String {
    let paths: Vec<String> = samples
        .iter()
        .map(|sample| sample.path.display().to_string())
        .collect();
    paths.join(", ")
}

impl Session<'_> {
    /// One data step; an update where it ends a group of micro-batches.
    pub(super) fn step(
        &mut self,
        fed: Fed,
        waited: f64,
        began: Instant,
        stop: &AtomicBool,
        log: &mut RunLog<'_>,
    ) -> Result<StepRecord, JobError> {
        self.progress.step += 1;
        self.progress.global_step += 1;
        for (path, reason) in &fed.skipped {
            self.skip(path, reason, log);
        }
        let images = fed.samples.len();
        for fed in &fed.samples {
            self.truncated += fed.sample.truncated;
            self.left_out += fed.sample.left_out;
        }
        self.micro_batches += 1;
        let is_last = self.progress.step == self.steps;
        let is_full = self
            .progress
            .step
            .is_multiple_of(self.config.accumulate_step);
        let rate = self.schedule.rate(self.progress.updates);
        let ends = is_full || is_last;
        let scale = self.loss_scale;
        let paths = paths(&fed.samples);
        let values = self.gradients(fed.samples, ends, stop, log)?;
        let norm = if ends {
            self.update(rate, &paths, log)?
        } else {
            None
        };
        let seconds = began.elapsed().as_secs_f64();
        self.progress.epoch_seconds += seconds;
        self.taken += 1;
        let weight = 1.0 / (self.taken as f64).min(SPEED_WINDOW);
        let mean = self.seconds_per_step.unwrap_or(seconds);
        self.seconds_per_step = Some(mean + (seconds - mean) * weight);
        Ok(StepRecord {
            epoch: self.progress.epoch,
            step: self.progress.step,
            global_step: self.progress.global_step,
            loss: values.total(),
            losses: values,
            lr: rate,
            grad_norm: norm,
            loss_scale: scale.is_dynamic().then(|| scale.factor()),
            images_per_second: images as f64 / seconds.max(1e-9),
            data_time: waited,
            step_time: seconds,
            memory_mib: resident_memory().unwrap_or(0) as f64 / f64::from(1 << 20),
        })
    }

    fn skip(&mut self, path: &str, reason: &str, log: &mut RunLog<'_>) {
        if !self.skipped.insert(path.to_owned()) {
            return;
        }
        log.warn(&format!("skipped {path}: {reason}"));
        self.progress.skipped_count += 1;
        self.told.record.skipped_count = self.progress.skipped_count;
        // The log has them all; the record is written every second.
        if self.progress.skipped.len() < SKIPPED_LISTED {
            let entry = (path.to_owned(), reason.to_owned());
            self.progress.skipped.push(entry.clone());
            self.told.record.skipped.push(entry);
        }
    }

    /// Losses of a batch; their gradients are added to what was gathered. With other ranks, and where the group of
    /// micro-batches `ends`, the sums over all ranks take its place.
    fn gradients(
        &mut self,
        samples: Vec<Sample>,
        ends: bool,
        stop: &AtomicBool,
        log: &mut RunLog<'_>,
    ) -> Result<LossValues, JobError> {
        if !ends || self.world.size() == 1 {
            return self.own_gradients(samples, log);
        }
        let sizes = self
            .set
            .trained()
            .map(|(name, var)| (name.to_owned(), var.elem_count()));
        let summing = self.world.begin_sum(sizes.collect(), &self.gathered)?;
        let Some(summing) = summing else {
            return Ok(LossValues::default());
        };
        let tapped = self.set.tapped(Arc::clone(&summing.tap));
        let detector = Detector::trainable(&tapped, &self.config, self.dialect)?;
        let found = self.forward(samples, &detector);
        // No rank begins to wait for one that has failed.
        if self.world.largest(u8::from(found.is_err()), stop)? > 0 {
            return Err(found
                .err()
                .unwrap_or_else(|| TrainJobError::OtherRank.into()));
        }
        let mut values = LossValues::default();
        if let Some((of_batch, scaled)) = found? {
            values = of_batch;
            let failed = |e: candle_core::Error| self.failed(e.into());
            scaled.backward().map_err(failed)?;
        }
        let sums = summing.finish(stop)?;
        for (name, var) in self.set.trained() {
            let Some(sum) = sums.get(name) else { continue };
            let tensor = sum
                .reshape(var.dims())
                .and_then(|sum| sum.to_device(var.device()));
            let tensor = tensor.map_err(|e| self.failed(e.into()))?;
            self.gathered.insert(name.to_owned(), tensor);
        }
        Ok(values)
    }

    /// Of this process alone. A batch that a card has no memory for is taken in halves from then on, each with its share of the
    /// whole, as ranks would take it.
    fn own_gradients(
        &mut self,
        samples: Vec<Sample>,
        log: &mut RunLog<'_>,
    ) -> Result<LossValues, JobError> {
        let detector = self.detector.clone();
        // Statistics of a batch that was given up would stay in the norms that learn; ranks would halve differently.
        let is_whole = !self.config.backbone.norm_eval || self.world.size() > 1;
        if self.device.is_cpu() || samples.len() < 2 || is_whole {
            let Some((values, scaled)) = self.forward(samples, &detector)? else {
                return Ok(LossValues::default());
            };
            self.backward(&scaled)?;
            return Ok(values);
        }
        let before = self.gathered.clone();
        loop {
            let most = self.progress.images_at_once.unwrap_or(samples.len());
            match self.parts(&samples, most.min(samples.len()), &detector) {
                Err(JobError::Train(error))
                    if most > 1 && matches!(*error, TrainJobError::NoMemory { .. }) =>
                {
                    self.gathered.clone_from(&before);
                    let half = most.min(samples.len()) / 2;
                    self.progress.images_at_once = Some(half);
                    log.warn(&format!(
                        "no memory on the device for a batch at once: its losses are taken of {half} images at a time from now on"
                    ));
                }
                other => return other,
            }
        }
    }

    /// Gathers the gradients of a batch, `most` images at a time.
    fn parts(
        &mut self,
        samples: &[Sample],
        most: usize,
        detector: &Detector,
    ) -> Result<LossValues, JobError> {
        let mut sum = LossValues::default();
        for part in samples.chunks(most) {
            let Some((values, scaled)) = self.forward(part.to_vec(), detector)? else {
                continue;
            };
            let share = part.len() as f64 / samples.len() as f64;
            let scaled = match part.len() == samples.len() {
                true => scaled,
                false => (scaled * share).map_err(|e| self.failed(e.into()))?,
            };
            self.backward(&scaled)?;
            sum.add(&values, share);
        }
        Ok(sum)
    }

    /// The losses of a batch and their scaled sum; none where no image of it could be read.
    fn forward(
        &self,
        samples: Vec<Sample>,
        detector: &Detector,
    ) -> Result<Option<(LossValues, Tensor)>, JobError> {
        if samples.is_empty() {
            return Ok(None);
        }
        let (epoch, step) = (self.progress.epoch, self.progress.step);
        let paths = paths(&samples);
        let not_finite = |loss: &str| TrainJobError::NotFinite {
            epoch,
            step,
            loss: loss.to_owned(),
            images: paths.clone(),
        };
        let failed = |source: TrainError| match source {
            TrainError::Model(error) => match *error {
                ModelError::Nan { stage } => not_finite(stage),
                other => self.failed(other.into()),
            },
            source => self.failed(source),
        };
        let batch = batch(samples, &self.upload).map_err(|e| failed(e.into()))?;
        let found = losses(detector, &self.config, &batch).map_err(failed)?;
        let values = values(&found).map_err(failed)?;
        if let Some((name, _)) = values.named().into_iter().find(|(_, v)| !v.is_finite()) {
            return Err(not_finite(name).into());
        }
        let scaled = found
            .total()
            .and_then(|total| Ok((total * self.loss_scale.factor())?))
            .map_err(failed)?;
        Ok(Some((values, scaled)))
    }

    /// Adds the gradients of a loss to what was gathered.
    fn backward(&mut self, scaled: &Tensor) -> Result<(), JobError> {
        let mut gradients = scaled.backward().map_err(|e| self.failed(e.into()))?;
        let mut gathered = std::mem::take(&mut self.gathered);
        for (name, var) in self.set.trained() {
            let Some(gradient) = gradients.remove(var.as_tensor()) else {
                continue;
            };
            // It may remember the graph that it came from.
            let gradient = gradient.detach();
            let sum = match gathered.remove(name) {
                Some(sum) => (sum + gradient).map_err(|e| self.failed(e.into()))?,
                None => gradient,
            };
            gathered.insert(name.to_owned(), sum);
        }
        self.gathered = gathered;
        Ok(())
    }

    /// Applies what was gathered, last from the images at `paths`; returns the norm of the gradient, none where it overflowed and
    /// was left out.
    fn update(
        &mut self,
        rate: f64,
        paths: &str,
        log: &mut RunLog<'_>,
    ) -> Result<Option<f64>, JobError> {
        let summed = (self.micro_batches * self.world.size()) as f64;
        let factor = 1.0 / (self.loss_scale.factor() * summed);
        let gradients = std::mem::take(&mut self.gathered);
        self.micro_batches = 0;
        let norm = self
            .optimizer
            .step(self.set.trained(), &gradients, Update { rate, factor })
            .map_err(|source| self.failed(source))?;
        self.progress.updates += 1;
        self.progress.applied = Some(self.optimizer.updates());
        let verdict = self.loss_scale.judge(norm);
        self.progress.loss_scale = self.loss_scale.is_dynamic().then_some(self.loss_scale);
        match verdict {
            Verdict::Keep => Ok(Some(norm)),
            Verdict::Skip => {
                let factor = self.loss_scale.factor();
                log.warn(&format!(
                    "gradients overflowed: the update is left out, the loss scale is {factor} from now on"
                ));
                Ok(None)
            }
            Verdict::Broken => Err(TrainJobError::Gradient {
                epoch: self.progress.epoch,
                step: self.progress.step,
                images: paths.to_owned(),
            }
            .into()),
        }
    }

    fn failed(&self, source: TrainError) -> TrainJobError {
        let (epoch, step) = (self.progress.epoch, self.progress.step);
        if is_out_of_memory(&source) {
            return TrainJobError::NoMemory { epoch, step };
        }
        TrainJobError::Step {
            epoch,
            step,
            source,
        }
    }

    /// Records, the line of the log, the periodic checkpoint.
    pub(super) fn after_step(
        &mut self,
        step: StepRecord,
        log: &mut RunLog<'_>,
    ) -> Result<(), JobError> {
        // Without a readable image there was no loss.
        if step.images_per_second > 0.0 {
            self.progress.line_loss.add(step.loss);
            self.progress.epoch_loss.add(step.loss);
        }
        self.metrics.add(&MetricsLine::Step(step.clone()))?;
        self.progress.metrics_bytes = self.metrics.bytes;
        self.tell_record();
        self.told.now_and_then();
        let is_due = step.step.is_multiple_of(self.config.save_every);
        if is_due {
            let loss = self.progress.line_loss.value().unwrap_or(0.0);
            let lr = self.schedule.printed(self.progress.updates);
            log.info(&format!(
                "epoch: {}, step: {}, loss: {loss:.6},  lr: {lr:.6}",
                step.epoch, step.step
            ));
            self.progress.line_loss = Mean::default();
        }
        self.save_due |= is_due;
        if self.save_due && self.micro_batches == 0 {
            self.save_due = false;
            self.save()?;
        }
        let done = self.progress.global_step;
        log.tell(TrainEvent::Step {
            step: &step,
            done: (done, self.steps * self.config.epoch_size),
            seconds_left: self.told.record.seconds_left,
        });
        Ok(())
    }

    fn tell_record(&mut self) {
        let left = (self.steps * self.config.epoch_size).saturating_sub(self.progress.global_step);
        let evals = if self.val.is_some() {
            let epochs = self.config.epoch_size + 1 - self.progress.epoch;
            epochs.div_ceil(self.config.eval_every)
        } else {
            0
        };
        let of_steps = self.seconds_per_step.map(|seconds| seconds * left as f64);
        let of_evals = self.seconds_per_eval.unwrap_or(0.0) * evals as f64;
        let record = &mut self.told.record;
        record.epoch = self.progress.epoch;
        record.step = self.progress.step;
        record.seconds_left = of_steps.map(|seconds| seconds + of_evals);
    }
}

/// The images of a step as one tensor, with their truths.
fn batch(samples: Vec<Sample>, upload: &Upload) -> candle_core::Result<Batch> {
    let (mut images, mut truths, mut draws) = (Vec::new(), Vec::new(), Vec::new());
    for fed in samples {
        images.push(upload.prepared(fed.sample.image)?);
        truths.push(fed.sample.truth);
        draws.push(fed.draw);
    }
    let transforms = images.iter().map(|image| image.transform).collect();
    Ok(Batch {
        images: upload.stacked(&images)?,
        transforms,
        truths,
        draws,
    })
}

fn values(losses: &Losses) -> Result<LossValues, TrainError> {
    let mut values = [0.0; 6];
    for (value, loss) in values.iter_mut().zip(losses.all()) {
        *value = f64::from(loss.to_scalar::<f32>()?);
    }
    let [rpn_cls, rpn_box, cls, bbox, mask, mask_iou] = values;
    Ok(LossValues {
        rpn_cls,
        rpn_box,
        cls,
        bbox,
        mask,
        mask_iou,
    })
}
