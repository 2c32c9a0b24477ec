//! The full-size model by formula against mmdetection: pyramid, detections, predicted mask IoU.

use candle_core::{DType, Device, Tensor};
use serde_json::Value;

use super::{Found, absolute, embedded, relative};
use crate::config::{Config, Dialect, Style};
use crate::jobs::device;
use crate::model::Detector;
use crate::structures::{BoxXyxy, ClassTable, ImageTransform, Precision, Size};
use crate::weights::formula::{formula_input, formula_weights};
use crate::weights::{IouHead, LoadedCheckpoint, Weights};

const INFO: &str = include_str!("../../../../tests/fixtures/full/expected.json");
const TENSORS: &[u8] = include_bytes!("../../../../tests/fixtures/full/expected.safetensors");

/// Of the largest value of a level.
const MAPS: f64 = 1e-4;
/// Scores and mask IoU.
const SCORES: f64 = 3e-5;
/// Corners, in pixels.
const BOXES: f64 = 0.01;
/// What a precision may change in a pyramid by rounding, of the largest value: a few steps of its numbers.
pub(super) fn rounding(precision: Precision) -> f64 {
    match precision {
        Precision::Float32 => MAPS,
        Precision::TensorFloat32 | Precision::Float16 => 5e-3,
        Precision::Bfloat16 => 4e-2,
    }
}

/// Boxes that are that near are the same detection.
const SAME: f32 = 0.5;

/// One comparison.
pub(super) struct Compared {
    pub what: String,
    pub deviation: f64,
    pub tolerance: f64,
}

/// The configuration of the reference.
pub(super) fn config() -> Config {
    let mut config = Config::default();
    config.backbone.style = Style::Pytorch;
    config
}

/// The reference model, as a checkpoint.
pub(super) fn checkpoint() -> LoadedCheckpoint {
    let config = config();
    LoadedCheckpoint {
        path: "formula".into(),
        weights: formula_weights(&config),
        config,
        dialect: Dialect::Mindspore,
        classes: ClassTable::default(),
        iou_head: IouHead::Trained,
        notes: Vec::new(),
    }
}

/// The reference model on a device.
pub(super) fn detector(device: &Device, precision: Precision) -> Found<Detector> {
    device::set_precision(precision);
    Ok(Detector::in_precision(&checkpoint(), device, precision)?)
}

/// The reference input of a size, (1,3,H,W).
pub(super) fn input(size: Size, device: &Device) -> Found<Tensor> {
    let values = formula_input(size.height, size.width);
    let shape = (1, 3, size.height, size.width);
    Ok(Tensor::from_vec(values, shape, device)?)
}

/// Runs the model once and compares.
pub(super) fn compare(device: &Device) -> Found<Vec<Compared>> {
    let info: Value = serde_json::from_str(INFO)?;
    let golden = embedded("expected.safetensors", TENSORS)?;
    let size = size_of(&info);
    let detector = detector(device, Precision::Float32)?;
    let stages = detector.backbone.forward(&input(size, device)?)?;
    let pyramid = detector.fpn.forward(&stages)?;
    let mut found = vec![Compared {
        what: "pyramid, R-50 of 512x640".into(),
        deviation: of_pyramid(&info, &golden, &pyramid)?,
        tolerance: MAPS,
    }];
    let levels = detector.rpn.forward(&pyramid)?;
    let transforms = [ImageTransform::new(size, size, size)];
    let rules = &config().test_cfg.rpn;
    let proposals = detector.rpn.propose(&levels, &transforms, rules)?;
    let boxes = detector
        .box_head
        .detect(&pyramid, &proposals, &transforms)?;
    let masked = detector.masks(&pyramid, &boxes)?;
    let masked = masked.first().ok_or("the model gave nothing")?;
    let want = Want::read(&golden)?;
    let mut got = [
        vec![f32::NAN; want.labels.len()],
        vec![f32::NAN; want.labels.len()],
    ];
    let mut corners = vec![f32::NAN; 4 * want.labels.len()];
    for (at, (label, bbox)) in want.labels.iter().zip(&want.boxes).enumerate() {
        let same = masked.iter().find(|found| {
            let b = found.detected.bbox;
            found.detected.label == *label
                && [
                    b.x1 - bbox.x1,
                    b.y1 - bbox.y1,
                    b.x2 - bbox.x2,
                    b.y2 - bbox.y2,
                ]
                .iter()
                .all(|off| off.abs() < SAME)
        });
        if let Some(same) = same {
            let b = same.detected.bbox;
            got[0][at] = same.detected.score;
            got[1][at] = same.mask_iou.unwrap_or(f32::NAN);
            corners[4 * at..][..4].copy_from_slice(&[b.x1, b.y1, b.x2, b.y2]);
        }
    }
    let [scores, ious] = got;
    for (what, deviation, tolerance) in [
        (
            "boxes of 100 detections, pixels",
            absolute(&corners, &want.corners),
            BOXES,
        ),
        ("their scores", absolute(&scores, &want.scores), SCORES),
        ("their mask IoU", absolute(&ious, &want.mask_iou), SCORES),
    ] {
        found.push(Compared {
            what: what.into(),
            deviation,
            tolerance,
        });
    }
    Ok(found)
}

/// How far the pyramid is from the reference in a precision that gives up digits.
pub(super) fn pyramid_deviation(device: &Device, precision: Precision) -> Found<f64> {
    let info: Value = serde_json::from_str(INFO)?;
    let golden = embedded("expected.safetensors", TENSORS)?;
    let detector = detector(device, precision)?;
    let stages = detector.backbone.forward(&input(size_of(&info), device)?)?;
    let pyramid = detector.fpn.forward(&stages)?;
    let pyramid = pyramid.iter().map(|level| level.to_dtype(DType::F32));
    of_pyramid(
        &info,
        &golden,
        &pyramid.collect::<candle_core::Result<Vec<_>>>()?,
    )
}

fn size_of(info: &Value) -> Size {
    let side = |key: &str| info[key].as_u64().unwrap_or_default() as usize;
    Size::new(side("width"), side("height"))
}

/// The worst of the stored slices: the middle of the first channels and a corner of the last ones.
fn of_pyramid(info: &Value, golden: &Weights, pyramid: &[Tensor]) -> Found<f64> {
    let mut worst = 0.0f64;
    for (index, level) in pyramid.iter().enumerate() {
        let name = format!("p{}", index + 2);
        let (_, channels, height, width) = level.dims4()?;
        let extreme = |key: &str| {
            info["levels"][&name][key]
                .as_f64()
                .unwrap_or_default()
                .abs()
        };
        let largest = extreme("min").max(extreme("max"));
        let middle = |len: usize| {
            let (start, end) = ((len / 2).saturating_sub(4), (len / 2 + 4).min(len));
            (start, end - start)
        };
        let ((top, rows), (left, columns)) = (middle(height), middle(width));
        let level = level.squeeze(0)?;
        for (part, first, (top, rows), (left, columns)) in [
            ("centre", 0, (top, rows), (left, columns)),
            ("corner", channels - 16, (0, 4), (0, 4)),
        ] {
            let slice = level.narrow(0, first, 16)?.narrow(1, top, rows)?;
            let slice = slice.narrow(2, left, columns)?.contiguous()?;
            let got = slice.flatten_all()?.to_vec1::<f32>()?;
            let want = golden.values(&format!("{name}.{part}"), slice.dims())?;
            worst = worst.max(relative(&got, &want, Some(largest)));
        }
    }
    Ok(worst)
}

/// The reference's detections.
struct Want {
    boxes: Vec<BoxXyxy>,
    corners: Vec<f32>,
    labels: Vec<usize>,
    scores: Vec<f32>,
    mask_iou: Vec<f32>,
}

impl Want {
    fn read(golden: &Weights) -> Found<Self> {
        let part = |name: &str| -> Found<Vec<f32>> {
            let name = format!("mindspore.{name}");
            let shape = golden
                .shape(&name)
                .ok_or("the reference is not whole")?
                .to_vec();
            Ok(golden.values(&name, &shape)?)
        };
        let corners = part("det_boxes")?;
        let boxes = corners.as_chunks::<4>().0.iter();
        Ok(Self {
            boxes: boxes
                .map(|&[x1, y1, x2, y2]| BoxXyxy::new(x1, y1, x2, y2))
                .collect(),
            corners,
            labels: part("det_labels")?
                .iter()
                .map(|&label| label as usize)
                .collect(),
            scores: part("det_scores")?,
            mask_iou: part("mask_iou")?,
        })
    }
}
