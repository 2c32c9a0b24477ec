//! What to look at next, as rows that name images, classes and annotations.

use serde::Serialize;

use super::details::measured_of;
use super::{Evaluated, EvaluatedKind};
use crate::eval::{Suspect, SuspectKind, SuspectRules, pair_up, suspects};
use crate::jobs::JobError;

/// The kinds, as the command line and files name them.
pub fn suspect_kinds() -> [&'static str; SuspectKind::ALL.len()] {
    SuspectKind::ALL.map(SuspectKind::key)
}

/// Something to look at.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SuspectRow {
    /// `label`, `head`, `missing_label`, `missed_object` or `swapped_class`.
    pub kind: &'static str,
    /// 0..1: how strongly the two sides contradict each other.
    pub severity: f64,
    /// The set's id of the image.
    pub image_id: u64,
    /// As the set names it.
    pub file: String,
    /// Class of the prediction, or of the annotation where there is no prediction.
    pub class: String,
    /// Place among the predictions of the image, from 0.
    pub prediction: Option<u32>,
    /// Class score.
    pub score: Option<f64>,
    /// Predicted mask IoU.
    pub mask_iou: Option<f64>,
    /// Their product.
    pub iou_score: Option<f64>,
    /// IoU with the annotation that it fits best.
    pub measured_iou: Option<f64>,
    /// The set's id of the annotation.
    pub annotation_id: Option<u64>,
    /// Why, in words.
    pub reason: String,
}

/// The queue.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct SuspectList {
    /// All that were found of the kinds asked for.
    pub found: usize,
    /// The strongest first; at most as many as asked for.
    pub suspects: Vec<SuspectRow>,
    /// Why two of the rules found nothing, where no prediction has a `mask_iou`.
    pub without_mask_iou: Option<&'static str>,
}

impl Evaluated {
    /// Suspects of one kind or all, the strongest first. The evaluation must have been made with `details`.
    ///
    /// # Errors
    /// Predictions without masks.
    pub fn suspects(&self, kind: Option<&str>, limit: usize) -> Result<SuspectList, JobError> {
        let masks = self.segm.as_ref().ok_or(JobError::NoMasks)?;
        let measured = measured_of(masks);
        let setup = masks.setup();
        let (order, selection, matches) = (&masks.order, &masks.selection, &masks.matches);
        let pairing = pair_up(&setup, order, selection, matches, 0);
        let rules = SuspectRules::default();
        let mut queue = suspects(&setup, selection, matches, &pairing, &measured, &rules);
        if let Some(kind) = kind {
            queue.list.retain(|suspect| suspect.kind.key() == kind);
        }
        let rows = queue.list.iter().take(limit);
        Ok(SuspectList {
            found: queue.list.len(),
            suspects: rows.map(|suspect| row(masks, &measured, suspect)).collect(),
            without_mask_iou: queue.without_mask_iou,
        })
    }
}

fn row(masks: &EvaluatedKind, measured: &[Option<f64>], suspect: &Suspect) -> SuspectRow {
    let input = &masks.input;
    let position = suspect.detection.map(|detection| detection as usize);
    let candidate = position.and_then(|at| input.detections.get(at));
    let detection = position.map(|at| input.detection(at));
    let truth = suspect.truth.and_then(|at| input.truths.get(at as usize));
    let label = candidate.map(|of| of.label).or(truth.map(|of| of.label));
    let image = input.images.get(suspect.image as usize);
    SuspectRow {
        kind: suspect.kind.key(),
        severity: suspect.severity,
        image_id: image.map_or(0, |image| image.id),
        file: image.map(|image| image.name.clone()).unwrap_or_default(),
        class: label.map_or_else(String::new, |label| input.classes.name(label as usize)),
        prediction: candidate.map(|of| of.index),
        score: detection.map(|of| of.score),
        mask_iou: detection.and_then(|of| of.mask_iou),
        iou_score: detection.map(|of| of.iou_score),
        measured_iou: position.and_then(|at| measured.get(at).copied().flatten()),
        annotation_id: truth.map(|truth| truth.id),
        reason: suspect.reason.clone(),
    }
}
