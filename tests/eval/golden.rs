//! Folders of `eval` in the fixtures: ground truth, detections, and what pycocotools made of them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use serde_json::Value;

use super::case::{
    AREAS, Case, Cell, Ids, Kind, Outcome, Question, RECALL_POINTS, THRESHOLDS, categories, cells,
    difference, numbers, sort_cells,
};
use super::pixels::floats;
use super::{adapter, slow};
use crate::support::fixtures;

/// One block of an `expected.json` that is a full answer.
struct Expected {
    /// Folder and block.
    name: String,
    case: Case,
    question: Question,
    stats: Vec<f64>,
    per_category: Vec<(u64, f64)>,
    /// `None` where the block holds none.
    cells: Option<Vec<Cell>>,
}

/// Blocks and how they were asked for. `segm_with_bbox` is not among them: see its own test.
const BLOCKS: [(&str, Kind, &str); 3] = [
    ("bbox", Kind::Bbox, "score"),
    ("segm", Kind::Segm, "score"),
    ("segm_by_mask_score", Kind::Segm, "mask_score"),
];
/// Numbers that are means over thresholds and recall points.
const AP_OVER_THRESHOLDS: [usize; 4] = [0, 3, 4, 5];
const FROM_1: &str = "_ids_from_1";

/// Every case folder; of two with one name that of the first root. Fails where there is none.
fn folders() -> BTreeMap<String, PathBuf> {
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    let own = [
        project.join("tests/fixtures/eval"),
        project.join("../shared/fixtures/eval"),
    ];
    let chosen = std::env::var_os("MASKSCOPE_FIXTURES");
    let roots = match chosen {
        Some(root) => vec![PathBuf::from(root).join("eval")],
        None => own.to_vec(),
    };
    let mut found = BTreeMap::new();
    for root in &roots {
        let entries = std::fs::read_dir(root).into_iter().flatten().flatten();
        for path in entries.map(|entry| entry.path()) {
            if path.join("expected.json").is_file() {
                let name = path.file_name().unwrap().to_string_lossy().into_owned();
                found.entry(name).or_insert(path);
            }
        }
    }
    assert!(!found.is_empty(), "no evaluation case in any of {roots:?}");
    found
}

/// A file that an `expected.json` names: beside it, or below the folder that holds the real data.
fn input(folder: &Path, name: &Value) -> Option<PathBuf> {
    let name = name.as_str().unwrap();
    match name.strip_prefix("data/") {
        Some(real) => fixtures::real_data(real),
        None => Some(folder.join(name)),
    }
}

/// Ground truth, detections and expected answers of a folder; `None` where real data is missing.
fn read(folder: &Path) -> Option<(Case, Value)> {
    let expected = fixtures::json(&folder.join("expected.json"));
    let gt = fixtures::json(&input(folder, &expected["gt"])?);
    let dt = fixtures::json(&input(folder, &expected["dt"])?);
    let dt = dt.as_array().unwrap().clone();
    Some((Case { gt, dt }, expected))
}

fn cases() -> Vec<(String, Case, Value)> {
    let folders = folders();
    let read = |(name, folder): (&String, &PathBuf)| {
        let (case, expected) = read(folder)?;
        Some((name.clone(), case, expected))
    };
    folders.iter().filter_map(read).collect()
}

fn answers() -> Vec<Expected> {
    let mut found = Vec::new();
    for (folder, case, expected) in cases() {
        let known = |key: &&String| expected[key.as_str()]["stats"].is_array();
        for key in expected.as_object().unwrap().keys().filter(known) {
            let renumbered = key.strip_suffix(FROM_1);
            let plain = renumbered.unwrap_or(key);
            let Some((_, kind, rank_by)) = BLOCKS.iter().find(|(name, ..)| *name == plain) else {
                assert_eq!(plain, "segm_with_bbox", "{folder}: a block of another kind");
                continue;
            };
            // Without a renumbered twin the ids hold no trap, and both readings must agree.
            let readings: &[Ids] = match renumbered {
                Some(_) => &[Ids::Position],
                None if expected[format!("{key}{FROM_1}")].is_object() => &[Ids::Pycocotools],
                None => &[Ids::Position, Ids::Pycocotools],
            };
            found.extend(readings.iter().map(|&ids| Expected {
                name: format!("{folder}/{key} {ids:?}"),
                case: case.clone(),
                question: Question {
                    kind: *kind,
                    rank_by,
                    ids,
                },
                stats: floats(&expected[key]["stats"]),
                per_category: per_category(&expected[key]["per_category_ap"]),
                cells: expected_cells(&case, &expected[key]["images"], renumbered.is_some()),
            }));
        }
    }
    found
}

fn per_category(value: &Value) -> Vec<(u64, f64)> {
    let mut list: Vec<(u64, f64)> = value
        .as_object()
        .unwrap()
        .iter()
        .map(|(id, ap)| (id.parse().unwrap(), ap.as_f64().unwrap()))
        .collect();
    list.sort_by_key(|(id, _)| *id);
    list
}

/// Cells of a block; ids become positions: of the file for ground truths, counted from 1 for detections.
fn expected_cells(case: &Case, rows: &Value, ids_from_1: bool) -> Option<Vec<Cell>> {
    let annotations = case.gt["annotations"].as_array().unwrap();
    let added = u64::from(ids_from_1);
    let ids = annotations.iter().enumerate();
    let positions: BTreeMap<u64, usize> = ids
        .map(|(position, a)| (a["id"].as_u64().unwrap() + added, position))
        .collect();
    let truth = |id: u64| positions[&id];
    let detection = |id: u64| id as usize - 1;
    let matched = |rows: &Value, position: &dyn Fn(u64) -> usize| -> Vec<Vec<Option<usize>>> {
        let row = |row: &Value| -> Vec<Option<usize>> {
            let ids = integers(row).into_iter();
            ids.map(|id| (id != 0).then(|| position(id))).collect()
        };
        rows.as_array().unwrap().iter().map(row).collect()
    };
    let flags =
        |row: &Value| -> Vec<bool> { integers(row).into_iter().map(|flag| flag != 0).collect() };
    let cell = |row: &Value| Cell {
        image_id: row["image_id"].as_u64().unwrap(),
        category_id: row["category_id"].as_u64().unwrap(),
        area: AREAS.iter().position(|name| row["area"] == *name).unwrap(),
        dts: integers(&row["dt_ids"])
            .into_iter()
            .map(detection)
            .collect(),
        gts: integers(&row["gt_ids"]).into_iter().map(truth).collect(),
        dt_scores: floats(&row["dt_scores"]),
        dt_matches: matched(&row["dt_matches"], &truth),
        gt_matches: matched(&row["gt_matches"], &detection),
        gt_ignore: flags(&row["gt_ignore"]),
        dt_ignore: row["dt_ignore"]
            .as_array()
            .unwrap()
            .iter()
            .map(flags)
            .collect(),
    };
    let mut cells: Vec<Cell> = rows.as_array()?.iter().map(cell).collect();
    sort_cells(&mut cells);
    Some(cells)
}

fn integers(row: &Value) -> Vec<u64> {
    let list = row.as_array().unwrap();
    list.iter().map(|v| v.as_u64().unwrap()).collect()
}

/// numpy has summed longer arrays in pieces of this many values, and since its 2.x versions as a whole. The files may
/// come from either, so a mean of more values is compared within `OTHER_ORDER`.
const NUMPY_BUFFER: usize = 8192;
const OTHER_ORDER: f64 = 1e-12;

/// The most values that a precision over all thresholds is the mean of.
fn samples(case: &Case) -> usize {
    let annotations = case.gt["annotations"].as_array().unwrap();
    let used: BTreeSet<u64> = annotations
        .iter()
        .map(|a| a["category_id"].as_u64().unwrap())
        .collect();
    used.len() * THRESHOLDS * RECALL_POINTS
}

/// The twelve numbers, in every bit but for the order of summing.
fn check_numbers(name: &str, case: &Case, got: &[f64], want: &[f64]) {
    let mut got = got.to_vec();
    assert_eq!(got.len(), want.len(), "{name}");
    for at in AP_OVER_THRESHOLDS {
        if samples(case) > NUMPY_BUFFER && (got[at] - want[at]).abs() <= OTHER_ORDER {
            got[at] = want[at];
        }
    }
    assert_eq!(numbers(&got, want), None, "{name}");
}

/// Compares all that the block holds.
fn check(expected: &Expected, got: &Outcome) {
    let name = &expected.name;
    check_numbers(name, &expected.case, &got.stats, &expected.stats);
    let wrong = categories(&got.per_category, &expected.per_category);
    assert_eq!(wrong, None, "{name}");
    let Some(want) = &expected.cells else {
        return;
    };
    // Large cases hold one area range alone.
    let held = |cell: &&Cell| want.iter().any(|w| w.area == cell.area);
    let got: Vec<Cell> = got.cells.iter().filter(held).cloned().collect();
    if let Some(wrong) = cells(&got, want) {
        panic!("{name}: {wrong}");
    }
}

#[test]
fn engine_equals_pycocotools() {
    let answers = answers();
    let (mut checked, mut skipped) = (0, 0);
    for expected in &answers {
        match adapter::evaluate(&expected.case, expected.question) {
            Some(got) => {
                check(expected, &got);
                checked += 1;
            }
            None => skipped += 1,
        }
    }
    assert!(checked > 0, "no answer was compared");
    println!("{checked} answers compared, {skipped} in a mode that the engine has not");
}

/// The evaluator of the random cases must itself be right, and the engine equal it in every bit, whatever numpy's version.
#[test]
fn slow_evaluator_equals_pycocotools_and_the_engine() {
    let answers = answers();
    answers.par_iter().for_each(|expected| {
        let slow = slow::evaluate(&expected.case, expected.question);
        check(expected, &slow);
        if let Some(engine) = adapter::evaluate(&expected.case, expected.question) {
            let wrong = difference(&engine, &slow);
            assert_eq!(wrong, None, "{}", expected.name);
        }
    });
    println!("{} answers compared", answers.len());
}

/// pycocotools takes the area of the box for masks whose file also has boxes; the area range "all" does not care.
#[test]
fn boxes_in_a_file_of_masks_move_area_ranges_alone() {
    for (folder, _, expected) in cases() {
        let [with_boxes, without] =
            ["segm_with_bbox", "segm"].map(|key| floats(&expected[key]["stats"]));
        let moved: Vec<usize> = (0..without.len())
            .filter(|&at| without[at].to_bits() != with_boxes[at].to_bits())
            .collect();
        let of_areas = moved.iter().all(|at| matches!(at, 3..=5 | 9..=11));
        assert!(of_areas, "{folder}: numbers {moved:?} differ");
    }
}
