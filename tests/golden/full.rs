//! The full-size model, R-50 with 80 classes, with weights and input from a formula.

use std::time::Instant;

use candle_core::Tensor;
use maskscope::config::{Config, Dialect};
use maskscope::model::box_head::DetectedBox;
use maskscope::model::pooler::ImageRoi;
use maskscope::model::postprocess::{MaskedBox, to_image};
use maskscope::model::rpn::{Proposals, RpnLevel};
use maskscope::model::{Detector, label_tensor};
use maskscope::structures::{BoxXyxy, ClassTable, ImageTransform, Size};
use maskscope::weights::formula::{formula_input, formula_weights};
use maskscope::weights::{IouHead, LoadedCheckpoint};
use serde_json::Value;

use super::case::{self, DIALECTS, MAPS, MASK_PIXELS, Tolerances, flat, variant};
use super::matching::{Matched, Scored, matches};
use crate::support::compare::Deviation;
use crate::support::device::device;
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

/// The heads under one dialect.
struct Heads<'a> {
    golden: &'a Golden,
    detector: Detector,
    config: &'a Config,
    pyramid: &'a [Tensor],
    dialect: Dialect,
}

impl Heads<'_> {
    fn floats(&self, part: &str) -> &[f32] {
        self.golden.floats(self.dialect, part)
    }

    fn what(&self, part: &str) -> String {
        format!("full {} {part}", variant(self.dialect))
    }

    fn within(&self, part: &str, got: &[f32], want: &[f32], tolerance: f64) {
        let what = self.what(part);
        Deviation::of(&what, got, want).absolute_within(&what, tolerance);
    }

    /// Proposals, box outputs, detections and masks.
    fn check(&self, levels: &[RpnLevel]) {
        let size = self.golden.size();
        let transform = ImageTransform::new(size, size, size);
        let detector = &self.detector;
        let rules = &self.config.test_cfg.rpn;
        let proposals = timed("proposals", || {
            detector.rpn.propose(levels, &[transform], rules).unwrap()
        });
        let info = &self.golden.info["variants"][variant(self.dialect)];
        let count = info["proposals"].as_u64().unwrap();
        assert_eq!(proposals[0].boxes.len() as u64, count);
        self.check_first_proposals(&proposals[0]);
        let boxes = timed("box head and selection", || {
            let head = &detector.box_head;
            head.detect(self.pyramid, &proposals, &[transform]).unwrap()
        });
        let masked = timed("mask heads", || {
            detector.masks(self.pyramid, &boxes).unwrap()
        });
        self.check_detections(&masked[0]);
    }

    fn check_first_proposals(&self, found: &Proposals) {
        let want_scores = self.floats("proposal_scores");
        let count = want_scores.len();
        let stored = case::boxes(self.floats("proposals"));
        let matched = matches(
            &self.what("proposals"),
            &Scored {
                boxes: &found.boxes[..count],
                scores: &found.scores[..count],
                labels: &[],
            },
            &Scored {
                boxes: &stored,
                scores: want_scores,
                labels: &[],
            },
        );
        let scores = matched.got(&found.scores);
        let want = matched.want(want_scores);
        self.within("proposal scores", &scores, &want, FULL.scores);
        let head = &self.detector.box_head;
        let features = head.pooler.pool(self.pyramid, &rois(&stored)).unwrap();
        let outputs = head.forward(&features).unwrap();
        let parts = [
            ("box_logits", outputs.logits),
            ("box_deltas", outputs.deltas),
        ];
        for (part, got) in parts {
            self.within(part, &flat(&got), self.floats(part), FULL.logits);
        }
    }

    fn check_detections(&self, masked: &[MaskedBox]) {
        let found: Vec<DetectedBox> = masked.iter().map(|masked| masked.detected).collect();
        let scores: Vec<f32> = found.iter().map(|found| found.score).collect();
        let matched = matches(
            &self.what("detections"),
            &Scored {
                boxes: &found.iter().map(|found| found.bbox).collect::<Vec<_>>(),
                scores: &scores,
                labels: &found.iter().map(|found| found.label).collect::<Vec<_>>(),
            },
            &Scored {
                boxes: &case::boxes(self.floats("det_boxes")),
                scores: self.floats("det_scores"),
                labels: &self.golden.labels(self.dialect),
            },
        );
        let ious: Vec<f32> = masked
            .iter()
            .map(|masked| masked.mask_iou.unwrap())
            .collect();
        let products: Vec<f32> = scores.iter().zip(&ious).map(|(s, iou)| s * iou).collect();
        for (part, got) in [
            ("det_scores", scores),
            ("mask_iou", ious),
            ("mask_scores", products),
        ] {
            let want = matched.want(self.floats(part));
            self.within(part, &matched.got(&got), &want, FULL.scores);
        }
        self.check_mask_logits(&found, &matched);
        self.check_masks(masked, &matched);
    }

    /// The logits of the first masks only are stored.
    fn check_mask_logits(&self, found: &[DetectedBox], matched: &Matched) {
        let stored = self
            .golden
            .tensors
            .get(&format!("{}.mask_logits", variant(self.dialect)));
        let stored: Vec<_> = stored
            .f32()
            .chunks_exact(stored.shape[1] * stored.shape[2])
            .collect();
        let first: Vec<_> = matched
            .pairs()
            .filter(|&(_, index)| index < stored.len())
            .collect();
        assert_eq!(first.len(), stored.len());
        let found: Vec<_> = first.iter().map(|&(at, _)| found[at]).collect();
        let boxes: Vec<_> = found.iter().map(|found| found.bbox).collect();
        let pooler = &self.detector.mask_pooler;
        let features = pooler.pool(self.pyramid, &rois(&boxes)).unwrap();
        let labels = found.iter().map(|found| found.label);
        let labels = label_tensor(labels, device()).unwrap();
        let logits = self.detector.mask_head.forward(&features, &labels).unwrap();
        let logits = logits.flatten_from(1).unwrap().to_vec2::<f32>().unwrap();
        for ((_, index), logits) in first.into_iter().zip(logits) {
            let part = format!("mask_logits {index}");
            self.within(&part, &logits, stored[index], FULL.logits);
        }
    }

    /// The areas of the pasted masks.
    fn check_masks(&self, masked: &[MaskedBox], matched: &Matched) {
        let size = self.golden.size();
        let transform = ImageTransform::new(size, size, size);
        let threshold = self.config.test_cfg.rcnn.mask_thr_binary as f32;
        let found = timed("paste", || to_image(masked, &transform, threshold));
        let areas = &self.golden.info["variants"][variant(self.dialect)]["mask_areas"];
        for (at, index) in matched.pairs() {
            let (got, want) = (found[at].mask.area(), areas[index].as_u64().unwrap());
            let off = got.abs_diff(want);
            assert!(
                off <= MASK_PIXELS,
                "mask {index} has {got} pixels, not {want}"
            );
        }
    }
}

fn rois(boxes: &[BoxXyxy]) -> Vec<ImageRoi> {
    let roi = |&bbox| ImageRoi { image: 0, bbox };
    boxes.iter().map(roi).collect()
}

#[test]
fn golden_full_size_model() {
    let golden = Golden::read();
    let config = case::architecture(&golden.info["arch"]);
    let size = golden.size();
    let weights = timed("weights from the formula", || formula_weights(&config));
    let mut checkpoint = LoadedCheckpoint {
        path: "formula".into(),
        weights,
        config: config.clone(),
        dialect: Dialect::Mmdet,
        classes: ClassTable::default(),
        iou_head: IouHead::Trained,
        notes: Vec::new(),
    };
    let input = formula_input(size.height, size.width);
    let images = Tensor::from_vec(input, (1, 3, size.height, size.width), device()).unwrap();
    check_map("full input", &images, &golden.info["input"]);
    let detector = timed("building the detector", || {
        Detector::new(&checkpoint, device()).unwrap()
    });
    let stages = timed("backbone", || detector.backbone.forward(&images).unwrap());
    let pyramid = timed("pyramid", || detector.fpn.forward(&stages).unwrap());
    let levels = timed("RPN", || detector.rpn.forward(&pyramid).unwrap());
    check_pyramid(&golden, &stages, &pyramid);
    check_rpn(&golden, &levels);
    for dialect in DIALECTS {
        checkpoint.dialect = dialect;
        let heads = Heads {
            golden: &golden,
            detector: Detector::new(&checkpoint, device()).unwrap(),
            config: &config,
            pyramid: &pyramid,
            dialect,
        };
        heads.check(&levels);
    }
}
