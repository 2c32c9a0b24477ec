//! Two prediction sets on one ground truth: what the second won, what it lost, what changed.
//!
//! Intervals are the caller's: `DifferenceSide` keeps the order and the matches of both sides, from which AP can be
//! counted again on any sample of the images.

use std::ops::Range;

use rayon::prelude::*;
use serde::Serialize;

use super::matching::{Area, NOT_COUNTED, Selection, Setup};
use super::overlaps::instance_iou;
use super::{Curves, EvalInput, Matches, Order, Pairing, pair_up};

/// One of the two.
#[derive(Clone, Copy)]
pub struct DifferenceSide<'a> {
    /// Ground truth with the predictions of this side.
    pub setup: &'a Setup<'a>,
    /// Their ranking.
    pub order: &'a Order,
    /// What takes part.
    pub selection: &'a Selection,
    /// Their matches.
    pub found: &'a Matches,
}

/// From where a change is one.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct DifferenceRules {
    /// Index of the IoU threshold at which a ground truth is found.
    pub threshold: usize,
    /// Least change of IoU.
    pub iou: f64,
    /// Least change of the ranking score.
    pub score: f64,
    /// Lowest ranking score of a false positive that is worth a line.
    pub min_score: f64,
    /// IoU from which two false positives of one class are the same.
    pub same_iou: f64,
}

impl Default for DifferenceRules {
    fn default() -> Self {
        Self {
            threshold: 0,
            iou: 0.1,
            score: 0.1,
            min_score: 0.5, // lower ones come and go by the thousand
            same_iou: 0.5,
        }
    }
}

/// Why two sides cannot be compared.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum DifferenceError {
    /// They are of different ground truths.
    #[error(
        "the two sides have different ground truths, {a} against {b} (first difference: {what}): evaluate both on one set"
    )]
    GroundTruth {
        /// Images and annotations of the first.
        a: String,
        /// Of the second.
        b: String,
        /// What differs first.
        what: String,
    },
}

/// A detection that has a ground truth.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Finder {
    /// Position among the detections of its side.
    pub detection: u32,
    /// Their IoU.
    pub iou: f64,
    /// Its ranking score.
    pub score: f64,
}

/// A ground truth that one side alone found.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct FoundByOne {
    /// Position in `EvalInput::truths`.
    pub truth: u32,
    /// What found it.
    pub by: Finder,
}

/// A ground truth that both found, differently.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct FoundByBoth {
    /// Position in `EvalInput::truths`.
    pub truth: u32,
    /// The first side.
    pub a: Finder,
    /// The second side.
    pub b: Finder,
}

/// The differences of B from A; lists in the order of the set.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Difference {
    /// Found by B alone.
    pub won: Vec<FoundByOne>,
    /// Found by A alone.
    pub lost: Vec<FoundByOne>,
    /// Found by both, with another IoU or score.
    pub changed: Vec<FoundByBoth>,
    /// Found by both, much the same.
    pub unchanged: usize,
    /// False positives of A that B has not: positions among A's detections.
    pub false_positives_gone: Vec<u32>,
    /// False positives of B that A has not: positions among B's detections.
    pub false_positives_new: Vec<u32>,
}

/// Compares two sides on all cores.
///
/// # Errors
/// Sides of different ground truths.
pub fn difference(
    a: DifferenceSide<'_>,
    b: DifferenceSide<'_>,
    rules: &DifferenceRules,
) -> Result<Difference, DifferenceError> {
    same_truths(a.setup.input, b.setup.input)?;
    let pairs = [a, b].map(|side| {
        let (order, selection) = (side.order, side.selection);
        pair_up(side.setup, order, selection, side.found, rules.threshold)
    });
    let mut difference = Difference::default();
    for truth in 0..a.setup.input.truths.len() as u32 {
        let [a, b] =
            [(a, &pairs[0]), (b, &pairs[1])].map(|(side, pairs)| finder(side, pairs, truth));
        match (a, b) {
            (None, Some(by)) => difference.won.push(FoundByOne { truth, by }),
            (Some(by), None) => difference.lost.push(FoundByOne { truth, by }),
            (Some(a), Some(b)) => {
                let has_changed =
                    (a.iou - b.iou).abs() >= rules.iou || (a.score - b.score).abs() >= rules.score;
                if has_changed {
                    difference.changed.push(FoundByBoth { truth, a, b });
                } else {
                    difference.unchanged += 1;
                }
            }
            (None, None) => {}
        }
    }
    let of_images: Vec<(Vec<u32>, Vec<u32>)> = (0..a.setup.input.images.len())
        .into_par_iter()
        .map(|image| {
            let (gone, new) = (
                unmatched_by(a, b, rules, image),
                unmatched_by(b, a, rules, image),
            );
            (gone, new)
        })
        .collect();
    for (gone, new) in of_images {
        difference.false_positives_gone.extend(gone);
        difference.false_positives_new.extend(new);
    }
    Ok(difference)
}

fn same_truths(a: &EvalInput, b: &EvalInput) -> Result<(), DifferenceError> {
    let differing = |what: String| {
        let counts = |of: &EvalInput| {
            let (images, annotations) = (of.images.len(), of.truths.len());
            format!("{images} images with {annotations} annotations")
        };
        let (a, b) = (counts(a), counts(b));
        Err(DifferenceError::GroundTruth { a, b, what })
    };
    if let Some((a, _)) = (a.images.iter().zip(&b.images)).find(|(a, b)| a.id != b.id) {
        return differing(format!("image {}", a.id));
    }
    let same = |a: &super::Truth, b: &super::Truth| {
        (a.id, a.image, a.label, a.is_crowd) == (b.id, b.image, b.label, b.is_crowd)
    };
    if let Some((a, _)) = (a.truths.iter().zip(&b.truths)).find(|(a, b)| !same(a, b)) {
        return differing(format!("annotation {}", a.id));
    }
    if a.images.len() != b.images.len() || a.truths.len() != b.truths.len() {
        return differing("their number".into());
    }
    Ok(())
}

/// What found a ground truth that can be missed.
fn finder(side: DifferenceSide<'_>, pairs: &Pairing, truth: u32) -> Option<Finder> {
    let of = side.setup.input.truths.get(truth as usize)?;
    let detection = pairs.detection_of.get(truth as usize).copied().flatten()?;
    of.counts_in(Area::All).then(|| Finder {
        detection,
        iou: side.setup.overlaps.iou(detection as usize, truth),
        score: score(side, detection),
    })
}

fn score(side: DifferenceSide<'_>, detection: u32) -> f64 {
    let slots = &side.setup.cells.slot_of;
    side.order.score(slots[detection as usize])
}

/// False positives of a side in an image, from a score on, best first.
fn false_positives(
    side: DifferenceSide<'_>,
    threshold: usize,
    range: Range<usize>,
    min_score: f64,
) -> Vec<u32> {
    let mut list: Vec<u32> = (range.start as u32..range.end as u32)
        .filter(|&detection| {
            let slot = side.setup.cells.slot_of[detection as usize] as usize;
            let flags = side.found.flags[slot][Area::All as usize];
            side.found.rank_in_cell[slot] != NOT_COUNTED
                && flags.false_positive() >> threshold & 1 == 1
                && score(side, detection) >= min_score
        })
        .collect();
    list.sort_by(|&x, &y| score(side, y).total_cmp(&score(side, x)));
    list
}

/// False positives of `one` that `other` has not, ascending. One that fell just below the limit on the other side still is
/// there, so the other side is searched a score change further down.
fn unmatched_by(
    one: DifferenceSide<'_>,
    other: DifferenceSide<'_>,
    rules: &DifferenceRules,
    image: usize,
) -> Vec<u32> {
    let range = |side: DifferenceSide<'_>| side.setup.input.images[image].detections.clone();
    let own = false_positives(one, rules.threshold, range(one), rules.min_score);
    if own.is_empty() {
        return own;
    }
    let lower = rules.min_score - rules.score;
    let mut others = false_positives(other, rules.threshold, range(other), lower);
    let mut left: Vec<u32> = own
        .into_iter()
        .filter(|&detection| {
            let label = one.setup.input.detections[detection as usize].label;
            let mine = one.setup.input.detection(detection as usize);
            let best = (0..others.len())
                .filter(|&at| other.setup.input.detections[others[at] as usize].label == label)
                .map(|at| {
                    let theirs = other.setup.input.detection(others[at] as usize);
                    (at, instance_iou(one.setup.kind, mine, theirs))
                })
                .filter(|(_, iou)| *iou >= rules.same_iou)
                .max_by(|(_, a), (_, b)| a.total_cmp(b));
            match best {
                Some((at, _)) => {
                    others.remove(at);
                    false
                }
                None => true,
            }
        })
        .collect();
    left.sort_unstable();
    left
}

/// AP of two sides.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ApPair {
    /// The first side; `None` without ground truth.
    pub a: Option<f64>,
    /// The second side.
    pub b: Option<f64>,
}

impl ApPair {
    /// From numbers that are negative where nothing exists.
    fn of(a: f64, b: f64) -> Self {
        let existing = |ap: f64| (ap >= 0.0).then_some(ap);
        Self {
            a: existing(a),
            b: existing(b),
        }
    }

    /// B less A; `None` where either does not exist.
    pub fn delta(&self) -> Option<f64> {
        Some(self.b? - self.a?)
    }
}

/// AP of two sides of one kind, all thresholds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ApDeltas {
    /// By `Area::ALL`.
    pub areas: [ApPair; Area::ALL.len()],
    /// By class, all areas.
    pub classes: Vec<ApPair>,
}

/// AP of two sides from their curves.
pub fn ap_deltas(a: &Curves, b: &Curves) -> ApDeltas {
    let classes = a.classes().min(b.classes());
    let of_class = |label| ApPair::of(a.class_ap(label, Area::All), b.class_ap(label, Area::All));
    ApDeltas {
        areas: Area::ALL.map(|area| ApPair::of(a.ap(area), b.ap(area))),
        classes: (0..classes).map(of_class).collect(),
    }
}

/// AP of each image on two sides, from `PerImage::images`.
pub fn image_ap_pairs(a: &super::PerImage, b: &super::PerImage) -> Vec<ApPair> {
    a.images
        .iter()
        .zip(&b.images)
        .map(|(a, b)| ApPair { a: a.ap, b: b.ap })
        .collect()
}
