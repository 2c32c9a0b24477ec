//! Whatever is valid is written and read back equal.

use maskscope::config::{Config, Depth, DialectChoice, LrType, OptType, Precision, Style};
use proptest::prelude::*;

/// Configurations that pass `validate`, with every kind of value varied.
fn valid_config() -> impl Strategy<Value = Config> {
    let network = (
        1_usize..40,
        1_usize..300,
        1_usize..20,
        any::<bool>(),
        0_usize..4,
        -1_i64..5,
    );
    let numbers = (
        0.0_f64..1.0,
        1e-12_f64..1e3,
        0.0_f64..0.999,
        0.001_f64..1.0,
        -200.0_f64..200.0,
        1e-6_f64..1e6,
    );
    let texts = ("[^/\\\\\\p{Cc}]{0,12}", any::<String>(), any::<String>());
    let classes = proptest::collection::btree_set(
        "\\PC{0,6}[a-z ]{0,5}['\"#:\u{85}\u{2028}\n]?[a-z0-9]",
        1..12,
    );
    let choices = (0_usize..3, 0_usize..2, 0_usize..5, any::<u64>());
    let steps = proptest::collection::btree_set(0_usize..1000, 0..30);
    (network, numbers, texts, classes, choices, steps).prop_map(
        |(network, numbers, texts, classes, choices, steps)| {
            let mut c = Config::default();
            let (base, width, half, flag, first, frozen) = network;
            c.backbone.base_channels = base;
            c.backbone.out_indices = (first..4).collect();
            c.backbone.frozen_stages = frozen;
            c.backbone.style = if flag { Style::Caffe } else { Style::Pytorch };
            c.neck.fpn.in_channels = (first..4).map(|stage| (base * 4) << stage).collect();
            c.neck.fpn.num_outs = 5;
            c.rpn.anchor_generator.strides = (0..5).map(|level| 4 << (first + level)).collect();
            for strides in [&mut c.roi.featmap_strides, &mut c.mask_roi.featmap_strides] {
                *strides = (first..4).map(|stage| 4 << stage).collect();
            }
            for channels in [
                &mut c.neck.fpn.out_channels,
                &mut c.rpn.in_channels,
                &mut c.roi.out_channels,
                &mut c.mask_roi.out_channels,
                &mut c.bbox_head.in_channels,
                &mut c.mask_head.in_channels,
                &mut c.mask_iou_head.in_channels,
            ] {
                *channels = width;
            }
            c.mask_roi.roi_layer.out_size = 2 * half;
            c.mask_iou_head.roi_feat_size = 2 * half;
            c.train_cfg.rcnn.mask_size = 4 * half;
            let (unit, positive, momentum, ratio, mean, std) = numbers;
            c.lr = positive;
            c.min_lr = positive * unit;
            c.momentum = momentum;
            c.warmup_ratio = ratio;
            c.flip_ratio = unit;
            c.scale_range = [1.0 - unit * 0.5, 1.0 + unit];
            c.img_mean = [mean, -mean, 0.0];
            c.img_std = [std, positive, 1.0];
            c.test_cfg.rcnn.score_thr = unit;
            c.train_cfg.rpn.assigner.pos_iou_thr = 1.0 - unit * 0.5;
            c.train_cfg.rpn.assigner.neg_iou_thr = 0.5 - unit * 0.5;
            (c.brief, c.pre_trained, c.train_dataset) = texts;
            c.coco_classes = std::iter::once("background".to_owned())
                .chain(classes)
                .collect();
            c.num_classes = c.coco_classes.len();
            let (dialect, kind, precision, seed) = choices;
            c.dialect = [
                DialectChoice::Auto,
                DialectChoice::Mindspore,
                DialectChoice::Mmdet,
            ][dialect];
            c.opt_type = [OptType::Sgd, OptType::Adam][kind];
            c.lr_type = [LrType::Multistep, LrType::Dynamic][kind];
            c.precision = [
                Precision::Auto,
                Precision::F32,
                Precision::Tf32,
                Precision::F16,
                Precision::Bf16,
            ][precision];
            c.backbone.depth = [Depth::R50, Depth::R101, Depth::R152, Depth::Tiny][precision % 4];
            c.seed = seed;
            c.lr_steps = steps.into_iter().collect();
            (c.to_rgb, c.finetune, c.bbox_head.reg_class_agnostic) = (flag, !flag, flag);
            c
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn written_configurations_read_back_equal(config in valid_config()) {
        prop_assert!(config.validate().is_ok(), "{}", config.validate().unwrap_err());
        let text = config.to_yaml();
        let (again, notes) = Config::from_yaml(&text, "written")
            .map_err(|error| TestCaseError::fail(format!("{error}\n{text}")))?;
        prop_assert_eq!(&again, &config);
        prop_assert!(notes.is_empty());
        prop_assert_eq!(again.to_yaml(), text);
    }

    #[test]
    fn any_text_reads_or_errs(text in any::<String>(), value in "[\\PC\n]{0,60}") {
        let _ = Config::from_yaml(&text, "any");
        let _ = Config::from_yaml(&format!("backbone:\n  {value}\nlr: {text}"), "any");
        let _ = Config::default().set(&format!("brief={text}"));
    }
}
