//! A model folder of the fixtures: configuration, weights, pictures with the reference of every stage.

use std::path::{Path, PathBuf};

use candle_core::Tensor as Candle;
use maskscope::coco::rle_string;
use maskscope::config::{Config, Depth, Dialect, Style};
use maskscope::model::Detector;
use maskscope::structures::{BoxXyxy, ClassTable, ImageTransform, Rle, Size};
use maskscope::weights::{IouHead, LoadedCheckpoint, Weights};
use serde_json::Value;

use crate::support::device::device;
use crate::support::fixtures::{self, Tensors};

pub const DIALECTS: [Dialect; 2] = [Dialect::Mmdet, Dialect::Mindspore];

/// C2..P6 and RPN outputs, of the tensor's largest value.
pub const MAPS: f64 = 1e-4;
/// Coordinates in pixels.
pub const BOXES: f64 = 0.01;

/// Pixels in which a mask may differ, and all masks of a picture together.
pub const MASK_PIXELS: u64 = 3;
pub const PICTURE_PIXELS: u64 = 20;

/// Tolerances that depend on the size of the model.
#[derive(Clone, Copy, Debug)]
pub struct Tolerances {
    /// Box and mask logits, deltas.
    pub logits: f64,
    /// Class scores, mask IoU, mask scores.
    pub scores: f64,
}

/// The narrow models, whose heads are scaled up and amplify rounding.
pub const TINY: Tolerances = Tolerances {
    logits: 5e-3,
    scores: 3e-4,
};

/// Name of a dialect in the files.
pub fn variant(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Mmdet => "mmdet",
        Dialect::Mindspore => "mindspore",
    }
}

/// A folder with a `config.json`.
pub struct ModelCase {
    pub name: String,
    pub folder: PathBuf,
    pub config: Config,
}

/// One picture of a folder.
pub struct ImageCase {
    pub name: String,
    pub info: Value,
    pub tensors: Tensors,
}

impl ModelCase {
    /// All of them; fails where there is none.
    pub fn all() -> Vec<Self> {
        fixtures::model_folders()
            .into_iter()
            .map(Self::read)
            .collect()
    }

    /// The one that the project holds itself, for tests that need no reference.
    pub fn own() -> Self {
        let project = Path::new(env!("CARGO_MANIFEST_DIR"));
        Self::read(project.join("tests/fixtures/tiny_pytorch_style"))
    }

    fn read(folder: PathBuf) -> Self {
        let json = fixtures::json(&folder.join("config.json"));
        Self {
            name: folder.file_name().unwrap().to_string_lossy().into_owned(),
            config: config(&json),
            folder,
        }
    }

    /// The checkpoint of `weights.safetensors`.
    pub fn checkpoint(&self, dialect: Dialect) -> LoadedCheckpoint {
        let path = self.folder.join("weights.safetensors");
        let tensors = Tensors::read(&path).0.into_iter();
        let tensors = tensors.map(|(name, tensor)| {
            let values = tensor.f32().to_vec();
            (name, (tensor.shape, values))
        });
        LoadedCheckpoint {
            weights: Weights::from_memory(&path, tensors.collect()),
            config: self.config.clone(),
            dialect,
            classes: ClassTable::default(),
            iou_head: IouHead::Trained,
            notes: Vec::new(),
            path,
        }
    }

    /// The detector built from `weights.safetensors`.
    pub fn detector(&self, dialect: Dialect) -> Detector {
        Detector::new(&self.checkpoint(dialect), device()).unwrap()
    }

    /// Every picture; fails where there is none.
    pub fn images(&self) -> Vec<ImageCase> {
        let read = |index: usize| {
            let file = self.folder.join(format!("image{index}.json"));
            file.is_file().then(|| ImageCase {
                name: format!("{} image{index}", self.name),
                info: fixtures::json(&file),
                tensors: Tensors::read(&file.with_extension("safetensors")),
            })
        };
        let images: Vec<ImageCase> = (0..).map_while(read).collect();
        assert!(
            !images.is_empty(),
            "no picture in {}",
            self.folder.display()
        );
        images
    }
}

/// Calls `check` with every picture of every model under one dialect's detector.
pub fn each_image(dialect: Dialect, mut check: impl FnMut(&ModelCase, &Detector, &ImageCase)) {
    for case in ModelCase::all() {
        let detector = case.detector(dialect);
        for image in case.images() {
            check(&case, &detector, &image);
        }
    }
}

impl ImageCase {
    /// A stored tensor for the network.
    pub fn candle(&self, name: &str) -> Candle {
        let tensor = self.tensors.get(name);
        Candle::from_slice(tensor.f32(), tensor.shape.as_slice(), device()).unwrap()
    }

    /// Values of a tensor of one dialect.
    pub fn floats(&self, dialect: Dialect, part: &str) -> &[f32] {
        let name = format!("{}.{part}", variant(dialect));
        self.tensors.get(&name).f32()
    }

    /// Boxes of one dialect.
    pub fn boxes(&self, dialect: Dialect, part: &str) -> Vec<BoxXyxy> {
        boxes(self.floats(dialect, part))
    }

    /// Labels of one dialect's detections.
    pub fn labels(&self, dialect: Dialect) -> Vec<usize> {
        let name = format!("{}.det_labels", variant(dialect));
        let labels = self.tensors.get(&name).i64();
        labels.iter().map(|&label| label as usize).collect()
    }

    /// How the picture became the input.
    pub fn transform(&self) -> ImageTransform {
        let [image, resized, padded] =
            ["original", "resized", "padded"].map(|key| size(&self.info[key]));
        ImageTransform::new(image, resized, padded)
    }

    /// The reference's masks at the size of the picture, pasted as this program decides: into unclipped boxes.
    pub fn masks(&self, dialect: Dialect) -> Vec<Rle> {
        let key = match dialect {
            Dialect::Mmdet => "masks",
            Dialect::Mindspore => "masks_unclipped_paste",
        };
        let masks = &self.info["variants"][variant(dialect)][key];
        let mask = |mask: &Value| {
            let counts = mask["counts"].as_str().unwrap();
            rle_string::decode(counts, size(&mask["size"])).unwrap()
        };
        masks.as_array().unwrap().iter().map(mask).collect()
    }
}

/// Rows of x1, y1, x2, y2.
pub fn boxes(values: &[f32]) -> Vec<BoxXyxy> {
    let corners = values.as_chunks::<4>().0;
    corners
        .iter()
        .map(|&[x1, y1, x2, y2]| BoxXyxy::new(x1, y1, x2, y2))
        .collect()
}

/// All values of a network's tensor.
pub fn flat(tensor: &Candle) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

fn size(height_width: &Value) -> Size {
    let side = |index: usize| height_width[index].as_u64().unwrap() as usize;
    Size::new(side(1), side(0))
}

/// The configuration that a fixture's `config.json` describes.
pub fn config(json: &Value) -> Config {
    let mut config = architecture(&json["arch"]);
    let rpn = &json["rpn"];
    if rpn.is_object() {
        let rules = &mut config.test_cfg.rpn;
        rules.nms_pre = whole(&rpn["nms_pre"]);
        rules.max_per_img = whole(&rpn["max_per_img"]);
        rules.iou_threshold = rpn["iou_threshold"].as_f64().unwrap();
        rules.min_bbox_size = rpn["min_bbox_size"].as_f64().unwrap();
    }
    let rcnn = &json["rcnn"];
    if rcnn.is_object() {
        let rules = &mut config.test_cfg.rcnn;
        rules.score_thr = rcnn["score_thr"].as_f64().unwrap();
        rules.iou_threshold = rcnn["iou_threshold"].as_f64().unwrap();
        rules.max_per_img = whole(&rcnn["max_per_img"]);
        rules.mask_thr_binary = rcnn["mask_thr_binary"].as_f64().unwrap();
    }
    if json["mean"].is_array() {
        config.to_rgb = true; // the files hold RGB
        config.img_mean = serde_json::from_value(json["mean"].clone()).unwrap();
        config.img_std = serde_json::from_value(json["std"].clone()).unwrap();
    }
    config
}

/// The configuration of an `arch` object; the rest is the default.
pub fn architecture(arch: &Value) -> Config {
    let mut config = Config::default();
    let [base, fpn, classes] =
        ["base_channels", "fpn_channels", "num_classes"].map(|key| whole(&arch[key]));
    config.backbone.depth = match whole(&arch["depth"]) {
        50 => Depth::R50,
        101 => Depth::R101,
        152 => Depth::R152,
        other => panic!("depth {other}"),
    };
    config.backbone.style = match arch["style"].as_str() {
        Some("caffe") => Style::Caffe,
        Some("pytorch") => Style::Pytorch,
        other => panic!("style {other:?}"),
    };
    config.backbone.base_channels = base;
    config.neck.fpn.in_channels = (0..4).map(|stage| (4 * base) << stage).collect();
    config.neck.fpn.out_channels = fpn;
    config.rpn.in_channels = fpn;
    config.rpn.feat_channels = fpn;
    config.roi.out_channels = fpn;
    config.mask_roi.out_channels = fpn;
    config.bbox_head.in_channels = fpn;
    config.bbox_head.fc_out_channels = whole(&arch["box_fc"]);
    config.mask_head.in_channels = fpn;
    config.mask_head.conv_out_channels = whole(&arch["mask_channels"]);
    config.mask_iou_head.in_channels = fpn;
    config.mask_iou_head.conv_out_channels = whole(&arch["iou_channels"]);
    config.mask_iou_head.fc_out_channels = whole(&arch["iou_fc"]);
    config.num_classes = classes + 1;
    let name = |class| format!("class{class}");
    config.coco_classes = std::iter::once("background".to_owned())
        .chain((0..classes).map(name))
        .collect();
    config
}

fn whole(value: &Value) -> usize {
    value.as_u64().unwrap() as usize
}
