//! The rankings that are compared, each with its matches.

use rayon::prelude::*;
use serde::Serialize;

use super::super::matching::THRESHOLDS;
use super::super::{Area, Matches, NOT_COUNTED, Order, Selection, Setup, matches};
use super::isotonic::{Isotonic, Observation};
use super::resample::half;
use super::{Absent, Numbers};

/// What orders the detections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ranking {
    /// Class score.
    Score,
    /// Predicted mask IoU.
    MaskIou,
    /// Their product.
    IouScore,
    /// The product of both after calibration: what the product could be if each told the truth about itself.
    Recalibrated,
    /// The largest IoU with an annotation of the class: what a head that knew the IoU would rank by. Duplicates of a
    /// good mask stay false positives, also here.
    MeasuredIou,
}

impl Ranking {
    /// In the order of tables.
    pub const ALL: [Self; 5] = [
        Self::Score,
        Self::MaskIou,
        Self::IouScore,
        Self::Recalibrated,
        Self::MeasuredIou,
    ];

    /// As the window names it.
    pub fn label(self) -> &'static str {
        match self {
            Self::Score => "score",
            Self::MaskIou => "mask IoU",
            Self::IouScore => "iou score",
            Self::Recalibrated => "recalibrated product",
            Self::MeasuredIou => "measured IoU",
        }
    }
}

/// A ranking with its matches.
#[derive(Debug)]
pub struct Ranked {
    /// Detections, best first.
    pub order: Order,
    /// Whom they match.
    pub matches: Matches,
}

impl Ranked {
    fn new(setup: &Setup<'_>, selection: &Selection, scores: &[f64]) -> Self {
        let order = Order::new(setup.cells, scores);
        let matches = matches(setup, &order, selection);
        Self { order, matches }
    }
}

/// All rankings of a set. Those that need `mask_iou` tell why they are absent.
#[derive(Debug)]
pub struct Rankings {
    /// In the order of [`Ranking::ALL`].
    pub list: [Result<Ranked, Absent>; Ranking::ALL.len()],
    /// The maps behind the recalibrated product.
    pub recalibration: Result<Recalibration, Absent>,
    /// Images on which the recalibration of the test half was not fitted.
    pub is_test: Vec<bool>,
}

impl Rankings {
    /// Ranks and matches, on all cores. `is_selected` marks the images that take part, `seed` splits them into halves.
    pub fn new(
        setup: &Setup<'_>,
        selection: &Selection,
        numbers: &Numbers,
        is_selected: &[bool],
        seed: u64,
    ) -> Self {
        let plain = [&numbers.score, &numbers.iou_score, &numbers.nearest];
        let mask_iou = numbers.mask_iou.as_ref();
        let jobs: Vec<&Vec<f64>> = plain.into_iter().chain(mask_iou.ok()).collect();
        let mut ranked: Vec<Ranked> = jobs
            .into_par_iter()
            .map(|scores| Ranked::new(setup, selection, scores))
            .collect();
        let absent = |reason: &Absent| Err(reason.clone());
        let mut taken = ranked.drain(..);
        let none = || Absent("the ranking was not made".into());
        let mut next = || taken.next().ok_or_else(none);
        let (score, iou_score, measured) = (next(), next(), next());
        let by_mask_iou = mask_iou.map_or_else(absent, |_| next());
        let is_fitted = half(is_selected, seed);
        let is_test: Vec<bool> = is_selected
            .iter()
            .zip(&is_fitted)
            .map(|(&selected, &fitted)| selected && !fitted)
            .collect();
        let both = score.as_ref().and_then(|score| Ok((score, mask_iou?)));
        let recalibration = both.map_err(Clone::clone).and_then(|(score, mask_iou)| {
            let sources = Sources {
                setup,
                numbers,
                mask_iou,
                by_score: &score.matches,
            };
            sources.recalibration(is_fitted, &is_test)
        });
        let maps = recalibration.as_ref();
        let recalibrated = maps.map_err(Clone::clone).and_then(|maps| {
            let ranks = maps.ranks(setup, numbers, mask_iou.map_err(Clone::clone)?);
            Ok(Ranked::new(setup, selection, &ranks))
        });
        // `iou_score` without a head repeats `score`: it says nothing of its own.
        let iou_score = mask_iou.map_or_else(absent, |_| iou_score);
        Self {
            list: [score, by_mask_iou, iou_score, recalibrated, measured],
            recalibration,
            is_test,
        }
    }

    /// A ranking.
    pub fn get(&self, ranking: Ranking) -> Result<&Ranked, &Absent> {
        self.list[ranking as usize].as_ref()
    }
}

/// Maps fitted on both halves of the images: each half is scored by the maps of the other, so that no image is judged by
/// what was fitted on it.
///
/// `score` is mapped to precision at IoU .5 (over the detections that count there), `mask_iou` to measured IoU over the
/// true positives among them, as the head was trained. The product then estimates the expected IoU of a detection:
/// P(true | score) · E(IoU | true, mask_iou).
#[derive(Clone, Debug)]
pub struct Recalibration {
    /// Fitted on the marked half, judged on the other: the test half.
    pub first: Maps,
    /// Fitted on the test half.
    pub second: Maps,
    is_first: Vec<bool>,
}

/// Maps of one half.
#[derive(Clone, Debug)]
pub struct Maps {
    /// `score` -> precision at IoU .5.
    pub precision: Isotonic,
    /// `mask_iou` -> measured IoU of true positives.
    pub measured_iou: Isotonic,
}

/// What the maps are fitted on.
struct Sources<'a> {
    setup: &'a Setup<'a>,
    numbers: &'a Numbers,
    mask_iou: &'a [f64],
    by_score: &'a Matches,
}

impl Sources<'_> {
    fn recalibration(
        &self,
        is_fitted: Vec<bool>,
        is_test: &[bool],
    ) -> Result<Recalibration, Absent> {
        let (first, second) = rayon::join(|| self.maps(&is_fitted), || self.maps(is_test));
        Ok(Recalibration {
            first: first?,
            second: second?,
            is_first: is_fitted,
        })
    }

    fn maps(&self, is_in: &[bool]) -> Result<Maps, Absent> {
        let (mut of_score, mut of_mask_iou) = (Vec::new(), Vec::new());
        let input = self.setup.input;
        for (position, candidate) in input.detections.iter().enumerate() {
            let slot = self.setup.cells.slot_of[position] as usize;
            let flags = self.by_score.flags[slot][Area::All as usize];
            let is_out = self.by_score.rank_in_cell[slot] == NOT_COUNTED || flags.ignored & 1 == 1;
            if is_out || !is_in[candidate.image as usize] {
                continue;
            }
            let is_true = flags.matched & 1 == 1;
            of_score.push(Observation {
                x: self.numbers.score[position],
                y: f64::from(u8::from(is_true)),
            });
            if is_true && let Some(measured) = self.numbers.measured[position] {
                of_mask_iou.push(Observation {
                    x: self.mask_iou[position],
                    y: measured,
                });
            }
        }
        match (Isotonic::fit(of_score), Isotonic::fit(of_mask_iou)) {
            (Some(precision), Some(measured_iou)) => Ok(Maps {
                precision,
                measured_iou,
            }),
            _ => Err(Absent(
                "a half of the images has no true positive to calibrate with".into(),
            )),
        }
    }
}

impl Recalibration {
    /// The recalibrated product of a detection in an image.
    pub fn product(&self, image: u32, score: f64, mask_iou: f64) -> f64 {
        let is_first = self.is_first.get(image as usize) == Some(&true);
        let maps = if is_first { &self.second } else { &self.first };
        maps.precision.at(score) * maps.measured_iou.at(mask_iou)
    }

    /// Numbers that order as the product does; equal products as `iou_score` does, which the flat ends of the maps need.
    fn ranks(&self, setup: &Setup<'_>, numbers: &Numbers, mask_iou: &[f64]) -> Vec<f64> {
        let detections = &setup.input.detections;
        let mut keyed: Vec<(f64, f64, u32)> = (0u32..)
            .zip(detections)
            .map(|(position, candidate)| {
                let at = position as usize;
                let product = self.product(candidate.image, numbers.score[at], mask_iou[at]);
                (product, numbers.iou_score[at], position)
            })
            .collect();
        keyed.par_sort_unstable_by(|a, b| {
            let by_numbers = a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1));
            by_numbers.then(a.2.cmp(&b.2))
        });
        let mut ranks = vec![0.0; detections.len()];
        let (mut rank, mut before) = (0u32, None);
        for (product, iou_score, position) in keyed {
            if before != Some((product, iou_score)) {
                rank += 1;
            }
            before = Some((product, iou_score));
            ranks[position as usize] = f64::from(rank);
        }
        ranks
    }
}

/// Matches as if only the marked images took part. Whom a detection matches depends on its image alone.
pub fn restricted(
    setup: &Setup<'_>,
    selection: &Selection,
    all: &Matches,
    images: &[bool],
) -> Matches {
    let cells = setup.cells;
    let is_in = |image: u32| images.get(image as usize) == Some(&true);
    let mut found = all.clone();
    found.truths.iter_mut().for_each(|truths| *truths = [0; _]);
    for cell in &cells.list {
        if !is_in(cell.image) {
            found.rank_in_cell[cell.slots.clone()].fill(NOT_COUNTED);
        }
    }
    for (position, truth) in setup.input.truths.iter().enumerate() {
        let takes_part = is_in(truth.image)
            && super::is_in(&selection.images, truth.image as usize)
            && super::is_in(&selection.truths, position);
        if truth.is_crowd || !takes_part {
            continue;
        }
        if let Some(counts) = found.truths.get_mut(truth.label as usize) {
            for (count, area) in counts.iter_mut().zip(Area::ALL) {
                *count += u32::from(area.contains(truth.area));
            }
        }
    }
    found
}

const _: () = assert!(THRESHOLDS <= u16::BITS as usize, "a bit for each threshold");
