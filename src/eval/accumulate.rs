//! Precision and recall of every class, area range and threshold: to the last bit what hotcoco and pycocotools trace,
//! from true positives alone.

use std::sync::LazyLock;

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
    // One walk over flags that lie apart in memory; all else is of what it gathers.
    let mut events: [Events; AREAS] = Default::default();
    let mut first = [[0u32; THRESHOLDS]; LIMITS.len()];
    for &slot in order.of_class(cells, label) {
        let slot = slot as usize;
        let rank = matches.rank_in_cell[slot];
        if rank == NOT_COUNTED {
            continue;
        }
        let flags = matches.flags[slot];
        for (events, flags) in events.iter_mut().zip(flags) {
            events.add(flags);
        }
        let positive = flags[Area::All as usize].true_positive();
        for (found, limit) in first.iter_mut().zip(LIMITS) {
            if positive != 0 && rank < limit {
                add_bits(found, positive);
            }
        }
    }
    let points = recall_points();
    let areas: Vec<_> = (0..AREAS)
        .into_par_iter()
        .map(|area| {
            let count = truths[area] as usize;
            (count > 0).then(|| events[area].curves(count, points))
        })
        .collect();
    let recall = |found: [u32; THRESHOLDS]| found.map(|it| f64::from(it) / f64::from(truths[0]));
    Some(ClassFound {
        areas: areas.try_into().unwrap_or_default(),
        at_most: (truths[0] > 0).then(|| first.map(recall)),
    })
}

fn add_bits(found: &mut [u32; THRESHOLDS], bits: u16) {
    for (t, found) in found.iter_mut().enumerate() {
        *found += u32::from(bits >> t & 1);
    }
}

/// A detection that is true or ignored somewhere, a bit for each threshold.
struct Event {
    matched: u16,
    ignored: u16,
    /// Detections before it that are false at every threshold.
    false_before: u32,
}

/// The detections of a class as one range of areas counts them, best first.
#[derive(Default)]
struct Events {
    list: Vec<Event>,
    false_so_far: u32,
}

impl Events {
    fn add(&mut self, flags: Flags) {
        if flags.matched | flags.ignored == 0 {
            self.false_so_far += 1;
        } else if !flags.is_ignored_throughout() {
            self.list.push(Event {
                matched: flags.matched,
                ignored: flags.ignored,
                false_before: self.false_so_far,
            });
        }
    }

    /// By threshold.
    fn curves(&self, truths: usize, points: &[f64]) -> Vec<Curve> {
        let mut heights = Vec::new();
        (0..THRESHOLDS)
            .map(|t| curve(&self.list, t, truths, points, &mut heights))
            .collect()
    }
}

/// Recall, and at every point of recall the best precision from there on. Only a true positive raises either, so that
/// the others are only counted. `heights` is scratch.
fn curve(
    events: &[Event],
    threshold: usize,
    truths: usize,
    points: &[f64],
    heights: &mut Vec<f64>,
) -> Curve {
    heights.clear();
    let (mut found, mut wrong) = (0u32, 0u32);
    let mut recall = 0.0;
    // Of each point of recall, the true positive that reaches it; recall 0 is there from the start.
    let mut reached_by = Vec::with_capacity(points.len());
    reached_by.extend(points.iter().take_while(|&&point| point <= 0.0).map(|_| 0));
    for event in events
        .iter()
        .filter(|event| event.ignored >> threshold & 1 == 0)
    {
        if event.matched >> threshold & 1 == 0 {
            wrong += 1;
            continue;
        }
        found += 1;
        recall = f64::from(found) / truths as f64;
        heights.push(precision(found, event.false_before + wrong));
        while points
            .get(reached_by.len())
            .is_some_and(|&point| recall >= point)
        {
            reached_by.push(heights.len() - 1);
        }
    }
    for at in (0..heights.len().saturating_sub(1)).rev() {
        heights[at] = heights[at].max(heights[at + 1]);
    }
    let mut precision = vec![0.0; points.len()];
    for (precision, at) in precision.iter_mut().zip(reached_by) {
        *precision = heights.get(at).copied().unwrap_or(0.0);
    }
    (recall, precision)
}

/// As pycocotools writes it: numpy's spacing of 1 keeps nothing of nothing at 0.
fn precision(found: u32, wrong: u32) -> f64 {
    f64::from(found) / (f64::from(found) + f64::from(wrong) + f64::EPSILON)
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
