//! What became of every detection at one IoU threshold, with the IoU of its match.

use rayon::prelude::*;
use serde::Serialize;

use super::super::matching::{Area, MAX_DETECTIONS, Setup, cell_match, iou_thresholds};
use super::super::{Cell, Order, Selection};
use super::is_in;

/// What a detection counts as, over all areas.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Deselected, or beyond the detections that count in an image.
    NotCounted,
    /// Neither true nor false: it lies on a crowd region.
    Ignored,
    /// False positive.
    False,
    /// True positive; IoU with its ground truth.
    True {
        /// 0..1.
        iou: f64,
    },
}

/// Outcomes of a ranking at one threshold.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcomes {
    /// IoU threshold.
    pub iou_threshold: f64,
    /// By slot.
    pub of_slot: Vec<Outcome>,
    /// Ground truths that count, by class.
    pub truths: Vec<u32>,
}

/// Outcomes at the threshold with index `threshold` of [`iou_thresholds`], by the engine's own matching; on all cores.
pub fn outcomes(
    setup: &Setup<'_>,
    order: &Order,
    selection: &Selection,
    threshold: usize,
) -> Outcomes {
    let cells = setup.cells;
    let of_cells: Vec<(Vec<(u32, Outcome)>, usize)> = cells
        .list
        .par_iter()
        .with_min_len(64)
        .map(|cell| of_cell(setup, order, selection, cell, threshold))
        .collect();
    let mut found = Outcomes {
        iou_threshold: iou_thresholds().get(threshold).copied().unwrap_or(1.0),
        of_slot: vec![Outcome::NotCounted; cells.detections.len()],
        truths: vec![0; cells.of_class.len()],
    };
    for (cell, (outcomes, truths)) in cells.list.iter().zip(of_cells) {
        for (detection, outcome) in outcomes {
            found.of_slot[cells.slot_of[detection as usize] as usize] = outcome;
        }
        if let Some(total) = found.truths.get_mut(cell.label as usize) {
            *total += truths as u32;
        }
    }
    found
}

fn of_cell(
    setup: &Setup<'_>,
    order: &Order,
    selection: &Selection,
    cell: &Cell,
    threshold: usize,
) -> (Vec<(u32, Outcome)>, usize) {
    if !can_match(setup, cell) {
        return unmatched(setup, order, selection, cell);
    }
    let found = cell_match(setup, order, selection, cell, Area::All);
    let outcome = |(row, &detection): (usize, &u32)| {
        let matched = found.matched[row].get(threshold).copied().flatten();
        let truth = matched.and_then(|truth| found.truths.get(usize::from(truth)));
        let outcome = match truth {
            _ if found.ignored[row] >> threshold & 1 == 1 => Outcome::Ignored,
            Some(&truth) => Outcome::True {
                iou: setup.overlaps.iou(detection as usize, truth),
            },
            None => Outcome::False,
        };
        (detection, outcome)
    };
    let outcomes = found.detections.iter().enumerate().map(outcome).collect();
    (outcomes, found.counted_truths)
}

/// Whether an IoU of the cell reaches the lowest threshold; in most cells none does.
fn can_match(setup: &Setup<'_>, cell: &Cell) -> bool {
    let lowest = iou_thresholds().first().copied().unwrap_or(0.0);
    let detections = &setup.cells.detections[cell.slots.clone()];
    let mut pairs = detections
        .iter()
        .flat_map(|&detection| setup.overlaps.of(detection as usize));
    !cell.truths.is_empty() && pairs.any(|pair| pair.iou >= lowest)
}

/// What `cell_match` would say of a cell in which nothing matches: every detection that counts is false.
fn unmatched(
    setup: &Setup<'_>,
    order: &Order,
    selection: &Selection,
    cell: &Cell,
) -> (Vec<(u32, Outcome)>, usize) {
    if !is_in(&selection.images, cell.image as usize) {
        return (Vec::new(), 0);
    }
    let slots = order.in_cell[cell.slots.clone()].iter();
    let outcomes = slots
        .map(|&slot| setup.cells.detections[slot as usize])
        .filter(|&detection| is_in(&selection.detections, detection as usize))
        .take(MAX_DETECTIONS)
        .map(|detection| (detection, Outcome::False))
        .collect();
    let counts = |&&truth: &&u32| {
        let of = &setup.input.truths[truth as usize];
        !of.is_crowd && Area::All.contains(of.area) && is_in(&selection.truths, truth as usize)
    };
    let truths = setup.cells.truths[cell.truths.clone()].iter();
    (outcomes, truths.filter(counts).count())
}
