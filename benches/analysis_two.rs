//! What went wrong in a set of COCO's size: `cargo bench --bench analysis_two`. Prints the fastest of three runs.
//!
//! 5,000 images of 640×480, 36,000 ground truths and 250,000 detections of 80 classes; masks are ellipses as large as
//! objects of COCO are.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a measurement stops at what goes wrong and prints"
)]

use std::sync::Arc;
use std::time::Instant;

use maskscope::coco::{Dataset, rle_string};
use maskscope::eval::{
    Area, Cells, ConfusionRule, DiagnosisRules, IdPolicy, ImageRef, Kind, Order, Overlaps,
    PredictedImages, Scope, Selection, Setup, SuspectRules, accumulate, boundary_overlaps, build,
    confusion, diagnose, ledger, matches, measured_ious, pair_up, per_image, rank_scores, suspects,
    tide,
};
use maskscope::structures::ranking::RankBy;
use maskscope::structures::{Detection, Rle, Size};
use rayon::prelude::*;
use serde_json::{Value, json};

const IMAGES: usize = 5_000;
const TRUTHS: usize = 36_000;
const DETECTIONS: usize = 250_000;
const CLASSES: usize = 80;
const SIZE: Size = Size {
    width: 640,
    height: 480,
};

/// Prints and returns the fastest of three runs.
fn measure<T>(what: &str, mut run: impl FnMut() -> T) -> T {
    let mut best = f64::INFINITY;
    let mut result = None;
    for _ in 0..3 {
        let start = Instant::now();
        result = Some(std::hint::black_box(run()));
        best = best.min(start.elapsed().as_secs_f64());
    }
    println!("{what}: {:.0} ms", best * 1e3);
    result.unwrap()
}

struct Random(u64);

impl Random {
    fn unit(&mut self) -> f64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f64 / (1u64 << 24) as f64
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.unit() * limit as f64) as usize
    }
}

/// Centre and half axes.
#[derive(Clone, Copy)]
struct Ellipse([f64; 4]);

impl Ellipse {
    fn random(random: &mut Random) -> Self {
        // 41 % small, 34 % medium, 25 % large
        let half = match random.below(100) {
            0..41 => 5.0 + 11.0 * random.unit(),
            41..75 => 18.0 + 30.0 * random.unit(),
            _ => 50.0 + 100.0 * random.unit(),
        };
        let aspect = 0.6 + 0.8 * random.unit();
        let (width, height) = (SIZE.width as f64, SIZE.height as f64);
        Self([
            width * random.unit(),
            height * random.unit(),
            half * aspect,
            half / aspect,
        ])
    }

    fn moved(self, random: &mut Random, share: f64) -> Self {
        let mut by = |scale: f64| scale * share * (2.0 * random.unit() - 1.0);
        let [x, y, a, b] = self.0;
        Self([x + by(a), y + by(b), a + by(a), b + by(b)])
    }

    fn mask(self) -> Rle {
        let [cx, cy, a, b] = self.0;
        let height = SIZE.height as f64;
        let (mut runs, mut at) = (Vec::new(), 0u32);
        for x in 0..SIZE.width {
            let dx = (x as f64 + 0.5 - cx) / a;
            if dx.abs() >= 1.0 {
                continue;
            }
            let reach = b * (1.0 - dx * dx).sqrt();
            let top = (cy - reach).clamp(0.0, height) as u32;
            let bottom = (cy + reach).clamp(0.0, height) as u32;
            if bottom > top {
                let start = (x * SIZE.height) as u32 + top;
                runs.extend([start - at, bottom - top]);
                at = start + bottom - top;
            }
        }
        runs.push(SIZE.pixels() as u32 - at);
        Rle::new(SIZE, runs).unwrap()
    }
}

struct Object {
    label: usize,
    ellipse: Ellipse,
}

fn ground_truth(random: &mut Random) -> (Value, Vec<Vec<Object>>) {
    let mut objects: Vec<Vec<Object>> = (0..IMAGES).map(|_| Vec::new()).collect();
    let mut annotations = Vec::with_capacity(TRUTHS);
    for id in 1..=TRUTHS {
        // Few classes of an image are many: squares favour the first.
        let image = random.below(IMAGES);
        let label = (image + (random.unit().powi(2) * 6.0) as usize) % CLASSES;
        let ellipse = Ellipse::random(random);
        let mask = ellipse.mask();
        let b = mask.bbox();
        annotations.push(json!({
            "id": id, "image_id": image + 1, "category_id": label + 1, "iscrowd": u8::from(id % 90 == 0),
            "area": mask.area().max(1), "bbox": [b.x, b.y, b.width, b.height],
            "segmentation": {"size": [SIZE.height, SIZE.width], "counts": rle_string::encode(&mask)},
        }));
        objects[image].push(Object { label, ellipse });
    }
    let image = |id| json!({"id": id, "file_name": format!("{id}.jpg"), "width": SIZE.width, "height": SIZE.height});
    let category = |id| json!({"id": id, "name": format!("class {id}")});
    let set = json!({
        "images": (1..=IMAGES).map(image).collect::<Vec<_>>(),
        "categories": (1..=CLASSES).map(category).collect::<Vec<_>>(),
        "annotations": annotations,
    });
    (set, objects)
}

fn predictions(random: &mut Random, objects: &[Vec<Object>]) -> Vec<Vec<Detection>> {
    let mut of_images: Vec<Vec<Detection>> = (0..IMAGES).map(|_| Vec::new()).collect();
    for index in 0..DETECTIONS {
        let image = index % IMAGES;
        let near = (random.unit() < 0.5 && !objects[image].is_empty())
            .then(|| &objects[image][random.below(objects[image].len())]);
        let (own, ellipse) = match near {
            Some(object) => {
                let share = 0.4 * random.unit();
                (object.label, object.ellipse.moved(random, share))
            }
            None => (random.below(CLASSES), Ellipse::random(random)),
        };
        let label = if random.unit() < 0.7 {
            own
        } else {
            (image + random.below(6)) % CLASSES
        };
        let score = if near.is_some() {
            random.unit()
        } else {
            random.unit().powi(4)
        };
        let mask_iou = random.unit();
        let mask = ellipse.mask();
        of_images[image].push(Detection {
            bbox: mask.bbox(),
            label,
            score,
            mask_iou: Some(mask_iou),
            iou_score: score * mask_iou,
            mask,
            quality: None,
        });
    }
    of_images
}

fn main() {
    let mut random = Random(1);
    let (set, objects) = ground_truth(&mut random);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("set.json");
    std::fs::write(&path, serde_json::to_vec(&set).unwrap()).unwrap();
    let dataset = Dataset::open(&path).unwrap();
    let predicted = PredictedImages {
        classes: dataset.classes().clone(),
        by_category_id: true,
        images: predictions(&mut random, &objects)
            .into_iter()
            .enumerate()
            .map(|(image, list)| (ImageRef::Position(image), Arc::new(list)))
            .collect(),
    };
    let input = build(&dataset, &predicted, &|_| true).unwrap();
    let (images, truths) = (input.images.len(), input.truths.len());
    println!(
        "{images} images, {truths} ground truths, {} detections",
        input.detections.len()
    );
    let cells = measure("cells", || Cells::new(&input));
    let overlaps = |scope| Overlaps::measure(&input, Kind::Segm, scope, &|_| true).unwrap();
    measure("overlaps of one class", || overlaps(Scope::SameClass));
    let overlaps = measure("overlaps of any class", || overlaps(Scope::AnyClass));
    let setup = Setup {
        input: &input,
        cells: &cells,
        overlaps: &overlaps,
        kind: Kind::Segm,
        ids: IdPolicy::ByIndex,
    };
    let selection = Selection::default();
    let order = measure("order", || {
        Order::new(&cells, &rank_scores(&input, RankBy::IouScore))
    });
    let found = measure("matches", || matches(&setup, &order, &selection));
    measure("curves", || accumulate(&cells, &order, &found));
    let measured = measure("measured IoU", || measured_ious(&input, &overlaps));
    single(&setup, &order, &selection, &found, &measured);
    let rules = DiagnosisRules::default();
    let all = |_| true;
    let done = measure("diagnose: all of the five above", || {
        diagnose(&setup, &order, &selection, &found, &measured, &rules, &all).unwrap()
    });
    println!(
        "{:?}",
        done.tide.bars.map(|bar| (bar.kind.key(), bar.count))
    );
    println!("{} suspects", done.suspects.list.len());
    measure("ledger of every image at ten thresholds", || {
        let of_image = |image| ledger(&setup, &order, &selection, image, Area::All);
        (0..images)
            .into_par_iter()
            .filter_map(of_image)
            .map(|ledger| ledger.truths.len())
            .sum::<usize>()
    });
    let rims = measure("boundary overlaps", || {
        boundary_overlaps(&input, &overlaps, &|_| true).unwrap()
    });
    let with_rims = Setup {
        overlaps: &rims,
        ..setup
    };
    let ap = |setup: &Setup<'_>| {
        accumulate(&cells, &order, &matches(setup, &order, &selection)).ap(Area::All)
    };
    println!(
        "mask AP {:.4}, boundary AP {:.4}",
        ap(&setup),
        ap(&with_rims)
    );
}

fn single(
    setup: &Setup<'_>,
    order: &Order,
    selection: &Selection,
    found: &maskscope::eval::Matches,
    measured: &[Option<f64>],
) {
    let pairing = measure("pairing", || pair_up(setup, order, selection, found, 0));
    measure("per image", || {
        per_image(setup, order, selection, found, &pairing, measured)
    });
    measure("TIDE", || tide(setup, order, selection, found, &pairing));
    measure("confusion", || {
        confusion(setup, order, selection, ConfusionRule::default())
    });
    let rules = SuspectRules::default();
    measure("suspects", || {
        suspects(setup, selection, found, &pairing, measured, &rules)
    });
}
