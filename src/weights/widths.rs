//! Sizes of a model read off the shapes of its tensors, where no configuration says them.

use std::collections::BTreeMap;

use crate::config::{Config, Depth};

use super::rows::ClassLayers;

/// Shapes under canonical names and row order.
pub(super) type Shapes = BTreeMap<String, Vec<usize>>;

/// Wider layers would overflow sizes, and no model has them.
const LARGEST: usize = 1 << 16;

/// Puts what the shapes tell into `config`.
///
/// # Errors
/// What does not fit any model.
pub(super) fn read_off(
    config: &mut Config,
    shapes: &Shapes,
    classes: ClassLayers,
) -> Result<(), String> {
    let shapes = Reader(shapes);
    backbone(config, &shapes)?;
    config.neck.fpn.out_channels = shapes.size("neck.lateral_convs.0.conv.weight", 0)?;
    config.rpn.in_channels = shapes.size("rpn_head.rpn_conv.weight", 1)?;
    config.rpn.feat_channels = shapes.size("rpn_head.rpn_conv.weight", 0)?;
    config.roi.out_channels = config.neck.fpn.out_channels;
    config.mask_roi.out_channels = config.neck.fpn.out_channels;
    box_head(config, &shapes, classes.classes())?;
    mask_head(config, &shapes)?;
    if shapes.has("roi_head.mask_iou_head.convs.0.weight") {
        mask_iou_head(config, &shapes)?;
    } else {
        let mask = &config.mask_head;
        config.mask_iou_head.in_channels = mask.in_channels;
    }
    config.num_classes = classes.classes() + 1;
    Ok(())
}

/// The backbone's share of it.
pub(super) fn backbone_only(config: &mut Config, shapes: &Shapes) -> Result<(), String> {
    backbone(config, &Reader(shapes))
}

fn backbone(config: &mut Config, shapes: &Reader<'_>) -> Result<(), String> {
    let base = shapes.size("backbone.conv1.weight", 0)?;
    config.backbone.base_channels = base;
    config.neck.fpn.in_channels = (0..4).map(|stage| (base * 4) << stage).collect();
    let blocks: Vec<usize> = (1..=4)
        .map(|stage| shapes.count(&format!("backbone.layer{stage}."), ".conv1.weight"))
        .collect();
    // The third stage alone tells; the others are compared tensor by tensor.
    config.backbone.depth = match *blocks {
        [_, _, 6, _] => Depth::R50,
        [_, _, 23, _] => Depth::R101,
        [_, _, 36, _] => Depth::R152,
        [_, _, 1, _] => Depth::Tiny,
        _ => {
            return Err(format!(
                "the stages of the backbone have {blocks:?} blocks, known are 3,4,6,3 (ResNet-50), 3,4,23,3 (101), 3,8,36,3 (152) and 1,1,1,1 (tiny)"
            ));
        }
    };
    Ok(())
}

fn box_head(config: &mut Config, shapes: &Reader<'_>, classes: usize) -> Result<(), String> {
    let fc = "roi_head.bbox_head.shared_fcs.0.weight";
    let head = &mut config.bbox_head;
    head.in_channels = config.neck.fpn.out_channels;
    head.fc_out_channels = shapes.size(fc, 0)?;
    head.roi_feat_size = shapes.side(fc, head.in_channels)?;
    head.reg_class_agnostic =
        classes != 1 && shapes.size("roi_head.bbox_head.fc_reg.weight", 0)? == 4;
    config.roi.roi_layer.out_size = head.roi_feat_size;
    Ok(())
}

fn mask_head(config: &mut Config, shapes: &Reader<'_>) -> Result<(), String> {
    let head = &mut config.mask_head;
    head.num_convs = shapes.count("roi_head.mask_head.convs.", ".conv.weight");
    head.in_channels = shapes.size("roi_head.mask_head.convs.0.conv.weight", 1)?;
    head.conv_out_channels = shapes.size("roi_head.mask_head.convs.0.conv.weight", 0)?;
    Ok(())
}

fn mask_iou_head(config: &mut Config, shapes: &Reader<'_>) -> Result<(), String> {
    let head = &mut config.mask_iou_head;
    let (conv, fc) = (
        "roi_head.mask_iou_head.convs.0.weight",
        "roi_head.mask_iou_head.fcs.0.weight",
    );
    head.num_convs = shapes.count("roi_head.mask_iou_head.convs.", ".weight");
    head.num_fcs = shapes.count("roi_head.mask_iou_head.fcs.", ".weight");
    head.in_channels = shapes.size(conv, 1)?.saturating_sub(1);
    head.conv_out_channels = shapes.size(conv, 0)?;
    head.fc_out_channels = shapes.size(fc, 0)?;
    // The last convolution halves the side.
    head.roi_feat_size = 2 * shapes.side(fc, head.conv_out_channels)?;
    config.mask_roi.roi_layer.out_size = head.roi_feat_size;
    config.train_cfg.rcnn.mask_size = 2 * head.roi_feat_size;
    Ok(())
}

struct Reader<'a>(&'a Shapes);

impl Reader<'_> {
    fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// One size of a tensor.
    fn size(&self, name: &str, axis: usize) -> Result<usize, String> {
        let shape = self
            .0
            .get(name)
            .ok_or_else(|| format!("{name} is missing"))?;
        match shape.get(axis) {
            Some(&size) if (1..=LARGEST).contains(&size) => Ok(size),
            _ => Err(format!("{name} has the shape {shape:?}")),
        }
    }

    /// Side of the square map that a fully connected layer flattens.
    fn side(&self, name: &str, channels: usize) -> Result<usize, String> {
        let shape = self
            .0
            .get(name)
            .ok_or_else(|| format!("{name} is missing"))?;
        let inputs = shape.get(1).copied().unwrap_or(0);
        let side = (inputs / channels.max(1)).isqrt();
        if side > 0 && side.checked_mul(side).and_then(|n| n.checked_mul(channels)) == Some(inputs)
        {
            Ok(side)
        } else {
            Err(format!(
                "{name} has the shape {shape:?}, which is no square map of {channels} channels"
            ))
        }
    }

    /// One more than the largest number between `before` and `after`.
    fn count(&self, before: &str, after: &str) -> usize {
        self.0
            .keys()
            .filter_map(|name| name.strip_prefix(before)?.strip_suffix(after)?.parse().ok())
            .max()
            .map_or(0, |last: usize| last.saturating_add(1))
    }
}
