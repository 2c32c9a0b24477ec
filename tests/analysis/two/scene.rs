//! Sets of ground truth and predictions for the tests: from fixtures, made at random, or drawn by hand.

use std::sync::Arc;

use maskscope::coco::{Dataset, rle_string};
use maskscope::eval::{
    Area, Cells, EvalInput, IdPolicy, ImageRef, Kind, Matches, Order, Overlaps, Pairing,
    PredictedImages, Scope, Selection, Setup, build, matches, pair_up, rank_scores,
};
use maskscope::structures::ranking::RankBy;
use maskscope::structures::{BoxXywh, Detection, Rle, Size};
use serde_json::{Value, json};

use crate::support::fixtures;

/// Fixtures of evaluation that carry their own ground truth.
const FIXTURES: [&str; 11] = [
    "area_borders",
    "basic",
    "crowd",
    "empty_images",
    "id_zero",
    "mask_scoring",
    "max_dets",
    "no_gt",
    "parts",
    "ties",
    "twins",
];

/// A set as COCO JSON and as the engine reads it.
pub struct Scene {
    pub gt: Value,
    pub dt: Vec<Value>,
    pub input: EvalInput,
    pub cells: Cells,
    pub overlaps: Overlaps,
    pub order: Order,
}

impl Scene {
    pub fn new(gt: Value, dt: Vec<Value>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gt.json");
        std::fs::write(&path, serde_json::to_vec(&gt).unwrap()).unwrap();
        let dataset = Dataset::open(&path).unwrap();
        let predicted = predicted(&dataset, &dt);
        let input = build(&dataset, &predicted, &|_| true).unwrap();
        assert_eq!(input.left_out_count, 0, "{:?}", input.left_out);
        let cells = Cells::new(&input);
        let overlaps = Overlaps::measure(&input, Kind::Segm, Scope::AnyClass, &|_| true).unwrap();
        let order = Order::new(&cells, &rank_scores(&input, RankBy::Score));
        Self {
            gt,
            dt,
            input,
            cells,
            overlaps,
            order,
        }
    }

    pub fn setup(&self) -> Setup<'_> {
        Setup {
            input: &self.input,
            cells: &self.cells,
            overlaps: &self.overlaps,
            kind: Kind::Segm,
            ids: IdPolicy::ByIndex,
        }
    }

    pub fn matches(&self, selection: &Selection) -> Matches {
        matches(&self.setup(), &self.order, selection)
    }

    pub fn pairing(&self, selection: &Selection, threshold: usize) -> Pairing {
        let found = self.matches(selection);
        pair_up(&self.setup(), &self.order, selection, &found, threshold)
    }

    /// hotcoco's own evaluation of the same files.
    pub fn hotcoco(&self) -> hotcoco::COCOeval {
        let dataset: hotcoco::Dataset = serde_json::from_value(self.gt.clone()).unwrap();
        let gt = hotcoco::COCO::from_dataset(dataset);
        let anns = serde_json::from_value(Value::Array(self.dt.clone())).unwrap();
        let dt = gt.load_res_anns(anns).unwrap();
        let mut eval = hotcoco::COCOeval::new(gt, dt, hotcoco::params::IouType::Segm);
        eval.evaluate().unwrap();
        eval
    }
}

fn predicted(dataset: &Dataset, dt: &[Value]) -> PredictedImages {
    let mut images: Vec<(ImageRef, Vec<Detection>)> = Vec::new();
    let mut place = std::collections::HashMap::new();
    for of in dt {
        let id = of["image_id"].as_u64().unwrap();
        let at = *place.entry(id).or_insert_with(|| {
            images.push((ImageRef::Id(id), Vec::new()));
            images.len() - 1
        });
        let category = of["category_id"].as_i64().unwrap();
        let ids = &dataset.classes().category_ids;
        let label = ids.iter().position(|&known| known == category).unwrap();
        images[at].1.push(detection(of, label));
    }
    PredictedImages {
        classes: dataset.classes().clone(),
        by_category_id: true,
        images: images
            .into_iter()
            .map(|(image, list)| (image, Arc::new(list)))
            .collect(),
    }
}

fn detection(of: &Value, label: usize) -> Detection {
    let size = &of["segmentation"]["size"];
    let side = |at: usize| size[at].as_u64().unwrap() as usize;
    let counts = of["segmentation"]["counts"].as_str().unwrap();
    let mask = rle_string::decode(counts, Size::new(side(1), side(0))).unwrap();
    let score = of["score"].as_f64().unwrap();
    let mask_iou = of.get("mask_iou").and_then(Value::as_f64);
    Detection {
        bbox: mask.bbox(),
        label,
        score,
        mask_iou,
        iou_score: score * mask_iou.unwrap_or(1.0),
        mask,
        quality: None,
    }
}

/// The fixtures with their names; empty where the machine has none.
pub fn fixture_scenes() -> Vec<(&'static str, Scene)> {
    let scenes: Vec<_> = FIXTURES
        .into_iter()
        .filter_map(|name| {
            let folder = fixtures::find_folder(&format!("eval/{name}"))?;
            let gt = fixtures::json(&folder.join("gt.json"));
            let mut dt = fixtures::json(&folder.join("dt.json"))
                .as_array()
                .unwrap()
                .clone();
            for of in &mut dt {
                // With a box hotcoco takes the box's area for the mask's.
                of.as_object_mut().unwrap().remove("bbox");
            }
            Some((name, Scene::new(gt, dt)))
        })
        .collect();
    if scenes.is_empty() {
        eprintln!("skipped: the evaluation fixtures are not on this machine");
    }
    scenes
}

/// A small deterministic generator.
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, limit: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % limit
    }

    pub fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }
}

/// The mask of an ellipse; integers, so that any language draws the same one.
pub fn ellipse(size: Size, [cx, cy, a, b]: [i64; 4]) -> Rle {
    let mut bytes = Vec::with_capacity(size.pixels());
    for y in 0..size.height as i64 {
        for x in 0..size.width as i64 {
            let inside = (x - cx).pow(2) * b * b + (y - cy).pow(2) * a * a <= a * a * b * b;
            bytes.push(u8::from(inside));
        }
    }
    Rle::from_row_major(size, &bytes).unwrap()
}

/// The mask of a rectangle `x, y, width, height`.
pub fn rectangle(size: Size, [x, y, w, h]: [usize; 4]) -> Rle {
    let inside = |at: usize| {
        let (column, row) = (at % size.width, at / size.width);
        (x..x + w).contains(&column) && (y..y + h).contains(&row)
    };
    let bytes: Vec<u8> = (0..size.pixels()).map(|at| u8::from(inside(at))).collect();
    Rle::from_row_major(size, &bytes).unwrap()
}

pub fn segmentation(mask: &Rle) -> Value {
    let Size { width, height } = mask.size();
    json!({"size": [height, width], "counts": rle_string::encode(mask)})
}

/// Writes a set annotation by annotation.
pub struct Drawing {
    size: Size,
    images: Vec<Value>,
    categories: Vec<Value>,
    annotations: Vec<Value>,
    dt: Vec<Value>,
}

impl Drawing {
    /// Category ids are 1, 2, ... in the order of the names; image ids as well.
    pub fn new(size: Size, images: usize, classes: &[&str]) -> Self {
        let Size { width, height } = size;
        let image = |id| json!({"id": id, "file_name": format!("{id}.png"), "width": width, "height": height});
        Self {
            size,
            images: (1..=images).map(image).collect(),
            categories: (1..)
                .zip(classes)
                .map(|(id, name)| json!({"id": id, "name": name}))
                .collect(),
            annotations: Vec::new(),
            dt: Vec::new(),
        }
    }

    pub fn truth(&mut self, id: u64, image: u64, category: u64, rect: [usize; 4]) -> &mut Self {
        self.truth_mask(id, image, category, false, &rectangle(self.size, rect))
    }

    pub fn crowd(&mut self, id: u64, image: u64, category: u64, rect: [usize; 4]) -> &mut Self {
        self.truth_mask(id, image, category, true, &rectangle(self.size, rect))
    }

    pub fn truth_mask(
        &mut self,
        id: u64,
        image: u64,
        category: u64,
        crowd: bool,
        mask: &Rle,
    ) -> &mut Self {
        let BoxXywh {
            x,
            y,
            width,
            height,
        } = mask.bbox();
        self.annotations.push(json!({
            "id": id, "image_id": image, "category_id": category, "iscrowd": u8::from(crowd),
            "area": mask.area() as f64, "bbox": [x, y, width, height], "segmentation": segmentation(mask),
        }));
        self
    }

    pub fn detection(
        &mut self,
        image: u64,
        category: u64,
        score: f64,
        rect: [usize; 4],
    ) -> &mut Self {
        self.detection_mask(image, category, score, &rectangle(self.size, rect))
    }

    pub fn detection_mask(
        &mut self,
        image: u64,
        category: u64,
        score: f64,
        mask: &Rle,
    ) -> &mut Self {
        self.dt.push(json!({
            "image_id": image, "category_id": category, "score": score, "segmentation": segmentation(mask),
        }));
        self
    }

    /// Gives the last detection a `mask_iou`.
    pub fn mask_iou(&mut self, mask_iou: f64) -> &mut Self {
        self.dt.last_mut().unwrap()["mask_iou"] = json!(mask_iou);
        self
    }

    pub fn finish(&self) -> Scene {
        let gt = json!({
            "images": self.images, "categories": self.categories, "annotations": self.annotations,
        });
        Scene::new(gt, self.dt.clone())
    }
}

/// A random set: crowds, ties, several classes on one place, images without truths or detections.
pub fn random_drawing(seed: u64) -> Drawing {
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) + 1);
    let size = Size::new(24 + random.below(60), 24 + random.below(60));
    let (images, classes) = (1 + random.below(6), 1 + random.below(4));
    let mut drawing = Drawing::new(size, images, &["cat", "dog", "bird", "cow"][..classes]);
    let mut id = 0;
    for image in 1..=images as u64 {
        let mut places = Vec::new();
        for _ in 0..random.below(6) {
            let rect = place(&mut random, size);
            id += 1;
            let category = 1 + random.below(classes) as u64;
            places.push((category, rect));
            let is_crowd = random.chance(15);
            drawing.truth_mask(id, image, category, is_crowd, &rectangle(size, rect));
        }
        for _ in 0..random.below(12) {
            let near = (!places.is_empty() && random.chance(75))
                .then(|| places[random.below(places.len())]);
            let (own, [x, y, w, h]) = near.unwrap_or_else(|| (1, place(&mut random, size)));
            let category = if random.chance(70) {
                own
            } else {
                1 + random.below(classes) as u64
            };
            let (w, h) = (w + random.below(4), h + random.below(4));
            let (x, y) = (
                (x + random.below(4)).min(size.width - 1),
                (y + random.below(4)).min(size.height - 1),
            );
            // Few distinct scores: ties are the rule.
            let score = (1 + random.below(10)) as f64 / 10.0;
            drawing.detection(image, category, score, [x, y, w, h]);
            if random.chance(80) {
                drawing.mask_iou((1 + random.below(100)) as f64 / 100.0);
            }
        }
    }
    if drawing.dt.is_empty() {
        drawing.detection(1, 1, 0.5, [0, 0, 5, 5]);
    }
    drawing
}

fn place(random: &mut Random, size: Size) -> [usize; 4] {
    let (w, h) = (
        3 + random.below(size.width / 2),
        3 + random.below(size.height / 2),
    );
    [
        random.below(size.width - w),
        random.below(size.height - h),
        w,
        h,
    ]
}

/// A selection that leaves some of everything out.
pub fn random_selection(input: &EvalInput, seed: u64) -> Selection {
    let mut random = Random(seed);
    let mut some = |count: usize| Some((0..count).map(|_| random.chance(80)).collect());
    Selection {
        images: some(input.images.len()),
        truths: some(input.truths.len()),
        detections: some(input.detections.len()),
    }
}

/// Every area range.
pub const AREAS: [Area; 4] = Area::ALL;
