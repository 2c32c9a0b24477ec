//! Lists of COCO results: one entry a detection, as detectron2, mmdetection and pycocotools exchange them.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::path::Path;

use serde::Deserialize;
use serde::de::{Deserializer as _, Error, SeqAccess, Visitor};

use super::read::ReadMask;
use crate::coco::{CocoError, PredictedImage, PredictionFile};
use crate::structures::{BoxXywh, ClassTable, Detection, Rle};

/// Reads a result list; see `read`.
pub(super) fn from_bytes(path: &Path, bytes: &[u8]) -> Result<PredictionFile, CocoError> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let rows = reader
        .deserialize_seq(Rows)
        .and_then(|rows| reader.end().map(|()| rows))
        .map_err(|error| CocoError::json(path, &error))?;
    Ok(rows.into_file())
}

#[derive(Deserialize)]
struct Row<'a> {
    #[serde(borrow)]
    image_id: ImageId<'a>,
    category_id: i64,
    bbox: Option<[f64; 4]>,
    score: f64,
    #[serde(borrow)]
    segmentation: Option<ReadMask<'a>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum ImageId<'a> {
    Number(i64),
    Name(#[serde(borrow)] Cow<'a, str>),
}

#[derive(Default)]
struct Grouped {
    images: Vec<PredictedImage>,
    index: HashMap<String, usize>,
    without_mask: usize,
    other_size: usize,
}

struct Rows;

impl<'de> Visitor<'de> for Rows {
    type Value = Grouped;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of COCO results (image_id, category_id, bbox, score, segmentation)")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut rows: A) -> Result<Self::Value, A::Error> {
        let mut grouped = Grouped::default();
        let mut index = 0usize;
        while let Some(row) = rows.next_element::<Row<'de>>()? {
            grouped
                .add(row)
                .map_err(|reason| A::Error::custom(format!("result {index}: {reason}")))?;
            index += 1;
        }
        Ok(grouped)
    }
}

impl Grouped {
    fn add(&mut self, row: Row<'_>) -> Result<(), String> {
        let Some(mask) = &row.segmentation else {
            self.without_mask += 1;
            return Ok(());
        };
        let label = usize::try_from(row.category_id)
            .map_err(|_| format!("category_id {} is negative", row.category_id))?;
        let path = match row.image_id {
            ImageId::Number(id) => id.to_string(),
            ImageId::Name(name) => name.into_owned(),
        };
        let size = mask.size();
        if size.pixels() == 0 {
            return Err(format!("its mask is {size}"));
        }
        let mask = mask.to_rle()?;
        let at = *self.index.entry(path.clone()).or_insert_with(|| {
            self.images.push(PredictedImage {
                path,
                size,
                detections: Vec::new(),
            });
            self.images.len() - 1
        });
        match self.images.get_mut(at) {
            Some(image) if image.size == size => image
                .detections
                .push(detection(label, row.bbox, row.score, mask)),
            _ => self.other_size += 1,
        }
        Ok(())
    }

    /// Labels hold category ids until here.
    fn into_file(mut self) -> PredictionFile {
        let ids: BTreeMap<usize, usize> = self
            .images
            .iter()
            .flat_map(|image| image.detections.iter().map(|detection| detection.label))
            .collect::<std::collections::BTreeSet<_>>()
            .into_iter()
            .zip(0..)
            .collect();
        for image in &mut self.images {
            for detection in &mut image.detections {
                detection.label = ids.get(&detection.label).copied().unwrap_or_default();
            }
            image.detections.sort_by(|a, b| b.score.total_cmp(&a.score));
        }
        let classes = ClassTable {
            names: ids.keys().map(|id| format!("category {id}")).collect(),
            category_ids: ids.keys().map(|&id| id as i64).collect(),
        };
        PredictionFile {
            classes,
            notes: self.notes(),
            images: self.images,
        }
    }

    fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if self.without_mask > 0 {
            notes.push(format!(
                "{} results have a box but no mask and were left out",
                self.without_mask
            ));
        }
        if self.other_size > 0 {
            notes.push(format!(
                "{} results have a mask of another size than the first of their image and were left out",
                self.other_size
            ));
        }
        notes
    }
}

fn detection(label: usize, bbox: Option<[f64; 4]>, score: f64, mask: Rle) -> Detection {
    let bbox = bbox.map_or_else(|| mask.bbox(), |[x, y, w, h]| BoxXywh::new(x, y, w, h));
    Detection {
        bbox,
        label,
        score,
        mask_iou: None,
        iou_score: score,
        mask,
        quality: None,
    }
}
