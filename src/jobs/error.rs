//! Why a job failed as a whole. What concerns one image is an event, not an error.

use std::path::PathBuf;

use crate::coco::CocoError;
use crate::config::ConfigError;
use crate::data::ImageError;
use crate::data::synth::SynthError;
use crate::model::ModelError;
use crate::query::QueryError;
use crate::weights::WeightsError;

/// A job that could not begin or go on.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// The configuration was refused.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The checkpoint was refused.
    #[error(transparent)]
    Weights(Box<WeightsError>),
    /// The network could not be built or broke.
    #[error(transparent)]
    Model(Box<ModelError>),
    /// The input could not be listed.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// A training could not begin or go on.
    #[error(transparent)]
    Train(Box<super::train::TrainJobError>),
    /// A prediction file could not be written or read.
    #[error(transparent)]
    Coco(#[from] CocoError),
    /// The synthetic set could not be written.
    #[error(transparent)]
    Synth(#[from] SynthError),
    /// A folder that would be written into holds something.
    #[error("{path} is not empty: choose a new folder, so that nothing is written over")]
    NotEmpty {
        /// The folder.
        path: PathBuf,
    },
    /// An export onto the set itself.
    #[error("{path} is the set itself, which is never changed: choose another output")]
    OntoItself {
        /// The file.
        path: PathBuf,
    },
    /// A report without anything to report on.
    #[error("a report is about predictions: give --predictions")]
    ReportWithoutPredictions,
    /// A device was asked for that this build or machine does not have.
    #[error("device {asked} cannot be used: {why}")]
    Device {
        /// What was asked for.
        asked: String,
        /// What is missing and what to do.
        why: String,
    },
    /// A file could not be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Nothing to do.
    #[error("{path} holds no image (png, jpg, jpeg, webp, bmp, tif, tiff){hint}")]
    NoImages {
        /// The folder.
        path: PathBuf,
        /// What may help.
        hint: &'static str,
    },
    /// A thread of the operating system could not be had.
    #[error("cannot start a thread: {0}")]
    Thread(std::io::Error),
    /// The job ended before its work because it was told to.
    #[error(
        "stopped: {done} of {total} images are kept in {partial}; run the same command again to go on"
    )]
    Stopped {
        /// Images in the partial file.
        done: usize,
        /// All images.
        total: usize,
        /// The partial file.
        partial: PathBuf,
    },
    /// The job ended before its result because it was told to.
    #[error("stopped before the result was known")]
    Interrupted,
    /// Neither predictions nor a model to make them.
    #[error(
        "there are no predictions at {path} (nor {path}.bbox.json with {path}.segm.json); give files that are there, or --checkpoint to make them"
    )]
    NoPredictions {
        /// What was asked for.
        path: PathBuf,
    },
    /// A folder that cannot be made.
    #[error("cannot make the folder {path}: {source}")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Masks are asked about that the predictions do not have.
    #[error("the predictions have no masks: suspects are about masks")]
    NoMasks,
    /// A query that cannot restrict an evaluation.
    #[error("--where, {0}")]
    Query(#[from] QueryError),
    /// A ranking by a number that no prediction has.
    #[error("no prediction has a `{rank_by}` to rank by: choose another with --rank-by")]
    Ranking {
        /// As the command line names it.
        rank_by: &'static str,
    },
    /// The model failed inside the job's thread; the text is the whole cause chain.
    #[error("{0}")]
    Fatal(String),
}

impl From<WeightsError> for JobError {
    fn from(error: WeightsError) -> Self {
        Self::Weights(Box::new(error))
    }
}

impl From<ModelError> for JobError {
    fn from(error: ModelError) -> Self {
        Self::Model(Box::new(error))
    }
}

impl From<super::train::TrainJobError> for JobError {
    fn from(error: super::train::TrainJobError) -> Self {
        Self::Train(Box::new(error))
    }
}
