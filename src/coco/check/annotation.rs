//! One annotation: its category, its mask, and whether box and area are the mask's.

use super::{Findings, Kind};
use crate::coco::dataset::segmentation::{self, Segmentation};
use crate::coco::dataset::{AnnotationHead, Dataset, DatasetImage, mask_of, mask_size};
use crate::coco::polygon::MIN_COORDINATES;
use crate::coco::rle_string;
use crate::structures::{BoxXywh, Rle, Size};

/// An edge of a box may be that many pixels off its mask's: polygons are drawn between pixels.
pub const BOX_TOLERANCE_PIXELS: f64 = 3.0;
/// Or that share of the box's longer side, whichever is more.
pub const BOX_TOLERANCE: f64 = 0.05;
/// An area may be off its mask's by that share of it, and by a pixel along half of its box's outline.
pub const AREA_TOLERANCE: f64 = 0.1;
/// A box or vertex may lie that many pixels outside: some tools count pixels from 1.
const OUTSIDE_TOLERANCE: f64 = 1.0;

/// Checks an annotation of an image of the set.
pub(super) fn check(
    set: &Dataset,
    image: &DatasetImage,
    head: &AnnotationHead,
    record: &[u8],
    found: &mut Findings,
) {
    if !set.classes().category_ids.contains(&head.category_id) {
        found.left_out += 1;
        let text = format!("category {} is not in the set", head.category_id);
        found.add_of_annotation(Kind::UnknownCategory, head, Some(image), &text);
        return;
    }
    let Ok(size) = mask_size(image) else {
        found.left_out += 1; // told once for the image
        return;
    };
    let mut one = One {
        head,
        image,
        size,
        found,
    };
    let segmentation = match segmentation::of_record(record) {
        Ok(segmentation) => segmentation,
        Err(reason) => {
            let is_rle = reason.contains("run lengths") || reason.contains("counts");
            return one.refuse(
                if is_rle {
                    Kind::BadRle
                } else {
                    Kind::BadPolygon
                },
                &reason,
            );
        }
    };
    match mask_of(&segmentation, head.bbox, size) {
        Ok(mask) => one.check(&segmentation, &mask),
        Err(reason) => one.refuse(kind_of(&segmentation), &reason),
    }
}

/// What a mask that cannot be made is about.
fn kind_of(segmentation: &Segmentation) -> Kind {
    match segmentation {
        Segmentation::Absent => Kind::NoMask,
        Segmentation::Polygons(_) => Kind::BadPolygon,
        Segmentation::Compressed { .. } | Segmentation::Runs { .. } => Kind::BadRle,
    }
}

struct One<'a> {
    head: &'a AnnotationHead,
    image: &'a DatasetImage,
    size: Size,
    found: &'a mut Findings,
}

impl One<'_> {
    fn add(&mut self, kind: Kind, text: &str) {
        let (head, image) = (self.head, self.image);
        self.found.add_of_annotation(kind, head, Some(image), text);
    }

    fn refuse(&mut self, kind: Kind, reason: &str) {
        self.found.left_out += 1;
        self.add(kind, reason);
    }

    fn check(&mut self, segmentation: &Segmentation, mask: &Rle) {
        match segmentation {
            Segmentation::Absent => self.add(
                Kind::BoxAsMask,
                "it has no mask; its box's rectangle stands for it",
            ),
            Segmentation::Polygons(parts) => self.polygons(parts),
            Segmentation::Compressed { counts, .. } => {
                // What an encoder wrote is written again the same, unless pixels were filled up.
                self.runs(rle_string::encode(mask) == *counts);
            }
            Segmentation::Runs { counts, .. } => {
                let sum: u64 = counts.iter().map(|&run| u64::from(run)).sum();
                self.runs(sum == self.size.pixels() as u64);
            }
        }
        let is_rle = matches!(
            segmentation,
            Segmentation::Compressed { .. } | Segmentation::Runs { .. }
        );
        if self.head.is_crowd && !is_rle {
            self.add(
                Kind::CrowdWithoutRle,
                "a crowd, but its mask is not run lengths",
            );
        }
        if mask.area() == 0 {
            self.add(Kind::EmptyMask, "its mask has no pixel");
        }
        self.bbox(mask);
        self.area(mask);
    }

    fn polygons(&mut self, parts: &[Vec<f64>]) {
        for (number, part) in parts.iter().enumerate() {
            if part.len() < MIN_COORDINATES {
                let vertices = part.len() / 2;
                let text = format!("part {number} has {vertices} vertices and is left out");
                self.add(Kind::ShortPolygon, &text);
            } else if part.len() % 2 == 1 {
                let text = format!(
                    "part {number} has {} coordinates; the last one is not used",
                    part.len()
                );
                self.add(Kind::OddCoordinates, &text);
            }
        }
        let limit = |axis: usize| [self.size.width, self.size.height][axis % 2] as f64;
        let outside = parts
            .iter()
            .flat_map(|part| part.iter().enumerate())
            .find(|&(axis, &at)| at < -OUTSIDE_TOLERANCE || at > limit(axis) + OUTSIDE_TOLERANCE);
        if let Some((axis, at)) = outside {
            let name = ["x", "y"][axis % 2];
            let text = format!(
                "a vertex lies outside the image of {}: {name} = {at}",
                self.size
            );
            self.add(Kind::OutsideImage, &text);
        }
    }

    fn runs(&mut self, is_whole: bool) {
        if !is_whole {
            let text = format!(
                "its run lengths do not add up to the {} pixels; the rest is background",
                self.size.pixels()
            );
            self.add(Kind::ShortRle, &text);
        }
    }

    fn bbox(&mut self, mask: &Rle) {
        let Some(bbox) = self.head.bbox else {
            return self.add(Kind::MissingBox, "it has no box; the mask's is used");
        };
        if !(bbox.width > 0.0 && bbox.height > 0.0) {
            let text = format!("its box is {}×{} pixels", bbox.width, bbox.height);
            return self.add(Kind::BoxSize, &text);
        }
        let (right, bottom) = (bbox.x + bbox.width, bbox.y + bbox.height);
        let (width, height) = (self.size.width as f64, self.size.height as f64);
        let reach = [-bbox.x, -bbox.y, right - width, bottom - height];
        let reach = reach.into_iter().fold(0.0, f64::max);
        if reach > OUTSIDE_TOLERANCE {
            let text = format!(
                "its box {} reaches {reach:.1} pixels outside the image of {}",
                in_words(bbox),
                self.size
            );
            self.add(Kind::OutsideImage, &text);
        }
        if mask.area() == 0 {
            return; // told already
        }
        let of_mask = mask.bbox();
        let apart = [
            bbox.x - of_mask.x,
            bbox.y - of_mask.y,
            right - (of_mask.x + of_mask.width),
            bottom - (of_mask.y + of_mask.height),
        ];
        let apart = apart.into_iter().map(f64::abs).fold(0.0, f64::max);
        let longer = bbox.width.max(bbox.height);
        if apart > BOX_TOLERANCE_PIXELS.max(BOX_TOLERANCE * longer) {
            let text = format!(
                "its box is {}, its mask's {}: {apart:.1} pixels apart",
                in_words(bbox),
                in_words(of_mask)
            );
            self.add(Kind::BoxAgainstMask, &text);
        }
    }

    fn area(&mut self, mask: &Rle) {
        let Some(area) = self.head.area else {
            return self.add(Kind::MissingArea, "it has no area; the mask's is used");
        };
        let (of_mask, around) = (mask.area() as f64, mask.bbox());
        let allowed = AREA_TOLERANCE * of_mask + around.width + around.height;
        if (area - of_mask).abs() > allowed || area < 0.0 {
            let text = format!("its area is {area}, its mask has {of_mask} pixels");
            self.add(Kind::AreaAgainstMask, &text);
        }
    }
}

fn in_words(bbox: BoxXywh) -> String {
    format!(
        "({:.1}, {:.1}) {:.1}×{:.1}",
        bbox.x, bbox.y, bbox.width, bbox.height
    )
}
