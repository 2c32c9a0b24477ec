//! One annotation, its mask made from polygons or either spelling of run lengths.

use hotcoco::Segmentation;

use super::DatasetImage;
use crate::coco::rle_string;
use crate::structures::{BoxXywh, ClassTable, Rle, Size};

/// A polygon of fewer than three vertices has no inside.
const MIN_COORDINATES: usize = 6;
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
}

/// An annotation without its mask.
#[derive(Clone, Debug, PartialEq)]
pub struct Outline {
    /// Index of the class.
    pub label: usize,
    /// Box in pixels of the image; that of the mask where the JSON gives none.
    pub bbox: BoxXywh,
    /// Area as the JSON has it; that of the mask where it gives none.
    pub area: f64,
    /// Whether it stands for many objects.
    pub is_crowd: bool,
}

/// `None` where `read` would leave the annotation out for its class, or for a mask that box or area are needed from.
pub(super) fn outline(
    raw: &hotcoco::Annotation,
    image: &DatasetImage,
    classes: &ClassTable,
) -> Option<Outline> {
    let (Some([x, y, width, height]), Some(area)) = (raw.bbox, raw.area) else {
        let whole = read(raw, image, classes).ok()?;
        return Some(Outline {
            label: whole.label,
            bbox: whole.bbox,
            area: whole.area,
            is_crowd: whole.is_crowd,
        });
    };
    let category_id = raw.category_id as i64;
    let mut ids = classes.category_ids.iter();
    Some(Outline {
        label: ids.position(|&id| id == category_id)?,
        bbox: BoxXywh::new(x, y, width, height),
        area,
        is_crowd: raw.iscrowd,
    })
}

pub(super) fn read(
    raw: &hotcoco::Annotation,
    image: &DatasetImage,
    classes: &ClassTable,
) -> Result<Annotation, String> {
    let category_id = raw.category_id as i64;
    let label = classes
        .category_ids
        .iter()
        .position(|&id| id == category_id)
        .ok_or_else(|| format!("category {category_id} is not in the set"))?;
    let size = image
        .declared
        .ok_or("its image has no width and height in the JSON")?;
    if size.pixels() > MAX_PIXELS || size.width.max(size.height) > MAX_SIDE {
        return Err(format!("an image of {size} is too large"));
    }
    let mask = mask_of(raw, size)?;
    let bbox = raw
        .bbox
        .map_or_else(|| mask.bbox(), |[x, y, w, h]| BoxXywh::new(x, y, w, h));
    Ok(Annotation {
        id: raw.id,
        label,
        category_id,
        bbox,
        area: raw.area.unwrap_or_else(|| mask.area() as f64),
        is_crowd: raw.iscrowd,
        mask,
    })
}

fn mask_of(raw: &hotcoco::Annotation, size: Size) -> Result<Rle, String> {
    let declared = |[height, width]: [u32; 2]| {
        let mask = Size::new(width as usize, height as usize);
        if mask == size {
            Ok(size)
        } else {
            Err(format!("its mask is {mask}, the image {size}"))
        }
    };
    match &raw.segmentation {
        Some(Segmentation::CompressedRle { size, counts }) => {
            rle_string::decode(counts, declared(*size)?).map_err(|error| error.to_string())
        }
        Some(Segmentation::UncompressedRle { size, counts }) => {
            rle_string::from_runs(counts.clone(), declared(*size)?)
                .map_err(|error| error.to_string())
        }
        Some(Segmentation::Polygon(parts)) if !parts.is_empty() => from_polygons(parts, size),
        _ => match raw.bbox {
            Some(bbox) => from_polygons(&[Segmentation::rect_corners(&bbox).to_vec()], size),
            None => Err("it has neither a mask nor a box".into()),
        },
    }
}

/// The union of the parts, rasterised as pycocotools does (semantics.md section 6).
fn from_polygons(parts: &[Vec<f64>], size: Size) -> Result<Rle, String> {
    let mut mask: Option<Rle> = None;
    for part in parts.iter().filter(|part| part.len() >= MIN_COORDINATES) {
        let runs = hotcoco::mask::fr_poly(part, size.height as u32, size.width as u32)
            .map_err(|error| error.to_string())?;
        let part = Rle::new(size, runs.counts).map_err(|error| error.to_string())?;
        mask = Some(match mask {
            None => part,
            Some(mask) => mask.union(&part).map_err(|error| error.to_string())?,
        });
    }
    mask.ok_or_else(|| "none of its polygons has three vertices".into())
}
