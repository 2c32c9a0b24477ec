//! The files in assets/configs.

use maskscope::config::{Config, Depth, DialectChoice, PRESETS, key_paths, preset};

#[test]
fn the_shipped_default_is_the_default_and_gives_every_key_of_the_original() {
    let (_, text) = PRESETS[0];
    let (config, notes) = Config::from_yaml(text, "default_config.yaml").unwrap();
    assert_eq!(config, Config::default());
    assert_eq!(notes, Vec::<String>::new());
    assert_eq!(config.validate().unwrap(), Vec::<String>::new());
    // Every key but ours: taken away line by line, the rest still reads; present in the file by its last name.
    for path in key_paths() {
        let name = path.rsplit('.').next().unwrap();
        let ours = ["dialect", "seed", "precision"].contains(&name);
        assert_eq!(text.contains(&format!("{name}:")), !ours, "{path}");
    }
}

#[test]
fn presets_differ_from_the_default_only_as_specified() {
    let r50 = preset("ms_rcnn_r50_caffe_fpn_1x_coco").unwrap();
    assert_eq!(r50, Config::default());

    let r101 = preset("ms_rcnn_r101_caffe_fpn_1x_coco.yaml").unwrap();
    let mut expected = Config::default();
    expected.backbone.depth = Depth::R101;
    expected.backbone.pretrained = "/data/backbones/resnet101.ckpt".into();
    expected.brief = r101.brief.clone();
    assert_ne!(expected.brief, Config::default().brief);
    assert_eq!(r101, expected);

    for (name, base) in [
        ("mmdet_ms_rcnn_r50_caffe_fpn_1x_coco", r50),
        ("mmdet_ms_rcnn_r101_caffe_fpn_1x_coco", r101),
    ] {
        let mmdet = preset(name).unwrap();
        let expected = Config {
            brief: mmdet.brief.clone(),
            img_width: 1333,
            img_height: 800,
            divider: 32,
            dialect: DialectChoice::Mmdet,
            ..base
        };
        assert_eq!(mmdet, expected);
    }
    for (name, _) in PRESETS {
        assert_eq!(
            preset(name).unwrap().validate().unwrap(),
            Vec::<String>::new(),
            "{name}"
        );
    }
    assert!(
        preset("tinny")
            .unwrap_err()
            .to_string()
            .contains("nearest is `tiny`")
    );
}

#[test]
fn tiny_is_the_network_of_the_synthetic_set() {
    let tiny = preset("tiny").unwrap();
    assert_eq!(tiny.backbone.depth, Depth::Tiny);
    assert_eq!(
        (tiny.backbone.base_channels, tiny.backbone.frozen_stages),
        (16, -1)
    );
    assert!(!tiny.backbone.norm_eval);
    assert_eq!((tiny.img_width, tiny.img_height), (256, 256));
    assert_eq!(tiny.rpn.anchor_generator.scales, [4.0]);
    let sampler = &tiny.train_cfg.rcnn.sampler;
    assert_eq!((sampler.num, sampler.pos_fraction), (64, 0.25));
    assert_eq!(
        (tiny.test_cfg.rpn.nms_pre, tiny.test_cfg.rpn.max_per_img),
        (600, 300)
    );
    assert_eq!(
        tiny.coco_classes,
        ["background", "circle", "triangle", "square", "star", "ring"]
    );
}

#[test]
fn the_embedded_files_are_the_ones_on_disk() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/configs");
    let mut on_disk: Vec<_> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| {
            entry
                .unwrap()
                .path()
                .file_stem()
                .unwrap()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    on_disk.sort();
    let mut embedded: Vec<_> = PRESETS.map(|(name, _)| name.to_owned()).into();
    embedded.sort();
    assert_eq!(on_disk, embedded);
    for (name, _) in PRESETS {
        let (config, _) = Config::load(&folder.join(name).with_extension("yaml")).unwrap();
        assert_eq!(config, preset(name).unwrap());
    }
}
