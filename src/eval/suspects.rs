//! What to look at next: predictions and annotations that contradict each other, each with the reason in words.
//!
//! A prediction is named once, by the first rule that fits: swapped class, missing label, then the two that compare what
//! the mask-IoU head says with what is measured.

use rayon::prelude::*;
use serde::Serialize;

use super::matching::{Area, NOT_COUNTED, Selection, Setup};
use super::words::{annotation_with_class, class, number, short};
use super::{Matches, Overlap, Pairing};

/// What is suspected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SuspectKind {
    /// The head trusts a mask that fits no annotation: the label may be wrong.
    Label,
    /// The head distrusts a mask that fits: the head may be wrong.
    Head,
    /// A confident prediction where nothing is annotated: a label may be missing.
    MissingLabel,
    /// An annotation near which nothing is predicted: a missed object or an odd label.
    MissedObject,
    /// A confident prediction of another class on an annotation: the class may be wrong.
    SwappedClass,
}

impl SuspectKind {
    /// In the order of the lists.
    pub const ALL: [Self; 5] = [
        Self::Label,
        Self::Head,
        Self::MissingLabel,
        Self::MissedObject,
        Self::SwappedClass,
    ];

    /// As the command line and files name it.
    pub fn key(self) -> &'static str {
        match self {
            Self::Label => "label",
            Self::Head => "head",
            Self::MissingLabel => "missing_label",
            Self::MissedObject => "missed_object",
            Self::SwappedClass => "swapped_class",
        }
    }

    /// As the lists name it.
    pub fn label(self) -> &'static str {
        match self {
            Self::Label => "Suspicious label",
            Self::Head => "Suspicious mask IoU",
            Self::MissingLabel => "Missing label",
            Self::MissedObject => "Missed object",
            Self::SwappedClass => "Swapped class",
        }
    }

    /// Whether the rule needs `mask_iou`.
    pub fn needs_mask_iou(self) -> bool {
        matches!(self, Self::Label | Self::Head)
    }
}

/// Limits of the rules; all in 0..1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct SuspectRules {
    /// Lowest `score` of a prediction whose `mask_iou` is judged; below it the class itself is a guess.
    pub min_score: f64,
    /// `mask_iou` from which the head trusts a mask.
    pub high_mask_iou: f64,
    /// Measured IoU up to which such a mask is suspicious.
    pub low_measured_iou: f64,
    /// `mask_iou` up to which the head distrusts a mask.
    pub low_mask_iou: f64,
    /// Measured IoU from which such a mask is suspicious.
    pub high_measured_iou: f64,
    /// `score` from which a prediction is confident.
    pub confident_score: f64,
    /// IoU below which nothing is near.
    pub near_iou: f64,
    /// IoU from which a prediction of another class lies on an annotation.
    pub swapped_iou: f64,
}

impl Default for SuspectRules {
    fn default() -> Self {
        Self {
            min_score: 0.5,
            high_mask_iou: 0.8,
            low_measured_iou: 0.5, // no match at any threshold
            low_mask_iou: 0.5,
            high_measured_iou: 0.8,
            confident_score: 0.7,
            near_iou: super::BACKGROUND_IOU,
            swapped_iou: 0.7,
        }
    }
}

/// Something to look at.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Suspect {
    /// What is suspected.
    pub kind: SuspectKind,
    /// Position in `EvalInput::images`.
    pub image: u32,
    /// Position in `EvalInput::detections`.
    pub detection: Option<u32>,
    /// Position in `EvalInput::truths`.
    pub truth: Option<u32>,
    /// 0..1: how strongly the two sides contradict each other.
    pub severity: f64,
    /// Why, with the numbers.
    pub reason: String,
}

/// The queue.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Suspects {
    /// By descending severity; equal ones by kind, image, detection and annotation.
    pub list: Vec<Suspect>,
    /// Why the rules that need `mask_iou` found nothing, where no prediction has one.
    pub without_mask_iou: Option<&'static str>,
}

/// Why two rules are absent.
const NO_MASK_IOU: &str = "no prediction has a mask_iou, so labels and the mask-IoU head cannot be judged by it; \
     predictions of a model with a mask-IoU head have one";

/// Searches a set, on all cores. The overlaps must be those of masks and of any class; `found` and `pairing` are of the
/// same setup and selection, `measured` is the measured IoU of each detection.
pub fn suspects(
    setup: &Setup<'_>,
    selection: &Selection,
    found: &Matches,
    pairing: &Pairing,
    measured: &[Option<f64>],
    rules: &SuspectRules,
) -> Suspects {
    let work = Work {
        setup,
        selection,
        found,
        pairing,
        measured,
        rules,
    };
    let count = setup.input.detections.len() as u32;
    let of_detections = (0..count).into_par_iter().filter_map(|d| work.detection(d));
    let mut list: Vec<Suspect> = of_detections.collect();
    list.extend(work.missed_objects());
    list.sort_by(|a, b| {
        let place = |of: &Suspect| (of.kind, of.image, of.detection, of.truth);
        let by_severity = b.severity.total_cmp(&a.severity);
        by_severity.then_with(|| place(a).cmp(&place(b)))
    });
    let has_mask_iou = (0..count as usize).any(|d| setup.input.detection(d).mask_iou.is_some());
    Suspects {
        list,
        without_mask_iou: (!has_mask_iou).then_some(NO_MASK_IOU),
    }
}

struct Work<'a> {
    setup: &'a Setup<'a>,
    selection: &'a Selection,
    found: &'a Matches,
    pairing: &'a Pairing,
    measured: &'a [Option<f64>],
    rules: &'a SuspectRules,
}

impl Work<'_> {
    fn detection(&self, position: u32) -> Option<Suspect> {
        if !self.counts(position) {
            return None;
        }
        self.swapped_class(position)
            .or_else(|| self.missing_label(position))
            .or_else(|| self.mask_iou(position))
    }

    fn counts(&self, detection: u32) -> bool {
        let slot = self.setup.cells.slot_of[detection as usize] as usize;
        self.found.rank_in_cell[slot] != NOT_COUNTED
    }

    fn of_detection(
        &self,
        kind: SuspectKind,
        position: u32,
        truth: Option<u32>,
        severity: f64,
        reason: String,
    ) -> Suspect {
        Suspect {
            kind,
            image: self.setup.input.detections[position as usize].image,
            detection: Some(position),
            truth,
            severity: severity.clamp(0.0, 1.0),
            reason,
        }
    }

    /// The overlap that `is_candidate` admits and that is largest; of equal ones the first.
    fn best(&self, position: u32, is_candidate: impl Fn(u32) -> bool) -> Option<Overlap> {
        let pairs = self.setup.overlaps.of(position as usize).iter().copied();
        pairs
            .filter(|pair| self.selection.has_truth(pair.truth) && is_candidate(pair.truth))
            .rev() // the last of equal ones is kept
            .max_by(|a, b| a.iou.total_cmp(&b.iou))
    }

    /// A confident prediction on an annotation of another class that no prediction of its own class has, while nothing of
    /// the predicted class is near.
    fn swapped_class(&self, position: u32) -> Option<Suspect> {
        let input = self.setup.input;
        let score = input.detection(position as usize).score;
        if score < self.rules.confident_score {
            return None;
        }
        let label = input.detections[position as usize].label;
        let is_own = |truth: u32| input.truths[truth as usize].label == label;
        let own = self.best(position, is_own);
        let other = self.best(position, |truth| {
            !is_own(truth) && input.truths[truth as usize].counts_in(Area::All)
        })?;
        let is_free = self.pairing.detection_of[other.truth as usize].is_none();
        let is_own_near = own.is_some_and(|own| own.iou >= self.rules.near_iou);
        if other.iou < self.rules.swapped_iou || !is_free || is_own_near {
            return None;
        }
        let reason = format!(
            "{} is {} with score {} and covers {} at IoU {}: one of the two classes is wrong",
            number(input, position),
            class(input, label),
            short(score),
            annotation_with_class(input, other.truth),
            short(other.iou)
        );
        let (kind, severity) = (SuspectKind::SwappedClass, score * other.iou);
        Some(self.of_detection(kind, position, Some(other.truth), severity, reason))
    }

    /// A confident prediction that no annotation of any class is near.
    fn missing_label(&self, position: u32) -> Option<Suspect> {
        let input = self.setup.input;
        let score = input.detection(position as usize).score;
        let best = self.best(position, |_| true);
        let iou = best.map_or(0.0, |best| best.iou);
        if score < self.rules.confident_score || iou >= self.rules.near_iou {
            return None;
        }
        let nearest = match best {
            Some(best) => format!(
                "the nearest annotation is {} at IoU {}",
                annotation_with_class(input, best.truth),
                short(iou)
            ),
            None => "no annotation touches it".into(),
        };
        let reason = format!(
            "{} is {} with score {}, but {nearest}: a label may be missing",
            number(input, position),
            class(input, input.detections[position as usize].label),
            short(score)
        );
        let truth = best.map(|best| best.truth);
        Some(self.of_detection(SuspectKind::MissingLabel, position, truth, score, reason))
    }

    /// The head and the measurement disagree.
    fn mask_iou(&self, position: u32) -> Option<Suspect> {
        let (input, rules) = (self.setup.input, self.rules);
        let detection = input.detection(position as usize);
        let mask_iou = detection.mask_iou?;
        let measured = self.measured.get(position as usize).copied().flatten()?;
        if detection.score < rules.min_score {
            return None;
        }
        let (kind, conclusion) =
            if mask_iou >= rules.high_mask_iou && measured <= rules.low_measured_iou {
                (SuspectKind::Label, "the label may be wrong")
            } else if mask_iou <= rules.low_mask_iou && measured >= rules.high_measured_iou {
                (
                    SuspectKind::Head,
                    "the mask is good, the mask-IoU head does not see it",
                )
            } else {
                return None;
            };
        let label = input.detections[position as usize].label;
        let best = self.best(position, |truth| {
            let truth = &input.truths[truth as usize];
            truth.label == label && !truth.is_crowd
        });
        let with = match best {
            Some(best) => format!("with {}", annotation_with_class(input, best.truth)),
            None => format!("with every annotation of {}", class(input, label)),
        };
        let reason = format!(
            "{} has mask IoU {} but measured IoU {} {with}: {conclusion}",
            number(input, position),
            short(mask_iou),
            short(measured)
        );
        let severity = (mask_iou - measured).abs();
        Some(self.of_detection(kind, position, best.map(|b| b.truth), severity, reason))
    }

    /// Annotations that no prediction of any class is near. Large ones weigh more: an object of 32² pixels half.
    fn missed_objects(&self) -> Vec<Suspect> {
        let input = self.setup.input;
        let mut best: Vec<Option<(u32, f64)>> = vec![None; input.truths.len()];
        for detection in (0..input.detections.len() as u32).filter(|&d| self.counts(d)) {
            for pair in self.setup.overlaps.of(detection as usize) {
                let best = &mut best[pair.truth as usize];
                if best.is_none_or(|(_, iou)| pair.iou > iou) {
                    *best = Some((detection, pair.iou));
                }
            }
        }
        let [_, small] = Area::Small.limits();
        (0u32..)
            .zip(input.truths.iter().zip(best))
            .filter_map(|(position, (truth, best))| {
                let iou = best.map_or(0.0, |(_, iou)| iou);
                let takes_part =
                    self.selection.has_truth(position) && self.selection.has_image(truth.image);
                if !takes_part || !truth.counts_in(Area::All) || iou >= self.rules.near_iou {
                    return None;
                }
                let nearest = best.map_or_else(
                    || "no prediction touches it".into(),
                    |(detection, iou)| {
                        let number = number(input, detection);
                        format!("the nearest prediction is {number} at IoU {}", short(iou))
                    },
                );
                Some(Suspect {
                    kind: SuspectKind::MissedObject,
                    image: truth.image,
                    detection: best.map(|(detection, _)| detection),
                    truth: Some(position),
                    severity: truth.area / (truth.area + small) * (1.0 - iou),
                    reason: format!(
                        "{} of {:.0} px was not found, {nearest}: a missed object or an odd label",
                        annotation_with_class(input, position),
                        truth.area
                    ),
                })
            })
            .collect()
    }
}
