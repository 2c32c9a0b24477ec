//! Loads a detector from a request and keeps the last one, so that running again costs no loading.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use candle_core::{Device, Tensor};

use super::infer::{ModelRequest, ModelSummary};
pub use super::upload::Prepared;
use super::upload::Upload;
use super::{JobError, device};
use crate::config::{Config, Depth, Dialect, DialectChoice, Style};
use crate::data::{RgbImage, prepare};
use crate::model::{Detector, InputBatch, ModelError};
use crate::structures::{BoxXyxy, Detection, ImageTransform, Precision};
use crate::weights::{self, IouHead, LoadOptions, LoadedCheckpoint};

/// A detector with what is needed to feed it.
#[derive(Debug)]
pub struct LoadedModel {
    detector: Detector,
    config: Config,
    dialect: Dialect,
    device: Device,
    precision: Precision,
    upload: Upload,
    /// What a person should know of it.
    pub summary: ModelSummary,
}

/// A request with the state of its files: equal keys mean equal models.
type CacheKey = (ModelRequest, Option<SystemTime>, Option<SystemTime>);

static LAST: Mutex<Option<(CacheKey, Arc<LoadedModel>)>> = Mutex::new(None);

/// Loads the model of `request`, or hands out the last one if it is the same and its files are unchanged.
///
/// # Errors
/// Configuration, checkpoint or device refused.
pub fn load(request: &ModelRequest) -> Result<Arc<LoadedModel>, JobError> {
    let key = (
        request.clone(),
        modified(&request.checkpoint),
        request.config.as_deref().and_then(modified),
    );
    let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, model)) = last.as_ref().filter(|(known, _)| *known == key) {
        // Training may have chosen another one since.
        device::set_precision(model.precision);
        return Ok(Arc::clone(model));
    }
    // The old one goes first: two full models at once would double the peak.
    *last = None;
    let model = Arc::new(LoadedModel::new(request)?);
    *last = Some((key, Arc::clone(&model)));
    Ok(model)
}

fn modified(path: &Path) -> Option<SystemTime> {
    path.metadata().and_then(|m| m.modified()).ok()
}

impl LoadedModel {
    fn new(request: &ModelRequest) -> Result<Self, JobError> {
        let device = device::choose(&request.device)?;
        device::prepare(&device);
        let mut checkpoint = load_checkpoint(request)?;
        let (precision, note) = device::precision(checkpoint.config.precision, &device);
        checkpoint.notes.extend(note);
        device::set_precision(precision);
        let detector = Detector::in_precision(&checkpoint, &device, precision)?;
        let summary = ModelSummary {
            checkpoint: checkpoint.path.clone(),
            classes: checkpoint.classes.clone(),
            backbone: describe_backbone(&checkpoint.config),
            dialect: checkpoint.dialect.name(),
            device: device::describe(&device),
            precision: precision.name(),
            parameters: checkpoint.weights.value_count(),
            mask_scoring: checkpoint.iou_head == IouHead::Trained,
            notes: checkpoint.notes,
        };
        Ok(Self {
            detector,
            config: checkpoint.config,
            dialect: checkpoint.dialect,
            upload: Upload::new(&device),
            device,
            precision,
            summary,
        })
    }

    /// Whether the processor runs the network.
    pub fn is_on_cpu(&self) -> bool {
        self.device.is_cpu()
    }

    /// Images a forward pass takes at once, as configured.
    pub fn batch_size(&self) -> usize {
        self.config.test_batch_size.max(1)
    }

    /// The configuration in force, for the fingerprint of a run.
    pub fn config_text(&self) -> String {
        format!(
            "{}\ndialect in use: {}\n",
            self.config.to_yaml(),
            self.dialect.name()
        )
    }

    /// What the network sees of an image, on its device: a thread that prepares uploads as well while the network runs. Where
    /// that leaves no memory for it, on the host until its turn.
    ///
    /// # Errors
    /// A failed upload.
    pub fn prepare(&self, image: &RgbImage) -> candle_core::Result<Prepared> {
        let prepared = prepare(image, &self.config, self.dialect);
        self.upload.prepared(prepared)
    }

    /// Detections of each prepared image.
    ///
    /// # Errors
    /// NaN in weights or input; a failed tensor operation.
    pub fn detect(&self, images: &[Prepared]) -> Result<Vec<Vec<Detection>>, ModelError> {
        let transforms = images.iter().map(|image| image.transform).collect();
        let images = self.upload.stacked(images)?;
        self.detector.detect(&InputBatch { images, transforms })
    }

    /// What the heads need of an image, for one box after the other.
    ///
    /// # Errors
    /// NaN in weights or input; a failed tensor operation.
    pub fn features(&self, image: Prepared) -> Result<Features, ModelError> {
        let Prepared { planes, transform } = image;
        let input = InputBatch {
            images: planes.to_device(&self.device)?,
            transforms: vec![transform],
        };
        let pyramid = self.detector.pyramid(&input)?;
        Ok(Features { pyramid, transform })
    }

    /// The mask in a box of the image frame, of class `label` or of the most probable one.
    ///
    /// # Errors
    /// NaN or infinite outputs; a failed tensor operation.
    pub fn detect_in(
        &self,
        features: &Features,
        bbox: BoxXyxy,
        label: Option<usize>,
    ) -> Result<Detection, ModelError> {
        let Features { pyramid, transform } = features;
        let bbox = transform.input_from_image(bbox);
        self.detector.detect_in(pyramid, transform, bbox, label)
    }
}

/// What the backbone made of one image.
#[derive(Debug)]
pub struct Features {
    pyramid: Vec<Tensor>,
    transform: ImageTransform,
}

/// Gives the last model's memory back.
pub(super) fn forget() {
    let last = LAST.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some((_, model)) = last {
        let device = model.device.clone();
        drop(model);
        device::release(&device);
    }
}

/// Gives back what the last model's card keeps for further work; other programs may want it.
pub(super) fn release() {
    let last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, model)) = &*last {
        device::release(&model.device);
    }
}

/// The checkpoint under the configuration in force: the given file's, else the checkpoint's own, with the settings of
/// the command line on top.
fn load_checkpoint(request: &ModelRequest) -> Result<LoadedCheckpoint, JobError> {
    let load = |config: Option<&Config>| {
        let dialect = config.map_or(DialectChoice::Auto, |config| config.dialect);
        let options = LoadOptions {
            dialect,
            ..LoadOptions::default()
        };
        weights::load(&request.checkpoint, config, &options)
    };
    let (base, mut notes) = match &request.config {
        Some(path) => {
            let (config, notes) = Config::load(path)?;
            (Some(config), notes)
        }
        None if request.set.is_empty() => (None, Vec::new()),
        None => (Some(load(None)?.config), Vec::new()),
    };
    let Some(mut config) = base else {
        return Ok(load(None)?);
    };
    for setting in &request.set {
        notes.extend(config.set(setting)?);
    }
    notes.extend(config.validate()?);
    let mut checkpoint = load(Some(&config))?;
    notes.append(&mut checkpoint.notes);
    checkpoint.notes = notes;
    Ok(checkpoint)
}

fn describe_backbone(config: &Config) -> String {
    let depth = match config.backbone.depth {
        Depth::Tiny => "ResNet tiny",
        Depth::R50 => "ResNet-50",
        Depth::R101 => "ResNet-101",
        Depth::R152 => "ResNet-152",
    };
    let style = match config.backbone.style {
        Style::Caffe => "caffe",
        Style::Pytorch => "pytorch",
    };
    match config.backbone.base_channels {
        64 => format!("{depth} {style}"),
        width => format!("{depth} {style}, width {width}"),
    }
}
