//! COCO evaluation as its rules read, with loops over pixel sets: slow, and nothing to be clever about.
//!
//! The sums of the means are made in numpy's order, so results equal pycocotools' in every bit.

use serde_json::Value;

use super::case::{
    AREAS, Case, Cell, Ids, Kind, Outcome, Question, RECALL_POINTS, THRESHOLDS, sort_cells,
};
use super::pixels::{Pixels, floats};

/// Limits of the area ranges, both inside.
const RANGES: [[f64; 2]; 4] = [[0.0, 1e10], [0.0, 1024.0], [1024.0, 9216.0], [9216.0, 1e10]];
/// Detections that count, by image and category.
const MAX_DETECTIONS: [usize; 3] = [1, 10, 100];

/// A ground truth or a detection.
#[derive(Clone, Debug)]
struct Object {
    /// In its file.
    position: usize,
    id: u64,
    image: u64,
    category: u64,
    crowd: bool,
    area: f64,
    score: f64,
    shape: Shape,
}

#[derive(Clone, Debug)]
enum Shape {
    /// x, y, width, height.
    Box([f64; 4]),
    Mask(Pixels),
}

/// The numbers and matches of a case.
pub fn evaluate(case: &Case, question: Question) -> Outcome {
    let images = sorted_ids(&case.gt["images"]);
    let categories = sorted_ids(&case.gt["categories"]);
    let truths = truths(case, question, &images, &categories);
    let detections = detections(case, question);
    let mut cells = Vec::new();
    for &category in &categories {
        for &image in &images {
            let here = |o: &&Object| o.image == image && o.category == category;
            let truths: Vec<&Object> = truths.iter().filter(here).collect();
            let detections: Vec<&Object> = detections.iter().filter(here).collect();
            if !truths.is_empty() || !detections.is_empty() {
                cells.extend(match_pair(&truths, detections, question.ids));
            }
        }
    }
    sort_cells(&mut cells);
    summarize(&cells, &categories)
}

fn sorted_ids(list: &Value) -> Vec<u64> {
    let mut ids: Vec<u64> = array(list).iter().map(|v| whole(&v["id"])).collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

fn array(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn whole(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("no id: {value}"))
}

fn truths(case: &Case, question: Question, images: &[u64], categories: &[u64]) -> Vec<Object> {
    let read = |(position, annotation): (usize, &Value)| {
        let mut object = object(case, annotation, position, question.kind);
        object.crowd = whole_or_zero(&annotation["iscrowd"]) != 0;
        object.area = annotation["area"].as_f64().unwrap_or_else(|| {
            let (height, width) = size_of_image(case, object.image);
            Pixels::read(&annotation["segmentation"], height, width).area() as f64
        });
        object
    };
    let file = array(&case.gt["annotations"]).iter().enumerate();
    let objects: Vec<Object> = file.map(read).collect();
    match question.ids {
        Ids::Position => objects,
        Ids::Pycocotools => by_id(&objects, images, categories),
    }
}

/// What pycocotools sees: it lists the ids of every image and looks each of them up, and the last annotation of an id
/// answers for all.
fn by_id(objects: &[Object], images: &[u64], categories: &[u64]) -> Vec<Object> {
    let mut seen = Vec::new();
    for image in images {
        for object in objects.iter().filter(|o| o.image == *image) {
            if categories.contains(&object.category) {
                let last = objects.iter().rfind(|o| o.id == object.id);
                seen.extend(last.cloned());
            }
        }
    }
    seen
}

fn whole_or_zero(value: &Value) -> u64 {
    value.as_u64().unwrap_or(0)
}

fn detections(case: &Case, question: Question) -> Vec<Object> {
    let read = |(position, detection): (usize, &Value)| {
        let mut object = object(case, detection, position, question.kind);
        object.score = detection[question.rank_by].as_f64().unwrap();
        object.area = match &object.shape {
            Shape::Box([_, _, width, height]) => width * height,
            Shape::Mask(pixels) => pixels.area() as f64,
        };
        object
    };
    case.dt.iter().enumerate().map(read).collect()
}

fn object(case: &Case, json: &Value, position: usize, kind: Kind) -> Object {
    let image = whole(&json["image_id"]);
    let shape = match kind {
        Kind::Bbox => Shape::Box(floats(&json["bbox"]).try_into().unwrap()),
        Kind::Segm => {
            let (height, width) = size_of_image(case, image);
            Shape::Mask(Pixels::read(&json["segmentation"], height, width))
        }
    };
    Object {
        position,
        id: whole_or_zero(&json["id"]),
        image,
        category: whole(&json["category_id"]),
        crowd: false,
        area: 0.0,
        score: 0.0,
        shape,
    }
}

fn size_of_image(case: &Case, id: u64) -> (usize, usize) {
    let mut images = array(&case.gt["images"]).iter();
    let image = images.find(|image| whole(&image["id"]) == id).unwrap();
    let side = |key: &str| whole(&image[key]) as usize;
    (side("height"), side("width"))
}

/// Intersection over union; over the detection's area where the ground truth is a crowd.
fn iou(detection: &Object, truth: &Object) -> f64 {
    match (&detection.shape, &truth.shape) {
        (Shape::Box(d), Shape::Box(t)) => {
            let width = (d[0] + d[2]).min(t[0] + t[2]) - d[0].max(t[0]);
            let height = (d[1] + d[3]).min(t[1] + t[3]) - d[1].max(t[1]);
            if width <= 0.0 || height <= 0.0 {
                return 0.0;
            }
            let common = width * height;
            let own = d[2] * d[3];
            let union = own + t[2] * t[3] - common;
            common / if truth.crowd { own } else { union }
        }
        (Shape::Mask(d), Shape::Mask(t)) => {
            let common = d.common(t);
            if common == 0 {
                return 0.0;
            }
            let union = d.area() + t.area() - common;
            common as f64 / if truth.crowd { d.area() } else { union } as f64
        }
        _ => panic!("a box and a mask have no IoU"),
    }
}

/// The four cells of one image and category.
fn match_pair(truths: &[&Object], mut detections: Vec<&Object>, ids: Ids) -> Vec<Cell> {
    // Stable: equal scores keep the order of the file.
    detections.sort_by(|a, b| b.score.partial_cmp(&a.score).unwrap());
    detections.truncate(MAX_DETECTIONS[2]);
    let ious: Vec<Vec<f64>> = detections
        .iter()
        .map(|d| truths.iter().map(|t| iou(d, t)).collect())
        .collect();
    (0..AREAS.len())
        .map(|area| match_cell(truths, &detections, &ious, area, ids))
        .collect()
}

fn outside(area: f64, range: usize) -> bool {
    area < RANGES[range][0] || area > RANGES[range][1]
}

fn match_cell(
    truths: &[&Object],
    detections: &[&Object],
    ious: &[Vec<f64>],
    area: usize,
    ids: Ids,
) -> Cell {
    let ignored = |t: &Object| t.crowd || outside(t.area, area);
    let mut order: Vec<usize> = (0..truths.len()).collect();
    order.sort_by_key(|&g| ignored(truths[g]));
    let gt_ignore: Vec<bool> = order.iter().map(|&g| ignored(truths[g])).collect();
    let mut cell = Cell {
        image_id: truths.first().unwrap_or_else(|| &detections[0]).image,
        category_id: truths.first().unwrap_or_else(|| &detections[0]).category,
        area,
        dts: detections.iter().map(|d| d.position).collect(),
        gts: order.iter().map(|&g| truths[g].position).collect(),
        dt_scores: detections.iter().map(|d| d.score).collect(),
        dt_matches: Vec::new(),
        gt_matches: Vec::new(),
        gt_ignore,
        dt_ignore: Vec::new(),
    };
    for threshold in thresholds() {
        let mut dt_match = vec![None; detections.len()];
        let mut gt_match = vec![None; truths.len()];
        let mut dt_ignore = vec![false; detections.len()];
        for (d, detection) in detections.iter().enumerate() {
            let ious: Vec<f64> = order.iter().map(|&g| ious[d][g]).collect();
            let crowds: Vec<bool> = order.iter().map(|&g| truths[g].crowd).collect();
            if let Some(g) = best(&ious, &crowds, &cell.gt_ignore, &gt_match, threshold) {
                gt_match[g] = Some(detection.position);
                // A match is told by the id of the ground truth in pycocotools, and an id of 0 tells of none.
                let told = ids == Ids::Position || truths[order[g]].id != 0;
                dt_match[d] = told.then_some(cell.gts[g]);
                dt_ignore[d] = cell.gt_ignore[g];
            }
            dt_ignore[d] |= dt_match[d].is_none() && outside(detection.area, area);
        }
        cell.dt_matches.push(dt_match);
        cell.gt_matches.push(gt_match);
        cell.dt_ignore.push(dt_ignore);
    }
    cell
}

/// The ground truth that a detection takes.
fn best(
    ious: &[f64],
    crowds: &[bool],
    ignored: &[bool],
    taken: &[Option<usize>],
    threshold: f64,
) -> Option<usize> {
    let mut best_iou = threshold.min(1.0 - 1e-10);
    let mut best = None;
    for g in 0..ious.len() {
        if taken[g].is_some() && !crowds[g] {
            continue;
        }
        if best.is_some_and(|b: usize| !ignored[b]) && ignored[g] {
            break;
        }
        if ious[g] < best_iou {
            continue;
        }
        best_iou = ious[g];
        best = Some(g);
    }
    best
}

/// numpy's `linspace`: one step, multiplied; the last point exact.
fn linspace(start: f64, stop: f64, count: usize) -> Vec<f64> {
    let step = (stop - start) / (count - 1) as f64;
    let mut points: Vec<f64> = (0..count).map(|i| i as f64 * step + start).collect();
    points[count - 1] = stop;
    points
}

fn thresholds() -> Vec<f64> {
    linspace(0.5, 0.95, THRESHOLDS)
}

/// Precision (T, R) and recall (T) of one category, area range and limit of detections.
struct Curve {
    precision: Vec<Vec<f64>>,
    recall: Vec<f64>,
}

/// `None` where no ground truth counts.
fn curve(cells: &[&Cell], max_detections: usize) -> Option<Curve> {
    let all_truths = cells.iter().flat_map(|cell| &cell.gt_ignore);
    let truths = all_truths.filter(|ignored| !**ignored).count();
    if truths == 0 {
        return None;
    }
    // Cell and index in it of every detection that counts, best first.
    let mut ranked: Vec<(&Cell, usize)> = Vec::new();
    for cell in cells {
        let kept = cell.dts.len().min(max_detections);
        ranked.extend((0..kept).map(|d| (*cell, d)));
    }
    let score = |(cell, d): &(&Cell, usize)| cell.dt_scores[*d];
    ranked.sort_by(|a, b| score(b).partial_cmp(&score(a)).unwrap());
    let (mut precision, mut recall) = (Vec::new(), Vec::new());
    for t in 0..THRESHOLDS {
        let (recalls, precisions) = trace(&ranked, t, truths);
        precision.push(interpolate(&recalls, &precisions));
        recall.push(recalls.last().copied().unwrap_or(0.0));
    }
    Some(Curve { precision, recall })
}

/// Recall and precision after each detection; precision made to fall only.
fn trace(ranked: &[(&Cell, usize)], t: usize, truths: usize) -> (Vec<f64>, Vec<f64>) {
    let (mut right, mut wrong) = (0.0, 0.0);
    let (mut recalls, mut precisions) = (Vec::new(), Vec::new());
    for &(cell, d) in ranked {
        if !cell.dt_ignore[t][d] {
            match cell.dt_matches[t][d] {
                Some(_) => right += 1.0,
                None => wrong += 1.0,
            }
        }
        recalls.push(right / truths as f64);
        precisions.push(right / (wrong + right + f64::EPSILON));
    }
    for i in (1..precisions.len()).rev() {
        if precisions[i] > precisions[i - 1] {
            precisions[i - 1] = precisions[i];
        }
    }
    (recalls, precisions)
}

/// Precision at each recall point: where recall first reaches it, 0 where it never does.
fn interpolate(recalls: &[f64], precisions: &[f64]) -> Vec<f64> {
    let points = linspace(0.0, 1.0, RECALL_POINTS);
    let at = |point: &f64| recalls.iter().position(|recall| recall >= point);
    let precision = |point| at(point).map_or(0.0, |i| precisions[i]);
    points.iter().map(precision).collect()
}

fn summarize(cells: &[Cell], categories: &[u64]) -> Outcome {
    let curves = |area: usize, max_detections: usize| -> Vec<Option<Curve>> {
        let of = |category: &u64| {
            let here = |c: &&Cell| c.area == area && c.category_id == *category;
            let cells: Vec<&Cell> = cells.iter().filter(here).collect();
            curve(&cells, max_detections)
        };
        categories.iter().map(of).collect()
    };
    let by_area: [Vec<Option<Curve>>; 4] =
        std::array::from_fn(|area| curves(area, MAX_DETECTIONS[2]));
    let (one, ten) = (curves(0, MAX_DETECTIONS[0]), curves(0, MAX_DETECTIONS[1]));
    let every = 0..THRESHOLDS;
    let all = &by_area[0];
    let stats = [
        precision(all, every.clone()),
        precision(all, 0..1),
        precision(all, 5..6),
        precision(&by_area[1], every.clone()),
        precision(&by_area[2], every.clone()),
        precision(&by_area[3], every.clone()),
        recall(&one),
        recall(&ten),
        recall(all),
        recall(&by_area[1]),
        recall(&by_area[2]),
        recall(&by_area[3]),
    ];
    let alone = |curve: &Option<Curve>| precision(std::slice::from_ref(curve), every.clone());
    let per_category = categories.iter().copied().zip(all.iter().map(alone));
    Outcome {
        stats,
        per_category: per_category.collect(),
        cells: cells.to_vec(),
    }
}

/// Mean precision over thresholds, recall points and the categories that have ground truth.
fn precision(curves: &[Option<Curve>], thresholds: std::ops::Range<usize>) -> f64 {
    let mut values = Vec::new();
    for t in thresholds {
        for r in 0..RECALL_POINTS {
            values.extend(curves.iter().flatten().map(|c| c.precision[t][r]));
        }
    }
    mean(&values)
}

/// Mean recall over thresholds and the categories that have ground truth.
fn recall(curves: &[Option<Curve>]) -> f64 {
    let mut values = Vec::new();
    for t in 0..THRESHOLDS {
        values.extend(curves.iter().flatten().map(|c| c.recall[t]));
    }
    mean(&values)
}

/// −1 for nothing.
fn mean(values: &[f64]) -> f64 {
    if values.is_empty() {
        return -1.0;
    }
    numpy_sum(values) / values.len() as f64
}

/// Sum in numpy's order: halves down to 128 values, eight interleaved sums in each.
fn numpy_sum(values: &[f64]) -> f64 {
    const LANES: usize = 8;
    const BLOCK: usize = 128;
    let count = values.len();
    if count < LANES {
        return values.iter().sum();
    }
    if count > BLOCK {
        let half = count / 2 / LANES * LANES;
        return numpy_sum(&values[..half]) + numpy_sum(&values[half..]);
    }
    let whole = count / LANES * LANES;
    let lane = |l: usize| values[..whole].iter().skip(l).step_by(LANES).sum::<f64>();
    let pair = |l: usize| lane(l) + lane(l + 1);
    let lanes = (pair(0) + pair(2)) + (pair(4) + pair(6));
    values[whole..].iter().fold(lanes, |sum, value| sum + value)
}
