//! Where golden data lies and how to read it. Folders are taken whole from one root, never mixed file by file.
#![allow(dead_code, reason = "each area of the tests uses its own part")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use safetensors::{Dtype, SafeTensors};

/// The folder that `MASKSCOPE_FIXTURES` names.
fn chosen_root() -> Option<PathBuf> {
    std::env::var_os("MASKSCOPE_FIXTURES").map(PathBuf::from)
}

/// Roots of named folders in the order of preference: `MASKSCOPE_FIXTURES`, `tests/fixtures`, then `../shared/fixtures`
/// for what is too large to copy.
fn roots() -> Vec<PathBuf> {
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    let own = [
        project.join("tests/fixtures"),
        project.join("../shared/fixtures"),
    ];
    chosen_root().into_iter().chain(own).collect()
}

/// Folder `name` of the first root that has it; `None` where no root has.
pub fn find_folder(name: &str) -> Option<PathBuf> {
    roots()
        .into_iter()
        .map(|root| root.join(name))
        .find(|folder| folder.is_dir())
}

/// Folder `name` of the first root that has it. Golden tests fail where there is none.
pub fn folder(name: &str) -> PathBuf {
    find_folder(name).unwrap_or_else(|| panic!("no fixture folder {name} in any of {:?}", roots()))
}

/// Every folder of every root whose name begins so; where `MASKSCOPE_FIXTURES` is set, its folders alone.
pub fn folders_named(prefix: &str) -> Vec<PathBuf> {
    let roots = chosen_root().map_or_else(roots, |root| vec![root]);
    let entries = roots.iter().filter_map(|root| std::fs::read_dir(root).ok());
    let mut found: Vec<PathBuf> = entries
        .flatten()
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.is_dir())
        .filter(|path| {
            path.file_name()
                .is_some_and(|n| n.to_string_lossy().starts_with(prefix))
        })
        .collect();
    found.sort();
    found
}

/// Every model folder (one that has a `config.json`), sorted by name; of two with one name the first root's.
/// Where `MASKSCOPE_FIXTURES` is set, its models alone. Fails where there is none, so that a golden test without a case is
/// no success.
pub fn model_folders() -> Vec<PathBuf> {
    let mut found = BTreeMap::new();
    let roots = chosen_root().map_or_else(roots, |root| vec![root]);
    for root in &roots {
        let Ok(entries) = std::fs::read_dir(root) else {
            continue;
        };
        for path in entries.filter_map(|entry| entry.ok().map(|entry| entry.path())) {
            if path.join("config.json").is_file()
                && let Some(name) = path.file_name()
            {
                found.entry(name.to_owned()).or_insert(path);
            }
        }
    }
    assert!(!found.is_empty(), "no model folder in any of {roots:?}");
    found.into_values().collect()
}

/// Real files of `../shared/data`; `None`, with a printed line, where the machine has none.
pub fn real_data(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../shared/data")
        .join(name);
    if path.exists() {
        return Some(path);
    }
    eprintln!("skipped: the real file {name} is not on this machine");
    None
}

/// A JSON file.
pub fn json(path: &Path) -> serde_json::Value {
    let text = std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// A tensor of a fixture: shape and row-major values in the type of the file.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    pub shape: Vec<usize>,
    pub values: Values,
}

/// Values of a tensor.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    F32(Vec<f32>),
    F64(Vec<f64>),
    I64(Vec<i64>),
    U8(Vec<u8>),
    /// Raw little-endian bytes of a type that needs no reading here.
    Other(Dtype, Vec<u8>),
}

impl Tensor {
    /// Values of an f32 tensor.
    pub fn f32(&self) -> &[f32] {
        match &self.values {
            Values::F32(values) => values,
            other => panic!("not f32: {other:?}"),
        }
    }

    /// Values of an f64 tensor.
    pub fn f64(&self) -> &[f64] {
        match &self.values {
            Values::F64(values) => values,
            other => panic!("not f64: {other:?}"),
        }
    }

    /// Values of an i64 tensor.
    pub fn i64(&self) -> &[i64] {
        match &self.values {
            Values::I64(values) => values,
            other => panic!("not i64: {other:?}"),
        }
    }

    /// Values of a u8 or bool tensor.
    pub fn u8(&self) -> &[u8] {
        match &self.values {
            Values::U8(values) => values,
            other => panic!("not u8: {other:?}"),
        }
    }
}

/// All tensors of one safetensors file by name.
#[derive(Clone, Debug, Default)]
pub struct Tensors(pub BTreeMap<String, Tensor>);

impl Tensors {
    /// Reads a whole file with the safetensors crate, which is independent of the program's own reader.
    pub fn read(path: &Path) -> Self {
        let bytes = std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let file =
            SafeTensors::deserialize(&bytes).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        Self(
            file.iter()
                .map(|(name, view)| {
                    let tensor = Tensor {
                        shape: view.shape().to_vec(),
                        values: values(view.dtype(), view.data()),
                    };
                    (name.to_owned(), tensor)
                })
                .collect(),
        )
    }

    /// A tensor; fails naming it where it is absent.
    pub fn get(&self, name: &str) -> &Tensor {
        self.0
            .get(name)
            .unwrap_or_else(|| panic!("no tensor {name}"))
    }

    /// Whether the file has the tensor.
    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// Names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

fn values(dtype: Dtype, data: &[u8]) -> Values {
    fn each<const N: usize, T>(data: &[u8], read: impl Fn([u8; N]) -> T) -> Vec<T> {
        data.as_chunks::<N>().0.iter().map(|b| read(*b)).collect()
    }
    match dtype {
        Dtype::F32 => Values::F32(each(data, f32::from_le_bytes)),
        Dtype::F64 => Values::F64(each(data, f64::from_le_bytes)),
        Dtype::I64 => Values::I64(each(data, i64::from_le_bytes)),
        Dtype::U8 | Dtype::BOOL => Values::U8(data.to_vec()),
        other => Values::Other(other, data.to_vec()),
    }
}

/// The configuration that a model folder's `config.json` describes, dialect left open.
pub fn model_config(description: &serde_json::Value) -> maskscope::config::Config {
    use maskscope::config::{Config, Depth, Style};
    let arch = &description["arch"];
    let size = |key: &str| arch[key].as_u64().unwrap_or_else(|| panic!("no {key}")) as usize;
    let mut config = Config::default();
    config.backbone.depth = match arch["depth"].to_string().trim_matches('"') {
        "50" => Depth::R50,
        "101" => Depth::R101,
        "152" => Depth::R152,
        "tiny" => Depth::Tiny,
        other => panic!("unknown depth {other}"),
    };
    config.backbone.style = match arch["style"].as_str() {
        Some("caffe") => Style::Caffe,
        Some("pytorch") => Style::Pytorch,
        other => panic!("unknown style {other:?}"),
    };
    let (base, fpn, classes) = (
        size("base_channels"),
        size("fpn_channels"),
        size("num_classes"),
    );
    config.backbone.base_channels = base;
    config.neck.fpn.in_channels = (0..4).map(|stage| (base * 4) << stage).collect();
    config.neck.fpn.out_channels = fpn;
    config.rpn.in_channels = fpn;
    config.rpn.feat_channels = fpn;
    config.roi.out_channels = fpn;
    config.mask_roi.out_channels = fpn;
    config.bbox_head.in_channels = fpn;
    config.bbox_head.fc_out_channels = size("box_fc");
    config.mask_head.in_channels = fpn;
    config.mask_head.conv_out_channels = size("mask_channels");
    config.mask_iou_head.in_channels = fpn;
    config.mask_iou_head.conv_out_channels = size("iou_channels");
    config.mask_iou_head.fc_out_channels = size("iou_fc");
    config.num_classes = classes + 1;
    let names: Vec<String> = match description["classes"].as_array() {
        Some(names) => names
            .iter()
            .map(|name| name.as_str().expect("a name").to_owned())
            .collect(),
        None => (0..classes).map(|label| format!("class{label}")).collect(),
    };
    config.coco_classes = std::iter::once("background".to_owned())
        .chain(names)
        .collect();
    let triple = |key: &str| {
        description[key]
            .as_array()
            .map(|values| std::array::from_fn(|i| values[i].as_f64().expect("a number")))
    };
    // The fixtures' networks see RGB.
    config.to_rgb = true;
    config.img_mean = triple("mean").unwrap_or([123.675, 116.28, 103.53]);
    config.img_std = triple("std").unwrap_or([58.395, 57.12, 57.375]);
    config
}
