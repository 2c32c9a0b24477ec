//! IoU of every detection with the ground truths of its image: computed once, read by everything that follows.

use rayon::prelude::*;

use super::EvalInput;
use crate::structures::{BoxXywh, Detection, Rle};

/// What is laid over each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Boxes.
    Bbox,
    /// Masks.
    Segm,
}

impl Kind {
    /// As COCO names it.
    pub fn key(self) -> &'static str {
        match self {
            Self::Bbox => "bbox",
            Self::Segm => "segm",
        }
    }
}

/// Which pairs are measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Pairs of one class: what COCO evaluation needs.
    SameClass,
    /// Every pair of an image: what TIDE and the confusion matrix need beside it.
    AnyClass,
}

/// A ground truth that a detection overlaps.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Overlap {
    /// Position in `EvalInput::truths`.
    pub truth: u32,
    /// Intersection over union, above 0; over the detection's own area for a crowd region.
    pub iou: f64,
}

/// Overlaps by detection. Pairs that do not touch are absent.
#[derive(Clone, Debug, Default)]
pub struct Overlaps {
    /// Start of each detection's list; one more than detections.
    starts: Vec<u32>,
    pairs: Vec<Overlap>,
}

impl Overlaps {
    /// Measures an input on all cores. `progress` gets images done and may return false to stop: then `None`.
    pub fn measure(
        input: &EvalInput,
        kind: Kind,
        scope: Scope,
        progress: &(dyn Fn(usize) -> bool + Sync),
    ) -> Option<Self> {
        let done = std::sync::atomic::AtomicUsize::new(0);
        let of_images: Vec<Vec<(u32, Overlap)>> = (0..input.images.len())
            .into_par_iter()
            .map(|image| {
                let done = done.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                progress(done).then(|| measure_image(input, image, kind, scope))
            })
            .collect::<Option<_>>()?;
        Some(Self::from_lists(input.detections.len(), of_images))
    }

    /// From pairs in the order of their detections, list after list.
    pub(super) fn from_lists(detections: usize, lists: Vec<Vec<(u32, Overlap)>>) -> Self {
        let mut overlaps = Self {
            starts: vec![0; detections + 1],
            pairs: Vec::with_capacity(lists.iter().map(Vec::len).sum()),
        };
        for (detection, pair) in lists.into_iter().flatten() {
            overlaps.pairs.push(pair);
            overlaps.starts[detection as usize + 1] = overlaps.pairs.len() as u32;
        }
        // A detection without pairs ends where the one before it does.
        let mut end = 0;
        for start in &mut overlaps.starts {
            end = end.max(*start);
            *start = end;
        }
        overlaps
    }

    /// Ground truths that a detection overlaps, by ascending position.
    pub fn of(&self, detection: usize) -> &[Overlap] {
        match (self.starts.get(detection), self.starts.get(detection + 1)) {
            (Some(&start), Some(&end)) => &self.pairs[start as usize..end as usize],
            _ => &[],
        }
    }

    /// IoU of a pair; 0 where they do not touch or were not measured.
    pub fn iou(&self, detection: usize, truth: u32) -> f64 {
        let pairs = self.of(detection);
        let found = pairs.binary_search_by_key(&truth, |pair| pair.truth);
        found
            .ok()
            .and_then(|at| pairs.get(at))
            .map_or(0.0, |pair| pair.iou)
    }
}

/// IoU of two predictions of one image; 0 for masks of different size.
pub(super) fn instance_iou(kind: Kind, a: &Detection, b: &Detection) -> f64 {
    let [a, b] = [a, b].map(|of| Shape::new(kind, of.bbox, &of.mask));
    a.overlap(&b, kind, false)
}

/// What is compared of one instance.
struct Shape<'a> {
    bbox: [f64; 4],
    mask: &'a Rle,
    /// Corners of the mask's foreground.
    extent: [f64; 4],
    area: u64,
}

impl<'a> Shape<'a> {
    fn new(kind: Kind, bbox: BoxXywh, mask: &'a Rle) -> Self {
        let (extent, area) = match kind {
            Kind::Bbox => ([0.0; 4], 0),
            Kind::Segm => {
                let b = mask.bbox();
                ([b.x, b.y, b.x + b.width, b.y + b.height], mask.area())
            }
        };
        Self {
            bbox: [bbox.x, bbox.y, bbox.width, bbox.height],
            mask,
            extent,
            area,
        }
    }

    fn overlap(&self, truth: &Self, kind: Kind, is_crowd: bool) -> f64 {
        match kind {
            Kind::Bbox => hotcoco::primitives::sim::bbox_iou_pair(self.bbox, truth.bbox, is_crowd),
            Kind::Segm => {
                let ([a0, b0, a1, b1], [c0, d0, c1, d1]) = (self.extent, truth.extent);
                if a0 >= c1 || c0 >= a1 || b0 >= d1 || d0 >= b1 {
                    return 0.0;
                }
                // Masks of another size than the image were left out with their reason.
                let inter = self.mask.intersection_area(truth.mask).unwrap_or(0);
                // Over the detection's own area where the other side adds nothing but what is shared.
                let other = if is_crowd { inter } else { truth.area };
                hotcoco::primitives::sim::iou_from_counts(inter, self.area, other)
            }
        }
    }
}

fn measure_image(input: &EvalInput, image: usize, kind: Kind, scope: Scope) -> Vec<(u32, Overlap)> {
    let Some(image) = input.images.get(image) else {
        return Vec::new();
    };
    if image.truths.is_empty() || image.detections.is_empty() {
        return Vec::new();
    }
    let truths: Vec<_> = image
        .truths
        .clone()
        .map(|position| {
            let truth = &input.truths[position];
            (
                position as u32,
                truth,
                Shape::new(kind, truth.bbox, &truth.mask),
            )
        })
        .collect();
    let mut pairs = Vec::new();
    for position in image.detections.clone() {
        let detection = input.detection(position);
        let label = input.detections[position].label;
        let fits = |other: u32| scope == Scope::AnyClass || other == label;
        if !truths.iter().any(|(_, truth, _)| fits(truth.label)) {
            continue;
        }
        let shape = Shape::new(kind, detection.bbox, &detection.mask);
        for (number, truth, other) in truths.iter().filter(|(_, truth, _)| fits(truth.label)) {
            let iou = shape.overlap(other, kind, truth.is_crowd);
            if iou > 0.0 {
                pairs.push((
                    position as u32,
                    Overlap {
                        truth: *number,
                        iou,
                    },
                ));
            }
        }
    }
    pairs
}
