//! What went wrong in a whole set: one call, one pass over what evaluation left.

use serde::Serialize;

use super::{
    Confusion, ConfusionRule, Order, PerImage, SuspectRules, Suspects, Tide, confusion, pair_up,
    per_image, suspects, tide,
};
use super::{Matches, Selection, Setup};

/// What is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct DiagnosisRules {
    /// Index of the IoU threshold at which images and TIDE are counted.
    pub threshold: usize,
    /// The confusion matrix.
    pub confusion: ConfusionRule,
    /// The suspects.
    pub suspects: SuspectRules,
}

/// What is being done, for `progress`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiagnosisStage {
    /// Who matched whom.
    Pairing,
    /// Counts and AP of each image.
    PerImage,
    /// Kinds of errors.
    Tide,
    /// The confusion matrix.
    Confusion,
    /// The queue.
    Suspects,
}

impl DiagnosisStage {
    /// In order.
    pub const ALL: [Self; 5] = [
        Self::Pairing,
        Self::PerImage,
        Self::Tide,
        Self::Confusion,
        Self::Suspects,
    ];
}

/// What went wrong.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Diagnosis {
    /// Image by image.
    pub per_image: PerImage,
    /// What each kind of error costs.
    pub tide: Tide,
    /// What the model calls the objects of each class.
    pub confusion: Confusion,
    /// What to look at next.
    pub suspects: Suspects,
}

/// Diagnoses a set on all cores. The overlaps of `setup` must be of any class, and of masks where suspects are to mean
/// anything; `found` is of the same setup, order and selection, `measured` the measured IoU of each detection.
///
/// `progress` hears of each stage as it begins and may return false to stop: then `None`. A stage takes some tenths of a
/// second on 250,000 detections.
pub fn diagnose(
    setup: &Setup<'_>,
    order: &Order,
    selection: &Selection,
    found: &Matches,
    measured: &[Option<f64>],
    rules: &DiagnosisRules,
    progress: &(dyn Fn(DiagnosisStage) -> bool + Sync),
) -> Option<Diagnosis> {
    let begin = |stage| progress(stage).then_some(());
    begin(DiagnosisStage::Pairing)?;
    let pairing = pair_up(setup, order, selection, found, rules.threshold);
    begin(DiagnosisStage::PerImage)?;
    let per_image = per_image(setup, order, selection, found, &pairing, measured);
    begin(DiagnosisStage::Tide)?;
    let tide = tide(setup, order, selection, found, &pairing);
    begin(DiagnosisStage::Confusion)?;
    let confusion = confusion(setup, order, selection, rules.confusion);
    begin(DiagnosisStage::Suspects)?;
    let suspects = suspects(setup, selection, found, &pairing, measured, &rules.suspects);
    Some(Diagnosis {
        per_image,
        tide,
        confusion,
        suspects,
    })
}
