//! The full-size model, R-50 with 80 classes, with weights and input from a formula.

use std::time::Instant;

use candle_core::{Device, Tensor};
use maskscope::config::{Config, Dialect};
use maskscope::model::box_head::DetectedBox;
use maskscope::model::pooler::ImageRoi;
use maskscope::model::rpn::RpnLevel;
use maskscope::model::{Detector, InputBatch};
use maskscope::ops::sigmoid_tensor;
use maskscope::structures::{ImageTransform, Size};
use maskscope::weights::{IouHead, LoadedCheckpoint};
use serde_json::Value;

use super::case::{self, DIALECTS, MAPS, Tolerances, flat, variant};
use super::formula;
use super::matching::{Scored, matches, reorder};
use crate::support::compare::Deviation;
use crate::support::fixtures::{self, Tensors};

const FULL: Tolerances = Tolerances {
    logits: 5e-4,
    scores: 3e-5,
};

/// What the files say.
struct Golden {
    info: Value,
    tensors: Tensors,
}

impl Golden {
    fn read() -> Self {
        let folder = fixtures::folder("full");
        Self {
            info: fixtures::json(&folder.join("expected.json")),
            tensors: Tensors::read(&folder.join("expected.safetensors")),
        }
    }

    fn size(&self) -> Size {
        let side = |key: &str| self.info[key].as_u64().unwrap() as usize;
        Size::new(side("width"), side("height"))
    }

    fn floats(&self, dialect: Dialect, part: &str) -> &[f32] {
        self.tensors
            .get(&format!("{}.{part}", variant(dialect)))
            .f32()
    }

    fn labels(&self, dialect: Dialect) -> Vec<usize> {
        let labels = self
            .tensors
            .get(&format!("{}.det_labels", variant(dialect)));
        labels.i64().iter().map(|&label| label as usize).collect()
    }
}

/// Runs `step` and prints how long it took.
fn timed<T>(what: &str, step: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = step();
    println!(
        "time of {what}: {:.0} ms",
        start.elapsed().as_secs_f64() * 1e3
    );
    result
}

fn check_weights(golden: &Golden, checkpoint: &LoadedCheckpoint) {
    let expected = golden.info["weights"].as_object().unwrap();
    let weights = &checkpoint.weights;
    assert_eq!(weights.names().count(), expected.len());
    for (name, want) in expected {
        let values = weights.values(name, weights.shape(name).unwrap()).unwrap();
        let first: Vec<f32> = serde_json::from_value(want["first"].clone()).unwrap();
        assert_eq!(values[..first.len()], first, "{name}");
        let sum: f64 = values.iter().map(|&value| f64::from(value)).sum();
        let want = want["sum"].as_f64().unwrap();
        assert!(
            (sum - want).abs() <= 1e-9 * values.len() as f64,
            "{name}: sum {sum}, not {want}"
        );
    }
}

/// Sums, extremes and shape of a map.
fn check_map(what: &str, map: &Tensor, want: &Value) {
    let dims: Vec<usize> = serde_json::from_value(want["shape"].clone()).unwrap();
    assert_eq!(map.dims(), dims, "{what}");
    let values = flat(map);
    let number = |key: &str| want[key].as_f64().unwrap();
    let largest = number("max").abs().max(number("min").abs());
    let count = values.len() as f64;
    let sum = |term: fn(f64) -> f64| {
        values
            .iter()
            .map(|&value| term(f64::from(value)))
            .sum::<f64>()
    };
    let low = values.iter().copied().fold(f32::INFINITY, f32::min);
    let high = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    // Each is a mean or an extreme of values that may be off by MAPS of the largest; errors of both signs cancel in
    // means, which therefore are held much closer.
    for (key, got, tolerance) in [
        ("min", f64::from(low), MAPS * largest),
        ("max", f64::from(high), MAPS * largest),
        ("sum", sum(|value| value), 1e-2 * MAPS * largest * count),
        ("sum_abs", sum(f64::abs), 1e-2 * MAPS * largest * count),
        (
            "mean_square",
            sum(|value| value * value) / count,
            MAPS * number("mean_square"),
        ),
    ] {
        let off = (got - number(key)).abs();
        println!("{what} {key}: {:.1e} of the tolerance", off / tolerance);
        assert!(
            off <= tolerance,
            "{what}: {key} is {got}, not {}",
            number(key)
        );
    }
}

/// A stored slice of a level.
fn check_slice(golden: &Golden, name: &str, slice: Tensor, largest: f64) {
    let want = golden.tensors.get(name);
    assert_eq!(slice.dims(), want.shape, "{name}");
    let found = Deviation::of(name, &flat(&slice), want.f32());
    Deviation { largest, ..found }.relative_within(&format!("full {name}"), MAPS);
}

fn check_pyramid(golden: &Golden, stages: &[Tensor], pyramid: &[Tensor]) {
    for (index, stage) in stages.iter().enumerate() {
        let name = format!("c{}", index + 2);
        check_map(
            &format!("full {name}"),
            stage,
            &golden.info["backbone"][&name],
        );
    }
    for (index, level) in pyramid.iter().enumerate() {
        let name = format!("p{}", index + 2);
        let want = &golden.info["levels"][&name];
        check_map(&format!("full {name}"), level, want);
        let extreme = |key: &str| want[key].as_f64().unwrap().abs();
        let largest = extreme("min").max(extreme("max"));
        let (_, _, height, width) = level.dims4().unwrap();
        let level = level.squeeze(0).unwrap();
        let around = |len: usize| {
            let (start, end) = ((len / 2).saturating_sub(4), (len / 2 + 4).min(len));
            (start, end - start)
        };
        let ((top, rows), (left, columns)) = (around(height), around(width));
        let cut =
            |from: usize, channels: usize, [top, rows]: [usize; 2], [left, columns]: [usize; 2]| {
                let part = level.narrow(0, from, channels).unwrap();
                let part = part.narrow(1, top, rows).unwrap();
                part.narrow(2, left, columns).unwrap().contiguous().unwrap()
            };
        let centre = cut(0, 16, [top, rows], [left, columns]);
        check_slice(golden, &format!("{name}.centre"), centre, largest);
        let corner = cut(240, 16, [0, 4], [0, 4]);
        check_slice(golden, &format!("{name}.corner"), corner, largest);
    }
}

fn check_rpn(golden: &Golden, levels: &[RpnLevel]) {
    for (index, level) in levels.iter().enumerate() {
        for (part, key, map) in [
            ("rpn_cls", "cls", &level.logits),
            ("rpn_reg", "reg", &level.deltas),
        ] {
            let name = format!("{part}.{index}");
            let want = &golden.info["rpn"][index.to_string()][key];
            check_map(&format!("full {name}"), map, want);
            if golden.tensors.has(&name) {
                let want = golden.tensors.get(&name);
                let what = format!("full {name}");
                Deviation::of(&what, &flat(map), want.f32()).relative_within(&what, MAPS);
            }
        }
    }
}

/// Proposals, box outputs, detections and masks of one dialect.
fn check_heads(
    golden: &Golden,
    detector: &Detector,
    config: &Config,
    pyramid: &[Tensor],
    levels: &[RpnLevel],
    dialect: Dialect,
) {
    let size = golden.size();
    let transform = ImageTransform::new(size, size, size);
    let variant = variant(dialect);
    let rules = &config.test_cfg.rpn;
    let mut proposals = timed("proposals", || {
        detector.rpn.propose(levels, &[transform], rules).unwrap()
    });
    let info = &golden.info["variants"][variant];
    assert_eq!(
        proposals[0].boxes.len() as u64,
        info["proposals"].as_u64().unwrap()
    );
    let boxes = timed("box head and selection", || {
        detector
            .box_head
            .detect(pyramid, &proposals, &[transform])
            .unwrap()
    });
    check_first_proposals(golden, detector, pyramid, &mut proposals[0], dialect);
    let masked = timed("mask heads", || detector.masks(pyramid, &boxes).unwrap());
    let found = &boxes[0];
    let scores: Vec<f32> = found.iter().map(|found| found.score).collect();
    let want_scores = golden.floats(dialect, "det_scores");
    let order = matches(
        &format!("full {variant} detections"),
        &Scored {
            boxes: &found.iter().map(|found| found.bbox).collect::<Vec<_>>(),
            scores: &scores,
            labels: &found.iter().map(|found| found.label).collect::<Vec<_>>(),
        },
        &Scored {
            boxes: &case::boxes(golden.floats(dialect, "det_boxes")),
            scores: want_scores,
            labels: &golden.labels(dialect),
        },
    );
    let ious: Vec<f32> = masked[0]
        .iter()
        .map(|masked| masked.mask_iou.unwrap())
        .collect();
    let products: Vec<f32> = scores
        .iter()
        .zip(&ious)
        .map(|(score, iou)| score * iou)
        .collect();
    for (part, got) in [
        ("det_scores", scores),
        ("mask_iou", ious),
        ("mask_scores", products),
    ] {
        let what = format!("full {variant} {part}");
        let want = reorder(golden.floats(dialect, part), &order);
        Deviation::of(&what, &got, &want).absolute_within(&what, FULL.scores);
    }
    check_mask_logits(golden, detector, pyramid, found, &order, dialect);
}

fn check_first_proposals(
    golden: &Golden,
    detector: &Detector,
    pyramid: &[Tensor],
    proposals: &mut maskscope::model::rpn::Proposals,
    dialect: Dialect,
) {
    let want_scores = golden.floats(dialect, "proposal_scores");
    proposals.boxes.truncate(want_scores.len());
    proposals.scores.truncate(want_scores.len());
    let what = format!("full {} proposals", variant(dialect));
    let order = matches(
        &what,
        &Scored {
            boxes: &proposals.boxes,
            scores: &proposals.scores,
            labels: &[],
        },
        &Scored {
            boxes: &case::boxes(golden.floats(dialect, "proposals")),
            scores: want_scores,
            labels: &[],
        },
    );
    let what = format!("{what}' scores");
    Deviation::of(&what, &proposals.scores, &reorder(want_scores, &order))
        .absolute_within(&what, FULL.scores);
    let rois = rois(&case::boxes(golden.floats(dialect, "proposals")));
    let features = detector.box_head.pooler.pool(pyramid, &rois).unwrap();
    let outputs = detector.box_head.forward(&features).unwrap();
    for (part, got) in [
        ("box_logits", outputs.logits),
        ("box_deltas", outputs.deltas),
    ] {
        let what = format!("full {} {part}", variant(dialect));
        Deviation::of(&what, &flat(&got), golden.floats(dialect, part))
            .absolute_within(&what, FULL.logits);
    }
}

fn rois(boxes: &[maskscope::structures::BoxXyxy]) -> Vec<ImageRoi> {
    let roi = |&bbox| ImageRoi { image: 0, bbox };
    boxes.iter().map(roi).collect()
}

fn check_mask_logits(
    golden: &Golden,
    detector: &Detector,
    pyramid: &[Tensor],
    found: &[DetectedBox],
    order: &[usize],
    dialect: Dialect,
) {
    let boxes: Vec<_> = found.iter().map(|found| found.bbox).collect();
    let features = detector.mask_pooler.pool(pyramid, &rois(&boxes)).unwrap();
    let logits = detector.mask_head.forward(&features, found).unwrap();
    assert!(
        flat(&sigmoid_tensor(&logits).unwrap())
            .iter()
            .all(|p| (0.0..=1.0).contains(p))
    );
    let logits = logits.flatten_from(1).unwrap().to_vec2::<f32>().unwrap();
    let want = golden
        .floats(dialect, "mask_logits")
        .chunks_exact(logits[0].len());
    let mut checked = 0;
    for (reference, want) in want.enumerate() {
        let at = order.iter().position(|&index| index == reference).unwrap();
        let what = format!("full {} mask_logits {reference}", variant(dialect));
        Deviation::of(&what, &logits[at], want).absolute_within(&what, FULL.logits);
        checked += 1;
    }
    assert!(checked > 0);
}

#[test]
fn golden_full_size_model() {
    let golden = Golden::read();
    let config = case::architecture(&golden.info["arch"]);
    let size = golden.size();
    let weights = timed("weights from the formula", || {
        formula::weights(&config, &golden.info)
    });
    let mut checkpoint = LoadedCheckpoint {
        path: "formula".into(),
        weights,
        config: config.clone(),
        dialect: Dialect::Mmdet,
        classes: maskscope::structures::ClassTable::default(),
        iou_head: IouHead::Trained,
        notes: Vec::new(),
    };
    check_weights(&golden, &checkpoint);
    let input = formula::image(size.height, size.width);
    let images = Tensor::from_vec(input, (1, 3, size.height, size.width), &Device::Cpu).unwrap();
    check_map("full input", &images, &golden.info["input"]);
    let detector = timed("building the detector", || {
        Detector::new(&checkpoint, &Device::Cpu).unwrap()
    });
    let stages = timed("backbone", || detector.backbone.forward(&images).unwrap());
    let pyramid = timed("pyramid", || detector.fpn.forward(&stages).unwrap());
    let levels = timed("RPN", || detector.rpn.forward(&pyramid).unwrap());
    check_pyramid(&golden, &stages, &pyramid);
    check_rpn(&golden, &levels);
    for dialect in DIALECTS {
        checkpoint.dialect = dialect;
        let detector = Detector::new(&checkpoint, &Device::Cpu).unwrap();
        check_heads(&golden, &detector, &config, &pyramid, &levels, dialect);
    }
    drop((stages, pyramid, levels));
    let transforms = vec![ImageTransform::new(size, size, size)];
    let input = InputBatch { images, transforms };
    let found = timed("detect, second run", || detector.detect(&input).unwrap());
    let want: Vec<u64> =
        serde_json::from_value(golden.info["variants"]["mmdet"]["mask_areas"].clone()).unwrap();
    assert_eq!(found[0].len(), want.len());
    for (at, (found, want)) in found[0].iter().zip(want).enumerate() {
        let off = found.mask.area().abs_diff(want);
        assert!(
            off <= 3,
            "mask {at} has {} pixels, not {want}",
            found.mask.area()
        );
    }
}
