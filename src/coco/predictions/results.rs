//! Lists of COCO results: one entry a detection, as detectron2, mmdetection and pycocotools exchange them.

use std::collections::HashMap;

use super::batches::follows_an_object;
use super::fields::{self, ImageKey, Problem};
use super::json::{Cursor, Syntax};
use super::left_out::{EntryKind, Refused};
use super::places::EntryAt;
use super::read::Parsed;
use crate::coco::PredictedImage;
use crate::structures::{BoxXywh, ClassTable, Detection, Rle, Size};

/// One entry of the list.
#[derive(Debug)]
pub(super) struct Entry {
    row: Result<Row, Refused>,
    /// Whether it has a mask, usable or not: one such entry makes the file one of masks.
    has_mask: bool,
}

#[derive(Debug)]
struct Row {
    offset: usize,
    image: ImageKey,
    category: i64,
    bbox: Option<BoxXywh>,
    score: f64,
    mask_score: Option<f64>,
    mask_iou: Option<f64>,
    mask: Option<Rle>,
}

/// The keys of an entry as far as they could be read.
#[derive(Default)]
struct Keys {
    image: Option<ImageKey>,
    category: Option<u64>,
    bbox: Option<[f64; 4]>,
    score: Option<f64>,
    iou_score: Option<f64>,
    mask_score: Option<f64>,
    mask_iou: Option<f64>,
    mask: Option<Rle>,
    has_mask: bool,
}

/// Whether an entry seems to begin at `at`: entries are objects, and hold no lists of objects.
pub(super) fn seems_to_begin(bytes: &[u8], at: usize) -> bool {
    bytes.get(at) == Some(&b'{') && follows_an_object(bytes, at)
}

/// Reads one entry.
pub(super) fn entry(cursor: &mut Cursor<'_>) -> Result<Entry, Syntax> {
    let offset = cursor.place();
    if cursor.peek() != Some(b'{') {
        let kind = cursor.value()?.kind();
        let reason = format!("it is {kind}, not a result with image_id, category_id and score");
        return Ok(Entry {
            row: Err(refused(offset, None, reason, true)),
            has_mask: false,
        });
    }
    let (mut keys, mut problem) = (Keys::default(), Problem::default());
    cursor.object(|cursor, key| keys.take(cursor, key.bytes().as_ref(), &mut problem))?;
    let has_mask = keys.has_mask;
    let row = keys.into_row(offset, problem);
    Ok(Entry { row, has_mask })
}

fn refused(offset: usize, image: Option<&ImageKey>, reason: String, is_foreign: bool) -> Refused {
    Refused {
        entry: EntryKind::Prediction(0), // numbered when all runs are together
        offset,
        image: image.map(ImageKey::text).unwrap_or_default(),
        reason,
        is_foreign,
    }
}

impl Keys {
    fn take(
        &mut self,
        cursor: &mut Cursor<'_>,
        key: &[u8],
        problem: &mut Problem,
    ) -> Result<(), Syntax> {
        match key {
            b"image_id" => {
                self.image = problem.keep("image_id", fields::image_key(cursor.value()?));
            }
            b"category_id" => {
                self.category = problem.keep("category_id", fields::id(cursor.value()?));
            }
            b"bbox" => self.bbox = problem.keep("bbox", fields::four(cursor)?).flatten(),
            b"score" => self.score = problem.keep("score", fields::finite(cursor.value()?)),
            b"iou_score" => self.iou_score = number(cursor, "iou_score", problem)?,
            b"mask_score" => self.mask_score = number(cursor, "mask_score", problem)?,
            b"mask_iou" => self.mask_iou = number(cursor, "mask_iou", problem)?,
            b"segmentation" => {
                let mask = fields::mask(cursor)?;
                self.has_mask = !matches!(mask, Ok(None));
                self.mask = problem.keep("segmentation", mask).flatten();
            }
            _ => {
                cursor.value()?;
            }
        }
        Ok(())
    }

    fn into_row(self, offset: usize, mut problem: Problem) -> Result<Row, Refused> {
        let missing = [
            ("image_id", self.image.is_none()),
            ("category_id", self.category.is_none()),
            ("score", self.score.is_none()),
        ];
        let is_foreign = missing.iter().all(|&(_, is_missing)| is_missing);
        for (key, _) in missing.into_iter().filter(|&(_, is_missing)| is_missing) {
            problem.add(|| format!("{key} is missing"));
        }
        if self.bbox.is_none() && self.mask.is_none() {
            problem.add(|| "it has neither bbox nor segmentation".into());
        }
        if let Some([_, _, width, height]) = self.bbox {
            problem.keep("bbox", fields::check_sides(width, height));
        }
        let category = i64::try_from(self.category.unwrap_or_default());
        if category.is_err() {
            problem.add(|| "category_id is beyond 63 bits".into());
        }
        match (problem.0, self.image, category, self.score) {
            (None, Some(image), Ok(category), Some(score)) => Ok(Row {
                offset,
                image,
                category,
                bbox: match self.bbox {
                    Some([x, y, w, h]) => Some(BoxXywh::new(x, y, w, h)),
                    // Here, on all cores: it walks over every run.
                    None => self.mask.as_ref().map(Rle::bbox),
                },
                score,
                mask_score: self.iou_score.or(self.mask_score),
                mask_iou: self.mask_iou,
                mask: self.mask,
            }),
            (problem, image, ..) => {
                let reason = problem.unwrap_or_default();
                Err(refused(offset, image.as_ref(), reason, is_foreign))
            }
        }
    }
}

fn number(
    cursor: &mut Cursor<'_>,
    key: &str,
    problem: &mut Problem,
) -> Result<Option<f64>, Syntax> {
    let value = fields::finite_or_null(cursor.value()?);
    Ok(problem.keep(key, value).flatten())
}

/// Sorts the entries to their images, each in file order.
pub(super) fn assemble(runs: Vec<Vec<Entry>>) -> Parsed {
    let has_entries = runs.iter().any(|run| !run.is_empty());
    let has_masks = !has_entries || runs.iter().flatten().any(|entry| entry.has_mask);
    let mut grouped = Grouped::new(&runs, has_masks);
    for (index, entry) in runs.into_iter().flatten().enumerate() {
        let added = entry.row.and_then(|row| grouped.add(row));
        if let Err(refused) = added {
            grouped.refused.push(Refused {
                entry: EntryKind::Prediction(index),
                ..refused
            });
        }
    }
    Parsed {
        classes: grouped.classes(),
        images: grouped.images,
        notes: Vec::new(),
        refused: grouped.refused,
        has_masks,
    }
}

/// Where each entry that can be used stands, by its image.
pub(super) fn places(runs: Vec<Vec<Entry>>) -> Vec<(String, EntryAt)> {
    let entries = runs.into_iter().flatten().enumerate();
    entries
        .filter_map(|(number, entry)| {
            let row = entry.row.ok()?;
            let (offset, category) = (row.offset, row.category);
            let at = EntryAt {
                number,
                offset,
                category,
            };
            Some((row.image.text(), at))
        })
        .collect()
}

struct Grouped {
    has_masks: bool,
    /// Category ids in ascending order, a label each.
    categories: Vec<i64>,
    images: Vec<PredictedImage>,
    index: HashMap<ImageKey, usize>,
    refused: Vec<Refused>,
}

impl Grouped {
    fn new(runs: &[Vec<Entry>], has_masks: bool) -> Self {
        let rows = runs.iter().flatten().flat_map(|entry| &entry.row);
        let used = rows.filter(|row| row.mask.is_some() == has_masks);
        let mut categories: Vec<i64> = used.map(|row| row.category).collect();
        categories.sort_unstable();
        categories.dedup();
        Self {
            has_masks,
            categories,
            images: Vec::new(),
            index: HashMap::new(),
            refused: Vec::new(),
        }
    }

    fn add(&mut self, row: Row) -> Result<(), Refused> {
        let refuse = |row: &Row, reason| refused(row.offset, Some(&row.image), reason, false);
        if self.has_masks && row.mask.is_none() {
            return Err(refuse(&row, "it has a box but no mask".into()));
        }
        let size = row.mask.as_ref().map_or_else(Size::default, Rle::size);
        let at = self.image(&row.image, size);
        match self.images.get_mut(at) {
            Some(image) if image.size == size => {
                let label = self
                    .categories
                    .binary_search(&row.category)
                    .unwrap_or_default();
                image.detections.push(row.into_detection(label));
                Ok(())
            }
            other => {
                let want = other.map_or(size, |image| image.size);
                let reason = format!("its mask is {size}, the first of its image {want}");
                Err(refuse(&row, reason))
            }
        }
    }

    fn image(&mut self, key: &ImageKey, size: Size) -> usize {
        if let Some(&at) = self.index.get(key) {
            return at;
        }
        self.index.insert(key.clone(), self.images.len());
        let image_id = match key {
            ImageKey::Id(id) => Some(*id),
            ImageKey::Name(_) => None,
        };
        self.images.push(PredictedImage {
            image_id,
            ..PredictedImage::new(key.text(), size, Vec::new())
        });
        self.images.len() - 1
    }

    fn classes(&self) -> ClassTable {
        let names = self.categories.iter().map(|id| format!("category {id}"));
        ClassTable {
            names: names.collect(),
            category_ids: self.categories.clone(),
        }
    }
}

impl Row {
    fn into_detection(self, label: usize) -> Detection {
        let mask = self.mask.unwrap_or_else(|| Rle::empty(Size::default()));
        Detection {
            bbox: self.bbox.unwrap_or_else(|| mask.bbox()),
            label,
            score: self.score,
            mask_iou: self.mask_iou,
            iou_score: self.mask_score.unwrap_or(self.score),
            mask,
            quality: None,
        }
    }
}
