//! One picture: how many shapes, where, and painting them.

use super::fill::{Colour, Fill, mixed};
use super::rng::Rng;
use super::shape::{Shape, Shapes};
use crate::data::RgbImage;
use crate::structures::{BoxXywh, Rle, Size};

/// Sides of pictures that are made.
pub const MIN_SIDE: usize = 32;
/// Sides of pictures that are made.
pub const MAX_SIDE: usize = 8192;

/// How many shapes there are and how large.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Stats {
    /// 3 to 8 shapes, radius log-uniform 14 to 56 px of a 256×256 picture.
    #[default]
    Plain,
    /// About as COCO train2017: 7.3 instances a picture with a long tail, at most 60; of them 41 % small (below 32²),
    /// 34 % medium (below 96²), 25 % large, in pixels of a 640×480 picture.
    Coco,
}

/// What is in the pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Contents {
    /// How many and how large.
    pub stats: Stats,
    /// Which.
    pub shapes: Shapes,
}

impl From<Stats> for Contents {
    fn from(stats: Stats) -> Self {
        Self {
            stats,
            shapes: Shapes::Usual,
        }
    }
}

/// An instance of a scene.
#[derive(Clone, Debug, PartialEq)]
pub struct SynthInstance {
    /// Index into the classes of its `Shapes`.
    pub class: usize,
    /// Its visible pixels.
    pub mask: Rle,
    /// The box around them.
    pub bbox: BoxXywh,
}

/// A picture and what is in it.
#[derive(Clone, Debug)]
pub struct SynthScene {
    /// The picture.
    pub image: RgbImage,
    /// In painting order: the last one lies on top.
    pub instances: Vec<SynthInstance>,
}

/// A shape that would leave another less of itself is placed again.
const LEAST_VISIBLE: f32 = 0.4;
/// Places, and colours, that are tried.
const TRIES: usize = 20;
/// One channel of a shape's colour differs that much from what lies beneath.
const CONTRAST: f32 = 60.0;
/// No owner: background.
const NOBODY: u16 = u16::MAX;

/// The picture `index` of the set `seed`. Sides are clamped to `MIN_SIDE..=MAX_SIDE`.
pub fn scene(seed: u64, index: u64, size: Size) -> SynthScene {
    scene_with(seed, index, size, Contents::default())
}

/// As `scene`, with the contents chosen.
pub fn scene_with(seed: u64, index: u64, size: Size, contents: Contents) -> SynthScene {
    let size = Size::new(
        size.width.clamp(MIN_SIDE, MAX_SIDE),
        size.height.clamp(MIN_SIDE, MAX_SIDE),
    );
    let mut rng = Rng::new(seed, index);
    let mut canvas = Canvas::new(&mut rng, size);
    for radius in radii(&mut rng, size, contents.stats) {
        canvas.try_to_place(&mut rng, contents.shapes, radius);
    }
    let instances = canvas.instances();
    let image = canvas.finish(&mut rng);
    SynthScene { image, instances }
}

/// Radii of the shapes in painting order; with COCO's statistics the largest first, so that small ones are not buried.
fn radii(rng: &mut Rng, size: Size, stats: Stats) -> Vec<f32> {
    let shorter = size.width.min(size.height) as f32;
    let mut radii: Vec<f32> = match stats {
        Stats::Plain => {
            let scale = (size.pixels() as f32).sqrt() / 256.0;
            let count = 3 + rng.below(6);
            (0..count)
                .map(|_| rng.log_range(14.0, 56.0) * scale)
                .map(|radius| radius.min(shorter * 0.48))
                .collect()
        }
        Stats::Coco => {
            let scale = (size.pixels() as f32).sqrt() / (640.0f32 * 480.0).sqrt();
            (0..coco_count(rng))
                .map(|_| coco_radius(rng) * scale)
                .map(|radius| radius.min(shorter * 0.48))
                .collect()
        }
    };
    if stats == Stats::Coco {
        radii.sort_by(|a, b| b.total_cmp(a));
    }
    radii
}

/// Instances of a picture: geometric, mean 7.3.
pub(super) fn coco_count(rng: &mut Rng) -> usize {
    let mut count = 1;
    while count < 60 && rng.chance(1.0 - 1.0 / 7.3) {
        count += 1;
    }
    count
}

/// A radius whose mask has about COCO's distribution of areas, in pixels of 640×480.
pub(super) fn coco_radius(rng: &mut Rng) -> f32 {
    // Mean over the shapes of root of area by radius.
    const SIDE_OF_RADIUS: f32 = 1.35;
    let share = rng.unit();
    let side = if share < 0.41 {
        rng.log_range(8.0, 32.0)
    } else if share < 0.75 {
        rng.log_range(32.0, 96.0)
    } else {
        rng.log_range(96.0, 320.0)
    };
    side / SIDE_OF_RADIUS
}

/// The picture while it is painted.
struct Canvas {
    size: Size,
    scale: f32,
    pixels: Vec<Colour>,
    /// Which shape is on top.
    owner: Vec<u16>,
    shapes: Vec<Placed>,
}

struct Placed {
    class: usize,
    whole: usize,
    visible: usize,
}

impl Canvas {
    fn new(rng: &mut Rng, size: Size) -> Self {
        let scale = (size.pixels() as f32).sqrt() / 256.0;
        let fill = Fill::background(rng, scale);
        let pixels = (0..size.pixels())
            .map(|at| fill.at((at % size.width) as f32, (at / size.width) as f32))
            .collect();
        Self {
            size,
            scale,
            pixels,
            owner: vec![NOBODY; size.pixels()],
            shapes: Vec::new(),
        }
    }

    fn try_to_place(&mut self, rng: &mut Rng, shapes: Shapes, radius: f32) {
        for _ in 0..TRIES {
            let shape = Shape::random(rng, shapes, self.size, radius);
            let inside = self.inside(&shape);
            if !inside.is_empty() && self.leaves_enough(&inside) {
                let fill = self.contrasting_fill(rng, &inside, radius);
                self.paint(&shape, &fill);
                self.own(shape.class, &inside);
                return;
            }
        }
    }

    /// Pixels whose centre lies inside.
    fn inside(&self, shape: &Shape) -> Vec<usize> {
        let [left, top, right, bottom] = shape.window(self.size, 0.0);
        let mut inside = Vec::new();
        for y in top..bottom {
            for x in left..right {
                if shape.distance(x as f32 + 0.5, y as f32 + 0.5) < 0.0 {
                    inside.push(y * self.size.width + x);
                }
            }
        }
        inside
    }

    fn leaves_enough(&self, inside: &[usize]) -> bool {
        let mut covered = vec![0usize; self.shapes.len()];
        for &at in inside {
            if let Some(count) = covered.get_mut(usize::from(self.owner[at])) {
                *count += 1;
            }
        }
        self.shapes.iter().zip(covered).all(|(shape, covered)| {
            (shape.visible - covered) as f32 >= LEAST_VISIBLE * shape.whole as f32
        })
    }

    fn contrasting_fill(&self, rng: &mut Rng, inside: &[usize], radius: f32) -> Fill {
        let mut below = [0f32; 3];
        for &at in inside {
            for (sum, value) in below.iter_mut().zip(self.pixels[at]) {
                *sum += value / inside.len() as f32;
            }
        }
        let mut fill = Fill::shape(rng, radius);
        for _ in 1..TRIES {
            let main = fill.main();
            if main
                .iter()
                .zip(below)
                .any(|(a, b)| (a - b).abs() > CONTRAST)
            {
                break;
            }
            fill = Fill::shape(rng, radius);
        }
        fill
    }

    /// A soft shadow, then the shape with smooth edges and a little light from above.
    fn paint(&mut self, shape: &Shape, fill: &Fill) {
        let blur = (0.1 * shape.radius).max(1.5);
        let offset = 0.5 * blur;
        let [left, top, right, bottom] = shape.window(self.size, 2.0 * blur);
        for y in top..bottom {
            for x in left..right {
                let (px, py) = (x as f32 + 0.5, y as f32 + 0.5);
                let pixel = &mut self.pixels[y * self.size.width + x];
                let shadow = 0.5 - shape.distance(px - offset, py - offset) / (2.0 * blur);
                let dark = 1.0 - 0.32 * shadow.clamp(0.0, 1.0);
                *pixel = pixel.map(|value| value * dark);
                let cover = (0.5 - shape.distance(px, py)).clamp(0.0, 1.0);
                if cover > 0.0 {
                    let height = (py - top as f32) / (bottom - top) as f32;
                    let lit = fill.at(px, py).map(|value| value * (1.08 - 0.16 * height));
                    *pixel = mixed([*pixel, lit], cover);
                }
            }
        }
    }

    fn own(&mut self, class: usize, inside: &[usize]) {
        let number = self.shapes.len() as u16;
        for &at in inside {
            if let Some(below) = self.shapes.get_mut(usize::from(self.owner[at])) {
                below.visible -= 1;
            }
            self.owner[at] = number;
        }
        self.shapes.push(Placed {
            class,
            whole: inside.len(),
            visible: inside.len(),
        });
    }

    fn instances(&self) -> Vec<SynthInstance> {
        let mut instances = Vec::with_capacity(self.shapes.len());
        let mut bytes = vec![0u8; self.owner.len()];
        for (number, shape) in (0u16..).zip(&self.shapes) {
            for (byte, &owner) in bytes.iter_mut().zip(&self.owner) {
                *byte = u8::from(owner == number);
            }
            let Ok(mask) = Rle::from_row_major(self.size, &bytes) else {
                continue;
            };
            instances.push(SynthInstance {
                class: shape.class,
                bbox: mask.bbox(),
                mask,
            });
        }
        instances
    }

    /// Noise on every picture, a slight blur on some.
    fn finish(mut self, rng: &mut Rng) -> RgbImage {
        if rng.chance(0.3) {
            for _ in 0..(self.scale.round() as usize).clamp(1, 4) {
                self.blur();
            }
        }
        let deviation = rng.range(2.0, 12.0);
        let mut rgb = Vec::with_capacity(self.pixels.len() * 3);
        for pixel in &self.pixels {
            rgb.extend(pixel.map(|value| (value + deviation * rng.normal()).round() as u8));
        }
        RgbImage {
            size: self.size,
            rgb,
        }
    }

    /// 1 2 1 in both axes.
    fn blur(&mut self) {
        let Size { width, height } = self.size;
        for (step, count) in [(1, width), (width, height)] {
            let source = self.pixels.clone();
            for (at, pixel) in self.pixels.iter_mut().enumerate() {
                let place = at / step % count;
                let before = source[if place == 0 { at } else { at - step }];
                let after = source[if place + 1 == count { at } else { at + step }];
                *pixel = std::array::from_fn(|c| {
                    0.25 * before[c] + 0.5 * source[at][c] + 0.25 * after[c]
                });
            }
        }
    }
}
