//! The weights a run starts from (semantics.md 4.11).

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::TrainJobError;
use crate::config::{Config, Dialect};
use crate::jobs::JobError;
use crate::train::{CLASS_LAYERS, initial_weights};
use crate::weights::{self, LoadOptions, LoadedCheckpoint, Weights, WeightsError, parameters};

/// Weights with what is to be told of them.
pub(super) struct Start {
    pub weights: Weights,
    /// The checkpoint; none for a new network or a backbone alone.
    pub checkpoint: Option<PathBuf>,
    /// The backbone's file.
    pub backbone: Option<PathBuf>,
    /// The checkpoint's.
    pub dialect: Option<Dialect>,
    /// Layers that begin anew although there is a checkpoint.
    pub reinitialised: Vec<String>,
    pub notes: Vec<String>,
}

impl Start {
    /// Of a run that is gone on with: its own checkpoint brings the weights, and what it began with may be gone.
    pub fn of_resumed(config: &Config) -> Self {
        let begun_with = Some(&config.pre_trained).filter(|path| !path.is_empty());
        Self {
            weights: Weights::default(),
            checkpoint: begun_with.map(PathBuf::from),
            backbone: None,
            dialect: None,
            reinitialised: Vec::new(),
            notes: Vec::new(),
        }
    }
}

/// The configuration that a checkpoint brings along, without what belonged to the run that made it.
pub(super) fn own_config(checkpoint: &Path) -> Result<Config, JobError> {
    let own = weights::load(checkpoint, None, &LoadOptions::default())?.config;
    let new = Config::default();
    Ok(Config {
        brief: String::new(),
        train_outputs: new.train_outputs,
        train_dataset: String::new(),
        val_dataset: String::new(),
        pre_trained: String::new(),
        finetune: false,
        run_eval: true,
        train_dataset_num: 0,
        train_dataset_divider: 0,
        device_num: 1,
        run_distribute: false,
        rank_id: 0,
        ..own
    })
}

/// `pre_trained` if there is one, else `backbone.pretrained` if it is there, else new values.
pub(super) fn weights(config: &Config) -> Result<Start, JobError> {
    let mut start = Start {
        weights: initial_weights(config, config.seed),
        checkpoint: None,
        backbone: None,
        dialect: None,
        reinitialised: Vec::new(),
        notes: Vec::new(),
    };
    if !config.pre_trained.is_empty() {
        detector(config, Path::new(&config.pre_trained), &mut start)?;
        return Ok(start);
    }
    let backbone = Path::new(&config.backbone.pretrained);
    if !config.backbone.pretrained.is_empty() && backbone.is_file() {
        let loaded = weights::load_backbone(backbone, config)?;
        start.notes.extend(loaded.notes);
        start.weights = laid_over(config, &start.weights, |name, shape| {
            name.starts_with("backbone.")
                .then(|| loaded.weights.values(name, shape))
                .transpose()
        })?;
        start.backbone = Some(backbone.to_owned());
    } else if !config.backbone.pretrained.is_empty() {
        start.notes.push(format!(
            "there is no {}: the backbone starts from random values",
            backbone.display()
        ));
    }
    Ok(start)
}

/// Every tensor of a shallow network is also in a deep one of the same width: nothing would be missing.
fn deeper(config: &Config, path: &Path, weights: &Weights) -> Result<(), JobError> {
    let wanted: BTreeSet<String> = parameters(config).into_iter().map(|p| p.name).collect();
    let is_extra = |name: &&str| name.starts_with("backbone.layer") && !wanted.contains(*name);
    match weights.names().find(is_extra) {
        None => Ok(()),
        Some(name) => Err(TrainJobError::Deeper {
            path: path.to_owned(),
            name: name.to_owned(),
        }
        .into()),
    }
}

fn detector(config: &Config, path: &Path, start: &mut Start) -> Result<(), JobError> {
    let options = LoadOptions {
        dialect: config.dialect,
        ..LoadOptions::default()
    };
    let loaded = match weights::load(path, Some(config), &options) {
        // Another number of classes is what fine-tuning is for: read it with its own.
        Err(error @ WeightsError::Mismatch { .. }) if config.finetune => {
            match with_classes_of(config, &error) {
                Some(own) => weights::load(path, Some(&own), &options)?,
                None => return Err(error.into()),
            }
        }
        Err(error @ WeightsError::Mismatch { .. }) => return Err(unfit(error, path)),
        other => other?,
    };
    let fresh = |name: &str| config.finetune && is_class_layer(name, config);
    let mut without_head = false;
    for parameter in parameters(config) {
        let (name, want) = (parameter.name, parameter.shape);
        let got = loaded.weights.shape(&name).map(<[usize]>::to_vec);
        if fresh(&name) {
            if let Some(layer) = name.strip_suffix(".weight") {
                start.reinitialised.push(layer.to_owned());
            }
        } else if got.is_none() && name.starts_with("roi_head.mask_iou_head.") {
            without_head = true;
        } else if got.as_deref() != Some(&want) {
            return Err(TrainJobError::Start {
                path: path.to_owned(),
                name,
                got: got.unwrap_or_default(),
                want,
                hint: "is it a checkpoint of this architecture?",
            }
            .into());
        }
    }
    deeper(config, path, &loaded.weights)?;
    if without_head {
        start
            .notes
            .push("the checkpoint has no mask-IoU head: it starts from random values".into());
    }
    start.weights = laid_over(config, &start.weights, |name, shape| {
        let there = loaded.weights.shape(name).is_some() && !fresh(name);
        there
            .then(|| loaded.weights.values(name, shape))
            .transpose()
    })?;
    let LoadedCheckpoint { dialect, notes, .. } = loaded;
    start.dialect = Some(dialect);
    start.notes.extend(notes);
    if !start.reinitialised.is_empty() {
        let layers = start.reinitialised.join(", ");
        start
            .notes
            .push(format!("re-initialised for these classes: {layers}"));
    }
    start.checkpoint = Some(path.to_owned());
    Ok(())
}

/// The configuration with as many classes as the checkpoint of a mismatch has, for reading it.
fn with_classes_of(config: &Config, error: &WeightsError) -> Option<Config> {
    let WeightsError::Mismatch { mismatch, .. } = error else {
        return None;
    };
    let scores = format!("{}.bias", CLASS_LAYERS[0]);
    let found = mismatch.misshapen.iter();
    let count = *found
        .clone()
        .find(|it| it.canonical == scores)?
        .got
        .first()?;
    let mut own = Config {
        num_classes: count,
        ..config.clone()
    };
    own.coco_classes = std::iter::once("background".to_owned())
        .chain((1..count).map(|label| format!("class {label}")))
        .collect();
    Some(own)
}

/// The mismatch of a checkpoint whose classes are to be kept.
fn unfit(error: WeightsError, path: &Path) -> JobError {
    let classes = match &error {
        WeightsError::Mismatch { mismatch, .. } => mismatch.misshapen.iter().find(|tensor| {
            CLASS_LAYERS
                .iter()
                .any(|layer| tensor.canonical.starts_with(layer))
        }),
        _ => None,
    };
    match classes {
        Some(tensor) => TrainJobError::Start {
            path: path.to_owned(),
            name: tensor.canonical.clone(),
            got: tensor.got.clone(),
            want: tensor.want.clone(),
            hint: "for other classes give --set finetune=1, which begins the layers that depend on them anew",
        }
        .into(),
        None => error.into(),
    }
}

/// A class-agnostic regressor does not depend on the classes.
fn is_class_layer(name: &str, config: &Config) -> bool {
    let layer = CLASS_LAYERS.iter().find(|layer| name.starts_with(*layer));
    layer.is_some_and(|layer| !(config.bbox_head.reg_class_agnostic && layer.ends_with("fc_reg")))
}

/// `base` with the values that `values` has.
fn laid_over(
    config: &Config,
    base: &Weights,
    values: impl Fn(&str, &[usize]) -> Result<Option<Vec<f32>>, WeightsError>,
) -> Result<Weights, WeightsError> {
    let mut tensors = BTreeMap::new();
    for parameter in parameters(config) {
        let (name, shape) = (parameter.name, parameter.shape);
        let own = match values(&name, &shape)? {
            Some(values) => values,
            None => base.values(&name, &shape)?,
        };
        tensors.insert(name, (shape, own));
    }
    Ok(Weights::from_memory(base.path(), tensors))
}
