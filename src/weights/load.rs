//! Loading a detector or a backbone from a file of any format.

use std::path::{Path, PathBuf};

use crate::config::{Config, Dialect, DialectChoice, Style};
use crate::structures::ClassTable;

use super::canonical::{self, IOU_HEAD, Parameter};
use super::error::WeightsError;
use super::names::Naming;
use super::opened::Opened;
use super::resolve::{self, Resolved};
use super::survey::Survey;
use super::tensors::Weights;

/// How the class columns of the mask-IoU head of a MindSpore checkpoint are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum IouColumns {
    /// Column c is class c.
    #[default]
    Keep,
    /// Column c + 1 is class c, as training with labels from 1 leaves it; the last class gets the mean.
    Shift,
}

/// What the user chose about reading a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct LoadOptions {
    /// Wins over the configuration's and the file's.
    pub dialect: DialectChoice,
    /// For MindSpore checkpoints only.
    pub iou_columns: IouColumns,
}

/// Whether the mask-IoU head of a checkpoint was trained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IouHead {
    /// `mask_iou` means something.
    Trained,
    /// A plain Mask R-CNN: `mask_iou` is absent, `iou_score` is `score`.
    Untrained,
}

impl IouHead {
    /// As in checkpoint metadata.
    pub fn name(self) -> &'static str {
        match self {
            Self::Trained => "trained",
            Self::Untrained => "untrained",
        }
    }
}

/// A checkpoint ready to build a detector from.
#[derive(Debug)]
pub struct LoadedCheckpoint {
    /// The file.
    pub path: PathBuf,
    /// Every tensor of the model under its canonical name. Of an untrained mask-IoU head there may be none.
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

/// Loads a detector. Without `config` the file's own configuration counts, else sizes are read off its tensors.
/// Values stay in the file until they are asked for.
///
/// # Errors
/// A file that cannot be read; one that is no detector; every tensor that is missing, left over or misshapen.
pub fn load(
    path: &Path,
    config: Option<&Config>,
    options: &LoadOptions,
) -> Result<LoadedCheckpoint, WeightsError> {
    let opened = Opened::open(path)?;
    let survey = survey(&opened, options)?;
    let resolved = resolve::resolve(&survey, config, options.dialect, false)?;
    let wanted = wanted(&survey, &resolved.config);
    check(&survey, &resolved, &wanted)?;
    let iou_head = iou_head(&survey);
    let mut notes = opened.notes.clone();
    notes.extend(newer_version(&opened));
    notes.extend(resolved.notes);
    if iou_head == IouHead::Untrained {
        notes.push(
            "the mask-IoU head is not trained: mask_iou is absent and iou_score is score".into(),
        );
    }
    Ok(LoadedCheckpoint {
        path: path.to_owned(),
        weights: survey.weights(&wanted),
        config: resolved.config,
        dialect: resolved.dialect,
        classes: resolved.classes,
        iou_head,
        notes,
    })
}

/// A note for a file of a later version of this program.
fn newer_version(opened: &Opened) -> Option<String> {
    let ours = opened
        .metadata
        .get("format")
        .is_some_and(|f| f == "maskscope");
    let version = opened.metadata.get("version").map_or("1", String::as_str);
    (ours && version != "1").then(|| {
        format!("the file is of format version {version}, this program knows version 1: what is new in it is ignored")
    })
}

/// Places the tensors of a detector.
fn survey<'a>(opened: &'a Opened, options: &LoadOptions) -> Result<Survey<'a>, WeightsError> {
    let shift = options.iou_columns == IouColumns::Shift;
    let survey = Survey::new(opened, shift);
    if let Some(refusal) = survey.refusal() {
        return Err(refusal);
    }
    if shift && survey.naming != Naming::Mindspore {
        return Err(WeightsError::ShiftNotMindspore {
            kind: survey.naming.name(),
            path: opened.path.clone(),
        });
    }
    Ok(survey)
}

/// The tensors that the model needs; without any of a mask-IoU head in the file it is a plain Mask R-CNN.
pub(super) fn wanted(survey: &Survey<'_>, config: &Config) -> Vec<Parameter> {
    let mut wanted = canonical::parameters(config);
    if !survey.has_iou_head() {
        wanted.retain(|parameter| !parameter.name.starts_with(IOU_HEAD));
    }
    wanted
}

pub(super) fn iou_head(survey: &Survey<'_>) -> IouHead {
    let said_untrained = survey
        .opened
        .metadata
        .get("iou_head")
        .is_some_and(|state| state == "untrained");
    if survey.has_iou_head() && !said_untrained {
        IouHead::Trained
    } else {
        IouHead::Untrained
    }
}

/// One error with everything that does not fit.
fn check(
    survey: &Survey<'_>,
    resolved: &Resolved,
    wanted: &[Parameter],
) -> Result<(), WeightsError> {
    let path = survey.opened.path.clone();
    let mut mismatch = survey.compare(wanted);
    if mismatch.is_empty() {
        return match &resolved.widths_problem {
            Some(problem) => Err(WeightsError::Widths {
                problem: problem.clone(),
                path,
            }),
            None => Ok(()),
        };
    }
    mismatch.hints = hints(survey, resolved);
    Err(WeightsError::Mismatch {
        mismatch: Box::new(mismatch),
        path,
    })
}

/// What explains a mismatch.
pub(super) fn hints(survey: &Survey<'_>, resolved: &Resolved) -> Vec<String> {
    let mut hints: Vec<String> = resolved.widths_problem.iter().cloned().collect();
    let (have, want) = (
        survey.classes.classes(),
        resolved.config.num_classes.saturating_sub(1),
    );
    if have != want && have > 0 {
        hints.push(format!(
            "the checkpoint has {have} classes, the configuration {want} (num_classes {})",
            resolved.config.num_classes
        ));
    }
    let mut read_off = resolved.config.clone();
    if super::widths::backbone_only(&mut read_off, &survey.shapes()).is_ok() {
        let (have, want) = (read_off.backbone, &resolved.config.backbone);
        if have.depth != want.depth {
            hints.push(format!(
                "the checkpoint's backbone has depth {}, the configuration's {}",
                have.depth, want.depth
            ));
        }
        if have.base_channels != want.base_channels {
            hints.push(format!(
                "the checkpoint has backbone.base_channels {}, the configuration {}",
                have.base_channels, want.base_channels
            ));
        }
    }
    hints
}

/// Backbone weights for a training to start from.
#[derive(Debug)]
pub struct LoadedBackbone {
    /// The file.
    pub path: PathBuf,
    /// The backbone's tensors, with the prefix `backbone.`.
    pub weights: Weights,
    /// What a user should know.
    pub notes: Vec<String>,
}

/// Loads the backbone that `config` describes from a ResNet of torchvision or MindSpore, or from a detector.
///
/// # Errors
/// A file that cannot be read; every tensor of the backbone that is missing, left over or misshapen.
pub fn load_backbone(path: &Path, config: &Config) -> Result<LoadedBackbone, WeightsError> {
    let opened = Opened::open(path)?;
    let mut survey = Survey::new(&opened, false);
    if survey.naming == Naming::Unknown && survey_has_backbone(&opened) {
        // A classifier of mmpretrain: the backbone under its detector name.
        survey = Survey::with_naming(&opened, Naming::Mmdet, false);
    }
    let alone = matches!(
        survey.naming,
        Naming::TorchBackbone | Naming::MindsporeBackbone
    );
    if !alone && let Some(refusal) = survey.refusal() {
        return Err(refusal);
    }
    resolve::check_sizes(config).map_err(|problem| WeightsError::Config {
        problem,
        path: path.to_owned(),
    })?;
    let wanted = canonical::backbone_parameters(config);
    let mut mismatch = survey.compare(&wanted);
    if !alone {
        // The rest of the detector is not asked for.
        mismatch.left_over.clear();
    }
    if !mismatch.is_empty() {
        return Err(WeightsError::Mismatch {
            mismatch: Box::new(mismatch),
            path: path.to_owned(),
        });
    }
    let mut notes = opened.notes.clone();
    if survey.naming == Naming::TorchBackbone
        && (config.backbone.style == Style::Caffe || config.img_std == [1.0; 3] || !config.to_rgb)
    {
        notes.push("names like torchvision's: its ImageNet weights want backbone.style pytorch, to_rgb 1, img_mean [123.675, 116.28, 103.53] and img_std [58.395, 57.12, 57.375]; the configuration has Caffe's, which is right only for weights converted from Caffe".into());
    }
    Ok(LoadedBackbone {
        path: path.to_owned(),
        weights: survey.weights(&wanted),
        notes,
    })
}

fn survey_has_backbone(opened: &Opened) -> bool {
    opened
        .tensors
        .iter()
        .any(|(name, _)| name == "backbone.conv1.weight")
}
