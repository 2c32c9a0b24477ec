//! Checkpoints of the fixtures: every format gives the same values, bit for bit.

use std::path::Path;

use maskscope::config::{Dialect, DialectChoice};
use maskscope::weights::{IouHead, LoadOptions, LoadedCheckpoint, load, parameters};

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
