//! A training step: of a small model against the processor's, and of the full-size one to be timed.

use std::collections::BTreeMap;
use std::time::Instant;

use candle_core::{DType, Device, Tensor};

use super::{Found, model};
use crate::alloc::KeepMore;
use crate::config::{Config, Dialect, preset};
use crate::jobs::device;
use crate::model::{Detector, ParameterSet};
use crate::structures::{BoxXyxy, GroundTruth, ImageTransform, MaskGrid, Precision, Random, Size};
use crate::train::{Batch, Draw, Optimizer, Update, losses, losses_at};
use crate::weights::formula::formula_weights;

/// Of the full-size model, whose batch is one image.
const FULL: Size = Size {
    width: 512,
    height: 512,
};
/// Each is its own proposal: the sampler's whole share of positive RoIs.
const OBJECTS: usize = 128;
/// Bytes of a step that wait for the next one.
const STEP_BYTES: usize = 8 << 30;
/// Of the small model.
const SMALL: Size = Size {
    width: 128,
    height: 96,
};
/// What gradients are multiplied with on their way in float16, whose smallest numbers are not small enough for them.
const SCALE: f64 = 1024.0;

/// How far a device's step may be from the processor's: its losses relative to theirs, its gradients as vectors, one a
/// parameter, relative to theirs (`deviations`). Rounding decides at ReLUs and at the threshold of masks, and batch statistics
/// make it larger; what is wrong is off by about 1.
pub(super) fn tolerances(precision: Precision) -> [f64; 2] {
    match precision {
        Precision::Float32 => [1e-4, 5e-3],
        Precision::TensorFloat32 | Precision::Float16 => [5e-3, 2.5e-1],
        Precision::Bfloat16 => [4e-2, 5e-1],
    }
}

/// How far a step is from the processor's.
pub(super) struct Deviations {
    /// Of a loss, and of a gradient: the largest of each.
    pub(super) worst: [f64; 2],
    /// The parameter with that gradient.
    pub(super) parameter: String,
}

/// A step of the small model with batch statistics on a device beside the processor's. A gradient that is short beside the longest
/// one counts as if it were a hundredth of that: it is a sum that all but cancels, of which rounding leaves little.
pub(super) fn deviations(device: &Device, precision: Precision) -> Found<Deviations> {
    const SHORT: f64 = 0.01;
    let mut config = preset("tiny")?;
    config.train_cfg.rcnn.sampler.pos_fraction = 0.5;
    let objects = [5, 3].map(|count| truth(SMALL, count, config.num_classes - 1, count as u64));
    let images = model::input(Size::new(SMALL.width, 2 * SMALL.height), &Device::Cpu)?;
    let images = images.reshape((2, 3, SMALL.height, SMALL.width))?;
    let want = Step::of(&config, &Device::Cpu, Precision::Float32, &images, &objects)?;
    let got = Step::of(&config, device, precision, &images, &objects)?;
    let mut found = Deviations {
        worst: [0.0; 2],
        parameter: String::new(),
    };
    for (got, want) in got.losses.iter().zip(&want.losses) {
        let off = f64::from((got - want).abs() / want.abs());
        found.worst[0] = found.worst[0].max(off);
    }
    let mut lengths = BTreeMap::new();
    for (name, want) in &want.gradients {
        lengths.insert(name, length(want)?);
    }
    let longest = lengths.values().copied().fold(0.0, f64::max);
    for (name, want) in &want.gradients {
        let got = got.gradients.get(name);
        let got = got.ok_or_else(|| format!("{name} has no gradient"))?;
        let off = length(&(got - want)?)? / lengths[name].max(SHORT * longest);
        if off > found.worst[1] {
            found.worst[1] = off;
            found.parameter = name.clone();
        }
        // No comparison finds a NaN.
        if !off.is_finite() {
            return Err(format!("the gradient of {name} is no number").into());
        }
    }
    if !got.losses.iter().all(|loss| loss.is_finite()) {
        return Err("a loss is no number".into());
    }
    Ok(found)
}

fn length(tensor: &Tensor) -> Found<f64> {
    let squares = tensor.to_dtype(DType::F64)?.sqr()?.sum_all()?;
    Ok(squares.to_scalar::<f64>()?.sqrt())
}

/// What one pass gives, on the host.
struct Step {
    losses: Vec<f32>,
    gradients: BTreeMap<String, Tensor>,
}

impl Step {
    fn of(
        config: &Config,
        device: &Device,
        precision: Precision,
        images: &Tensor,
        objects: &[GroundTruth],
    ) -> Found<Self> {
        device::set_precision(precision);
        let set = ParameterSet::new(config, &formula_weights(config), device)?;
        let set = set.in_precision(precision);
        let detector = Detector::trainable(&set, config, Dialect::Mmdet)?;
        let batch = batch(images.to_device(device)?, SMALL, objects.to_vec());
        // Samples of the device's own proposals would be others as soon as two of these change places.
        let mut random = Random::of(&[9]);
        let proposals = objects.iter().map(|truth| around(truth, &mut random));
        let proposals: Vec<Vec<BoxXyxy>> = proposals.collect();
        let proposals: Vec<&[BoxXyxy]> = proposals.iter().map(Vec::as_slice).collect();
        let losses = losses_at(&detector, config, &batch, &proposals)?;
        let store = (losses.total()? * SCALE)?.backward()?;
        let mut gradients = BTreeMap::new();
        for (name, var) in set.trained() {
            if let Some(gradient) = store.get(var.as_tensor()) {
                let gradient = gradient.to_device(&Device::Cpu)?.to_dtype(DType::F32)?;
                gradients.insert(name.to_owned(), (gradient / SCALE)?);
            }
        }
        let losses = losses.all().map(Tensor::to_scalar::<f32>);
        Ok(Self {
            losses: losses.into_iter().collect::<Result<_, _>>()?,
            gradients,
        })
    }
}

/// Boxes beside each object, and some elsewhere.
fn around(truth: &GroundTruth, random: &mut Random) -> Vec<BoxXyxy> {
    let mut unit = || random.unit() as f32;
    let mut boxes = Vec::new();
    for bbox in &truth.boxes {
        for _ in 0..4 {
            let (x, y) = (8.0 * unit() - 4.0, 8.0 * unit() - 4.0);
            boxes.push(BoxXyxy::new(
                bbox.x1 + x,
                bbox.y1 + y,
                bbox.x2 + x,
                bbox.y2 + y,
            ));
        }
    }
    for _ in 0..32 {
        let (x, y) = (
            unit() * SMALL.width as f32 * 0.7,
            unit() * SMALL.height as f32 * 0.7,
        );
        boxes.push(BoxXyxy::new(
            x,
            y,
            x + 6.0 + 30.0 * unit(),
            y + 6.0 + 20.0 * unit(),
        ));
    }
    boxes
}

fn batch(images: Tensor, size: Size, truths: Vec<GroundTruth>) -> Batch {
    let draw = |image| Draw {
        seed: 1,
        epoch: 0,
        image,
    };
    Batch {
        images,
        transforms: vec![ImageTransform::new(size, size, size); truths.len()],
        draws: (1..=truths.len() as u64).map(draw).collect(),
        truths,
    }
}

/// Boxes of up to 162 pixels with masks of noise, on a grid of half the size.
fn truth(size: Size, count: usize, classes: usize, seed: u64) -> GroundTruth {
    let mut random = Random::of(&[seed]);
    let mut unit = || random.unit() as f32;
    let grid = Size::new(size.width / 2, size.height / 2);
    let mut truth = GroundTruth {
        grid: MaskGrid {
            size: grid,
            scale_x: 0.5,
            scale_y: 0.5,
        },
        ..GroundTruth::default()
    };
    let most = [size.width, size.height].map(|side| 150f32.min(side as f32 / 2.0));
    for _ in 0..count {
        let (width, height) = (12.0 + most[0] * unit(), 12.0 + most[1] * unit());
        let x = unit() * (size.width as f32 - width);
        let y = unit() * (size.height as f32 - height);
        truth.boxes.push(BoxXyxy::new(x, y, x + width, y + height));
        truth.labels.push((unit() * classes as f32) as usize);
        let mask = (0..grid.pixels()).map(|_| u8::from(unit() < 0.5));
        truth.masks.push(mask.collect());
    }
    truth
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

    pub(super) fn in_precision(device: &Device, precision: Precision) -> Found<Self> {
        device::set_precision(precision);
        let mut config = model::config();
        config.backbone.frozen_stages = -1;
        let set = ParameterSet::new(&config, &formula_weights(&config), device)?;
        let set = set.in_precision(precision);
        let objects = vec![truth(FULL, OBJECTS, 80, 1)];
        Ok(Self {
            detector: Detector::trainable(&set, &config, Dialect::Mindspore)?,
            optimizer: Optimizer::new(&config),
            config,
            set,
            batch: batch(model::input(FULL, device)?, FULL, objects),
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
