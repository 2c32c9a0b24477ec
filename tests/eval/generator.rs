//! Small random evaluation cases, each made from its seed alone, rich in what evaluators get wrong.

use maskscope::coco::rle_string;
use maskscope::structures::{Rle, Size};
use serde_json::{Value, json};

use super::case::Case;
use super::pixels::Pixels;

/// splitmix64.
pub struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `count`.
    fn below(&mut self, count: usize) -> usize {
        (self.next() % count as u64) as usize
    }

    /// `low` to `high`, both possible.
    fn within(&mut self, low: usize, high: usize) -> usize {
        low + self.below(high - low + 1)
    }

    /// Once in `count`.
    fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }

    /// 0 to 1.
    fn unit(&mut self) -> f64 {
        const MANTISSA: u32 = 53;
        (self.next() >> (64 - MANTISSA)) as f64 / (1u64 << MANTISSA) as f64
    }

    fn pick<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.below(list.len())]
    }

    fn shuffle<T>(&mut self, list: &mut [T]) {
        for last in (1..list.len()).rev() {
            list.swap(last, self.below(last + 1));
        }
    }
}

/// Side of the smallest and of the largest image.
const SIDES: (usize, usize) = (8, 40);
/// Areas on, just below and just above the limits of the area ranges.
const BORDER_AREAS: [f64; 8] = [
    1023.9999, 1024.0, 1024.0001, 9215.99, 9216.0, 9216.01, 0.0, 50_000.0,
];
/// Sides of squares with an area on a limit.
const BORDER_SIDES: [f64; 2] = [32.0, 96.0];

/// An object's place: its pixels and a box that need not fit them.
#[derive(Clone)]
struct Place {
    pixels: Pixels,
    /// Polygons that give the pixels, where it was drawn so.
    polygons: Option<Value>,
    bbox: [f64; 4],
}

#[derive(Clone, Copy)]
struct Image {
    id: usize,
    height: usize,
    width: usize,
}

struct Draft {
    rng: Rng,
    categories: Vec<usize>,
    annotations: Vec<Value>,
    detections: Vec<Value>,
}

/// The case of a seed.
pub fn case(seed: u64) -> Case {
    let mut rng = Rng(seed);
    let images = images(&mut rng);
    let mut draft = Draft {
        categories: ids(&mut rng, 1, 3),
        rng,
        annotations: Vec::new(),
        detections: Vec::new(),
    };
    for &image in &images {
        draft.fill(image);
    }
    if draft.rng.one_in(40) {
        draft.detections.clear();
    }
    if draft.rng.one_in(60) {
        draft.annotations.clear();
    }
    // Files are in no order.
    draft.rng.shuffle(&mut draft.annotations);
    draft.rng.shuffle(&mut draft.detections);
    draft.number();
    let image = |i: &Image| json!({"id": i.id, "height": i.height, "width": i.width, "file_name": format!("{}.png", i.id)});
    let category = |id: &usize| json!({"id": id, "name": format!("class {id}")});
    let images: Vec<Value> = images.iter().map(image).collect();
    let categories: Vec<Value> = draft.categories.iter().map(category).collect();
    Case {
        gt: json!({"images": images, "annotations": draft.annotations, "categories": categories}),
        dt: draft.detections,
    }
}

fn images(rng: &mut Rng) -> Vec<Image> {
    let ids = ids(rng, 1, 4);
    let side = |rng: &mut Rng| rng.within(SIDES.0, SIDES.1);
    ids.into_iter()
        .map(|id| Image {
            id,
            height: side(rng),
            width: side(rng),
        })
        .collect()
}

/// `low` to `high` different ids in any order; 0 is often among them.
fn ids(rng: &mut Rng, low: usize, high: usize) -> Vec<usize> {
    let count = rng.within(low, high);
    let start = rng.pick(&[0, 0, 1, 1, 7]);
    let gap = rng.pick(&[1, 1, 3]);
    let mut ids: Vec<usize> = (0..count).map(|i| start + i * gap).collect();
    rng.shuffle(&mut ids);
    ids
}

impl Draft {
    /// Ground truths and detections of one image.
    fn fill(&mut self, image: Image) {
        let truths = match self.rng.below(6) {
            0 => 0,
            _ => self.rng.below(7),
        };
        let detections = match self.rng.below(120) {
            0 => self.rng.within(101, 130),
            1..=8 => self.rng.within(11, 25),
            9..=25 => 0,
            _ => self.rng.below(11),
        };
        // Many in one class, so that limits of detections are met.
        let crowded = detections > 10;
        let class = self.rng.pick(&self.categories);
        let mut places: Vec<(usize, Place)> = Vec::new();
        for _ in 0..truths {
            let twin = !places.is_empty() && self.rng.one_in(6);
            let (category, place) = match twin {
                true => places[self.rng.below(places.len())].clone(),
                false => (self.rng.pick(&self.categories), self.place(image)),
            };
            self.annotate(image, category, &place);
            places.push((category, place));
        }
        for _ in 0..detections {
            let near = !places.is_empty() && !self.rng.one_in(4);
            let (mut category, place) = match near {
                true => {
                    let (category, place) = places[self.rng.below(places.len())].clone();
                    (category, self.near(&place))
                }
                false => (self.rng.pick(&self.categories), self.place(image)),
            };
            if crowded {
                category = class;
            } else if self.rng.one_in(10) {
                category = self.rng.pick(&self.categories);
            }
            self.detect(image, category, &place);
        }
    }

    /// A new place in an image.
    fn place(&mut self, image: Image) -> Place {
        let Image { height, width, .. } = image;
        if self.rng.one_in(4) {
            return self.drawn(image);
        }
        let border = BORDER_SIDES[0] as usize;
        let (h, w) = if height >= border && width >= border && self.rng.one_in(3) {
            (border, border)
        } else {
            (self.rng.within(1, height), self.rng.within(1, width))
        };
        let (top, left) = (
            self.rng.within(0, height - h),
            self.rng.within(0, width - w),
        );
        let mut pixels = Pixels::empty(height, width);
        let hole = self.rng.one_in(4);
        for x in left..left + w {
            for y in top..top + h {
                // A hole of every second row and column leaves many runs.
                pixels.inside[y + height * x] = !(hole && x % 2 == 1 && y % 2 == 1);
            }
        }
        let bbox = [left as f64, top as f64, w as f64, h as f64];
        self.with_box(pixels, None, bbox)
    }

    /// Polygons with corners in and around the image.
    fn drawn(&mut self, image: Image) -> Place {
        let Image { height, width, .. } = image;
        let parts = self.rng.within(1, 2);
        let polygons: Vec<Vec<f64>> = (0..parts).map(|_| self.polygon(image)).collect();
        let polygons = json!(polygons);
        let pixels = Pixels::read(&polygons, height, width);
        let bbox = [0.0, 0.0, width as f64, height as f64];
        self.with_box(pixels, Some(polygons), bbox)
    }

    fn polygon(&mut self, image: Image) -> Vec<f64> {
        let corners = self.rng.within(3, 8);
        let whole = self.rng.one_in(2);
        let point = |rng: &mut Rng, side: usize| {
            let v = rng.unit() * (side as f64 + 2.0) - 1.0;
            if whole {
                v.round()
            } else {
                (v * 100.0).round() / 100.0
            }
        };
        (0..corners)
            .flat_map(|_| {
                let x = point(&mut self.rng, image.width);
                [x, point(&mut self.rng, image.height)]
            })
            .collect()
    }

    /// The box as it is, on a limit of the area ranges, without area, or anywhere.
    fn with_box(&mut self, pixels: Pixels, polygons: Option<Value>, mut bbox: [f64; 4]) -> Place {
        let side = self.rng.pick(&BORDER_SIDES);
        match self.rng.below(12) {
            0 | 1 => bbox[2..].fill(side),
            2 => bbox[self.rng.within(2, 3)] = 0.0,
            3 | 4 => bbox.iter_mut().for_each(|v| *v += self.rng.unit()),
            _ => {}
        }
        Place {
            pixels,
            polygons,
            bbox,
        }
    }

    /// A place like another: the same, a part with a share of even numbers (IoUs on the thresholds), or moved.
    fn near(&mut self, place: &Place) -> Place {
        let mut found = place.clone();
        match self.rng.below(6) {
            0 | 1 => {}
            2 | 3 => {
                let (share, of) = self.rng.pick(&[(1, 2), (3, 4), (9, 10), (4, 5), (3, 5)]);
                found.pixels = part(&place.pixels, share, of);
                found.bbox[2] = place.bbox[2] * share as f64 / of as f64;
            }
            4 => {
                let (dx, dy) = (self.rng.below(3), self.rng.below(3));
                found.pixels = moved(&place.pixels, dx, dy);
                found.bbox[0] += dx as f64;
                found.bbox[1] += dy as f64;
            }
            _ => {
                found
                    .pixels
                    .inside
                    .iter_mut()
                    .for_each(|p| *p &= !self.rng.one_in(5));
                found.bbox.iter_mut().for_each(|v| *v += self.rng.unit());
            }
        }
        found
    }

    fn annotate(&mut self, image: Image, category: usize, place: &Place) {
        let pixels = &place.pixels;
        let segmentation = match &place.polygons {
            Some(polygons) => polygons.clone(),
            None if self.rng.one_in(2) => compressed(pixels),
            None => json!({"size": [pixels.height, pixels.width], "counts": pixels.runs()}),
        };
        let mut annotation = json!({
            "image_id": image.id,
            "category_id": category,
            "iscrowd": u8::from(self.rng.one_in(7)),
            "segmentation": segmentation,
            "bbox": place.bbox,
            "area": pixels.area(),
        });
        match self.rng.below(8) {
            0 | 1 => annotation["area"] = json!(self.rng.pick(&BORDER_AREAS)),
            // Without one, the mask's counts.
            2 if pixels.area() > 0 => {
                annotation.as_object_mut().unwrap().remove("area");
            }
            // Only `iscrowd` says what is ignored.
            3 => annotation["ignore"] = json!(1),
            _ => {}
        }
        self.annotations.push(annotation);
    }

    fn detect(&mut self, image: Image, category: usize, place: &Place) {
        let pixels = match self.rng.one_in(30) {
            true => &Pixels::empty(image.height, image.width),
            false => &place.pixels,
        };
        let detection = json!({
            "image_id": image.id,
            "category_id": category,
            "bbox": place.bbox,
            "segmentation": compressed(pixels),
            "score": self.score(),
            "mask_score": self.score(),
        });
        self.detections.push(detection);
    }

    /// One of a few numbers, so that there are ties, or any.
    fn score(&mut self) -> f64 {
        match self.rng.one_in(2) {
            true => self.rng.pick(&[0.0, 0.1, 0.3, 0.5, 0.5, 0.9, 1.0]),
            false => self.rng.unit(),
        }
    }

    /// Ids of annotations: from 1, from 0, in falling order, or with repetitions.
    fn number(&mut self) {
        let count = self.annotations.len();
        let style = self.rng.below(6);
        for position in 0..count {
            let id = match style {
                0 | 1 => position,
                2 => count - position,
                3 => self.rng.below(count),
                _ => position + 1,
            };
            self.annotations[position]["id"] = json!(id);
        }
    }
}

/// A mask with its runs as a string.
pub fn compressed(pixels: &Pixels) -> Value {
    let size = Size::new(pixels.width, pixels.height);
    let rle = Rle::new(size, pixels.runs()).unwrap();
    json!({"size": [pixels.height, pixels.width], "counts": rle_string::encode(&rle)})
}

/// The first `share` of `of` parts of the pixels of a mask.
fn part(mask: &Pixels, share: usize, of: usize) -> Pixels {
    let kept = mask.area() * share / of;
    let mut part = mask.clone();
    let inside = part.inside.iter_mut().filter(|inside| **inside);
    inside.skip(kept).for_each(|inside| *inside = false);
    part
}

fn moved(mask: &Pixels, dx: usize, dy: usize) -> Pixels {
    let mut moved = Pixels::empty(mask.height, mask.width);
    for x in dx..mask.width {
        for y in dy..mask.height {
            let from = (y - dy) + mask.height * (x - dx);
            moved.inside[y + mask.height * x] = mask.inside[from];
        }
    }
    moved
}
