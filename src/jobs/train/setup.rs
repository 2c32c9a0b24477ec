//! From a request to everything a run needs: configuration, sets, labels, weights.

use std::path::{Path, PathBuf};

use super::start::{self, Start};
use super::{TrainJobError, TrainRequest, folder, prepare};
use crate::coco::dataset::{Dataset, Role};
use crate::config::{Config, Dialect, DialectChoice, preset};
use crate::jobs::JobError;
use crate::structures::ClassTable;

/// Names of categories told one by one.
const SHOWN: usize = 6;

/// What a run begins with.
pub(super) struct Setup {
    pub config: Config,
    pub dialect: Dialect,
    pub classes: ClassTable,
    pub train: Dataset,
    /// Label of the model for each label of the set; `None` where the model has no such class.
    pub labels: Vec<Option<usize>>,
    pub val: Option<PathBuf>,
    pub start: Start,
    /// For the log.
    pub notes: Vec<String>,
    /// The one of them that says that no name was of help.
    pub by_order: Option<String>,
}

impl Setup {
    /// Opens what the configuration names. Sets that have to be derived go into `folder`.
    pub fn of(
        request: &TrainRequest,
        mut config: Config,
        mut notes: Vec<String>,
        folder: &Path,
    ) -> Result<Self, JobError> {
        if config.train_dataset.is_empty() {
            return Err(TrainJobError::NoTrainData.into());
        }
        prepare::sets(request, &mut config, folder, &mut notes)?;
        let train = Dataset::open_as(Path::new(&config.train_dataset), Role::Train, None)?;
        notes.extend(
            train
                .notes()
                .iter()
                .map(|note| format!("{}: {note}", train.json().display())),
        );
        let (labels, by_order) = labels(&mut config, &train, request, &mut notes)?;
        notes.extend(config.validate()?);
        let start = match &request.resume {
            Some(_) => Start::of_resumed(&config),
            None => start::weights(&config)?,
        };
        notes.extend(start.notes.iter().cloned());
        let dialect = match config.dialect {
            DialectChoice::Mindspore => Dialect::Mindspore,
            DialectChoice::Mmdet => Dialect::Mmdet,
            DialectChoice::Auto => start.dialect.unwrap_or(Dialect::Mindspore),
        };
        let mut said = std::collections::HashSet::new();
        notes.retain(|note| said.insert(note.clone()));
        Ok(Self {
            classes: class_table(&config, &train, &labels),
            val: validation(&config),
            config,
            dialect,
            train,
            labels,
            start,
            notes,
            by_order,
        })
    }
}

/// The validation set, if one is to be measured on.
fn validation(config: &Config) -> Option<PathBuf> {
    let is_given = config.run_eval && !config.val_dataset.is_empty();
    is_given.then(|| PathBuf::from(&config.val_dataset))
}

/// The configuration in force with the request's paths and settings.
pub(super) fn configuration(request: &TrainRequest) -> Result<(Config, Vec<String>), JobError> {
    let (mut config, mut notes) = match (&request.resume, &request.config, &request.pretrained) {
        (Some(run), ..) => {
            let path = folder::config_path(run);
            if !path.is_file() {
                return Err(TrainJobError::NothingToResume {
                    path: run.clone(),
                    hint: ": there is no config.yaml in it".into(),
                }
                .into());
            }
            Config::load(&path)?
        }
        (None, Some(path), _) => named(path)?,
        (None, None, Some(checkpoint)) => (start::own_config(checkpoint)?, Vec::new()),
        (None, None, None) => (Config::default(), Vec::new()),
    };
    let begun_with = request.resume.is_some().then(|| config.clone());
    let text = |path: &PathBuf| path.to_string_lossy().into_owned();
    for (key, given) in [
        (&mut config.train_dataset, request.train_data.as_ref()),
        (&mut config.val_dataset, request.val_data.as_ref()),
        (&mut config.train_outputs, request.out.as_ref()),
        (&mut config.pre_trained, request.pretrained.as_ref()),
    ] {
        if let Some(path) = given {
            *key = text(&prepare::absolute(path));
        }
    }
    if let Some(brief) = &request.brief {
        config.brief.clone_from(brief);
    }
    // Whoever names images to measure on wants AP.
    config.run_eval |= request.val_data.is_some() || request.changes.val_fraction.is_some();
    for setting in &request.set {
        notes.extend(config.set(setting)?);
    }
    // The run is resumed, and its folder looked at, from elsewhere too.
    for path in [
        &mut config.train_dataset,
        &mut config.val_dataset,
        &mut config.pre_trained,
        &mut config.backbone.pretrained,
    ] {
        if exists(path) {
            *path = text(&prepare::absolute(Path::new(path.as_str())));
        }
    }
    config.train_outputs = text(&prepare::absolute(Path::new(&config.train_outputs)));
    if let Some(begun_with) = begun_with {
        unchanged(&begun_with, &config)?;
    }
    let is_split = request.changes.val_fraction.is_some();
    let is_asked = request.resume.is_some() || request.val_data.is_some() || is_split;
    if !is_asked && !exists(&config.val_dataset) {
        if config.run_eval {
            notes.push(format!(
                "the validation set {} is not there: no AP is measured; --val-data names one",
                config.val_dataset
            ));
        }
        config.val_dataset.clear();
    }
    Ok((config, notes))
}

fn exists(path: &str) -> bool {
    !path.is_empty() && Path::new(path).exists()
}

/// A file, or a shipped configuration by its name.
fn named(path: &Path) -> Result<(Config, Vec<String>), JobError> {
    let name = path.to_string_lossy();
    if !path.exists() && !name.contains(['/', '\\']) {
        return Ok((preset(&name)?, Vec::new()));
    }
    Ok(Config::load(path)?)
}

/// Of a run's configuration only `epoch_size` and paths may change on resume.
fn unchanged(have: &Config, asked: &Config) -> Result<(), TrainJobError> {
    const FREE: [&str; 10] = [
        "epoch_size",
        "train_outputs",
        "train_dataset",
        "val_dataset",
        "pre_trained",
        "pretrained",
        "device_target",
        "num_parallel_workers",
        "device_num",
        "run_distribute",
    ];
    let (have, asked) = (have.to_yaml(), asked.to_yaml());
    let differs = have.lines().zip(asked.lines()).find(|(have, asked)| {
        let key = have.trim_start().split(':').next().unwrap_or_default();
        have != asked && !FREE.contains(&key)
    });
    let Some((have, asked)) = differs else {
        return Ok(());
    };
    let parts = |line: &str| {
        let (key, value) = line.split_once(':').unwrap_or((line, ""));
        (key.trim().to_owned(), value.trim().to_owned())
    };
    Err(TrainJobError::Changed {
        key: parts(have).0,
        have: parts(have).1,
        asked: parts(asked).1,
    })
}

/// The model's label of each of the set's: by name where all are known; else the set's own classes where they may be
/// taken over; else by order where there are as many, with the note that says so.
fn labels(
    config: &mut Config,
    train: &Dataset,
    request: &TrainRequest,
    notes: &mut Vec<String>,
) -> Result<(Vec<Option<usize>>, Option<String>), TrainJobError> {
    let names = &train.classes().names;
    let known = |config: &Config, name: &String| {
        let classes = config.coco_classes.iter().skip(1);
        classes.into_iter().position(|class| class == name)
    };
    let unknown: Vec<&String> = names
        .iter()
        .filter(|name| known(config, name).is_none())
        .collect();
    let fresh = request.resume.is_none();
    let taken_over = request.classes_from_data || (config.finetune && !unknown.is_empty());
    if fresh && taken_over && !names.is_empty() {
        config.coco_classes = std::iter::once("background".to_owned())
            .chain(names.iter().cloned())
            .collect();
        config.num_classes = config.coco_classes.len();
        notes.push(format!(
            "classes of the training set: {}",
            some(names.iter())
        ));
    } else if !unknown.is_empty() {
        if names.len() + 1 != config.num_classes {
            return Err(TrainJobError::Classes {
                path: train.json().to_owned(),
                unknown: some(unknown.into_iter()),
                classes: config.num_classes.saturating_sub(1),
            });
        }
        let by_order = format!(
            "the categories {} are not among coco_classes: classes are taken by their order",
            some(unknown.into_iter())
        );
        notes.push(by_order.clone());
        let labels = (0..names.len()).map(Some).collect();
        return Ok((labels, Some(by_order)));
    }
    let labels = names.iter().map(|name| known(config, name)).collect();
    Ok((labels, None))
}

fn some<'a>(names: impl Iterator<Item = &'a String>) -> String {
    let all: Vec<&str> = names.map(String::as_str).collect();
    let shown = all
        .iter()
        .take(SHOWN)
        .copied()
        .collect::<Vec<_>>()
        .join(", ");
    match all.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// The model's classes, with the set's ids where every one of them is in the set.
fn class_table(config: &Config, train: &Dataset, labels: &[Option<usize>]) -> ClassTable {
    let names: Vec<String> = config.coco_classes.iter().skip(1).cloned().collect();
    let ids: Vec<i64> = (0..names.len())
        .filter_map(|label| {
            let of_set = labels.iter().position(|&own| own == Some(label))?;
            train.classes().category_id(of_set)
        })
        .collect();
    ClassTable {
        category_ids: if ids.len() == names.len() {
            ids
        } else {
            Vec::new()
        },
        names,
    }
}
