//! One image of a prediction file as it is written: keys and their order.

use serde::{Deserialize, Serialize};

use crate::coco::{CocoError, PredictedImage, rle_string};
use crate::structures::{ClassTable, Detection};

/// What stands under an image's path.
#[derive(Serialize, Deserialize)]
pub(super) struct Entry {
    height: usize,
    width: usize,
    predictions: Vec<Prediction>,
}

#[derive(Serialize, Deserialize)]
struct Prediction {
    bbox: Bbox,
    class: Class,
    mask: Mask,
    score: f64,
    iou_score: f64,
    mask_iou: Option<f64>,
}

#[derive(Serialize, Deserialize)]
struct Bbox {
    x_min: f64,
    y_min: f64,
    width: f64,
    height: f64,
}

#[derive(Serialize, Deserialize)]
struct Class {
    label: usize,
    category_id: CategoryId,
    name: String,
}

/// The data set's id where it is known, else "unknown".
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum CategoryId {
    Known(i64),
    Unknown(String),
}

#[derive(Serialize, Deserialize)]
struct Mask {
    size: [usize; 2],
    counts: String,
}

impl Entry {
    /// The entry of an image, predictions by descending `score` (ties as they come).
    pub(super) fn new(image: &PredictedImage, classes: &ClassTable) -> Result<Self, CocoError> {
        let mut sorted: Vec<&Detection> = image.detections.iter().collect();
        sorted.sort_by(|a, b| b.score.total_cmp(&a.score));
        let predictions = sorted
            .into_iter()
            .map(|detection| {
                check_finite(&image.path, detection)?;
                Ok(Prediction::new(detection, classes))
            })
            .collect::<Result<_, CocoError>>()?;
        Ok(Self {
            height: image.size.height,
            width: image.size.width,
            predictions,
        })
    }
}

impl Prediction {
    fn new(detection: &Detection, classes: &ClassTable) -> Self {
        let (bbox, mask) = (detection.bbox, &detection.mask);
        Self {
            bbox: Bbox {
                x_min: bbox.x,
                y_min: bbox.y,
                width: bbox.width,
                height: bbox.height,
            },
            class: Class {
                label: detection.label,
                category_id: classes
                    .category_id(detection.label)
                    .map_or_else(|| CategoryId::Unknown("unknown".into()), CategoryId::Known),
                name: classes.name(detection.label),
            },
            mask: Mask {
                size: [mask.size().height, mask.size().width],
                counts: rle_string::encode(mask),
            },
            score: detection.score,
            iou_score: detection.iou_score,
            mask_iou: detection.mask_iou,
        }
    }
}

fn check_finite(image: &str, detection: &Detection) -> Result<(), CocoError> {
    let bbox = detection.bbox;
    let numbers = [
        ("x_min", bbox.x),
        ("y_min", bbox.y),
        ("width", bbox.width),
        ("height", bbox.height),
        ("score", detection.score),
        ("iou_score", detection.iou_score),
        ("mask_iou", detection.mask_iou.unwrap_or(0.0)),
    ];
    match numbers.into_iter().find(|(_, value)| !value.is_finite()) {
        None => Ok(()),
        Some((what, value)) => Err(CocoError::NotFinite {
            image: image.to_owned(),
            what,
            value,
        }),
    }
}
