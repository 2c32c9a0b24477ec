//! TIDE: what each kind of error costs (Bolya et al. 2020), by hotcoco's rules and from the overlaps that exist.
//!
//! Crowd regions differ from tidecv: there a detection is compared with ordinary ground truths alone and dropped
//! afterwards where it lies on a crowd region; here, as in hotcoco, a crowd region of its class is evidence like any
//! ground truth, so a detection with .1 to .5 of its area on one is a localisation error instead of background. On
//! COCO's val2017 this moves Loc by about -.01 and Miss by about +.007.

use std::cmp::Ordering;

use hotcoco::metrics::counts::average_precision_ranked;
use rayon::prelude::*;
use serde::Serialize;

use super::accumulate::recall_points;
use super::matching::{Area, NOT_COUNTED, Selection, Setup, iou_thresholds};
use super::{Matches, Order, Pairing};

/// Below this IoU a detection counts as background.
pub const BACKGROUND_IOU: f64 = 0.1;

/// What went wrong with a detection, or that a ground truth was missed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum ErrorKind {
    /// Right place, wrong class.
    Class,
    /// Right class, too little overlap.
    Localization,
    /// Wrong class and too little overlap.
    Both,
    /// Another detection of higher rank already has the ground truth.
    Duplicate,
    /// Nothing annotated is near.
    Background,
    /// A ground truth that no detection has, and that no mended class or place would give one.
    Missed,
}

/// Kinds of which detections are; `Missed` is one of ground truths.
const FALSE_KINDS: [ErrorKind; 5] = [
    ErrorKind::Class,
    ErrorKind::Localization,
    ErrorKind::Both,
    ErrorKind::Duplicate,
    ErrorKind::Background,
];

impl ErrorKind {
    /// In the order of the bars.
    pub const ALL: [Self; 6] = [
        Self::Class,
        Self::Localization,
        Self::Both,
        Self::Duplicate,
        Self::Background,
        Self::Missed,
    ];

    /// As tidecv names it.
    pub fn key(self) -> &'static str {
        match self {
            Self::Class => "Cls",
            Self::Localization => "Loc",
            Self::Both => "Both",
            Self::Duplicate => "Dupe",
            Self::Background => "Bkg",
            Self::Missed => "Miss",
        }
    }

    /// In words.
    pub fn label(self) -> &'static str {
        match self {
            Self::Class => "wrong class",
            Self::Localization => "poor overlap",
            Self::Both => "wrong class and poor overlap",
            Self::Duplicate => "duplicate",
            Self::Background => "background",
            Self::Missed => "missed",
        }
    }
}

/// One kind of error.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct TideBar {
    /// The kind.
    pub kind: ErrorKind,
    /// AP that a set without these errors would gain, 0..1.
    pub delta_ap: f64,
    /// How many there are.
    pub count: u64,
}

/// The errors of a set.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Tide {
    /// IoU of a match.
    pub positive_iou: f64,
    /// IoU of background.
    pub background_iou: f64,
    /// AP at `positive_iou`, mean of the classes with ground truth.
    pub ap: f64,
    /// By `ErrorKind::ALL`.
    pub bars: [TideBar; 6],
    /// AP gained were there no false positive.
    pub false_positive_delta: f64,
    /// AP gained were no ground truth left over.
    pub false_negative_delta: f64,
    /// Error of each detection; `None` for true, ignored and uncounted ones.
    #[serde(skip)]
    pub detections: Vec<Option<ErrorKind>>,
    /// Missed ground truths, ascending.
    #[serde(skip)]
    pub missed: Vec<u32>,
}

impl Tide {
    /// Detections with an error, ascending.
    pub fn detections_of(&self, kind: ErrorKind) -> Vec<u32> {
        (0u32..)
            .zip(&self.detections)
            .filter_map(|(detection, error)| (*error == Some(kind)).then_some(detection))
            .collect()
    }
}

/// Finds the errors of a set at the threshold of `pairing`. The overlaps must be of any class, and `found` and `pairing`
/// of the same setup, order and selection.
pub fn tide(
    setup: &Setup<'_>,
    order: &Order,
    selection: &Selection,
    found: &Matches,
    pairing: &Pairing,
) -> Tide {
    let work = Work {
        setup,
        order,
        selection,
        found,
        pairing,
        positive_iou: iou_thresholds()
            .get(pairing.threshold)
            .copied()
            .unwrap_or(1.0),
    };
    let errors = work.errors();
    let fixes = work.fixes(&errors);
    let missed = work.missed(&fixes);
    let deltas: Vec<ClassDeltas> = (0..setup.cells.of_class.len())
        .into_par_iter()
        .filter_map(|label| work.class_deltas(label, &errors, &fixes, &missed))
        .collect();
    work.summarise(errors, &missed, &deltas)
}

/// A false positive.
#[derive(Clone, Copy)]
struct Error {
    kind: ErrorKind,
    /// The ground truth it would match were its class or place mended; only one that is still free.
    target: Option<u32>,
}

/// What mending does.
struct Fixes {
    /// By ground truth: the detection that a mended class or place would give it.
    winner: Vec<Option<u32>>,
    /// By class: scores of the winners that have another class, descending.
    incoming: Vec<Vec<f64>>,
}

#[derive(Default)]
struct Missed {
    truths: Vec<u32>,
    /// By class.
    of_class: Vec<usize>,
    /// By class: all without a match, recoverable or not.
    unmatched_of_class: Vec<usize>,
}

struct ClassDeltas {
    ap: f64,
    false_kinds: [f64; FALSE_KINDS.len()],
    missed: f64,
    false_positive: f64,
    false_negative: f64,
}

/// Where a detection lies best.
#[derive(Clone, Copy, Default)]
struct Best {
    iou: f64,
    truth: Option<u32>,
}

struct Work<'a> {
    setup: &'a Setup<'a>,
    order: &'a Order,
    selection: &'a Selection,
    found: &'a Matches,
    pairing: &'a Pairing,
    positive_iou: f64,
}

impl Work<'_> {
    /// By detection.
    fn errors(&self) -> Vec<Option<Error>> {
        (0..self.setup.input.detections.len())
            .into_par_iter()
            .map(|detection| {
                let slot = self.setup.cells.slot_of[detection] as usize;
                let counts = self.found.rank_in_cell[slot] != NOT_COUNTED;
                let false_at = self.found.flags[slot][Area::All as usize].false_positive();
                let is_false = counts && false_at >> self.pairing.threshold & 1 == 1;
                is_false.then(|| self.error(detection))
            })
            .collect()
    }

    fn error(&self, detection: usize) -> Error {
        let input = self.setup.input;
        let label = input.detections[detection].label;
        let (mut same, mut other, mut is_taken) = (Best::default(), Best::default(), false);
        let pairs = self.setup.overlaps.of(detection).iter();
        for pair in pairs.filter(|pair| self.selection.has_truth(pair.truth)) {
            let truth = &input.truths[pair.truth as usize];
            if truth.label == label {
                let has_match = self.pairing.detection_of[pair.truth as usize].is_some();
                is_taken |= pair.iou >= self.positive_iou && has_match;
            }
            let best = match (truth.label == label, truth.is_crowd) {
                (true, _) => &mut same,
                (false, false) => &mut other,
                (false, true) => continue,
            };
            if self.precedes(pair.truth, pair.iou, best) {
                *best = Best {
                    iou: pair.iou,
                    truth: Some(pair.truth),
                };
            }
        }
        let kind = self.kind(same.iou, other.iou, is_taken);
        let target = match kind {
            ErrorKind::Localization => same.truth,
            ErrorKind::Class => other.truth,
            _ => None,
        };
        Error {
            kind,
            target: target.filter(|&truth| self.is_free(truth)),
        }
    }

    /// Of equal IoUs that of the first ground truth counts: ordinary ones before crowd regions, by class, then as in the
    /// JSON.
    fn precedes(&self, truth: u32, iou: f64, best: &Best) -> bool {
        let key = |truth: u32| {
            let of = &self.setup.input.truths[truth as usize];
            (of.is_crowd, of.label, truth)
        };
        match iou.partial_cmp(&best.iou) {
            Some(Ordering::Greater) => true,
            Some(Ordering::Equal) => best.truth.is_some_and(|known| key(truth) < key(known)),
            _ => false,
        }
    }

    /// tidecv's order of precedence; both ends of the window of localisation errors belong to it.
    fn kind(&self, same: f64, other: f64, is_taken: bool) -> ErrorKind {
        if (BACKGROUND_IOU..=self.positive_iou).contains(&same) {
            ErrorKind::Localization
        } else if other >= self.positive_iou {
            ErrorKind::Class
        } else if is_taken {
            ErrorKind::Duplicate
        } else if other <= BACKGROUND_IOU {
            ErrorKind::Background
        } else {
            ErrorKind::Both
        }
    }

    /// Whether a ground truth counts and has no match.
    fn is_free(&self, truth: u32) -> bool {
        let of = &self.setup.input.truths[truth as usize];
        self.selection.has_truth(truth)
            && self.selection.has_image(of.image)
            && of.counts_in(Area::All)
            && self.pairing.detection_of[truth as usize].is_none()
    }

    fn score(&self, detection: u32) -> f64 {
        let slots = &self.setup.cells.slot_of;
        self.order.score(slots[detection as usize])
    }

    /// A ground truth can be given to one detection alone: the best ranked, of equal ones the first of the file.
    fn fixes(&self, errors: &[Option<Error>]) -> Fixes {
        let input = self.setup.input;
        let mut winner: Vec<Option<u32>> = vec![None; input.truths.len()];
        for (detection, error) in (0u32..).zip(errors) {
            let Some(target) = error.and_then(|error| error.target) else {
                continue;
            };
            let best = &mut winner[target as usize];
            if best.is_none_or(|best| self.score(detection) > self.score(best)) {
                *best = Some(detection);
            }
        }
        let mut incoming = vec![Vec::new(); self.setup.cells.of_class.len()];
        for (truth, winner) in input.truths.iter().zip(&winner) {
            if let Some(winner) = *winner
                && input.detections[winner as usize].label != truth.label
            {
                incoming[truth.label as usize].push(self.score(winner));
            }
        }
        for scores in &mut incoming {
            scores.sort_by(|a, b| b.total_cmp(a));
        }
        Fixes { winner, incoming }
    }

    fn missed(&self, fixes: &Fixes) -> Missed {
        let classes = self.setup.cells.of_class.len();
        let mut missed = Missed {
            truths: Vec::new(),
            of_class: vec![0; classes],
            unmatched_of_class: vec![0; classes],
        };
        for (position, truth) in (0u32..).zip(&self.setup.input.truths) {
            if !self.is_free(position) {
                continue;
            }
            missed.unmatched_of_class[truth.label as usize] += 1;
            if fixes.winner[position as usize].is_none() {
                missed.of_class[truth.label as usize] += 1;
                missed.truths.push(position);
            }
        }
        missed
    }

    /// `None` for a class without ground truth.
    fn class_deltas(
        &self,
        label: usize,
        errors: &[Option<Error>],
        fixes: &Fixes,
        missed: &Missed,
    ) -> Option<ClassDeltas> {
        let truths = self.found.truths.get(label)?[Area::All as usize] as usize;
        if truths == 0 {
            return None;
        }
        let ranking = self.ranking(label, errors);
        let points = recall_points();
        let (matched, ignored): (Vec<bool>, Vec<bool>) =
            ranking.iter().map(|of| (of.matched, of.ignored)).unzip();
        let score = |matched: &[bool], ignored: &[bool], truths: usize| {
            average_precision_ranked(matched, Some(ignored), truths, points)
        };
        let ap = score(&matched, &ignored, truths);
        let false_kinds = FALSE_KINDS.map(|kind| {
            let (matched, ignored) = mended(&ranking, kind, &fixes.winner, &fixes.incoming[label]);
            score(&matched, &ignored, truths) - ap
        });
        let no_false: Vec<bool> = ranking
            .iter()
            .map(|of| of.ignored || of.error.is_some())
            .collect();
        let without = |count: usize| score(&matched, &ignored, truths.saturating_sub(count)) - ap;
        Some(ClassDeltas {
            ap,
            false_kinds,
            missed: without(missed.of_class[label]),
            false_positive: score(&matched, &no_false, truths) - ap,
            false_negative: without(missed.unmatched_of_class[label]),
        })
    }

    /// The detections of a class that count, best first.
    fn ranking(&self, label: usize, errors: &[Option<Error>]) -> Vec<Ranked> {
        let cells = self.setup.cells;
        self.order
            .of_class(cells, label)
            .iter()
            .filter(|&&slot| self.found.rank_in_cell[slot as usize] != NOT_COUNTED)
            .map(|&slot| {
                let detection = cells.detections[slot as usize];
                let flags = self.found.flags[slot as usize][Area::All as usize];
                let at = self.pairing.threshold;
                Ranked {
                    detection,
                    score: self.order.score(slot),
                    matched: flags.matched >> at & 1 == 1,
                    ignored: flags.ignored >> at & 1 == 1,
                    error: errors[detection as usize],
                }
            })
            .collect()
    }

    fn summarise(
        &self,
        errors: Vec<Option<Error>>,
        missed: &Missed,
        deltas: &[ClassDeltas],
    ) -> Tide {
        let mean = |of: &dyn Fn(&ClassDeltas) -> f64| match deltas.len() {
            0 => 0.0,
            count => deltas.iter().map(of).sum::<f64>() / count as f64,
        };
        let detections: Vec<Option<ErrorKind>> =
            errors.iter().map(|error| error.map(|e| e.kind)).collect();
        let bars = ErrorKind::ALL.map(|kind| {
            let place = FALSE_KINDS.iter().position(|&known| known == kind);
            let of_detections = detections.iter().filter(|&&error| error == Some(kind));
            TideBar {
                kind,
                delta_ap: match place {
                    Some(place) => mean(&|class| class.false_kinds[place]),
                    None => mean(&|class| class.missed),
                },
                count: match place {
                    Some(_) => of_detections.count() as u64,
                    None => missed.truths.len() as u64,
                },
            }
        });
        Tide {
            positive_iou: self.positive_iou,
            background_iou: BACKGROUND_IOU,
            ap: mean(&|class| class.ap),
            bars,
            false_positive_delta: mean(&|class| class.false_positive),
            false_negative_delta: mean(&|class| class.false_negative),
            detections,
            missed: missed.truths.clone(),
        }
    }
}

/// A detection in the ranking of its class.
struct Ranked {
    detection: u32,
    score: f64,
    matched: bool,
    ignored: bool,
    error: Option<Error>,
}

/// A ranking without errors of one kind: matched and ignored. The winner of a ground truth becomes true, in the class of
/// that ground truth; every other error leaves the ranking.
fn mended(
    ranking: &[Ranked],
    kind: ErrorKind,
    winner: &[Option<u32>],
    incoming: &[f64],
) -> (Vec<bool>, Vec<bool>) {
    let incoming = if kind == ErrorKind::Class {
        incoming
    } else {
        &[]
    };
    let room = ranking.len() + incoming.len();
    let (mut matched, mut ignored) = (Vec::with_capacity(room), Vec::with_capacity(room));
    let mut incoming = incoming.iter().peekable();
    for of in ranking {
        // Of equal scores the class's own detection ranks first.
        while incoming.next_if(|&&score| score > of.score).is_some() {
            matched.push(true);
            ignored.push(false);
        }
        let error = of.error.filter(|error| error.kind == kind);
        let has_won = error.is_some_and(|error| {
            let target = error.target.and_then(|truth| winner[truth as usize]);
            kind == ErrorKind::Localization && target == Some(of.detection)
        });
        matched.push(of.matched || has_won);
        ignored.push(of.ignored || (error.is_some() && !has_won));
    }
    let rest = incoming.count();
    matched.extend(std::iter::repeat_n(true, rest));
    ignored.extend(std::iter::repeat_n(false, rest));
    (matched, ignored)
}
