//! Our own files: written whole, read back equal; the commands `inspect` and `convert`.

use std::path::Path;
use std::time::{Instant, SystemTime};

use clap::Parser;
use maskscope::cli;
use maskscope::cli::args::Cli;
use maskscope::config::{Config, Dialect};
use maskscope::structures::ClassTable;
use maskscope::weights::formula::formula_weights;
use maskscope::weights::{
    CheckpointMetadata, IouHead, LoadOptions, StoredType, TrainingProgress, Weights, load, save,
};

use super::build::{checkpoint_ckpt, checkpoint_zip};
use super::foreign::{named, narrow};
use crate::support::fixtures;

fn metadata<'a>(config: &'a Config, classes: &'a ClassTable) -> CheckpointMetadata<'a> {
    CheckpointMetadata {
        config,
        classes,
        dialect: Dialect::Mmdet,
        iou_head: IouHead::Trained,
        progress: None,
        created: SystemTime::now(),
    }
}

fn write(path: &Path, weights: &Weights, config: &Config, stored: StoredType) -> Vec<String> {
    let classes = ClassTable::from_names(&config.coco_classes[1..]);
    save(path, weights, &metadata(config, &classes), stored).unwrap()
}

/// A command as main runs it; its standard output.
fn run(words: &[&str]) -> anyhow::Result<String> {
    let cli = Cli::try_parse_from([&["maskscope"], words].concat())?;
    let mut out = Vec::new();
    assert!(cli::run(&cli.command.unwrap(), &cli.shared, &mut out)?);
    Ok(String::from_utf8(out)?)
}

fn run_inspect(path: &Path, json: bool) -> String {
    let path = path.to_str().unwrap();
    let words = ["inspect", path, "--json"];
    run(&words[..if json { 3 } else { 2 }]).unwrap()
}

fn run_convert(words: &[&str]) -> anyhow::Result<String> {
    run(&[&["convert"], words].concat())
}

#[test]
fn written_files_read_back_equal() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.safetensors");
    let mut config = narrow(2);
    config.img_width = 640;
    let weights = formula_weights(&config);
    let classes = ClassTable {
        names: vec!["thing 0".into(), "thing 1".into()],
        category_ids: vec![7, 9],
    };
    let mut meta = metadata(&config, &classes);
    meta.progress = Some(TrainingProgress {
        epoch: 3,
        step: 1_000,
        bbox_map: Some(0.25),
        seg_map: None,
        loss: Some(1.5),
    });
    save(&path, &weights, &meta, StoredType::F32).unwrap();
    let loaded = load(&path, None, &LoadOptions::default()).unwrap();
    assert_eq!(named(&loaded.weights), named(&weights));
    assert_eq!(loaded.dialect, Dialect::Mmdet);
    assert_eq!(loaded.classes, classes);
    assert_eq!(loaded.config.img_width, 640);
    // Another program reads it, and finds the metadata as strings.
    let bytes = std::fs::read(&path).unwrap();
    let (_, header) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
    let strings = header.metadata().clone().unwrap();
    assert_eq!(strings["format"], "maskscope");
    assert_eq!(strings["epoch"], "3");
    assert_eq!(strings["metrics"], r#"{"bbox_mAP":0.25,"loss":1.5}"#);
    assert_eq!(
        strings["categories"],
        r#"[{"id":7,"name":"thing 0"},{"id":9,"name":"thing 1"}]"#
    );
    // Nothing else is left in the folder.
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn half_precision_keeps_what_does_not_fit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("half.safetensors");
    let config = narrow(2);
    let mut tensors: std::collections::BTreeMap<_, _> = named(&formula_weights(&config))
        .into_iter()
        .map(|(name, shape, values)| (name, (shape, values)))
        .collect();
    let big = "backbone.bn1.running_var";
    tensors.get_mut(big).unwrap().1 = vec![70_000.0, 1.0];
    let weights = Weights::from_memory(Path::new("memory"), tensors);
    let notes = write(&path, &weights, &config, StoredType::F16);
    assert_eq!(notes.len(), 1);
    assert!(notes[0].contains(big), "{notes:?}");
    let loaded = load(&path, None, &LoadOptions::default()).unwrap();
    for (name, shape, values) in named(&weights) {
        let got = loaded.weights.values(&name, &shape).unwrap();
        for (got, want) in got.iter().zip(&values) {
            let want = if name == big {
                *want
            } else {
                half::f16::from_f32(*want).to_f32()
            };
            assert_eq!(*got, want, "{name}");
        }
    }
    let bf16 = folder.path().join("bf16.safetensors");
    assert!(write(&bf16, &weights, &config, StoredType::Bf16).is_empty());
    let loaded = load(&bf16, None, &LoadOptions::default()).unwrap();
    let got = loaded.weights.values(big, &[2]).unwrap();
    assert_eq!(got[0], half::bf16::from_f32(70_000.0).to_f32());
}

#[test]
fn failed_writes_leave_what_was_there() {
    let folder = tempfile::tempdir().unwrap();
    let config = narrow(2);
    let classes = ClassTable::from_names(&config.coco_classes[1..]);
    let weights = formula_weights(&config);
    let try_save = |path: &Path| {
        save(
            path,
            &weights,
            &metadata(&config, &classes),
            StoredType::F32,
        )
    };
    // A path through a file, a folder, a missing folder, a device.
    let file = folder.path().join("file");
    std::fs::write(&file, b"old").unwrap();
    let through = file.join("a.safetensors");
    for path in [
        through.as_path(),
        folder.path(),
        &folder.path().join("no/a.safetensors"),
    ] {
        let error = try_save(path).unwrap_err().to_string();
        assert!(error.contains("cannot write the checkpoint"), "{error}");
        assert!(error.contains(&path.display().to_string()), "{error}");
    }
    // A socket stands for every device: a rename would replace it by a file.
    #[cfg(unix)]
    {
        let socket = folder.path().join("socket");
        let _listening = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        let error = try_save(&socket).unwrap_err().to_string();
        assert!(error.contains("no regular file"), "{error}");
        assert!(!socket.is_file());
        std::fs::remove_file(&socket).unwrap();
    }
    assert_eq!(std::fs::read(&file).unwrap(), b"old");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    try_save(&file).unwrap();
    assert!(
        load(&file, None, &LoadOptions::default()).is_ok(),
        "replaced when whole"
    );
}

/// A disk that fills up in the middle: an error, the old file unharmed, nothing left beside it.
#[test]
#[cfg(unix)]
fn a_full_disk_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let (input, output) = (
        folder.path().join("a.pth"),
        folder.path().join("b.safetensors"),
    );
    let tensors = named(&formula_weights(&narrow(2)));
    std::fs::write(&input, checkpoint_zip(&tensors, b"N")).unwrap();
    std::fs::write(&output, b"old").unwrap();
    // 8 blocks of 512 bytes or of 1 kB; XFSZ ignored, so that the write fails instead of killing.
    let result = std::process::Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 8; exec \"$@\"", "sh"])
        .args([env!("CARGO_BIN_EXE_maskscope"), "convert"])
        .args([&input, &output])
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&result.stderr);
    assert_eq!(result.status.code(), Some(1), "{errors}");
    assert!(errors.contains("cannot write the checkpoint"), "{errors}");
    assert_eq!(std::fs::read(&output).unwrap(), b"old");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
}

#[test]
fn conversions_give_the_same_model() {
    let folder = tempfile::tempdir().unwrap();
    let config = narrow(2);
    let expect = named(&formula_weights(&config));
    let pth = folder.path().join("a.pth");
    std::fs::write(&pth, checkpoint_zip(&expect, b"N")).unwrap();
    let out = folder.path().join("b.safetensors");
    let words = [pth.to_str().unwrap(), out.to_str().unwrap()];
    let text = run_convert(&words).unwrap();
    assert!(
        text.contains("dialect mmdet") && text.contains("b.safetensors"),
        "{text}"
    );
    let loaded = load(&out, None, &LoadOptions::default()).unwrap();
    assert_eq!(named(&loaded.weights), expect);
    assert_eq!(loaded.dialect, Dialect::Mmdet);
    assert_eq!(
        (loaded.config.img_width, loaded.config.img_height),
        (1333, 800)
    );

    // Our own file again, in half, with a setting, as JSON.
    let small = folder.path().join("c.safetensors");
    let words = [
        out.to_str().unwrap(),
        small.to_str().unwrap(),
        "--half",
        "--json",
        "--set",
        "img_width=512",
    ];
    let text = run_convert(&words).unwrap();
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    let count: usize = expect.iter().map(|(_, _, values)| values.len()).sum();
    assert_eq!(json["parameters"], count);
    let loaded = load(&small, None, &LoadOptions::default()).unwrap();
    assert_eq!(loaded.config.img_width, 512);
    assert_eq!(loaded.dialect, Dialect::Mmdet);

    // A safetensors file of another program needs a configuration.
    let model = &fixtures::model_folders()[0];
    let bare = model.join("weights.safetensors");
    let words = [bare.to_str().unwrap(), small.to_str().unwrap()];
    let error = run_convert(&words).unwrap_err().to_string();
    assert!(error.contains("--config"), "{error}");
    let yaml = folder.path().join("model.yaml");
    let mut config = fixtures::model_config(&fixtures::json(&model.join("config.json")));
    config.dialect = Dialect::Mmdet.into();
    std::fs::write(&yaml, config.to_yaml()).unwrap();
    let words = [words[0], words[1], "--config", yaml.to_str().unwrap()];
    run_convert(&words).unwrap();
    let loaded = load(&small, None, &LoadOptions::default()).unwrap();
    assert_eq!(loaded.dialect, Dialect::Mmdet);
    // A flag of a later version is not accepted silently.
    assert!(run_convert(&["a.pth", "b.safetensors", "--check", "val"]).is_err());
}

#[test]
fn golden_conversions_keep_every_bit() {
    let folder = tempfile::tempdir().unwrap();
    for model in fixtures::model_folders() {
        let reference = fixtures::Tensors::read(&model.join("weights.safetensors"));
        for file in ["model.pth", "model.ckpt"] {
            let out = folder.path().join("out.safetensors");
            let input = model.join(file);
            run_convert(&[input.to_str().unwrap(), out.to_str().unwrap()]).unwrap();
            assert_eq!(
                fixtures::Tensors::read(&out).0,
                reference.0,
                "{}",
                input.display()
            );
        }
    }
}

#[test]
fn golden_inspections_account_for_every_tensor() {
    for model in fixtures::model_folders() {
        let reference = fixtures::Tensors::read(&model.join("weights.safetensors"));
        let count: usize = reference.0.values().map(|t| t.f32().len()).sum();
        for (file, format) in [
            ("weights.safetensors", "safetensors"),
            ("model.pth", "PyTorch (zip)"),
            ("model.ckpt", "MindSpore"),
        ] {
            let json: serde_json::Value =
                serde_json::from_str(&run_inspect(&model.join(file), true)).unwrap();
            assert_eq!(json["format"], format);
            assert_eq!(json["complete"], true);
            assert_eq!(json["parameters"], count);
            let tensors = json["tensors"].as_array().unwrap();
            let taken = tensors.iter().filter(|t| !t["canonical"].is_null());
            assert_eq!(taken.count(), reference.0.len());
            assert!(tensors.iter().all(|t| t["place"] != "left over"), "{file}");
            let moved = tensors.iter().filter(|t| t["place"] == "rows reordered");
            assert_eq!(moved.count(), if format == "MindSpore" { 2 } else { 0 });
        }
    }
}

#[test]
fn inspections_say_what_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let mut file = named(&formula_weights(&narrow(2)));
    file.retain(|(name, ..)| !name.contains("rpn_reg"));
    file.push(("roi_head.other".into(), vec![], vec![1.0]));
    let path = folder.path().join("a.pth");
    std::fs::write(&path, checkpoint_zip(&file, b"N")).unwrap();
    let text = run_inspect(&path, false);
    for part in [
        "missing: rpn_head.rpn_reg.weight, the model needs [12, 4, 1, 1]",
        "left over: roi_head.other []",
        "missing     2, of another shape 0, twice 0, left over 1",
        "does not load",
        "ResNet-50 caffe, base_channels 2",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    // Names that no program has: listed all the same.
    let path = folder.path().join("b.ckpt");
    std::fs::write(
        &path,
        checkpoint_ckpt(&[("foo.bar".into(), vec![2], vec![0.0; 2])]),
    )
    .unwrap();
    let text = run_inspect(&path, false);
    assert!(
        text.contains("foo.bar") && text.contains("cannot run"),
        "{text}"
    );
}

/// Writes 243 MB; `MASKSCOPE_FULL_SIZE` names a file to keep for trying the commands on it.
#[test]
#[ignore = "writes a full-size checkpoint of 243 MB"]
fn full_size_checkpoints_load_in_well_under_a_second() {
    let folder = tempfile::tempdir().unwrap();
    let kept = std::env::var_os("MASKSCOPE_FULL_SIZE").map(std::path::PathBuf::from);
    let path = kept.unwrap_or_else(|| folder.path().join("r50.safetensors"));
    let mut config = Config::default();
    config.backbone.style = maskscope::config::Style::Pytorch;
    let weights = formula_weights(&config);
    assert_eq!(weights.value_count(), 60_789_760);
    write(&path, &weights, &config, StoredType::F32);
    drop(weights);
    let start = Instant::now();
    let loaded = load(&path, None, &LoadOptions::default()).unwrap();
    let opened = start.elapsed();
    let mut sum = 0;
    for name in loaded.weights.names() {
        let shape = loaded.weights.shape(name).unwrap();
        sum += loaded.weights.values(name, shape).unwrap().len();
    }
    let all = start.elapsed();
    eprintln!("opened in {opened:?}, every value read after {all:?}");
    assert_eq!(sum, 60_789_760);
    assert!(all.as_secs_f64() < 1.0);
    let text = run_inspect(&path, false);
    assert!(text.contains("60,789,760"), "{text}");
}
