//! A run as lists and panels show it.

use std::path::{Path, PathBuf};

use super::series::RunSeries;
use crate::jobs::train::records::{RunRecord, RunState};
use crate::jobs::train::runs::Tail;

/// Where a run stands, by its own word and its lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// Reading sets, building the network.
    Starting,
    /// Taking steps.
    Running,
    /// Measuring AP.
    Evaluating,
    /// Ended on request.
    Stopped,
    /// Done.
    Finished,
    /// Its process died; it can be resumed from its last checkpoint.
    Interrupted,
    /// Ended by an error.
    Failed,
    /// Its record cannot be read.
    Unreadable,
}

impl Condition {
    /// By the last word of the process, and whether it lives.
    pub fn of(state: RunState, is_alive: bool) -> Self {
        match (state, is_alive) {
            (RunState::Finished, _) => Self::Finished,
            (RunState::Stopped, _) => Self::Stopped,
            (RunState::Failed, _) => Self::Failed,
            (_, false) => Self::Interrupted,
            (RunState::Starting, true) => Self::Starting,
            (RunState::Running, true) => Self::Running,
            (RunState::Evaluating, true) => Self::Evaluating,
        }
    }

    /// In a word.
    pub fn label(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Evaluating => "evaluating",
            Self::Stopped => "stopped",
            Self::Finished => "finished",
            Self::Interrupted => "interrupted",
            Self::Failed => "failed",
            Self::Unreadable => "unreadable",
        }
    }

    /// Whether a process works on it.
    pub fn is_live(self) -> bool {
        matches!(self, Self::Starting | Self::Running | Self::Evaluating)
    }
}

/// What is read of the selected run alone.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunDetails {
    /// The end of its newest log.
    pub log: Option<Tail>,
    /// Its copy of the configuration.
    pub config: String,
    /// Files relative to the folder, with their bytes.
    pub files: Vec<(String, u64)>,
}

/// What a run was made of, as absolute paths. The thread that watches runs says what is there of it: a frame asks no disk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunInputs {
    /// Folder or JSON.
    pub validation_set: Option<PathBuf>,
    /// What the weights began with.
    pub start_checkpoint: Option<PathBuf>,
}

impl RunInputs {
    /// As a record names them.
    pub(super) fn named(record: &RunRecord) -> Self {
        let absolute = |path: &String| std::path::absolute(path).ok();
        Self {
            validation_set: record.val_data.as_ref().and_then(absolute),
            start_checkpoint: record.start_checkpoint.as_ref().and_then(absolute),
        }
    }

    /// Those that are there. Asks the disk: not for a frame.
    pub(super) fn present(&self) -> Self {
        let is_there = |path: &PathBuf| path.exists();
        let is_file = |path: &PathBuf| path.is_file();
        Self {
            validation_set: self.validation_set.clone().filter(is_there),
            start_checkpoint: self.start_checkpoint.clone().filter(is_file),
        }
    }
}

/// A run.
#[derive(Clone, Debug)]
pub struct Run {
    /// Its folder.
    pub folder: PathBuf,
    /// Name of the folder.
    pub name: String,
    /// What it says of itself, where that can be read.
    pub record: Option<RunRecord>,
    /// Why it cannot be read.
    pub damage: Option<String>,
    /// What is there of its sets and weights.
    pub inputs: RunInputs,
    /// See `Condition`.
    pub condition: Condition,
    /// A process holds its lock, whatever its record says.
    pub is_alive: bool,
    /// It was asked to stop and has not ended yet.
    pub is_stopping: bool,
    /// How its process died, where it was started from this window.
    pub death: Option<String>,
    /// Its numbers.
    pub series: RunSeries,
    /// Lines of its metrics that are not of this format.
    pub refused: usize,
    /// Of the selected run.
    pub details: Option<RunDetails>,
    /// Changes with `series`.
    pub revision: u64,
}

impl Run {
    pub(super) fn new(folder: PathBuf) -> Self {
        let name = folder.file_name().unwrap_or(folder.as_os_str());
        Self {
            name: name.to_string_lossy().into_owned(),
            folder,
            record: None,
            damage: None,
            inputs: RunInputs::default(),
            condition: Condition::Unreadable,
            is_alive: false,
            is_stopping: false,
            death: None,
            series: RunSeries::default(),
            refused: 0,
            details: None,
            revision: 0,
        }
    }

    /// Whether there is a checkpoint to go on from and nobody is at it.
    pub fn can_resume(&self) -> bool {
        let has_checkpoint = |record: &RunRecord| record.last_checkpoint.is_some();
        let ended = matches!(
            self.condition,
            Condition::Stopped | Condition::Interrupted | Condition::Failed
        );
        ended && !self.is_alive && self.record.as_ref().is_some_and(has_checkpoint)
    }

    /// The checkpoint with the highest mask AP; none before the first evaluation.
    pub fn best_checkpoint(&self) -> Option<PathBuf> {
        let best = self.record.as_ref()?.best.as_ref()?;
        Some(self.folder.join(&best.path))
    }

    /// Highest mask AP so far.
    pub fn best_ap(&self) -> Option<f64> {
        let best = self.record.as_ref()?.best.as_ref();
        best.map(|best| best.seg_map).filter(|ap| *ap >= 0.0)
    }

    /// How much is done, 0 to 1.
    pub fn share(&self) -> Option<f32> {
        let record = self.record.as_ref()?;
        let whole = (record.epochs * record.steps_per_epoch) as f32;
        let done = record.epoch.saturating_sub(1) * record.steps_per_epoch + record.step;
        (whole > 0.0).then(|| (done as f32 / whole).clamp(0.0, 1.0))
    }

    /// The validation set, where it is there.
    pub fn validation_set(&self) -> Option<&Path> {
        self.inputs.validation_set.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_last_word_holds_only_while_the_process_lives() {
        for (state, alive, expected) in [
            (RunState::Running, true, Condition::Running),
            (RunState::Running, false, Condition::Interrupted),
            (RunState::Evaluating, false, Condition::Interrupted),
            (RunState::Starting, false, Condition::Interrupted),
            (RunState::Finished, false, Condition::Finished),
            (RunState::Finished, true, Condition::Finished),
            (RunState::Stopped, false, Condition::Stopped),
            (RunState::Failed, false, Condition::Failed),
        ] {
            assert_eq!(Condition::of(state, alive), expected, "{state:?} {alive}");
        }
    }
}
