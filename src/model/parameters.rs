//! The tensors of a model in training: which are trained, and their values from step to step.

use std::collections::BTreeMap;
use std::path::Path;

use candle_core::{Device, Tensor, Var};

use super::ModelError;
use crate::config::Config;
use crate::ops::{GradientTap, tapped};
use crate::structures::Precision;
use crate::weights::{Kind, Parameter, Weights, WeightsError, parameters};

/// Every tensor of the model under its canonical name, in memory of its own that updates change in place.
#[derive(Clone)]
pub struct ParameterSet {
    all: BTreeMap<String, Entry>,
    /// Canonical order, the order of the network.
    order: Vec<String>,
    norm: NormMode,
    device: Device,
    precision: Precision,
    tap: Option<GradientTap>,
}

#[derive(Debug, Clone)]
struct Entry {
    var: Var,
    trained: bool,
}

impl std::fmt::Debug for ParameterSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ParameterSet")
            .field("tensors", &self.order.len())
            .finish_non_exhaustive()
    }
}

/// What the BatchNorm layers of the stages that are trained do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NormMode {
    /// A constant scale and shift.
    Frozen,
    /// Statistics of the batch; the running ones follow.
    Batch,
}

impl ParameterSet {
    /// The tensors of `config`'s model with the values of `weights`.
    ///
    /// # Errors
    /// A tensor that is missing, misshapen or holds NaN.
    pub fn new(config: &Config, weights: &Weights, device: &Device) -> Result<Self, ModelError> {
        let mut set = Self {
            all: BTreeMap::new(),
            order: Vec::new(),
            norm: if config.backbone.norm_eval {
                NormMode::Frozen
            } else {
                NormMode::Batch
            },
            device: device.clone(),
            precision: Precision::Float32,
            tap: None,
        };
        for parameter in parameters(config) {
            let trained = is_trained(config, &parameter);
            let Parameter { name, shape, .. } = parameter;
            let values = weights.values(&name, &shape)?;
            if values.iter().any(|value| !value.is_finite()) {
                return Err(ModelError::BrokenWeight { name });
            }
            let var = Var::from_vec(values, shape, device)?;
            set.order.push(name.clone());
            let entry = Entry { var, trained };
            set.all.insert(name, entry);
        }
        Ok(set)
    }

    /// The same tensors in layers that multiply in `precision`; the tensors stay float32.
    #[must_use]
    pub fn in_precision(mut self, precision: Precision) -> Self {
        self.precision = precision;
        self
    }

    pub(super) fn precision(&self) -> Precision {
        self.precision
    }

    /// Name and variable of what an optimiser updates, in the order of the network.
    pub fn trained(&self) -> impl Iterator<Item = (&str, &Var)> {
        let entries = self
            .order
            .iter()
            .filter_map(|name| self.all.get_key_value(name));
        entries
            .filter(|(_, entry)| entry.trained)
            .map(|(name, entry)| (name.as_str(), &entry.var))
    }

    /// Values of all tensors together, trained or not, statistics included.
    pub fn value_count(&self) -> usize {
        self.all.values().map(|entry| entry.var.elem_count()).sum()
    }

    /// A copy of every tensor as it stands: for a checkpoint or an evaluation.
    ///
    /// # Errors
    /// A failed copy from the device.
    pub fn snapshot(&self, path: &Path) -> Result<Weights, ModelError> {
        let mut tensors = BTreeMap::new();
        for (name, entry) in &self.all {
            let values = entry.var.flatten_all()?.to_vec1::<f32>()?;
            tensors.insert(name.clone(), (entry.var.dims().to_vec(), values));
        }
        Ok(Weights::from_memory(path, tensors))
    }

    /// The same tensors, whose gradients `tap` hears of as soon as each is whole. Layers made of it compute with copies: it
    /// serves for one step.
    pub fn tapped(&self, tap: GradientTap) -> Self {
        Self {
            tap: Some(tap),
            ..self.clone()
        }
    }

    /// The device of every tensor.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// What a layer computes with: the variable itself where it is trained, else a tensor that wants no gradient.
    pub(super) fn tensor(&self, name: &str, shape: &[usize]) -> Result<Tensor, ModelError> {
        let entry = self.entry(name, shape)?;
        Ok(match &self.tap {
            _ if !entry.trained => entry.var.as_detached_tensor(),
            Some(tap) => tapped(entry.var.as_tensor(), name, tap)?,
            None => entry.var.as_tensor().clone(),
        })
    }

    /// The variable of a running statistic.
    pub(super) fn statistic(&self, name: &str, channels: usize) -> Result<Var, ModelError> {
        Ok(self.entry(name, &[channels])?.var.clone())
    }

    /// Whether the BatchNorm `norm` works on statistics of the batch.
    pub(super) fn batch_norm(&self, norm: &str) -> bool {
        let scale = self.all.get(&format!("{norm}.weight"));
        self.norm == NormMode::Batch && scale.is_some_and(|entry| entry.trained)
    }

    fn entry(&self, name: &str, shape: &[usize]) -> Result<&Entry, ModelError> {
        let missing = || WeightsError::Missing {
            name: name.into(),
            path: "the network in training".into(),
        };
        let entry = self.all.get(name).ok_or_else(missing)?;
        if entry.var.dims() == shape {
            Ok(entry)
        } else {
            Err(ModelError::Weights(WeightsError::Shape {
                name: name.into(),
                got: entry.var.dims().to_vec(),
                want: shape.to_vec(),
                path: "the network in training".into(),
            }))
        }
    }
}

/// Whether a tensor is updated: not statistics, not frozen stages, not a frozen BatchNorm's γ and β, not a mask-IoU head
/// whose loss has no weight.
fn is_trained(config: &Config, parameter: &Parameter) -> bool {
    let is_norm = matches!(parameter.kind, Kind::BnWeight | Kind::BnBias);
    if matches!(parameter.kind, Kind::BnMean | Kind::BnVar) {
        return false;
    }
    if let Some(part) = parameter.name.strip_prefix("backbone.") {
        return stage(part) > config.backbone.frozen_stages
            && !(is_norm && config.backbone.norm_eval);
    }
    let without_scoring = config.mask_iou_head.loss_iou.loss_weight == 0.0;
    !(without_scoring && parameter.name.starts_with("roi_head.mask_iou_head."))
}

/// 0 for the stem, k for `layer{k}`.
fn stage(part: &str) -> i64 {
    let digit = part
        .strip_prefix("layer")
        .and_then(|rest| rest.chars().next());
    digit
        .and_then(|digit| digit.to_digit(10))
        .map_or(0, i64::from)
}
