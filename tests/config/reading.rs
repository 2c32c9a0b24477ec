//! Reading: lines and nearest names in errors, types, settings of the command line.

use maskscope::config::{Config, Depth, Dialect, DialectChoice, key_paths};

use super::{error, read};

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
    let mut expected = Config {
        lr: 0.5,
        ..Config::default()
    };
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
