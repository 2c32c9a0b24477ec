//! What a review makes of a set: annotations that differ from the file, new ones, new categories. The file stays as it is;
//! everything that is not named here is the file's.

use std::collections::{BTreeMap, HashMap};
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::dataset::{AnnotationHead, Dataset, DatasetImage, mask_size};
use super::save::{Edits, NotAnObject, with_fields};
use super::{CocoError, Shape};
use crate::structures::{BoxXywh, ClassTable, Rle};

/// An annotation as it stands after the review.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The set's id of the image.
    pub image_id: u64,
    /// The set's id of the class, or a new one's.
    pub category_id: i64,
    /// Whether it stands for many objects.
    pub is_crowd: bool,
    /// `None`: as in the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shape: Option<Shape>,
    /// Not in the file.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_new: bool,
    /// The prediction that it was made of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
}

/// The prediction that became an annotation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Origin {
    /// Checkpoint or prediction file.
    pub source: String,
    /// Class score.
    pub score: f64,
    /// Predicted IoU of its mask.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mask_iou: Option<f64>,
}

impl Record {
    /// The file's annotation, unchanged.
    pub fn of_head(head: &AnnotationHead) -> Self {
        Self {
            image_id: head.image_id,
            category_id: head.category_id,
            is_crowd: head.is_crowd,
            shape: None,
            is_new: false,
            origin: None,
        }
    }
}

/// Everything that differs from the file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Corrections {
    /// By annotation id; `None` is deleted.
    pub annotations: BTreeMap<u64, Option<Record>>,
    /// New categories by id.
    pub categories: BTreeMap<i64, String>,
}

/// How many annotations differ, by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Of the file, with another mask.
    pub masks_changed: usize,
    /// Of the file, with another class or crowd flag alone.
    pub fields_changed: usize,
    /// Of the file, deleted.
    pub deleted: usize,
    /// New.
    pub added: usize,
    /// New categories.
    pub categories_added: usize,
}

impl Corrections {
    /// Whether the set is as its file has it.
    pub fn is_empty(&self) -> bool {
        self.annotations.is_empty() && self.categories.is_empty()
    }

    /// How many annotations differ.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts {
            categories_added: self.categories.len(),
            ..Counts::default()
        };
        for record in self.annotations.values() {
            match record {
                None => counts.deleted += 1,
                Some(record) if record.is_new => counts.added += 1,
                Some(record) if record.shape.is_some() => counts.masks_changed += 1,
                Some(_) => counts.fields_changed += 1,
            }
        }
        counts
    }

    /// The set's classes with the new ones behind them.
    pub fn classes(&self, set: &Dataset) -> ClassTable {
        let mut classes = set.classes().clone();
        for (&id, name) in &self.categories {
            // Another program may have written the same category since.
            if !classes.category_ids.contains(&id) {
                classes.names.push(name.clone());
                classes.category_ids.push(id);
            }
        }
        classes
    }
}

/// An annotation with everything that a file of any format needs.
#[derive(Clone, Debug, PartialEq)]
pub struct Corrected {
    /// Id of the annotation.
    pub id: u64,
    /// Index of the class in `CorrectedSet::classes`.
    pub label: usize,
    /// Id of the class.
    pub category_id: i64,
    /// Whether it stands for many objects.
    pub is_crowd: bool,
    /// Polygons, runs or a box.
    pub shape: Shape,
    /// At the size of the image.
    pub mask: Rle,
    /// As the file has it; that of the mask where the mask was changed or the file gives none.
    pub bbox: BoxXywh,
    /// As the file has it; that of the mask where the mask was changed or the file gives none.
    pub area: f64,
    /// Whether it differs from the file or is not in it.
    pub is_edited: bool,
    /// The prediction that it was made of.
    pub origin: Option<Origin>,
}

/// A set and what a review made of it.
pub struct CorrectedSet<'a> {
    set: &'a Dataset,
    corrections: &'a Corrections,
    classes: ClassTable,
    labels: HashMap<i64, usize>,
    /// Positions of images by id, made when the first mask is written: the window never asks.
    images: OnceLock<HashMap<u64, usize>>,
    /// Ids of new annotations by image id.
    added: HashMap<u64, Vec<u64>>,
}

impl<'a> CorrectedSet<'a> {
    /// Both together.
    pub fn new(set: &'a Dataset, corrections: &'a Corrections) -> Self {
        let classes = corrections.classes(set);
        let mut added: HashMap<u64, Vec<u64>> = HashMap::new();
        for (&id, record) in &corrections.annotations {
            if let Some(record) = record.as_ref().filter(|record| record.is_new) {
                added.entry(record.image_id).or_default().push(id);
            }
        }
        let ids = classes.category_ids.iter();
        Self {
            labels: ids.enumerate().map(|(label, &id)| (id, label)).collect(),
            images: OnceLock::new(),
            set,
            corrections,
            classes,
            added,
        }
    }

    /// The set itself.
    pub fn set(&self) -> &'a Dataset {
        self.set
    }

    /// Classes by label.
    pub fn classes(&self) -> &ClassTable {
        &self.classes
    }

    /// The annotations of an image, the file's in its order, then new ones; and why others were left out.
    ///
    /// # Errors
    /// The file was changed or removed since it was opened.
    pub fn annotations(&self, image: usize) -> Result<(Vec<Corrected>, Vec<String>), CocoError> {
        let (mut kept, mut dropped) = (Vec::new(), Vec::new());
        let Some(of) = self.set.images().get(image) else {
            return Ok((kept, dropped));
        };
        let mut take = |id: u64, made: Result<Corrected, String>| match made {
            Ok(annotation) => kept.push(annotation),
            Err(reason) => dropped.push(format!("annotation {id} of {}: {reason}", of.file_name)),
        };
        for head in self.set.heads_of(image) {
            let record = match self.corrections.annotations.get(&head.id) {
                Some(None) => continue,
                Some(Some(record)) => record.clone(),
                None => Record::of_head(head),
            };
            take(head.id, self.of_file(of, head, record)?);
        }
        for &id in self.added.get(&of.id).map_or(&[][..], Vec::as_slice) {
            let record = self.corrections.annotations.get(&id);
            if let Some(record) = record.and_then(Option::as_ref) {
                take(id, self.made(of, id, record, None));
            }
        }
        Ok((kept, dropped))
    }

    fn of_file(
        &self,
        image: &DatasetImage,
        head: &AnnotationHead,
        mut record: Record,
    ) -> Result<Result<Corrected, String>, CocoError> {
        let is_shape_of_file = record.shape.is_none();
        if is_shape_of_file {
            match Shape::of_file(self.set, image, head) {
                Ok(shape) => record.shape = Some(shape),
                Err(CocoError::Segmentation { reason, .. }) => return Ok(Err(reason)),
                Err(error) => return Err(error),
            }
        }
        Ok(self.made(image, head.id, &record, is_shape_of_file.then_some(head)))
    }

    /// `head` where box and area are the file's.
    fn made(
        &self,
        image: &DatasetImage,
        id: u64,
        record: &Record,
        head: Option<&AnnotationHead>,
    ) -> Result<Corrected, String> {
        let category_id = record.category_id;
        let label = self.labels.get(&category_id).copied();
        let shape = record.shape.clone().ok_or("it has no mask")?;
        let mask = shape.mask(mask_size(image)?)?;
        Ok(Corrected {
            id,
            label: label.ok_or_else(|| format!("category {category_id} is not in the set"))?,
            category_id,
            is_crowd: record.is_crowd,
            bbox: head
                .and_then(|head| head.bbox)
                .unwrap_or_else(|| mask.bbox()),
            area: head
                .and_then(|head| head.area)
                .unwrap_or(mask.area() as f64),
            is_edited: self.corrections.annotations.contains_key(&id),
            origin: record.origin.clone(),
            shape,
            mask,
        })
    }

    /// The edits that make the corrected file of the set's.
    ///
    /// # Errors
    /// The file was changed since it was opened; a mask that cannot be made.
    pub fn edits(&self) -> Result<Edits, CocoError> {
        let mut edits = Edits::default();
        for head in self.set.heads() {
            match self.corrections.annotations.get(&head.id) {
                None => {}
                Some(None) => edits.remove(head),
                Some(Some(record)) => {
                    let text = self.set.record(head)?;
                    let fields = self.changed_fields(head, record)?;
                    let changed =
                        with_fields(&text, &fields).and_then(|text| edits.replace(head, text));
                    changed.map_err(|error| self.refused(head.id, error))?;
                }
            }
        }
        for (&id, record) in &self.corrections.annotations {
            if let Some(record) = record.as_ref().filter(|record| record.is_new) {
                let text = self.new_record(id, record)?;
                let added = edits.add(text.to_string().into_bytes());
                added.map_err(|error| self.refused(id, error))?;
            }
        }
        let known = &self.set.classes().category_ids;
        let new = self.corrections.categories.iter();
        for (id, name) in new.filter(|(id, _)| !known.contains(id)) {
            let text = json!({ "id": id, "name": name, "supercategory": "" });
            let added = edits.add_category(text.to_string().into_bytes());
            added.map_err(|error| self.refused(0, error))?;
        }
        Ok(edits)
    }

    fn changed_fields(
        &self,
        head: &AnnotationHead,
        record: &Record,
    ) -> Result<Vec<(&'static str, Value)>, CocoError> {
        let mut fields = Vec::new();
        if record.category_id != head.category_id {
            fields.push(("category_id", json!(record.category_id)));
        }
        if record.is_crowd != head.is_crowd {
            fields.push(("iscrowd", json!(u8::from(record.is_crowd))));
        }
        if let Some(shape) = &record.shape {
            fields.extend(self.mask_fields(head.id, record.image_id, shape)?);
            if matches!(shape, Shape::Box(_)) && !self.is_box_in_file(head) {
                fields.push(("segmentation", json!([])));
            }
        }
        Ok(fields)
    }

    /// Whether the file has a box alone: what it has in place of a mask, or that it has nothing, is left as it is.
    fn is_box_in_file(&self, head: &AnnotationHead) -> bool {
        let images = self.images.get_or_init(|| positions(self.set));
        let image = images.get(&head.image_id);
        let image = image.and_then(|&at| self.set.images().get(at));
        let shape = image.and_then(|image| Shape::of_file(self.set, image, head).ok());
        matches!(shape, Some(Shape::Box(_)))
    }

    /// A box has no mask to reckon with: it stands as it was drawn.
    fn mask_fields(
        &self,
        id: u64,
        image_id: u64,
        shape: &Shape,
    ) -> Result<Vec<(&'static str, Value)>, CocoError> {
        if let Shape::Box(bbox) = shape {
            return Ok(vec![
                ("area", json!(bbox.width * bbox.height)),
                ("bbox", json!([bbox.x, bbox.y, bbox.width, bbox.height])),
            ]);
        }
        let refused = |reason| self.no_mask(id, reason);
        let images = self.images.get_or_init(|| positions(self.set));
        let image = images.get(&image_id);
        let image = image.and_then(|&at| self.set.images().get(at));
        let image = image.ok_or_else(|| refused(format!("image {image_id} is not in the set")))?;
        let size = mask_size(image).map_err(refused)?;
        let mask = shape.mask(size).map_err(refused)?;
        let bbox = mask.bbox();
        Ok(vec![
            ("segmentation", shape.to_json()),
            ("area", json!(mask.area())),
            ("bbox", json!([bbox.x, bbox.y, bbox.width, bbox.height])),
        ])
    }

    fn new_record(&self, id: u64, record: &Record) -> Result<Value, CocoError> {
        let shape = record.shape.as_ref();
        let shape = shape.ok_or_else(|| self.no_mask(id, "it has no mask".into()))?;
        let mut text = json!({
            "id": id,
            "image_id": record.image_id,
            "category_id": record.category_id,
            "iscrowd": u8::from(record.is_crowd),
        });
        for (key, value) in self.mask_fields(id, record.image_id, shape)? {
            text[key] = value;
        }
        if let Some(origin) = &record.origin {
            text["maskscope"] = json!({ "origin": origin });
        }
        Ok(text)
    }

    fn no_mask(&self, annotation: u64, reason: String) -> CocoError {
        CocoError::Segmentation {
            path: self.set.json().to_owned(),
            annotation,
            reason,
        }
    }

    fn refused(&self, annotation: u64, error: NotAnObject) -> CocoError {
        self.no_mask(annotation, error.to_string())
    }
}

/// Of equal ids the first image counts, as in the set.
fn positions(set: &Dataset) -> HashMap<u64, usize> {
    let images = set.images().iter().enumerate().rev();
    images.map(|(at, image)| (image.id, at)).collect()
}
