//! Ranges and relations between keys.

use maskscope::config::Config;

fn invalid(settings: &[&str]) -> String {
    let mut config = Config::default();
    for setting in settings {
        config.set(setting).unwrap();
    }
    config.validate().unwrap_err().to_string()
}

fn warnings(settings: &[&str]) -> Vec<String> {
    let mut config = Config::default();
    for setting in settings {
        config.set(setting).unwrap();
    }
    config.validate().unwrap()
}

#[test]
fn relations_between_keys_are_checked() {
    for (settings, key) in [
        (&["backbone.base_channels=32"][..], "neck.fpn.in_channels"),
        (&["backbone.base_channels=0"], "backbone.base_channels"),
        (
            &["backbone.base_channels=18446744073709551615"],
            "backbone.base_channels",
        ),
        (&["backbone.frozen_stages=5"], "backbone.frozen_stages"),
        (&["backbone.type=vgg"], "backbone.type"),
        (&["backbone.num_stages=3"], "backbone.num_stages"),
        (&["backbone.out_indices=[0,1,2,2]"], "backbone.out_indices"),
        (&["backbone.out_indices=[1,2,3,4]"], "backbone.out_indices"),
        (&["neck.fpn.out_channels=128"], "rpn.in_channels"),
        (&["neck.fpn.num_outs=3"], "neck.fpn.num_outs"),
        (&["neck.fpn.num_outs=6"], "neck.fpn.num_outs"),
        (&["rpn.num_classes=2"], "rpn.num_classes"),
        (
            &["rpn.bbox_coder.target_stds=[1,1,0,1]"],
            "rpn.bbox_coder.target_stds",
        ),
        (
            &["rpn.anchor_generator.strides=[4,8,16,32,48]"],
            "rpn.anchor_generator.strides",
        ),
        (
            &["rpn.anchor_generator.strides=[8,16,32,64,128]"],
            "rpn.anchor_generator.strides",
        ),
        (
            &["rpn.anchor_generator.ratios=[]"],
            "rpn.anchor_generator.ratios",
        ),
        (
            &["rpn.anchor_generator.scales=[-1]"],
            "rpn.anchor_generator.scales",
        ),
        (&["bbox_head.roi_feat_size=14"], "bbox_head.roi_feat_size"),
        (
            &["mask_iou_head.roi_feat_size=7"],
            "mask_iou_head.roi_feat_size",
        ),
        (&["roi.featmap_strides=[4,8,16]"], "roi.featmap_strides"),
        (&["roi.roi_layer.type=RoIPool"], "roi.roi_layer.type"),
        (
            &["mask_roi.roi_layer.out_size=15"],
            "mask_iou_head.roi_feat_size",
        ),
        (
            &["train_cfg.rpn.assigner.neg_iou_thr=0.8"],
            "train_cfg.rpn.assigner.neg_iou_thr",
        ),
        (&["train_cfg.rcnn.mask_size=14"], "train_cfg.rcnn.mask_size"),
        (
            &["train_cfg.rcnn.mask_thr_binary=1"],
            "train_cfg.rcnn.mask_thr_binary",
        ),
        (&["test_cfg.rcnn.score_thr=1.5"], "test_cfg.rcnn.score_thr"),
        (&["test_cfg.rpn.nms_pre=0"], "test_cfg.rpn.nms_pre"),
        (
            &["mask_head.loss_mask.loss_weight=-1"],
            "mask_head.loss_mask.loss_weight",
        ),
        (&["min_lr=0.1"], "min_lr"),
        (&["lr=-1"], "lr"),
        (&["momentum=1"], "momentum"),
        (&["weight_decay=-1"], "weight_decay"),
        (&["warmup_ratio=0"], "warmup_ratio"),
        (&["lr_steps=[8,8]"], "lr_steps"),
        (&["grad_clip=-1"], "grad_clip"),
        (&["num_gts=0"], "num_gts"),
        (&["accumulate_step=0"], "accumulate_step"),
        (&["loss_scale=0"], "loss_scale"),
        (&["epoch_size=0"], "epoch_size"),
        (&["eval_every=0"], "eval_every"),
        (&["rank_id=1"], "rank_id"),
        (&["num_parallel_workers=0"], "num_parallel_workers"),
        (&["num_classes=80"], "num_classes"),
        (&["coco_classes=[a, b]", "num_classes=2"], "coco_classes"),
        (
            &["coco_classes=[background, b, b]", "num_classes=3"],
            "coco_classes",
        ),
        (
            &["coco_classes=[background]", "num_classes=1"],
            "num_classes",
        ),
        (&["img_width=32"], "img_width"),
        (&["img_height=10000000"], "img_height"),
        (&["mask_divider=0.5"], "mask_divider"),
        (&["divider=48"], "divider"),
        (&["divider=0"], "divider"),
        (&["img_std=[1,0,1]"], "img_std"),
        (&["flip_ratio=1.1"], "flip_ratio"),
        (&["scale_range=[1.2, 0.8]"], "scale_range"),
        (&["scale_range=[0, 1]"], "scale_range"),
        (&["save_every=0"], "save_every"),
        (
            &["keep_best_checkpoints_max=0"],
            "keep_best_checkpoints_max",
        ),
        (&["brief=a/b"], "brief"),
        (&["detector=faster_rcnn"], "detector"),
        (&["device_target=TPU"], "device_target"),
        (&["mode=eager"], "mode"),
    ] {
        let message = invalid(settings);
        assert!(
            message.contains(&format!("`{key}` is ")),
            "{settings:?}: {message}"
        );
        assert!(message.contains("expected "), "{message}");
    }
    let message = invalid(&["lr=-1", "batch_size=0", "num_classes=7"]);
    for key in [
        "`lr` is -1",
        "`batch_size` is 0",
        "`num_classes` is 7, expected 81",
    ] {
        assert!(message.contains(key), "{message}");
    }
}

#[test]
fn what_works_but_perhaps_not_as_meant_is_a_warning() {
    for (settings, part) in [
        (
            &["roi.sample_num=512"][..],
            "roi.sample_num is 512, but train_cfg.rcnn.sampler gives 640",
        ),
        (
            &["train_cfg.rcnn.sampler.num=256"],
            "mask_roi.sample_num is 128, but train_cfg.rcnn.sampler gives 64",
        ),
        (
            &["img_width=1000"],
            "img_width is 1000: the padded canvas is rounded up to 1024",
        ),
        (&["dialect=mmdet"], "published AP are for 1333x800"),
        (&["datasink=1"], "datasink is accepted, but has no effect"),
        (&["train_dataset_num=10"], "act only where both are set"),
    ] {
        let warnings = warnings(settings);
        assert!(
            warnings.iter().any(|warning| warning.contains(part)),
            "{warnings:?}"
        );
    }
    assert_eq!(
        warnings(&["dialect=mmdet", "img_width=800", "img_height=1333"]),
        Vec::<String>::new()
    );
}

#[test]
fn starting_weights_must_exist_for_training_only() {
    let mut config = Config::default();
    config.set("pre_trained=/nowhere/weights.pth").unwrap();
    assert!(config.validate().is_ok());
    let message = config.validate_starting_weights().unwrap_err().to_string();
    assert!(
        message.contains("`pre_trained` is /nowhere/weights.pth"),
        "{message}"
    );
    let warnings = Config::default().validate_starting_weights().unwrap();
    assert!(
        warnings[0].contains("Backbone weights were not loaded"),
        "{warnings:?}"
    );
}
