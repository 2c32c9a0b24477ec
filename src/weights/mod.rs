//! Checkpoints: safetensors, PyTorch `.pth`, MindSpore `.ckpt` become one map of tensors under canonical names.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::config::{Config, Dialect};
use crate::structures::ClassTable;

/// Why a checkpoint could not be read or used.
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
}

/// Tensors under canonical (mmdetection 2.x) names, as f32.
#[derive(Debug, Default)]
pub struct Weights {
    path: PathBuf,
    tensors: BTreeMap<String, (Vec<usize>, Vec<f32>)>,
}

impl Weights {
    /// Weights from memory: canonical name -> shape and row-major values. `path` is only named in errors.
    pub fn from_memory(path: &Path, tensors: BTreeMap<String, (Vec<usize>, Vec<f32>)>) -> Self {
        Self {
            path: path.to_owned(),
            tensors,
        }
    }

    /// Values of a tensor as f32, row-major; its shape must be `want`.
    ///
    /// # Errors
    /// `Missing` and `Shape`.
    pub fn values(&self, name: &str, want: &[usize]) -> Result<Vec<f32>, WeightsError> {
        let (shape, values) = self
            .tensors
            .get(name)
            .ok_or_else(|| WeightsError::Missing {
                name: name.into(),
                path: self.path.clone(),
            })?;
        if shape != want {
            return Err(WeightsError::Shape {
                name: name.into(),
                got: shape.clone(),
                want: want.to_vec(),
                path: self.path.clone(),
            });
        }
        Ok(values.clone())
    }

    /// Shape of a tensor, where it is there.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.tensors.get(name).map(|(shape, _)| shape.as_slice())
    }

    /// Canonical names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// Number of values of all tensors (BatchNorm statistics included).
    pub fn value_count(&self) -> usize {
        self.tensors
            .values()
            .map(|(shape, _)| shape.iter().product::<usize>())
            .sum()
    }
}

/// Whether the mask-IoU head of a checkpoint was trained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IouHead {
    /// `mask_iou` means something.
    Trained,
    /// A plain Mask R-CNN: `mask_iou` is absent, `iou_score` is `score`.
    Untrained,
}

/// A checkpoint ready to build a detector from.
#[derive(Debug)]
pub struct LoadedCheckpoint {
    /// The file.
    pub path: PathBuf,
    /// Every tensor of the model under its canonical name.
    pub weights: Weights,
    /// The configuration in force (semantics.md section 0): given, else the checkpoint's, else the embedded preset.
    pub config: Config,
    /// The dialect in use.
    pub dialect: Dialect,
    /// Foreground classes.
    pub classes: ClassTable,
    /// Whether mask scoring was trained.
    pub iou_head: IouHead,
    /// What a user should know: conventions that differ, values proposed by the file, tensors ignored.
    pub notes: Vec<String>,
}
