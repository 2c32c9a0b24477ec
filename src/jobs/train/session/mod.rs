//! A run from its first step to its last.

mod begin;
mod epoch;
mod step;

use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use candle_core::{Device, Tensor};

use super::feed::{Feed, Source};
use super::folder::RunFolder;
use super::log::{self, RunLog};
use super::prepare::absolute;
use super::records::RunState;
use super::saved::{Identity, Mean, Progress, save_run};
use super::setup::Setup;
use super::told::{Metrics, Told};
use super::world::World;
use super::{TrainEvent, TrainJobError, TrainRequest, Trained};
use crate::alloc::KeepMore;
use crate::coco::write_whole;
use crate::config::{Config, Dialect};
use crate::jobs::upload::Upload;
use crate::jobs::{JobError, device, peak_memory};
use crate::model::{Detector, ModelError, ParameterSet};
use crate::structures::ClassTable;
use crate::train::{LossScale, Optimizer, Schedule};

/// Trains what `setup` describes.
pub(super) fn run(
    world: &World,
    setup: Setup,
    request: &TrainRequest,
    folder: RunFolder,
    was_there: bool,
    stop: &AtomicBool,
    report: &mut (dyn FnMut(TrainEvent<'_>) + Send),
) -> Result<Trained, JobError> {
    let asked = device::asked(&request.device, &setup.config, world.size());
    let device = device::choose_for(&asked, world.local_rank(), world.size())?;
    let rank = (!world.leads()).then(|| world.rank());
    let log_path = log::path(&folder.path, rank);
    let mut log = RunLog::new(Some(&log_path), report)?;
    if let Some(note) = world.use_cards(&device, stop)? {
        log.warn(&note);
    }
    let path = folder.path.clone();
    let begun = Session::begin(world, setup, request, folder, device, &mut log);
    let mut session = match begun {
        Ok(session) => session,
        Err(error) => {
            if world.leads() && !was_there && request.resume.is_none() {
                // Nothing was trained in it; what cannot be removed does no harm.
                let _ = std::fs::remove_dir_all(&path);
            }
            return Err(error);
        }
    };
    // Only now: until there is a run, a front end that waits for its folder hears of errors from the process itself.
    if let Some(file) = &request.run_record {
        let line = format!("{}\n", absolute(&path).display());
        write_whole(file, |out| out.write_all(line.as_bytes()))?;
    }
    session.share_weights(stop)?;
    // Only when every rank has read what it goes on from.
    if session.has_moved && world.largest(0, stop)? == 0 {
        session.save()?;
        session.told.state(RunState::Starting)?;
    }
    if was_there {
        let best = session.folder.path.join("best_ckpt");
        log.warn(&format!("Directory already exists: {}", best.display()));
    }
    let ended = session.train(stop, &mut log);
    session.end(ended, &mut log)
}

/// What a few steps took.
pub(super) struct Trial {
    pub seconds_per_step: f64,
    pub memory_mib: f64,
}

/// Takes a few steps in `folder` and times them; nothing of it is to be kept.
pub(super) fn trial(
    setup: Setup,
    request: &TrainRequest,
    folder: RunFolder,
    device: Device,
    stop: &AtomicBool,
) -> Result<Trial, JobError> {
    const STEPS: usize = 6;
    /// No further step begins after so long.
    const PATIENCE: Duration = Duration::from_secs(20);
    let mut silent = |_: TrainEvent<'_>| {};
    let mut log = RunLog::new(None, &mut silent)?;
    let (world, began) = (World::alone(), Instant::now());
    let mut session = Session::begin(&world, setup, request, folder, device, &mut log)?;
    let end = STEPS.min(session.steps * session.config.epoch_size);
    let mut feed = Feed::start(
        Arc::clone(&session.source),
        0,
        end,
        !session.device.is_cpu(),
    )
    .map_err(|source| TrainJobError::Thread { source })?;
    let mut seconds = Vec::new();
    while seconds.len() < end && (seconds.len() < 2 || began.elapsed() < PATIENCE) {
        if stop.load(Ordering::Relaxed) {
            return Err(JobError::Interrupted);
        }
        let fed = feed.next().ok_or(TrainJobError::Feed)?;
        let step = session.step(fed, 0.0, Instant::now(), stop, &mut log)?;
        seconds.push(step.step_time);
    }
    // The first one makes what later ones find.
    let counted = &seconds[usize::from(seconds.len() > 1)..];
    Ok(Trial {
        seconds_per_step: counted.iter().sum::<f64>() / counted.len().max(1) as f64,
        memory_mib: peak_memory().unwrap_or(0) as f64 / f64::from(1 << 20),
    })
}

/// Everything a run holds.
struct Session<'w> {
    world: &'w World,
    config: Config,
    classes: ClassTable,
    dialect: Dialect,
    folder: RunFolder,
    device: Device,
    upload: Upload,
    device_name: String,
    source: Arc<Source>,
    val: Option<PathBuf>,
    set: ParameterSet,
    detector: Detector,
    optimizer: Optimizer,
    schedule: Schedule,
    loss_scale: LossScale,
    /// Data steps of an epoch.
    steps: usize,
    progress: Progress,
    /// Paths of all images that could not be read.
    skipped: HashSet<String>,
    /// Annotations that were not trained on in this epoch, as far as this process saw it.
    truncated: usize,
    left_out: usize,
    metrics: Metrics,
    told: Told,
    /// Gradients of the micro-batches since the last update, summed, and how many.
    gathered: BTreeMap<String, Tensor>,
    micro_batches: usize,
    /// Steps that this process took.
    taken: usize,
    /// Where the newest checkpoint stands: epoch, step, whether evaluated.
    saved_at: Option<(usize, usize, bool)>,
    /// A periodic checkpoint waits for the end of a group of micro-batches.
    save_due: bool,
    /// The run was resumed in epochs of another length: checkpoints may lie there whose names come after those to come.
    has_moved: bool,
    seconds_per_step: Option<f64>,
    seconds_per_eval: Option<f64>,
    /// One step's memory waits for the next step.
    _memory: KeepMore,
}

/// How the steps ended.
enum Ended {
    Finished,
    Stopped,
}

impl Session<'_> {
    fn train(&mut self, stop: &AtomicBool, log: &mut RunLog<'_>) -> Result<Ended, JobError> {
        let done = (self.progress.epoch - 1) * self.steps + self.progress.step;
        let end = self.config.epoch_size * self.steps;
        if self.progress.epoch > self.config.epoch_size {
            log.warn(&format!(
                "the run is in epoch {} and epoch_size is {}: nothing is left to train",
                self.progress.epoch, self.config.epoch_size
            ));
            return Ok(Ended::Finished);
        }
        let mut feed = Feed::start(Arc::clone(&self.source), done, end, !self.device.is_cpu())
            .map_err(|source| TrainJobError::Thread { source })?;
        loop {
            if self.progress.step >= self.steps {
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
            let fed = feed.next().ok_or(TrainJobError::Feed)?;
            let waited = began.elapsed().as_secs_f64();
            let step = self.step(fed, waited, began, stop, log)?;
            self.after_step(step, log)?;
            if self.micro_batches == 0 && self.is_stop_agreed(stop)? {
                return Ok(Ended::Stopped);
            }
        }
    }

    /// Whether any of the processes is asked to stop.
    fn is_stop_agreed(&self, stop: &AtomicBool) -> Result<bool, TrainJobError> {
        let asked = self.world.leads() && self.folder.stop_asked();
        let own = asked || stop.load(Ordering::Relaxed);
        Ok(self.world.largest(u8::from(own), stop)? > 0)
    }

    /// Every rank begins with the values of the first.
    fn share_weights(&self, stop: &AtomicBool) -> Result<(), JobError> {
        if self.world.size() == 1 {
            return Ok(());
        }
        let failed = |error: candle_core::Error| JobError::from(ModelError::from(error));
        for (_, var) in self.set.trained() {
            let flat = var.flatten_all().map_err(failed)?;
            let mut values = flat.to_vec1::<f32>().map_err(failed)?;
            self.world.share(&mut values, stop)?;
            Tensor::from_vec(values, var.dims(), var.device())
                .and_then(|shared| var.set(&shared))
                .map_err(failed)?;
        }
        Ok(())
    }

    /// A checkpoint that can be resumed from; older ones go.
    fn save(&mut self) -> Result<(), JobError> {
        if !self.world.leads() {
            return Ok(());
        }
        let Progress {
            epoch,
            step,
            is_evaluated,
            ..
        } = self.progress;
        if self.saved_at == Some((epoch, step, is_evaluated)) {
            return Ok(());
        }
        let path = self
            .folder
            .checkpoint(0, self.progress.epoch, self.progress.step);
        self.metrics.sync()?;
        save_run(
            &path,
            &self.identity(),
            &self.set,
            &self.optimizer,
            &self.progress,
        )?;
        if self.has_moved {
            self.folder.forget_after(epoch, step);
            self.has_moved = false;
        }
        self.folder.retain_periodic(self.config.keep_checkpoint_max);
        self.told.record.last_checkpoint = Some(self.folder.relative(&path));
        self.saved_at = Some((epoch, step, is_evaluated));
        Ok(())
    }

    fn identity(&self) -> Identity<'_> {
        Identity {
            config: &self.config,
            classes: &self.classes,
            dialect: self.dialect,
        }
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
