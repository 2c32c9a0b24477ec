//! Generated sets: rectangles as masks, detections of graded quality, everything by a seed.

use std::sync::Arc;

use maskscope::coco::{Annotation, DatasetImage};
use maskscope::eval::{EvalInput, ImageParts};
use maskscope::structures::{BoxXywh, ClassTable, Detection, MaskQuality, Rle, Size};

/// splitmix64.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// 0 to 1, without 1.
    pub fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    pub fn below(&mut self, bound: usize) -> usize {
        (self.unit() * bound as f64) as usize
    }

    /// About normal: the sum of four uniform numbers, with the deviation 1.
    pub fn bell(&mut self) -> f64 {
        let sum: f64 = (0..4).map(|_| self.unit()).sum();
        (sum - 2.0) / (4.0_f64 / 12.0).sqrt()
    }
}

/// A filled rectangle, `[x, y, width, height]` in whole pixels inside the image.
pub fn rectangle(size: Size, [x, y, width, height]: [usize; 4]) -> Rle {
    let mut runs = vec![(x * size.height + y) as u32];
    for column in 0..width {
        if column > 0 {
            runs.push((size.height - height) as u32);
        }
        runs.push(height as u32);
    }
    let filled: u32 = runs.iter().sum();
    runs.push(size.pixels() as u32 - filled);
    Rle::new(size, merged(&runs)).unwrap()
}

/// Runs without empty ones inside, which a full column makes.
fn merged(runs: &[u32]) -> Vec<u32> {
    let mut merged: Vec<u32> = Vec::new();
    let mut carry = false;
    for (position, &run) in runs.iter().enumerate() {
        if carry {
            *merged.last_mut().unwrap() += run;
            carry = false;
        } else if run == 0 && position > 0 {
            carry = true;
        } else {
            merged.push(run);
        }
    }
    merged
}

pub fn box_of([x, y, width, height]: [usize; 4]) -> BoxXywh {
    BoxXywh::new(x as f64, y as f64, width as f64, height as f64)
}

pub fn image(id: u64, size: Size) -> DatasetImage {
    DatasetImage {
        id,
        file_name: format!("{id:06}.jpg"),
        path: format!("{id:06}.jpg").into(),
        declared: Some(size),
        exists: false,
    }
}

pub fn truth(id: u64, label: usize, size: Size, rect: [usize; 4], is_crowd: bool) -> Annotation {
    Annotation {
        id,
        label,
        category_id: label as i64 + 1,
        bbox: box_of(rect),
        area: (rect[2] * rect[3]) as f64,
        is_crowd,
        mask: rectangle(size, rect),
    }
}

pub fn detection(
    label: usize,
    size: Size,
    rect: [usize; 4],
    score: f64,
    mask_iou: Option<f64>,
) -> Detection {
    Detection {
        bbox: box_of(rect),
        label,
        score,
        mask_iou,
        iou_score: score * mask_iou.unwrap_or(1.0),
        mask: rectangle(size, rect),
        quality: None,
    }
}

/// What a set is made of.
#[derive(Clone, Copy)]
pub struct Recipe {
    pub seed: u64,
    pub images: usize,
    pub classes: usize,
    /// Mean numbers of an image.
    pub truths: f64,
    pub detections: f64,
    pub size: Size,
    /// Share of the ground truths that are crowd regions.
    pub crowds: f64,
    /// Share of the ground truths found a second time.
    pub duplicates: f64,
    /// Scores are rounded to this many steps; 0 leaves them.
    pub steps: usize,
    pub with_head: bool,
}

impl Recipe {
    pub fn small(seed: u64) -> Self {
        Self {
            seed,
            images: 24,
            classes: 4,
            truths: 5.0,
            detections: 14.0,
            size: Size::new(160, 120),
            crowds: 0.08,
            duplicates: 0.15,
            steps: 0,
            with_head: true,
        }
    }

    pub fn input(&self) -> EvalInput {
        EvalInput::from_parts(self.class_table(), self.parts())
    }

    pub fn class_table(&self) -> ClassTable {
        ClassTable::from_names((0..self.classes).map(|label| format!("class {label}")))
    }

    pub fn parts(&self) -> Vec<ImageParts> {
        let (mut random, mut next_id) = (Random(self.seed), 1);
        (0..self.images)
            .map(|number| self.image(number as u64 + 1, &mut next_id, &mut random))
            .collect()
    }

    fn image(&self, id: u64, next_id: &mut u64, random: &mut Random) -> ImageParts {
        let size = self.size;
        let count = |mean: f64, random: &mut Random| (mean * 2.0 * random.unit()).round() as usize;
        let (truths, wanted) = (count(self.truths, random), count(self.detections, random));
        let (mut annotations, mut detections) = (Vec::new(), Vec::new());
        for _ in 0..truths {
            let (label, rect) = (self.label(random), any_rect(size, random));
            let is_crowd = random.unit() < self.crowds;
            annotations.push(truth(*next_id, label, size, rect, is_crowd));
            *next_id += 1;
            let skill = random.unit();
            let found =
                usize::from(random.unit() < 0.8) + usize::from(random.unit() < self.duplicates);
            for _ in 0..found {
                let near = jittered(size, rect, 0.02 + 0.25 * skill, random);
                detections.push(self.detected(label, near, Some(rect), random));
            }
        }
        while detections.len() < wanted {
            let (label, rect) = (self.label(random), any_rect(size, random));
            detections.push(self.detected(label, rect, None, random));
        }
        ImageParts {
            image: image(id, size),
            annotations,
            detections: Arc::new(detections),
        }
    }

    /// A few classes hold most of the instances.
    fn label(&self, random: &mut Random) -> usize {
        let share = random.unit();
        ((self.classes as f64).powf(share) - 1.0) as usize % self.classes
    }

    fn detected(
        &self,
        label: usize,
        rect: [usize; 4],
        of: Option<[usize; 4]>,
        random: &mut Random,
    ) -> Detection {
        let fit = of.map_or(0.25 * random.unit(), |truth| overlap(rect, truth));
        let score = match of {
            Some(_) => 0.55 + 0.25 * fit + 0.2 * random.bell(),
            None => 0.05 + 0.3 * random.unit() * random.unit() + 0.05 * random.bell(),
        };
        let rounded = |value: f64| match self.steps {
            0 => value,
            steps => (value * steps as f64).round() / steps as f64,
        };
        let noisy = |spread: f64, random: &mut Random| fit + spread * random.bell();
        let mask_iou = self.with_head.then(|| rounded(noisy(0.1, random)));
        // Without an end at which scores would gather and tie.
        let score = rounded(1.0 / (1.0 + (-5.0 * (score - 0.5)).exp()));
        let mut made = detection(label, self.size, rect, score, mask_iou);
        made.quality = self.with_head.then(|| MaskQuality {
            stability: noisy(0.2, random).clamp(0.0, 1.0),
            mean_foreground: noisy(0.3, random).clamp(0.0, 1.0),
        });
        made
    }
}

fn any_rect(size: Size, random: &mut Random) -> [usize; 4] {
    let side = |full: usize, random: &mut Random| {
        let share = 0.04 + 0.5 * random.unit() * random.unit();
        ((full as f64 * share) as usize).max(2)
    };
    let (width, height) = (side(size.width, random), side(size.height, random));
    let x = random.below(size.width - width + 1);
    let y = random.below(size.height - height + 1);
    [x, y, width, height]
}

/// Each edge moved by about `spread` of the side.
fn jittered(size: Size, rect: [usize; 4], spread: f64, random: &mut Random) -> [usize; 4] {
    let [x, y, width, height] = rect.map(|value| value as f64);
    let edge = |at: f64, side: f64, full: usize, random: &mut Random| {
        (at + 0.5 * spread * side * random.bell()).clamp(0.0, full as f64) as usize
    };
    let x1 = edge(x, width, size.width - 2, random);
    let y1 = edge(y, height, size.height - 2, random);
    let x2 = edge(x + width, width, size.width, random).max(x1 + 1);
    let y2 = edge(y + height, height, size.height, random).max(y1 + 1);
    [x1, y1, x2 - x1, y2 - y1]
}

/// Only to grade a generated detection; what is tested reads the masks.
fn overlap(a: [usize; 4], b: [usize; 4]) -> f64 {
    let shared = |at: usize| {
        let end = (a[at] + a[at + 2]).min(b[at] + b[at + 2]);
        end.saturating_sub(a[at].max(b[at]))
    };
    let both = (shared(0) * shared(1)) as f64;
    both / ((a[2] * a[3] + b[2] * b[3]) as f64 - both)
}
