//! What a run begins with: checkpoints of other programs and backbones (semantics.md 4.11).

use std::path::{Path, PathBuf};

use maskscope::config::Config;
use maskscope::jobs::train::TrainRequest;
use maskscope::weights::formula::formula_weights;

use super::runs::{Home, go, last, refused, small, values};
use crate::weights::build::{Named, checkpoint_ckpt, checkpoint_zip};
use crate::weights::foreign::{mindspore, mindspore_name, named};

/// A run of one epoch whose steps change nothing.
fn still(home: &Home) -> TrainRequest {
    let mut request = home.request();
    let settings = [
        "epoch_size=1",
        "lr_steps=[]",
        "lr=0",
        "min_lr=0",
        "backbone.norm_eval=True",
    ];
    request.set.extend(settings.map(String::from));
    request
}

/// What a run from this file ends with.
fn ended(home: &Home, file: &Path, settings: &[&str]) -> Vec<(String, Vec<f32>)> {
    let mut request = still(home);
    request.pretrained = Some(file.to_owned());
    request.set.extend(settings.iter().map(ToString::to_string));
    values(&last(&go(&request).folder))
}

fn assert_same(got: &[(String, Vec<f32>)], expect: &[Named], of: impl Fn(&str) -> bool) {
    let mut compared = 0;
    for (name, values) in got.iter().filter(|(name, _)| of(name)) {
        let (.., expected) = expect.iter().find(|(known, ..)| known == name).unwrap();
        assert_eq!(values, expected, "{name}");
        compared += 1;
    }
    assert!(compared > 0);
}

fn write(home: &Home, name: &str, bytes: &[u8]) -> PathBuf {
    let path = home.path(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

#[test]
fn checkpoints_of_other_programs_are_where_a_run_begins() {
    let home = Home::new();
    let config = small();
    let expect = named(&formula_weights(&config));
    let classes = config.num_classes - 1;
    let pth = write(&home, "mmdet.pth", &checkpoint_zip(&expect, b"N"));
    let rows = mindspore(&expect, classes, false);
    let ckpt = write(&home, "seed.ckpt", &checkpoint_ckpt(&rows));
    for file in [&pth, &ckpt] {
        assert_same(&ended(&home, file, &[]), &expect, |_| true);
    }
    // Of other classes: a setting is needed, and then their heads begin anew.
    let mut three = Config {
        num_classes: 4,
        ..small()
    };
    three.coco_classes.truncate(4);
    let expect = named(&formula_weights(&three));
    let pth = write(&home, "three.pth", &checkpoint_zip(&expect, b"N"));
    let rows = mindspore(&expect, 3, false);
    let ckpt = write(&home, "three.ckpt", &checkpoint_ckpt(&rows));
    let is_trunk = |name: &str| {
        let heads = ["fc_cls", "fc_reg", "conv_logits", "fc_mask_iou"];
        !heads.iter().any(|head| name.contains(head))
    };
    for file in [&pth, &ckpt] {
        let mut request = still(&home);
        request.pretrained = Some(file.clone());
        let text = refused(&request);
        assert!(text.contains("finetune=1"), "{text}");
        let got = ended(&home, file, &["finetune=1"]);
        assert_same(&got, &expect, is_trunk);
        let scores = got.iter().find(|(name, _)| name.ends_with("fc_cls.bias"));
        assert_eq!(scores.unwrap().1.len(), classes + 1);
    }
}

#[test]
fn a_backbone_alone_begins_a_run() {
    let home = Home::new();
    let expect: Vec<Named> = named(&formula_weights(&small()))
        .into_iter()
        .filter(|(name, ..)| name.starts_with("backbone."))
        .collect();
    let file = |rename: &dyn Fn(&str) -> String| -> Vec<Named> {
        let rename = |(name, shape, values): &Named| {
            let name = rename(name.strip_prefix("backbone.").unwrap());
            (name, shape.clone(), values.clone())
        };
        expect.iter().map(rename).collect()
    };
    let torch = checkpoint_zip(&file(&str::to_owned), b"N");
    let seed = checkpoint_ckpt(&file(&mindspore_name));
    for (name, bytes) in [("resnet.pth", torch), ("resnet.ckpt", seed)] {
        let path = write(&home, name, &bytes);
        let mut request = still(&home);
        let setting = format!("backbone.pretrained={}", path.display());
        request.set.push(setting);
        let got = values(&last(&go(&request).folder));
        assert_same(&got, &expect, |name| name.starts_with("backbone."));
        // As a detector it is refused, with what it is for.
        let mut request = still(&home);
        request.pretrained = Some(path);
        let text = refused(&request);
        assert!(text.contains("backbone.pretrained"), "{text}");
    }
}
