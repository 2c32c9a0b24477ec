//! One image of a prediction file as it is written: keys and their order.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::coco::{CocoError, PredictedImage, rle_string};
use crate::structures::{ClassTable, Detection, Rle};

/// What stands under an image's path.
#[derive(Serialize, Deserialize)]
pub(super) struct Entry {
    height: usize,
    width: usize,
    predictions: Vec<Prediction>,
    /// Keys of the file it was read from, behind ours.
    #[serde(flatten)]
    extra: Map<String, Value>,
}

#[derive(Serialize, Deserialize)]
struct Prediction {
    bbox: Bbox,
    class: Class,
    mask: Mask,
    score: f64,
    iou_score: f64,
    mask_iou: Option<f64>,
    #[serde(flatten)]
    extra: Map<String, Value>,
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
pub(super) struct Mask {
    size: [usize; 2],
    counts: String,
}

impl Entry {
    /// The entry of an image, predictions by descending `score` (ties as they come).
    pub(super) fn new(image: &PredictedImage, classes: &ClassTable) -> Result<Self, CocoError> {
        let extras = image.extra.as_deref();
        let mut sorted: Vec<(usize, &Detection)> = image.detections.iter().enumerate().collect();
        sorted.sort_by(|(_, a), (_, b)| b.score.total_cmp(&a.score));
        let predictions = sorted
            .into_iter()
            .map(|(index, detection)| {
                check_finite(&image.path, detection)?;
                let extra = extras.and_then(|extras| extras.detections.get(&index));
                Ok(Prediction::new(detection, classes, extra))
            })
            .collect::<Result<_, CocoError>>()?;
        Ok(Self {
            height: image.size.height,
            width: image.size.width,
            predictions,
            extra: extras
                .map(|extras| extras.image.clone())
                .unwrap_or_default(),
        })
    }
}

impl Prediction {
    fn new(
        detection: &Detection,
        classes: &ClassTable,
        extra: Option<&Map<String, Value>>,
    ) -> Self {
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
            mask: Mask::new(mask),
            score: detection.score,
            iou_score: detection.iou_score,
            mask_iou: detection.mask_iou,
            extra: extra.cloned().unwrap_or_default(),
        }
    }
}

impl Mask {
    pub(super) fn new(mask: &Rle) -> Self {
        Self {
            size: [mask.size().height, mask.size().width],
            counts: rle_string::encode(mask),
        }
    }
}

/// Refuses numbers that JSON cannot hold.
pub(super) fn check_finite(image: &str, detection: &Detection) -> Result<(), CocoError> {
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
