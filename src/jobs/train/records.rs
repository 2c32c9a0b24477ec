//! What a training run writes for others to read: `run.json`, the lines of `metrics.jsonl`, the preflight report.
//!
//! A run folder holds `config.yaml`, `cmd.txt`, `args.txt`, `logs/train_<time>.log`, `metrics.jsonl`, `run.json`,
//! `run.lock` (locked as long as the process lives), checkpoints `MSRCNN_<rank>-<epoch>_<step>.safetensors`, the best ones
//! in `best_ckpt/`. A file named `stop` asks the run to finish its step, save and end.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Where a run stands, as it says itself. A process that died leaves its last word; the lock tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunState {
    /// Reading the sets, building the network.
    Starting,
    /// Taking steps.
    Running,
    /// Measuring AP on the validation set.
    Evaluating,
    /// Asked to stop and ended with a checkpoint; can be resumed.
    Stopped,
    /// All epochs done.
    Finished,
    /// Ended by an error, which `message` says.
    Failed,
}

/// The checkpoint with the highest mask AP so far.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BestCheckpoint {
    /// Relative to the run folder.
    pub path: String,
    /// 1-based.
    pub epoch: usize,
    /// Mask AP, 0..1.
    #[serde(rename = "seg_mAP")]
    pub seg_map: f64,
}

/// `run.json`: replaced as a whole every second or so and at every change of state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// Of this format: 1.
    pub version: u32,
    /// See `RunState`.
    pub state: RunState,
    /// Process on `host`.
    pub pid: u32,
    /// Name of the machine.
    pub host: String,
    /// Program and arguments as typed.
    pub command: Vec<String>,
    /// Seconds since 1970.
    pub started: f64,
    /// Seconds since 1970.
    pub updated: f64,
    /// 1-based; 0 before the first.
    pub epoch: usize,
    /// Of the whole run.
    pub epochs: usize,
    /// Data steps done in this epoch.
    pub step: usize,
    /// Data steps of an epoch.
    pub steps_per_epoch: usize,
    /// Images or steps of the evaluation done and their number, while evaluating.
    pub evaluated: Option<(usize, usize)>,
    /// Estimate of what is left, seconds, evaluation included.
    pub seconds_left: Option<f64>,
    /// Device, such as `CPU, 2 threads`.
    pub device: String,
    /// What stopped it, or what it waits for.
    pub message: Option<String>,
    /// See `BestCheckpoint`.
    pub best: Option<BestCheckpoint>,
    /// Newest complete periodic checkpoint, relative to the run folder.
    pub last_checkpoint: Option<String>,
    /// What the weights were taken from; none for training from scratch.
    pub start_checkpoint: Option<String>,
    /// Training set as given.
    pub train_data: String,
    /// Validation set as given; none where nothing is evaluated.
    pub val_data: Option<String>,
    /// Images that could not be read and were skipped: path and reason.
    pub skipped: Vec<(String, String)>,
    /// How many there were; the list above ends somewhere.
    #[serde(default)]
    pub skipped_count: usize,
}

/// One line of `metrics.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum MetricsLine {
    /// After every data step.
    Step(StepRecord),
    /// After every evaluation.
    Eval(EvalRecord),
}

/// The six losses as they enter the sum, weights applied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "names of the six losses")]
pub struct LossValues {
    pub rpn_cls: f64,
    pub rpn_box: f64,
    pub cls: f64,
    pub bbox: f64,
    pub mask: f64,
    pub mask_iou: f64,
}

impl LossValues {
    /// What is minimised.
    pub fn total(&self) -> f64 {
        self.rpn_cls + self.rpn_box + self.cls + self.bbox + self.mask + self.mask_iou
    }

    /// Adds `share` times others.
    pub fn add(&mut self, others: &Self, share: f64) {
        self.rpn_cls += share * others.rpn_cls;
        self.rpn_box += share * others.rpn_box;
        self.cls += share * others.cls;
        self.bbox += share * others.bbox;
        self.mask += share * others.mask;
        self.mask_iou += share * others.mask_iou;
    }

    /// Names and values in the order of the files.
    pub fn named(&self) -> [(&'static str, f64); 6] {
        [
            ("rpn_cls", self.rpn_cls),
            ("rpn_box", self.rpn_box),
            ("cls", self.cls),
            ("bbox", self.bbox),
            ("mask", self.mask),
            ("mask_iou", self.mask_iou),
        ]
    }
}

/// A data step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepRecord {
    /// 1-based.
    pub epoch: usize,
    /// 1-based within the epoch.
    pub step: usize,
    /// 1-based within the run.
    pub global_step: usize,
    /// Sum of the six.
    pub loss: f64,
    /// The six losses.
    #[serde(flatten)]
    pub losses: LossValues,
    /// Rate of the update this step belongs to.
    pub lr: f64,
    /// L2 norm of all gradients before clipping; none for a step that only accumulates, and for an update that was left
    /// out because gradients overflowed.
    pub grad_norm: Option<f64>,
    /// What the losses were multiplied with, where it follows the gradients (float16).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loss_scale: Option<f64>,
    /// Images of this step per second, everything included.
    pub images_per_second: f64,
    /// Seconds waited for images.
    pub data_time: f64,
    /// Seconds of the whole step.
    pub step_time: f64,
    /// Resident memory of the process, MiB.
    pub memory_mib: f64,
}

/// An evaluation on the validation set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EvalRecord {
    /// 1-based: the epoch that has just ended.
    pub epoch: usize,
    /// Data steps done when it was measured.
    pub global_step: usize,
    /// Box AP, 0..1; −1 without ground truth.
    #[serde(rename = "bbox_mAP")]
    pub bbox_map: f64,
    /// Mask AP ranked by `iou_score`.
    #[serde(rename = "seg_mAP")]
    pub seg_map: f64,
    /// Mask AP ranked by `score`.
    #[serde(rename = "seg_mAP_by_score")]
    pub seg_map_by_score: f64,
    /// The 12 numbers of boxes by the names that `eval --json` has; empty in lines of older builds.
    #[serde(default)]
    pub bbox: BTreeMap<String, f64>,
    /// The same of masks.
    #[serde(default)]
    pub segm: BTreeMap<String, f64>,
    /// Mean training loss of the epoch.
    pub loss: f64,
    /// Seconds the evaluation took.
    pub seconds: f64,
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Good to know.
    Note,
    /// The run would work, worse than it could.
    Warning,
    /// The run would fail.
    Error,
}

/// One thing the preflight noticed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// How bad.
    pub severity: Severity,
    /// What is the matter, one sentence.
    pub what: String,
    /// File, class or key; empty where it is the whole.
    #[serde(rename = "where")]
    pub place: String,
    /// What to do; empty where nothing needs to be done.
    pub fix: String,
}

/// A class of the training set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClassCount {
    /// Its name.
    pub name: String,
    /// Annotations that would be trained on.
    pub annotations: usize,
    /// Images that hold one.
    pub images: usize,
    /// Whether the starting checkpoint knows a class of this name.
    pub known: bool,
}

/// A proposed value with its reason.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Proposal {
    /// Configuration key, such as `lr`.
    pub key: String,
    /// As it would be written in the YAML.
    pub value: String,
    /// Why, one sentence.
    pub why: String,
}

/// `maskscope train … --preflight --json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PreflightReport {
    /// Worst first.
    pub findings: Vec<Finding>,
    /// Images of the training set, after `--val-fraction`.
    pub train_images: usize,
    /// Images of the validation set.
    pub val_images: usize,
    /// Classes in the order of their labels.
    pub classes: Vec<ClassCount>,
    /// Layers that start anew, by canonical name.
    pub reinitialised: Vec<String>,
    /// Estimate of the training process, MiB.
    pub memory_mib: f64,
    /// What the machine has free, MiB.
    pub memory_free_mib: f64,
    /// Seconds a step took in the trial; none without `--trial`.
    pub seconds_per_step: Option<f64>,
    /// Data steps of an epoch.
    pub steps_per_epoch: usize,
    /// Epochs of the run.
    pub epochs: usize,
    /// Estimate of the whole run, seconds; none without `--trial`.
    pub seconds_total: Option<f64>,
    /// Values that would suit this set, machine and checkpoint better than the configuration's, or confirm them.
    pub proposals: Vec<Proposal>,
    /// Device, such as `CPU, 2 threads`.
    pub device: String,
}
