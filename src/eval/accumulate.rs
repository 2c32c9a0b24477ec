//! Precision and recall of every class, area range and threshold, traced by hotcoco's primitives.

use std::sync::LazyLock;

use hotcoco::metrics::counts::{PrCurveScratch, precision_recall_curve_of_order_into};
use rayon::prelude::*;

use super::matching::{AREAS, Area, NOT_COUNTED, THRESHOLDS};
use super::mean::{mean_of_existing, pairwise_mean};
use super::{Cells, Flags, Matches, Order};

/// Points of recall at which precision is read: 0, .01, ... 1.
pub const RECALL_POINTS: usize = 101;
/// Further limits of detections in a cell, for which recall alone is reported.
const LIMITS: [u8; 2] = [1, 10];

/// The points of recall as numpy's `linspace(0, 1, 101)` spells them.
pub fn recall_points() -> &'static [f64] {
    static GRID: LazyLock<Vec<f64>> = LazyLock::new(hotcoco::params::default_rec_thrs);
    &GRID
}

/// Precision and recall; -1 where a class has no ground truth in a range.
#[derive(Clone, Debug, PartialEq)]
pub struct Curves {
    classes: usize,
    /// By area: (T, R, K), in the order in which numpy sums.
    precision: [Vec<f64>; AREAS],
    /// By area: (T, K).
    recall: [Vec<f64>; AREAS],
    /// By `LIMITS`: (T, K), all areas.
    recall_at_most: [Vec<f64>; LIMITS.len()],
}

/// Traces the curves of every class, on all cores.
pub fn accumulate(cells: &Cells, order: &Order, matches: &Matches) -> Curves {
    let classes = cells.of_class.len();
    let of_classes: Vec<ClassCurves> = (0..classes)
        .into_par_iter()
        .map(|label| class_curves(cells, order, matches, label))
        .collect();
    let missing = |count: usize| vec![-1.0; count];
    let mut curves = Curves {
        classes,
        precision: std::array::from_fn(|_| missing(THRESHOLDS * RECALL_POINTS * classes)),
        recall: std::array::from_fn(|_| missing(THRESHOLDS * classes)),
        recall_at_most: std::array::from_fn(|_| missing(THRESHOLDS * classes)),
    };
    for (label, class) in of_classes.into_iter().enumerate() {
        let Some(class) = class else { continue };
        for (area, of_area) in class.areas.into_iter().enumerate() {
            let Some(of_area) = of_area else { continue };
            for (t, (recall, precision)) in of_area.into_iter().enumerate() {
                curves.recall[area][t * classes + label] = recall;
                for (r, precision) in precision.into_iter().enumerate() {
                    curves.precision[area][(t * RECALL_POINTS + r) * classes + label] = precision;
                }
            }
        }
        for (limit, recalls) in class.at_most.into_iter().flatten().enumerate() {
            for (t, recall) in recalls.into_iter().enumerate() {
                curves.recall_at_most[limit][t * classes + label] = recall;
            }
        }
    }
    curves
}

/// Recall, and precision at every point of recall.
type Curve = (f64, Vec<f64>);

struct ClassFound {
    /// By area, by threshold; `None` without ground truth.
    areas: [Option<Vec<Curve>>; AREAS],
    at_most: Option<[[f64; THRESHOLDS]; LIMITS.len()]>,
}

type ClassCurves = Option<ClassFound>;

fn class_curves(cells: &Cells, order: &Order, matches: &Matches, label: usize) -> ClassCurves {
    let truths = matches.truths.get(label)?;
    if truths.iter().all(|&count| count == 0) {
        return None;
    }
    let ranked: Vec<(&[Flags; AREAS], u8)> = order
        .of_class(cells, label)
        .iter()
        .map(|&slot| {
            let slot = slot as usize;
            (&matches.flags[slot], matches.rank_in_cell[slot])
        })
        .filter(|&(_, rank)| rank != NOT_COUNTED)
        .collect();
    let points = recall_points();
    let areas: Vec<_> = (0..AREAS)
        .into_par_iter()
        .map(|area| {
            let count = truths[area] as usize;
            (count > 0).then(|| area_curves(&ranked, area, count, points))
        })
        .collect();
    Some(ClassFound {
        areas: areas.try_into().unwrap_or_default(),
        at_most: (truths[0] > 0)
            .then(|| LIMITS.map(|limit| recall_within(&ranked, limit, truths[0]))),
    })
}

fn area_curves(
    ranked: &[(&[Flags; AREAS], u8)],
    area: usize,
    truths: usize,
    points: &[f64],
) -> Vec<Curve> {
    let counted: Vec<Flags> = ranked
        .iter()
        .map(|(flags, _)| flags[area])
        .filter(|flags| !flags.is_ignored_throughout())
        .collect();
    let mut matched = Vec::with_capacity(counted.len());
    let (mut scratch, mut traced) = (PrCurveScratch::default(), Vec::new());
    (0..THRESHOLDS)
        .map(|t| {
            matched.clear();
            matched.extend(
                counted
                    .iter()
                    .filter(|flags| flags.ignored >> t & 1 == 0)
                    .map(|flags| flags.matched >> t & 1 == 1),
            );
            let recall = precision_recall_curve_of_order_into(
                0..matched.len(),
                &matched,
                None,
                truths,
                points,
                &mut scratch,
                &mut traced,
            );
            let mut precision = vec![0.0; points.len()];
            for &(point, value, _) in &traced {
                precision[point] = value;
            }
            (recall, precision)
        })
        .collect()
}

/// Recall when only the best `limit` detections of each image count.
fn recall_within(ranked: &[(&[Flags; AREAS], u8)], limit: u8, truths: u32) -> [f64; THRESHOLDS] {
    let mut found = [0u32; THRESHOLDS];
    for (flags, _) in ranked.iter().filter(|(_, rank)| *rank < limit) {
        let positive = flags[0].true_positive();
        for (t, found) in found.iter_mut().enumerate() {
            *found += u32::from(positive >> t & 1);
        }
    }
    found.map(|found| f64::from(found) / f64::from(truths))
}

impl Curves {
    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// AP over all thresholds and classes.
    pub fn ap(&self, area: Area) -> f64 {
        mean_of_existing(self.precision[area as usize].iter().copied())
    }

    /// AP at one threshold, all areas.
    pub fn ap_at(&self, threshold: usize) -> f64 {
        let length = RECALL_POINTS * self.classes;
        let start = threshold * length;
        let all = &self.precision[Area::All as usize];
        mean_of_existing(all[start..start + length].iter().copied())
    }

    /// AR over all thresholds and classes.
    pub fn ar(&self, area: Area) -> f64 {
        mean_of_existing(self.recall[area as usize].iter().copied())
    }

    /// AR with at most 1 (`0`) or 10 (`1`) detections of a class in an image.
    pub fn ar_at_most(&self, limit: usize) -> f64 {
        mean_of_existing(self.recall_at_most[limit].iter().copied())
    }

    /// AP of a class over all thresholds; -1 without ground truth.
    pub fn class_ap(&self, label: usize, area: Area) -> f64 {
        let of_thresholds: Vec<f64> = (0..THRESHOLDS)
            .flat_map(|t| self.precision_curve(label, area, t))
            .collect();
        mean_of_existing(of_thresholds.into_iter())
    }

    /// AP of a class at one threshold; -1 without ground truth.
    pub fn class_ap_at(&self, label: usize, area: Area, threshold: usize) -> f64 {
        let curve: Vec<f64> = self.precision_curve(label, area, threshold).collect();
        mean_of_existing(curve.into_iter())
    }

    /// Recall of a class over all thresholds; -1 without ground truth.
    pub fn class_ar(&self, label: usize, area: Area) -> f64 {
        let recalls = (0..THRESHOLDS).map(|t| self.recall[area as usize][t * self.classes + label]);
        mean_of_existing(recalls)
    }

    /// Precision of a class at each of the 101 points of recall; -1 without ground truth.
    pub fn precision_curve(
        &self,
        label: usize,
        area: Area,
        threshold: usize,
    ) -> impl Iterator<Item = f64> + '_ {
        let all = &self.precision[area as usize];
        (0..RECALL_POINTS)
            .filter_map(move |r| all.get((threshold * RECALL_POINTS + r) * self.classes + label))
            .copied()
    }

    /// Precision over recall, mean of the classes that have ground truth; `None` where none has.
    pub fn mean_precision_curve(&self, area: Area, threshold: usize) -> Option<Vec<f64>> {
        let all = &self.precision[area as usize];
        (0..RECALL_POINTS)
            .map(|r| {
                let start = (threshold * RECALL_POINTS + r) * self.classes;
                let row = all.get(start..start + self.classes)?;
                let existing: Vec<f64> = row.iter().copied().filter(|p| *p > -1.0).collect();
                pairwise_mean(&existing)
            })
            .collect()
    }
}
