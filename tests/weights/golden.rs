//! Checkpoints of the fixtures: every format gives the same values, bit for bit.

use std::path::Path;

use maskscope::config::{Dialect, DialectChoice};
use maskscope::weights::formula::{fnv1a, formula_input, formula_weights};
use maskscope::weights::{IouHead, LoadOptions, LoadedCheckpoint, file_tensors, load, parameters};

use crate::support::fixtures::{self, Tensors};

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

/// Names, shapes and values are exactly those of the reference.
fn assert_equal(checkpoint: &LoadedCheckpoint, reference: &Tensors) {
    let names: Vec<&str> = checkpoint.weights.names().collect();
    assert_eq!(names, reference.names().collect::<Vec<_>>());
    for (name, tensor) in &reference.0 {
        let values = checkpoint
            .weights
            .values(name, &tensor.shape)
            .unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(
            bits(&values),
            bits(tensor.f32()),
            "{name} in {}",
            checkpoint.path.display()
        );
    }
    let count: usize = reference.0.values().map(|t| t.f32().len()).sum();
    assert_eq!(checkpoint.weights.value_count(), count);
}

/// Loads one file of a model folder with and without a configuration.
fn check(folder: &Path, file: &str, by_format: Dialect) {
    let description = fixtures::json(&folder.join("config.json"));
    let reference = Tensors::read(&folder.join("weights.safetensors"));
    let config = fixtures::model_config(&description);
    let path = folder.join(file);
    let with_config = load(&path, Some(&config), &LoadOptions::default())
        .unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    assert_equal(&with_config, &reference);
    assert_eq!(with_config.dialect, by_format, "{}", path.display());
    assert_eq!(with_config.iou_head, IouHead::Trained);
    assert_eq!(with_config.classes.names, config.coco_classes[1..]);
    let names = reference.names().count();
    assert_eq!(parameters(&config).len(), names);

    if file == "weights.safetensors" {
        let error = load(&path, None, &LoadOptions::default()).unwrap_err();
        assert!(error.to_string().contains("--config"), "{error}");
        return;
    }
    let read_off = load(&path, None, &LoadOptions::default())
        .unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    assert_equal(&read_off, &reference);
    assert_eq!(
        parameters(&read_off.config),
        parameters(&config),
        "sizes read off the tensors of {}",
        path.display()
    );
    let options = LoadOptions {
        dialect: DialectChoice::Mmdet,
        ..LoadOptions::default()
    };
    assert_eq!(load(&path, None, &options).unwrap().dialect, Dialect::Mmdet);
}

#[test]
fn golden_models_load_from_every_format() {
    for folder in fixtures::model_folders() {
        check(&folder, "weights.safetensors", Dialect::Mindspore);
        check(&folder, "model.pth", Dialect::Mmdet);
        check(&folder, "model.ckpt", Dialect::Mindspore);
    }
}

/// Bytes and shape of every expected tensor are in the file.
fn assert_has_all(path: &Path, expected: &Path) {
    let bytes = std::fs::read(expected).unwrap();
    let reference = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let tensors = file_tensors(path).unwrap_or_else(|e| panic!("{e}"));
    assert!(!reference.is_empty());
    for (name, want) in reference.iter() {
        let got = tensors
            .iter()
            .find(|tensor| tensor.name == name)
            .unwrap_or_else(|| panic!("{name} is not in {}", path.display()));
        // safetensors cannot hold numpy's shapeless scalars of old files otherwise.
        let scalar = want.shape() == [1] && got.shape().is_empty();
        assert!(
            got.shape() == want.shape() || scalar,
            "{name} in {}",
            path.display()
        );
        assert_eq!(got.bytes(), want.data(), "{name} in {}", path.display());
        let dtype = format!("{:?}", want.dtype()).to_lowercase();
        assert_eq!(got.dtype().name(), dtype, "{name}");
    }
}

#[test]
fn golden_mindspore_files_of_every_kind() {
    let folder = fixtures::folder("ops");
    let cases = fixtures::json(&folder.join("ckpt.json"));
    let cases = cases["cases"].as_array().expect("cases");
    assert!(!cases.is_empty());
    for case in cases {
        let name = case["name"].as_str().expect("a name");
        let path = folder.join(name);
        let refused = |part: &str| {
            let error = file_tensors(&path).unwrap_err().to_string();
            assert!(error.contains(part), "{name}: {error}");
            assert!(error.contains(name), "the error names the file: {error}");
        };
        match name {
            "ckpt_crc_wrong.ckpt" => refused("checksum"),
            "ckpt_truncated.ckpt" => refused("truncated"),
            "ckpt_empty.ckpt" => refused("empty"),
            "ckpt_encrypted.ckpt" => refused("encrypted"),
            _ => assert_has_all(&path, &folder.join("ckpt.safetensors")),
        }
        if name == "ckpt_old_spelling.ckpt" {
            let tensors = file_tensors(&path).unwrap();
            let old = tensors.iter().find(|t| t.name == "old_spelling").unwrap();
            assert_eq!(old.bytes(), [7, 8, 9]);
        }
    }
}

#[test]
fn golden_mindspore_itself_wrote() {
    let folder = fixtures::folder("ops");
    assert_has_all(
        &folder.join("ckpt_mindspore_train.ckpt"),
        &folder.join("ckpt_mindspore_train.safetensors"),
    );
    let description = fixtures::json(&folder.join("ckpt_mindspore.json"));
    for kind in ["train", "infer", "crc"] {
        let tensors = file_tensors(&folder.join(format!("ckpt_mindspore_{kind}.ckpt"))).unwrap();
        let listed = description[kind].as_array().expect("a list of tags");
        let names: Vec<&str> = listed.iter().map(|e| e["tag"].as_str().unwrap()).collect();
        let got: Vec<&str> = tensors.iter().map(|t| t.name.as_str()).collect();
        assert_eq!(got, names);
    }
}

#[test]
fn golden_formula_weights_are_the_oracles() {
    let expected = fixtures::json(&fixtures::folder("full").join("expected.json"));
    let config = fixtures::model_config(&expected);
    let weights = formula_weights(&config);
    let listed = expected["weights"].as_object().expect("weights");
    assert_eq!(weights.names().count(), listed.len());
    for (name, want) in listed {
        let hash = u64::from_str_radix(want["fnv1a"].as_str().unwrap(), 16).unwrap();
        assert_eq!(fnv1a(name), hash, "{name}");
        let shape = weights.shape(name).unwrap_or_else(|| panic!("no {name}"));
        let values = weights.values(name, shape).unwrap();
        let first = want["first"].as_array().unwrap();
        for (got, want) in values.iter().zip(first) {
            assert_eq!(f64::from(*got), want.as_f64().unwrap(), "{name}");
        }
        let sum: f64 = values.iter().map(|&v| f64::from(v)).sum();
        let size: f64 = values.iter().map(|&v| f64::from(v).abs()).sum();
        let want = want["sum"].as_f64().unwrap();
        // Only the order of summation differs: 1e-13 of the sum of sizes for up to 13 million values.
        assert!((sum - want).abs() <= 1e-12 * size, "{name}: {sum}, {want}");
    }
    assert_input(&expected);
}

fn assert_input(expected: &serde_json::Value) {
    let size = |key: &str| expected[key].as_u64().unwrap() as usize;
    let (height, width) = (size("height"), size("width"));
    let input = formula_input(height, width);
    let want = &expected["input"];
    let number = |key: &str| want[key].as_f64().unwrap();
    let sum: f64 = input.iter().map(|&v| f64::from(v)).sum();
    let sum_abs: f64 = input.iter().map(|&v| f64::from(v).abs()).sum();
    assert!((sum - number("sum")).abs() <= 1e-12 * sum_abs);
    assert!((sum_abs - number("sum_abs")).abs() <= 1e-12 * sum_abs);
    let extremes = input.iter().fold((0.0_f32, 0.0_f32), |(low, high), &v| {
        (low.min(v), high.max(v))
    });
    assert_eq!(f64::from(extremes.0), number("min"));
    assert_eq!(f64::from(extremes.1), number("max"));
    for (channel, want) in want["corner"].as_array().unwrap().iter().enumerate() {
        assert_eq!(
            f64::from(input[channel * height * width]),
            want.as_f64().unwrap()
        );
    }
    for (x, want) in want["first_row"].as_array().unwrap().iter().enumerate() {
        assert_eq!(f64::from(input[x]), want.as_f64().unwrap());
    }
}
