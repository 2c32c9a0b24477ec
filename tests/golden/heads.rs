//! The heads, each from the stored boxes that it starts with.

use candle_core::Tensor;
use maskscope::config::Dialect;
use maskscope::model::box_head::{BoxOutputs, DetectedBox};
use maskscope::model::pooler::ImageRoi;
use maskscope::model::{Detector, label_tensor};
use maskscope::ops::sigmoid_tensor;
use maskscope::structures::BoxXyxy;

use super::case::{DIALECTS, ImageCase, TINY, each_image, flat, variant};
use super::matching::{Scored, matches};
use crate::support::compare::Deviation;
use crate::support::device::device;

fn pyramid(detector: &Detector, image: &ImageCase) -> Vec<Tensor> {
    let stages = detector.backbone.forward(&image.candle("input")).unwrap();
    detector.fpn.forward(&stages).unwrap()
}

fn rois(boxes: &[BoxXyxy]) -> Vec<ImageRoi> {
    let roi = |&bbox| ImageRoi { image: 0, bbox };
    boxes.iter().map(roi).collect()
}

fn stored_detections(image: &ImageCase, dialect: Dialect) -> Vec<DetectedBox> {
    let boxes = image.boxes(dialect, "det_boxes").into_iter();
    let labels = image.labels(dialect).into_iter();
    let scores = image.floats(dialect, "det_scores");
    boxes
        .zip(labels)
        .zip(scores)
        .map(|((bbox, label), &score)| DetectedBox { bbox, label, score })
        .collect()
}

#[test]
fn golden_box_head_outputs() {
    for dialect in DIALECTS {
        each_image(dialect, |_, detector, image| {
            let proposals = rois(&image.boxes(dialect, "proposals"));
            let pyramid = pyramid(detector, image);
            let features = detector.box_head.pooler.pool(&pyramid, &proposals).unwrap();
            let outputs = detector.box_head.forward(&features).unwrap();
            let parts = [
                ("box_logits", outputs.logits),
                ("box_deltas", outputs.deltas),
            ];
            for (part, got) in parts {
                let what = format!("{} {} {part}", image.name, variant(dialect));
                Deviation::of(&what, &flat(&got), image.floats(dialect, part))
                    .absolute_within(&what, TINY.logits);
            }
        });
    }
}

#[test]
fn golden_detections_from_stored_outputs() {
    for dialect in DIALECTS {
        each_image(dialect, |_, detector, image| {
            let outputs = BoxOutputs {
                logits: image.candle(&format!("{}.box_logits", variant(dialect))),
                deltas: image.candle(&format!("{}.box_deltas", variant(dialect))),
            };
            let proposals = image.boxes(dialect, "proposals");
            let head = &detector.box_head;
            let found = head
                .select(&outputs, &proposals, &image.transform())
                .unwrap();
            let boxes: Vec<_> = found.iter().map(|found| found.bbox).collect();
            let scores: Vec<_> = found.iter().map(|found| found.score).collect();
            let labels: Vec<_> = found.iter().map(|found| found.label).collect();
            let what = format!("{} {} selection", image.name, variant(dialect));
            let want_scores = image.floats(dialect, "det_scores");
            let matched = matches(
                &what,
                &Scored {
                    boxes: &boxes,
                    scores: &scores,
                    labels: &labels,
                },
                &Scored {
                    boxes: &image.boxes(dialect, "det_boxes"),
                    scores: want_scores,
                    labels: &image.labels(dialect),
                },
            );
            let what = format!("{what}'s scores");
            Deviation::of(&what, &matched.got(&scores), &matched.want(want_scores))
                .absolute_within(&what, 1e-6); // the same logits: only the softmax is ours
        });
    }
}

#[test]
fn golden_mask_heads() {
    for dialect in DIALECTS {
        each_image(dialect, |_, detector, image| {
            let found = stored_detections(image, dialect);
            let boxes: Vec<_> = found.iter().map(|found| found.bbox).collect();
            let pyramid = pyramid(detector, image);
            let features = detector.mask_pooler.pool(&pyramid, &rois(&boxes)).unwrap();
            let labels = found.iter().map(|found| found.label);
            let labels = label_tensor(labels, device()).unwrap();
            let logits = detector.mask_head.forward(&features, &labels).unwrap();
            let what = |part: &str| format!("{} {} {part}", image.name, variant(dialect));
            let want = image.floats(dialect, "mask_logits");
            Deviation::of(&what("mask_logits"), &flat(&logits), want)
                .absolute_within(&what("mask_logits"), TINY.logits);
            let head = detector.mask_iou_head.as_ref().unwrap();
            let probabilities = sigmoid_tensor(&logits).unwrap();
            let ious = flat(&head.score(&features, &probabilities, &labels).unwrap());
            let want = image.floats(dialect, "mask_iou");
            Deviation::of(&what("mask_iou"), &ious, want)
                .absolute_within(&what("mask_iou"), TINY.scores);
            let scores: Vec<f32> = found
                .iter()
                .zip(&ious)
                .map(|(f, iou)| f.score * iou)
                .collect();
            let want = image.floats(dialect, "mask_scores");
            Deviation::of(&what("mask_scores"), &scores, want)
                .absolute_within(&what("mask_scores"), TINY.scores);
        });
    }
}
