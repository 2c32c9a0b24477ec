//! What an annotation's mask is made of, as people edit it: polygons stay polygons until something is painted.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Value, json};

use super::dataset::segmentation::{self, Segmentation};
use super::dataset::{AnnotationHead, Dataset, DatasetImage, mask_of, mask_size};
use super::polygon::MIN_COORDINATES;
use super::{CocoError, rle_string};
use crate::structures::{BoxXywh, EditableMask, Rle, Size};

/// The shape of an annotation.
#[derive(Clone, Debug, PartialEq)]
pub enum Shape {
    /// Flat `x, y, x, y, ..` of each part; holes do not exist.
    Polygons(Vec<Vec<f64>>),
    /// Run lengths, for everything painted and everything with a hole.
    Runs(Rle),
    /// A box without a mask: its rectangle.
    Box(BoxXywh),
}

/// Why a shape was refused.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum ShapeError {
    /// Too few corners.
    #[error(
        "part {part} of the polygon has {points} points: at least three are needed, draw more or leave it out"
    )]
    Degenerate {
        /// The part, from 1.
        part: usize,
        /// Its points.
        points: usize,
    },
    /// A corner that is nowhere.
    #[error("part {part} of the polygon has a coordinate that is no finite number")]
    NotFinite {
        /// The part, from 1.
        part: usize,
    },
    /// No part at all.
    #[error("the polygon has no part: draw one, or delete the annotation")]
    Empty,
    /// A mask of another image's size.
    #[error("the mask is {got}, its image {want}: make it at the size of the image")]
    Size {
        /// Of the mask.
        got: Size,
        /// Of the image.
        want: Size,
    },
    /// What COCO does not know.
    #[error("the segmentation cannot be used: {0}")]
    Segmentation(String),
}

impl Shape {
    /// The shape of an annotation as its record in the set's file has it.
    ///
    /// # Errors
    /// The file was changed since it was opened; the record's segmentation is none (`CocoError::Segmentation`).
    pub fn of_file(
        set: &Dataset,
        image: &DatasetImage,
        head: &AnnotationHead,
    ) -> Result<Self, CocoError> {
        let record = set.record(head)?;
        Self::of_record(&record, head.bbox, image).map_err(|reason| CocoError::Segmentation {
            path: set.json().to_owned(),
            annotation: head.id,
            reason,
        })
    }

    fn of_record(
        record: &[u8],
        bbox: Option<BoxXywh>,
        image: &DatasetImage,
    ) -> Result<Self, String> {
        let size = mask_size(image)?;
        Ok(match segmentation::of_record(record)? {
            Segmentation::Polygons(parts) => Self::Polygons(parts),
            Segmentation::Absent => Self::Box(bbox.ok_or("it has neither a mask nor a box")?),
            runs => Self::Runs(mask_of(&runs, bbox, size)?),
        })
    }

    /// Refuses what has no inside or does not fit an image.
    ///
    /// # Errors
    /// What is wrong and with which part.
    pub fn check(&self, image: Size) -> Result<(), ShapeError> {
        match self {
            Self::Polygons(parts) if parts.is_empty() => Err(ShapeError::Empty),
            Self::Polygons(parts) => (1..).zip(parts).try_for_each(|(number, part)| {
                if part.len() < MIN_COORDINATES || part.len() % 2 == 1 {
                    let points = part.len() / 2;
                    return Err(ShapeError::Degenerate {
                        part: number,
                        points,
                    });
                }
                let is_finite = part.iter().all(|value| value.is_finite());
                if is_finite {
                    Ok(())
                } else {
                    Err(ShapeError::NotFinite { part: number })
                }
            }),
            Self::Runs(mask) if mask.size() != image => Err(ShapeError::Size {
                got: mask.size(),
                want: image,
            }),
            Self::Runs(_) | Self::Box(_) => Ok(()),
        }
    }

    /// The mask at the size of the image, as pycocotools makes it.
    ///
    /// # Errors
    /// A sentence that says why there is none.
    pub fn mask(&self, size: Size) -> Result<Rle, String> {
        match self {
            Self::Polygons(parts) => super::polygon::rasterise(parts, size),
            Self::Runs(mask) if mask.size() == size => Ok(mask.clone()),
            Self::Runs(mask) => Err(format!("its mask is {}, the image {size}", mask.size())),
            Self::Box(bbox) => mask_of(&Segmentation::Absent, Some(*bbox), size),
        }
    }

    /// The shape as it is when the box `from` is moved and stretched to `to`, both in pixels of the image. Run lengths are
    /// sampled at the pixels' centres, and cut at the border; where the size stays they move by whole pixels.
    pub fn mapped(&self, from: BoxXywh, to: BoxXywh) -> Self {
        match self {
            Self::Polygons(parts) => {
                let scale = |to: f64, from: f64| if from > 0.0 { to / from } else { 1.0 };
                let (sx, sy) = (scale(to.width, from.width), scale(to.height, from.height));
                let place = |point: &[f64]| match point {
                    &[x, y] => vec![to.x + (x - from.x) * sx, to.y + (y - from.y) * sy],
                    other => other.to_vec(),
                };
                let part = |part: &Vec<f64>| part.chunks(2).flat_map(place).collect();
                Self::Polygons(parts.iter().map(part).collect())
            }
            Self::Runs(mask) => Self::Runs(EditableMask::mapped(mask, from, to).to_rle()),
            Self::Box(_) => Self::Box(to),
        }
    }

    /// As `segmentation` of a COCO record has it; a box has none.
    pub fn to_json(&self) -> Value {
        match self {
            Self::Polygons(parts) => json!(parts),
            Self::Runs(mask) => json!({
                "size": [mask.size().height, mask.size().width],
                "counts": rle_string::encode(mask),
            }),
            Self::Box(_) => Value::Null,
        }
    }

    /// Reads what `to_json` writes and every other spelling of COCO.
    ///
    /// # Errors
    /// No segmentation of COCO, or run lengths that do not fill their size.
    pub fn from_json(segmentation: &Value) -> Result<Self, ShapeError> {
        let refused = ShapeError::Segmentation;
        match segmentation::read(segmentation.to_string().as_bytes()).map_err(refused)? {
            Segmentation::Absent => Err(ShapeError::Empty),
            Segmentation::Polygons(parts) => Ok(Self::Polygons(parts)),
            Segmentation::Compressed { size, counts } => {
                let mask = rle_string::decode_whole(counts.as_bytes(), size);
                mask.map(Self::Runs)
                    .map_err(|error| refused(error.to_string()))
            }
            Segmentation::Runs { size, counts } => {
                let mask = Rle::new(size, counts);
                mask.map(Self::Runs)
                    .map_err(|error| refused(error.to_string()))
            }
        }
    }
}

impl Serialize for Shape {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Box(b) => json!({ "box": [b.x, b.y, b.width, b.height] }).serialize(serializer),
            shape => shape.to_json().serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Shape {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let sides = value.get("box").and_then(Value::as_array);
        let sides = sides.map(|sides| sides.iter().filter_map(Value::as_f64).collect::<Vec<_>>());
        match sides.as_deref() {
            Some(&[x, y, width, height]) => Ok(Self::Box(BoxXywh::new(x, y, width, height))),
            _ => Self::from_json(&value).map_err(serde::de::Error::custom),
        }
    }
}
