//! The matches of a whole set, and how those of fewer detections follow from them.

use rayon::prelude::*;

use super::matching::{
    AREAS, Area, IdPolicy, NOT_COUNTED, Selection, Setup, THRESHOLDS, candidates,
    counted_detections, counted_truths, match_candidates, match_floors,
};
use super::{Cell, Cells, Order};

/// Matched and ignored, a bit for each IoU threshold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// Has a match.
    pub matched: u16,
    /// Counts as neither true nor false.
    pub ignored: u16,
}

impl Flags {
    /// Thresholds at which it is a true positive.
    pub fn true_positive(self) -> u16 {
        self.matched & !self.ignored
    }

    /// Thresholds at which it is a false positive.
    pub fn false_positive(self) -> u16 {
        !self.matched & !self.ignored & ALL_THRESHOLDS
    }

    /// Whether it counts at no threshold.
    pub fn is_ignored_throughout(self) -> bool {
        self.ignored & ALL_THRESHOLDS == ALL_THRESHOLDS
    }
}

const ALL_THRESHOLDS: u16 = (1 << THRESHOLDS) - 1;

/// The matches of a set, as much of them as the numbers need.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Matches {
    /// By slot, by area range.
    pub flags: Vec<[Flags; AREAS]>,
    /// By slot: its rank in its cell, or `NOT_COUNTED`.
    pub rank_in_cell: Vec<u8>,
    /// By class, by area range: ground truths that are not ignored.
    pub truths: Vec<[u32; AREAS]>,
}

/// Cells that a thread takes at once, so that handing them out costs nothing beside matching them.
const CELLS_A_TASK: usize = 64;

/// A cell with its part of `Matches`.
struct OfCell<'a> {
    cell: &'a Cell,
    flags: &'a mut [[Flags; AREAS]],
    ranks: &'a mut [u8],
}

impl Matches {
    fn empty(cells: &Cells) -> Self {
        Self {
            flags: vec![[Flags::default(); AREAS]; cells.detections.len()],
            rank_in_cell: vec![NOT_COUNTED; cells.detections.len()],
            truths: vec![[0; AREAS]; cells.of_class.len()],
        }
    }

    fn by_cell<'a>(&'a mut self, cells: &'a Cells) -> Vec<OfCell<'a>> {
        let mut parts = Vec::with_capacity(cells.list.len());
        let (mut flags, mut ranks) = (&mut self.flags[..], &mut self.rank_in_cell[..]);
        for cell in &cells.list {
            let (of_cell, rest) = flags.split_at_mut(cell.slots.len());
            flags = rest;
            let (ranks_of_cell, rest) = ranks.split_at_mut(cell.slots.len());
            ranks = rest;
            parts.push(OfCell {
                cell,
                flags: of_cell,
                ranks: ranks_of_cell,
            });
        }
        parts
    }
}

/// Matches every cell, on all cores.
pub fn matches(setup: &Setup<'_>, order: &Order, selection: &Selection) -> Matches {
    let cells = setup.cells;
    let mut found = Matches::empty(cells);
    let counts: Vec<[u32; AREAS]> = found
        .by_cell(cells)
        .into_par_iter()
        .with_min_len(CELLS_A_TASK)
        .map(|of_cell| match_into(setup, order, selection, of_cell))
        .collect();
    for (cell, counts) in cells.list.iter().zip(counts) {
        if let Some(total) = found.truths.get_mut(cell.label as usize) {
            for (total, count) in total.iter_mut().zip(counts) {
                *total += count;
            }
        }
    }
    found
}

/// `matches` of a selection from those of a larger one: of the same setup and order, with the same images and ground
/// truths, but more detections. A detection without a match takes nothing from others, so that most cells stay as they
/// were: this is what a moved threshold costs.
pub fn matches_of_fewer(
    setup: &Setup<'_>,
    order: &Order,
    selection: &Selection,
    of_more: &Matches,
) -> Matches {
    let cells = setup.cells;
    let mut found = Matches::empty(cells);
    found.truths.clone_from(&of_more.truths);
    found
        .by_cell(cells)
        .into_par_iter()
        .with_min_len(CELLS_A_TASK)
        .for_each(|of_cell| {
            if stays(setup, order, selection, of_cell.cell, of_more) {
                copy_kept(setup, order, selection, of_cell, of_more);
            } else {
                match_into(setup, order, selection, of_cell);
            }
        });
    found
}

/// Whether the detections of a cell that are left match as before: none that is gone had a match that one behind it
/// could take, and none comes in from beyond the limit.
fn stays(
    setup: &Setup<'_>,
    order: &Order,
    selection: &Selection,
    cell: &Cell,
    of_more: &Matches,
) -> bool {
    // There a match with the id 0 does not show in the flags.
    let hides_matches = setup.ids == IdPolicy::Pycocotools;
    let mut freed = false;
    for &slot in &order.in_cell[cell.slots.clone()] {
        let at = slot as usize;
        let detection = setup.cells.detections[at];
        let is_left = selection.has_detection(detection);
        let was_counted = of_more.rank_in_cell[at] != NOT_COUNTED;
        let overlaps = !setup.overlaps.of(detection as usize).is_empty();
        if is_left && (!was_counted || (freed && overlaps)) {
            return false;
        }
        let had_match = of_more.flags[at].iter().any(|flags| flags.matched != 0);
        freed |= !is_left && (had_match || (hides_matches && overlaps));
    }
    true
}

fn copy_kept(
    setup: &Setup<'_>,
    order: &Order,
    selection: &Selection,
    into: OfCell<'_>,
    of_more: &Matches,
) {
    let start = into.cell.slots.start;
    let left = order.in_cell[into.cell.slots.clone()]
        .iter()
        .map(|&slot| slot as usize)
        .filter(|&slot| selection.has_detection(setup.cells.detections[slot]));
    for (rank, slot) in (0u8..).zip(left) {
        into.flags[slot - start] = of_more.flags[slot];
        into.ranks[slot - start] = rank;
    }
}

/// Matches a cell into its part of `Matches`; returns its ground truths that count, by area range.
fn match_into(
    setup: &Setup<'_>,
    order: &Order,
    selection: &Selection,
    into: OfCell<'_>,
) -> [u32; AREAS] {
    let OfCell { cell, flags, ranks } = into;
    let detections = counted_detections(setup, order, selection, cell);
    let truths = counted_truths(setup, selection, cell);
    let place =
        |detection: u32| setup.cells.slot_of[detection as usize] as usize - cell.slots.start;
    for (rank, &detection) in (0u8..).zip(&detections) {
        ranks[place(detection)] = rank;
    }
    let candidates = candidates(setup, &detections);
    let same_in_all = of_one_kind(setup, &truths)
        .then(|| matched_throughout(setup, &detections, &candidates, &truths));
    let mut counts = [0; AREAS];
    for (a, area) in Area::ALL.into_iter().enumerate() {
        if candidates.is_empty() || truths.is_empty() {
            counts[a] = unmatched(setup, &detections, &truths, area, |detection, ignored| {
                flags[place(detection)][a].ignored = ignored;
            });
            continue;
        }
        if let Some(matched) = &same_in_all {
            let is_counted = setup.input.truths[truths[0] as usize].counts_in(area);
            counts[a] = if is_counted { truths.len() as u32 } else { 0 };
            for (&matched, &detection) in matched.iter().zip(&detections) {
                let is_outside = !area.contains(setup.area_of(detection));
                let without_match = if is_outside {
                    !matched & ALL_THRESHOLDS
                } else {
                    0
                };
                let with_match = if is_counted { 0 } else { matched };
                flags[place(detection)][a] = Flags {
                    matched,
                    ignored: with_match | without_match,
                };
            }
            continue;
        }
        let found = match_candidates(setup, &detections, &candidates, &truths, area);
        counts[a] = found.counted_truths as u32;
        for (row, &detection) in detections.iter().enumerate() {
            let of_slot = &mut flags[place(detection)][a];
            of_slot.ignored = found.ignored[row];
            of_slot.matched = bits(&found.matched[row]);
        }
    }
    counts
}

/// Thresholds at which each detection has a match, where that is the same in every range.
fn matched_throughout(
    setup: &Setup<'_>,
    detections: &[u32],
    candidates: &[usize],
    truths: &[u32],
) -> Vec<u16> {
    if let [truth] = truths {
        return matched_with_one(setup, detections, candidates, *truth);
    }
    let found = match_candidates(setup, detections, candidates, truths, Area::All);
    found.matched.iter().map(bits).collect()
}

/// A single ground truth goes, at each threshold, to the first detection that overlaps it enough.
fn matched_with_one(
    setup: &Setup<'_>,
    detections: &[u32],
    candidates: &[usize],
    truth: u32,
) -> Vec<u16> {
    let mut matched = vec![0; detections.len()];
    let mut free = ALL_THRESHOLDS;
    for &row in candidates {
        let pairs = setup.overlaps.of(detections[row] as usize);
        let Ok(at) = pairs.binary_search_by_key(&truth, |pair| pair.truth) else {
            continue;
        };
        let reached = |&(_, &floor): &(usize, &f64)| pairs[at].iou >= floor;
        let floors = match_floors().iter().enumerate().take_while(reached);
        let reached: u16 = floors.map(|(t, _)| 1 << t).sum();
        matched[row] = reached & free;
        free &= !reached;
    }
    matched
}

/// Whether the ground truths of a cell count in the same ranges and none is a crowd region. Then they are all counted or
/// all ignored, who matches whom is the same in every range, and only what counts differs.
/// Under pycocotools' rule a match with the id 0 is forgotten once a range is done, so that no other can follow from it.
fn of_one_kind(setup: &Setup<'_>, truths: &[u32]) -> bool {
    if setup.ids == IdPolicy::Pycocotools {
        return false;
    }
    let ranges = |truth: u32| {
        let truth = &setup.input.truths[truth as usize];
        (truth.is_crowd, Area::ALL.map(|area| truth.counts_in(area)))
    };
    match truths {
        [] => false,
        [first, rest @ ..] => {
            let (is_crowd, counted) = ranges(*first);
            !is_crowd && rest.iter().all(|&truth| ranges(truth) == (false, counted))
        }
    }
}

/// A cell in which nothing can match: only areas decide. Returns the ground truths that count.
fn unmatched(
    setup: &Setup<'_>,
    detections: &[u32],
    truths: &[u32],
    area: Area,
    mut set: impl FnMut(u32, u16),
) -> u32 {
    for &detection in detections {
        let is_outside = !area.contains(setup.area_of(detection));
        set(detection, if is_outside { ALL_THRESHOLDS } else { 0 });
    }
    let counts = |&&truth: &&u32| setup.input.truths[truth as usize].counts_in(area);
    truths.iter().filter(counts).count() as u32
}

fn bits(matched: &[Option<u16>; THRESHOLDS]) -> u16 {
    let bit = |(t, truth): (usize, &Option<u16>)| u16::from(truth.is_some()) << t;
    matched.iter().enumerate().map(bit).sum()
}
