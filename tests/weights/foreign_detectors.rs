//! Detectors of torchvision, detectron2 and the paper's own code.

use maskscope::config::{Dialect, Style};
use maskscope::weights::IouHead;
use maskscope::weights::formula::formula_weights;

use super::build::{Named, checkpoint_zip};
use super::foreign::{assert_values, loaded, named, narrow, replaced, with_rows, without_iou_head};

/// canonical -> torchvision.
fn torchvision_name(name: &str) -> String {
    let name = replaced(
        name,
        &[
            ("neck.lateral_convs.", "backbone.fpn.inner_blocks."),
            ("neck.fpn_convs.", "backbone.fpn.layer_blocks."),
            ("rpn_head.rpn_conv.", "rpn.head.conv."),
            ("rpn_head.rpn_cls.", "rpn.head.cls_logits."),
            ("rpn_head.rpn_reg.", "rpn.head.bbox_pred."),
            ("roi_head.bbox_head.shared_fcs.0", "roi_heads.box_head.fc6"),
            ("roi_head.bbox_head.shared_fcs.1", "roi_heads.box_head.fc7"),
            (
                "roi_head.bbox_head.fc_cls",
                "roi_heads.box_predictor.cls_score",
            ),
            (
                "roi_head.bbox_head.fc_reg",
                "roi_heads.box_predictor.bbox_pred",
            ),
            (
                "roi_head.mask_head.upsample",
                "roi_heads.mask_predictor.conv5_mask",
            ),
            (
                "roi_head.mask_head.conv_logits",
                "roi_heads.mask_predictor.mask_fcn_logits",
            ),
        ],
    );
    if let Some(rest) = name.strip_prefix("roi_head.mask_head.convs.") {
        let (index, leaf) = rest.split_once(".conv.").unwrap();
        let number = index.parse::<usize>().unwrap() + 1;
        return format!("roi_heads.mask_head.mask_fcn{number}.{leaf}");
    }
    match name.strip_prefix("backbone.") {
        Some(rest) if !rest.starts_with("fpn.") => format!("backbone.body.{rest}"),
        _ => name
            .replace(".conv.weight", ".weight")
            .replace(".conv.bias", ".bias"),
    }
    .replace("rpn.head.weight", "rpn.head.conv.weight")
    .replace("rpn.head.bias", "rpn.head.conv.bias")
}

/// Class rows behind a background row; `ids` is the row of each class, `rows` their number with gaps.
fn background_first(tensor: &Named, ids: &[usize], rows: usize) -> Named {
    let name = &tensor.0;
    let width = if name.contains("fc_reg") { 4 } else { 1 };
    let mut places = vec![None; rows * width];
    for (class, id) in ids.iter().enumerate() {
        for part in 0..width {
            places[id * width + part] = Some(class * width + part);
        }
    }
    if name.contains("fc_cls") {
        places[0] = Some(ids.len());
    }
    with_rows(tensor, &places)
}

fn is_class_layer(name: &str) -> bool {
    ["fc_cls", "fc_reg", "conv_logits", "fc_mask_iou"]
        .iter()
        .any(|layer| name.contains(layer))
}

#[test]
fn torchvision_detectors() {
    // COCO's category ids: the one list that nobody can derive.
    let gaps = [12, 26, 29, 30, 45, 66, 68, 69, 71, 83];
    let coco: Vec<usize> = (1..=90).filter(|id| !gaps.contains(id)).collect();
    for (classes, ids, rows) in [(80, coco, 91), (3, vec![1, 2, 3], 4)] {
        let config = narrow(classes);
        let expect = without_iou_head(named(&formula_weights(&config)));
        let file: Vec<Named> = expect
            .iter()
            .map(|tensor| {
                let tensor = match is_class_layer(&tensor.0) {
                    true => background_first(tensor, &ids, rows),
                    false => tensor.clone(),
                };
                (torchvision_name(&tensor.0), tensor.1, tensor.2)
            })
            .collect();
        let checkpoint = loaded("tv.pth", &checkpoint_zip(&file, b"N"), None);
        assert_eq!(checkpoint.iou_head, IouHead::Untrained);
        assert_eq!(checkpoint.dialect, Dialect::Mmdet);
        assert!(checkpoint.config.to_rgb);
        assert_eq!(checkpoint.config.img_mean, [123.675, 116.28, 103.53]);
        assert_eq!(checkpoint.config.backbone.style, Style::Pytorch);
        if rows != 91 {
            assert_values(&checkpoint.weights, &expect);
            continue;
        }
        // The COCO file was trained without ε: γ grows by √((σ² + ε)/σ²), everything else stays.
        assert_eq!(checkpoint.classes.names[79], "toothbrush");
        for (name, shape, values) in &expect {
            let got = checkpoint.weights.values(name, shape).unwrap();
            let norm = name.contains(".bn") || name.contains("downsample.1");
            if !(norm && name.ends_with(".weight")) {
                assert_eq!(&got, values, "{name}");
                continue;
            }
            let variance = name.replace(".weight", ".running_var");
            let variance = &expect.iter().find(|(n, ..)| *n == variance).unwrap().2;
            for ((got, gamma), v) in got.iter().zip(values).zip(variance) {
                let v = f64::from(*v);
                let want = f64::from(*gamma) * (v + 1e-5).sqrt() / v.sqrt();
                assert!((f64::from(*got) - want).abs() < 1e-6 * want.abs(), "{name}");
                assert!(got.abs() >= gamma.abs(), "{name}");
            }
        }
    }
}

fn detectron2_name(name: &str) -> String {
    let numbered = |name: &str, from: &str, into: &str, add: usize, drop: &str| {
        let rest = name.strip_prefix(from)?;
        let (index, leaf) = rest.split_once('.')?;
        let leaf = leaf.strip_prefix(drop).unwrap_or(leaf);
        Some(format!(
            "{into}{}.{leaf}",
            index.parse::<usize>().ok()? + add
        ))
    };
    if let Some(name) = numbered(
        name,
        "neck.lateral_convs.",
        "backbone.fpn_lateral",
        2,
        "conv.",
    )
    .or_else(|| numbered(name, "neck.fpn_convs.", "backbone.fpn_output", 2, "conv."))
    .or_else(|| {
        numbered(
            name,
            "roi_head.mask_head.convs.",
            "roi_heads.mask_head.mask_fcn",
            1,
            "conv.",
        )
    }) {
        return name;
    }
    if let Some(rest) = name.strip_prefix("backbone.layer") {
        let (stage, rest) = rest.split_once('.').unwrap();
        let stage: usize = stage.parse().unwrap();
        let rest = replaced(
            rest,
            &[
                ("downsample.0", "shortcut"),
                ("downsample.1", "shortcut.norm"),
                ("bn1", "conv1.norm"),
                ("bn2", "conv2.norm"),
                ("bn3", "conv3.norm"),
            ],
        );
        return format!("backbone.bottom_up.res{}.{rest}", stage + 1);
    }
    replaced(
        name,
        &[
            ("backbone.conv1", "backbone.bottom_up.stem.conv1"),
            ("backbone.bn1", "backbone.bottom_up.stem.conv1.norm"),
            ("rpn_head.rpn_conv", "proposal_generator.rpn_head.conv"),
            (
                "rpn_head.rpn_cls",
                "proposal_generator.rpn_head.objectness_logits",
            ),
            (
                "rpn_head.rpn_reg",
                "proposal_generator.rpn_head.anchor_deltas",
            ),
            ("roi_head.bbox_head.shared_fcs.0", "roi_heads.box_head.fc1"),
            ("roi_head.bbox_head.shared_fcs.1", "roi_heads.box_head.fc2"),
            (
                "roi_head.bbox_head.fc_cls",
                "roi_heads.box_predictor.cls_score",
            ),
            (
                "roi_head.bbox_head.fc_reg",
                "roi_heads.box_predictor.bbox_pred",
            ),
            ("roi_head.mask_head.upsample", "roi_heads.mask_head.deconv"),
            (
                "roi_head.mask_head.conv_logits",
                "roi_heads.mask_head.predictor",
            ),
        ],
    )
}

#[test]
fn detectron2_detectors() {
    let expect = without_iou_head(named(&formula_weights(&narrow(3))));
    let mut file: Vec<Named> = expect
        .iter()
        .map(|(name, shape, values)| (detectron2_name(name), shape.clone(), values.clone()))
        .collect();
    file.push(("pixel_mean".into(), vec![3, 1, 1], vec![0.0; 3]));
    file.push((
        "proposal_generator.anchor_generator.cell_anchors.0".into(),
        vec![3, 4],
        vec![0.0; 12],
    ));
    let checkpoint = loaded("d2.pth", &checkpoint_zip(&file, b"N"), None);
    assert_values(&checkpoint.weights, &expect);
    assert_eq!(checkpoint.iou_head, IouHead::Untrained);
    assert_eq!(checkpoint.config.backbone.style, Style::Caffe);
    assert_eq!(
        (checkpoint.config.img_width, checkpoint.config.img_height),
        (1333, 800)
    );
}

fn benchmark_name(name: &str) -> String {
    let numbered = |from: &str, into: &str| {
        let rest = name.strip_prefix(from)?;
        let (index, leaf) = rest.split_once('.')?;
        let leaf = leaf.strip_prefix("conv.").unwrap_or(leaf);
        Some(format!("{into}{}.{leaf}", index.parse::<usize>().ok()? + 1))
    };
    if let Some(name) = [
        ("neck.lateral_convs.", "backbone.fpn.fpn_inner"),
        ("neck.fpn_convs.", "backbone.fpn.fpn_layer"),
        (
            "roi_head.mask_head.convs.",
            "roi_heads.mask.feature_extractor.mask_fcn",
        ),
        (
            "roi_head.mask_iou_head.convs.",
            "roi_heads.maskiou.feature_extractor.maskiou_fcn",
        ),
        (
            "roi_head.mask_iou_head.fcs.",
            "roi_heads.maskiou.feature_extractor.maskiou_fc",
        ),
    ]
    .iter()
    .find_map(|(from, into)| numbered(from, into))
    {
        return name;
    }
    replaced(
        name,
        &[
            ("backbone.conv1", "backbone.body.stem.conv1"),
            ("backbone.bn1", "backbone.body.stem.bn1"),
            ("backbone.layer", "backbone.body.layer"),
            ("rpn_head.rpn_conv", "rpn.head.conv"),
            ("rpn_head.rpn_cls", "rpn.head.cls_logits"),
            ("rpn_head.rpn_reg", "rpn.head.bbox_pred"),
            (
                "roi_head.bbox_head.shared_fcs.0",
                "roi_heads.box.feature_extractor.fc6",
            ),
            (
                "roi_head.bbox_head.shared_fcs.1",
                "roi_heads.box.feature_extractor.fc7",
            ),
            (
                "roi_head.bbox_head.fc_cls",
                "roi_heads.box.predictor.cls_score",
            ),
            (
                "roi_head.bbox_head.fc_reg",
                "roi_heads.box.predictor.bbox_pred",
            ),
            (
                "roi_head.mask_head.upsample",
                "roi_heads.mask.predictor.conv5_mask",
            ),
            (
                "roi_head.mask_head.conv_logits",
                "roi_heads.mask.predictor.mask_fcn_logits",
            ),
            (
                "roi_head.mask_iou_head.fc_mask_iou",
                "roi_heads.maskiou.predictor.maskiou",
            ),
        ],
    )
}

#[test]
fn the_papers_own_checkpoints() {
    let expect = named(&formula_weights(&narrow(3)));
    let file: Vec<Named> = expect
        .iter()
        .map(|tensor| {
            let tensor = match is_class_layer(&tensor.0) {
                true => background_first(tensor, &[1, 2, 3], 4),
                false => tensor.clone(),
            };
            (
                format!("module.{}", benchmark_name(&tensor.0)),
                tensor.1,
                tensor.2,
            )
        })
        .collect();
    let checkpoint = loaded("paper.pth", &checkpoint_zip(&file, b"N"), None);
    assert_values(&checkpoint.weights, &expect);
    assert_eq!(checkpoint.iou_head, IouHead::Trained);
    assert!(checkpoint.notes.iter().any(|n| n.contains("+1")));
}
