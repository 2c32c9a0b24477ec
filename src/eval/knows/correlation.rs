//! How a number goes with measured IoU: rank correlation, linear correlation, mean error, bias.

use std::ops::Range;

use rayon::prelude::*;
use serde::Serialize;

use super::super::Setup;
use super::rankings::Ranking;
use super::{Absent, Numbers};

/// From this measured IoU on a detection has found its object.
pub const FOUND: f64 = 0.5;

/// The three numbers against measured IoU.
#[derive(Clone, Debug, Serialize)]
pub struct Correlation {
    /// `score`, `mask_iou`, `iou_score`.
    pub numbers: Vec<NumberAgreement>,
}

impl Correlation {
    /// The row of a number.
    pub fn of(&self, number: Ranking) -> Option<&NumberAgreement> {
        self.numbers.iter().find(|row| row.number == number)
    }
}

/// A number against measured IoU.
#[derive(Clone, Debug, Serialize)]
pub struct NumberAgreement {
    /// Which number.
    pub number: Ranking,
    /// Over every measured detection, those without an object (measured 0) among them.
    pub all: Option<Agreement>,
    /// Over detections whose measured IoU is at least .5: those on which the head was trained.
    pub found: Option<Agreement>,
    /// Classes with a measured detection.
    pub per_class: Vec<ClassAgreement>,
    /// Why there is none.
    pub reason: Option<String>,
}

/// A number against measured IoU in a class.
#[derive(Clone, Debug, Serialize)]
pub struct ClassAgreement {
    /// Class.
    pub label: usize,
    /// Its name.
    pub class: String,
    /// Over every measured detection of the class.
    pub all: Agreement,
}

/// How two numbers go together.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Agreement {
    /// Detections.
    pub count: usize,
    /// Rank correlation, equal values at their mean rank; `None` where a side does not vary.
    pub spearman: Option<f64>,
    /// Linear correlation.
    pub pearson: Option<f64>,
    /// Mean absolute difference.
    pub mae: f64,
    /// Mean of number less measured IoU: above 0 the number promises too much.
    pub bias: f64,
}

impl Agreement {
    /// Of pairs; `None` of none. `ranks` are the mid-ranks of `measured`.
    pub fn new(number: &[f64], measured: &[f64], ranks: &[f64]) -> Option<Self> {
        let count = number.len().min(measured.len());
        let differences = || number.iter().zip(measured).map(|(n, m)| n - m);
        (count > 0).then(|| Self {
            count,
            spearman: pearson(&mid_ranks(number), ranks),
            pearson: pearson(number, measured),
            mae: differences().map(f64::abs).sum::<f64>() / count as f64,
            bias: differences().sum::<f64>() / count as f64,
        })
    }
}

/// Measured detections, class by class.
struct Pairs {
    /// Positions in `EvalInput::detections`.
    positions: Vec<u32>,
    measured: Vec<f64>,
    classes: Vec<Range<usize>>,
}

impl Pairs {
    fn new(setup: &Setup<'_>, numbers: &Numbers) -> Self {
        let mut pairs = Self {
            positions: Vec::new(),
            measured: Vec::new(),
            classes: Vec::new(),
        };
        for label in 0..setup.cells.of_class.len() {
            let start = pairs.positions.len();
            for &position in &setup.cells.detections[setup.cells.slots_of_class(label)] {
                let at = position as usize;
                if let (true, Some(measured)) = (numbers.is_selected[at], numbers.measured[at]) {
                    pairs.positions.push(position);
                    pairs.measured.push(measured);
                }
            }
            pairs.classes.push(start..pairs.positions.len());
        }
        pairs
    }

    fn found(&self) -> Self {
        let is_found = |at: &usize| self.measured[*at] >= FOUND;
        let kept: Vec<usize> = (0..self.measured.len()).filter(is_found).collect();
        Self {
            positions: kept.iter().map(|&at| self.positions[at]).collect(),
            measured: kept.iter().map(|&at| self.measured[at]).collect(),
            classes: Vec::new(),
        }
    }
}

/// Compares the three numbers with measured IoU, on all cores.
pub fn correlation(setup: &Setup<'_>, numbers: &Numbers) -> Correlation {
    let all = Pairs::new(setup, numbers);
    let found = all.found();
    let (ranks, found_ranks) =
        rayon::join(|| mid_ranks(&all.measured), || mid_ranks(&found.measured));
    let class_ranks: Vec<Vec<f64>> = all
        .classes
        .par_iter()
        .map(|range| mid_ranks(&all.measured[range.clone()]))
        .collect();
    let columns = [
        (Ranking::Score, Ok(&numbers.score)),
        (Ranking::MaskIou, numbers.mask_iou.as_ref()),
        (
            Ranking::IouScore,
            numbers.mask_iou.as_ref().map(|_| &numbers.iou_score),
        ),
    ];
    let row = |(number, column): (Ranking, Result<&Vec<f64>, &Absent>)| match column {
        Ok(column) => {
            let (all_pairs, of_found) = rayon::join(
                || Agreement::new(&picked(column, &all.positions), &all.measured, &ranks),
                || {
                    Agreement::new(
                        &picked(column, &found.positions),
                        &found.measured,
                        &found_ranks,
                    )
                },
            );
            NumberAgreement {
                number,
                all: all_pairs,
                found: of_found,
                per_class: per_class(setup, column, &all, &class_ranks),
                reason: None,
            }
        }
        Err(reason) => NumberAgreement {
            number,
            all: None,
            found: None,
            per_class: Vec::new(),
            reason: Some(reason.0.clone()),
        },
    };
    Correlation {
        numbers: columns.into_par_iter().map(row).collect(),
    }
}

fn per_class(
    setup: &Setup<'_>,
    column: &[f64],
    pairs: &Pairs,
    ranks: &[Vec<f64>],
) -> Vec<ClassAgreement> {
    let classes = pairs.classes.par_iter().zip(ranks).enumerate();
    let of_class = classes.filter_map(|(label, (range, ranks))| {
        let number = picked(column, &pairs.positions[range.clone()]);
        let all = Agreement::new(&number, &pairs.measured[range.clone()], ranks)?;
        Some(ClassAgreement {
            label,
            class: setup.input.classes.name(label),
            all,
        })
    });
    of_class.collect()
}

pub(super) fn picked(column: &[f64], positions: &[u32]) -> Vec<f64> {
    positions.iter().map(|&at| column[at as usize]).collect()
}

/// Positions by ascending value.
pub(super) fn ascending(values: &[f64]) -> Vec<(f64, u32)> {
    // + 0.0 makes -0.0 the equal of 0.0 that it is.
    let mut keyed: Vec<(f64, u32)> = values.iter().map(|&value| value + 0.0).zip(0..).collect();
    keyed.par_sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    keyed
}

/// Ranks from 1; equal values share the mean of theirs.
pub fn mid_ranks(values: &[f64]) -> Vec<f64> {
    let mut ranks = vec![0.0; values.len()];
    let mut before = 0;
    for equal in ascending(values).chunk_by(|a, b| a.0 == b.0) {
        let rank = before as f64 + (equal.len() + 1) as f64 / 2.0;
        for &(_, position) in equal {
            ranks[position as usize] = rank;
        }
        before += equal.len();
    }
    ranks
}

/// Linear correlation; `None` where a side does not vary.
pub fn pearson(x: &[f64], y: &[f64]) -> Option<f64> {
    let count = x.len().min(y.len()) as f64;
    let (mean_x, mean_y) = (x.iter().sum::<f64>() / count, y.iter().sum::<f64>() / count);
    let (mut xx, mut yy, mut xy) = (0.0, 0.0, 0.0);
    for (x, y) in x.iter().zip(y) {
        let (dx, dy) = (x - mean_x, y - mean_y);
        xx += dx * dx;
        yy += dy * dy;
        xy += dx * dy;
    }
    (xx > 0.0 && yy > 0.0).then(|| (xy / (xx.sqrt() * yy.sqrt())).clamp(-1.0, 1.0))
}
