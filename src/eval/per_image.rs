//! What became of each image: counts, AP and measured IoU, for the whole set at once.

use hotcoco::metrics::counts::average_precision_ranked;
use rayon::prelude::*;
use serde::Serialize;

use super::accumulate::recall_points;
use super::matching::{Area, NOT_COUNTED, Selection, Setup, THRESHOLDS};
use super::mean::pairwise_mean;
use super::{Cell, Flags, Matches, Order, Pairing};

/// What became of a detection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DetectionStatus {
    /// Has a ground truth of its own.
    TruePositive,
    /// Has none.
    FalsePositive,
    /// On a crowd region: neither.
    Ignored,
    /// Deselected, or beyond the first 100 of its class in the image.
    NotCounted,
}

/// What became of a ground truth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TruthStatus {
    /// A detection has it.
    Found,
    /// None has.
    Missed,
    /// A crowd region.
    Ignored,
    /// Takes no part.
    Deselected,
}

/// Numbers of one image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct ImageNumbers {
    /// Detections with a ground truth of their own.
    pub true_positives: u32,
    /// Detections without.
    pub false_positives: u32,
    /// Ground truths without a detection.
    pub false_negatives: u32,
    /// AP of the image alone: at each threshold and for each class that has ground truth in it, precision at the 101
    /// points of recall over its own detections; the mean of all. `None` without ground truth.
    pub ap: Option<f64>,
    /// Mean measured IoU of the detections that count; `None` where none is measured.
    pub mean_measured_iou: Option<f64>,
}

/// Numbers of every image and the fate of everything in them, at one threshold.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PerImage {
    /// Index of the threshold; AP is over all of them.
    pub threshold: usize,
    /// Parallel to `EvalInput::images`; those that take no part are all zero and `None`.
    pub images: Vec<ImageNumbers>,
    /// Parallel to `EvalInput::detections`.
    #[serde(skip)]
    pub detections: Vec<DetectionStatus>,
    /// Parallel to `EvalInput::truths`.
    #[serde(skip)]
    pub truths: Vec<TruthStatus>,
}

/// Reads the numbers off the matches of a set, on all cores. `found` and `pairing` are of the same setup, order and
/// selection; `measured` is the measured IoU of each detection.
pub fn per_image(
    setup: &Setup<'_>,
    order: &Order,
    selection: &Selection,
    found: &Matches,
    pairing: &Pairing,
    measured: &[Option<f64>],
) -> PerImage {
    let detections = detection_statuses(setup, found, pairing.threshold);
    let truths = truth_statuses(setup, selection, pairing, &detections);
    let aps = image_aps(setup, order, selection, found);
    let count = |of: &[DetectionStatus], what| of.iter().filter(|&&s| s == what).count() as u32;
    let images = setup.input.images.par_iter().zip(aps).map(|(image, ap)| {
        let of_image = &detections[image.detections.clone()];
        let missed = truths[image.truths.clone()].iter();
        let counted: Vec<f64> = image
            .detections
            .clone()
            .filter(|&detection| detections[detection] != DetectionStatus::NotCounted)
            .filter_map(|detection| measured.get(detection).copied().flatten())
            .collect();
        ImageNumbers {
            true_positives: count(of_image, DetectionStatus::TruePositive),
            false_positives: count(of_image, DetectionStatus::FalsePositive),
            false_negatives: missed.filter(|&&s| s == TruthStatus::Missed).count() as u32,
            ap,
            mean_measured_iou: pairwise_mean(&counted),
        }
    });
    PerImage {
        threshold: pairing.threshold,
        images: images.collect(),
        detections,
        truths,
    }
}

fn detection_statuses(
    setup: &Setup<'_>,
    found: &Matches,
    threshold: usize,
) -> Vec<DetectionStatus> {
    let status = |&slot: &u32| {
        let slot = slot as usize;
        let flags = found.flags[slot][Area::All as usize];
        if found.rank_in_cell[slot] == NOT_COUNTED {
            DetectionStatus::NotCounted
        } else if flags.ignored >> threshold & 1 == 1 {
            DetectionStatus::Ignored
        } else if flags.matched >> threshold & 1 == 1 {
            DetectionStatus::TruePositive
        } else {
            DetectionStatus::FalsePositive
        }
    };
    setup.cells.slot_of.iter().map(status).collect()
}

fn truth_statuses(
    setup: &Setup<'_>,
    selection: &Selection,
    pairing: &Pairing,
    detections: &[DetectionStatus],
) -> Vec<TruthStatus> {
    let is_true = |detection: u32| {
        let status = detections.get(detection as usize);
        status == Some(&DetectionStatus::TruePositive)
    };
    (0u32..)
        .zip(&setup.input.truths)
        .map(|(position, truth)| {
            if !selection.has_truth(position) || !selection.has_image(truth.image) {
                TruthStatus::Deselected
            } else if !truth.counts_in(Area::All) {
                TruthStatus::Ignored
            } else if pairing.detection_of[position as usize].is_some_and(is_true) {
                TruthStatus::Found
            } else {
                TruthStatus::Missed
            }
        })
        .collect()
}

/// AP of each image; `None` without ground truth.
fn image_aps(
    setup: &Setup<'_>,
    order: &Order,
    selection: &Selection,
    found: &Matches,
) -> Vec<Option<f64>> {
    let of_cells: Vec<Option<(u32, f64)>> = setup
        .cells
        .list
        .par_iter()
        .map(|cell| Some((cell.image, cell_ap(setup, order, selection, found, cell)?)))
        .collect();
    let mut sums = vec![(0.0, 0u32); setup.input.images.len()];
    for (image, ap) in of_cells.into_iter().flatten() {
        let (sum, classes) = &mut sums[image as usize];
        *sum += ap;
        *classes += 1;
    }
    sums.into_iter()
        .map(|(sum, classes)| (classes > 0).then(|| sum / f64::from(classes)))
        .collect()
}

/// AP of a class in an image, mean of the thresholds; `None` without ground truth.
fn cell_ap(
    setup: &Setup<'_>,
    order: &Order,
    selection: &Selection,
    found: &Matches,
    cell: &Cell,
) -> Option<f64> {
    if !selection.has_image(cell.image) {
        return None;
    }
    let counts = |&&truth: &&u32| {
        selection.has_truth(truth) && setup.input.truths[truth as usize].counts_in(Area::All)
    };
    let truths = setup.cells.truths[cell.truths.clone()].iter();
    let truths = truths.filter(counts).count();
    if truths == 0 {
        return None;
    }
    let ranked: Vec<Flags> = order.in_cell[cell.slots.clone()]
        .iter()
        .filter(|&&slot| found.rank_in_cell[slot as usize] != NOT_COUNTED)
        .map(|&slot| found.flags[slot as usize][Area::All as usize])
        .collect();
    let (mut sum, mut last) = (0.0, None);
    for threshold in 0..THRESHOLDS {
        let matched: Vec<bool> = ranked
            .iter()
            .filter(|flags| flags.ignored >> threshold & 1 == 0)
            .map(|flags| flags.matched >> threshold & 1 == 1)
            .collect();
        // Mostly nothing changes from one threshold to the next.
        let ap = match last.take() {
            Some((known, ap)) if known == matched => ap,
            _ if !matched.contains(&true) => 0.0,
            _ => average_precision_ranked(&matched, None, truths, recall_points()),
        };
        sum += ap;
        last = Some((matched, ap));
    }
    Some(sum / THRESHOLDS as f64)
}
