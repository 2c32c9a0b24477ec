//! A run from its first step to its last.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use candle_core::{Device, Tensor};

use super::feed::{Fed, Feed, Source};
use super::folder::{RunFolder, config_path};
use super::log::{self, RunLog};
use super::measure::{measure, shown};
use super::order::{Order, subset};
use super::records::{
    BestCheckpoint, EvalRecord, LossValues, MetricsLine, RunRecord, RunState, StepRecord,
};
use super::saved::{Identity, Mean, Progress, SavedRun, newest, save_run};
use super::setup::Setup;
use super::told::{Metrics, Told, now};
use super::{TrainEvent, TrainJobError, TrainRequest, Trained};
use crate::coco::write_whole;
use crate::config::Config;
use crate::jobs::model::stack;
use crate::jobs::{JobError, device, resident_memory};
use crate::model::{Detector, ModelError, ParameterSet};
use crate::structures::ClassTable;
use crate::train::{Batch, Losses, Optimizer, Schedule, TrainError, Update, losses};
use crate::weights::TrainingProgress;

/// Steps that the speed is averaged over.
const SPEED_WINDOW: f64 = 50.0;

/// Trains what `setup` describes.
pub(super) fn run(
    setup: Setup,
    request: &TrainRequest,
    stop: &AtomicBool,
    report: &mut (dyn FnMut(TrainEvent<'_>) + Send),
) -> Result<Trained, JobError> {
    let device = device::choose(&request.device)?;
    let (folder, was_there) = match &setup.resumed {
        Some(path) => (RunFolder::lock(path)?, false),
        None => RunFolder::create(Path::new(&setup.config.train_outputs), &setup.config.brief)?,
    };
    if let Some(file) = &request.run_record {
        let line = format!("{}\n", folder.path.display());
        write_whole(file, |out| out.write_all(line.as_bytes()))?;
    }
    let log_path = log::path(&folder.path, None);
    let mut log = RunLog::new(Some(&log_path), report)?;
    let mut session = Session::begin(setup, request, folder, device, &mut log)?;
    if was_there {
        let best = session.folder.path.join("best_ckpt");
        log.warn(&format!("Directory already exists: {}", best.display()));
    }
    let ended = session.train(stop, &mut log);
    session.end(ended, &mut log)
}

/// Everything a run holds.
struct Session {
    config: Config,
    classes: ClassTable,
    dialect: crate::config::Dialect,
    folder: RunFolder,
    device: Device,
    device_name: String,
    source: Arc<Source>,
    val: Option<PathBuf>,
    set: ParameterSet,
    detector: Detector,
    optimizer: Optimizer,
    schedule: Schedule,
    /// Data steps of an epoch.
    steps: usize,
    progress: Progress,
    metrics: Metrics,
    told: Told,
    /// Gradients of the micro-batches since the last update, summed, and how many.
    gathered: BTreeMap<String, Tensor>,
    micro_batches: usize,
    seconds_per_step: Option<f64>,
    seconds_per_eval: Option<f64>,
}

/// How the steps ended.
enum Ended {
    Finished,
    Stopped,
}

impl Session {
    fn begin(
        setup: Setup,
        request: &TrainRequest,
        folder: RunFolder,
        device: Device,
        log: &mut RunLog<'_>,
    ) -> Result<Self, JobError> {
        let Setup {
            config,
            mut dialect,
            classes,
            train,
            labels,
            val,
            start,
            notes,
            resumed,
        } = setup;
        let order = Order {
            seed: config.seed,
            images: subset(
                train.images().len(),
                config.train_dataset_num,
                config.train_dataset_divider,
            ),
            batch: config.batch_size,
            rank: 0,
            ranks: 1,
        };
        check_images(&train, &order)?;
        let steps = order.steps();
        for note in notes {
            log.warn(&note);
        }
        log.info(&format!("Train dataset size: {steps}"));
        log.info("Creating network...");
        match (&start.checkpoint, &start.backbone) {
            (Some(path), _) => log.info(&format!("Loading from checkpoint: {}", path.display())),
            (None, Some(_)) => log.info("Load backbone weights..."),
            (None, None) => log.info("Backbone weights were not loaded."),
        }
        let saved = match &resumed {
            Some(path) => Some(resume(path, &config, &device, log)?),
            None => None,
        };
        let mut optimizer = Optimizer::new(&config);
        let (set, progress) = match saved {
            Some(SavedRun {
                weights,
                optimizer: state,
                progress,
                dialect: of_run,
                ..
            }) => {
                optimizer.restore(state, progress.updates);
                dialect = of_run;
                (ParameterSet::new(&config, &weights, &device)?, progress)
            }
            None => {
                let progress = Progress {
                    epoch: 1,
                    ..Progress::default()
                };
                (
                    ParameterSet::new(&config, &start.weights, &device)?,
                    progress,
                )
            }
        };
        let device_name = device::describe(&device);
        log.info(&format!("Number of parameters: {}", set.value_count()));
        log.info(&format!("Device type: {device_name}"));
        log.info("Creating criterion, lr and opt objects...");
        let detector = Detector::trainable(&set, &config, dialect)?;
        let schedule = Schedule::new(&config, steps.div_ceil(config.accumulate_step));
        let record = record(
            &config,
            request,
            &start.checkpoint,
            val.as_ref(),
            &device_name,
            steps,
        );
        let source = Source {
            dataset: train,
            labels,
            order,
            config: config.clone(),
            dialect,
        };
        let metrics = Metrics::open(&folder.path, progress.metrics_bytes)?;
        let mut session = Self {
            told: Told::new(&folder.path, record),
            metrics,
            classes,
            dialect,
            folder,
            device,
            device_name,
            source: Arc::new(source),
            val,
            set,
            detector,
            optimizer,
            schedule,
            steps,
            progress,
            config,
            gathered: BTreeMap::new(),
            micro_batches: 0,
            seconds_per_step: None,
            seconds_per_eval: None,
        };
        session.keep_inputs(request)?;
        session.told.record.best = session.progress.best.last().cloned();
        session
            .told
            .record
            .skipped
            .clone_from(&session.progress.skipped);
        session.told.state(RunState::Starting)?;
        log.info("    Done!\n");
        Ok(session)
    }

    /// The configuration and the command, for people and for resuming.
    fn keep_inputs(&self, request: &TrainRequest) -> Result<(), JobError> {
        let write = |name: &str, text: String| {
            write_whole(&self.folder.path.join(name), |out| {
                out.write_all(text.as_bytes())
            })
        };
        write_whole(&config_path(&self.folder.path), |out| {
            out.write_all(self.config.to_yaml().as_bytes())
        })?;
        write("cmd.txt", format!("{}\n", request.command.join(" ")))?;
        write("args.txt", format!("{request:#?}\n"))?;
        Ok(())
    }

    fn train(&mut self, stop: &AtomicBool, log: &mut RunLog<'_>) -> Result<Ended, JobError> {
        let done = (self.progress.epoch - 1) * self.steps + self.progress.step;
        let end = self.config.epoch_size * self.steps;
        let mut feed = Feed::start(Arc::clone(&self.source), done, end).map_err(|source| {
            TrainJobError::Write {
                path: "a thread".into(),
                source,
            }
        })?;
        loop {
            if self.progress.step == self.steps {
                if let Ended::Stopped = self.end_epoch(stop, log)? {
                    return Ok(Ended::Stopped);
                }
                if self.progress.epoch >= self.config.epoch_size {
                    return Ok(Ended::Finished);
                }
                self.progress.epoch += 1;
                self.progress.step = 0;
                self.progress.epoch_loss = Mean::default();
                self.progress.epoch_seconds = 0.0;
                self.progress.is_evaluated = false;
            }
            self.told.record.state = RunState::Running;
            let began = Instant::now();
            let Some(fed) = feed.next() else {
                return Ok(Ended::Stopped);
            };
            let waited = began.elapsed().as_secs_f64();
            let step = self.step(fed, waited, began, log)?;
            self.after_step(step, log)?;
            let asked = stop.load(Ordering::Relaxed) || self.folder.stop_asked();
            if asked && self.micro_batches == 0 {
                return Ok(Ended::Stopped);
            }
        }
    }

    /// One data step; an update where it ends a group of micro-batches.
    fn step(
        &mut self,
        fed: Fed,
        waited: f64,
        began: Instant,
        log: &mut RunLog<'_>,
    ) -> Result<StepRecord, JobError> {
        self.progress.step += 1;
        self.progress.global_step += 1;
        for (path, reason) in &fed.skipped {
            self.skip(path, reason, log);
        }
        let images = fed.samples.len();
        let mut values = LossValues::default();
        if images > 0 {
            values = self.backward(fed)?;
            self.micro_batches += 1;
        }
        let rate = self.schedule.rate(self.progress.updates);
        let is_last = self.progress.step == self.steps;
        let is_full = self
            .progress
            .step
            .is_multiple_of(self.config.accumulate_step);
        let norm = if (is_full || is_last) && self.micro_batches > 0 {
            Some(self.update(rate)?)
        } else {
            None
        };
        let seconds = began.elapsed().as_secs_f64();
        self.progress.epoch_seconds += seconds;
        let weight = 1.0 / (self.told_steps() + 1.0).min(SPEED_WINDOW);
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
            images_per_second: images as f64 / seconds.max(1e-9),
            data_time: waited,
            step_time: seconds,
            memory_mib: resident_memory().unwrap_or(0) as f64 / f64::from(1 << 20),
        })
    }

    /// Steps that this process has taken.
    fn told_steps(&self) -> f64 {
        self.progress.line_loss.count() as f64
    }

    fn skip(&mut self, path: &str, reason: &str, log: &mut RunLog<'_>) {
        let known = self.progress.skipped.iter().any(|(seen, _)| seen == path);
        if !known {
            log.warn(&format!("skipped {path}: {reason}"));
            self.progress
                .skipped
                .push((path.to_owned(), reason.to_owned()));
            self.told.record.skipped.clone_from(&self.progress.skipped);
        }
    }

    /// Losses of a batch; their gradients are added to what was gathered.
    fn backward(&mut self, fed: Fed) -> Result<LossValues, JobError> {
        let (epoch, step) = (self.progress.epoch, self.progress.step);
        let paths: Vec<String> = fed
            .samples
            .iter()
            .map(|sample| sample.path.display().to_string())
            .collect();
        let not_finite = |loss: &str| TrainJobError::NotFinite {
            epoch,
            step,
            loss: loss.to_owned(),
            images: paths.join(", "),
        };
        let failed = |source: TrainError| match source {
            TrainError::Model(ModelError::Nan { stage }) => not_finite(stage),
            source => TrainJobError::Step {
                epoch,
                step,
                source,
            },
        };
        let batch = batch(fed, &self.device).map_err(|e| failed(e.into()))?;
        let found = losses(&self.detector, &self.config, &batch).map_err(failed)?;
        let values = values(&found).map_err(failed)?;
        if let Some((name, _)) = values.named().into_iter().find(|(_, v)| !v.is_finite()) {
            return Err(not_finite(name).into());
        }
        let scaled = found
            .total()
            .and_then(|total| Ok((total * self.config.loss_scale)?))
            .map_err(failed)?;
        drop(found);
        let mut gradients = scaled.backward().map_err(|e| failed(e.into()))?;
        for (name, var) in self.set.trained() {
            let Some(gradient) = gradients.remove(var.as_tensor()) else {
                continue;
            };
            let sum = match self.gathered.remove(name) {
                Some(sum) => (sum + gradient).map_err(|e| failed(e.into()))?,
                None => gradient,
            };
            self.gathered.insert(name.to_owned(), sum);
        }
        Ok(values)
    }

    /// Applies what was gathered; returns the norm of the gradient.
    fn update(&mut self, rate: f64) -> Result<f64, JobError> {
        let factor = 1.0 / (self.config.loss_scale * self.micro_batches as f64);
        let gradients = std::mem::take(&mut self.gathered);
        self.micro_batches = 0;
        let norm = self
            .optimizer
            .step(self.set.trained(), &gradients, Update { rate, factor })
            .map_err(|source| self.failed(source))?;
        self.progress.updates += 1;
        if !norm.is_finite() {
            return Err(self.failed(TrainError::Gradient).into());
        }
        Ok(norm)
    }

    fn failed(&self, source: TrainError) -> TrainJobError {
        TrainJobError::Step {
            epoch: self.progress.epoch,
            step: self.progress.step,
            source,
        }
    }

    /// Records, the line of the log, the periodic checkpoint.
    fn after_step(&mut self, step: StepRecord, log: &mut RunLog<'_>) -> Result<(), JobError> {
        self.progress.line_loss.add(step.loss);
        self.progress.epoch_loss.add(step.loss);
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
        if is_due && self.micro_batches == 0 {
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

    /// A checkpoint that can be resumed from; older ones go.
    fn save(&mut self) -> Result<(), JobError> {
        let path = self
            .folder
            .checkpoint(0, self.progress.epoch, self.progress.step);
        save_run(
            &path,
            &self.identity(),
            &self.set,
            &self.optimizer,
            &self.progress,
        )?;
        self.folder.retain_periodic(self.config.keep_checkpoint_max);
        self.told.record.last_checkpoint = Some(self.folder.relative(&path));
        Ok(())
    }

    fn identity(&self) -> Identity<'_> {
        Identity {
            config: &self.config,
            classes: &self.classes,
            dialect: self.dialect,
        }
    }

    /// Checkpoint, evaluation and the lines of an epoch that is over.
    fn end_epoch(&mut self, stop: &AtomicBool, log: &mut RunLog<'_>) -> Result<Ended, JobError> {
        self.save()?;
        let is_due = self.progress.epoch.is_multiple_of(self.config.eval_every)
            || self.progress.epoch == self.config.epoch_size;
        if let Some(val) = self
            .val
            .clone()
            .filter(|_| is_due && !self.progress.is_evaluated)
        {
            match self.evaluate(&val, stop, log) {
                Err(JobError::Interrupted) => return Ok(Ended::Stopped),
                other => other?,
            }
        }
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
        let device = match &self.device {
            Device::Cpu => "cpu",
            _ => "auto",
        };
        let told = &mut self.told;
        let mut progress = |done: usize, total: usize| {
            told.record.evaluated = Some((done, total));
            told.now_and_then();
            log.tell(TrainEvent::Evaluated(done, total));
        };
        let found = measure(&checkpoint, val, device, stop, &mut progress)?;
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

    /// The last checkpoint and the last word.
    fn end(
        mut self,
        ended: Result<Ended, JobError>,
        log: &mut RunLog<'_>,
    ) -> Result<Trained, JobError> {
        let ended = ended.and_then(|ended| {
            if matches!(ended, Ended::Stopped) && self.micro_batches == 0 && self.progress.step > 0
            {
                self.save()?;
            }
            Ok(ended)
        });
        self.told.record.seconds_left = None;
        match &ended {
            Ok(Ended::Finished) => {
                log.info(&format!("Done! {}", self.device_name));
                self.told.state(RunState::Finished)?;
            }
            Ok(Ended::Stopped) => {
                log.info("Stopped: the step is finished and kept; --resume goes on from it");
                self.told.state(RunState::Stopped)?;
            }
            Err(error) => {
                log.error(&error.to_string());
                self.told.record.message = Some(error.to_string());
                // The error itself is what matters.
                let _ = self.told.state(RunState::Failed);
            }
        }
        let finished = matches!(ended?, Ended::Finished);
        Ok(Trained {
            folder: self.folder.path.clone(),
            finished,
            record: self.told.record,
        })
    }
}

/// The kept run, with what was passed over told.
fn resume(
    folder: &Path,
    config: &Config,
    device: &Device,
    log: &mut RunLog<'_>,
) -> Result<SavedRun, JobError> {
    match newest(folder, config, device) {
        Ok(saved) => {
            for reason in &saved.passed_over {
                log.warn(&format!("passed over {reason}"));
            }
            log.info(&format!(
                "Resuming after epoch: {}, step: {}",
                saved.progress.epoch, saved.progress.step
            ));
            Ok(saved)
        }
        Err(reasons) => Err(TrainJobError::NothingToResume {
            path: folder.to_owned(),
            hint: reasons
                .first()
                .map(|first| format!(": {first}"))
                .unwrap_or_default(),
        }
        .into()),
    }
}

fn check_images(train: &crate::coco::dataset::Dataset, order: &Order) -> Result<(), TrainJobError> {
    let path = train.json().to_owned();
    if order.images.is_empty() || train.missing() == train.images().len() {
        let hint = match train.images().len() {
            0 => String::new(),
            count => format!(
                ": of {count} images none is there in {}",
                train.folder().display()
            ),
        };
        return Err(TrainJobError::EmptySet { path, hint });
    }
    if order.steps() == 0 {
        return Err(TrainJobError::TooFew {
            path,
            images: order.images.len(),
            ranks: order.ranks,
            batch: order.batch,
        });
    }
    Ok(())
}

fn record(
    config: &Config,
    request: &TrainRequest,
    start: &Option<PathBuf>,
    val: Option<&PathBuf>,
    device: &str,
    steps: usize,
) -> RunRecord {
    RunRecord {
        version: 1,
        state: RunState::Starting,
        pid: std::process::id(),
        host: gethostname::gethostname().to_string_lossy().into_owned(),
        command: request.command.clone(),
        started: now(),
        updated: now(),
        epoch: 0,
        epochs: config.epoch_size,
        step: 0,
        steps_per_epoch: steps,
        evaluated: None,
        seconds_left: None,
        device: device.to_owned(),
        message: None,
        best: None,
        last_checkpoint: None,
        start_checkpoint: start.as_ref().map(|path| path.display().to_string()),
        train_data: config.train_dataset.clone(),
        val_data: shown(val),
        skipped: Vec::new(),
    }
}

/// The images of a step as one tensor, with their truths.
fn batch(fed: Fed, device: &Device) -> candle_core::Result<Batch> {
    let (mut images, mut truths, mut draws) = (Vec::new(), Vec::new(), Vec::new());
    for fed in fed.samples {
        images.push(fed.sample.image);
        truths.push(fed.sample.truth);
        draws.push(fed.draw);
    }
    let transforms = images.iter().map(|image| image.transform).collect();
    Ok(Batch {
        images: stack(images, device)?,
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

/// A float as Python prints it.
fn python(value: f64) -> String {
    if value == value.trunc() && value.abs() < 1e16 {
        format!("{value:.1}")
    } else {
        value.to_string()
    }
}
