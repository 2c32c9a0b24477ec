//! Does the model know which of its masks are good? Everything here asks how the numbers that a detection carries
//! (`score`, `mask_iou`, `iou_score`) go with its measured IoU and with precision.
//!
//! - `headroom`: AP if other numbers ranked, with bootstrap intervals over images.
//! - `calibration`: reliability diagrams, ECE.
//! - `correlation`: rank correlation and mean error against measured IoU.
//! - `baselines`: does the mask-IoU head beat what is free?
//! - `thresholds`: oLRP and the threshold per class that minimises it.
//!
//! Results are plain values with the names that `--json` writes. Where a number does not exist its place holds `None`
//! and a reason stands beside it.

pub mod baselines;
pub mod bootstrap;
pub mod calibration;
pub mod correlation;
pub mod headroom;
pub mod isotonic;
pub mod outcomes;
pub mod rankings;
pub mod resample;
pub mod thresholds;

use serde::Serialize;

use super::matching::THRESHOLDS;
use super::{EvalInput, Selection, Setup, measured_ious};
use baselines::Baselines;
use calibration::Calibration;
use correlation::Correlation;
use headroom::Headroom;
use rankings::Rankings;
use thresholds::Thresholds;

/// Why something does not exist, in words that may be shown.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Absent(pub String);

/// What can be chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Options {
    /// Seed of the split into halves and of the bootstrap.
    pub seed: u64,
    /// Bootstrap resamples.
    pub resamples: usize,
    /// Bins of the reliability diagrams, 1 to 100.
    pub bins: usize,
    /// Index of the IoU threshold at which a detection is true, in `iou_thresholds()`.
    pub threshold: usize,
}

impl Default for Options {
    fn default() -> Self {
        const SEED: u64 = 20_190_615;
        const BINS: usize = 10;
        Self {
            seed: SEED,
            resamples: resample::RESAMPLES,
            bins: BINS,
            threshold: 0,
        }
    }
}

impl Options {
    /// With every choice inside its bounds.
    fn bounded(self) -> Self {
        const MOST_BINS: usize = 100;
        Self {
            bins: self.bins.clamp(1, MOST_BINS),
            threshold: self.threshold.min(THRESHOLDS - 1),
            ..self
        }
    }
}

/// The numbers of every detection, by position in `EvalInput::detections`.
#[derive(Clone, Debug)]
pub struct Numbers {
    /// Class score.
    pub score: Vec<f64>,
    /// Predicted mask IoU, where every detection has one.
    pub mask_iou: Result<Vec<f64>, Absent>,
    /// Score that ranks masks.
    pub iou_score: Vec<f64>,
    /// Measured IoU.
    pub measured: Vec<Option<f64>>,
    /// Measured IoU, and the same for detections on crowd regions, which have no measured IoU but may still be true:
    /// the largest IoU with a non-crowd annotation of the class.
    pub nearest: Vec<f64>,
    /// Whether it takes part.
    pub is_selected: Vec<bool>,
}

impl Numbers {
    /// Gathers the numbers. The IoUs of `setup` are those of masks.
    pub fn new(setup: &Setup<'_>, selection: &Selection) -> Self {
        let input = setup.input;
        let all = || (0..input.detections.len()).map(|position| input.detection(position));
        let mask_ious: Vec<f64> = all()
            .filter_map(|d| d.mask_iou.filter(|mask_iou| mask_iou.is_finite()))
            .collect();
        let (missing, count) = (
            input.detections.len() - mask_ious.len(),
            input.detections.len(),
        );
        let mask_iou = match missing {
            0 => Ok(mask_ious),
            _ if missing == count => Err("the predictions carry no mask IoU".to_owned()),
            _ => Err(format!(
                "{missing} of {count} predictions carry no mask IoU"
            )),
        };
        let measured = measured_ious(input, setup.overlaps);
        let nearest = (0..count)
            .map(|position| measured[position].unwrap_or_else(|| nearest(setup, position)))
            .collect();
        let candidates = input.detections.iter().enumerate();
        Self {
            score: all().map(|d| d.score).collect(),
            mask_iou: mask_iou.map_err(Absent),
            iou_score: all().map(|d| d.iou_score).collect(),
            measured,
            nearest,
            is_selected: candidates
                .map(|(position, candidate)| {
                    is_in(&selection.images, candidate.image as usize)
                        && is_in(&selection.detections, position)
                })
                .collect(),
        }
    }
}

/// Largest IoU with a non-crowd annotation of the class.
fn nearest(setup: &Setup<'_>, detection: usize) -> f64 {
    let label = setup.input.detections[detection].label;
    let fits = |truth: u32| {
        let truth = &setup.input.truths[truth as usize];
        truth.label == label && !truth.is_crowd
    };
    let pairs = setup.overlaps.of(detection).iter();
    pairs
        .filter(|pair| fits(pair.truth))
        .fold(0.0, |best, pair| pair.iou.max(best))
}

/// Whether a position takes part; `None` is everything.
fn is_in(list: &Option<Vec<bool>>, position: usize) -> bool {
    list.as_ref()
        .is_none_or(|list| list.get(position).copied().unwrap_or(false))
}

/// Images that take part.
fn selected_images(input: &EvalInput, selection: &Selection) -> Vec<bool> {
    (0..input.images.len())
        .map(|image| is_in(&selection.images, image))
        .collect()
}

/// Everything at once.
#[derive(Clone, Debug, Serialize)]
pub struct Analysis {
    /// What was chosen.
    pub options: Options,
    /// AP by other rankings.
    pub headroom: Headroom,
    /// Reliability.
    pub calibration: Calibration,
    /// Rank correlation with measured IoU.
    pub correlation: Correlation,
    /// The head against what is free.
    pub baselines: Baselines,
    /// oLRP and its thresholds.
    pub thresholds: Thresholds,
}

/// What is analysed.
#[derive(Clone, Copy)]
pub struct Subject<'a> {
    /// The set with the IoUs of its masks.
    pub masks: Setup<'a>,
    /// The same set with the IoUs of its boxes; without it oLRP is of masks alone.
    pub boxes: Option<Setup<'a>>,
    /// What takes part.
    pub selection: &'a Selection,
}

/// Analyses a set, on all cores. `progress` gets the share that is done, 0..1, and may return false to stop: then
/// `None`.
pub fn analyse(
    subject: &Subject<'_>,
    options: Options,
    progress: &(dyn Fn(f32) -> bool + Sync),
) -> Option<Analysis> {
    // Shares of the time, as measured by `benches/analysis_one.rs`.
    const RANKED: f32 = 0.3;
    const HEADROOM: f32 = 0.7;
    const CALIBRATED: f32 = 0.75;
    const CORRELATED: f32 = 0.8;
    const COMPARED: f32 = 0.9;
    let options = options.bounded();
    let (setup, selection) = (&subject.masks, subject.selection);
    let step = |share: f32| progress(share).then_some(());
    step(0.0)?;
    let numbers = Numbers::new(setup, selection);
    let images = selected_images(setup.input, selection);
    let rankings = Rankings::new(setup, selection, &numbers, &images, options.seed);
    step(RANKED)?;
    let keep_going = || progress(RANKED);
    let headroom = headroom::headroom(setup, selection, &rankings, &images, &options, &keep_going)?;
    step(HEADROOM)?;
    let outcomes = thresholds::all_outcomes(subject, &rankings, &options);
    let calibration = calibration::calibration(setup, &numbers, &rankings, &outcomes, &options);
    step(CALIBRATED)?;
    let correlation = correlation::correlation(setup, &numbers);
    step(CORRELATED)?;
    let baselines = baselines::baselines(setup, &numbers, &images, &options);
    step(COMPARED)?;
    let thresholds = thresholds::thresholds(subject, &rankings, &outcomes);
    step(1.0)?;
    Some(Analysis {
        options,
        headroom,
        calibration,
        correlation,
        baselines,
        thresholds,
    })
}
