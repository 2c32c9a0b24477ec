//! AP under bootstrap resamples of the images, from matches that are made once.
//!
//! Whom a detection matches depends on its image alone, so a resample only changes how often each image counts. One
//! pass over a class's ranked detections counts `LANES` resamples side by side; precision is needed at true positives
//! only, because at a false positive it is lower than at the true positive before it. With every weight 1 the
//! result is that of `accumulate`. Copies of one image stand side by side in the ranking; where detections of one class
//! in one image have equal scores, an evaluation of a set with copied images would interleave them.
//!
//! Axes: T IoU thresholds, E entries of the ranking, B resamples in blocks of `LANES`.

#![allow(
    unsafe_code,
    reason = "lanes in wide registers where the processor has them"
)]

use rayon::prelude::*;

use super::super::matching::THRESHOLDS;
use super::super::{
    Area, Cells, EvalInput, Matches, NOT_COUNTED, Order, RECALL_POINTS, recall_points,
};
use super::resample::{LANES, Weights};

/// One class: who has ground truth, and the detections that can move its precision, best first.
#[derive(Debug, Default)]
struct RankedClass {
    /// Images with the number of their ground truths that count.
    truths: Vec<(u32, u32)>,
    entries: Vec<Entry>,
}

/// A ranked detection, a bit for each IoU threshold.
#[derive(Clone, Copy, Debug)]
struct Entry {
    image: u32,
    true_positive: u16,
    ignored: u16,
}

/// A ranking of a set with its matches, ready to be resampled at all thresholds.
#[derive(Debug)]
pub struct RankedSet {
    classes: Vec<RankedClass>,
}

impl RankedSet {
    /// Gathers a ranking from the matches that were made with it. `is_counted` tells which ground truths take part
    /// and are not ignored, as `counted_truths` gives them.
    pub fn new(cells: &Cells, order: &Order, matches: &Matches, is_counted: &[bool]) -> Self {
        Self::of_area(cells, order, matches, is_counted, Area::All)
    }

    /// The same of one range of areas; `is_counted` is that of the range.
    pub fn of_area(
        cells: &Cells,
        order: &Order,
        matches: &Matches,
        is_counted: &[bool],
        area: Area,
    ) -> Self {
        let classes = (0..cells.of_class.len())
            .into_par_iter()
            .map(|label| RankedClass {
                truths: truths_of(cells, label, is_counted),
                entries: entries_of(cells, order, matches, label, area),
            })
            .collect();
        Self { classes }
    }
}

/// Which ground truths are no crowd and take part, by position: what AP over all areas counts.
pub fn counted_truths(input: &EvalInput, selection: &super::super::Selection) -> Vec<bool> {
    counted_in(input, selection, Area::All)
}

/// The same of a range of areas.
pub fn counted_in(input: &EvalInput, selection: &super::super::Selection, area: Area) -> Vec<bool> {
    let is_in = |list: &Option<Vec<bool>>, at: usize| {
        list.as_ref()
            .is_none_or(|list| list.get(at).copied().unwrap_or(false))
    };
    let truths = input.truths.iter().enumerate();
    truths
        .map(|(position, truth)| {
            !truth.is_crowd
                && area.contains(truth.area)
                && is_in(&selection.truths, position)
                && is_in(&selection.images, truth.image as usize)
        })
        .collect()
}

fn truths_of(cells: &Cells, label: usize, is_counted: &[bool]) -> Vec<(u32, u32)> {
    let range = cells.of_class.get(label).cloned().unwrap_or_default();
    let list = cells.list.get(range).unwrap_or(&[]);
    list.iter()
        .map(|cell| {
            let truths = &cells.truths[cell.truths.clone()];
            let counts = |truth: &&u32| is_counted.get(**truth as usize) == Some(&true);
            (cell.image, truths.iter().filter(counts).count() as u32)
        })
        .filter(|&(_, count)| count > 0)
        .collect()
}

fn entries_of(
    cells: &Cells,
    order: &Order,
    matches: &Matches,
    label: usize,
    area: Area,
) -> Vec<Entry> {
    let slots = order.of_class(cells, label).iter();
    let counted = slots.filter(|&&slot| matches.rank_in_cell[slot as usize] != NOT_COUNTED);
    let mut entries: Vec<Entry> = counted
        .filter(|&&slot| !matches.flags[slot as usize][area as usize].is_ignored_throughout())
        .map(|&slot| {
            let flags = matches.flags[slot as usize][area as usize];
            let cell = cells.cell_of[slot as usize] as usize;
            Entry {
                image: cells.list[cell].image,
                true_positive: flags.true_positive(),
                ignored: flags.ignored,
            }
        })
        .collect();
    // What follows the last true positive changes no precision that is read.
    let last = entries.iter().rposition(|entry| entry.true_positive != 0);
    entries.truncate(last.map_or(0, |last| last + 1));
    entries
}

/// AP of one ranking in every resample; NaN where a resample holds no ground truth to measure.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ApSamples {
    /// Over all classes.
    pub all: Vec<f64>,
    /// Of each class.
    pub of_class: Vec<Vec<f64>>,
}

/// AP of several rankings of one ground truth in the same resamples, so that their differences are paired; on all cores.
/// `None` when `keep_going` says no.
pub fn resampled_aps(
    sets: &[&RankedSet],
    weights: &Weights,
    keep_going: &(dyn Fn() -> bool + Sync),
) -> Option<Vec<ApSamples>> {
    let classes = sets.first().map_or(0, |set| set.classes.len());
    let blocks = weights.blocks();
    // The largest classes first: they take longest.
    let mut labels: Vec<usize> = (0..classes).collect();
    labels.sort_by_key(|&label| {
        std::cmp::Reverse(sets.first().map(|s| s.classes[label].entries.len()))
    });
    let tasks: Vec<(usize, usize)> = labels
        .iter()
        .flat_map(|&label| (0..blocks).map(move |block| (label, block)))
        .collect();
    let done: Vec<Vec<[f64; LANES]>> = tasks
        .par_iter()
        .with_max_len(1)
        .map(|&(label, block)| keep_going().then(|| class_aps(sets, label, weights.block(block))))
        .collect::<Option<_>>()?;
    let mut place = vec![0; tasks.len()];
    for (at, (label, block)) in tasks.iter().enumerate() {
        place[label * blocks + block] = at;
    }
    let samples = (0..sets.len()).map(|set| {
        let of_class: Vec<Vec<f64>> = (0..classes)
            .map(|label| weights.joined((0..blocks).map(|b| &done[place[label * blocks + b]][set])))
            .collect();
        let all = (0..weights.resamples())
            .map(|resample| {
                mean_of_existing(of_class.iter().filter_map(|class| class.get(resample)))
            })
            .collect();
        ApSamples { all, of_class }
    });
    Some(samples.collect())
}

fn mean_of_existing<'a>(values: impl Iterator<Item = &'a f64>) -> f64 {
    let (sum, count) = values
        .filter(|value| !value.is_nan())
        .fold((0.0, 0u32), |(sum, count), value| (sum + value, count + 1));
    sum / f64::from(count) // 0 / 0 is NaN: nothing exists
}

/// AP of a class in a block of resamples, by each ranking.
fn class_aps(sets: &[&RankedSet], label: usize, weights: &[[u8; LANES]]) -> Vec<[f64; LANES]> {
    let Some(first) = sets.first().map(|set| &set.classes[label]) else {
        return Vec::new();
    };
    let mut truths = [0u32; LANES];
    for &(image, count) in &first.truths {
        for (total, &weight) in truths.iter_mut().zip(&weights[image as usize]) {
            *total += count * u32::from(weight);
        }
    }
    let table = PointTable::new(&truths);
    let mut scratch = Vec::new();
    let of_set = |set: &&RankedSet| {
        let mut ap = precision_sums(&set.classes[label].entries, weights, &table, &mut scratch);
        for (ap, &truths) in ap.iter_mut().zip(&truths) {
            *ap = match truths {
                0 => f64::NAN,
                _ => *ap / (THRESHOLDS * RECALL_POINTS) as f64,
            };
        }
        ap
    };
    sets.iter().map(of_set).collect()
}

/// How many true positives it takes to reach so many points of recall, in each lane.
struct PointTable {
    truths: [u32; LANES],
    /// (points, LANES) from 1 point on; the first point, recall 0, takes one true positive too.
    needed: Vec<[i32; LANES]>,
}

impl PointTable {
    fn new(truths: &[u32; LANES]) -> Self {
        let needed_for = |point: f64, truths: u32| {
            let reaches = |found: u32| f64::from(found) / f64::from(truths) >= point;
            let mut found = (point * f64::from(truths)).round().max(1.0) as u32;
            while found > 1 && reaches(found - 1) {
                found -= 1;
            }
            while !reaches(found) && found < truths {
                found += 1;
            }
            i32::try_from(found).unwrap_or(i32::MAX)
        };
        let row = |&point: &f64| truths.map(|truths| needed_for(point, truths));
        Self {
            truths: *truths,
            needed: recall_points().iter().map(row).collect(),
        }
    }

    /// What it takes to hold `points`; less than any count for none.
    fn needed(&self, points: u8, lane: usize) -> i32 {
        let row = usize::from(points).checked_sub(1);
        row.and_then(|row| self.needed.get(row))
            .map_or(i32::MIN, |row| row[lane])
    }

    /// Points reached with so many true positives.
    fn reached(&self, found: i32, lane: usize) -> u8 {
        let whole = RECALL_POINTS - 1;
        let (found_so_far, truths) = (found.max(0) as usize, self.truths[lane] as usize);
        if found_so_far == 0 || truths == 0 {
            return 0;
        }
        // One more than the true share has, against rounding; then down to what is reached.
        let mut points = (found_so_far * whole / truths + 2).min(RECALL_POINTS) as u8;
        while self.needed(points, lane) > found {
            points -= 1;
        }
        points
    }
}

/// Entries that are true or ignored somewhere, with the entries counted so far in each lane.
struct Event {
    entry: Entry,
    counted: [i32; LANES],
}

/// Precision summed over the points of recall and the thresholds, in each lane.
fn precision_sums(
    entries: &[Entry],
    weights: &[[u8; LANES]],
    table: &PointTable,
    events: &mut Vec<Event>,
) -> [f64; LANES] {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has what the function is compiled for.
        return unsafe { precision_sums_avx2(entries, weights, table, events) };
    }
    precision_sums_in_lanes(entries, weights, table, events)
}

/// The same in registers twice as wide.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn precision_sums_avx2(
    entries: &[Entry],
    weights: &[[u8; LANES]],
    table: &PointTable,
    events: &mut Vec<Event>,
) -> [f64; LANES] {
    precision_sums_in_lanes(entries, weights, table, events)
}

// Inlined with all it calls: what stays a function of its own is compiled for the oldest processor.
#[inline(always)]
fn precision_sums_in_lanes(
    entries: &[Entry],
    weights: &[[u8; LANES]],
    table: &PointTable,
    events: &mut Vec<Event>,
) -> [f64; LANES] {
    let mut counted = [0i32; LANES];
    let mut found = [[0i32; LANES]; THRESHOLDS];
    let mut ignored = [[0i32; LANES]; THRESHOLDS];
    events.clear();
    for &entry in entries {
        let weight = &weights[entry.image as usize];
        add(&mut counted, weight);
        if entry.true_positive | entry.ignored == 0 {
            continue;
        }
        events.push(Event { entry, counted });
        for t in 0..THRESHOLDS {
            if entry.true_positive >> t & 1 == 1 {
                add(&mut found[t], weight);
            } else if entry.ignored >> t & 1 == 1 {
                add(&mut ignored[t], weight);
            }
        }
    }
    let mut sums = [0.0; LANES];
    for t in 0..THRESHOLDS {
        let mut walk = Walk::new(table, found[t], ignored[t]);
        for event in events.iter().rev() {
            let weight = &weights[event.entry.image as usize];
            if event.entry.true_positive >> t & 1 == 1 {
                walk.pass(&event.counted, weight, &mut sums);
            } else if event.entry.ignored >> t & 1 == 1 {
                subtract(&mut walk.ignored, weight);
            }
        }
    }
    sums
}

// Wrapping, because a check for overflow would keep the lanes from being added side by side. A count stays below 255 times
// the detections of a class.
#[inline(always)]
fn add(total: &mut [i32; LANES], weight: &[u8; LANES]) {
    for (total, &weight) in total.iter_mut().zip(weight) {
        *total = total.wrapping_add(i32::from(weight));
    }
}

#[inline(always)]
fn subtract(total: &mut [i32; LANES], weight: &[u8; LANES]) {
    for (total, &weight) in total.iter_mut().zip(weight) {
        *total = total.wrapping_sub(i32::from(weight));
    }
}

/// One threshold, walked from the last event to the first with the best precision seen so far.
struct Walk<'a> {
    table: &'a PointTable,
    /// True and ignored entries up to the event at hand.
    found: [i32; LANES],
    ignored: [i32; LANES],
    best: [f64; LANES],
    /// Points of recall that `found` reaches, and what it takes to hold them.
    points: [u8; LANES],
    held_from: [i32; LANES],
}

impl<'a> Walk<'a> {
    fn new(table: &'a PointTable, found: [i32; LANES], ignored: [i32; LANES]) -> Self {
        let points = std::array::from_fn(|lane| table.reached(found[lane], lane));
        Self {
            table,
            found,
            ignored,
            best: [0.0; LANES],
            points,
            held_from: std::array::from_fn(|lane| table.needed(points[lane], lane)),
        }
    }

    /// Passes a true positive. Points that the entries before it do not reach have their precision now.
    #[inline(always)]
    fn pass(&mut self, counted: &[i32; LANES], weight: &[u8; LANES], sums: &mut [f64; LANES]) {
        raise(&mut self.best, &self.found, counted, &self.ignored);
        subtract(&mut self.found, weight);
        for first in (0..LANES).step_by(STRIDE) {
            let strip = first..first + STRIDE;
            let pairs = self.found[strip.clone()].iter();
            let is_below = |any: bool, (found, held_from)| any | (found < held_from);
            if !pairs
                .zip(&self.held_from[strip.clone()])
                .fold(false, is_below)
            {
                continue;
            }
            for lane in strip {
                while self.found[lane] < self.held_from[lane] {
                    sums[lane] += self.best[lane];
                    self.points[lane] -= 1;
                    self.held_from[lane] = self.table.needed(self.points[lane], lane);
                }
            }
        }
    }
}

/// Lanes that are looked at together for a point that is passed.
const STRIDE: usize = 8;

/// Precision as pycocotools writes it: the smallest number keeps nothing of nothing at 0.
#[inline(always)]
fn raise(
    best: &mut [f64; LANES],
    found: &[i32; LANES],
    counted: &[i32; LANES],
    ignored: &[i32; LANES],
) {
    for lane in 0..LANES {
        let all = f64::from(counted[lane].wrapping_sub(ignored[lane]));
        let precision = f64::from(found[lane]) / (all + f64::EPSILON);
        best[lane] = if precision > best[lane] {
            precision
        } else {
            best[lane]
        };
    }
}
