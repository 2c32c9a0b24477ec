//! torchvision's maskrcnn_resnet50_fpn.

use super::{Place, exchange, index_and_rest, to};

const PARTS: [(&str, &str); 10] = [
    ("backbone.body.", "backbone."),
    ("rpn.head.conv.0.0.", "rpn_head.rpn_conv."),
    ("rpn.head.conv.", "rpn_head.rpn_conv."),
    ("rpn.head.cls_logits.", "rpn_head.rpn_cls."),
    ("rpn.head.bbox_pred.", "rpn_head.rpn_reg."),
    (
        "roi_heads.box_head.fc6.",
        "roi_head.bbox_head.shared_fcs.0.",
    ),
    (
        "roi_heads.box_head.fc7.",
        "roi_head.bbox_head.shared_fcs.1.",
    ),
    (
        "roi_heads.box_predictor.cls_score.",
        "roi_head.bbox_head.fc_cls.",
    ),
    (
        "roi_heads.box_predictor.bbox_pred.",
        "roi_head.bbox_head.fc_reg.",
    ),
    (
        "roi_heads.mask_predictor.conv5_mask.",
        "roi_head.mask_head.upsample.",
    ),
];

pub(super) fn canonical(name: &str) -> Option<Place> {
    if let Some(rest) = name.strip_prefix("roi_heads.mask_predictor.mask_fcn_logits.") {
        return to(format!("roi_head.mask_head.conv_logits.{rest}"));
    }
    if let Some(rest) = name.strip_prefix("roi_heads.mask_head.") {
        return mask_conv(rest);
    }
    for (blocks, convs) in [
        ("backbone.fpn.inner_blocks.", "lateral_convs"),
        ("backbone.fpn.layer_blocks.", "fpn_convs"),
    ] {
        if let Some(rest) = name.strip_prefix(blocks) {
            let (level, leaf) = index_and_rest(rest)?;
            // Newer versions wrap the convolution.
            let leaf = leaf.strip_prefix("0.").unwrap_or(leaf);
            return to(format!("neck.{convs}.{level}.conv.{leaf}"));
        }
    }
    exchange(name, &PARTS)
}

/// `mask_fcn1.weight` counts from 1, the newer `0.0.weight` from 0.
fn mask_conv(rest: &str) -> Option<Place> {
    let (index, leaf) = match rest.strip_prefix("mask_fcn") {
        Some(rest) => {
            let (number, leaf) = index_and_rest(rest)?;
            (number.checked_sub(1)?, leaf)
        }
        None => {
            let (index, leaf) = index_and_rest(rest)?;
            (index, leaf.strip_prefix("0.")?)
        }
    };
    to(format!("roi_head.mask_head.convs.{index}.conv.{leaf}"))
}
