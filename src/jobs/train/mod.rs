//! Training runs: sets and weights to start from, the loop, the run's folder, and what it tells meanwhile.
//!
//! The way of a run: `setup` resolves configuration, sets, classes and starting weights; `folder` makes the run's folder
//! and holds its lock; `session` takes the steps (`feed` brings batches, `train::losses` and `train::Optimizer` do the
//! mathematics) and `saved` keeps them; `measure` evaluates after an epoch.

mod error;
mod estimate;
mod feed;
mod folder;
pub mod launch;
mod log;
mod measure;
pub mod metrics_file;
mod order;
mod preflight;
mod prepare;
pub mod records;
pub mod runs;
mod saved;
mod session;
mod setup;
mod start;
mod told;
mod world;

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

pub use error::TrainJobError;
pub use preflight::preflight;
pub use prepare::SetChanges;
pub use records::{MetricsLine, RunRecord, RunState, StepRecord};

use super::JobError;
use crate::config::Config;
use folder::RunFolder;
use setup::{Setup, configuration};
use world::World;

/// What to train, on what and from what.
#[derive(Clone, Debug, Default)]
pub struct TrainRequest {
    /// Configuration file, or the name of a shipped one.
    pub config: Option<PathBuf>,
    /// `a.b=c` settings on top.
    pub set: Vec<String>,
    /// `auto`, `cpu`, `cuda` or `cuda:N`; empty is `auto`.
    pub device: String,
    /// Replaces `train_dataset`.
    pub train_data: Option<PathBuf>,
    /// Replaces `val_dataset`.
    pub val_data: Option<PathBuf>,
    /// Replaces `train_outputs`.
    pub out: Option<PathBuf>,
    /// Replaces `brief`.
    pub brief: Option<String>,
    /// Replaces `pre_trained`.
    pub pretrained: Option<PathBuf>,
    /// A run to go on with: its configuration and sets count.
    pub resume: Option<PathBuf>,
    /// Take the classes of the training set, whatever the configuration lists.
    pub classes_from_data: bool,
    /// What is done to the sets first.
    pub changes: SetChanges,
    /// A file that gets the path of the run's folder as soon as there is one.
    pub run_record: Option<PathBuf>,
    /// The command as typed, for the run's folder.
    pub command: Vec<String>,
}

/// What a front end is told.
#[derive(Debug)]
pub enum TrainEvent<'a> {
    /// A line of the log, as it stands in the file.
    Log(&'a str),
    /// A data step is done.
    Step {
        /// What it was.
        step: &'a StepRecord,
        /// Data steps done in the whole run, and all of them.
        done: (usize, usize),
        /// Estimate of what is left, seconds.
        seconds_left: Option<f64>,
    },
    /// Images of an evaluation done, and all of them.
    Evaluated(usize, usize),
}

/// How a run ended.
#[derive(Debug)]
pub struct Trained {
    /// The run's folder.
    pub folder: PathBuf,
    /// Whether all epochs were done; else it was told to stop.
    pub finished: bool,
    /// The last record.
    pub record: RunRecord,
}

/// Trains to the end, or until `stop` is set or a file `stop` lies in the run's folder: then the step is finished and kept.
///
/// # Errors
/// Configuration, sets or weights refused; a folder that cannot be written or is in use; NaN.
pub fn train(
    request: &TrainRequest,
    stop: &AtomicBool,
    report: &mut (dyn FnMut(TrainEvent<'_>) + Send),
) -> Result<Trained, JobError> {
    let world = World::join()?;
    let trained = if world.leads() {
        lead(&world, request, stop, report)
    } else {
        follow(&world, request, stop)
    };
    if trained.is_ok() {
        world.leave();
    }
    trained
}

/// The process that has the folder, or the only one.
fn lead(
    world: &World,
    request: &TrainRequest,
    stop: &AtomicBool,
    report: &mut (dyn FnMut(TrainEvent<'_>) + Send),
) -> Result<Trained, JobError> {
    let (mut config, mut notes) = configuration(request)?;
    notes.extend(ranks_of(&mut config, request, world)?);
    // Before its name makes folders in other places.
    config.check_brief()?;
    let (folder, was_there) = match &request.resume {
        Some(path) => (RunFolder::lock(path)?, false),
        None => RunFolder::create(Path::new(&config.train_outputs), &config.brief)?,
    };
    let setup = match Setup::of(request, config, notes, &folder.path) {
        Ok(setup) => setup,
        Err(error) => {
            if !was_there && request.resume.is_none() {
                folder.remove();
            }
            return Err(error);
        }
    };
    world.share_text(&folder.path.to_string_lossy(), stop)?;
    world.share_text(&setup.config.to_yaml(), stop)?;
    session::run(world, setup, request, folder, was_there, stop, report)
}

/// Another rank: the folder and the configuration are those of the process that leads.
fn follow(world: &World, request: &TrainRequest, stop: &AtomicBool) -> Result<Trained, JobError> {
    let folder = PathBuf::from(world.share_text("", stop)?);
    let (config, _) = Config::from_yaml(&world.share_text("", stop)?, "the first rank")?;
    let request = TrainRequest {
        changes: SetChanges::default(),
        classes_from_data: false,
        run_record: None,
        ..request.clone()
    };
    let setup = Setup::of(&request, config, Vec::new(), &folder)?;
    let folder = RunFolder::follow(&folder);
    session::run(world, setup, &request, folder, false, stop, &mut |_| {})
}

/// `device_num` and `run_distribute` follow from the processes; a contradiction is an error. A run may be gone on with by
/// another number of them.
fn ranks_of(
    config: &mut Config,
    request: &TrainRequest,
    world: &World,
) -> Result<Option<String>, TrainJobError> {
    let size = world.size();
    let begins = request.resume.is_none();
    if begins && config.device_num != 1 && config.device_num != size {
        return Err(TrainJobError::Devices {
            asked: config.device_num,
            size,
        });
    }
    let note = (begins && config.run_distribute && size == 1).then(|| {
        "run_distribute is set, but one process was started: `mpirun -n N` before the command starts N of them".to_owned()
    });
    config.device_num = size;
    config.run_distribute = size > 1;
    config.rank_id = 0;
    Ok(note)
}
