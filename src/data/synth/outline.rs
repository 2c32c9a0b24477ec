//! Instances without a picture: polygons and crowds with about COCO's counts, sizes, vertices and classes.

use super::rng::Rng;
use super::scene::{coco_count, coco_radius};
use crate::coco::polygon::rasterise;
use crate::config::COCO_CLASSES;
use crate::structures::{Rle, Size};

/// Pictures' sizes in COCO, the commonest first; the share of each in hundredths.
const SIZES: [(usize, Size); 7] = [
    (38, size(640, 480)),
    (26, size(640, 427)),
    (12, size(480, 640)),
    (8, size(500, 375)),
    (6, size(427, 640)),
    (6, size(612, 612)),
    (4, size(640, 360)),
];
/// Share of images without an instance, of crowds, and of instances in two parts.
const EMPTY: f32 = 0.006;
const CROWDS: f32 = 0.012;
const TWO_PARTS: f32 = 0.08;
/// Share of the first class; every later one is as frequent as its place in a harmonic row says.
const FIRST_CLASS: f32 = 0.3;
/// Coordinates have two decimals.
const DECIMALS: f64 = 100.0;
/// An outline's vertices: as many for its length as annotators set.
const FEWEST_VERTICES: f32 = 8.0;
const VERTICES_OF_ROOT: f32 = 2.65;

/// An outline's centre is at least that share of its radius away from the border, so that no sliver is left.
const INSIDE: f32 = 0.6;

const fn size(width: usize, height: usize) -> Size {
    Size { width, height }
}

/// What an annotation's `segmentation` is made of.
#[derive(Clone, Debug)]
pub(super) enum Outline {
    /// Flat `x, y, x, y, ..` of each part.
    Parts(Vec<Vec<f64>>),
    /// Many objects, as runs.
    Crowd(Rle),
}

/// One instance.
#[derive(Clone, Debug)]
pub(super) struct OutlinedInstance {
    /// Index into the 80 classes.
    pub class: usize,
    pub outline: Outline,
    /// Side of the square of about its area, in pixels.
    pub side: f32,
}

/// An image that exists in the JSON alone.
#[derive(Clone, Debug)]
pub(super) struct OutlinedImage {
    pub size: Size,
    pub instances: Vec<OutlinedInstance>,
}

/// Streams of one image: its numbers must not change with what is drawn from another stream.
fn stream(seed: u64, index: usize, purpose: u64) -> Rng {
    Rng::new(seed ^ purpose.rotate_left(32), index as u64)
}

/// Number of instances of an image, without making them.
pub(super) fn count(seed: u64, index: usize) -> usize {
    let mut rng = stream(seed, index, 1);
    if rng.chance(EMPTY) {
        0
    } else {
        coco_count(&mut rng)
    }
}

/// The image `index` of the set `seed`; `fixed` where every image has the same size.
pub(super) fn image(seed: u64, index: usize, fixed: Option<Size>) -> OutlinedImage {
    let mut rng = stream(seed, index, 2);
    let size = fixed.unwrap_or_else(|| common_size(&mut rng));
    let instances = (0..count(seed, index))
        .map(|_| instance(&mut rng, size))
        .collect();
    OutlinedImage { size, instances }
}

/// A stream for what is predicted on an image.
pub(super) fn detection_stream(seed: u64, index: usize) -> Rng {
    stream(seed, index, 3)
}

fn common_size(rng: &mut Rng) -> Size {
    let mut share = rng.below(SIZES.iter().map(|(share, _)| share).sum());
    for (part, size) in SIZES {
        if share < part {
            return size;
        }
        share -= part;
    }
    SIZES[0].1
}

/// An instance somewhere in an image.
pub(super) fn instance(rng: &mut Rng, image: Size) -> OutlinedInstance {
    let scale = (image.pixels() as f32).sqrt() / (640.0f32 * 480.0).sqrt();
    let shorter = image.width.min(image.height) as f32;
    let radius = (coco_radius(rng) * scale).clamp(2.0, shorter * 0.48);
    let class = class(rng);
    let centre = [
        rng.range(0.0, image.width as f32),
        rng.range(0.0, image.height as f32),
    ];
    if rng.chance(CROWDS)
        && let Some(mask) = crowd(rng, image, centre, radius)
    {
        return OutlinedInstance {
            class,
            outline: Outline::Crowd(mask),
            side: radius * 2.0,
        };
    }
    let mut parts = vec![blob(rng, image, centre, radius)];
    if rng.chance(TWO_PARTS) {
        let beside = [
            centre[0] + radius * rng.range(-1.6, 1.6),
            centre[1] + radius * rng.range(-1.6, 1.6),
        ];
        let smaller = radius * rng.range(0.3, 0.7);
        parts.push(blob(rng, image, beside, smaller));
    }
    OutlinedInstance {
        class,
        outline: Outline::Parts(parts),
        side: radius * 2.0,
    }
}

/// A class, the early ones more often.
pub(super) fn class(rng: &mut Rng) -> usize {
    let count = COCO_CLASSES.len();
    if rng.chance(FIRST_CLASS) {
        return 0;
    }
    // Uniform in the logarithm: about as often as the inverse of its place.
    (rng.log_range(1.0, count as f32) as usize).min(count - 1)
}

/// Several overlapping blobs as one mask.
fn crowd(rng: &mut Rng, image: Size, centre: [f32; 2], radius: f32) -> Option<Rle> {
    let parts: Vec<Vec<f64>> = (0..3 + rng.below(6))
        .map(|_| {
            let place = centre.map(|at| at + radius * rng.range(-2.0, 2.0));
            let radius = radius * rng.range(0.4, 0.9);
            blob(rng, image, place, radius)
        })
        .collect();
    rasterise(&parts, image).ok().filter(|mask| mask.area() > 0)
}

/// A closed wobbly outline around a place of the image, cut off at its border.
fn blob(rng: &mut Rng, image: Size, centre: [f32; 2], radius: f32) -> Vec<f64> {
    let inside = |at: f32, side: usize| {
        let margin = (radius * INSIDE).min(side as f32 / 2.0);
        at.clamp(margin, side as f32 - margin)
    };
    let centre = [
        inside(centre[0], image.width),
        inside(centre[1], image.height),
    ];
    let around = rng.range(0.7, 1.4);
    let vertices = ((FEWEST_VERTICES + VERTICES_OF_ROOT * radius.sqrt()) * around) as usize;
    let (aspect, turn) = (rng.range(0.5, 1.0), rng.range(0.0, std::f32::consts::TAU));
    let waves: [(f32, f32, f32); 2] = [
        (2.0, rng.range(0.0, 0.2), rng.range(0.0, 6.0)),
        (3.0, rng.range(0.0, 0.2), rng.range(0.0, 6.0)),
    ];
    let (sin, cos) = turn.sin_cos();
    let mut flat = Vec::with_capacity(2 * vertices);
    for vertex in 0..vertices {
        let share = (vertex as f32 + rng.range(-0.3, 0.3)) / vertices as f32;
        let angle = std::f32::consts::TAU * share;
        let wobble: f32 = waves
            .iter()
            .map(|(times, height, phase)| height * (times * angle + phase).sin())
            .sum();
        let reach = radius * (1.0 + wobble + rng.range(-0.05, 0.05));
        let (x, y) = (reach * angle.cos(), reach * aspect * angle.sin());
        let (x, y) = (centre[0] + x * cos - y * sin, centre[1] + x * sin + y * cos);
        flat.push(coordinate(x, image.width));
        flat.push(coordinate(y, image.height));
    }
    flat
}

/// Inside the image, with two decimals.
pub(super) fn coordinate(at: f32, side: usize) -> f64 {
    (f64::from(at.clamp(0.0, side as f32)) * DECIMALS).round() / DECIMALS
}
