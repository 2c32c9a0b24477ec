//! The one place that knows the engine under test.

use hotcoco::params::IouType;
use hotcoco::{COCO, COCOeval, EvalImg, ThreshMatrix};
use serde_json::{Value, json};

use super::case::{Case, Cell, Ids, Kind, Outcome, Question, STATS, THRESHOLDS, sort_cells};

/// The engine's answer; `None` where it has no such mode.
pub fn evaluate(case: &Case, question: Question) -> Option<Outcome> {
    if question.ids == Ids::Pycocotools {
        return None;
    }
    let gt = ground_truth(&case.gt);
    let dt = case.dt.iter().map(|d| detection(d, question)).collect();
    let dt = gt.load_res_anns(dt).unwrap();
    let kind = match question.kind {
        Kind::Bbox => IouType::Bbox,
        Kind::Segm => IouType::Segm,
    };
    let mut engine = COCOeval::new(gt, dt, kind);
    engine.evaluate().unwrap();
    engine.accumulate();
    // Sets the twelve numbers; the lines are not wanted.
    engine.summarize_lines();
    let numbers = engine.get_results(None, true);
    let per_category = engine.params.cat_ids.iter().map(|&id| {
        let ap = numbers.get(&format!("AP/{id}"));
        (id, ap.copied().unwrap_or(-1.0))
    });
    let mut cells: Vec<Cell> = engine.eval_imgs().iter().flatten().map(cell).collect();
    sort_cells(&mut cells);
    Some(Outcome {
        stats: STATS.map(|name| numbers[name]),
        per_category: per_category.collect(),
        cells,
    })
}

/// With ids that are positions from 1, and categories named by their id.
fn ground_truth(gt: &Value) -> COCO {
    let mut gt = gt.clone();
    let list = |value: &mut Value, key: &str| match value[key].take() {
        Value::Array(list) => list,
        _ => Vec::new(),
    };
    let mut annotations = list(&mut gt, "annotations");
    for (position, annotation) in annotations.iter_mut().enumerate() {
        annotation["id"] = json!(position + 1);
    }
    let mut categories = list(&mut gt, "categories");
    for category in &mut categories {
        category["name"] = json!(category["id"].to_string());
    }
    let gt = json!({"images": gt["images"], "annotations": annotations, "categories": categories});
    COCO::from_dataset(serde_json::from_value(gt).unwrap())
}

/// With what the question asks for alone: hotcoco takes a box where there is one.
fn detection(detection: &Value, question: Question) -> hotcoco::Annotation {
    let shape = match question.kind {
        Kind::Bbox => "bbox",
        Kind::Segm => "segmentation",
    };
    let detection = json!({
        "image_id": detection["image_id"],
        "category_id": detection["category_id"],
        "score": detection[question.rank_by],
        shape: detection[shape],
    });
    serde_json::from_value(detection).unwrap()
}

fn cell(found: &EvalImg) -> Cell {
    let position = |id: &u64| *id as usize - 1;
    let area = match found.area_rng {
        [0.0, 1024.0] => 1,
        [1024.0, _] => 2,
        [9216.0, _] => 3,
        _ => 0,
    };
    Cell {
        image_id: found.image_id,
        category_id: found.category_id,
        area,
        dts: found.dt_ids.iter().map(position).collect(),
        gts: found.gt_ids.iter().map(position).collect(),
        dt_scores: found.dt_scores.clone(),
        dt_matches: matches(&found.dt_matches, &found.dt_matched),
        gt_matches: matches(&found.gt_matches, &found.gt_matched),
        gt_ignore: found.gt_ignore.clone(),
        dt_ignore: found.dt_ignore.iter_rows().map(<[bool]>::to_vec).collect(),
    }
}

/// (T, n) ids and whether they mean a match -> positions.
fn matches(ids: &ThreshMatrix<u64>, matched: &ThreshMatrix<bool>) -> Vec<Vec<Option<usize>>> {
    let row = |t: usize| {
        let pairs = ids.row(t).iter().zip(matched.row(t));
        pairs
            .map(|(id, matched)| matched.then(|| *id as usize - 1))
            .collect()
    };
    (0..THRESHOLDS).map(row).collect()
}
