//! The configuration: shipped files, errors with lines and nearest names, settings, round trips, hostile input.

use std::time::{Duration, Instant};

use maskscope::config::{
    COCO_CLASSES, Config, ConfigError, Depth, Dialect, DialectChoice, LrType, OptType, PRESETS,
    Precision, Style, key_paths, preset,
};
use proptest::prelude::*;

fn read(text: &str) -> Config {
    Config::from_yaml(text, "test.yaml").unwrap().0
}

/// The whole message of the error that `text` gives.
fn error(text: &str) -> String {
    let error = Config::from_yaml(text, "test.yaml")
        .map(|_| ())
        .unwrap_err();
    error.to_string()
}

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
    assert_eq!((sampler.num, sampler.pos_fraction), (128, 0.5));
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

#[test]
fn unknown_keys_name_the_line_and_the_nearest_key() {
    for (text, line, nearest) in [
        ("lr: 0.1\nlearning_rate: 0.1\n", 2, "`"),
        ("lrr: 0.1", 1, "`lr`"),
        (
            "# a comment\n\nbackbone:\n  dept: 101\n",
            4,
            "`backbone.depth`",
        ),
        (
            "rpn:\n  anchor_generator:\n    stride: [4]",
            3,
            "`rpn.anchor_generator.strides`",
        ),
        ("depth: 101", 1, "`backbone.depth`"),
        (
            "test_cfg:\n  score_thr: 0.1",
            2,
            "`test_cfg.rcnn.score_thr`",
        ),
        ("img_widht: 800", 1, "`img_width`"),
        ("back_bone: {}", 1, "`backbone`"),
    ] {
        let message = error(text);
        assert!(
            message.starts_with(&format!("line {line}: unknown key")),
            "{message}"
        );
        assert!(
            message.contains(&format!("nearest known key is {nearest}")),
            "{message}"
        );
        assert!(message.ends_with("(in test.yaml)"), "{message}");
    }
}

#[test]
fn duplicate_keys_name_both_lines() {
    let message = error("lr: 0.1\nbackbone:\n  depth: 50\n  style: caffe\n  depth: 101\nlr: 0.2\n");
    assert!(
        message.contains("line 5: `backbone.depth` is given twice, first in line 3"),
        "{message}"
    );
    assert!(
        message.contains("line 6: `lr` is given twice, first in line 1"),
        "{message}"
    );
}

#[test]
fn wrong_types_name_line_got_and_expected() {
    for (text, key, got, expected) in [
        ("batch_size: two", "batch_size", "`two`", "whole number"),
        ("batch_size: 2.0", "batch_size", "`2.0`", "whole number"),
        ("batch_size: -1", "batch_size", "`-1`", "at least 0"),
        (
            "batch_size: 99999999999999999999",
            "batch_size",
            "`99999999999999999999`",
            "whole number",
        ),
        (
            "batch_size: '2'",
            "batch_size",
            "the text \"2\"",
            "whole number",
        ),
        (
            "batch_size: [2]",
            "batch_size",
            "a list of 1",
            "whole number",
        ),
        ("batch_size:", "batch_size", "empty", "whole number"),
        ("lr: .nan", "lr", "`.nan`", "a number"),
        ("lr: inf", "lr", "`inf`", "a number"),
        ("run_eval: 2", "run_eval", "`2`", "True, False, 1 or 0"),
        ("run_eval: yes", "run_eval", "`yes`", "True, False, 1 or 0"),
        ("brief: {a: 1}", "brief", "a map of 1", "a text"),
        ("pre_trained: ~", "pre_trained", "empty", "''"),
        (
            "img_mean: [1, 2]",
            "img_mean",
            "a list of 2",
            "a list of 3 numbers",
        ),
        ("img_mean: 5", "img_mean", "`5`", "a list"),
        ("lr_steps: [1, x]", "lr_steps[1]", "`x`", "whole number"),
        ("opt_type: sgdd", "opt_type", "`sgdd`", "sgd, adam"),
        (
            "backbone: 50",
            "backbone",
            "`50`",
            "a map with the keys type, depth",
        ),
        (
            "backbone: {depth: 18}",
            "backbone.depth",
            "`18`",
            "50, 101, 152, tiny",
        ),
        ("- 1", "", "a list of 1", "a map"),
    ] {
        let message = error(&format!("# comment\n{text}"));
        assert!(
            message.starts_with(&format!("line 2: `{key}` is {got}, expected ")),
            "{message}"
        );
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn all_problems_of_a_file_come_at_once() {
    let message = error("lrr: 1\nbatch_size: x\nlr: 1\nlr: 2\n");
    assert!(message.starts_with("3 problems in test.yaml:"), "{message}");
    for part in [
        "line 1: unknown key",
        "line 2: `batch_size`",
        "line 4: `lr` is given twice",
    ] {
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn booleans_are_read_in_every_spelling() {
    for (text, expected) in [
        ("True", true),
        ("true", true),
        ("1", true),
        ("False", false),
        ("false", false),
        ("0", false),
    ] {
        assert_eq!(read(&format!("to_rgb: {text}")).to_rgb, expected);
        assert_eq!(
            read(&format!("backbone: {{norm_eval: {text}}}"))
                .backbone
                .norm_eval,
            expected
        );
    }
}

#[test]
fn keys_that_are_left_out_keep_their_defaults() {
    let config = read("lr: 0.5\nbackbone:\n  depth: 101\n");
    let mut expected = Config::default();
    expected.lr = 0.5;
    expected.backbone.depth = Depth::R101;
    assert_eq!(config, expected);
    for empty in ["", "# nothing\n", "---\n...\n", "~"] {
        let (config, notes) = Config::from_yaml(empty, "empty.yaml").unwrap();
        assert_eq!(config, Config::default());
        assert!(
            notes[0].contains("empty.yaml holds no settings"),
            "{notes:?}"
        );
    }
}

#[test]
fn later_documents_are_ignored() {
    let text = "lr: 0.5\n---\ntrain_outputs: 'Where runs go.'\nnonsense: [\n";
    assert_eq!(read(text).lr, 0.5);
    assert_eq!(
        read("%YAML 1.2\n---\nlr: 0.25\n...\n---\nlr: [1\n").lr,
        0.25
    );
}

#[test]
fn keys_of_siblings_are_ignored_with_a_note() {
    let keys = "enable_modelarts data_url train_url data_path output_path load_path checkpoint_path prediction_path \
                pred_input pred_output enable_profiling config_path expand_ratio train_data_type val_data_type";
    let text: String = keys
        .split_whitespace()
        .map(|key| format!("{key}: [whatever]\n"))
        .collect();
    let (config, notes) = Config::from_yaml(&text, "test.yaml").unwrap();
    assert_eq!(config, Config::default());
    assert_eq!(notes.len(), 15);
    assert_eq!(
        notes[1],
        "line 2: `data_url` belongs to a sibling model: accepted and ignored"
    );
    // Only at the top.
    assert!(error("backbone: {data_url: x}").contains("unknown key `backbone.data_url`"));
}

#[test]
fn set_changes_one_key_and_nothing_on_an_error() {
    let mut config = Config::default();
    for setting in [
        "lr=0.01",
        "backbone.depth=101",
        " rpn.anchor_generator.strides = [8, 16] ",
        "roi.roi_layer={out_size: 14}",
        "pre_trained=",
        "brief=a=b",
        "run_eval=False",
        "img_mean=[1, 2.5, 3]",
    ] {
        config.set(setting).unwrap();
    }
    assert_eq!(
        (config.lr, config.backbone.depth, config.run_eval),
        (0.01, Depth::R101, false)
    );
    assert_eq!(config.rpn.anchor_generator.strides, [8, 16]);
    assert_eq!(config.roi.roi_layer.out_size, 14);
    assert_eq!(
        (config.pre_trained.as_str(), config.brief.as_str()),
        ("", "a=b")
    );
    assert_eq!(config.img_mean, [1.0, 2.5, 3.0]);

    let before = config.clone();
    for (setting, part) in [
        (
            "lrr=1",
            "unknown key `lrr`; the nearest known key is `lr` (in --set lrr)",
        ),
        ("backbone.dept=1", "nearest known key is `backbone.depth`"),
        ("lr", "is no setting, expected KEY=VALUE"),
        ("=3", "is no setting"),
        ("lr=x", "`lr` is `x`, expected a number (in --set lr)"),
        ("lr.x=1", "`lr` is a map of 1, expected a number"),
        ("lr=[1", "(in --set lr)"),
        ("roi={out_channels: 64, nope: 1}", "unknown key `roi.nope`"),
        ("a.b.c.d.e.f.g.h.i.j=1", "unknown key"),
    ] {
        let message = config.set(setting).unwrap_err().to_string();
        assert!(message.contains(part), "{setting}: {message}");
        assert!(!message.starts_with("line 1: `"), "{message}");
        assert_eq!(config, before);
    }
}

#[test]
fn every_key_can_be_set_and_is_written() {
    let text = Config::default().to_yaml();
    let mut names = text
        .lines()
        .filter_map(|line| line.trim_start().split_once(':'))
        .map(|(name, _)| name);
    for path in key_paths() {
        // Written in the order of the table.
        let name = path.rsplit('.').next().unwrap();
        assert!(
            names.any(|written| written == name),
            "{path} is not written, or out of order"
        );
        let message = Config::default()
            .set(&format!("{path}={{no: no}}"))
            .unwrap_err()
            .to_string();
        assert!(
            message.contains(&format!("`{path}` is a map of 1, expected")),
            "{message}"
        );
    }
    assert_eq!(
        key_paths().len(),
        140,
        "a key was added or lost: say so in semantics.md and here"
    );
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

#[test]
fn the_dialect_follows_choice_then_checkpoint_then_mindspore() {
    use Dialect::{Mindspore, Mmdet};
    for (choice, checkpoint, expected) in [
        (DialectChoice::Auto, Some(Mmdet), Mmdet),
        (DialectChoice::Auto, Some(Mindspore), Mindspore),
        (DialectChoice::Auto, None, Mindspore),
        (DialectChoice::Mmdet, Some(Mindspore), Mmdet),
        (DialectChoice::Mindspore, Some(Mmdet), Mindspore),
    ] {
        assert_eq!(Dialect::resolve(choice, checkpoint), expected);
    }
    assert_eq!("mmdet".parse(), Ok(Mmdet));
    assert!(
        "caffe"
            .parse::<Dialect>()
            .unwrap_err()
            .to_string()
            .contains("`caffe`")
    );
}

#[test]
fn files_that_are_no_configuration_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.yaml");
    let message = |path: &std::path::Path| Config::load(path).map(|_| ()).unwrap_err().to_string();
    assert!(message(&path).contains("cannot read the configuration"));
    assert!(message(folder.path()).contains("cannot read the configuration"));
    std::fs::write(&path, b"lr: \xff\xfe").unwrap();
    assert!(message(&path).contains("is not UTF-8 text"));
    std::fs::write(&path, "#".repeat(2 << 20)).unwrap();
    assert!(message(&path).contains("more than 1048576 bytes"));
    if cfg!(target_os = "linux") {
        assert!(message("/dev/zero".as_ref()).contains("more than 1048576 bytes"));
    }
    std::fs::write(&path, "\u{feff}lr: 0.5\r\nbatch_size: 3\r\n").unwrap();
    let (config, _) = Config::load(&path).unwrap();
    assert_eq!((config.lr, config.batch_size), (0.5, 3));
}

/// Reads hostile text: an error in good time, no panic.
fn refused(text: &str) -> String {
    let start = Instant::now();
    let message = error(text);
    assert!(
        start.elapsed() < Duration::from_secs(5),
        "{:?} for {:.40}",
        start.elapsed(),
        text
    );
    assert!(
        message.len() < 100_000,
        "a message of {} bytes",
        message.len()
    );
    message
}

#[test]
fn hostile_documents_end_in_an_error() {
    let n = 200_000;
    assert!(refused(&"[".repeat(n)).contains("deeper") || cfg!(not(unix)));
    refused(&"{a: ".repeat(n / 4));
    refused(&"- ".repeat(n));
    refused(&"? ".repeat(n));
    refused(&"a:\n ".repeat(400));
    refused(
        &(0..600)
            .map(|depth| format!("{:depth$}a:\n", ""))
            .collect::<String>(),
    );
    refused(&format!("lr: {}", "9".repeat(n)).replace("lr", "batch_size"));
    refused(&format!("{}: 1", "k".repeat(n)));
    refused(&(0..n).map(|i| format!("k{i}: 1\n")).collect::<String>()[..1 << 20]);
    refused(&format!("lr_steps: [{}]", "1,".repeat(n)));
    assert!(refused("a: &a [x,x]\nb: &b [*a,*a]\nc: [*b,*b]").contains("aliases"));
    assert!(refused("lr: *x").contains("line 1"));
    assert!(refused("lr: !!python/object/apply:os.system ['true']").contains("tags"));
    refused("? [a, b]\n: 1");
    refused("lr: 'unfinished");
    refused("lr: 1\n\tbatch_size: 2");
    refused("<<: {lr: 1}");
    assert!(refused(&"a: 1\n".repeat(n / 5)).contains("there is more"));
    refused("\0");
}

/// A small generator with a fixed seed, so that a failure can be repeated.
struct Lcg(u64);

impl Lcg {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % n.max(1)
    }
}

#[test]
fn mutated_files_never_panic_or_hang() {
    let pieces = [
        "[", "]", "{", "}", ":", ": ", "- ", "\n", "  ", "'", "\"", "#", "&a ", "*a", "!!str ",
        "|", ">", "%", "---", "...", "\t", "? ", ",", "\u{feff}", "é", "\\", "@", "`", "~", "9",
        "e", ".", "\r", "\u{85}", "<<",
    ];
    let start = Instant::now();
    for seed in 0..3_000 {
        let mut random = Lcg(seed);
        let (_, text) = PRESETS[random.below(PRESETS.len())];
        let mut chars: Vec<char> = text.chars().collect();
        for _ in 0..1 + random.below(6) {
            let at = random.below(chars.len());
            match random.below(4) {
                0 => {
                    chars.remove(at);
                }
                1 => chars
                    .splice(at..at, pieces[random.below(pieces.len())].chars())
                    .for_each(drop),
                2 => chars.truncate(at),
                _ => {
                    let end = (at + random.below(40)).min(chars.len());
                    let copy: Vec<_> = chars[at..end].to_vec();
                    let to = random.below(chars.len());
                    chars.splice(to..to, copy).for_each(drop);
                }
            }
            if chars.is_empty() {
                break;
            }
        }
        let text: String = chars.into_iter().collect();
        if let Ok((config, _)) = Config::from_yaml(&text, "mutated") {
            let _ = config.validate();
            assert_eq!(
                Config::from_yaml(&config.to_yaml(), "again").unwrap().0,
                config,
                "seed {seed}"
            );
        }
        if let Some(line) = text.lines().next() {
            let _ = Config::default().set(line);
        }
    }
    assert!(
        start.elapsed() < Duration::from_secs(120),
        "{:?}",
        start.elapsed()
    );
}

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
    let classes =
        proptest::collection::btree_set("\\PC{0,6}[a-z ]{0,5}[a-z0-9'\"#:\u{85}\u{2028}\n]", 1..12);
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
            c.neck.fpn.in_channels = (first..4).map(|stage| base * 4 << stage).collect();
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

#[test]
fn errors_tell_what_kind_they_are() {
    assert!(matches!(
        Config::from_yaml("a: [", "x"),
        Err(ConfigError::Syntax { line: 1, .. } | ConfigError::Syntax { .. })
    ));
    assert_eq!(COCO_CLASSES.len() + 1, Config::default().num_classes);
}
