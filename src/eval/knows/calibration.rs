//! Reliability: what a number promises against what comes of it, bin by bin.

use hotcoco::metrics::calibration::{CalibrationBin, calibration_curve, calibration_error};
use rayon::prelude::*;
use serde::Serialize;

use super::super::{Area, Matches, NOT_COUNTED, Setup, iou_thresholds};
use super::outcomes::Outcome;
use super::rankings::{Ranking, Rankings};
use super::thresholds::AllOutcomes;
use super::{Absent, Numbers, Options};
use crate::eval::Kind;

/// In `Reliability::bin_of`: the detection is in no bin.
const NO_BIN: u8 = u8::MAX;

/// Every reliability diagram.
#[derive(Clone, Debug, Serialize)]
pub struct Calibration {
    /// IoU threshold of precision.
    pub iou_threshold: f64,
    /// `mask_iou` against measured IoU, over every measured detection.
    pub mask_iou: Diagram,
    /// Each of `score`, `mask_iou`, `iou_score` against precision, matched in its own order.
    pub precision: Vec<Diagram>,
    /// `iou_score` against precision times IoU: a true positive counts with the IoU of its match (localisation-aware
    /// calibration, Oksuz et al. 2023); the mean of `mean_class_ece` is their LaECE at this threshold and these bins.
    pub localisation_aware: Diagram,
}

/// A diagram, or why there is none.
#[derive(Clone, Debug, Serialize)]
pub struct Diagram {
    /// Which number promises.
    pub number: Ranking,
    /// What came of it.
    pub reliability: Option<Reliability>,
    /// Why there is none.
    pub reason: Option<String>,
}

/// A reliability diagram.
#[derive(Clone, Debug, Serialize)]
pub struct Reliability {
    /// Over all classes.
    pub all: Bins,
    /// Classes with a detection in it.
    pub per_class: Vec<ClassBins>,
    /// Mean over the classes of their calibration error.
    pub mean_class_ece: f64,
    /// Numbers outside 0..1, which were clamped.
    pub out_of_range: usize,
    /// Bin of each detection.
    #[serde(skip)]
    bin_of: Vec<u8>,
}

impl Reliability {
    /// The bin of a detection (a position in `EvalInput::detections`); `None` where it takes no part: ignored, not
    /// counted, not measured.
    pub fn in_bin(&self, detection: usize) -> Option<usize> {
        let bin = self.bin_of.get(detection).copied()?;
        (bin != NO_BIN).then_some(usize::from(bin))
    }
}

/// The bins of a class.
#[derive(Clone, Debug, Serialize)]
pub struct ClassBins {
    /// Class.
    pub label: usize,
    /// Its name.
    pub class: String,
    /// Its bins.
    #[serde(flatten)]
    pub bins: Bins,
}

/// Bins of equal width from 0 to 1 with their errors.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Bins {
    /// Detections.
    pub count: usize,
    /// Expected calibration error: mean gap of a bin, weighted by its detections.
    pub ece: f64,
    /// Largest gap of a bin.
    pub mce: f64,
    /// Mean of promised less actual: above 0 the number promises too much.
    pub bias: f64,
    /// By ascending number.
    pub bins: Vec<Bin>,
}

/// A bin.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Bin {
    /// Lower end, included.
    pub lower: f64,
    /// Upper end, excluded but in the last.
    pub upper: f64,
    /// Mean number of its detections; 0 of none.
    pub mean_predicted: f64,
    /// Mean of what came of them; 0 of none.
    pub mean_actual: f64,
    /// Detections.
    pub count: usize,
}

/// The bin of a number among `bins` of equal width over 0..1; a number outside is in the nearest.
pub fn bin_index(number: f64, bins: usize) -> usize {
    let last = bins.saturating_sub(1);
    ((number.clamp(0.0, 1.0) * bins as f64) as usize).min(last)
}

/// Draws every diagram.
pub fn calibration(
    setup: &Setup<'_>,
    numbers: &Numbers,
    rankings: &Rankings,
    outcomes: &AllOutcomes,
    options: &Options,
) -> Calibration {
    let gather = Gather {
        setup,
        numbers,
        options,
    };
    let columns = [
        (Ranking::Score, Ok(&numbers.score)),
        (Ranking::MaskIou, numbers.mask_iou.as_ref()),
        (Ranking::IouScore, Ok(&numbers.iou_score)),
    ];
    let precision = columns.into_par_iter().map(|(number, column)| {
        let ranked = rankings.get(number);
        let drawn = column.and_then(|column| {
            let matches = &ranked?.matches;
            Ok(gather.against_precision(column, matches))
        });
        diagram(number, drawn.map_err(Clone::clone))
    });
    let of_measured = |column: &Vec<f64>| gather.reliability(column, |at, _| numbers.measured[at]);
    let mask_iou = numbers.mask_iou.as_ref();
    let against_measured = mask_iou.map(of_measured).map_err(Clone::clone);
    let localised = outcomes.of(Kind::Segm, Ranking::IouScore).map(|outcomes| {
        gather.reliability(&numbers.iou_score, |_, slot| match outcomes.of_slot[slot] {
            Outcome::True { iou } => Some(iou),
            Outcome::False => Some(0.0),
            Outcome::Ignored | Outcome::NotCounted => None,
        })
    });
    let threshold = iou_thresholds().get(options.threshold);
    Calibration {
        iou_threshold: threshold.copied().unwrap_or(1.0),
        mask_iou: diagram(Ranking::MaskIou, against_measured),
        precision: precision.collect(),
        localisation_aware: diagram(Ranking::IouScore, localised),
    }
}

fn diagram(number: Ranking, drawn: Result<Reliability, Absent>) -> Diagram {
    let reason = drawn.as_ref().err().map(|reason| reason.0.clone());
    Diagram {
        number,
        reliability: drawn.ok(),
        reason,
    }
}

struct Gather<'a> {
    setup: &'a Setup<'a>,
    numbers: &'a Numbers,
    options: &'a Options,
}

/// Detections of a class with what they promise and what came of it.
#[derive(Default)]
struct Samples {
    positions: Vec<u32>,
    predicted: Vec<f64>,
    actual: Vec<f64>,
}

impl Gather<'_> {
    fn against_precision(&self, column: &[f64], matches: &Matches) -> Reliability {
        let threshold = self.options.threshold;
        let hits = |_: usize, slot: usize| {
            let flags = matches.flags[slot][Area::All as usize];
            let is_out =
                matches.rank_in_cell[slot] == NOT_COUNTED || flags.ignored >> threshold & 1 == 1;
            (!is_out).then(|| f64::from(flags.matched >> threshold & 1))
        };
        self.reliability(column, hits)
    }

    /// Bins a column against `actual` of (position, slot), which is `None` for what takes no part.
    fn reliability(
        &self,
        column: &[f64],
        actual: impl Fn(usize, usize) -> Option<f64>,
    ) -> Reliability {
        let (cells, bins) = (self.setup.cells, self.options.bins);
        let mut all = Samples::default();
        let (mut per_class, mut out_of_range) = (Vec::new(), 0);
        for label in 0..cells.of_class.len() {
            let start = all.positions.len();
            for slot in cells.slots_of_class(label) {
                let position = cells.detections[slot] as usize;
                let Some(actual) = actual(position, slot) else {
                    continue;
                };
                if !self.numbers.is_selected[position] {
                    continue;
                }
                let number = column[position];
                out_of_range += usize::from(!(0.0..=1.0).contains(&number));
                all.positions.push(position as u32);
                all.predicted.push(number.clamp(0.0, 1.0));
                all.actual.push(actual);
            }
            if all.positions.len() > start {
                per_class.push(ClassBins {
                    label,
                    class: self.setup.input.classes.name(label),
                    bins: binned(&all.predicted[start..], &all.actual[start..], bins),
                });
            }
        }
        let mut bin_of = vec![NO_BIN; column.len()];
        for (&position, &predicted) in all.positions.iter().zip(&all.predicted) {
            bin_of[position as usize] = bin_index(predicted, bins) as u8;
        }
        let errors: f64 = per_class.iter().map(|class| class.bins.ece).sum();
        Reliability {
            all: binned(&all.predicted, &all.actual, bins),
            mean_class_ece: errors / per_class.len().max(1) as f64,
            per_class,
            out_of_range,
            bin_of,
        }
    }
}

/// hotcoco counts the bins and their errors; it knows outcomes of yes and no only, so other outcomes' means are put in
/// their place.
fn binned(predicted: &[f64], actual: &[f64], bins: usize) -> Bins {
    let hits: Vec<bool> = actual.iter().map(|&actual| actual == 1.0).collect();
    let mut counted = calibration_curve(predicted, &hits, bins);
    if actual.iter().any(|&actual| actual != 0.0 && actual != 1.0) {
        let mut sums = vec![0.0; bins];
        for (&predicted, &actual) in predicted.iter().zip(actual) {
            sums[bin_index(predicted, bins)] += actual;
        }
        for (bin, sum) in counted.iter_mut().zip(sums) {
            bin.avg_accuracy = sum / bin.count.max(1) as f64;
        }
    }
    let (ece, mce) = calibration_error(&counted);
    let gap = |bin: &CalibrationBin| (bin.avg_confidence - bin.avg_accuracy) * bin.count as f64;
    let count = predicted.len();
    Bins {
        count,
        ece,
        mce,
        bias: counted.iter().map(gap).sum::<f64>() / count.max(1) as f64,
        bins: counted.iter().map(bin).collect(),
    }
}

fn bin(counted: &CalibrationBin) -> Bin {
    Bin {
        lower: counted.bin_lower,
        upper: counted.bin_upper,
        mean_predicted: counted.avg_confidence,
        mean_actual: counted.avg_accuracy,
        count: counted.count,
    }
}
