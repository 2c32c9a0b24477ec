//! Everything a run holds, made from its setup or from what was kept of it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use candle_core::Device;

use super::super::estimate::memory_mib;
use super::super::feed::Source;
use super::super::folder::{RunFolder, config_path};
use super::super::log::RunLog;
use super::super::measure::shown;
use super::super::order::{Order, subset};
use super::super::prepare::absolute;
use super::super::records::{RunRecord, RunState};
use super::super::runs;
use super::super::saved::{Progress, SavedRun, newest};
use super::super::setup::Setup;
use super::super::told::{Metrics, Told, now};
use super::super::world::World;
use super::super::{TrainJobError, TrainRequest};
use super::Session;
use crate::alloc::KeepMore;
use crate::coco::dataset::Dataset;
use crate::coco::write_whole;
use crate::config::Config;
use crate::jobs::upload::Upload;
use crate::jobs::{JobError, device};
use crate::model::{Detector, ParameterSet};
use crate::structures::{Precision, shell};
use crate::train::{LossScale, Optimizer, Schedule};

impl<'w> Session<'w> {
    pub(super) fn begin(
        world: &'w World,
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
            ..
        } = setup;
        let order = Order {
            seed: config.seed,
            images: subset(
                train.images().len(),
                config.train_dataset_num,
                config.train_dataset_divider,
            ),
            batch: config.batch_size,
            rank: world.rank(),
            ranks: world.size(),
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
        let saved = match &request.resume {
            Some(path) => Some(resume(path, &config, &device, log)?),
            None => None,
        };
        let mut optimizer = Optimizer::new(&config);
        let mut has_moved = false;
        let (set, progress, resumed) = match saved {
            Some(SavedRun {
                weights,
                optimizer: state,
                mut progress,
                dialect: of_run,
                path,
                ..
            }) => {
                optimizer.restore(state, progress.applied.unwrap_or(progress.updates));
                dialect = of_run;
                let old = progress.steps_per_epoch;
                progress.fit_to(steps, config.accumulate_step);
                has_moved = old != 0 && old != steps;
                if has_moved {
                    log.warn(&format!(
                        "an epoch has {steps} steps now, not {old}: the run goes on with step {} of epoch {}, \
                         and its losses are not those it would have had",
                        progress.step, progress.epoch
                    ));
                }
                let set = ParameterSet::new(&config, &weights, &device)?;
                (set, progress, Some(path))
            }
            None => {
                let progress = Progress {
                    epoch: 1,
                    steps_per_epoch: steps,
                    ..Progress::default()
                };
                let set = ParameterSet::new(&config, &start.weights, &device)?;
                (set, progress, None)
            }
        };
        device::prepare(&device);
        let device_name = device::describe(&device);
        log.info(&format!("Number of parameters: {}", set.value_count()));
        log.info(&format!("Device type: {device_name}"));
        log.info("Creating criterion, lr and opt objects...");
        let (precision, note) = device::precision(config.precision, &device);
        if let Some(note) = note {
            log.warn(&note);
        }
        device::set_precision(precision);
        let set = set.in_precision(precision);
        let detector = Detector::trainable(&set, &config, dialect)?;
        // bfloat16 has the range of float32, in which nothing overflows that would not otherwise.
        let loss_scale = match progress.loss_scale {
            Some(kept) => kept,
            None if precision == Precision::Float16 => LossScale::dynamic(config.loss_scale),
            None => LossScale::fixed(config.loss_scale),
        };
        let schedule = Schedule::new(&config, steps.div_ceil(config.accumulate_step));
        let mut record = record(
            &config,
            request,
            &start.checkpoint,
            val.as_ref(),
            &device_name,
            steps,
        );
        if let Some(before) = (request.resume.as_deref()).and_then(|run| runs::record(run).ok()) {
            // It is still the run that this command began.
            (record.command, record.started) = (before.command, before.started);
        }
        let source = Source {
            dataset: train,
            labels,
            order,
            config: config.clone(),
            dialect,
        };
        let bytes = memory_mib(&config) * f64::from(1 << 20);
        let memory = KeepMore::up_to(bytes as usize);
        let metrics = if world.leads() {
            Metrics::open(&folder.path, progress.metrics_bytes)?
        } else {
            Metrics::silent()
        };
        let mut session = Self {
            told: Told::new(world.leads().then_some(folder.path.as_path()), record),
            world,
            metrics,
            classes,
            dialect,
            folder,
            upload: Upload::new(&device),
            device,
            device_name,
            source: Arc::new(source),
            val,
            set,
            detector,
            optimizer,
            schedule,
            loss_scale,
            steps,
            skipped: progress
                .skipped
                .iter()
                .map(|(path, _)| path.clone())
                .collect(),
            truncated: 0,
            left_out: 0,
            progress,
            config,
            gathered: BTreeMap::new(),
            micro_batches: 0,
            taken: 0,
            saved_at: None,
            save_due: false,
            has_moved,
            seconds_per_step: None,
            seconds_per_eval: None,
            _memory: memory,
        };
        if world.leads() {
            session.keep_inputs(request)?;
        }
        session.told.record.best = session.progress.best.last().cloned();
        let record = &mut session.told.record;
        record.skipped.clone_from(&session.progress.skipped);
        record.skipped_count = session.progress.skipped_count;
        record.last_checkpoint = resumed.map(|path| session.folder.relative(&path));
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
        let command = shell::line(request.command.iter().map(String::as_str));
        for (name, new) in [
            ("cmd.txt", format!("{command}\n")),
            ("args.txt", format!("{request:#?}\n")),
        ] {
            // The command that began the run comes first, then those that resumed it.
            let before = match &request.resume {
                Some(run) => std::fs::read_to_string(run.join(name)).unwrap_or_default(),
                None => String::new(),
            };
            write(name, before + &new)?;
        }
        Ok(())
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

fn check_images(train: &Dataset, order: &Order) -> Result<(), TrainJobError> {
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
        start_checkpoint: start
            .as_ref()
            .map(|path| absolute(path).display().to_string()),
        train_data: absolute(Path::new(&config.train_dataset))
            .display()
            .to_string(),
        val_data: shown(val),
        skipped: Vec::new(),
        skipped_count: 0,
    }
}
