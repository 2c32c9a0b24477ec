//! One annotation, its mask made from polygons or either spelling of run lengths.

use hotcoco::Segmentation;

use super::DatasetImage;
use crate::coco::polygon::rasterise;
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
        Some(Segmentation::Polygon(parts)) if !parts.is_empty() => rasterise(parts, size),
        _ => match raw.bbox {
            Some(bbox) => rasterise(&[Segmentation::rect_corners(&bbox).to_vec()], size),
            None => Err("it has neither a mask nor a box".into()),
        },
    }
}
