//! Checkpoint files: looking into one, converting one into our own format.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::config::{Config, ConfigError};
use crate::weights::{self, CheckpointMetadata, IouColumns, LoadOptions, StoredType, WeightsError};

pub use crate::weights::{InspectedModel, InspectedTensor, Inspection};

/// Why a checkpoint job failed.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The checkpoint.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
}

/// What a file holds and where each tensor goes.
///
/// # Errors
/// A file that cannot be read.
pub fn inspect(path: &Path) -> Result<Inspection, CheckpointError> {
    Ok(weights::inspect(path)?)
}

/// A conversion to our own safetensors.
#[derive(Clone, Debug)]
pub struct ConvertRequest {
    /// Checkpoint of any format.
    pub input: PathBuf,
    /// The new file; one that is there is replaced when the new one is whole.
    pub output: PathBuf,
    /// Configuration file; the checkpoint's own, or sizes read off its tensors, without.
    pub config: Option<PathBuf>,
    /// `a.b=c` settings on top of `config`.
    pub set: Vec<String>,
    /// Whether column c + 1 of a MindSpore mask-IoU head is class c.
    pub shift_iou_columns: bool,
    /// float16 instead of float32.
    pub half: bool,
}

/// What a conversion did.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Converted {
    /// The new file.
    pub output: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// Number of tensors.
    pub tensors: usize,
    /// Values of all tensors, BatchNorm statistics included.
    pub parameters: usize,
    /// For example `ResNet-50 caffe`.
    pub backbone: String,
    /// Number of foreground classes.
    pub classes: usize,
    /// `mindspore` or `mmdet`.
    pub dialect: &'static str,
    /// `trained` or `untrained`.
    pub iou_head: &'static str,
    /// What a user should know.
    pub notes: Vec<String>,
}

/// Reads a checkpoint of any format and writes our own, with its configuration inside.
///
/// # Errors
/// A checkpoint or configuration that cannot be read or does not fit; a file that cannot be written.
pub fn convert(request: &ConvertRequest) -> Result<Converted, CheckpointError> {
    let mut notes = Vec::new();
    let options = LoadOptions {
        iou_columns: if request.shift_iou_columns {
            IouColumns::Shift
        } else {
            IouColumns::Keep
        },
        ..LoadOptions::default()
    };
    let given = match &request.config {
        Some(path) => {
            let (config, said) = Config::resolve(Some(path), &request.set)?;
            notes.extend(said);
            Some(config)
        }
        None => None,
    };
    let mut loaded = weights::load(&request.input, given.as_ref(), &options)?;
    if given.is_none() && !request.set.is_empty() {
        for setting in &request.set {
            notes.extend(loaded.config.set(setting)?);
        }
        let config = loaded.config.clone();
        loaded = weights::load(&request.input, Some(&config), &options)?;
    }
    notes.extend(loaded.notes);
    // Whoever loads the file will check it.
    notes.extend(loaded.config.validate()?);
    let mut said = std::collections::HashSet::new();
    notes.retain(|note| said.insert(note.clone()));
    let metadata = CheckpointMetadata {
        config: &loaded.config,
        classes: &loaded.classes,
        dialect: loaded.dialect,
        iou_head: loaded.iou_head,
        progress: None,
        created: SystemTime::now(),
    };
    let stored = if request.half {
        StoredType::F16
    } else {
        StoredType::F32
    };
    notes.extend(weights::save(
        &request.output,
        &loaded.weights,
        &metadata,
        stored,
    )?);
    Ok(Converted {
        output: request.output.clone(),
        bytes: std::fs::metadata(&request.output).map_or(0, |file| file.len()),
        tensors: loaded.weights.names().count(),
        parameters: loaded.weights.value_count(),
        backbone: format!(
            "ResNet-{} {}",
            loaded.config.backbone.depth, loaded.config.backbone.style
        ),
        classes: loaded.classes.len(),
        dialect: loaded.dialect.name(),
        iou_head: loaded.iou_head.name(),
        notes,
    })
}
