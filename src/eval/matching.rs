//! Who matches whom: COCO's greedy rule by hotcoco's matcher, cell by cell.

use std::sync::LazyLock;

use hotcoco::params::{IouType, Params};
use hotcoco::primitives::greedy::{GtMasks, coco_match_floor, greedy_match_masked};

use super::{Cell, Cells, EvalInput, Kind, Order, Overlaps, Truth};

/// IoU thresholds .50 to .95.
pub const THRESHOLDS: usize = 10;
/// Area ranges: all, small, medium, large.
pub const AREAS: usize = 4;
/// Detections of one class in one image that count, best first.
pub const MAX_DETECTIONS: usize = 100;
/// In `Matches::rank_in_cell`: deselected, or beyond `MAX_DETECTIONS`.
pub const NOT_COUNTED: u8 = u8::MAX;

/// The thresholds as numpy's `linspace(.5, .95, 10)` spells them.
pub fn iou_thresholds() -> &'static [f64; THRESHOLDS] {
    static GRID: LazyLock<[f64; THRESHOLDS]> = LazyLock::new(|| {
        let grid = Params::new(IouType::Segm).iou_thrs;
        std::array::from_fn(|t| grid.get(t).copied().unwrap_or(1.0))
    });
    &GRID
}

/// A range of areas in pixels, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Area {
    /// Everything.
    All,
    /// Up to 32².
    Small,
    /// 32² to 96².
    Medium,
    /// From 96².
    Large,
}

impl Area {
    /// In the order of arrays.
    pub const ALL: [Self; AREAS] = [Self::All, Self::Small, Self::Medium, Self::Large];

    /// As COCO names it.
    pub fn key(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Small => "small",
            Self::Medium => "medium",
            Self::Large => "large",
        }
    }

    /// Lowest and highest area.
    pub fn limits(self) -> [f64; 2] {
        const SMALL: f64 = 32.0 * 32.0;
        const MEDIUM: f64 = 96.0 * 96.0;
        const LARGEST: f64 = 1e10; // pycocotools' end of the scale
        match self {
            Self::All => [0.0, LARGEST],
            Self::Small => [0.0, SMALL],
            Self::Medium => [SMALL, MEDIUM],
            Self::Large => [MEDIUM, LARGEST],
        }
    }

    /// Whether an area lies in the range.
    pub fn contains(self, area: f64) -> bool {
        let [low, high] = self.limits();
        low <= area && area <= high
    }
}

impl Truth {
    /// Whether it can be missed: not a crowd region, and within the range.
    pub fn counts_in(&self, area: Area) -> bool {
        !self.is_crowd && area.contains(self.area)
    }
}

/// What an annotation with the id 0 is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum IdPolicy {
    /// An annotation like any other.
    #[default]
    ByIndex,
    /// As in pycocotools, which stores the matched id and reads 0 as "no match": its detection counts as false.
    Pycocotools,
}

/// What is evaluated, all of it made once for a set.
#[derive(Clone, Copy)]
pub struct Setup<'a> {
    /// Ground truth and predictions.
    pub input: &'a EvalInput,
    /// Their cells.
    pub cells: &'a Cells,
    /// Their IoUs.
    pub overlaps: &'a Overlaps,
    /// What the IoUs are of.
    pub kind: Kind,
    /// What id 0 is.
    pub ids: IdPolicy,
}

impl Setup<'_> {
    pub(super) fn area_of(&self, detection: u32) -> f64 {
        match self.kind {
            Kind::Segm => self.input.detections[detection as usize].mask_area,
            Kind::Bbox => {
                let bbox = self.input.detection(detection as usize).bbox;
                bbox.width * bbox.height
            }
        }
    }
}

/// What takes part; `None` is everything. Each list runs parallel to that of `EvalInput`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Selection {
    /// Images.
    pub images: Option<Vec<bool>>,
    /// Ground truths.
    pub truths: Option<Vec<bool>>,
    /// Detections.
    pub detections: Option<Vec<bool>>,
}

impl Selection {
    pub(super) fn has_image(&self, image: u32) -> bool {
        has(self.images.as_deref(), image)
    }

    pub(super) fn has_truth(&self, truth: u32) -> bool {
        has(self.truths.as_deref(), truth)
    }

    pub(super) fn has_detection(&self, detection: u32) -> bool {
        has(self.detections.as_deref(), detection)
    }
}

fn has(list: Option<&[bool]>, position: u32) -> bool {
    list.is_none_or(|list| list.get(position as usize).copied().unwrap_or(false))
}

/// The matches of one cell in one area range.
#[derive(Clone, Debug, Default)]
pub struct CellMatch {
    /// Positions in `EvalInput::detections`, best first, at most `MAX_DETECTIONS`.
    pub detections: Vec<u32>,
    /// Positions in `EvalInput::truths`, ignored ones last.
    pub truths: Vec<u32>,
    /// How many of `truths`, from the start, are not ignored.
    pub counted_truths: usize,
    /// By detection, by threshold: the matched one as an index into `truths`.
    pub matched: Vec<[Option<u16>; THRESHOLDS]>,
    /// By detection: at which thresholds it counts as neither true nor false (a bit for each).
    pub ignored: Vec<u16>,
}

/// Matches a cell; the same rule for the numbers of a set and for the ledger of an image.
pub fn cell_match(
    setup: &Setup<'_>,
    order: &Order,
    selection: &Selection,
    cell: &Cell,
    area: Area,
) -> CellMatch {
    let detections = counted_detections(setup, order, selection, cell);
    let truths = counted_truths(setup, selection, cell);
    let candidates = candidates(setup, &detections);
    match_candidates(setup, &detections, &candidates, &truths, area)
}

pub(super) fn counted_detections(
    setup: &Setup<'_>,
    order: &Order,
    selection: &Selection,
    cell: &Cell,
) -> Vec<u32> {
    if !selection.has_image(cell.image) {
        return Vec::new();
    }
    order.in_cell[cell.slots.clone()]
        .iter()
        .map(|&slot| setup.cells.detections[slot as usize])
        .filter(|&detection| selection.has_detection(detection))
        .take(MAX_DETECTIONS)
        .collect()
}

pub(super) fn counted_truths(setup: &Setup<'_>, selection: &Selection, cell: &Cell) -> Vec<u32> {
    if !selection.has_image(cell.image) {
        return Vec::new();
    }
    let all = &setup.cells.truths[cell.truths.clone()];
    all.iter()
        .copied()
        .filter(|&truth| selection.has_truth(truth))
        .collect()
}

/// Rows of the detections that could match at the lowest threshold; the others need no matrix.
pub(super) fn candidates(setup: &Setup<'_>, detections: &[u32]) -> Vec<usize> {
    let lowest = iou_floor();
    (0..detections.len())
        .filter(|&row| {
            let pairs = setup.overlaps.of(detections[row] as usize);
            pairs.iter().any(|pair| pair.iou >= lowest)
        })
        .collect()
}

/// The IoU that a match needs at each threshold; a hair below it, as in pycocotools.
pub(super) fn match_floors() -> &'static [f64; THRESHOLDS] {
    static FLOORS: LazyLock<[f64; THRESHOLDS]> =
        LazyLock::new(|| iou_thresholds().map(coco_match_floor));
    &FLOORS
}

fn iou_floor() -> f64 {
    iou_thresholds().first().copied().unwrap_or(0.5)
}

pub(super) fn match_candidates(
    setup: &Setup<'_>,
    detections: &[u32],
    candidates: &[usize],
    truths: &[u32],
    area: Area,
) -> CellMatch {
    let (counted, ignored): (Vec<u32>, Vec<u32>) = truths
        .iter()
        .partition(|&&truth| setup.input.truths[truth as usize].counts_in(area));
    let counted_truths = counted.len();
    let mut found = CellMatch {
        detections: detections.to_vec(),
        truths: [counted, ignored].concat(),
        counted_truths,
        matched: vec![[None; THRESHOLDS]; detections.len()],
        ignored: vec![0; detections.len()],
    };
    if !candidates.is_empty() && !truths.is_empty() {
        greedy(setup, candidates, &mut found);
    }
    ignore(setup, area, &mut found);
    found
}

fn greedy(setup: &Setup<'_>, candidates: &[usize], found: &mut CellMatch) {
    let width = found.truths.len();
    let mut ious = vec![0.0; candidates.len() * width];
    for (row, &index) in ious.chunks_exact_mut(width).zip(candidates) {
        let pairs = setup.overlaps.of(found.detections[index] as usize);
        for (iou, &truth) in row.iter_mut().zip(&found.truths) {
            let at = pairs.binary_search_by_key(&truth, |pair| pair.truth);
            *iou = at.map_or(0.0, |at| pairs[at].iou);
        }
    }
    let crowds: Vec<bool> = found
        .truths
        .iter()
        .map(|&truth| setup.input.truths[truth as usize].is_crowd)
        .collect();
    let masks = GtMasks {
        rematchable: crowds.contains(&true).then_some(&crowds[..]),
        phase2_eligible: None,
    };
    let (rows, counted) = (candidates.len(), found.counted_truths);
    let matches = greedy_match_masked(&ious, rows, width, counted, masks, match_floors());
    for (t, row) in matches.dt_gt.iter_rows().enumerate() {
        for (&index, truth) in candidates.iter().zip(row) {
            found.matched[index][t] = truth.and_then(|truth| u16::try_from(truth).ok());
        }
    }
}

/// A detection is ignored with its match; an unmatched one where its own area is out of range.
fn ignore(setup: &Setup<'_>, area: Area, found: &mut CellMatch) {
    for (row, &detection) in found.detections.iter().enumerate() {
        let is_outside = !area.contains(setup.area_of(detection));
        for (t, truth) in found.matched[row].iter_mut().enumerate() {
            let with_match = truth.is_some_and(|truth| usize::from(truth) >= found.counted_truths);
            if setup.ids == IdPolicy::Pycocotools
                && truth.is_some_and(|truth| {
                    let position = found.truths[usize::from(truth)] as usize;
                    setup.input.truths[position].id == 0
                })
            {
                *truth = None;
            }
            if with_match || (truth.is_none() && is_outside) {
                found.ignored[row] |= 1 << t;
            }
        }
    }
}
