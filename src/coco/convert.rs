//! Pascal VOC and CVAT through hotcoco's converters.

use std::path::Path;

use hotcoco::convert::{ConvertError, coco_to_cvat, coco_to_voc};
use hotcoco::types as hot;

use super::yolo::FormatCounts;
use super::{CocoError, Corrected, CorrectedSet, Shape};
use crate::structures::outline::outline;

/// Writes `Annotations/<stem>.xml` and `labels.txt` into a folder: boxes, crowds as difficult.
///
/// # Errors
/// Two images of one stem, an id that the format cannot hold, a folder that cannot be written, `CocoError::Cancelled`.
pub fn write_voc(
    set: &CorrectedSet<'_>,
    folder: &Path,
    progress: &mut dyn FnMut(usize) -> bool,
) -> Result<FormatCounts, CocoError> {
    let (dataset, mut counts) = dataset(set, "Pascal VOC", folder, progress)?;
    let stats =
        coco_to_voc(&dataset, folder).map_err(|error| failed(folder, "Pascal VOC", error))?;
    counts.images = stats.images;
    counts.annotations = stats.annotations;
    counts.altered = 0; // boxes have neither holes nor parts
    Ok(counts)
}

/// Writes one "CVAT for images 1.1" file: polygons, run lengths as outlines around their pixels. Each part becomes a polygon of
/// its own and holes are filled, since the format has neither.
///
/// # Errors
/// As `write_voc`, but for stems.
pub fn write_cvat(
    set: &CorrectedSet<'_>,
    file: &Path,
    progress: &mut dyn FnMut(usize) -> bool,
) -> Result<FormatCounts, CocoError> {
    let (dataset, mut counts) = dataset(set, "CVAT", file, progress)?;
    let stats = coco_to_cvat(&dataset, file).map_err(|error| failed(file, "CVAT", error))?;
    counts.images = stats.images;
    counts.annotations = dataset.annotations.len() - stats.skipped_no_geometry;
    Ok(counts)
}

fn failed(path: &Path, format: &'static str, error: ConvertError) -> CocoError {
    match error {
        ConvertError::Io(source) => CocoError::Write {
            path: path.to_owned(),
            source,
            kept: "what was there is as it was".into(),
        },
        other => CocoError::Format {
            path: path.to_owned(),
            format,
            reason: other.to_string(),
        },
    }
}

/// The set as hotcoco has it.
fn dataset(
    set: &CorrectedSet<'_>,
    format: &'static str,
    path: &Path,
    progress: &mut dyn FnMut(usize) -> bool,
) -> Result<(hot::Dataset, FormatCounts), CocoError> {
    let mut counts = FormatCounts::default();
    let mut dataset = hot::Dataset::default();
    let id = |id: i64| {
        u64::try_from(id).map_err(|_| CocoError::Format {
            path: path.to_owned(),
            format,
            reason: format!("the category id {id} is negative: give it another one"),
        })
    };
    let classes = set.classes();
    for (name, &category) in classes.names.iter().zip(&classes.category_ids) {
        dataset.categories.push(hot::Category {
            id: id(category)?,
            name: name.clone(),
            ..hot::Category::default()
        });
    }
    for (number, image) in set.set().images().iter().enumerate() {
        if !progress(number) {
            let path = set.set().json().to_owned();
            return Err(CocoError::Cancelled { path });
        }
        let size = image.declared.unwrap_or_default();
        dataset.images.push(hot::Image {
            id: image.id,
            file_name: image.file_name.clone(),
            width: size.width as u32,
            height: size.height as u32,
            ..hot::Image::default()
        });
        let (annotations, dropped) = set.annotations(number)?;
        counts.empty_left_out += dropped.len();
        for annotation in annotations {
            let category = id(annotation.category_id)?;
            let polygons = polygons(&annotation, &mut counts);
            dataset.annotations.push(hot::Annotation {
                id: annotation.id,
                image_id: image.id,
                category_id: category,
                bbox: Some([
                    annotation.bbox.x,
                    annotation.bbox.y,
                    annotation.bbox.width,
                    annotation.bbox.height,
                ]),
                segmentation: Some(hot::Segmentation::Polygon(polygons)),
                iscrowd: annotation.is_crowd,
                ..hot::Annotation::default()
            });
        }
    }
    Ok((dataset, counts))
}

fn polygons(annotation: &Corrected, counts: &mut FormatCounts) -> Vec<Vec<f64>> {
    let parts = match &annotation.shape {
        Shape::Box(_) => return Vec::new(),
        Shape::Polygons(parts) => {
            counts.altered += usize::from(parts.len() > 1);
            return parts.clone();
        }
        Shape::Runs(mask) => outline(mask),
    };
    let has_holes = parts.iter().any(|part| !part.holes.is_empty());
    counts.altered += usize::from(has_holes || parts.len() > 1);
    let flat = parts.iter().map(|part| {
        let corners = part.outer.iter();
        corners
            .flat_map(|&(x, y)| [f64::from(x), f64::from(y)])
            .collect()
    });
    flat.collect()
}
