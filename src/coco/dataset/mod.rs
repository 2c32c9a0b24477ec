//! A COCO data set: its images with their files, its classes, and the annotations of an image as masks.

mod annotation;
mod layout;
mod lenient;
mod open;

use std::path::{Path, PathBuf};

pub use annotation::{Annotation, Annotations, Outline};
pub use layout::{JsonKind, Role, kind_of_json};

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

/// An opened set. Masks are made when they are asked for.
pub struct Dataset {
    json: PathBuf,
    folder: PathBuf,
    images: Vec<DatasetImage>,
    classes: ClassTable,
    /// Positions in hotcoco's list of the annotations of each image.
    annotations: Vec<Vec<u32>>,
    raw: hotcoco::Dataset,
    notes: Vec<String>,
}

impl Dataset {
    /// The JSON of the set.
    pub fn json(&self) -> &Path {
        &self.json
    }

    /// The folder of its images.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Images in the JSON's order.
    pub fn images(&self) -> &[DatasetImage] {
        &self.images
    }

    /// Categories by ascending id; of equal names the later ones carry their id, as in `Tumor#1`.
    pub fn classes(&self) -> &ClassTable {
        &self.classes
    }

    /// Number of annotations of the whole set that belong to an image of it.
    pub fn annotation_count(&self) -> usize {
        self.annotations.iter().map(Vec::len).sum()
    }

    /// Number of annotations of an image, without making their masks.
    pub fn annotations_of(&self, image: usize) -> usize {
        self.annotations.get(image).map_or(0, Vec::len)
    }

    /// Number of images whose file is not there.
    pub fn missing(&self) -> usize {
        self.images.iter().filter(|image| !image.exists).count()
    }

    /// What was altered or left out on opening, in sentences for the user.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Annotations of an image in the JSON's order without their masks: quick enough to go over a whole set.
    pub fn outlines(&self, image: usize) -> Vec<Outline> {
        let (Some(image), Some(positions)) = (self.images.get(image), self.annotations.get(image))
        else {
            return Vec::new();
        };
        let raw = positions
            .iter()
            .filter_map(|&position| self.raw.annotations.get(position as usize));
        raw.filter_map(|raw| annotation::outline(raw, image, &self.classes))
            .collect()
    }

    /// Annotations of an image in the JSON's order, masks rasterised, and what had to be left out.
    pub fn annotations(&self, image: usize) -> Annotations {
        let mut found = Annotations::default();
        let (Some(image), Some(positions)) = (self.images.get(image), self.annotations.get(image))
        else {
            return found;
        };
        for &position in positions {
            let Some(raw) = self.raw.annotations.get(position as usize) else {
                continue;
            };
            match annotation::read(raw, image, &self.classes) {
                Ok(annotation) => found.kept.push(annotation),
                Err(reason) => found.dropped.push(format!(
                    "annotation {} of {}: {reason}",
                    raw.id, image.file_name
                )),
            }
        }
        found
    }
}
