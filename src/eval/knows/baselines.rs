//! Does the mask-IoU head beat what is free? `mask_iou` beside the two estimates that need no head, against measured IoU.
//!
//! Intervals are of a bootstrap over images, paired: every estimate sees the same resamples, and ranks are made anew in
//! each. For that pass the values of a column are gathered into at most `LEVELS` levels of neighbouring ranks, ties
//! never parted. A set with fewer distinct values is ranked exactly; in a larger one a correlation moves by about
//! 1 / LEVELS of its own standard error, which no interval shows. The numbers beside the intervals are exact always.
//!
//! Axes: D detections, C columns, L levels, I images, B resamples in blocks of `LANES`, counted `STRIP` at a time.

use rayon::prelude::*;
use serde::Serialize;

use super::super::Setup;
use super::correlation::{Agreement, FOUND, ascending, mid_ranks};
use super::resample::{Interval, LANES, Weights};
use super::{Absent, Numbers, Options};

/// Most levels of a column.
const LEVELS: usize = 512;
/// Lanes counted at once: four tables of `LEVELS` rows then stay in the nearest caches.
const STRIP: usize = 16;
/// `mask_iou`, stability, mean foreground probability.
const ESTIMATES: usize = 3;
/// Column of measured IoU, behind the estimates.
const MEASURED: usize = ESTIMATES;
const COLUMNS: usize = ESTIMATES + 1;

/// The head against what is free.
#[derive(Clone, Debug, Serialize)]
pub struct Baselines {
    /// Over every measured detection.
    pub all: Option<Comparison>,
    /// Over those whose measured IoU is at least .5: the masks of objects that were found.
    pub found: Option<Comparison>,
    /// Why there is none.
    pub reason: Option<String>,
}

/// The three estimates over the same detections.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// The head's.
    pub mask_iou: EstimateAgreement,
    /// IoU of the mask at a stricter with the mask at a looser threshold.
    pub stability: EstimateAgreement,
    /// Mean probability over the mask's foreground.
    pub mean_foreground: EstimateAgreement,
    /// `mask_iou` less stability.
    pub over_stability: Advantage,
    /// `mask_iou` less mean foreground probability.
    pub over_mean_foreground: Advantage,
    /// Whether the head ranks masks better than both.
    pub head_beats_free: Verdict,
}

/// An estimate against measured IoU.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct EstimateAgreement {
    /// Correlation and error.
    #[serde(flatten)]
    pub agreement: Agreement,
    /// 95 % interval of the rank correlation over images.
    pub spearman_interval: Option<Interval>,
    /// 95 % interval of the mean absolute difference.
    pub mae_interval: Option<Interval>,
}

/// What the head has over a free estimate.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Advantage {
    /// Difference of the rank correlations: above 0 the head is better.
    pub spearman: Option<f64>,
    /// Its 95 % interval.
    pub spearman_interval: Option<Interval>,
    /// Difference of the mean absolute differences: below 0 the head is better.
    pub mae: f64,
    /// Its 95 % interval.
    pub mae_interval: Option<Interval>,
    /// By rank correlation.
    pub ranks_better: Verdict,
    /// By mean absolute difference.
    pub errs_less: Verdict,
}

/// An answer that a set of this size can or cannot give.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The whole interval is on the head's side of 0.
    Yes,
    /// The whole interval is on the other side.
    No,
    /// The interval holds 0, or there is none.
    CannotTell,
}

impl Verdict {
    /// In words.
    pub fn label(self) -> &'static str {
        match self {
            Self::Yes => "yes",
            Self::No => "no",
            Self::CannotTell => "cannot tell from this set",
        }
    }

    /// Whether a difference is above 0.
    fn is_above(interval: Option<Interval>) -> Self {
        match interval {
            Some(interval) if interval.is_positive() => Self::Yes,
            Some(interval) if interval.is_negative() => Self::No,
            _ => Self::CannotTell,
        }
    }

    /// Whether a difference is below 0.
    fn is_below(interval: Option<Interval>) -> Self {
        match Self::is_above(interval) {
            Self::Yes => Self::No,
            Self::No => Self::Yes,
            Self::CannotTell => Self::CannotTell,
        }
    }

    /// Yes where both are; no where one is not.
    fn both(self, other: Self) -> Self {
        match (self, other) {
            (Self::Yes, Self::Yes) => Self::Yes,
            (Self::No, _) | (_, Self::No) => Self::No,
            _ => Self::CannotTell,
        }
    }
}

/// Compares the head with the free estimates, on all cores. `images` marks those that take part.
pub fn baselines(
    setup: &Setup<'_>,
    numbers: &Numbers,
    images: &[bool],
    options: &Options,
) -> Baselines {
    match Columns::new(setup, numbers) {
        Ok(columns) => {
            let weights = Weights::draw(images, options.resamples, options.seed);
            Baselines {
                all: compare(&columns, &weights),
                found: compare(&columns.found(), &weights),
                reason: None,
            }
        }
        Err(reason) => Baselines {
            all: None,
            found: None,
            reason: Some(reason.0),
        },
    }
}

/// Detections that carry every estimate and are measured, image by image.
pub struct Columns {
    /// Image of each detection, ascending.
    pub images: Vec<u32>,
    /// `mask_iou`, stability, mean foreground probability, measured IoU: (C, D).
    pub values: [Vec<f64>; COLUMNS],
}

impl Columns {
    fn new(setup: &Setup<'_>, numbers: &Numbers) -> Result<Self, Absent> {
        let mask_iou = numbers.mask_iou.as_ref().map_err(Clone::clone)?;
        let mut columns = Self {
            images: Vec::new(),
            values: Default::default(),
        };
        for (position, candidate) in setup.input.detections.iter().enumerate() {
            let quality = setup.input.detection(position).quality;
            let (Some(quality), Some(measured)) = (quality, numbers.measured[position]) else {
                continue;
            };
            if !numbers.is_selected[position] {
                continue;
            }
            columns.images.push(candidate.image);
            let estimates = [
                mask_iou[position],
                quality.stability,
                quality.mean_foreground,
            ];
            for (column, value) in columns
                .values
                .iter_mut()
                .zip(estimates.into_iter().chain([measured]))
            {
                column.push(value);
            }
        }
        match columns.images.is_empty() {
            true => Err(Absent(
                "the predictions carry no free estimates: only those of an own model do".into(),
            )),
            false => Ok(columns),
        }
    }

    fn found(&self) -> Self {
        let is_found = |at: &usize| self.values[MEASURED][*at] >= FOUND;
        let kept: Vec<usize> = (0..self.images.len()).filter(is_found).collect();
        Self {
            images: kept.iter().map(|&at| self.images[at]).collect(),
            values: std::array::from_fn(|c| kept.iter().map(|&at| self.values[c][at]).collect()),
        }
    }
}

/// Compares columns under resamples of the images; `None` without a detection.
pub fn compare(columns: &Columns, weights: &Weights) -> Option<Comparison> {
    let measured = &columns.values[MEASURED];
    let ranks = mid_ranks(measured);
    let agreements: Vec<Agreement> = columns.values[..ESTIMATES]
        .par_iter()
        .map(|column| Agreement::new(column, measured, &ranks))
        .collect::<Option<_>>()?;
    let spearman = resampled_spearman(columns, weights);
    let mae = resampled_mae(columns, weights);
    let estimate = |at: usize| EstimateAgreement {
        agreement: agreements[at],
        spearman_interval: Interval::of(spearman[at].iter().copied()),
        mae_interval: Interval::of(mae[at].iter().copied()),
    };
    let over = |at: usize| {
        let [head, free] = [agreements[0], agreements[at]];
        let spearman_interval = Interval::of_difference(&spearman[0], &spearman[at]);
        let mae_interval = Interval::of_difference(&mae[0], &mae[at]);
        Advantage {
            spearman: head
                .spearman
                .zip(free.spearman)
                .map(|(head, free)| head - free),
            spearman_interval,
            mae: head.mae - free.mae,
            mae_interval,
            ranks_better: Verdict::is_above(spearman_interval),
            errs_less: Verdict::is_below(mae_interval),
        }
    };
    let (over_stability, over_mean_foreground) = (over(1), over(2));
    let head_beats_free = over_stability
        .ranks_better
        .both(over_mean_foreground.ranks_better);
    Some(Comparison {
        mask_iou: estimate(0),
        stability: estimate(1),
        mean_foreground: estimate(2),
        over_stability,
        over_mean_foreground,
        head_beats_free,
    })
}

/// Mean absolute difference of each estimate in each resample; NaN where it holds no detection.
pub fn resampled_mae(columns: &Columns, weights: &Weights) -> [Vec<f64>; ESTIMATES] {
    let mut of_image: Vec<[f64; COLUMNS]> = Vec::new();
    for (at, &image) in columns.images.iter().enumerate() {
        let image = image as usize;
        of_image.resize(of_image.len().max(image + 1), [0.0; COLUMNS]);
        let measured = columns.values[MEASURED][at];
        for (sum, estimate) in of_image[image].iter_mut().zip(&columns.values[..ESTIMATES]) {
            *sum += (estimate[at] - measured).abs();
        }
        of_image[image][MEASURED] += 1.0; // detections
    }
    let blocks: Vec<[[f64; LANES]; ESTIMATES]> = (0..weights.blocks())
        .map(|block| {
            let mut sums = [[0.0; LANES]; COLUMNS];
            for (weight, of_image) in weights.block(block).iter().zip(&of_image) {
                for (sums, &value) in sums.iter_mut().zip(of_image) {
                    for (sum, &weight) in sums.iter_mut().zip(weight) {
                        *sum += value * f64::from(weight);
                    }
                }
            }
            let count = sums[MEASURED];
            std::array::from_fn(|e| std::array::from_fn(|lane| sums[e][lane] / count[lane]))
        })
        .collect();
    std::array::from_fn(|e| weights.joined(blocks.iter().map(|block| &block[e])))
}

/// Rank correlation of each estimate with measured IoU in each resample; NaN where a side does not vary.
pub fn resampled_spearman(columns: &Columns, weights: &Weights) -> [Vec<f64>; ESTIMATES] {
    let levels: Vec<Vec<u16>> = columns.values.par_iter().map(|c| level_of(c)).collect();
    let rows: Vec<(u32, [u16; COLUMNS])> = columns
        .images
        .iter()
        .enumerate()
        .map(|(at, &image)| (image, std::array::from_fn(|column| levels[column][at])))
        .collect();
    let strips: Vec<(usize, usize)> = (0..weights.blocks())
        .flat_map(|block| (0..LANES).step_by(STRIP).map(move |lane| (block, lane)))
        .collect();
    let found: Vec<[[f64; STRIP]; ESTIMATES]> = strips
        .par_iter()
        .with_max_len(1)
        .map(|&(block, lane)| strip_spearman(&rows, weights.block(block), lane))
        .collect();
    std::array::from_fn(|estimate| {
        let lanes = found.iter().flat_map(|strip| strip[estimate]);
        lanes.take(weights.resamples()).collect()
    })
}

/// Level of each value: equal values share one, and a level above the `LEVELS`-th part of all is closed.
fn level_of(values: &[f64]) -> Vec<u16> {
    let sorted = ascending(values);
    let distinct = sorted.chunk_by(|a, b| a.0 == b.0).count();
    let full = if distinct <= LEVELS {
        1
    } else {
        values.len().div_ceil(LEVELS)
    };
    let mut levels = vec![0; values.len()];
    let (mut level, mut held) = (0u16, 0);
    for equal in sorted.chunk_by(|a, b| a.0 == b.0) {
        if held >= full {
            level += 1;
            held = 0;
        }
        for &(_, position) in equal {
            levels[position as usize] = level;
        }
        held += equal.len();
    }
    levels
}

type Table = Vec<[f64; STRIP]>;

fn strip_spearman(
    rows: &[(u32, [u16; COLUMNS])],
    weights: &[[u8; LANES]],
    first_lane: usize,
) -> [[f64; STRIP]; ESTIMATES] {
    let strip = |image: u32| -> [f64; STRIP] {
        let of_image = &weights[image as usize];
        std::array::from_fn(|lane| f64::from(of_image[first_lane + lane]))
    };
    let mut tables: [Table; COLUMNS] = std::array::from_fn(|_| vec![[0.0; STRIP]; LEVELS]);
    for of_image in rows.chunk_by(|a, b| a.0 == b.0) {
        let weight = strip(of_image[0].0);
        for (_, levels) in of_image {
            for (table, &level) in tables.iter_mut().zip(levels) {
                for (held, weight) in table[usize::from(level)].iter_mut().zip(weight) {
                    *held += weight;
                }
            }
        }
    }
    let variances = tables.each_mut().map(centred_ranks);
    let mut products = [[0.0; STRIP]; ESTIMATES];
    for of_image in rows.chunk_by(|a, b| a.0 == b.0) {
        let weight = strip(of_image[0].0);
        let mut sums = [[0.0; STRIP]; ESTIMATES];
        for (_, levels) in of_image {
            let measured = &tables[MEASURED][usize::from(levels[MEASURED])];
            for ((sums, table), &level) in sums.iter_mut().zip(&tables).zip(levels) {
                let ranks = &table[usize::from(level)];
                for lane in 0..STRIP {
                    sums[lane] += ranks[lane] * measured[lane];
                }
            }
        }
        for (products, sums) in products.iter_mut().zip(&sums) {
            for lane in 0..STRIP {
                products[lane] += weight[lane] * sums[lane];
            }
        }
    }
    std::array::from_fn(|e| {
        std::array::from_fn(|lane| {
            // 0 / 0 is NaN: a side does not vary.
            products[e][lane] / (variances[e][lane] * variances[MEASURED][lane]).sqrt()
        })
    })
}

/// Turns how much each level holds into its mid-rank less the mean rank; returns the sum of their squares.
fn centred_ranks(table: &mut Table) -> [f64; STRIP] {
    let mut all = [0.0; STRIP];
    for row in table.iter() {
        for (all, held) in all.iter_mut().zip(row) {
            *all += held;
        }
    }
    let (mut below, mut squares) = ([0.0; STRIP], [0.0; STRIP]);
    for row in table.iter_mut() {
        for lane in 0..STRIP {
            let held = row[lane];
            let rank = below[lane] + 0.5 * (held - all[lane]);
            below[lane] += held;
            squares[lane] += held * rank * rank;
            row[lane] = rank;
        }
    }
    squares
}
