//! What a review has changed so far, in memory: the edited records alone.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use super::ReviewError;
use super::edit::{Change, Opinion, Target};
use crate::coco::dataset::{AnnotationHead, Dataset, DatasetImage};
use crate::coco::{Corrections, Record, Shape};
use crate::structures::{Rle, Size};

/// Where records of the set stand.
pub(super) struct Places {
    set: Arc<Dataset>,
    heads: HashMap<u64, usize>,
    images: HashMap<u64, usize>,
    repeated: HashSet<u64>,
}

impl Places {
    pub fn new(set: Arc<Dataset>) -> Self {
        let (mut heads, mut repeated) = (HashMap::new(), HashSet::new());
        for (at, head) in set.heads().iter().enumerate() {
            if heads.insert(head.id, at).is_some() {
                repeated.insert(head.id);
            }
        }
        let images = set.images().iter().enumerate().rev();
        let images = images.map(|(at, image)| (image.id, at)).collect();
        Self {
            set,
            heads,
            images,
            repeated,
        }
    }

    pub fn set(&self) -> &Arc<Dataset> {
        &self.set
    }

    pub fn head(&self, id: u64) -> Option<&AnnotationHead> {
        self.set.heads().get(*self.heads.get(&id)?)
    }

    pub fn is_repeated(&self, id: u64) -> bool {
        self.repeated.contains(&id)
    }

    pub fn image(&self, id: u64) -> Option<&DatasetImage> {
        self.set.images().get(*self.images.get(&id)?)
    }

    pub fn image_position(&self, id: u64) -> Option<usize> {
        self.images.get(&id).copied()
    }

    pub fn size(&self, image_id: u64) -> Result<Size, ReviewError> {
        let image = self.image(image_id).and_then(|image| image.declared);
        image.ok_or(ReviewError::NoImage(image_id))
    }
}

/// The state that the history leads to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct State {
    /// Annotations and categories.
    pub corrections: Corrections,
    /// Verdicts, tags and notes; empty ones are not there.
    pub opinions: BTreeMap<Target, Opinion>,
}

impl State {
    /// The record of an annotation; `None` where there is none.
    pub(super) fn record(&self, places: &Places, id: u64) -> Option<Record> {
        match self.corrections.annotations.get(&id) {
            Some(record) => record.clone(),
            None => places.head(id).map(Record::of_head),
        }
    }

    /// Whether there is an annotation of that id.
    pub(super) fn has(&self, places: &Places, id: u64) -> bool {
        match self.corrections.annotations.get(&id) {
            Some(record) => record.is_some(),
            None => places.head(id).is_some(),
        }
    }

    /// The annotation is the file's again, or is not there.
    pub(super) fn forget(&mut self, id: u64) {
        self.corrections.annotations.remove(&id);
    }

    /// The shape of an annotation, from the file where it was not edited.
    pub(super) fn shape(&self, places: &Places, id: u64) -> Result<Shape, ReviewError> {
        let record = self.record(places, id);
        let record = record.ok_or(ReviewError::NoAnnotation(id))?;
        if let Some(shape) = record.shape {
            return Ok(shape);
        }
        let head = places.head(id).ok_or(ReviewError::NoAnnotation(id))?;
        let image = places.image(head.image_id);
        let image = image.ok_or(ReviewError::NoImage(head.image_id))?;
        Ok(Shape::of_file(places.set(), image, head)?)
    }

    pub(super) fn mask(&self, places: &Places, id: u64) -> Result<Rle, ReviewError> {
        let record = self.record(places, id);
        let record = record.ok_or(ReviewError::NoAnnotation(id))?;
        let size = places.size(record.image_id)?;
        let mask = self.shape(places, id)?.mask(size);
        mask.map_err(|reason| ReviewError::Mask { id, reason })
    }

    /// Makes a change. What equals the file's is forgotten, so that an export copies it to the byte.
    pub(super) fn apply(&mut self, places: &Places, change: &Change) {
        match change {
            Change::Annotation { id, after, .. } => {
                let of_file = places.head(*id).map(Record::of_head);
                let annotations = &mut self.corrections.annotations;
                if *after == of_file {
                    annotations.remove(id);
                } else {
                    annotations.insert(*id, after.clone());
                }
            }
            Change::Base { .. } => {}
            Change::Category { id, after, .. } => {
                match after {
                    Some(name) => self.corrections.categories.insert(*id, name.clone()),
                    None => self.corrections.categories.remove(id),
                };
            }
            Change::Opinion { target, after, .. } => {
                if after.is_empty() {
                    self.opinions.remove(target);
                } else {
                    self.opinions.insert(target.clone(), after.clone());
                }
            }
        }
    }
}

/// Ids that were ever given away, those of undone edits too: none is given twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ids {
    annotation: u64,
    category: i64,
}

impl Ids {
    pub fn of_set(set: &Dataset) -> Self {
        let categories = set.classes().category_ids.iter().copied();
        Self {
            annotation: set.largest_annotation_id(),
            category: categories.max().unwrap_or(0),
        }
    }

    pub fn see(&mut self, change: &Change) {
        match change {
            Change::Annotation { id, .. } => self.annotation = self.annotation.max(*id),
            Change::Category { id, .. } => self.category = self.category.max(*id),
            Change::Base { .. } | Change::Opinion { .. } => {}
        }
    }

    pub fn next_annotation(&mut self) -> u64 {
        self.annotation = self.annotation.saturating_add(1);
        self.annotation
    }

    pub fn next_category(&mut self) -> i64 {
        self.category = self.category.saturating_add(1);
        self.category
    }
}
