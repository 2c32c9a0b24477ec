//! Reading a prediction file image by image, whatever its form.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, Visitor};

use super::{quality, results};
use crate::coco::{CocoError, PredictedImage, PredictionFile, file, rle_string};
use crate::structures::{BoxXywh, ClassTable, Detection, Rle, Size};

/// More classes than any data set has; a larger label would only reserve memory.
const MAX_LABEL: usize = 1_000_000;

/// Category id of a label that no prediction of the file has.
const NO_CATEGORY: i64 = -1;

/// Reads our prediction JSON, or a list of COCO results (boxes and masks).
///
/// Of our JSON, an absent `mask_iou` becomes `iou_score / score` and null means that no trained head exists; keys that
/// are not ours are skipped. Of COCO results, `path` is the image id, labels number the category ids in ascending
/// order, and entries without a mask are left out and counted in `notes`.
///
/// # Errors
/// A file that cannot be read, broken JSON, masks that do not fit: with line and column.
pub fn read(path: &Path) -> Result<PredictionFile, CocoError> {
    let mut file = read_bytes(path, &file::read(path)?)?;
    quality::merge(path, &mut file);
    Ok(file)
}

/// As `read`, from bytes in memory and without a side file; `name` stands for the file in errors.
///
/// # Errors
/// As `read`.
pub fn read_bytes(name: &Path, bytes: &[u8]) -> Result<PredictionFile, CocoError> {
    let first = bytes.iter().find(|byte| !byte.is_ascii_whitespace());
    match first {
        Some(b'[') => results::from_bytes(name, bytes),
        Some(b'{') => ours_from_bytes(name, bytes),
        _ => Err(CocoError::Kind {
            path: name.to_owned(),
            wanted: "a prediction file (JSON object of images, or list of COCO results)",
            found: first.map_or("nothing but blanks".into(), |&byte| {
                format!("`{}`", char::from(byte).escape_default())
            }),
        }),
    }
}

fn ours_from_bytes(path: &Path, bytes: &[u8]) -> Result<PredictionFile, CocoError> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let file = Images
        .deserialize(&mut reader)
        .and_then(|file| reader.end().map(|()| file))
        .map_err(|error| CocoError::json(path, &error))?;
    Ok(file)
}

/// Turns every image into ours as soon as it is read.
struct Images;

impl<'de> DeserializeSeed<'de> for Images {
    type Value = PredictionFile;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Images {
    type Value = PredictionFile;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of image paths")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut file = PredictionFile::default();
        let mut classes = Classes::default();
        while let Some(path) = map.next_key::<String>()? {
            if DATASET_KEYS.contains(&path.as_str()) {
                map.next_value::<IgnoredAny>()?;
                return Err(A::Error::custom(format!(
                    "`{path}` is a key of a COCO data set, not an image with predictions: open it as a data set"
                )));
            }
            let entry = map.next_value::<ReadEntry<'de>>()?;
            let image = entry
                .into_image(path, &mut classes)
                .map_err(A::Error::custom)?;
            file.images.push(image);
        }
        file.classes = classes.table();
        file.notes = classes.notes;
        Ok(file)
    }
}

const DATASET_KEYS: [&str; 5] = ["images", "annotations", "categories", "licenses", "info"];

#[derive(Deserialize)]
struct ReadEntry<'a> {
    height: usize,
    width: usize,
    #[serde(borrow)]
    predictions: Vec<ReadPrediction<'a>>,
}

#[derive(Deserialize)]
struct ReadPrediction<'a> {
    bbox: ReadBox,
    #[serde(borrow)]
    class: ReadClass<'a>,
    #[serde(borrow)]
    mask: ReadMask<'a>,
    score: f64,
    iou_score: Option<f64>,
    #[serde(default, deserialize_with = "present")]
    mask_iou: Option<Option<f64>>,
}

#[derive(Deserialize)]
struct ReadBox {
    x_min: f64,
    y_min: f64,
    width: f64,
    height: f64,
}

#[derive(Deserialize)]
struct ReadClass<'a> {
    label: usize,
    #[serde(default, deserialize_with = "known_id")]
    category_id: Option<i64>,
    #[serde(default, borrow)]
    name: Option<Cow<'a, str>>,
}

/// A mask in either spelling of COCO.
#[derive(Deserialize)]
pub(super) struct ReadMask<'a> {
    size: [usize; 2],
    #[serde(borrow)]
    counts: Counts<'a>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Counts<'a> {
    Text(#[serde(borrow)] Cow<'a, str>),
    Runs(Vec<u32>),
}

/// Tells a null from an absent key.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<f64>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// An integer, or whatever else a file writes for an id that is not known.
fn known_id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    serde_json::Value::deserialize(deserializer).map(|value| value.as_i64())
}

impl ReadMask<'_> {
    /// Height and width as declared, as a size.
    pub(super) fn size(&self) -> Size {
        Size::new(self.size[1], self.size[0])
    }

    /// The mask, checked.
    pub(super) fn to_rle(&self) -> Result<Rle, String> {
        let size = self.size();
        match &self.counts {
            Counts::Text(text) => rle_string::decode(text, size).map_err(|error| error.to_string()),
            Counts::Runs(runs) => {
                rle_string::from_runs(runs.clone(), size).map_err(|error| error.to_string())
            }
        }
    }
}

impl ReadEntry<'_> {
    fn into_image(self, path: String, classes: &mut Classes) -> Result<PredictedImage, String> {
        let size = Size::new(self.width, self.height);
        if size.pixels() == 0 || size.pixels() > u32::MAX as usize {
            return Err(format!("image {path} has a size of {size}"));
        }
        let mut detections = Vec::with_capacity(self.predictions.len());
        for (index, prediction) in self.predictions.iter().enumerate() {
            let detection = prediction
                .to_detection(size, classes)
                .map_err(|reason| format!("prediction {index} on {path}: {reason}"))?;
            detections.push(detection);
        }
        Ok(PredictedImage {
            path,
            size,
            detections,
        })
    }
}

impl ReadPrediction<'_> {
    fn to_detection(&self, image: Size, classes: &mut Classes) -> Result<Detection, String> {
        let mask = self.mask.size();
        if mask != image {
            return Err(format!("its mask is {mask}, the image {image}"));
        }
        classes.see(&self.class)?;
        let mask_iou = match (self.mask_iou, self.iou_score) {
            (Some(given), _) => given,
            (None, Some(iou_score)) if self.score != 0.0 => Some(iou_score / self.score),
            _ => None,
        };
        let iou_score = self
            .iou_score
            .unwrap_or_else(|| self.score * mask_iou.unwrap_or(1.0));
        Ok(Detection {
            bbox: BoxXywh::new(
                self.bbox.x_min,
                self.bbox.y_min,
                self.bbox.width,
                self.bbox.height,
            ),
            label: self.class.label,
            score: self.score,
            mask_iou,
            iou_score,
            mask: self.mask.to_rle()?,
            quality: None,
        })
    }
}

/// Names and ids as the predictions mention them.
#[derive(Default)]
struct Classes {
    seen: BTreeMap<usize, (Option<String>, Option<i64>)>,
    notes: Vec<String>,
}

impl Classes {
    fn see(&mut self, class: &ReadClass<'_>) -> Result<(), String> {
        if class.label > MAX_LABEL {
            return Err(format!("label {} is beyond any class", class.label));
        }
        let (name, known_id) = self.seen.entry(class.label).or_default();
        match (&name, &class.name) {
            (None, Some(new)) => *name = Some(new.clone().into_owned()),
            (Some(old), Some(new)) if old != new => {
                let note = format!(
                    "label {} is named both `{old}` and `{new}`: `{old}` is shown",
                    class.label
                );
                if !self.notes.contains(&note) {
                    self.notes.push(note);
                }
            }
            _ => {}
        }
        *known_id = known_id.or(class.category_id);
        Ok(())
    }

    fn table(&self) -> ClassTable {
        let Some((&last, _)) = self.seen.last_key_value() else {
            return ClassTable::default();
        };
        let name = |label| {
            self.seen
                .get(&label)
                .and_then(|(name, _)| name.clone())
                .unwrap_or_else(|| format!("class {label}"))
        };
        let names = (0..=last).map(name).collect();
        // A table has an id for every label or for none; a label that never occurs gets one that no set has.
        let category_ids = if self.seen.values().all(|(_, id)| id.is_some()) {
            (0..=last).map(|label| self.id(label)).collect()
        } else {
            Vec::new()
        };
        ClassTable {
            names,
            category_ids,
        }
    }

    fn id(&self, label: usize) -> i64 {
        let known = self.seen.get(&label).and_then(|&(_, id)| id);
        known.unwrap_or(NO_CATEGORY)
    }
}
