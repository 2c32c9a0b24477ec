//! Decoding, resizing and preparing images; the synthetic set.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

mod annotations;
pub mod build;
mod fuzz;
mod images;
mod synth;

use std::path::PathBuf;

use maskscope::config::{Config, Dialect};
use maskscope::data::{RgbImage, normalise, padded_size, prepare, resize, resized_size};
use maskscope::structures::Size;
use safetensors::SafeTensors;
use serde_json::Value;

/// Whole folders of reference tensors: the variable, else the project's, else the shared ones.
fn fixtures() -> PathBuf {
    if let Some(folder) = std::env::var_os("MASKSCOPE_FIXTURES") {
        return folder.into();
    }
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let own = root.join("tests/fixtures");
    if own.join("ops/image.json").is_file() {
        own
    } else {
        root.join("../shared/fixtures")
    }
}

/// Cases of `ops/image`: the JSON's parameters beside the tensors.
struct Golden {
    info: Value,
    bytes: Vec<u8>,
}

impl Golden {
    fn read() -> Self {
        let folder = fixtures().join("ops");
        let info = std::fs::read(folder.join("image.json")).expect("fixtures/ops/image.json");
        Self {
            info: serde_json::from_slice(&info).unwrap(),
            bytes: std::fs::read(folder.join("image.safetensors")).unwrap(),
        }
    }

    fn cases(&self) -> &[Value] {
        let cases = self.info["cases"].as_array().unwrap();
        assert!(!cases.is_empty(), "no case in image.json");
        cases
    }

    fn image(&self, name: &str) -> Option<RgbImage> {
        let tensors = SafeTensors::deserialize(&self.bytes).unwrap();
        let view = tensors.tensor(name).ok()?;
        Some(RgbImage {
            size: Size::new(view.shape()[1], view.shape()[0]),
            rgb: view.data().to_vec(),
        })
    }

    fn floats(&self, name: &str) -> Option<Vec<f32>> {
        let tensors = SafeTensors::deserialize(&self.bytes).unwrap();
        let values = tensors.tensor(name).ok()?.data().chunks_exact(4);
        Some(
            values
                .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
                .collect(),
        )
    }
}

fn size_at(value: &Value) -> Size {
    let side = |i: usize| value[i].as_u64().unwrap() as usize;
    Size::new(side(1), side(0))
}

fn three(value: &Value) -> [f64; 3] {
    std::array::from_fn(|i| value[i].as_f64().unwrap())
}

/// Canvas, mean and std of a case. The divider is 1: the canvases of these cases are not rounded.
fn config_of(golden: &Golden, case: &Value) -> Config {
    let own = |key: &str| case.get(key).unwrap_or(&golden.info[key]);
    let canvas = size_at(&case["canvas"]);
    Config {
        img_width: canvas.width,
        img_height: canvas.height,
        divider: 1,
        img_mean: three(own("mean")),
        img_std: three(own("std")),
        to_rgb: true,
        ..Config::default()
    }
}

#[test]
fn golden_image_resize_equals_opencv_bit_for_bit() {
    let golden = Golden::read();
    let mut checked = 0;
    for case in golden.cases() {
        let name = case["name"].as_str().unwrap();
        for channels in ["rgb", "bgr"] {
            let Some(image) = golden.image(&format!("{name}.{channels}")) else {
                continue;
            };
            let want = golden.image(&format!("{name}.resized")).unwrap();
            let got = resize(&image, want.size);
            let wrong = got
                .rgb
                .iter()
                .zip(&want.rgb)
                .filter(|(a, b)| a != b)
                .count();
            assert_eq!((got.size, wrong), (want.size, 0), "case {name}");
            checked += 1;
        }
    }
    assert!(checked > 0, "no picture in image.safetensors");
}

#[test]
fn golden_image_prepare_equals_the_original_pipeline() {
    let golden = Golden::read();
    let mut checked = 0;
    for case in golden.cases() {
        let name = case["name"].as_str().unwrap();
        let (Some(image), Some(want)) = (
            golden.image(&format!("{name}.rgb")),
            golden.floats(&format!("{name}.normalised")),
        ) else {
            continue;
        };
        let config = config_of(&golden, case);
        let prepared = prepare(&image, &config, Dialect::Mindspore);
        assert_eq!(
            prepared.transform.resized,
            size_at(&case["resized"]),
            "{name}"
        );
        assert_eq!(
            prepared.transform.padded,
            size_at(&case["canvas"]),
            "{name}"
        );
        assert_eq!(prepared.planes, want, "case {name}");
        checked += 1;
    }
    assert!(checked > 0, "no normalised picture in image.safetensors");
}

#[test]
fn golden_image_both_orders_of_padding() {
    let golden = Golden::read();
    let mut checked = 0;
    for case in golden.cases() {
        let name = case["name"].as_str().unwrap();
        for (dialect, word) in [(Dialect::Mindspore, "mindspore"), (Dialect::Mmdet, "mmdet")] {
            let Some(want) = golden.floats(&format!("{name}.normalised_{word}")) else {
                continue;
            };
            let mut resized = golden.image(&format!("{name}.resized")).unwrap();
            // The stored picture is BGR; ours are RGB until the channel order is chosen.
            resized
                .rgb
                .chunks_exact_mut(3)
                .for_each(|pixel| pixel.swap(0, 2));
            let config = Config {
                to_rgb: false,
                ..config_of(&golden, case)
            };
            let padded = size_at(&case["canvas"]);
            assert_eq!(
                normalise(&resized, padded, &config, dialect),
                want,
                "{name} {word}"
            );
            checked += 1;
        }
    }
    assert!(checked > 0, "no normalised_mindspore or normalised_mmdet");
}

#[test]
fn sizes_follow_the_dialect() {
    let config = Config {
        img_width: 1333,
        img_height: 800,
        divider: 32,
        ..Config::default()
    };
    let check =
        |dialect, image: (usize, usize), resized: (usize, usize), padded: (usize, usize)| {
            let size = resized_size(Size::new(image.0, image.1), &config, dialect);
            assert_eq!((size.width, size.height), resized, "{image:?} {dialect:?}");
            let size = padded_size(size, &config, dialect);
            assert_eq!((size.width, size.height), padded, "{image:?} {dialect:?}");
        };
    check(Dialect::Mmdet, (640, 480), (1067, 800), (1088, 800));
    check(Dialect::Mmdet, (480, 640), (800, 1067), (800, 1088));
    check(Dialect::Mindspore, (480, 640), (600, 800), (1344, 800));
    check(Dialect::Mindspore, (12_000, 100), (1333, 11), (1344, 800));
    check(Dialect::Mindspore, (1, 1), (800, 800), (1344, 800));
    check(Dialect::Mmdet, (100_000, 3), (1333, 1), (1344, 32));
}
