//! A ranking: detections by descending score, within each cell and within each class.

use rayon::prelude::*;

use super::{Cells, EvalInput};
use crate::structures::ranking::RankBy;

/// The score of each detection by a ranking; 0 where it has none (no mask-IoU head).
pub fn rank_scores(input: &EvalInput, by: RankBy) -> Vec<f64> {
    (0..input.detections.len())
        .map(|position| by.of(input.detection(position)).unwrap_or(0.0))
        .collect()
}

/// Detections by descending score. Equal scores keep the order of the file, then of the image ids.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Order {
    /// Slots, those of each cell best first, in the place of the cell.
    pub(super) in_cell: Vec<u32>,
    /// Slots, those of each class best first, in the place of the class.
    pub(super) in_class: Vec<u32>,
    /// Score of each slot.
    pub(super) scores: Vec<f64>,
}

impl Order {
    /// Ranks by `scores`, one for each of `EvalInput::detections`; none may be NaN.
    pub fn new(cells: &Cells, scores: &[f64]) -> Self {
        let score_of = |&detection: &u32| scores.get(detection as usize).copied().unwrap_or(0.0);
        // Adding 0 makes a negative zero tie with the positive one, as they do for numpy.
        let scores: Vec<f64> = cells.detections.iter().map(|d| score_of(d) + 0.0).collect();
        let by_score = |slots: &mut [u32]| {
            let key = |slot: &u32| scores[*slot as usize];
            slots.sort_by(|a, b| key(b).total_cmp(&key(a)));
        };
        let mut in_cell: Vec<u32> = (0..scores.len() as u32).collect();
        for cell in &cells.list {
            by_score(&mut in_cell[cell.slots.clone()]);
        }
        // pycocotools sorts the cells' sorted lists once more: ties then stand as the cells left them.
        let mut in_class = in_cell.clone();
        let mut classes = Vec::with_capacity(cells.of_class.len());
        let mut rest = in_class.as_mut_slice();
        for label in 0..cells.of_class.len() {
            let (class, after) = rest.split_at_mut(cells.slots_of_class(label).len());
            classes.push(class);
            rest = after;
        }
        classes.into_par_iter().for_each(by_score);
        Self {
            in_cell,
            in_class,
            scores,
        }
    }

    /// Slots of a class, best first.
    pub fn of_class(&self, cells: &Cells, label: usize) -> &[u32] {
        self.in_class
            .get(cells.slots_of_class(label))
            .unwrap_or(&[])
    }

    /// Score of a slot.
    pub fn score(&self, slot: u32) -> f64 {
        self.scores.get(slot as usize).copied().unwrap_or(0.0)
    }
}
