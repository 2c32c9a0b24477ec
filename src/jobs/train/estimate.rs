//! How much memory a training will take, from the configuration alone.

use crate::config::Config;
use crate::weights::parameters;

/// Tensors of the size of the weights: themselves, gradients, momentum.
const COPIES: f64 = 3.0;
/// Values held for each value of an activation: itself, its gradient on the way back, what a layer needs meanwhile, blocks that
/// are larger than asked for. R-50 on one image of 512×512, every stage trained, took 3,140 MiB (`benches/RESULTS.md`).
const HELD: f64 = 3.2;
/// Decoder, images ahead, the program itself.
const BASE_MIB: f64 = 200.0;

/// MiB of a training process, about.
pub(super) fn memory_mib(config: &Config) -> f64 {
    let weights: usize = parameters(config)
        .iter()
        .map(|p| p.shape.iter().product::<usize>())
        .sum();
    let images = config.batch_size as f64;
    let largest = config.scale_range[1];
    let pixels = (config.img_width * config.img_height) as f64 * largest * largest;
    let values = images * (pixels * per_pixel(config) + of_rois(config));
    let bytes = 4.0 * (COPIES * weights as f64 + HELD * values);
    BASE_MIB + bytes / f64::from(1 << 20)
}

/// Activations of backbone, pyramid and RPN per pixel of the input; frozen stages keep none.
fn per_pixel(config: &Config) -> f64 {
    let base = config.backbone.base_channels as f64;
    let mut sum = if config.backbone.frozen_stages < 0 {
        base / 4.0 * 2.0
    } else {
        0.0
    };
    for (stage, blocks) in config.backbone.depth.blocks().into_iter().enumerate() {
        if (stage as i64) < config.backbone.frozen_stages {
            continue;
        }
        let area = f64::from(1u32 << (2 * (stage + 2)));
        let width = base * f64::from(1u32 << stage);
        // A norm on batch statistics keeps its input beside its output.
        let layers = if config.backbone.norm_eval { 1.0 } else { 2.0 };
        sum += layers * (blocks as f64 * 6.0 + 4.0) * width / area;
    }
    let levels: f64 = config
        .rpn
        .anchor_generator
        .strides
        .iter()
        .map(|&s| 1.0 / (s * s) as f64)
        .sum();
    sum + levels * (3 * config.neck.fpn.out_channels + config.rpn.feat_channels) as f64
}

/// Activations of the heads for one image.
fn of_rois(config: &Config) -> f64 {
    let sampler = &config.train_cfg.rcnn.sampler;
    let (rois, positives) = (
        sampler.num as f64,
        sampler.num as f64 * sampler.pos_fraction,
    );
    let square = |side: usize| (side * side) as f64;
    let boxes = config.bbox_head.in_channels as f64 * square(config.bbox_head.roi_feat_size)
        + 2.0 * config.bbox_head.fc_out_channels as f64;
    let cells = square(config.mask_roi.roi_layer.out_size);
    let (mask, iou) = (&config.mask_head, &config.mask_iou_head);
    let masks = cells * (mask.in_channels + mask.num_convs * mask.conv_out_channels) as f64
        + 4.0 * cells * (mask.conv_out_channels + 4) as f64;
    let ious = cells * (iou.in_channels + iou.num_convs * iou.conv_out_channels) as f64;
    rois * boxes + positives * (masks + ious)
}
