//! One annotation, its mask made from polygons or either spelling of run lengths.

use super::DatasetImage;
use super::index::AnnotationHead;
use super::segmentation::{self, Segmentation};
use crate::coco::polygon::{MIN_COORDINATES, rasterise};
use crate::coco::rle_string;
use crate::structures::{BoxXywh, ClassTable, Rle, Size};

/// The rasteriser works column by column: a side or a picture beyond these is a mistake in the JSON.
const MAX_SIDE: usize = 1_000_000;
const MAX_PIXELS: usize = 400_000_000;

/// A ground-truth instance.
#[derive(Clone, Debug, PartialEq)]
pub struct Annotation {
    /// The JSON's id of the annotation.
    pub id: u64,
    /// Index of the class.
    pub label: usize,
    /// The JSON's id of the class.
    pub category_id: i64,
    /// Box in pixels of the image; that of the mask where the JSON gives none.
    pub bbox: BoxXywh,
    /// Area as the JSON has it; that of the mask where it gives none.
    pub area: f64,
    /// Whether it stands for many objects.
    pub is_crowd: bool,
    /// The mask at the size of the image. A box without a mask is its rectangle.
    pub mask: Rle,
}

/// The annotations of one image.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Annotations {
    /// In the JSON's order.
    pub kept: Vec<Annotation>,
    /// Why each other one was left out.
    pub dropped: Vec<String>,
    /// Whether a mask of `kept` is read otherwise than it stands there; `coco::check` tells which and how.
    pub is_altered: bool,
}

/// An annotation without its mask.
#[derive(Clone, Debug, PartialEq)]
pub struct Outline {
    /// The set's id.
    pub id: u64,
    /// Index of the class.
    pub label: usize,
    /// Box in pixels of the image; that of the mask where the JSON gives none.
    pub bbox: BoxXywh,
    /// Area as the JSON has it; that of the mask where it gives none.
    pub area: f64,
    /// Whether it stands for many objects.
    pub is_crowd: bool,
}

impl From<Annotation> for Outline {
    fn from(whole: Annotation) -> Self {
        Self {
            id: whole.id,
            label: whole.label,
            bbox: whole.bbox,
            area: whole.area,
            is_crowd: whole.is_crowd,
        }
    }
}

/// Makes an annotation of its head and the text of its record; and whether its mask is read otherwise than it stands.
pub(super) fn read(
    head: &AnnotationHead,
    record: &[u8],
    image: &DatasetImage,
    classes: &ClassTable,
) -> Result<(Annotation, bool), String> {
    let category_id = head.category_id;
    let label = classes
        .category_ids
        .iter()
        .position(|&id| id == category_id)
        .ok_or_else(|| format!("category {category_id} is not in the set"))?;
    let size = mask_size(image)?;
    let segmentation = segmentation::of_record(record)?;
    let mask = mask_of(&segmentation, head.bbox, size)?;
    let annotation = Annotation {
        id: head.id,
        label,
        category_id,
        bbox: head.bbox.unwrap_or_else(|| mask.bbox()),
        area: head.area.unwrap_or_else(|| mask.area() as f64),
        is_crowd: head.is_crowd,
        mask,
    };
    Ok((annotation, is_altered(&segmentation)))
}

/// Whether parts of the polygon are not used or run lengths leave pixels out.
fn is_altered(segmentation: &Segmentation) -> bool {
    match segmentation {
        Segmentation::Polygons(parts) => parts
            .iter()
            .any(|part| part.len() < MIN_COORDINATES || part.len() % 2 == 1),
        Segmentation::Runs { size, counts } => {
            let sum: u64 = counts.iter().map(|&run| u64::from(run)).sum();
            sum != size.pixels() as u64
        }
        Segmentation::Compressed { size, counts } => {
            rle_string::decode_whole(counts.as_bytes(), *size).is_err()
        }
        Segmentation::Absent => false,
    }
}

/// The size of the masks of an image.
pub(in crate::coco) fn mask_size(image: &DatasetImage) -> Result<Size, String> {
    let size = image
        .declared
        .ok_or("its image has no width and height in the JSON")?;
    if size.pixels() > MAX_PIXELS || size.width.max(size.height) > MAX_SIDE {
        return Err(format!("an image of {size} is too large"));
    }
    Ok(size)
}

/// The mask at the size of the image; without a segmentation the box's rectangle.
pub(in crate::coco) fn mask_of(
    segmentation: &Segmentation,
    bbox: Option<BoxXywh>,
    size: Size,
) -> Result<Rle, String> {
    let declared = |mask: Size| {
        if mask == size {
            Ok(size)
        } else {
            Err(format!("its mask is {mask}, the image {size}"))
        }
    };
    match segmentation {
        Segmentation::Compressed { size, counts } => {
            rle_string::decode(counts, declared(*size)?).map_err(|error| error.to_string())
        }
        Segmentation::Runs { size, counts } => {
            rle_string::from_runs(counts.clone(), declared(*size)?)
                .map_err(|error| error.to_string())
        }
        Segmentation::Polygons(parts) => rasterise(parts, size),
        Segmentation::Absent => match bbox {
            Some(bbox) => rasterise(&[corners(bbox)], size),
            None => Err("it has neither a mask nor a box".into()),
        },
    }
}

/// The outline of a box.
fn corners(bbox: BoxXywh) -> Vec<f64> {
    let (left, top) = (bbox.x, bbox.y);
    let (right, bottom) = (bbox.x + bbox.width, bbox.y + bbox.height);
    vec![left, top, left, bottom, right, bottom, right, top]
}
