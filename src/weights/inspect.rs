//! What a checkpoint file holds and where each tensor goes, for any file that can be read.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::config::{Config, Dialect, DialectChoice};

use super::canonical::{self, Parameter};
use super::error::WeightsError;
use super::load::{self, IouHead};
use super::mismatch::Mismatch;
use super::names::{Naming, Place};
use super::opened::Opened;
use super::raw::element_count;
use super::resolve::{self, Resolved};
use super::rows::Rows;
use super::survey::Survey;
use super::widths;

/// Everything about one file.
#[derive(Clone, Debug, Serialize)]
pub struct Inspection {
    /// The file.
    pub path: PathBuf,
    /// Container format, for example `PyTorch (zip)`.
    pub format: &'static str,
    /// Whose names the tensors have.
    pub naming: &'static str,
    /// In the order of the file.
    pub tensors: Vec<InspectedTensor>,
    /// Values of all tensors in the file.
    pub values: usize,
    /// Values of the tensors that the model takes, BatchNorm statistics included.
    pub parameters: usize,
    /// The model that the file holds; `None` where it holds none that can be used.
    pub model: Option<InspectedModel>,
    /// Whether the tensors were compared with a model or a backbone; without it nothing can be missing.
    pub compared: bool,
    /// Whether it is a whole model, or a whole backbone.
    pub complete: bool,
    /// What the model needs and the file lacks, and so on.
    pub mismatch: Mismatch,
    /// Why it cannot be used as a detector.
    pub refusal: Option<String>,
    /// What a user should know.
    pub notes: Vec<String>,
    /// Metadata of safetensors.
    pub metadata: BTreeMap<String, String>,
}

/// One tensor of a file.
#[derive(Clone, Debug, Serialize)]
pub struct InspectedTensor {
    /// Name in the file.
    pub name: String,
    /// Element type.
    pub dtype: &'static str,
    /// Shape in the file.
    pub shape: Vec<usize>,
    /// Canonical name; `None` where it goes nowhere.
    pub canonical: Option<String>,
    /// `taken`, `rows reordered`, `skipped` (optimiser state, counters) or `left over`.
    pub place: &'static str,
}

/// The model in a file.
#[derive(Clone, Debug, Serialize)]
pub struct InspectedModel {
    /// For example `ResNet-50 caffe`.
    pub backbone: String,
    /// Width of its stem.
    pub base_channels: usize,
    /// Names of the foreground classes; empty for a backbone.
    pub classes: Vec<String>,
    /// `mindspore` or `mmdet`.
    pub dialect: &'static str,
    /// `trained` or `untrained`; `None` for a backbone.
    pub iou_head: Option<&'static str>,
    /// Size that images are fitted into, width and height.
    pub image_size: (usize, usize),
}

/// Looks into a file. Where it says nothing about its configuration, sizes are read off its tensors.
///
/// # Errors
/// Only a file that cannot be read.
pub fn inspect(path: &Path) -> Result<Inspection, WeightsError> {
    let opened = Opened::open(path)?;
    let survey = Survey::new(&opened, false);
    let refusal = survey.refusal();
    match survey.naming {
        Naming::TorchBackbone | Naming::MindsporeBackbone => Ok(backbone(&survey, refusal)),
        _ if refusal.is_some() => Ok(report(&survey, &[], None, refusal)),
        _ => {
            match resolve::resolve(&survey, None, DialectChoice::Auto, true) {
                Ok(resolved) => {
                    let wanted = load::wanted(&survey, &resolved.config);
                    Ok(report(&survey, &wanted, Some(resolved), None))
                }
                // A stored configuration that is broken: the tensors can be listed all the same.
                Err(error) => Ok(report(&survey, &[], None, Some(error))),
            }
        }
    }
}

/// A ResNet alone: its depth is read off, its style cannot be.
fn backbone(survey: &Survey<'_>, refusal: Option<WeightsError>) -> Inspection {
    let mut config = Config::default();
    let problem = widths::backbone_only(&mut config, &survey.shapes()).err();
    let wanted = if problem.is_none() {
        canonical::backbone_parameters(&config)
    } else {
        Vec::new()
    };
    let mut inspection = report(survey, &wanted, None, refusal);
    match problem {
        Some(problem) => inspection.notes.push(problem),
        None => {
            inspection.model = Some(InspectedModel {
                backbone: format!("ResNet-{}", config.backbone.depth),
                base_channels: config.backbone.base_channels,
                classes: Vec::new(),
                dialect: Dialect::Mindspore.name(),
                iou_head: None,
                image_size: (config.img_width, config.img_height),
            });
        }
    }
    inspection
}

fn report(
    survey: &Survey<'_>,
    wanted: &[Parameter],
    resolved: Option<Resolved>,
    refusal: Option<WeightsError>,
) -> Inspection {
    let opened = survey.opened;
    let mut mismatch = if wanted.is_empty() {
        Mismatch::default()
    } else {
        survey.compare(wanted)
    };
    let mut notes = opened.notes.clone();
    if let Some(resolved) = &resolved {
        mismatch.hints = load::hints(survey, resolved);
        notes.extend(resolved.notes.clone());
    }
    let iou_head = load::iou_head(survey);
    let tensors = tensors(survey, wanted);
    let parameters = tensors
        .iter()
        .zip(&survey.placed)
        .filter(|(tensor, _)| tensor.canonical.is_some())
        .filter_map(|(_, placed)| element_count(&placed.shape))
        .sum();
    Inspection {
        path: opened.path.clone(),
        format: opened.format.name(),
        naming: survey.naming.name(),
        values: opened
            .tensors
            .iter()
            .filter_map(|(_, tensor)| element_count(tensor.shape()))
            .fold(0, usize::saturating_add),
        parameters,
        compared: !wanted.is_empty(),
        complete: !wanted.is_empty() && mismatch.is_empty(),
        tensors,
        model: resolved.map(|resolved| model(resolved, iou_head)),
        mismatch,
        refusal: refusal.map(|refusal| refusal.to_string()),
        notes,
        metadata: opened.metadata.clone(),
    }
}

fn model(resolved: Resolved, iou_head: IouHead) -> InspectedModel {
    let config = resolved.config;
    InspectedModel {
        backbone: format!("ResNet-{} {}", config.backbone.depth, config.backbone.style),
        base_channels: config.backbone.base_channels,
        classes: resolved.classes.names,
        dialect: resolved.dialect.name(),
        iou_head: Some(iou_head.name()),
        image_size: (config.img_width, config.img_height),
    }
}

fn tensors(survey: &Survey<'_>, wanted: &[Parameter]) -> Vec<InspectedTensor> {
    let wanted: std::collections::BTreeSet<&str> = wanted.iter().map(|p| p.name.as_str()).collect();
    survey
        .opened
        .tensors
        .iter()
        .zip(&survey.placed)
        .map(|((name, tensor), placed)| {
            let (canonical, place) = match &placed.place {
                Place::Canonical(canonical) if wanted.contains(canonical.as_str()) => {
                    let place = match placed.rows {
                        Rows::All => "taken",
                        _ => "rows reordered",
                    };
                    (Some(canonical.clone()), place)
                }
                Place::Skip => (None, "skipped"),
                _ => (None, "left over"),
            };
            InspectedTensor {
                name: name.clone(),
                dtype: tensor.dtype().name(),
                shape: tensor.shape().to_vec(),
                canonical,
                place,
            }
        })
        .collect()
}
