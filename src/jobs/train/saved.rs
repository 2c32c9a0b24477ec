//! Keeping a run: a checkpoint anyone can open, and beside it what resuming needs.
//!
//! The state is written first: a checkpoint whose state is not there whole is not resumed from, but the one before it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use candle_core::{Device, Tensor};
use serde::{Deserialize, Serialize};

use super::folder::{Periodic, periodic, state_path};
use super::records::BestCheckpoint;
use crate::config::{Config, Dialect};
use crate::jobs::JobError;
use crate::model::ParameterSet;
use crate::structures::ClassTable;
use crate::train::{LossScale, Optimizer};
use crate::weights::{
    CheckpointMetadata, IouHead, LoadOptions, StoredType, TrainingProgress, Weights, WeightsError,
    load, load_tensors, save, save_tensors,
};

/// Key of `Progress` among the strings of a state file.
const PROGRESS: &str = "progress";

/// A sum and how many went into it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Mean {
    sum: f64,
    count: usize,
}

impl Mean {
    pub fn add(&mut self, value: f64) {
        self.sum += value;
        self.count += 1;
    }

    pub fn value(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum / self.count as f64)
    }
}

/// How far a run is: everything that the next step depends on besides tensors.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Progress {
    /// 1-based.
    pub epoch: usize,
    /// Data steps done in it.
    pub step: usize,
    /// Data steps done in the run.
    pub global_step: usize,
    /// Updates done in the run, those that were left out too: what the schedule counts.
    pub updates: usize,
    /// Updates that changed weights: what Adam counts. None in runs of older builds.
    #[serde(default)]
    pub applied: Option<usize>,
    /// Losses since the last line of the log.
    pub line_loss: Mean,
    /// Losses of the epoch.
    pub epoch_loss: Mean,
    /// Improvements that are kept, oldest first.
    pub best: Vec<BestCheckpoint>,
    /// Length of `metrics.jsonl`.
    pub metrics_bytes: u64,
    /// Images that could not be read: path and reason.
    pub skipped: Vec<(String, String)>,
    /// How many there were, those beyond the list included.
    #[serde(default)]
    pub skipped_count: usize,
    /// Data steps of an epoch; 0 in runs of older builds.
    #[serde(default)]
    pub steps_per_epoch: usize,
    /// What losses are multiplied with, where it follows the gradients.
    #[serde(default)]
    pub loss_scale: Option<LossScale>,
    /// Images that a batch is taken in, once the device had no memory for more.
    #[serde(default)]
    pub images_at_once: Option<usize>,
    /// Seconds of the epoch so far.
    pub epoch_seconds: f64,
    /// Whether the epoch's evaluation is done.
    pub is_evaluated: bool,
}

impl Progress {
    /// The same place in a run whose epochs have another number of steps now, because the set or the number of processes
    /// changed. Whole updates only.
    pub fn fit_to(&mut self, steps: usize, accumulate: usize) {
        let old = std::mem::replace(&mut self.steps_per_epoch, steps);
        if old == steps || old == 0 {
            return;
        }
        self.step = match self.step.min(old) {
            step if step == old => steps,
            step => step * steps / old / accumulate * accumulate,
        };
        let before = self.epoch.saturating_sub(1);
        self.global_step = before * steps + self.step;
        self.updates = before * steps.div_ceil(accumulate) + self.step.div_ceil(accumulate);
    }
}

/// What every checkpoint of a run says about itself.
pub(super) struct Identity<'a> {
    pub config: &'a Config,
    pub classes: &'a ClassTable,
    pub dialect: Dialect,
}

impl Identity<'_> {
    /// Writes the weights as they stand, in one step.
    pub fn save_weights(
        &self,
        path: &Path,
        weights: &Weights,
        progress: TrainingProgress,
    ) -> Result<(), WeightsError> {
        let metadata = CheckpointMetadata {
            config: self.config,
            classes: self.classes,
            dialect: self.dialect,
            iou_head: if self.config.mask_iou_head.loss_iou.loss_weight > 0.0 {
                IouHead::Trained
            } else {
                IouHead::Untrained
            },
            progress: Some(progress),
            created: SystemTime::now(),
        };
        save(path, weights, &metadata, StoredType::F32).map(|_| ())
    }
}

/// Writes a checkpoint that a run can be resumed from.
pub(super) fn save_run(
    path: &Path,
    identity: &Identity<'_>,
    set: &ParameterSet,
    optimizer: &Optimizer,
    progress: &Progress,
) -> Result<(), JobError> {
    let mut tensors = BTreeMap::new();
    for (name, tensor) in optimizer.state() {
        let values = tensor.flatten_all().and_then(|flat| flat.to_vec1::<f32>());
        let values = values.map_err(crate::model::ModelError::from)?;
        tensors.insert(name.to_owned(), (tensor.dims().to_vec(), values));
    }
    let text = serde_json::to_string(progress).unwrap_or_default();
    let metadata = BTreeMap::from([(PROGRESS.to_owned(), text)]);
    let state = state_path(path);
    save_tensors(&state, &Weights::from_memory(&state, tensors), &metadata)?;
    let told = TrainingProgress {
        epoch: progress.epoch,
        step: progress.global_step as u64,
        bbox_map: None,
        seg_map: None,
        loss: progress.epoch_loss.value(),
    };
    identity.save_weights(path, &set.snapshot(path)?, told)?;
    Ok(())
}

/// A run as it was kept.
pub(super) struct SavedRun {
    pub weights: Weights,
    pub optimizer: BTreeMap<String, Tensor>,
    pub progress: Progress,
    pub dialect: Dialect,
    /// The checkpoint.
    pub path: PathBuf,
    /// What could not be used, newest first.
    pub passed_over: Vec<String>,
}

/// The newest checkpoint that is complete; none where there is no such.
pub(super) fn newest(
    folder: &Path,
    config: &Config,
    device: &Device,
) -> Result<SavedRun, Vec<String>> {
    let mut passed_over = Vec::new();
    for checkpoint in periodic(folder).into_iter().rev() {
        match read(&checkpoint, config, device) {
            Ok(mut run) => {
                run.passed_over = passed_over;
                return Ok(run);
            }
            Err(reason) => passed_over.push(format!("{}: {reason}", checkpoint.path.display())),
        }
    }
    Err(passed_over)
}

fn read(checkpoint: &Periodic, config: &Config, device: &Device) -> Result<SavedRun, String> {
    let text = |error: WeightsError| error.to_string();
    let (state, metadata) = load_tensors(&state_path(&checkpoint.path)).map_err(text)?;
    let progress = metadata.get(PROGRESS).ok_or("its state has no progress")?;
    let progress: Progress = serde_json::from_str(progress).map_err(|error| error.to_string())?;
    if (progress.epoch, progress.step) != (checkpoint.epoch, checkpoint.step) {
        return Err("its state is that of another step".into());
    }
    let loaded = load(&checkpoint.path, Some(config), &LoadOptions::default()).map_err(text)?;
    let mut optimizer = BTreeMap::new();
    for name in state.names() {
        let shape = state.shape(name).unwrap_or_default();
        let values = state.values(name, shape).map_err(text)?;
        let tensor = Tensor::from_vec(values, shape, device).map_err(|error| error.to_string())?;
        optimizer.insert(name.to_owned(), tensor);
    }
    Ok(SavedRun {
        weights: loaded.weights,
        optimizer,
        progress,
        dialect: loaded.dialect,
        path: checkpoint.path.clone(),
        passed_over: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_moves_to_epochs_of_another_length() {
        let at = |epoch, step, steps_per_epoch| Progress {
            epoch,
            step,
            steps_per_epoch,
            ..Progress::default()
        };
        let mut same = at(2, 300, 1000);
        (same.global_step, same.updates) = (1300, 1300);
        let was = same.clone();
        same.fit_to(1000, 1);
        assert_eq!(same, was);
        // Two processes in place of one.
        let mut half = at(2, 700, 1000);
        half.fit_to(500, 1);
        assert_eq!((half.epoch, half.step), (2, 350));
        assert_eq!((half.global_step, half.updates), (850, 850));
        // One in place of four, with whole updates of three micro-batches.
        let mut more = at(3, 10, 25);
        more.fit_to(100, 3);
        assert_eq!((more.step, more.global_step), (39, 239));
        assert_eq!(more.updates, 2 * 34 + 13);
        // An epoch that is over stays so.
        let mut over = at(1, 25, 25);
        over.fit_to(7, 2);
        assert_eq!((over.step, over.updates), (7, 4));
    }
}
