//! Backbone, pyramid, RPN and proposals.

use maskscope::config::Dialect;

use super::case::{DIALECTS, MAPS, TINY, each_image, flat, variant};
use super::matching::{Scored, matches};
use crate::support::compare::Deviation;

#[test]
fn golden_backbone_and_pyramid() {
    each_image(Dialect::Mmdet, |_, detector, image| {
        let stages = detector.backbone.forward(&image.candle("input")).unwrap();
        let pyramid = detector.fpn.forward(&stages).unwrap();
        let maps = (2..).map(|level| format!("c{level}")).zip(&stages);
        for (name, map) in maps.chain((2..).map(|level| format!("p{level}")).zip(&pyramid)) {
            let want = image.tensors.get(&name);
            assert_eq!(map.dims(), want.shape, "{} {name}", image.name);
            let what = format!("{} {name}", image.name);
            Deviation::of(&what, &flat(map), want.f32()).relative_within(&what, MAPS);
        }
        assert!(!image.tensors.has(&format!("c{}", stages.len() + 2)));
        assert!(!image.tensors.has(&format!("p{}", pyramid.len() + 2)));
    });
}

#[test]
fn golden_rpn_outputs() {
    each_image(Dialect::Mmdet, |_, detector, image| {
        let stages = detector.backbone.forward(&image.candle("input")).unwrap();
        let pyramid = detector.fpn.forward(&stages).unwrap();
        let levels = detector.rpn.forward(&pyramid).unwrap();
        for (index, level) in levels.iter().enumerate() {
            for (part, map) in [("rpn_cls", &level.logits), ("rpn_reg", &level.deltas)] {
                let name = format!("{part}.{index}");
                let want = image.tensors.get(&name);
                assert_eq!(map.dims(), want.shape, "{} {name}", image.name);
                let what = format!("{} {name}", image.name);
                Deviation::of(&what, &flat(map), want.f32()).relative_within(&what, MAPS);
            }
        }
        assert!(!image.tensors.has(&format!("rpn_cls.{}", levels.len())));
    });
}

#[test]
fn golden_proposals() {
    for dialect in DIALECTS {
        each_image(dialect, |case, detector, image| {
            let stages = detector.backbone.forward(&image.candle("input")).unwrap();
            let pyramid = detector.fpn.forward(&stages).unwrap();
            let levels = detector.rpn.forward(&pyramid).unwrap();
            let rules = &case.config.test_cfg.rpn;
            let transforms = [image.transform()];
            let found = detector.rpn.propose(&levels, &transforms, rules).unwrap();
            let what = format!("{} {} proposals", image.name, variant(dialect));
            let want_scores = image.floats(dialect, "proposal_scores");
            let matched = matches(
                &what,
                &Scored {
                    boxes: &found[0].boxes,
                    scores: &found[0].scores,
                    labels: &[],
                },
                &Scored {
                    boxes: &image.boxes(dialect, "proposals"),
                    scores: want_scores,
                    labels: &[],
                },
            );
            let what = format!("{what}' scores");
            let scores = matched.got(&found[0].scores);
            Deviation::of(&what, &scores, &matched.want(want_scores))
                .absolute_within(&what, TINY.scores);
        });
    }
}
