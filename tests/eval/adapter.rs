//! The one place that knows the engine under test. Cases go through files, as a user's would.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use maskscope::coco::dataset::Dataset;
use maskscope::coco::predictions;
use maskscope::eval::{
    self, Area, CellMatch, Cells, CocoNumbers, EvalInput, IdPolicy, ImageRef, Matches, Order,
    Overlaps, PredictedImages, Scope, Selection, Setup, accumulate, cell_match, matches,
    matches_of_fewer, rank_scores,
};
use maskscope::structures::ranking::RankBy;
use serde_json::{Value, json};

use super::case::{Case, Cell, Ids, Kind, Outcome, Question, THRESHOLDS, sort_cells};

/// The engine's answer; `None` where it has no such mode: pycocotools' reading of ids that repeat.
pub fn evaluate(case: &Case, question: Question) -> Option<Outcome> {
    with_setup(case, question, |setup, order| {
        let found = matches(setup, order, &Selection::default());
        let curves = accumulate(setup.cells, order, &found);
        let per_category = setup.input.classes.category_ids.iter().enumerate();
        Outcome {
            stats: CocoNumbers::of(&curves).0,
            per_category: per_category
                .map(|(label, &id)| (id as u64, curves.class_ap(label, Area::All)))
                .collect(),
            cells: all_cells(case, setup, order),
        }
    })
}

/// Matches of a selection, made anew and from those of a larger one. Of the detections every `of`th is gone: the last
/// `of`th part by score where `is_threshold`, else one here and there.
pub fn matches_of_fewer_twice(
    case: &Case,
    question: Question,
    of: usize,
    is_threshold: bool,
) -> Option<[Matches; 2]> {
    with_setup(case, question, |setup, order| {
        let positions = 0..setup.input.detections.len();
        let scores: Vec<f64> = positions.map(|p| setup.input.detection(p).score).collect();
        let mut sorted = scores.clone();
        sorted.sort_by(f64::total_cmp);
        let threshold = sorted.get(sorted.len() / of).copied().unwrap_or(0.5);
        let keeps = |(position, score): (usize, f64)| match is_threshold {
            true => score >= threshold,
            false => position % of != of - 1,
        };
        let fewer = Selection {
            detections: Some(scores.into_iter().enumerate().map(keeps).collect()),
            ..Selection::default()
        };
        let of_all = matches(setup, order, &Selection::default());
        let anew = matches(setup, order, &fewer);
        [anew, matches_of_fewer(setup, order, &fewer, &of_all)]
    })
}

fn with_setup<T>(
    case: &Case,
    question: Question,
    work: impl FnOnce(&Setup<'_>, &Order) -> T,
) -> Option<T> {
    if question.ids == Ids::Pycocotools && ids_repeat(&case.gt) {
        return None;
    }
    let input = input(case, question);
    let cells = Cells::new(&input);
    let kind = match question.kind {
        Kind::Bbox => eval::Kind::Bbox,
        Kind::Segm => eval::Kind::Segm,
    };
    let overlaps = Overlaps::measure(&input, kind, Scope::SameClass, &|_| true).unwrap();
    let order = Order::new(&cells, &rank_scores(&input, RankBy::Score));
    let setup = Setup {
        input: &input,
        cells: &cells,
        overlaps: &overlaps,
        kind,
        ids: match question.ids {
            Ids::Position => IdPolicy::ByIndex,
            Ids::Pycocotools => IdPolicy::Pycocotools,
        },
    };
    Some(work(&setup, &order))
}

fn ids_repeat(gt: &Value) -> bool {
    let mut seen = HashSet::new();
    let annotations = gt["annotations"].as_array().unwrap();
    !annotations.iter().all(|a| seen.insert(a["id"].as_u64()))
}

fn input(case: &Case, question: Question) -> EvalInput {
    let folder = tempfile::tempdir().unwrap();
    let set = folder.path().join("set.json");
    std::fs::write(&set, case.gt.to_string()).unwrap();
    let dataset = Dataset::open(&set).unwrap();
    let results: Vec<Value> = case.dt.iter().map(|d| detection(d, question)).collect();
    let results = Value::from(results).to_string();
    let file = predictions::read_bytes(Path::new("results.json"), results.as_bytes()).unwrap();
    assert_eq!(file.left_out, []);
    let predicted = PredictedImages {
        classes: file.classes,
        by_category_id: true,
        images: file
            .images
            .into_iter()
            .map(|image| {
                let id = ImageRef::Id(image.image_id.unwrap());
                (id, Arc::new(image.detections))
            })
            .collect(),
    };
    let input = eval::build(&dataset, &predicted, &|_| true).unwrap();
    assert_eq!(input.left_out, []);
    input
}

/// With what the question asks for alone.
fn detection(detection: &Value, question: Question) -> Value {
    let shape = match question.kind {
        Kind::Bbox => "bbox",
        Kind::Segm => "segmentation",
    };
    json!({
        "image_id": detection["image_id"],
        "category_id": detection["category_id"],
        "score": detection[question.rank_by],
        shape: detection[shape],
    })
}

fn all_cells(case: &Case, setup: &Setup<'_>, order: &Order) -> Vec<Cell> {
    let places = Places::new(case);
    let mut all = Vec::new();
    for cell in &setup.cells.list {
        for (number, area) in Area::ALL.into_iter().enumerate() {
            let of = |ids| {
                let setup = Setup { ids, ..*setup };
                cell_match(&setup, order, &Selection::default(), cell, area)
            };
            let found = of(setup.ids);
            let mut described = describe(setup, order, &places, &found);
            described.area = number;
            described.image_id = setup.input.images[cell.image as usize].id;
            described.category_id = setup.input.classes.category_ids[cell.label as usize] as u64;
            // A ground truth keeps its detection, also where pycocotools reads its own id as none.
            described.gt_matches = truths_matched(setup, &places, &of(IdPolicy::ByIndex));
            all.push(described);
        }
    }
    sort_cells(&mut all);
    all
}

/// Positions in the files of what an image's lists hold.
struct Places {
    detections: HashMap<u64, Vec<usize>>,
    truths: HashMap<u64, Vec<usize>>,
}

impl Places {
    fn new(case: &Case) -> Self {
        let by_image = |list: &[Value]| {
            let mut found: HashMap<u64, Vec<usize>> = HashMap::new();
            for (position, entry) in list.iter().enumerate() {
                let image = entry["image_id"].as_u64().unwrap();
                found.entry(image).or_default().push(position);
            }
            found
        };
        Self {
            detections: by_image(&case.dt),
            truths: by_image(case.gt["annotations"].as_array().unwrap()),
        }
    }

    fn detection(&self, input: &EvalInput, position: u32) -> usize {
        let candidate = input.detections[position as usize];
        let image = input.images[candidate.image as usize].id;
        self.detections[&image][candidate.index as usize]
    }

    fn truth(&self, input: &EvalInput, position: u32) -> usize {
        let truth = &input.truths[position as usize];
        let image = input.images[truth.image as usize].id;
        self.truths[&image][truth.index as usize]
    }
}

fn describe(setup: &Setup<'_>, order: &Order, places: &Places, found: &CellMatch) -> Cell {
    let input = setup.input;
    let truths: Vec<usize> = (found.truths.iter())
        .map(|&truth| places.truth(input, truth))
        .collect();
    let slot = |detection: &u32| setup.cells.slot_of[*detection as usize];
    Cell {
        image_id: 0,
        category_id: 0,
        area: 0,
        dts: (found.detections.iter())
            .map(|&detection| places.detection(input, detection))
            .collect(),
        dt_scores: (found.detections.iter())
            .map(|detection| order.score(slot(detection)))
            .collect(),
        dt_matches: (0..THRESHOLDS)
            .map(|t| {
                let of_row = found.matched.iter().map(|row| row[t]);
                of_row
                    .map(|truth| Some(truths[usize::from(truth?)]))
                    .collect()
            })
            .collect(),
        gt_matches: Vec::new(),
        gt_ignore: (0..truths.len())
            .map(|at| at >= found.counted_truths)
            .collect(),
        dt_ignore: (0..THRESHOLDS)
            .map(|t| {
                found
                    .ignored
                    .iter()
                    .map(|bits| bits >> t & 1 == 1)
                    .collect()
            })
            .collect(),
        gts: truths,
    }
}

/// (T, G) the detection that matched each ground truth; of a crowd region's the last.
fn truths_matched(
    setup: &Setup<'_>,
    places: &Places,
    found: &CellMatch,
) -> Vec<Vec<Option<usize>>> {
    (0..THRESHOLDS)
        .map(|t| {
            let mut of_truths = vec![None; found.truths.len()];
            for (row, &detection) in found.detections.iter().enumerate() {
                if let Some(truth) = found.matched[row][t] {
                    of_truths[usize::from(truth)] = Some(places.detection(setup.input, detection));
                }
            }
            of_truths
        })
        .collect()
}
