//! MindSpore ms_rcnn.

use super::{Place, exchange, index_and_rest, to};

/// Heads that only lack mmdetection's `roi_head.`.
const HEADS: [(&str, &str); 8] = [
    ("rpn_head.rpn_convs_layer.", "rpn_head."),
    ("rpn_head.", "rpn_head."),
    ("bbox_head.", "roi_head.bbox_head."),
    (
        "mask_head.upsample.upsample.",
        "roi_head.mask_head.upsample.",
    ),
    ("mask_head.upsample.deconv.", "roi_head.mask_head.upsample."),
    ("mask_head.deconv.", "roi_head.mask_head.upsample."),
    ("mask_head.", "roi_head.mask_head."),
    ("mask_iou_head.", "roi_head.mask_iou_head."),
];

pub(super) fn canonical(name: &str) -> Option<Place> {
    if name.starts_with("backbone.") {
        return to(batch_norm(name));
    }
    if let Some(rest) = name.strip_prefix("neck.") {
        return neck(rest);
    }
    exchange(name, &HEADS)
}

/// MindSpore's names of a BatchNorm's four tensors; other names stay.
pub(super) fn batch_norm(name: &str) -> String {
    let renamed = name.rsplit_once('.').and_then(|(layer, leaf)| {
        let leaf = match leaf {
            "gamma" => "weight",
            "beta" => "bias",
            "moving_mean" => "running_mean",
            "moving_variance" => "running_var",
            _ => return None,
        };
        Some(format!("{layer}.{leaf}"))
    });
    renamed.unwrap_or_else(|| name.to_owned())
}

/// `lateral_convs.0.conv.weight`, or of an older neck `lateral_convs_list.0.[conv.]weight`.
fn neck(rest: &str) -> Option<Place> {
    for convs in ["lateral_convs", "fpn_convs"] {
        let Some(rest) = rest.strip_prefix(convs) else {
            continue;
        };
        let rest = rest.strip_prefix("_list").unwrap_or(rest);
        let (level, leaf) = index_and_rest(rest.strip_prefix('.')?)?;
        let leaf = leaf.strip_prefix("conv.").unwrap_or(leaf);
        return to(format!("neck.{convs}.{level}.conv.{leaf}"));
    }
    None
}
