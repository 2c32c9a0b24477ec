//! The confusion matrix: what the model calls the objects of each class.
//!
//! The rule is hotcoco's. In each image detections of every class at or above a score, at most 100, stand by descending
//! score (equal scores by class, then as in the file); each in turn takes the free ground truth *of any class* that it
//! overlaps most, if the IoU reaches the limit. Crowd regions take no part, so a detection on one counts as false. A
//! ground truth that is left over lies in the column, a detection that is left over in the row of the background.

use hotcoco::metrics::confusion;
use hotcoco::primitives::greedy::{GtMasks, greedy_match_masked};
use rayon::prelude::*;
use serde::Serialize;

use super::matching::{MAX_DETECTIONS, Selection, Setup};
use super::{EvalImage, Order};

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ConfusionRule {
    /// IoU of a match.
    pub iou: f64,
    /// Lowest score, by the ranking in use.
    pub min_score: f64,
    /// Detections of all classes in an image.
    pub max_detections: usize,
}

impl Default for ConfusionRule {
    fn default() -> Self {
        Self {
            iou: 0.5,
            min_score: 0.3, // lower ones fill the row of the background with what nobody would show
            max_detections: MAX_DETECTIONS,
        }
    }
}

/// What a cell of the matrix counts; never empty on both sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ConfusionInstance {
    /// Position in `EvalInput::truths`; `None` in the row of the background.
    pub truth: Option<u32>,
    /// Position in `EvalInput::detections`; `None` in the column of the background.
    pub detection: Option<u32>,
}

/// Axes: K classes and the background, rows ground truth, columns detections.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Confusion {
    /// Number of classes; also the row and the column of the background.
    pub classes: usize,
    /// What was counted.
    pub rule: ConfusionRule,
    /// (K + 1, K + 1), row by row.
    pub counts: Vec<u64>,
    /// Start of each cell in `instances`; one more than cells.
    #[serde(skip)]
    starts: Vec<usize>,
    #[serde(skip)]
    instances: Vec<ConfusionInstance>,
}

impl Confusion {
    /// Count of a cell; 0 outside the matrix.
    pub fn count(&self, row: usize, column: usize) -> u64 {
        let cell = self.cell(row, column);
        cell.and_then(|cell| self.counts.get(cell).copied())
            .unwrap_or(0)
    }

    /// What a cell counts, image by image.
    pub fn instances(&self, row: usize, column: usize) -> &[ConfusionInstance] {
        let range = self.cell(row, column).and_then(|cell| {
            let (start, end) = (self.starts.get(cell)?, self.starts.get(cell + 1)?);
            self.instances.get(*start..*end)
        });
        range.unwrap_or(&[])
    }

    /// Shares of each row, which sum to 1; a row without counts stays 0.
    pub fn shares(&self) -> Vec<f64> {
        confusion::row_normalize(&self.counts, self.classes)
    }

    fn cell(&self, row: usize, column: usize) -> Option<usize> {
        let is_inside = row <= self.classes && column <= self.classes;
        is_inside.then(|| row * (self.classes + 1) + column)
    }
}

/// Counts a set, on all cores. The overlaps must be of any class.
pub fn confusion(
    setup: &Setup<'_>,
    order: &Order,
    selection: &Selection,
    rule: ConfusionRule,
) -> Confusion {
    let classes = setup.cells.of_class.len();
    let found: Vec<ConfusionInstance> = (0u32..)
        .zip(&setup.input.images)
        .filter(|(image, _)| selection.has_image(*image))
        .collect::<Vec<_>>()
        .into_par_iter()
        .flat_map_iter(|(_, image)| of_image(setup, order, selection, rule, image))
        .collect();
    let truth_label = |of: &ConfusionInstance| {
        let truth = of.truth?;
        Some(setup.input.truths[truth as usize].label as usize)
    };
    let detection_label = |of: &ConfusionInstance| {
        let detection = of.detection?;
        Some(setup.input.detections[detection as usize].label as usize)
    };
    let rows: Vec<_> = found.iter().map(truth_label).collect();
    let columns: Vec<_> = found.iter().map(detection_label).collect();
    let counts = confusion::confusion_matrix(&rows, &columns, classes);
    let mut starts = Vec::with_capacity(counts.len() + 1);
    starts.push(0);
    for &count in &counts {
        starts.push(starts.last().copied().unwrap_or(0) + count as usize);
    }
    let background = |label: Option<usize>| label.unwrap_or(classes);
    let mut instances: Vec<(usize, ConfusionInstance)> = (rows.iter().zip(&columns))
        .map(|(row, column)| background(*row) * (classes + 1) + background(*column))
        .zip(found)
        .collect();
    instances.sort_by_key(|(cell, _)| *cell); // stable: image by image
    Confusion {
        classes,
        rule,
        counts,
        starts,
        instances: instances.into_iter().map(|(_, of)| of).collect(),
    }
}

fn of_image(
    setup: &Setup<'_>,
    order: &Order,
    selection: &Selection,
    rule: ConfusionRule,
    image: &EvalImage,
) -> Vec<ConfusionInstance> {
    let input = setup.input;
    let mut truths: Vec<u32> = (image.truths.start as u32..image.truths.end as u32)
        .filter(|&truth| selection.has_truth(truth) && !input.truths[truth as usize].is_crowd)
        .collect();
    truths.sort_by_key(|&truth| input.truths[truth as usize].label);
    let score = |detection: u32| order.score(setup.cells.slot_of[detection as usize]);
    let mut detections: Vec<u32> = (image.detections.start as u32..image.detections.end as u32)
        .filter(|&d| selection.has_detection(d) && score(d) >= rule.min_score)
        .collect();
    detections.sort_by_key(|&detection| input.detections[detection as usize].label);
    detections.sort_by(|&a, &b| score(b).total_cmp(&score(a)));
    detections.truncate(rule.max_detections);

    let partners = partners(setup, rule.iou, &detections, &truths);
    let mut is_free = vec![true; truths.len()];
    let mut found = Vec::with_capacity(detections.len() + truths.len());
    for (&detection, partner) in detections.iter().zip(partners) {
        if let Some(partner) = partner {
            is_free[partner] = false;
        }
        found.push(ConfusionInstance {
            truth: partner.map(|partner| truths[partner]),
            detection: Some(detection),
        });
    }
    let left = truths.iter().zip(is_free).filter(|(_, is_free)| *is_free);
    found.extend(left.map(|(&truth, _)| ConfusionInstance {
        truth: Some(truth),
        detection: None,
    }));
    found
}

/// By detection: the one of `truths` it takes.
fn partners(setup: &Setup<'_>, iou: f64, detections: &[u32], truths: &[u32]) -> Vec<Option<usize>> {
    let width = truths.len();
    let mut partners = vec![None; detections.len()];
    // Rows of detections that reach no ground truth would only cost time.
    let rows: Vec<usize> = (0..detections.len())
        .filter(|&row| {
            let pairs = setup.overlaps.of(detections[row] as usize);
            pairs.iter().any(|pair| pair.iou >= iou)
        })
        .collect();
    if rows.is_empty() || truths.is_empty() {
        return partners;
    }
    let mut ious = vec![0.0; rows.len() * width];
    for (line, &row) in ious.chunks_exact_mut(width).zip(&rows) {
        for (value, &truth) in line.iter_mut().zip(truths) {
            *value = setup.overlaps.iou(detections[row] as usize, truth);
        }
    }
    let masks = GtMasks::default();
    let matches = greedy_match_masked(&ious, rows.len(), width, width, masks, &[iou]);
    for (&row, partner) in rows.iter().zip(matches.dt_gt.row(0)) {
        partners[row] = *partner;
    }
    partners
}
