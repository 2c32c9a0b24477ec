//! Proposals and detections by kernels are the processor's.

use candle_core::{Device, Tensor};
use maskscope::config::Dialect;
use maskscope::model::ModelError;
use maskscope::model::box_head::BoxOutputs;
use maskscope::model::rpn::{LevelOn, Proposals, RpnHead, RpnLevel};
use maskscope::ops::kernels::boxes::{MOST_CANDIDATES, nms};
use maskscope::ops::nms::batched_nms;
use maskscope::structures::{BoxXyxy, ImageTransform, Size};

use super::host::{Host, Words};
use super::noise;
use crate::golden::case::{DIALECTS, ModelCase, each_image};

fn flat(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

fn propose_on(
    host: &Host,
    head: &RpnHead,
    levels: &[RpnLevel],
    transforms: &[ImageTransform],
    rules: &maskscope::config::Proposals,
) -> Result<Vec<Proposals>, Box<ModelError>> {
    let words = |tensor: &Tensor| host.floats(&flat(tensor));
    let outputs: Vec<(Words, Words, Size)> = levels
        .iter()
        .map(|level| {
            let (_, _, height, width) = level.logits.dims4().unwrap();
            (
                words(&level.logits),
                words(&level.deltas),
                Size::new(width, height),
            )
        })
        .collect();
    let levels: Vec<LevelOn<'_, Words>> = outputs
        .iter()
        .map(|(logits, deltas, size)| LevelOn {
            logits,
            deltas,
            size: *size,
        })
        .collect();
    Ok(head.propose_on(host, &levels, transforms, rules)?)
}

#[test]
fn golden_proposals() {
    let Some(host) = Host::get() else { return };
    for dialect in DIALECTS {
        each_image(dialect, |case, detector, image| {
            let stages = detector.backbone.forward(&image.candle("input")).unwrap();
            let levels = detector
                .rpn
                .forward(&detector.fpn.forward(&stages).unwrap())
                .unwrap();
            let transforms = [image.transform()];
            let rules = &case.config.test_cfg.rpn;
            let want = detector.rpn.propose(&levels, &transforms, rules).unwrap();
            let got = propose_on(&host, &detector.rpn, &levels, &transforms, rules).unwrap();
            assert!(!want[0].boxes.is_empty());
            assert_eq!(got, want, "{}", image.name);
        });
    }
}

/// Two images, coarse scores with many ties, small boxes, and more candidates than are kept.
#[test]
fn random_proposals() {
    let Some(host) = Host::get() else { return };
    let case = ModelCase::own();
    for (seed, dialect) in [
        (1, Dialect::Mmdet),
        (2, Dialect::Mindspore),
        (3, Dialect::Mmdet),
    ] {
        let detector = case.detector(dialect);
        let shapes = detector.rpn.anchors[0].base.len();
        let random = |channels: usize, height: usize, width: usize, seed: u32, steps: f32| {
            let values = noise(2 * channels * height * width, seed);
            let values = values
                .iter()
                .map(|x| (x * steps).round() / steps * 3.0)
                .collect::<Vec<_>>();
            Tensor::from_vec(values, (2, channels, height, width), &Device::Cpu).unwrap()
        };
        let sizes = [(40, 56), (20, 28), (10, 14), (5, 7), (3, 4)];
        let levels: Vec<RpnLevel> = (detector.rpn.anchors.iter().zip(sizes).enumerate())
            .map(|(index, (_, (height, width)))| RpnLevel {
                logits: random(shapes, height, width, 10 * seed + index as u32, 9.0),
                deltas: random(4 * shapes, height, width, 100 * seed + index as u32, 50.0),
            })
            .collect();
        let transform = ImageTransform::new(
            Size::new(220, 150),
            Size::new(220, 150),
            Size::new(224, 160),
        );
        let transforms = [transform, transform];
        let mut rules = case.config.test_cfg.rpn.clone();
        (rules.nms_pre, rules.max_per_img) = (300, 200);
        rules.min_bbox_size = 4.0;
        let want = detector.rpn.propose(&levels, &transforms, &rules).unwrap();
        let got = propose_on(&host, &detector.rpn, &levels, &transforms, &rules).unwrap();
        assert_eq!(want[0].boxes.len(), 200);
        assert_eq!(got, want, "{dialect:?}");
    }
}

#[test]
fn what_is_no_number_is_an_error() {
    let Some(host) = Host::get() else { return };
    let detector = ModelCase::own().detector(Dialect::Mmdet);
    let shapes = detector.rpn.anchors[0].base.len();
    let transform = ImageTransform::new(Size::new(32, 32), Size::new(32, 32), Size::new(32, 32));
    let rules = &ModelCase::own().config.test_cfg.rpn;
    for (logit, delta) in [(f32::NAN, 0.0), (1.0, f32::NAN), (1.0, f32::INFINITY)] {
        let map = |channels: usize, value: f32| {
            let mut values = vec![0.0; channels * 64];
            values[5] = value;
            Tensor::from_vec(values, (1, channels, 8, 8), &Device::Cpu).unwrap()
        };
        let levels = [RpnLevel {
            logits: map(shapes, logit),
            deltas: map(4 * shapes, delta),
        }];
        let got = propose_on(&host, &detector.rpn, &levels, &[transform], rules);
        let is_nan = got.is_err_and(|error| matches!(*error, ModelError::Nan { .. }));
        assert!(is_nan, "{logit} {delta}");
    }
}

#[test]
fn golden_detections() {
    let Some(host) = Host::get() else { return };
    for dialect in DIALECTS {
        each_image(dialect, |_, detector, image| {
            let name = crate::golden::case::variant(dialect);
            let outputs = BoxOutputs {
                logits: image.candle(&format!("{name}.box_logits")),
                deltas: image.candle(&format!("{name}.box_deltas")),
            };
            let proposals = image.boxes(dialect, "proposals");
            let head = &detector.box_head;
            let want = head
                .select(&outputs, &proposals, &image.transform())
                .unwrap();
            let (logits, deltas) = (
                host.floats(&flat(&outputs.logits)),
                host.floats(&flat(&outputs.deltas)),
            );
            let got = head
                .select_on(&host, (&logits, &deltas), &proposals, &image.transform())
                .unwrap();
            assert!(!want.is_empty());
            assert_eq!(got, Some(want), "{}", image.name);
        });
    }
}

#[test]
fn golden_suppression() {
    let Some(host) = Host::get() else { return };
    crate::ops::each_nms_case(|name, boxes, scores, groups, threshold| {
        if boxes.len() <= MOST_CANDIDATES {
            let got = nms(&host, boxes, scores, groups, threshold).unwrap();
            assert_eq!(got, batched_nms(boxes, scores, groups, threshold), "{name}");
        }
    });
}

#[test]
fn suppression_of_many() {
    let Some(host) = Host::get() else { return };
    for count in [0, 1, 31, 32, 33, 700, MOST_CANDIDATES] {
        let numbers = noise(count * 4, 11);
        let boxes: Vec<BoxXyxy> = numbers
            .as_chunks::<4>()
            .0
            .iter()
            .map(|&[x, y, w, h]| {
                let (x, y) = (200.0 * x, 200.0 * y);
                BoxXyxy::new(x, y, x + 40.0 * (w + 1.0), y + 40.0 * (h + 1.0))
            })
            .collect();
        let scores: Vec<f32> = noise(count, 12)
            .iter()
            .map(|x| ((x + 1.0) * 50.0).round() / 100.0)
            .collect();
        let groups: Vec<usize> = (0..count).map(|at| at % 3).collect();
        let got = nms(&host, &boxes, &scores, &groups, 0.5).unwrap();
        assert_eq!(got, batched_nms(&boxes, &scores, &groups, 0.5), "{count}");
    }
}
