//! detectron2's mask_rcnn_R_*_FPN.

use super::{Place, exchange, index_and_rest, to};

const HEADS: [(&str, &str); 9] = [
    ("proposal_generator.rpn_head.conv.", "rpn_head.rpn_conv."),
    (
        "proposal_generator.rpn_head.objectness_logits.",
        "rpn_head.rpn_cls.",
    ),
    (
        "proposal_generator.rpn_head.anchor_deltas.",
        "rpn_head.rpn_reg.",
    ),
    (
        "roi_heads.box_head.fc1.",
        "roi_head.bbox_head.shared_fcs.0.",
    ),
    (
        "roi_heads.box_head.fc2.",
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
        "roi_heads.mask_head.deconv.",
        "roi_head.mask_head.upsample.",
    ),
    (
        "roi_heads.mask_head.predictor.",
        "roi_head.mask_head.conv_logits.",
    ),
];

pub(super) fn canonical(name: &str) -> Option<Place> {
    if name.contains("anchor_generator.") {
        return Some(Place::Skip);
    }
    if let Some(rest) = name.strip_prefix("backbone.bottom_up.") {
        return resnet(rest);
    }
    // Levels are named by log2 of their stride: 2 to 5.
    for (convs, canonical) in [
        ("backbone.fpn_lateral", "lateral_convs"),
        ("backbone.fpn_output", "fpn_convs"),
    ] {
        if let Some(rest) = name.strip_prefix(convs) {
            let (level, leaf) = index_and_rest(rest)?;
            let level = level.checked_sub(2)?;
            return to(format!("neck.{canonical}.{level}.conv.{leaf}"));
        }
    }
    if let Some(rest) = name.strip_prefix("roi_heads.mask_head.mask_fcn") {
        let (number, leaf) = index_and_rest(rest)?;
        let index = number.checked_sub(1)?;
        return to(format!("roi_head.mask_head.convs.{index}.conv.{leaf}"));
    }
    exchange(name, &HEADS)
}

/// `stem.conv1[.norm].leaf` and `res{2-5}.{block}.{conv1-3|shortcut}[.norm].leaf`.
fn resnet(rest: &str) -> Option<Place> {
    // The classifier of ImageNet weights.
    if rest.starts_with("linear.") || rest.starts_with("fc.") {
        return Some(Place::Skip);
    }
    if let Some(leaf) = rest.strip_prefix("stem.conv1.") {
        return match leaf.strip_prefix("norm.") {
            Some(leaf) => to(format!("backbone.bn1.{leaf}")),
            None => to(format!("backbone.conv1.{leaf}")),
        };
    }
    let (stage, rest) = index_and_rest(rest.strip_prefix("res")?)?;
    let stage = stage.checked_sub(1)?;
    let (block, rest) = index_and_rest(rest)?;
    let (layer, leaf) = rest.split_once('.')?;
    let (norm, leaf) = match leaf.strip_prefix("norm.") {
        Some(leaf) => (true, leaf),
        None => (false, leaf),
    };
    let layer = match (layer, norm) {
        ("shortcut", false) => "downsample.0".into(),
        ("shortcut", true) => "downsample.1".into(),
        (conv, false) => conv.to_owned(),
        (conv, true) => format!("bn{}", conv.strip_prefix("conv")?),
    };
    to(format!("backbone.layer{stage}.{block}.{layer}.{leaf}"))
}
