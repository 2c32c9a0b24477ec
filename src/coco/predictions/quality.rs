//! `OUTPUT.quality.json`: the two free estimates of each mask, in the order of the predictions beside it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::coco::PredictionFile;
use crate::structures::{Detection, MaskQuality};

/// The estimates of one mask.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub(super) struct Quality {
    stability: f64,
    mean_foreground: f64,
}

/// The file beside a prediction file.
pub(super) fn path_beside(output: &Path) -> PathBuf {
    let mut name = output.as_os_str().to_owned();
    name.push(".quality.json");
    name.into()
}

/// Estimates by descending `score`, as the predictions are written; empty where no detection has any.
pub(super) fn of_detections(detections: &[Detection]) -> Vec<Option<Quality>> {
    if detections
        .iter()
        .all(|detection| detection.quality.is_none())
    {
        return Vec::new();
    }
    let mut sorted: Vec<&Detection> = detections.iter().collect();
    sorted.sort_by(|a, b| b.score.total_cmp(&a.score));
    sorted
        .into_iter()
        .map(|detection| detection.quality.filter(is_finite).map(Quality::from))
        .collect()
}

fn is_finite(quality: &MaskQuality) -> bool {
    quality.stability.is_finite() && quality.mean_foreground.is_finite()
}

/// Adds the estimates of the side file, where there is one; what does not fit is said in the notes.
pub(super) fn merge(path: &Path, file: &mut PredictionFile) {
    let beside = path_beside(path);
    let Ok(bytes) = std::fs::read(&beside) else {
        return; // most files have none
    };
    let name = beside.display();
    let estimates: HashMap<String, Vec<Option<Quality>>> = match serde_json::from_slice(&bytes) {
        Ok(estimates) => estimates,
        Err(error) => {
            file.notes.push(format!(
                "{name} was left out: {error}; run `infer` again to have it"
            ));
            return;
        }
    };
    for image in &mut file.images {
        let Some(values) = estimates.get(&image.path) else {
            continue;
        };
        if values.len() != image.detections.len() {
            file.notes.push(format!(
                "{name} has {} estimates for the {} predictions on {}: left out",
                values.len(),
                image.detections.len(),
                image.path
            ));
            continue;
        }
        for (detection, value) in image.detections.iter_mut().zip(values) {
            detection.quality = value.map(MaskQuality::from);
        }
    }
}

impl From<MaskQuality> for Quality {
    fn from(quality: MaskQuality) -> Self {
        Self {
            stability: quality.stability,
            mean_foreground: quality.mean_foreground,
        }
    }
}

impl From<Quality> for MaskQuality {
    fn from(quality: Quality) -> Self {
        Self {
            stability: quality.stability,
            mean_foreground: quality.mean_foreground,
        }
    }
}
