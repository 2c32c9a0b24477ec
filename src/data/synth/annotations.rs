//! Annotations without pictures, for measurements at COCO's scale: a data set's JSON and matching predictions, written
//! as a stream.

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use serde::Serialize;

use super::detections::{DetectionFiles, detections};
use super::outline::{self, Outline, OutlinedImage, OutlinedInstance};
use super::scene::{MAX_SIDE, MIN_SIDE};
use super::set::{SetSummary, SynthError};
use crate::coco::AtomicFile;
use crate::config::COCO_CLASSES;
use crate::structures::mix;
use crate::structures::{BoxXywh, ClassTable, Rle, Size};

/// Images made at once: large enough for every core, small enough that a cancel is quick.
const BATCH: usize = 512;

/// What is written.
#[derive(Clone, Debug)]
pub struct AnnotationsRequest {
    /// The new folder: `labels.json`, and the predictions' files where they are asked for.
    pub out: PathBuf,
    /// Images.
    pub images: usize,
    /// The same seed gives the same files.
    pub seed: u64,
    /// Of every image; `None`: COCO's usual ones.
    pub size: Option<Size>,
    /// Detections of all images together, as `results.segm.json` and `results.bbox.json`.
    pub detections: usize,
    /// The detections as `predictions.json` too, with all scores.
    pub predictions: bool,
}

/// An image's number in the file, and what stands there of it.
pub(super) struct Placed {
    pub image_id: u64,
    pub file_name: String,
    pub image: OutlinedImage,
    /// Number of detections.
    pub quota: usize,
    first_annotation: u64,
}

/// Writes `out/labels.json` with about COCO's statistics (7.3 instances an image, polygons, some in two parts, some
/// crowds, 80 classes) but no picture. `progress(done, total)` counts images; where it returns false nothing stays.
///
/// # Errors
/// A size that is not made, a folder or disk that refuses.
pub fn write_annotations(
    request: &AnnotationsRequest,
    progress: &mut dyn FnMut(usize, usize) -> bool,
) -> Result<SetSummary, SynthError> {
    let sides = MIN_SIDE..=MAX_SIDE;
    if let Some(size) = request.size
        && (!sides.contains(&size.width) || !sides.contains(&size.height))
    {
        return Err(SynthError::Size { size });
    }
    std::fs::create_dir_all(&request.out).map_err(|source| SynthError::Write {
        path: request.out.clone(),
        source,
    })?;
    let counts: Vec<usize> = (0..request.images)
        .into_par_iter()
        .map(|index| outline::count(request.seed, index))
        .collect();
    let plan = Plan { request, counts };
    let total = plan.steps();
    let mut done = 0;
    let mut step = |images: usize| {
        done += images;
        progress(done, total)
    };
    let complete = plan.write_labels(&mut step)?
        && (request.detections == 0 || plan.write_detections(&mut step)?);
    Ok(SetSummary {
        images: request.images,
        instances: plan.counts.iter().sum(),
        complete,
    })
}

/// Categories of the file: ids with gaps, as COCO's.
pub(super) fn class_table() -> ClassTable {
    ClassTable {
        names: COCO_CLASSES.map(str::to_owned).to_vec(),
        category_ids: (0..COCO_CLASSES.len()).map(category_id).collect(),
    }
}

/// Every ninth id is left out.
pub(super) fn category_id(class: usize) -> i64 {
    (class + 1 + class / 8) as i64
}

/// Ascending with gaps, as COCO's.
fn image_id(seed: u64, index: usize) -> u64 {
    4 * index as u64 + 1 + mix(seed ^ mix(index as u64)) % 4
}

struct Plan<'a> {
    request: &'a AnnotationsRequest,
    /// Instances of each image.
    counts: Vec<usize>,
}

impl Plan<'_> {
    /// Images that are gone through, over all files.
    fn steps(&self) -> usize {
        let passes = if self.request.detections > 0 { 3 } else { 2 };
        self.request.images * passes
    }

    fn write_labels(&self, step: &mut dyn FnMut(usize) -> bool) -> Result<bool, SynthError> {
        let path = self.request.out.join("labels.json");
        let failed = |source| write_error(&path, source);
        let mut file = AtomicFile::create(&path).map_err(failed)?;
        let mut writer = BufWriter::new(&mut file);
        write!(
            writer,
            "{{\"info\":{{\"description\":\"Maskscope annotations without pictures, seed {}\",\"year\":2024}},\
             \"licenses\":[{{\"id\":1,\"name\":\"none\"}}],\n\"images\":[",
            self.request.seed
        )
        .map_err(failed)?;
        if !self
            .write_list(&mut writer, step, image_json)
            .map_err(failed)?
        {
            return Ok(false);
        }
        writer.write_all(b"],\n\"annotations\":[").map_err(failed)?;
        if !self
            .write_list(&mut writer, step, annotations_json)
            .map_err(failed)?
        {
            return Ok(false);
        }
        writer.write_all(b"],\n\"categories\":").map_err(failed)?;
        serde_json::to_writer(&mut writer, &categories())
            .map_err(std::io::Error::from)
            .and_then(|()| writer.write_all(b"}\n"))
            .and_then(|()| writer.flush())
            .map_err(failed)?;
        drop(writer);
        file.persist().map_err(failed)?;
        Ok(true)
    }

    /// Records of all images, separated by commas; false where it was stopped.
    fn write_list(
        &self,
        writer: &mut impl Write,
        step: &mut dyn FnMut(usize) -> bool,
        records: fn(&Placed, &mut Vec<u8>) -> serde_json::Result<()>,
    ) -> std::io::Result<bool> {
        let mut is_first = true;
        for batch in self.batches() {
            let texts: Vec<Vec<u8>> = batch
                .par_iter()
                .map(|&(index, first)| {
                    let mut text = Vec::new();
                    records(&self.place(index, first), &mut text)?;
                    Ok(text)
                })
                .collect::<serde_json::Result<_>>()?;
            for text in texts.iter().filter(|text| !text.is_empty()) {
                if !std::mem::take(&mut is_first) {
                    writer.write_all(b",")?;
                }
                writer.write_all(text)?;
            }
            if !step(batch.len()) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn write_detections(&self, step: &mut dyn FnMut(usize) -> bool) -> Result<bool, SynthError> {
        let request = self.request;
        let classes = class_table();
        let mut files = DetectionFiles::create(&request.out, request.predictions)?;
        for batch in self.batches() {
            let made: Vec<_> = batch
                .par_iter()
                .map(|&(index, first)| {
                    let placed = self.place(index, first);
                    let mut rng = outline::detection_stream(request.seed, index);
                    let found = detections(&mut rng, &placed);
                    (placed, found)
                })
                .collect();
            for (placed, found) in made {
                files.add(&placed, found, &classes)?;
            }
            if !step(batch.len()) {
                return Ok(false);
            }
        }
        files.finish()?;
        Ok(true)
    }

    /// Indices of images with the number of their first annotation.
    fn batches(&self) -> impl Iterator<Item = Vec<(usize, u64)>> + '_ {
        let mut first = 1;
        (0..self.counts.len()).step_by(BATCH).map(move |start| {
            let end = self.counts.len().min(start + BATCH);
            (start..end)
                .map(|index| {
                    let own = first;
                    first += self.counts[index] as u64;
                    (index, own)
                })
                .collect()
        })
    }

    fn place(&self, index: usize, first_annotation: u64) -> Placed {
        let image_id = image_id(self.request.seed, index);
        Placed {
            image_id,
            file_name: format!("{image_id:012}.jpg"),
            image: outline::image(self.request.seed, index, self.request.size),
            quota: self.quota(index, first_annotation),
            first_annotation,
        }
    }

    /// The image's part of all detections, in proportion to its instances and one more.
    fn quota(&self, index: usize, first_annotation: u64) -> usize {
        let weight_of_all = self.counts.iter().sum::<usize>() + self.counts.len();
        let before = first_annotation as usize - 1 + index;
        let until = before + self.counts[index] + 1;
        let share = |weight: usize| {
            (weight as u128 * self.request.detections as u128 / weight_of_all as u128) as usize
        };
        share(until) - share(before)
    }
}

pub(super) fn write_error(path: &Path, source: std::io::Error) -> SynthError {
    SynthError::Write {
        path: path.to_owned(),
        source,
    }
}

#[derive(Serialize)]
struct ImageRecord<'a> {
    license: u32,
    file_name: &'a str,
    source_url: String,
    height: usize,
    width: usize,
    date_captured: String,
    original_url: String,
    id: u64,
}

fn image_json(placed: &Placed, text: &mut Vec<u8>) -> serde_json::Result<()> {
    let id = placed.image_id;
    let record = ImageRecord {
        license: 1,
        file_name: &placed.file_name,
        source_url: format!("http://images.example.org/train/{}", placed.file_name),
        height: placed.image.size.height,
        width: placed.image.size.width,
        date_captured: format!(
            "2024-11-{:02} {:02}:{:02}:00",
            id % 30 + 1,
            id % 24,
            id % 60
        ),
        original_url: format!(
            "http://photos.example.org/{}/{:016x}_z.jpg",
            id % 10_000,
            mix(id)
        ),
        id,
    };
    serde_json::to_writer(text, &record)
}

#[derive(Serialize)]
struct AnnotationRecord<'a> {
    segmentation: Segmentation<'a>,
    area: f64,
    iscrowd: u8,
    image_id: u64,
    bbox: [f64; 4],
    category_id: i64,
    id: u64,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Segmentation<'a> {
    Parts(&'a [Vec<f64>]),
    Runs { counts: &'a [u32], size: [usize; 2] },
}

fn annotations_json(placed: &Placed, text: &mut Vec<u8>) -> serde_json::Result<()> {
    for (id, instance) in (placed.first_annotation..).zip(&placed.image.instances) {
        if !text.is_empty() {
            text.push(b',');
        }
        let record = annotation(placed, instance, id);
        serde_json::to_writer(&mut *text, &record)?;
    }
    Ok(())
}

fn annotation<'a>(
    placed: &Placed,
    instance: &'a OutlinedInstance,
    id: u64,
) -> AnnotationRecord<'a> {
    let (segmentation, area, bbox, iscrowd) = match &instance.outline {
        Outline::Parts(parts) => {
            let area = parts.iter().map(|part| polygon_area(part)).sum();
            (Segmentation::Parts(parts), area, polygon_box(parts), 0)
        }
        Outline::Crowd(mask) => (runs_of(mask), mask.area() as f64, mask.bbox(), 1),
    };
    AnnotationRecord {
        segmentation,
        area,
        iscrowd,
        image_id: placed.image_id,
        bbox: [bbox.x, bbox.y, bbox.width, bbox.height].map(two_decimals),
        category_id: category_id(instance.class),
        id,
    }
}

fn runs_of(mask: &Rle) -> Segmentation<'_> {
    let size = mask.size();
    Segmentation::Runs {
        counts: mask.runs(),
        size: [size.height, size.width],
    }
}

fn two_decimals(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

/// By the shoelace formula.
fn polygon_area(flat: &[f64]) -> f64 {
    let points: Vec<&[f64]> = flat.chunks_exact(2).collect();
    let edges = points.iter().zip(points.iter().cycle().skip(1));
    edges
        .map(|(a, b)| a[0] * b[1] - b[0] * a[1])
        .sum::<f64>()
        .abs()
        / 2.0
}

fn polygon_box(parts: &[Vec<f64>]) -> BoxXywh {
    let range = |axis: usize| {
        let along = parts
            .iter()
            .flat_map(|part| part.iter().skip(axis).step_by(2));
        along.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), &at| {
            (low.min(at), high.max(at))
        })
    };
    let ((left, right), (top, bottom)) = (range(0), range(1));
    BoxXywh::new(left, top, right - left, bottom - top)
}

#[derive(Serialize)]
struct CategoryRecord {
    supercategory: &'static str,
    id: i64,
    name: &'static str,
}

fn categories() -> Vec<CategoryRecord> {
    let named = COCO_CLASSES.into_iter().enumerate();
    named
        .map(|(class, name)| CategoryRecord {
            supercategory: "thing",
            id: category_id(class),
            name,
        })
        .collect()
}
