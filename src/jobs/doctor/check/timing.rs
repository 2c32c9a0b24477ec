//! How fast a device is, on the full-size model by formula.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use candle_core::{Device, Tensor};

use super::training::TrainingStep;
use super::{Found, model};
use crate::data::{decode, list_images};
use crate::jobs::infer::{ImageTask, InferEvent, InferJob, ModelRequest};
use crate::jobs::model::{forget, load};
use crate::model::InputBatch;
use crate::structures::{ImageTransform, Precision, Size};
use crate::weights::{self, CheckpointMetadata, StoredType};

/// Passes of which the fastest counts, after one that prepares.
const PASSES: usize = 3;
/// What inference is timed on where there is no time for more.
pub(super) const INFERENCE: Inference = Inference {
    size: Size {
        width: 1024,
        height: 800,
    },
    images: 1,
    precision: Precision::Float32,
};
/// What detectors are usually timed on.
const SIZES: [Size; 2] = [
    Size {
        width: 1333,
        height: 800,
    },
    Size {
        width: 1024,
        height: 1024,
    },
];
const BATCHES: [usize; 2] = [1, 8];
/// Images of a folder that are timed at most.
const MOST_IMAGES: usize = 24;

/// A pass of the full-size model.
#[derive(Clone, Copy, Debug)]
pub(super) struct Inference {
    size: Size,
    images: usize,
    precision: Precision,
}

impl Inference {
    /// Every size, number of images and precision: for a device that is fast enough for it.
    pub(super) fn all() -> Vec<Self> {
        let precisions = [
            Precision::Float32,
            Precision::TensorFloat32,
            Precision::Float16,
        ];
        let mut all = Vec::new();
        for size in SIZES {
            for images in BATCHES {
                all.extend(precisions.map(|precision| Self {
                    size,
                    images,
                    precision,
                }));
            }
        }
        all
    }

    /// For the table.
    pub(super) fn describe(&self) -> String {
        let Size { width, height } = self.size;
        let images = match self.images {
            1 => "one image".to_owned(),
            images => format!("{images} images"),
        };
        let precision = self.precision;
        format!("inference, R-50, {height}x{width}, {images}, {precision}")
    }

    /// Seconds of an image.
    pub(super) fn time(&self, device: &Device) -> Found<f64> {
        let detector = model::detector(device, self.precision)?;
        let one = model::input(self.size, device)?;
        let transform = ImageTransform::new(self.size, self.size, self.size);
        let input = InputBatch {
            images: Tensor::cat(&vec![one; self.images], 0)?,
            transforms: vec![transform; self.images],
        };
        let found = fastest(|| {
            detector.detect(&input)?;
            Ok(())
        });
        crate::alloc::release();
        Ok(found? / self.images as f64)
    }
}

/// A folder of images through the whole program, from files to detections.
#[derive(Clone, Copy, Debug)]
pub(super) struct FolderTime {
    /// Images that were used.
    pub images: usize,
    /// Seconds an image, decoding and all.
    pub whole: f64,
    /// Seconds an image of the network alone, with what it makes of the same images.
    pub network: f64,
}

/// Times the full-size model over the first images of a folder: as `infer` runs it, and the network alone.
pub(super) fn folder(device: &str, folder: &Path) -> Found<FolderTime> {
    let mut paths = list_images(folder, true)?;
    paths.truncate(MOST_IMAGES);
    if paths.is_empty() {
        return Err(format!("no images in {}", folder.display()).into());
    }
    let place = tempfile::tempdir()?;
    let request = ModelRequest {
        checkpoint: place.path().join("formula.safetensors"),
        config: None,
        set: Vec::new(),
        device: device.to_owned(),
    };
    let reference = model::checkpoint();
    let metadata = CheckpointMetadata {
        config: &reference.config,
        classes: &reference.classes,
        dialect: reference.dialect,
        iou_head: reference.iou_head,
        progress: None,
        created: SystemTime::now(),
    };
    weights::save(
        &request.checkpoint,
        &reference.weights,
        &metadata,
        StoredType::F32,
    )?;
    let network = network_alone(&request, &paths)?;
    let (images, whole) = whole_way(&request, &paths)?;
    forget();
    Ok(FolderTime {
        images,
        whole,
        network,
    })
}

/// Seconds an image of detection, decoding and preparing left out.
fn network_alone(request: &ModelRequest, paths: &[PathBuf]) -> Found<f64> {
    let model = load(request)?;
    let (mut seconds, mut images) = (0.0, 0);
    for path in paths {
        // What cannot be read is left out of both.
        let Ok(image) = decode(path, None) else {
            continue;
        };
        let prepared = [model.prepare(&image)?];
        if images == 0 {
            model.detect(&prepared)?; // prepares weights and memory
        }
        let began = Instant::now();
        model.detect(&prepared)?;
        seconds += began.elapsed().as_secs_f64();
        images += 1;
    }
    Ok(seconds / f64::from(images.max(1)))
}

/// Images that went through, and seconds an image.
fn whole_way(request: &ModelRequest, paths: &[PathBuf]) -> Found<(usize, f64)> {
    let tasks = paths.iter().enumerate().map(|(index, path)| ImageTask {
        index,
        path: path.clone(),
        declared: None,
    });
    let job = InferJob::start(request.clone(), tasks.collect(), || {});
    let (mut began, mut images) = (Instant::now(), 0);
    loop {
        match job.wait_event(Duration::from_secs(1)) {
            Some(InferEvent::ModelLoaded(_)) => began = Instant::now(),
            Some(InferEvent::Detected { .. }) => images += 1,
            Some(InferEvent::Finished { .. }) => break,
            Some(InferEvent::Fatal(why)) => return Err(why.into()),
            Some(InferEvent::Cancelled) => return Err("the job was cancelled".into()),
            _ => {}
        }
    }
    let seconds = began.elapsed().as_secs_f64();
    Ok((images, seconds / images.max(1) as f64))
}

/// Seconds of a step.
pub(super) fn training(device: &Device, precision: Precision) -> Found<f64> {
    let mut step = TrainingStep::in_precision(device, precision)?;
    fastest(|| {
        step.run()?;
        Ok(())
    })
}

/// Seconds of the fastest pass.
pub(super) fn fastest(mut pass: impl FnMut() -> Found<()>) -> Found<f64> {
    pass()?;
    let mut fastest = f64::INFINITY;
    for _ in 0..PASSES {
        let began = Instant::now();
        pass()?;
        fastest = fastest.min(began.elapsed().as_secs_f64());
    }
    Ok(fastest)
}
