//! What goes into an evaluation and what comes out, in terms that belong to no evaluator.
//!
//! Axes: D detections, G ground truths, T IoU thresholds.

use serde_json::Value;

/// IoU thresholds, .5 to .95.
pub const THRESHOLDS: usize = 10;
/// Points of recall, 0 to 1.
pub const RECALL_POINTS: usize = 101;
/// Area ranges in the order of `Cell::area`.
pub const AREAS: [&str; 4] = ["all", "small", "medium", "large"];
/// Names of the twelve numbers in order.
pub const STATS: [&str; 12] = [
    "AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100", "ARs", "ARm", "ARl",
];

/// What is compared with what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Bbox,
    Segm,
}

impl Kind {
    pub const ALL: [Self; 2] = [Self::Bbox, Self::Segm];

    /// As pycocotools spells it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bbox => "bbox",
            Self::Segm => "segm",
        }
    }
}

/// What an annotation is known by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ids {
    /// Its place in the file: ids may be 0 or repeat.
    Position,
    /// Its id, with what pycocotools makes of an id of 0 (no match) and of repeated ones (the last stands for all).
    Pycocotools,
}

/// A ground truth and its detections as their files hold them.
#[derive(Clone, Debug)]
pub struct Case {
    pub gt: Value,
    pub dt: Vec<Value>,
}

/// How to evaluate a case.
#[derive(Clone, Copy, Debug)]
pub struct Question {
    pub kind: Kind,
    /// Key of the number that ranks the detections.
    pub rank_by: &'static str,
    pub ids: Ids,
}

/// Everything that an evaluation says.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// In the order of `STATS`.
    pub stats: [f64; 12],
    /// Category id and AP, ids rising.
    pub per_category: Vec<(u64, f64)>,
    /// Pairs of image and category that have a detection or a ground truth, sorted by category, area, image.
    pub cells: Vec<Cell>,
}

/// The matches of one image, category and area range. Annotations are named by their position in their file.
#[derive(Clone, Debug, PartialEq)]
pub struct Cell {
    pub image_id: u64,
    pub category_id: u64,
    /// Index into `AREAS`.
    pub area: usize,
    /// (D) best first.
    pub dts: Vec<usize>,
    /// (G) ignored ones last.
    pub gts: Vec<usize>,
    /// (D)
    pub dt_scores: Vec<f64>,
    /// (T, D) matched ground truth.
    pub dt_matches: Vec<Vec<Option<usize>>>,
    /// (T, G) matched detection.
    pub gt_matches: Vec<Vec<Option<usize>>>,
    /// (G)
    pub gt_ignore: Vec<bool>,
    /// (T, D)
    pub dt_ignore: Vec<Vec<bool>>,
}

impl Cell {
    fn key(&self) -> (u64, usize, u64) {
        (self.category_id, self.area, self.image_id)
    }
}

/// Brings cells into the order of `Outcome::cells`.
pub fn sort_cells(cells: &mut [Cell]) {
    cells.sort_by_key(Cell::key);
}

/// The first thing that differs in any bit, in words.
pub fn difference(got: &Outcome, want: &Outcome) -> Option<String> {
    numbers(&got.stats, &want.stats)
        .or_else(|| categories(&got.per_category, &want.per_category))
        .or_else(|| cells(&got.cells, &want.cells))
}

/// The first of the twelve numbers that differs in any bit.
pub fn numbers(got: &[f64], want: &[f64]) -> Option<String> {
    let mut names = STATS.iter().zip(got).zip(want);
    names.find_map(|((name, got), want)| {
        (got.to_bits() != want.to_bits()).then(|| format!("{name} is {got}, not {want}"))
    })
}

/// The first category whose AP differs in any bit.
pub fn categories(got: &[(u64, f64)], want: &[(u64, f64)]) -> Option<String> {
    let bits = |list: &[(u64, f64)]| -> Vec<(u64, u64)> {
        list.iter().map(|&(id, ap)| (id, ap.to_bits())).collect()
    };
    (bits(got) != bits(want)).then(|| format!("AP by category is {got:?}, not {want:?}"))
}

/// The first match that differs.
pub fn cells(got: &[Cell], want: &[Cell]) -> Option<String> {
    let keys = |cells: &[Cell]| -> Vec<_> { cells.iter().map(Cell::key).collect() };
    if keys(got) != keys(want) {
        return Some(format!(
            "cells (category, area, image) are {:?}, not {:?}",
            keys(got),
            keys(want)
        ));
    }
    let (got, want) = got.iter().zip(want).find(|(got, want)| got != want)?;
    Some(format!("cell is\n{got:?}\nnot\n{want:?}"))
}

/// The comparison itself must be able to fail.
#[test]
fn every_part_of_an_outcome_is_compared() {
    let cell = Cell {
        image_id: 1,
        category_id: 2,
        area: 0,
        dts: vec![0],
        gts: vec![0],
        dt_scores: vec![0.5],
        dt_matches: vec![vec![Some(0)]; THRESHOLDS],
        gt_matches: vec![vec![Some(0)]; THRESHOLDS],
        gt_ignore: vec![false],
        dt_ignore: vec![vec![false]; THRESHOLDS],
    };
    let right = Outcome {
        stats: [0.5; 12],
        per_category: vec![(2, 0.5)],
        cells: vec![cell],
    };
    assert_eq!(difference(&right, &right), None);
    let changes: [fn(&mut Outcome); 9] = [
        |o| o.stats[11] = 0.5f64.next_up(),
        |o| o.per_category[0].1 = 0.5f64.next_down(),
        |o| o.per_category.clear(),
        |o| o.cells.clear(),
        |o| o.cells[0].image_id = 3,
        |o| o.cells[0].dt_matches[9][0] = None,
        |o| o.cells[0].gt_matches[0][0] = Some(1),
        |o| o.cells[0].gt_ignore[0] = true,
        |o| o.cells[0].dt_ignore[4][0] = true,
    ];
    for (number, change) in changes.iter().enumerate() {
        let mut wrong = right.clone();
        change(&mut wrong);
        assert!(difference(&wrong, &right).is_some(), "change {number}");
    }
}
