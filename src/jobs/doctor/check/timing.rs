//! How fast a device is, on the full-size model by formula.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use candle_core::{Device, Tensor};

use super::{Found, model};
use crate::alloc::KeepMore;
use crate::config::{Config, Dialect};
use crate::data::{decode, list_images};
use crate::jobs::device;
use crate::jobs::infer::{ImageTask, InferEvent, InferJob, ModelRequest};
use crate::jobs::model::{forget, load};
use crate::model::{Detector, InputBatch, ParameterSet};
use crate::structures::{BoxXyxy, GroundTruth, ImageTransform, MaskGrid, Precision, Random, Size};
use crate::train::{Batch, Draw, Optimizer, Update, losses};
use crate::weights::formula::formula_weights;
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
const TRAINING: Size = Size {
    width: 512,
    height: 512,
};
/// Each is its own proposal: the sampler's whole share of positive RoIs.
const OBJECTS: usize = 128;
/// Bytes of a step that wait for the next one.
const STEP_BYTES: usize = 8 << 30;

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
    device::set_precision(precision);
    let mut step = TrainingStep::in_precision(device, precision)?;
    fastest(|| {
        step.run()?;
        Ok(())
    })
}

fn fastest(mut pass: impl FnMut() -> Found<()>) -> Found<f64> {
    pass()?;
    let mut fastest = f64::INFINITY;
    for _ in 0..PASSES {
        let began = Instant::now();
        pass()?;
        fastest = fastest.min(began.elapsed().as_secs_f64());
    }
    Ok(fastest)
}

/// Steps of the full-size model, 80 classes, on one image of 512×512: every stage is trained, 512 RoIs of which 128 are
/// positive. The rate is so small that the weights of the formula stay what they are.
#[derive(Debug)]
pub struct TrainingStep {
    config: Config,
    set: ParameterSet,
    detector: Detector,
    optimizer: Optimizer,
    batch: Batch,
    _memory: KeepMore,
}

impl TrainingStep {
    /// The model on a device, in float32.
    ///
    /// # Errors
    /// The device refuses it.
    pub fn new(device: &Device) -> Result<Self, Box<dyn std::error::Error>> {
        Self::in_precision(device, Precision::Float32)
    }

    fn in_precision(
        device: &Device,
        precision: Precision,
    ) -> Result<Self, Box<dyn std::error::Error>> {
        let mut config = model::config();
        config.backbone.frozen_stages = -1;
        let set = ParameterSet::new(&config, &formula_weights(&config), device)?;
        let set = set.in_precision(precision);
        Ok(Self {
            detector: Detector::trainable(&set, &config, Dialect::Mindspore)?,
            optimizer: Optimizer::new(&config),
            config,
            set,
            batch: Batch {
                images: model::input(TRAINING, device)?,
                transforms: vec![ImageTransform::new(TRAINING, TRAINING, TRAINING)],
                truths: vec![truth(&mut Random::of(&[1]))],
                draws: vec![Draw {
                    seed: 1,
                    epoch: 0,
                    image: 1,
                }],
            },
            _memory: KeepMore::up_to(STEP_BYTES),
        })
    }

    /// One step; seconds of the forward pass, of the backward pass, and of the update.
    ///
    /// # Errors
    /// The device refuses it.
    pub fn run(&mut self) -> Result<[f64; 3], Box<dyn std::error::Error>> {
        let began = Instant::now();
        let total = losses(&self.detector, &self.config, &self.batch)?.total()?;
        // Reading it waits for a device that works ahead.
        total.to_scalar::<f32>()?;
        let forward = began.elapsed().as_secs_f64();
        let began = Instant::now();
        let mut store = total.backward()?;
        drop(total);
        let gradients: BTreeMap<String, Tensor> = self
            .set
            .trained()
            .filter_map(|(name, var)| Some((name.to_owned(), store.remove(var.as_tensor())?)))
            .collect();
        let backward = began.elapsed().as_secs_f64();
        let began = Instant::now();
        let update = Update {
            rate: 1e-12,
            factor: 1.0,
        };
        self.optimizer
            .step(self.set.trained(), &gradients, update)?;
        Ok([forward, backward, began.elapsed().as_secs_f64()])
    }
}

/// Boxes of 12 to 162 pixels with masks of noise.
fn truth(random: &mut Random) -> GroundTruth {
    let mut unit = || random.unit() as f32;
    let grid = Size::new(TRAINING.width / 2, TRAINING.height / 2);
    let mut truth = GroundTruth {
        grid: MaskGrid {
            size: grid,
            scale_x: 0.5,
            scale_y: 0.5,
        },
        ..GroundTruth::default()
    };
    for _ in 0..OBJECTS {
        let (width, height) = (12.0 + 150.0 * unit(), 12.0 + 150.0 * unit());
        let x = unit() * (TRAINING.width as f32 - width);
        let y = unit() * (TRAINING.height as f32 - height);
        truth.boxes.push(BoxXyxy::new(x, y, x + width, y + height));
        truth.labels.push((unit() * 80.0) as usize);
        let mask = (0..grid.pixels()).map(|_| u8::from(unit() < 0.5));
        truth.masks.push(mask.collect());
    }
    truth
}
