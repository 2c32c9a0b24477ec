//! The same weights from every format that a model folder holds: bit-identical outputs.

use maskscope::config::{Dialect, DialectChoice};
use maskscope::model::{Detector, InputBatch};
use maskscope::structures::Detection;
use maskscope::weights::{self, LoadOptions};

use super::case::{DIALECTS, ImageCase, ModelCase, flat, variant};
use crate::support::device::device;

const FILES: [&str; 3] = ["weights.safetensors", "model.pth", "model.ckpt"];

/// The pyramid's values and the detections.
fn outputs(detector: &Detector, image: &ImageCase) -> (Vec<f32>, Vec<Detection>) {
    let images = image.candle("input");
    let stages = detector.backbone.forward(&images).unwrap();
    let pyramid = detector.fpn.forward(&stages).unwrap();
    let input = InputBatch {
        images,
        transforms: vec![image.transform()],
    };
    let found = detector.detect(&input).unwrap().remove(0);
    (pyramid.iter().flat_map(flat).collect(), found)
}

#[test]
fn golden_formats_give_identical_outputs() {
    for case in ModelCase::all() {
        let image = &case.images()[0];
        for dialect in DIALECTS {
            let reference = outputs(&case.detector(dialect), image);
            assert!(!reference.1.is_empty());
            let files = FILES.map(|file| case.folder.join(file));
            let files: Vec<_> = files.into_iter().filter(|file| file.is_file()).collect();
            assert!(files.len() > 1, "{} holds one format only", case.name);
            for file in files {
                let options = LoadOptions {
                    dialect: match dialect {
                        Dialect::Mmdet => DialectChoice::Mmdet,
                        Dialect::Mindspore => DialectChoice::Mindspore,
                    },
                    ..LoadOptions::default()
                };
                let loaded = weights::load(&file, Some(&case.config), &options)
                    .unwrap_or_else(|e| panic!("{}: {e}", file.display()));
                assert_eq!(loaded.dialect, dialect);
                let detector = Detector::new(&loaded, device()).unwrap();
                let what = format!("{} {}", file.display(), variant(dialect));
                assert!(
                    outputs(&detector, image) == reference,
                    "{what}: other outputs"
                );
            }
        }
    }
}
