//! maskrcnn-benchmark and the paper's maskscoring_rcnn, which adds `roi_heads.maskiou`.

use super::{Place, exchange, index_and_rest, to};

const PARTS: [(&str, &str); 14] = [
    ("backbone.body.stem.", "backbone."),
    ("backbone.body.", "backbone."),
    ("rpn.head.conv.", "rpn_head.rpn_conv."),
    ("rpn.head.cls_logits.", "rpn_head.rpn_cls."),
    ("rpn.head.bbox_pred.", "rpn_head.rpn_reg."),
    (
        "roi_heads.box.feature_extractor.fc6.",
        "roi_head.bbox_head.shared_fcs.0.",
    ),
    (
        "roi_heads.box.feature_extractor.fc7.",
        "roi_head.bbox_head.shared_fcs.1.",
    ),
    (
        "roi_heads.box.predictor.cls_score.",
        "roi_head.bbox_head.fc_cls.",
    ),
    (
        "roi_heads.box.predictor.bbox_pred.",
        "roi_head.bbox_head.fc_reg.",
    ),
    (
        "roi_heads.mask.predictor.conv5_mask.",
        "roi_head.mask_head.upsample.",
    ),
    (
        "roi_heads.mask.predictor.mask_fcn_logits.",
        "roi_head.mask_head.conv_logits.",
    ),
    (
        "roi_heads.maskiou.feature_extractor.maskiou_fc1.",
        "roi_head.mask_iou_head.fcs.0.",
    ),
    (
        "roi_heads.maskiou.feature_extractor.maskiou_fc2.",
        "roi_head.mask_iou_head.fcs.1.",
    ),
    (
        "roi_heads.maskiou.predictor.maskiou.",
        "roi_head.mask_iou_head.fc_mask_iou.",
    ),
];

pub(super) fn canonical(name: &str) -> Option<Place> {
    if name.contains("anchor_generator.") {
        return Some(Place::Skip);
    }
    // Everything that is numbered counts from 1.
    for (numbered, before, after) in [
        ("backbone.fpn.fpn_inner", "neck.lateral_convs.", ".conv"),
        ("backbone.fpn.fpn_layer", "neck.fpn_convs.", ".conv"),
        (
            "roi_heads.mask.feature_extractor.mask_fcn",
            "roi_head.mask_head.convs.",
            ".conv",
        ),
        (
            "roi_heads.maskiou.feature_extractor.maskiou_fcn",
            "roi_head.mask_iou_head.convs.",
            "",
        ),
    ] {
        if let Some(rest) = name.strip_prefix(numbered) {
            let (number, leaf) = index_and_rest(rest)?;
            let index = number.checked_sub(1)?;
            return to(format!("{before}{index}{after}.{leaf}"));
        }
    }
    exchange(name, &PARTS)
}
