//! The network's shape: widths that must agree from backbone to heads, levels, region sizes.

use super::super::{BboxCoder, Config, Proposals, Roi};
use super::{Check, LARGEST, show};

/// Stages of a ResNet, and levels below the ones made by max pooling.
const STAGES: usize = 4;
/// A bottleneck puts out four times its width.
const EXPANSION: usize = 4;
/// Stride of the first stage.
const FIRST_STRIDE: usize = 4;
/// Larger region grids than this are typing errors.
const LARGEST_REGION: usize = 256;

pub(super) fn check(config: &Config, check: &mut Check) {
    check.one_of("detector", &config.detector, &["mask_rcnn", "ms_rcnn"]);
    check.one_of("mode", &config.mode, &["graph", "pynative"]);
    check.one_of(
        "device_target",
        &config.device_target,
        &["GPU", "CPU", "auto"],
    );
    backbone(config, check);
    neck(config, check);
    rpn(config, check);
    heads(config, check);
    region("roi", &config.roi, config, check);
    region("mask_roi", &config.mask_roi, config, check);
    proposals("test_cfg.rpn", &config.test_cfg.rpn, check);
    let rcnn = &config.test_cfg.rcnn;
    check.within("test_cfg.rcnn.score_thr", rcnn.score_thr, 0.0, 1.0);
    check.within("test_cfg.rcnn.iou_threshold", rcnn.iou_threshold, 0.0, 1.0);
    check.positive("test_cfg.rcnn.max_per_img", rcnn.max_per_img);
    check.between(
        "test_cfg.rcnn.mask_thr_binary",
        rcnn.mask_thr_binary,
        0.0,
        1.0,
    );
}

fn backbone(config: &Config, check: &mut Check) {
    let backbone = &config.backbone;
    check.one_of("backbone.type", &backbone.r#type, &["resnet"]);
    check.positive("backbone.base_channels", backbone.base_channels);
    check.that(
        (-1..=STAGES as i64).contains(&backbone.frozen_stages),
        "backbone.frozen_stages",
        backbone.frozen_stages,
        format!("-1 to {STAGES}"),
    );
    check.that(
        backbone.num_stages == STAGES,
        "backbone.num_stages",
        backbone.num_stages,
        format!("{STAGES}"),
    );
    let indices = &backbone.out_indices;
    check.increasing("backbone.out_indices", indices);
    check.that(
        !indices.is_empty() && indices.iter().all(|index| *index < STAGES),
        "backbone.out_indices",
        show(indices),
        format!("stages 0 to {}", STAGES - 1),
    );
}

fn neck(config: &Config, check: &mut Check) {
    let fpn = &config.neck.fpn;
    let stages: Vec<usize> = config
        .backbone
        .out_indices
        .iter()
        .map(|index| {
            let width = config.backbone.base_channels.saturating_mul(EXPANSION);
            width.saturating_mul(1 << (*index).min(STAGES))
        })
        .collect();
    check.that(
        fpn.in_channels == stages,
        "neck.fpn.in_channels",
        show(&fpn.in_channels),
        format!(
            "{}, the backbone's outputs (backbone.base_channels * {EXPANSION} * 2^stage)",
            show(&stages)
        ),
    );
    check.positive("neck.fpn.out_channels", fpn.out_channels);
    let levels = config.rpn.anchor_generator.strides.len();
    check.that(
        fpn.num_outs >= fpn.in_channels.len(),
        "neck.fpn.num_outs",
        fpn.num_outs,
        format!("at least {}, the backbone's outputs", fpn.in_channels.len()),
    );
    check.equal(
        "neck.fpn.num_outs",
        fpn.num_outs,
        "the number of rpn.anchor_generator.strides",
        levels,
    );
    for (key, width) in [
        ("rpn.in_channels", config.rpn.in_channels),
        ("roi.out_channels", config.roi.out_channels),
        ("mask_roi.out_channels", config.mask_roi.out_channels),
        ("bbox_head.in_channels", config.bbox_head.in_channels),
        ("mask_head.in_channels", config.mask_head.in_channels),
        (
            "mask_iou_head.in_channels",
            config.mask_iou_head.in_channels,
        ),
    ] {
        check.equal(key, width, "neck.fpn.out_channels", fpn.out_channels);
    }
}

fn rpn(config: &Config, check: &mut Check) {
    let rpn = &config.rpn;
    check.positive("rpn.feat_channels", rpn.feat_channels);
    check.that(
        rpn.num_classes == 1,
        "rpn.num_classes",
        rpn.num_classes,
        "1 (sigmoid objectness)",
    );
    coder("rpn.bbox_coder", &rpn.bbox_coder, check);
    let anchors = &rpn.anchor_generator;
    check.all_above_zero("rpn.anchor_generator.scales", &anchors.scales);
    check.all_above_zero("rpn.anchor_generator.ratios", &anchors.ratios);
    let strides = &anchors.strides;
    let doubling = strides.iter().all(|stride| stride.is_power_of_two())
        && strides
            .windows(2)
            .all(|pair| matches!(pair, [a, b] if a.checked_mul(2) == Some(*b)));
    check.that(
        doubling && !strides.is_empty() && strides.iter().all(|stride| *stride <= LARGEST),
        "rpn.anchor_generator.strides",
        show(strides),
        "powers of 2, each twice the one before",
    );
    // The stride of a level is a fact of the network; a file cannot choose it.
    let first = config.backbone.out_indices.first().copied().unwrap_or(0);
    let actual = FIRST_STRIDE << first.min(STAGES);
    check.that(
        strides.first().is_none_or(|stride| *stride == actual),
        "rpn.anchor_generator.strides",
        show(strides),
        format!("{actual} first, the stride of the first stage in backbone.out_indices"),
    );
}

fn heads(config: &Config, check: &mut Check) {
    let head = &config.bbox_head;
    check.positive("bbox_head.fc_out_channels", head.fc_out_channels);
    check.equal(
        "bbox_head.roi_feat_size",
        head.roi_feat_size,
        "roi.roi_layer.out_size",
        config.roi.roi_layer.out_size,
    );
    coder("bbox_head.bbox_coder", &head.bbox_coder, check);

    let head = &config.mask_head;
    check.positive("mask_head.num_convs", head.num_convs);
    check.positive("mask_head.conv_out_channels", head.conv_out_channels);

    let head = &config.mask_iou_head;
    check.positive("mask_iou_head.num_convs", head.num_convs);
    check.positive("mask_iou_head.num_fcs", head.num_fcs);
    check.positive("mask_iou_head.conv_out_channels", head.conv_out_channels);
    check.positive("mask_iou_head.fc_out_channels", head.fc_out_channels);
    check.equal(
        "mask_iou_head.roi_feat_size",
        head.roi_feat_size,
        "mask_roi.roi_layer.out_size",
        config.mask_roi.roi_layer.out_size,
    );
    check.that(
        head.roi_feat_size.is_multiple_of(2),
        "mask_iou_head.roi_feat_size",
        head.roi_feat_size,
        "an even number",
    );
}

fn region(name: &str, roi: &Roi, config: &Config, check: &mut Check) {
    let key = |key: &str| format!("{name}.{key}");
    check.one_of(&key("roi_layer.type"), &roi.roi_layer.r#type, &["RoIAlign"]);
    check.that(
        (1..=LARGEST_REGION).contains(&roi.roi_layer.out_size),
        &key("roi_layer.out_size"),
        roi.roi_layer.out_size,
        format!("1 to {LARGEST_REGION}"),
    );
    check.that(
        roi.roi_layer.sampling_ratio <= LARGEST_REGION,
        &key("roi_layer.sampling_ratio"),
        roi.roi_layer.sampling_ratio,
        format!("0 (adaptive) to {LARGEST_REGION}"),
    );
    check.positive(&key("finest_scale"), roi.finest_scale);
    let strides = &config.rpn.anchor_generator.strides;
    let levels = strides.len().min(config.neck.fpn.in_channels.len());
    let wanted = strides.get(..levels).unwrap_or_default();
    check.that(
        roi.featmap_strides == wanted,
        &key("featmap_strides"),
        show(&roi.featmap_strides),
        format!(
            "{}, the first of rpn.anchor_generator.strides",
            show(wanted)
        ),
    );
}

fn coder(name: &str, coder: &BboxCoder, check: &mut Check) {
    check.that(
        coder.target_means.iter().all(|mean| mean.is_finite()),
        &format!("{name}.target_means"),
        show(&coder.target_means),
        "finite numbers",
    );
    check.all_above_zero(&format!("{name}.target_stds"), &coder.target_stds);
}

pub(super) fn proposals(name: &str, proposals: &Proposals, check: &mut Check) {
    let key = |key: &str| format!("{name}.{key}");
    check.positive(&key("nms_pre"), proposals.nms_pre);
    check.positive(&key("max_per_img"), proposals.max_per_img);
    check.within(&key("iou_threshold"), proposals.iou_threshold, 0.0, 1.0);
    check.not_negative(&key("min_bbox_size"), proposals.min_bbox_size);
}
