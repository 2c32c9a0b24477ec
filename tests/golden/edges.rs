//! Inputs, weights and settings at the edge, on the project's own narrow model.

use std::collections::BTreeMap;

use candle_core::Tensor;
use maskscope::config::Dialect;
use maskscope::model::{Detector, InputBatch, ModelError};
use maskscope::structures::Detection;
use maskscope::weights::{IouHead, LoadedCheckpoint, Weights};

use super::case::{ImageCase, ModelCase};
use crate::support::device::device;

type Values = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

/// The model with its first picture.
fn first() -> (ModelCase, ImageCase) {
    let case = ModelCase::own();
    let image = case.images().remove(0);
    (case, image)
}

/// The model with values that `change` altered.
fn changed(case: &ModelCase, change: impl FnOnce(&mut Values)) -> LoadedCheckpoint {
    let checkpoint = case.checkpoint(Dialect::Mindspore);
    let mut values: Values = checkpoint
        .weights
        .names()
        .map(|name| {
            let shape = checkpoint.weights.shape(name).unwrap().to_vec();
            let value = checkpoint.weights.values(name, &shape).unwrap();
            (name.to_owned(), (shape, value))
        })
        .collect();
    change(&mut values);
    LoadedCheckpoint {
        weights: Weights::from_memory(&checkpoint.path, values),
        ..checkpoint
    }
}

fn input(image: &ImageCase) -> InputBatch {
    InputBatch {
        images: image.candle("input"),
        transforms: vec![image.transform()],
    }
}

fn detect(checkpoint: &LoadedCheckpoint, image: &ImageCase) -> Vec<Detection> {
    let detector = Detector::new(checkpoint, device()).unwrap();
    detector.detect(&input(image)).unwrap().remove(0)
}

#[test]
fn damaged_weights_are_named() {
    let (case, _) = first();
    for (name, value) in [
        ("backbone.layer2.0.bn1.running_mean", f32::NAN),
        ("roi_head.mask_iou_head.fcs.0.weight", f32::INFINITY),
    ] {
        let checkpoint = changed(&case, |values| values.get_mut(name).unwrap().1[3] = value);
        let error = Detector::new(&checkpoint, device()).unwrap_err();
        assert!(matches!(error, ModelError::BrokenWeight { .. }), "{error}");
        assert!(error.to_string().contains(name), "{error}");
    }
}

#[test]
fn missing_weights_are_named() {
    let (case, _) = first();
    let name = "neck.fpn_convs.2.conv.bias";
    let checkpoint = changed(&case, |values| drop(values.remove(name)));
    let error = Detector::new(&checkpoint, device()).unwrap_err();
    assert!(error.to_string().contains(name), "{error}");
}

#[test]
fn overflow_is_an_error_and_no_panic() {
    let (case, image) = first();
    let names = [
        "rpn_head.rpn_reg.weight",
        "roi_head.bbox_head.fc_reg.weight",
        "roi_head.bbox_head.fc_cls.weight",
    ];
    for name in names {
        let checkpoint = changed(&case, |values| {
            for value in &mut values.get_mut(name).unwrap().1 {
                *value = f32::MAX.copysign(*value);
            }
        });
        let detector = Detector::new(&checkpoint, device()).unwrap();
        let error = detector.detect(&input(&image)).err();
        assert!(
            matches!(error, Some(ModelError::Nan { .. })),
            "{name}: {error:?}"
        );
    }
}

#[test]
fn input_that_is_not_finite_is_refused() {
    let (case, image) = first();
    let detector = case.detector(Dialect::Mindspore);
    for value in [f32::NAN, f32::INFINITY] {
        let good = image.tensors.get("input");
        let mut values = good.f32().to_vec();
        values[5] = value;
        let batch = InputBatch {
            images: Tensor::from_vec(values, good.shape.as_slice(), device()).unwrap(),
            transforms: vec![image.transform()],
        };
        let error = detector.detect(&batch).unwrap_err();
        assert!(matches!(error, ModelError::Nan { .. }), "{error}");
    }
}

#[test]
fn a_batch_needs_a_transform_for_each_image() {
    let (case, image) = first();
    let detector = case.detector(Dialect::Mindspore);
    let mut batch = input(&image);
    batch.transforms.clear();
    let error = detector.detect(&batch).unwrap_err();
    assert!(
        matches!(
            error,
            ModelError::Batch {
                images: 1,
                transforms: 0
            }
        ),
        "{error}"
    );
}

#[test]
fn without_a_trained_head_masks_have_no_score_of_their_own() {
    let (case, image) = first();
    let trained = detect(&case.checkpoint(Dialect::Mindspore), &image);
    let mut checkpoint = changed(&case, |values| {
        values.retain(|name, _| !name.contains("mask_iou_head"));
    });
    checkpoint.iou_head = IouHead::Untrained;
    let found = detect(&checkpoint, &image);
    assert_eq!(found.len(), trained.len());
    for (found, trained) in found.iter().zip(&trained) {
        assert_eq!((found.mask_iou, found.iou_score), (None, found.score));
        assert_eq!((found.score, &found.mask), (trained.score, &trained.mask));
    }
}

#[test]
fn nothing_above_the_threshold_is_an_empty_result() {
    let (case, image) = first();
    let mut checkpoint = case.checkpoint(Dialect::Mindspore);
    checkpoint.config.test_cfg.rcnn.score_thr = 1.0;
    assert_eq!(detect(&checkpoint, &image), []);
    checkpoint.config.test_cfg.rcnn.score_thr = 0.05;
    checkpoint.config.test_cfg.rpn.max_per_img = 0;
    assert_eq!(detect(&checkpoint, &image), []);
    checkpoint.config.test_cfg.rpn.max_per_img = 1000;
    checkpoint.config.test_cfg.rpn.nms_pre = 0;
    assert_eq!(detect(&checkpoint, &image), []);
    checkpoint.config.test_cfg.rpn.nms_pre = 1000;
    assert!(!detect(&checkpoint, &image).is_empty());
}

/// More detections than the mask heads take at once: the first ones do not change.
#[test]
fn many_detections_go_through_in_pieces() {
    let (case, image) = first();
    let mut checkpoint = case.checkpoint(Dialect::Mindspore);
    checkpoint.config.test_cfg.rcnn.score_thr = 0.0;
    checkpoint.config.test_cfg.rcnn.iou_threshold = 0.9;
    let few = detect(&checkpoint, &image);
    checkpoint.config.test_cfg.rcnn.max_per_img = 300;
    let many = detect(&checkpoint, &image);
    assert!(
        few.len() == 100 && many.len() > 256,
        "{} {}",
        few.len(),
        many.len()
    );
    for (few, many) in few.iter().zip(&many) {
        assert_eq!(
            (few.label, few.score, few.bbox),
            (many.label, many.score, many.bbox)
        );
        let off = (few.mask_iou.unwrap() - many.mask_iou.unwrap()).abs();
        assert!(off < 1e-4, "mask IoU off by {off}");
    }
}

/// A class-agnostic regressor is one that says the same for every class.
#[test]
fn class_agnostic_regression_serves_every_class() {
    let (case, image) = first();
    let classes = case.config.num_classes - 1;
    let names = [
        "roi_head.bbox_head.fc_reg.weight",
        "roi_head.bbox_head.fc_reg.bias",
    ];
    let first_rows = |values: &mut Values, copies: usize| {
        for name in names {
            let (shape, value) = values.get_mut(name).unwrap();
            let width = value.len() / shape[0];
            shape[0] = 4 * copies;
            *value = value[..4 * width].repeat(copies);
        }
    };
    let repeated = changed(&case, |values| first_rows(values, classes));
    let mut agnostic = changed(&case, |values| first_rows(values, 1));
    agnostic.config.bbox_head.reg_class_agnostic = true;
    let (repeated, agnostic) = (detect(&repeated, &image), detect(&agnostic, &image));
    assert!(!repeated.is_empty());
    assert_eq!(repeated.len(), agnostic.len());
    for (a, b) in repeated.iter().zip(&agnostic) {
        assert_eq!((a.label, a.score), (b.label, b.score));
        assert!((a.bbox.x - b.bbox.x).abs() < 1e-3 && (a.bbox.width - b.bbox.width).abs() < 1e-3);
    }
}
