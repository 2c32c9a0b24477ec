//! An image's file, its size, and whether it has annotations.

use super::{Findings, Kind, Probe};
use crate::coco::dataset::{Dataset, DatasetImage, mask_size};

pub(super) fn check(
    set: &Dataset,
    position: usize,
    image: &DatasetImage,
    probe: Option<Probe<'_>>,
    found: &mut Findings,
) {
    let record = set.index().images.get(position);
    let start = record.map_or(0, |record| record.span.start);
    if let Err(reason) = mask_size(image) {
        let text = reason.replace("its image has", "it has");
        found.add_of_image(Kind::ImageWithoutSize, start, image, &text);
    }
    if set.annotations_of(position) == 0 {
        found.add_of_image(Kind::NoAnnotations, start, image, "it has no annotations");
    }
    let Some(probe) = probe else { return };
    if image.file_name.is_empty() {
        let text = format!("image {} has no file name", image.id);
        found.add(Kind::MissingFile, Some(start), text);
        return;
    }
    if !image.exists {
        let text = format!("there is no file {}", image.path.display());
        found.add_of_image(Kind::MissingFile, start, image, &text);
        return;
    }
    match (probe(image), image.declared) {
        (Err(reason), _) => found.add_of_image(Kind::CorruptFile, start, image, &reason),
        (Ok(size), Some(declared)) if size != declared => {
            let text = format!("the file is {size}, the set says {declared}");
            found.add_of_image(Kind::SizeMismatch, start, image, &text);
        }
        (Ok(_), _) => {}
    }
}
