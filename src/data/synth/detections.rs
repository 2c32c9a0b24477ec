//! Predictions that are annotations perturbed: masks shifted, scaled and roughened, classes mistaken, duplicates, noise;
//! scores that know something of the overlap.

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::annotations::{Placed, category_id, write_error};
use super::outline::{self, Outline, OutlinedInstance, coordinate};
use super::rng::Rng;
use super::set::SynthError;
use crate::coco::polygon::rasterise;
use crate::coco::{AtomicFile, PredictedImage, predictions, rle_string};
use crate::structures::{BoxXywh, ClassTable, Detection, Rle, Size};

/// Share of instances that no detection finds, of detections of nothing, and of mistaken classes.
const MISSED: f32 = 0.1;
const NOISE: f32 = 0.3;
const MISTAKEN: f32 = 0.08;
/// Strengths of the perturbation, as a share of the instance's side.
const WEAKEST: f32 = 0.005;
const STRONGEST: f32 = 0.5;
/// A score falls by that factor with every further detection of the same instance, and for a mistaken class.
const DUPLICATE: f32 = 0.6;
const MISTAKE: f32 = 0.7;
/// Lowest score that a detector hands out.
const LOWEST: f32 = 0.01;
/// Deviation of the scores, of `mask_iou` and of the box from what they should be.
const SCORE_NOISE: f32 = 0.12;
const MASK_IOU_NOISE: f32 = 0.1;
const BOX_NOISE: f32 = 0.02;

/// `placed.quota` detections of an image, in no order.
pub(super) fn detections(rng: &mut Rng, placed: &Placed) -> Vec<Detection> {
    let instances: Vec<Target<'_>> = placed
        .image
        .instances
        .iter()
        .filter(|_| !rng.chance(MISSED))
        .filter_map(|instance| Target::new(instance, placed.image.size))
        .collect();
    (0..placed.quota)
        .map(|number| {
            // Each once, then again and again.
            let again = number / instances.len().max(1);
            match instances.get(number % instances.len().max(1)) {
                Some(target) if again == 0 || !rng.chance(NOISE) => {
                    of_instance(rng, target, placed.image.size, again)
                }
                _ => of_nothing(rng, placed.image.size),
            }
        })
        .collect()
}

/// An instance with its mask.
struct Target<'a> {
    instance: &'a OutlinedInstance,
    parts: Vec<Vec<f64>>,
    mask: Rle,
}

impl<'a> Target<'a> {
    fn new(instance: &'a OutlinedInstance, size: Size) -> Option<Self> {
        let (parts, mask) = match &instance.outline {
            Outline::Parts(parts) => (parts.clone(), rasterise(parts, size).ok()?),
            // A detector marks a part of a crowd.
            Outline::Crowd(mask) => (vec![corners(mask.bbox())], mask.clone()),
        };
        Some(Self {
            instance,
            parts,
            mask,
        })
    }
}

fn corners(bbox: BoxXywh) -> Vec<f64> {
    let (right, bottom) = (bbox.x + bbox.width, bbox.y + bbox.height);
    vec![bbox.x, bbox.y, right, bbox.y, right, bottom, bbox.x, bottom]
}

fn of_instance(rng: &mut Rng, target: &Target<'_>, size: Size, again: usize) -> Detection {
    let strength = rng.log_range(WEAKEST, STRONGEST);
    let mask = perturbed(rng, target, size, strength);
    let overlap = mask.iou(&target.mask).unwrap_or(0.0) as f32;
    let is_mistaken = rng.chance(MISTAKEN);
    let mut score = 0.2 + 0.75 * overlap + SCORE_NOISE * rng.normal();
    score *= DUPLICATE.powi(again.min(8) as i32);
    let label = if is_mistaken {
        score *= MISTAKE;
        outline::class(rng)
    } else {
        target.instance.class
    };
    detection(rng, label, mask, score, overlap)
}

fn of_nothing(rng: &mut Rng, size: Size) -> Detection {
    let instance = outline::instance(rng, size);
    let mask = match &instance.outline {
        Outline::Parts(parts) => rasterise(parts, size).unwrap_or_else(|_| Rle::empty(size)),
        Outline::Crowd(mask) => mask.clone(),
    };
    let score = rng.log_range(LOWEST, 0.6);
    let overlap = rng.range(0.1, 0.6); // what the head believes
    detection(rng, instance.class, mask, score, overlap)
}

/// The instance's outline moved as a whole, scaled, and each vertex by itself.
fn perturbed(rng: &mut Rng, target: &Target<'_>, size: Size, strength: f32) -> Rle {
    let side = target.instance.side;
    let shift: [f32; 2] = std::array::from_fn(|_| strength * side * 0.5 * rng.normal());
    let scale = (1.0 + strength * 0.5 * rng.normal()).max(0.2);
    let bbox = target.mask.bbox();
    let centre = [
        (bbox.x + bbox.width / 2.0) as f32,
        (bbox.y + bbox.height / 2.0) as f32,
    ];
    let parts: Vec<Vec<f64>> = target
        .parts
        .iter()
        .map(|part| {
            let moved = part.iter().enumerate().map(|(at, &value)| {
                let axis = at % 2;
                let from_centre = (value as f32 - centre[axis]) * scale;
                let rough = strength * side * 0.1 * rng.normal();
                let limit = [size.width, size.height][axis];
                coordinate(centre[axis] + from_centre + shift[axis] + rough, limit)
            });
            moved.collect()
        })
        .collect();
    match rasterise(&parts, size) {
        Ok(mask) if mask.area() > 0 => mask,
        _ => target.mask.clone(),
    }
}

/// Its scores as single floats, as a network has them; the box near the mask's.
fn detection(rng: &mut Rng, label: usize, mask: Rle, score: f32, overlap: f32) -> Detection {
    let score = score.clamp(LOWEST, 0.9999);
    let mask_iou = (overlap + MASK_IOU_NOISE * rng.normal()).clamp(0.0, 1.0);
    let tight = mask.bbox();
    let mut near =
        |at: f64, side: f64| f64::from((at + side * f64::from(BOX_NOISE * rng.normal())) as f32);
    let (x, y) = (near(tight.x, tight.width), near(tight.y, tight.height));
    let bbox = BoxXywh::new(
        x.max(0.0),
        y.max(0.0),
        near(tight.width, tight.width),
        near(tight.height, tight.height),
    );
    Detection {
        bbox,
        label,
        score: f64::from(score),
        mask_iou: Some(f64::from(mask_iou)),
        iou_score: f64::from(score * mask_iou),
        mask,
        quality: None,
    }
}

/// The files that detections are written to.
pub(super) struct DetectionFiles {
    segm: Results,
    bbox: Results,
    predictions: Option<predictions::Writer>,
}

/// A list of COCO results.
struct Results {
    path: PathBuf,
    file: BufWriter<AtomicFile>,
    is_empty: bool,
}

#[derive(Serialize)]
struct ResultRecord {
    image_id: u64,
    category_id: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    bbox: Option<[f64; 4]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    segmentation: Option<Compressed>,
    score: f64,
}

#[derive(Serialize)]
struct Compressed {
    size: [usize; 2],
    counts: String,
}

impl DetectionFiles {
    pub(super) fn create(out: &Path, with_predictions: bool) -> Result<Self, SynthError> {
        let predictions = with_predictions
            .then(|| predictions::Writer::create(&out.join("predictions.json"), "synth"))
            .transpose()?;
        Ok(Self {
            segm: Results::create(out.join("results.segm.json"))?,
            bbox: Results::create(out.join("results.bbox.json"))?,
            predictions,
        })
    }

    /// Masks carry `iou_score`, boxes `score`; a mask's entry has no box, because pycocotools would take its area.
    pub(super) fn add(
        &mut self,
        placed: &Placed,
        found: Vec<Detection>,
        classes: &ClassTable,
    ) -> Result<(), SynthError> {
        for detection in &found {
            let (bbox, size) = (detection.bbox, detection.mask.size());
            let record = |bbox, segmentation, score| ResultRecord {
                image_id: placed.image_id,
                category_id: category_id(detection.label),
                bbox,
                segmentation,
                score,
            };
            let corners = [bbox.x, bbox.y, bbox.width, bbox.height];
            let mask = Compressed {
                size: [size.height, size.width],
                counts: rle_string::encode(&detection.mask),
            };
            self.bbox
                .add(&record(Some(corners), None, detection.score))?;
            self.segm
                .add(&record(None, Some(mask), detection.iou_score))?;
        }
        if let Some(writer) = &mut self.predictions {
            let image = PredictedImage::new(placed.file_name.clone(), placed.image.size, found);
            writer.append(&image, classes)?;
        }
        Ok(())
    }

    pub(super) fn finish(self) -> Result<(), SynthError> {
        self.segm.finish()?;
        self.bbox.finish()?;
        match self.predictions {
            Some(writer) => Ok(writer.finish()?),
            None => Ok(()),
        }
    }
}

impl Results {
    fn create(path: PathBuf) -> Result<Self, SynthError> {
        match AtomicFile::create(&path) {
            Ok(file) => Ok(Self {
                path,
                file: BufWriter::new(file),
                is_empty: true,
            }),
            Err(source) => Err(write_error(&path, source)),
        }
    }

    fn add(&mut self, record: &ResultRecord) -> Result<(), SynthError> {
        let separator: &[u8] = if std::mem::take(&mut self.is_empty) {
            b"["
        } else {
            b",\n"
        };
        self.file
            .write_all(separator)
            .and_then(|()| Ok(serde_json::to_writer(&mut self.file, record)?))
            .map_err(|source| write_error(&self.path, source))
    }

    fn finish(mut self) -> Result<(), SynthError> {
        let end: &[u8] = if self.is_empty { b"[]\n" } else { b"]\n" };
        let written = self.file.write_all(end);
        let whole = written.and_then(|()| self.file.into_inner().map_err(|e| e.into_error()));
        whole
            .and_then(AtomicFile::persist)
            .map_err(|source| write_error(&self.path, source))
    }
}
