//! How fast a device is, on the full-size model by formula.

use std::collections::BTreeMap;
use std::time::Instant;

use candle_core::{Device, Tensor};

use super::{Found, model};
use crate::alloc::KeepMore;
use crate::config::{Config, Dialect};
use crate::model::{Detector, InputBatch, ParameterSet};
use crate::structures::{BoxXyxy, GroundTruth, ImageTransform, MaskGrid, Random, Size};
use crate::train::{Batch, Draw, Optimizer, Update, losses};
use crate::weights::formula::formula_weights;

/// Passes of which the fastest counts, after one that prepares.
const PASSES: usize = 3;
const INFERENCE: Size = Size {
    width: 1024,
    height: 800,
};
const TRAINING: Size = Size {
    width: 512,
    height: 512,
};
/// Each is its own proposal: the sampler's whole share of positive RoIs.
const OBJECTS: usize = 128;
/// Bytes of a step that wait for the next one.
const STEP_BYTES: usize = 8 << 30;

/// Seconds of an image.
pub(super) fn inference(device: &Device) -> Found<f64> {
    let detector = model::detector(device)?;
    let input = InputBatch {
        images: model::input(INFERENCE, device)?,
        transforms: vec![ImageTransform::new(INFERENCE, INFERENCE, INFERENCE)],
    };
    let found = fastest(|| {
        detector.detect(&input)?;
        Ok(())
    });
    crate::alloc::release();
    found
}

/// Seconds of a step.
pub(super) fn training(device: &Device) -> Found<f64> {
    let mut step = TrainingStep::new(device)?;
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
    /// The model on a device.
    ///
    /// # Errors
    /// The device refuses it.
    pub fn new(device: &Device) -> Result<Self, Box<dyn std::error::Error>> {
        let mut config = model::config();
        config.backbone.frozen_stages = -1;
        let set = ParameterSet::new(&config, &formula_weights(&config), device)?;
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
