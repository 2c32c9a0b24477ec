//! Why a training could not begin or go on.

use std::path::PathBuf;

/// What is the matter, where, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum TrainJobError {
    /// No set was named.
    #[error("no training set: give --train-data, or train_dataset in the configuration")]
    NoTrainData,
    /// Nothing to train on.
    #[error("{path} holds no image that could be trained on{hint}")]
    EmptySet {
        /// The set's JSON.
        path: PathBuf,
        /// What is there instead.
        hint: String,
    },
    /// Fewer images than one step takes.
    #[error(
        "{path} has {images} images for {ranks} processes, fewer than batch_size {batch}: lower it with --set batch_size=1"
    )]
    TooFew {
        /// The set's JSON.
        path: PathBuf,
        /// Its images.
        images: usize,
        /// Processes that share them.
        ranks: usize,
        /// Images of a step.
        batch: usize,
    },
    /// Category names that are not the configuration's.
    #[error(
        "{path}: the categories {unknown} are not among the {classes} classes of the configuration; --classes-from-data takes the set's, --set finetune=1 does so for a checkpoint"
    )]
    Classes {
        /// The set's JSON.
        path: PathBuf,
        /// Names, some of them.
        unknown: String,
        /// Foreground classes.
        classes: usize,
    },
    /// A class that is to be renamed or left out and is not there.
    #[error("{path} has no class `{name}`; it has {names}")]
    NoSuchClass {
        /// The set's JSON.
        path: PathBuf,
        /// What was asked for.
        name: String,
        /// What is there.
        names: String,
    },
    /// A split that leaves one side empty.
    #[error(
        "{path} has {images} images: a share of {fraction} for validation leaves one side without any"
    )]
    Split {
        /// The set's JSON.
        path: PathBuf,
        /// Its images.
        images: usize,
        /// Share for validation.
        fraction: f64,
    },
    /// A run folder that another process works in.
    #[error(
        "{path} is in use by another training process: wait for it, stop it, or choose another --out or --brief"
    )]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// A folder or file that cannot be written.
    #[error("cannot write {path}: {source}")]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// No complete checkpoint to go on from.
    #[error("{path} holds no complete checkpoint to resume from{hint}")]
    NothingToResume {
        /// The folder.
        path: PathBuf,
        /// What was found instead.
        hint: String,
    },
    /// Another value than the run was begun with.
    #[error(
        "{key} cannot change on resume: the run has {have}, not {asked}; only epoch_size and paths may"
    )]
    Changed {
        /// Configuration key.
        key: String,
        /// The run's.
        have: String,
        /// What was asked for.
        asked: String,
    },
    /// A starting checkpoint that does not fit.
    #[error(
        "{path} does not fit the configuration: {name} is {got:?}, the model needs {want:?}; {hint}"
    )]
    Start {
        /// The checkpoint.
        path: PathBuf,
        /// Canonical name.
        name: String,
        /// Shape there; empty where it is missing.
        got: Vec<usize>,
        /// Shape of the model.
        want: Vec<usize>,
        /// What to do.
        hint: &'static str,
    },
    /// A starting checkpoint with more layers than the model.
    #[error(
        "{path} does not fit the configuration: it has {name}, which the model has not: set backbone.depth to the checkpoint's"
    )]
    Deeper {
        /// The checkpoint.
        path: PathBuf,
        /// Canonical name of one tensor too many.
        name: String,
    },
    /// `mpirun` started several processes of a build without MPI.
    #[error(
        "{size} processes were started together, but this build has no MPI: build it with --features mpi, or start it without mpirun"
    )]
    NoMpi {
        /// Processes.
        size: usize,
    },
    /// MPI failed.
    #[error("MPI: {why}")]
    Mpi {
        /// Why.
        why: String,
    },
    /// Another process does not answer.
    #[error(
        "another rank does not answer: the job ends; --resume goes on from the last checkpoint"
    )]
    LostRank,
    /// Another process failed.
    #[error(
        "another rank failed: its own message says why; --resume goes on from the last checkpoint"
    )]
    OtherRank,
    /// The configuration contradicts the number of processes.
    #[error(
        "device_num is {asked}, but {size} processes were started: leave it out, it follows from mpirun"
    )]
    Devices {
        /// Configuration.
        asked: usize,
        /// Processes.
        size: usize,
    },
    /// A thread could not be started.
    #[error("cannot start a thread that reads images: {source}")]
    Thread {
        /// Why.
        source: std::io::Error,
    },
    /// The threads that read images ended early.
    #[error(
        "the threads that read images broke; the log holds the details, --resume goes on from the last checkpoint"
    )]
    Feed,
    /// The loss is not a number.
    #[error(
        "In epoch: {epoch} step: {step}, loss is NAN or INF, training process cannot continue, terminating training. First: {loss}. Images: {images}. The last checkpoint is intact; a lower lr or grad_clip may help"
    )]
    NotFinite {
        /// 1-based.
        epoch: usize,
        /// 1-based within the epoch.
        step: usize,
        /// The loss or stage that went first.
        loss: String,
        /// The batch's files.
        images: String,
    },
    /// A step did not fit into the memory of its device.
    #[error(
        "epoch {epoch}, step {step}: the device has no memory for this step: begin another run, from the last checkpoint of this one \
         (--pretrained) where there is one, with a smaller batch_size and accumulate_step as much larger, with smaller images \
         (img_width, img_height) or with --set precision=f16"
    )]
    NoMemory {
        /// 1-based.
        epoch: usize,
        /// 1-based within the epoch.
        step: usize,
    },
    /// The losses were numbers, their gradient is none.
    #[error(
        "In epoch: {epoch} step: {step}, the gradient is NAN or INF, of images {images}: a lower lr or grad_clip may help; the last \
         checkpoint is intact"
    )]
    Gradient {
        /// 1-based.
        epoch: usize,
        /// 1-based within the epoch.
        step: usize,
        /// The batch's files.
        images: String,
    },
    /// A step failed.
    #[error("epoch {epoch}, step {step}: {source}")]
    Step {
        /// 1-based.
        epoch: usize,
        /// 1-based within the epoch.
        step: usize,
        /// Why.
        source: crate::train::TrainError,
    },
}
