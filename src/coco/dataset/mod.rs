//! A COCO data set: its images with their files, its classes, and the annotations of an image as masks.
//!
//! Opening makes an index: a short record for each image and annotation, with its place in the JSON. The file itself
//! stays on disk; a mask is made from it when it is asked for.

mod annotation;
pub(in crate::coco) mod fields;
mod index;
mod layout;
mod open;
pub(in crate::coco) mod scan;
pub(in crate::coco) mod segmentation;
mod source;
mod stream;

use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use annotation::{Annotation, Annotations, Outline};
pub use index::{AnnotationHead, List, Span};
pub use layout::{JsonKind, Role, kind_of_json};
pub use open::OpenProgress;

pub(in crate::coco) use annotation::{mask_of, mask_size};
pub(in crate::coco) use index::{Index, Problem, Reason};
pub(in crate::coco) use source::Source;

use super::CocoError;
use crate::structures::{ClassTable, Size};

/// One image of a set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatasetImage {
    /// The set's id of the image.
    pub id: u64,
    /// As the JSON has it.
    pub file_name: String,
    /// Where the file lies, or should lie.
    pub path: PathBuf,
    /// Size that the JSON declares; `None` where it gives none.
    pub declared: Option<Size>,
    /// Whether the file was there when the set was opened.
    pub exists: bool,
}

/// An opened set. Masks are made when they are asked for, from the file, which must stay as it was.
pub struct Dataset {
    source: Source,
    folder: PathBuf,
    images: Arc<[DatasetImage]>,
    classes: ClassTable,
    index: Index,
    by_image: ByImage,
    notes: Vec<String>,
}

/// Positions of the annotations of each image, in the JSON's order.
struct ByImage {
    /// Where each image's positions begin in `positions`, and the end.
    starts: Vec<u32>,
    positions: Vec<u32>,
}

impl ByImage {
    fn of(&self, image: usize) -> &[u32] {
        let bounds = (self.starts.get(image), self.starts.get(image + 1));
        let (Some(&start), Some(&end)) = bounds else {
            return &[];
        };
        self.positions
            .get(start as usize..end as usize)
            .unwrap_or_default()
    }
}

impl Dataset {
    /// The JSON of the set.
    pub fn json(&self) -> &Path {
        self.source.path()
    }

    /// The folder of its images.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Images in the JSON's order.
    pub fn images(&self) -> &[DatasetImage] {
        &self.images
    }

    /// The images, shared: the list that `open_with` handed out while it went on.
    pub fn shared_images(&self) -> Arc<[DatasetImage]> {
        Arc::clone(&self.images)
    }

    /// Categories by ascending id; of equal names the later ones carry their id, as in `Tumor#1`.
    pub fn classes(&self) -> &ClassTable {
        &self.classes
    }

    /// Number of annotations of the whole set that belong to an image of it.
    pub fn annotation_count(&self) -> usize {
        self.by_image.positions.len()
    }

    /// Number of annotations of an image, without making their masks.
    pub fn annotations_of(&self, image: usize) -> usize {
        self.by_image.of(image).len()
    }

    /// The annotations of an image without their masks, in the JSON's order: no file is read.
    pub fn heads_of(&self, image: usize) -> impl Iterator<Item = &AnnotationHead> {
        let positions = self.by_image.of(image).iter();
        positions.filter_map(|&position| self.index.annotations.get(position as usize))
    }

    /// All annotations without their masks, in the JSON's order, those of unknown images among them.
    pub fn heads(&self) -> &[AnnotationHead] {
        &self.index.annotations
    }

    /// Number of images whose file is not there.
    pub fn missing(&self) -> usize {
        self.images.iter().filter(|image| !image.exists).count()
    }

    /// What was altered or left out on opening, in sentences for the user.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Annotations of an image in the JSON's order without their masks: quick enough to go over a whole set. The file is
    /// read only where box or area are missing in it.
    pub fn outlines(&self, image: usize) -> Vec<Outline> {
        let whole = |head: &AnnotationHead| (head.bbox.is_some(), head.area.is_some());
        if self.heads_of(image).any(|head| whole(head) != (true, true)) {
            let kept = self.annotations(image).kept;
            return kept.into_iter().map(Outline::from).collect();
        }
        let outline = |head: &AnnotationHead| {
            let mut ids = self.classes.category_ids.iter();
            Some(Outline {
                id: head.id,
                label: ids.position(|&id| id == head.category_id)?,
                bbox: head.bbox?,
                area: head.area?,
                is_crowd: head.is_crowd,
            })
        };
        self.heads_of(image).filter_map(outline).collect()
    }

    /// Annotations of an image in the JSON's order, masks rasterised, and what had to be left out. Where the file
    /// itself cannot be read any more, that is the one reason in `dropped`.
    pub fn annotations(&self, image: usize) -> Annotations {
        self.read_annotations(image)
            .unwrap_or_else(|error| Annotations {
                dropped: vec![error.to_string()],
                ..Annotations::default()
            })
    }

    /// As `annotations`, with the file's failure as an error.
    ///
    /// # Errors
    /// The file was changed or removed since it was opened, or the disk fails.
    pub fn read_annotations(&self, image: usize) -> Result<Annotations, CocoError> {
        let mut found = Annotations::default();
        let Some(of) = self.images.get(image) else {
            return Ok(found);
        };
        if self.annotations_of(image) > 0 {
            self.source.check_unchanged()?;
        }
        let mut record = Vec::new();
        for head in self.heads_of(image) {
            self.read_span(head.span, &mut record)?;
            match annotation::read(head, &record, of, &self.classes) {
                Ok((annotation, is_altered)) => {
                    found.kept.push(annotation);
                    found.is_altered |= is_altered;
                }
                Err(reason) => found.dropped.push(format!(
                    "annotation {} of {}: {reason}",
                    head.id, of.file_name
                )),
            }
        }
        Ok(found)
    }

    /// The text of an annotation's record as it stands in the file.
    ///
    /// # Errors
    /// As `read_annotations`.
    pub fn record(&self, head: &AnnotationHead) -> Result<Vec<u8>, CocoError> {
        self.source.check_unchanged()?;
        let mut record = Vec::new();
        self.read_span(head.span, &mut record)?;
        Ok(record)
    }

    /// Refuses a file that was changed, replaced or removed since it was opened: quick enough to ask every second.
    ///
    /// # Errors
    /// `CocoError::Changed`.
    pub fn check_unchanged(&self) -> Result<(), CocoError> {
        self.source.check_unchanged()
    }

    /// Line and column, from 1, of offsets in the JSON, which must ascend: of `AnnotationHead::span`, for example.
    ///
    /// # Errors
    /// As `read_annotations`.
    pub fn lines_and_columns(&self, ascending: &[u64]) -> Result<Vec<(usize, usize)>, CocoError> {
        self.source.lines_and_columns(ascending)
    }

    pub(in crate::coco) fn read_span(
        &self,
        span: Span,
        into: &mut Vec<u8>,
    ) -> Result<(), CocoError> {
        into.resize(span.length as usize, 0);
        self.source.read_at(span.start, into)
    }

    pub(in crate::coco) fn source(&self) -> &Source {
        &self.source
    }

    /// The largest id of an annotation, of those too that are left out; 0 without any.
    pub fn largest_annotation_id(&self) -> u64 {
        let kept = self.index.annotations.iter().map(|head| head.id);
        let of_list = |problem: &&Problem| problem.list == List::Annotations;
        let left_out = self.index.problems.iter().filter(of_list);
        let left_out = left_out.filter_map(|problem| problem.id);
        kept.chain(left_out).max().unwrap_or(0)
    }

    pub(in crate::coco) fn index(&self) -> &Index {
        &self.index
    }
}
