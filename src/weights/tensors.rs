//! The named tensors of a model, read from their file only when asked for.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::error::WeightsError;
use super::raw::RawTensor;
use super::rows::Rows;

/// Tensors under canonical (mmdetection 2.x) names, as f32. Those of a file stay there until their values are asked
/// for.
#[derive(Debug, Default)]
pub struct Weights {
    path: PathBuf,
    tensors: BTreeMap<String, Tensor>,
}

/// One tensor in canonical row order.
#[derive(Debug)]
pub(super) struct Tensor {
    shape: Vec<usize>,
    data: Data,
}

#[derive(Debug)]
enum Data {
    Memory(Vec<f32>),
    File {
        raw: RawTensor,
        rows: Rows,
        /// The running variance, where γ was trained without the ε under the root.
        variance_without_epsilon: Option<RawTensor>,
    },
}

/// Added to the variance under the root of every BatchNorm.
const BATCH_NORM_EPSILON: f64 = 1e-5;

impl Tensor {
    /// A tensor of a file with its rows in canonical order.
    pub fn of_file(
        raw: RawTensor,
        rows: Rows,
        variance_without_epsilon: Option<RawTensor>,
    ) -> Self {
        Self {
            shape: canonical_shape(raw.shape(), &rows),
            data: Data::File {
                raw,
                rows,
                variance_without_epsilon,
            },
        }
    }

    fn values(&self) -> Vec<f32> {
        match &self.data {
            Data::Memory(values) => values.clone(),
            Data::File {
                raw,
                rows,
                variance_without_epsilon,
            } => {
                let have = raw.shape().first().copied().unwrap_or(1);
                let mut values = rows.apply(raw.to_f32(), have);
                if let Some(variance) = variance_without_epsilon {
                    add_epsilon(&mut values, &variance.to_f32());
                }
                values
            }
        }
    }
}

/// Shape after the rows were put in canonical order.
pub(super) fn canonical_shape(shape: &[usize], rows: &Rows) -> Vec<usize> {
    let mut shape = shape.to_vec();
    if let Some(first) = shape.first_mut() {
        *first = rows.count(*first);
    }
    shape
}

/// γ·√(σ² + ε)/√σ²: the same function once the network adds ε. Where σ² is 0 the original divides by zero.
fn add_epsilon(gammas: &mut [f32], variances: &[f32]) {
    for (gamma, &variance) in gammas.iter_mut().zip(variances) {
        let variance = f64::from(variance);
        if variance > 0.0 {
            let factor = ((variance + BATCH_NORM_EPSILON) / variance).sqrt();
            *gamma = (f64::from(*gamma) * factor) as f32;
        }
    }
}

impl Weights {
    /// Weights from memory: canonical name -> shape and row-major values. `path` is only named in errors.
    pub fn from_memory(path: &Path, tensors: BTreeMap<String, (Vec<usize>, Vec<f32>)>) -> Self {
        let tensors = tensors
            .into_iter()
            .map(|(name, (shape, values))| {
                let data = Data::Memory(values);
                (name, Tensor { shape, data })
            })
            .collect();
        Self {
            path: path.to_owned(),
            tensors,
        }
    }

    /// Weights of a file.
    pub(super) fn of_file(path: &Path, tensors: BTreeMap<String, Tensor>) -> Self {
        Self {
            path: path.to_owned(),
            tensors,
        }
    }

    /// The file, for messages.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Values of a tensor as f32, row-major; its shape must be `want`.
    ///
    /// # Errors
    /// `Missing` and `Shape`.
    pub fn values(&self, name: &str, want: &[usize]) -> Result<Vec<f32>, WeightsError> {
        let tensor = self
            .tensors
            .get(name)
            .ok_or_else(|| WeightsError::Missing {
                name: name.into(),
                path: self.path.clone(),
            })?;
        if tensor.shape != want {
            return Err(WeightsError::Shape {
                name: name.into(),
                got: tensor.shape.clone(),
                want: want.to_vec(),
                path: self.path.clone(),
            });
        }
        Ok(tensor.values())
    }

    /// Shape of a tensor, where it is there.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.tensors.get(name).map(|tensor| tensor.shape.as_slice())
    }

    /// Canonical names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// Number of values of all tensors (BatchNorm statistics included).
    pub fn value_count(&self) -> usize {
        self.tensors
            .values()
            .map(|tensor| tensor.shape.iter().product::<usize>())
            .sum()
    }
}
