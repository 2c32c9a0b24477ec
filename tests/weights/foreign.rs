//! Names of other programs: narrow models whose values are known are renamed, read back and compared.

use std::path::PathBuf;

use maskscope::config::{Config, Dialect, Style};
use maskscope::weights::formula::formula_weights;
use maskscope::weights::{
    IouColumns, IouHead, LoadOptions, LoadedCheckpoint, Weights, WeightsError, inspect, load,
    load_backbone,
};

use super::build::{
    Named, Pickle, View, checkpoint_ckpt, checkpoint_zip, numpy_array, torch_legacy,
};

/// A narrow ResNet-50 model.
pub fn narrow(classes: usize) -> Config {
    let mut config = Config::default();
    config.backbone.base_channels = 2;
    config.neck.fpn.in_channels = vec![8, 16, 32, 64];
    config.neck.fpn.out_channels = 4;
    config.rpn.in_channels = 4;
    config.rpn.feat_channels = 4;
    config.roi.out_channels = 4;
    config.mask_roi.out_channels = 4;
    config.bbox_head.in_channels = 4;
    config.bbox_head.fc_out_channels = 6;
    config.mask_head.in_channels = 4;
    config.mask_head.conv_out_channels = 5;
    config.mask_iou_head.in_channels = 4;
    config.mask_iou_head.conv_out_channels = 3;
    config.mask_iou_head.fc_out_channels = 7;
    config.num_classes = classes + 1;
    config.coco_classes = std::iter::once("background".into())
        .chain((0..classes).map(|label| format!("thing {label}")))
        .collect();
    config
}

/// All tensors of a model by canonical name.
pub fn named(weights: &Weights) -> Vec<Named> {
    weights
        .names()
        .map(|name| {
            let shape = weights.shape(name).unwrap().to_vec();
            let values = weights.values(name, &shape).unwrap();
            (name.to_owned(), shape, values)
        })
        .collect()
}

/// Row `row` of a tensor.
fn row(tensor: &Named, row: usize) -> &[f32] {
    let width = tensor.2.len() / tensor.1[0];
    &tensor.2[row * width..(row + 1) * width]
}

/// A tensor of these rows; `None` makes a row of sevens, which no right reader takes.
pub fn with_rows(tensor: &Named, rows: &[Option<usize>]) -> Named {
    let width = tensor.2.len() / tensor.1[0];
    let filler = vec![7.0; width];
    let values = rows
        .iter()
        .flat_map(|r| r.map_or(filler.as_slice(), |r| row(tensor, r)))
        .copied()
        .collect();
    let mut shape = tensor.1.clone();
    shape[0] = rows.len();
    (tensor.0.clone(), shape, values)
}

/// Puts a file of a temporary folder to disk.
fn write(name: &str, bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    (folder, path)
}

pub fn loaded(name: &str, bytes: &[u8], config: Option<&Config>) -> LoadedCheckpoint {
    let (_folder, path) = write(name, bytes);
    load(&path, config, &LoadOptions::default()).unwrap_or_else(|e| panic!("{e}"))
}

/// Every tensor that `expect` has is there with its values, and no other.
pub fn assert_values(weights: &Weights, expect: &[Named]) {
    let mut names: Vec<&str> = expect.iter().map(|(name, ..)| name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(weights.names().collect::<Vec<_>>(), names);
    for (name, shape, values) in expect {
        assert_eq!(&weights.values(name, shape).unwrap(), values, "{name}");
    }
}

pub fn without_iou_head(tensors: Vec<Named>) -> Vec<Named> {
    tensors
        .into_iter()
        .filter(|(name, ..)| !name.contains("mask_iou_head"))
        .collect()
}

pub fn replaced(name: &str, pairs: &[(&str, &str)]) -> String {
    pairs.iter().fold(name.to_owned(), |name, (from, into)| {
        name.replace(from, into)
    })
}

const BATCH_NORM: [(&str, &str); 4] = [
    ("running_mean", "moving_mean"),
    ("running_var", "moving_variance"),
    (".weight", ".gamma"),
    (".bias", ".beta"),
];

pub fn mindspore_name(name: &str) -> String {
    let name = name.replace("roi_head.", "");
    let norm = name.contains(".bn") || name.contains("downsample.1");
    if norm {
        replaced(&name, &BATCH_NORM)
    } else {
        name
    }
}

/// A MindSpore model: background rows first, extra background rows where older versions had them.
pub fn mindspore(tensors: &[Named], classes: usize, extra_rows: bool) -> Vec<Named> {
    tensors
        .iter()
        .map(|tensor| {
            let name = mindspore_name(&tensor.0);
            let rows: Option<Vec<Option<usize>>> = if name.contains("fc_cls") {
                Some(
                    std::iter::once(classes)
                        .chain(0..classes)
                        .map(Some)
                        .collect(),
                )
            } else if extra_rows && name.contains("fc_reg") {
                Some(
                    [None; 4]
                        .into_iter()
                        .chain((0..4 * classes).map(Some))
                        .collect(),
                )
            } else if extra_rows && (name.contains("conv_logits") || name.contains("fc_mask_iou")) {
                Some(
                    std::iter::once(None)
                        .chain((0..classes).map(Some))
                        .collect(),
                )
            } else {
                None
            };
            let tensor = rows.map_or_else(|| tensor.clone(), |rows| with_rows(tensor, &rows));
            (name, tensor.1, tensor.2)
        })
        .collect()
}

#[test]
fn mindspore_rows_and_aliases() {
    for (classes, extra_rows) in [(3, false), (3, true), (1, false), (1, true)] {
        let expect = named(&formula_weights(&narrow(classes)));
        let file = mindspore(&expect, classes, extra_rows);
        let checkpoint = loaded("a.ckpt", &checkpoint_ckpt(&file), None);
        assert_values(&checkpoint.weights, &expect);
        assert_eq!(checkpoint.dialect, Dialect::Mindspore);
        assert_eq!(checkpoint.config.num_classes, classes + 1);
    }
    let expect = named(&formula_weights(&narrow(2)));
    let mut file = mindspore(&expect, 2, false);
    for (name, ..) in &mut file {
        *name = replaced(
            name,
            &[
                ("lateral_convs", "lateral_convs_list"),
                ("fpn_convs", "fpn_convs_list"),
                ("rpn_head.", "rpn_head.rpn_convs_layer."),
                ("mask_head.upsample.", "mask_head.upsample.deconv."),
            ],
        );
        *name = format!("network.{name}");
    }
    assert_values(
        &loaded("a.ckpt", &checkpoint_ckpt(&file), None).weights,
        &expect,
    );
}

#[test]
fn shifted_mask_iou_columns() {
    let expect = named(&formula_weights(&narrow(4)));
    let (_folder, path) = write("a.ckpt", &checkpoint_ckpt(&mindspore(&expect, 4, false)));
    let options = LoadOptions {
        iou_columns: IouColumns::Shift,
        ..LoadOptions::default()
    };
    let checkpoint = load(&path, None, &options).unwrap();
    let name = "roi_head.mask_iou_head.fc_mask_iou.bias";
    let kept = &expect.iter().find(|(n, ..)| n == name).unwrap().2;
    let mean = (1..4).map(|c| f64::from(kept[c])).sum::<f64>() / 3.0;
    assert_eq!(
        checkpoint.weights.values(name, &[4]).unwrap(),
        [kept[1], kept[2], kept[3], mean as f32]
    );
    let (_folder, path) = write("a.pth", &checkpoint_zip(&expect, b"N"));
    let error = load(&path, None, &options).unwrap_err();
    assert!(matches!(error, WeightsError::ShiftNotMindspore { .. }));
}

#[test]
fn mmdetection_says_what_it_is() {
    let expect = named(&formula_weights(&narrow(2)));
    let text = "model = dict(backbone=dict(depth=50, style='pytorch'), norm_mean=[9, 9, 9])\nimg_norm_cfg = dict(mean=[1.5, 2.5, 3.5], std=[4.0, 5.0, 6.0], to_rgb=True)\ntest = dict(img_scale=(640, 480))";
    let meta = Pickle::protocol(2)
        .raw(b"}(")
        .text("CLASSES")
        .raw(b"(")
        .text("cat")
        .text("dog")
        .raw(b"t")
        .text("config")
        .text(text)
        .raw(b"u")
        .stop();
    let meta = &meta[2..meta.len() - 1];
    let mut file: Vec<Named> = expect
        .iter()
        .map(|(name, shape, values)| (format!("module.{name}"), shape.clone(), values.clone()))
        .collect();
    file.push((
        "module.backbone.bn1.num_batches_tracked".into(),
        vec![],
        vec![3.0],
    ));
    file.push(("ema_backbone_conv1_weight".into(), vec![1], vec![3.0]));
    file.push(("data_preprocessor.mean".into(), vec![3, 1, 1], vec![0.0; 3]));
    let checkpoint = loaded("epoch_12.pth", &checkpoint_zip(&file, meta), None);
    assert_values(&checkpoint.weights, &expect);
    assert_eq!(checkpoint.dialect, Dialect::Mmdet);
    assert_eq!(checkpoint.classes.names, ["cat", "dog"]);
    assert_eq!(checkpoint.config.coco_classes, ["background", "cat", "dog"]);
    let config = &checkpoint.config;
    assert_eq!(config.backbone.style, Style::Pytorch);
    assert_eq!((config.img_width, config.img_height), (640, 480));
    assert_eq!(config.img_mean, [1.5, 2.5, 3.5]);
    assert_eq!(config.img_std, [4.0, 5.0, 6.0]);
    assert!(config.to_rgb);
    assert_eq!(config.divider, 32);
    let notes = checkpoint.notes.join("\n");
    assert!(
        notes.contains("meta.config: backbone.style pytorch"),
        "{notes}"
    );
    assert!(notes.contains("1333x800"), "{notes}");
}

/// The dialect follows the container where the names are mmdetection's.
#[test]
fn mmdetection_names_in_a_mindspore_file() {
    let expect = named(&formula_weights(&narrow(2)));
    let checkpoint = loaded("a.ckpt", &checkpoint_ckpt(&expect), None);
    assert_values(&checkpoint.weights, &expect);
    assert_eq!(checkpoint.dialect, Dialect::Mindspore);
    assert_eq!(checkpoint.config.img_width, 1024);
}

#[test]
fn plain_mask_rcnn_has_no_mask_iou() {
    let expect = without_iou_head(named(&formula_weights(&narrow(2))));
    let checkpoint = loaded("a.pth", &checkpoint_zip(&expect, b"N"), None);
    assert_eq!(checkpoint.iou_head, IouHead::Untrained);
    assert_values(&checkpoint.weights, &expect);
}

#[test]
fn mmdetection_1_is_refused() {
    let file: Vec<Named> = named(&formula_weights(&narrow(2)))
        .into_iter()
        .map(|(name, shape, values)| (name.replace("roi_head.", ""), shape, values))
        .collect();
    let (_folder, path) = write("old.pth", &checkpoint_zip(&file, b"N"));
    let error = load(&path, None, &LoadOptions::default())
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("mmdetection 1") && error.contains("upgrade"),
        "{error}"
    );
    let inspection = inspect(&path).unwrap();
    assert_eq!(inspection.refusal, Some(error));
}

#[test]
fn backbones_alone() {
    let config = narrow(2);
    let expect: Vec<Named> = named(&formula_weights(&config))
        .into_iter()
        .filter(|(name, ..)| name.starts_with("backbone."))
        .collect();
    let plain = |rename: &dyn Fn(&str) -> String| -> Vec<Named> {
        let mut file: Vec<Named> = expect
            .iter()
            .map(|(name, shape, values)| {
                let name = rename(name);
                let name = name.strip_prefix("backbone.").unwrap().to_owned();
                (name, shape.clone(), values.clone())
            })
            .collect();
        file.push(("fc.weight".into(), vec![2, 64], vec![0.0; 128]));
        file
    };
    let torch = checkpoint_zip(&plain(&str::to_owned), b"N");
    let mindspore = checkpoint_ckpt(&plain(&mindspore_name));
    let detector = checkpoint_zip(&named(&formula_weights(&config)), b"N");
    for (name, bytes, warned) in [
        ("resnet50.pth", torch, true),
        ("resnet50.ckpt", mindspore, false),
        ("detector.pth", detector, false),
    ] {
        let (_folder, path) = write(name, &bytes);
        let backbone = load_backbone(&path, &config).unwrap_or_else(|e| panic!("{e}"));
        assert_values(&backbone.weights, &expect);
        let says_rgb = backbone.notes.iter().any(|note| note.contains("to_rgb 1"));
        assert_eq!(says_rgb, warned, "{name}");
        if name != "detector.pth" {
            let error = load(&path, None, &LoadOptions::default()).unwrap_err();
            assert!(error.to_string().contains("backbone.pretrained"), "{error}");
            assert_eq!(inspect(&path).unwrap().mismatch.missing.len(), 0);
        }
        let mut wide = narrow(2);
        wide.backbone.base_channels = 4;
        let error = load_backbone(&path, &wide).unwrap_err().to_string();
        assert!(error.contains("conv1.weight has [2, 3, 7, 7]"), "{error}");
    }
}

#[test]
fn everything_that_does_not_fit_is_listed_at_once() {
    let config = narrow(3);
    let mut file = named(&formula_weights(&config));
    file.retain(|(name, ..)| !name.starts_with("neck.fpn_convs.2"));
    for (name, shape, values) in &mut file {
        if name == "backbone.conv1.weight" {
            shape[3] = 5;
            *values = vec![0.0; shape.iter().product()];
        }
    }
    file.push(("roi_head.extra.weight".into(), vec![1, 2], vec![0.0; 2]));
    file.push(("neck.fpn_convs.9.conv.weight".into(), vec![1], vec![0.0]));
    let (_folder, path) = write("odd.pth", &checkpoint_zip(&file, b"N"));
    let error = load(&path, Some(&config), &LoadOptions::default()).unwrap_err();
    let WeightsError::Mismatch { mismatch, .. } = &error else {
        panic!("{error}");
    };
    let missing: Vec<&str> = mismatch.missing.iter().map(|(n, _)| n.as_str()).collect();
    assert_eq!(
        missing,
        ["neck.fpn_convs.2.conv.weight", "neck.fpn_convs.2.conv.bias"]
    );
    assert_eq!(mismatch.misshapen[0].got, [2, 3, 7, 5]);
    assert_eq!(mismatch.misshapen[0].want, [2, 3, 7, 7]);
    assert_eq!(mismatch.left_over.len(), 2);
    let text = error.to_string();
    for part in [
        "2 missing, 1 of another shape, 2 left over",
        "roi_head.extra.weight [1, 2]",
        "odd.pth",
    ] {
        assert!(text.contains(part), "{text}");
    }
    // Another number of classes is said in words.
    let file = named(&formula_weights(&narrow(3)));
    let (_folder, path) = write("three.pth", &checkpoint_zip(&file, b"N"));
    let error = load(&path, Some(&narrow(5)), &LoadOptions::default()).unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("the checkpoint has 3 classes, the configuration 5"),
        "{text}"
    );
    assert!(
        text.contains("fc_cls.weight has [4, 6], the model needs [6, 6]"),
        "{text}"
    );
}

/// One model in the three containers that hold pickles, and as a pickle of numpy arrays.
#[test]
fn every_container_gives_the_same_model() {
    let expect = named(&formula_weights(&narrow(2)));
    let bytes = |values: &[f32]| {
        values
            .iter()
            .flat_map(|v| v.to_le_bytes())
            .collect::<Vec<u8>>()
    };
    let size = |shape: &[usize]| shape.iter().map(|&s| s as i64).collect::<Vec<i64>>();

    let begin = Pickle::protocol(2)
        .global("collections", "OrderedDict")
        .raw(b")R(");
    let mut object = begin;
    let mut storages = Vec::new();
    for (index, (name, shape, values)) in expect.iter().enumerate() {
        let mut view = View::new(&size(shape));
        view.key = index.to_string().leak();
        object = view.push(object.text(name));
        storages.push((view.key, view.numel, bytes(values)));
    }
    // Storages follow in the order of their own list, not of the object.
    storages.reverse();
    let storages: Vec<(&str, i64, &[u8])> = storages
        .iter()
        .map(|(key, numel, data)| (*key, *numel, data.as_slice()))
        .collect();
    let legacy = torch_legacy(&object.raw(b"u").stop(), &storages);

    let mut arrays = Pickle::protocol(2).raw(b"}(").text("model").raw(b"}(");
    for (name, shape, values) in &expect {
        arrays = numpy_array(arrays.text(name), &size(shape), "f4", "<", &bytes(values));
    }
    let pickle = arrays.raw(b"uu").stop();

    for (name, file) in [
        ("zip.pth", checkpoint_zip(&expect, b"N")),
        ("legacy.pth", legacy),
        ("model.pkl", pickle),
    ] {
        assert_values(&loaded(name, &file, None).weights, &expect);
    }
}
