//! Why a checkpoint could not be read, used or written.

use std::path::PathBuf;

use super::format::FormatError;
use super::mismatch::Mismatch;

/// Why a checkpoint could not be read, used or written. Every message names the file last.
#[derive(Debug, thiserror::Error)]
pub enum WeightsError {
    /// A tensor that the model needs is not there.
    #[error("weight {name} is missing (in {path})")]
    Missing {
        /// Canonical name.
        name: String,
        /// The file.
        path: PathBuf,
    },
    /// A tensor has another shape.
    #[error("weight {name} has shape {got:?}, the model needs {want:?} (in {path})")]
    Shape {
        /// Canonical name.
        name: String,
        /// Shape in the file.
        got: Vec<usize>,
        /// Shape of the model.
        want: Vec<usize>,
        /// The file.
        path: PathBuf,
    },
    /// The file could not be opened or mapped.
    #[error("cannot read the checkpoint: {problem} ({path})")]
    Io {
        /// What the system says.
        problem: std::io::Error,
        /// The file.
        path: PathBuf,
    },
    /// The bytes are no checkpoint that can be read.
    #[error("{problem} (in {path})")]
    Format {
        /// What is wrong with the bytes.
        problem: FormatError,
        /// The file.
        path: PathBuf,
    },
    /// Tensors are missing, left over, doubled or misshapen: all of them at once.
    #[error("{mismatch} (in {path})")]
    Mismatch {
        /// All of them.
        mismatch: Box<Mismatch>,
        /// The file.
        path: PathBuf,
    },
    /// The names are of no detector that is known.
    #[error(
        "no detector: {count} tensors, such as {examples}, follow no naming that is known (mmdetection 2 and 3, MindSpore ms_rcnn, torchvision, detectron2, maskscoring_rcnn) (in {path})"
    )]
    UnknownNames {
        /// Number of tensors.
        count: usize,
        /// The first names.
        examples: String,
        /// The file.
        path: PathBuf,
    },
    /// A detector of a kind that cannot be used.
    #[error("{kind}: {advice} (in {path})")]
    Refused {
        /// What the file is.
        kind: &'static str,
        /// What to do.
        advice: &'static str,
        /// The file.
        path: PathBuf,
    },
    /// A safetensors file without a configuration in it.
    #[error(
        "the file says nothing about its configuration: give one with --config FILE.yaml (in {path})"
    )]
    ConfigRequired {
        /// The file.
        path: PathBuf,
    },
    /// The configuration, given or in the file's metadata, cannot be used.
    #[error("the configuration cannot be used: {problem} (in {path})")]
    Config {
        /// What is wrong with it.
        problem: String,
        /// The file.
        path: PathBuf,
    },
    /// Shapes from which no model can be read off.
    #[error(
        "cannot tell the model's size from the tensors: {problem}; give it with --config FILE.yaml (in {path})"
    )]
    Widths {
        /// What does not fit.
        problem: String,
        /// The file.
        path: PathBuf,
    },
    /// Shifted mask-IoU columns exist in MindSpore checkpoints only.
    #[error(
        "shifted mask-IoU columns are a question of MindSpore checkpoints, this is {kind}: leave out --iou-columns shift (in {path})"
    )]
    ShiftNotMindspore {
        /// What the file is.
        kind: &'static str,
        /// The file.
        path: PathBuf,
    },
    /// Writing failed; a file that was there before is unharmed.
    #[error("cannot write the checkpoint: {problem} ({path})")]
    Write {
        /// What the system says.
        problem: std::io::Error,
        /// The file.
        path: PathBuf,
    },
}
