//! oLRP: the threshold per class below which detections do more harm than good (Oksuz et al. 2018, 2021).
//!
//! LRP at a threshold on the score is the mean error of what is kept: a true positive costs (1 - IoU) / (1 - t), a
//! false positive and a miss cost 1, over their number. oLRP is its minimum over all thresholds, taken exactly: at
//! each distinct score, not on a grid.

use rayon::prelude::*;
use serde::Serialize;

use super::super::{Kind, Order, Setup};
use super::outcomes::{Outcome, Outcomes, outcomes};
use super::rankings::{Ranking, Rankings};
use super::{Absent, Options, Subject};

/// oLRP of masks and boxes by both scores that are shipped.
#[derive(Clone, Debug, Serialize)]
pub struct Thresholds {
    /// Masks by `score`, masks by `iou_score`, boxes by `score`, boxes by `iou_score`.
    pub tables: Vec<Table>,
}

impl Thresholds {
    /// The table of a kind and a ranking.
    pub fn of(&self, kind: Kind, ranking: Ranking) -> Option<&Olrp> {
        let is_it = |table: &&Table| table.kind == kind.key() && table.ranking == ranking;
        self.tables.iter().find(is_it)?.olrp.as_ref()
    }
}

/// oLRP, or why there is none.
#[derive(Clone, Debug, Serialize)]
pub struct Table {
    /// `segm` or `bbox`.
    pub kind: &'static str,
    /// What ranks and what the threshold is on.
    pub ranking: Ranking,
    /// oLRP.
    pub olrp: Option<Olrp>,
    /// Why there is none.
    pub reason: Option<String>,
}

/// oLRP of every class.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Olrp {
    /// IoU threshold.
    pub iou_threshold: f64,
    /// Means over the classes in which each exists; moLRP is `olrp`.
    pub mean: Components,
    /// Classes with ground truth.
    pub per_class: Vec<ClassOlrp>,
}

/// oLRP and what it is made of.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Components {
    /// oLRP, 0 (perfect) to 1; `None` without ground truth.
    pub olrp: Option<f64>,
    /// Mean of 1 - IoU over the true positives; `None` without one.
    pub localisation: Option<f64>,
    /// Share of false positives in what is kept (1 - precision); `None` where nothing is kept.
    pub false_positive: Option<f64>,
    /// Share of ground truths missed (1 - recall).
    pub false_negative: Option<f64>,
}

/// oLRP of a class.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClassOlrp {
    /// Class.
    pub label: usize,
    /// Its name.
    pub class: String,
    /// Ground truths that count.
    pub truths: u32,
    /// oLRP and what it is made of.
    #[serde(flatten)]
    pub components: Components,
    /// Keep what scores at least this; `None` where keeping nothing is best.
    pub threshold: Option<f64>,
    /// True positives kept.
    pub true_positives: u32,
    /// False positives kept.
    pub false_positives: u32,
}

/// Outcomes by kind and ranking.
pub struct AllOutcomes(Vec<(Kind, Ranking, Result<Outcomes, Absent>)>);

impl AllOutcomes {
    /// The outcomes of a ranking.
    pub fn of(&self, kind: Kind, ranking: Ranking) -> Result<&Outcomes, Absent> {
        let found = self.0.iter().find(|(k, r, _)| (*k, *r) == (kind, ranking));
        let (_, _, outcomes) = found.ok_or_else(|| Absent("this was not measured".into()))?;
        outcomes.as_ref().map_err(Clone::clone)
    }
}

/// Outcomes of masks, and of boxes where their IoUs are at hand, by `score` and by `iou_score`.
pub fn all_outcomes(subject: &Subject<'_>, rankings: &Rankings, options: &Options) -> AllOutcomes {
    let setups = std::iter::once(&subject.masks).chain(&subject.boxes);
    let both = [Ranking::Score, Ranking::IouScore];
    let wanted = setups.flat_map(|setup| both.map(|ranking| (setup, ranking)));
    let found = wanted.map(|(setup, ranking)| {
        let ranked = rankings.get(ranking).map_err(Clone::clone);
        let of = |order| outcomes(setup, order, subject.selection, options.threshold);
        (setup.kind, ranking, ranked.map(|ranked| of(&ranked.order)))
    });
    AllOutcomes(found.collect())
}

/// oLRP of every kind and ranking at hand.
pub fn thresholds(
    subject: &Subject<'_>,
    rankings: &Rankings,
    outcomes: &AllOutcomes,
) -> Thresholds {
    let table = |(kind, ranking, found): &(Kind, Ranking, Result<Outcomes, Absent>)| {
        let both = found
            .as_ref()
            .and_then(|found| Ok((found, rankings.get(*ranking)?)));
        let made = both.map(|(found, ranked)| olrp(&subject.masks, &ranked.order, found));
        Table {
            kind: kind.key(),
            ranking: *ranking,
            reason: made.as_ref().err().map(|reason| reason.0.clone()),
            olrp: made.ok(),
        }
    };
    Thresholds {
        tables: outcomes.0.iter().map(table).collect(),
    }
}

/// oLRP of the classes that have ground truth, in one pass over each one's detections, best first. `found` are the
/// outcomes of `order`.
pub fn olrp(setup: &Setup<'_>, order: &Order, found: &Outcomes) -> Olrp {
    let per_class: Vec<ClassOlrp> = (0..found.truths.len())
        .into_par_iter()
        .filter(|&label| found.truths[label] > 0)
        .map(|label| of_class(setup, order, found, label))
        .collect();
    let mean = |part: fn(&Components) -> Option<f64>| {
        let existing: Vec<f64> = per_class
            .iter()
            .filter_map(|c| part(&c.components))
            .collect();
        (!existing.is_empty()).then(|| existing.iter().sum::<f64>() / existing.len() as f64)
    };
    Olrp {
        iou_threshold: found.iou_threshold,
        mean: Components {
            olrp: mean(|c| c.olrp),
            localisation: mean(|c| c.localisation),
            false_positive: mean(|c| c.false_positive),
            false_negative: mean(|c| c.false_negative),
        },
        per_class,
    }
}

/// What is kept down to some score.
#[derive(Clone, Copy, Default)]
struct Kept {
    true_positives: u32,
    false_positives: u32,
    /// Sum of 1 - IoU over the true positives.
    localisation: f64,
    /// Lowest score kept.
    threshold: Option<f64>,
}

impl Kept {
    fn lrp(&self, truths: u32, iou_threshold: f64) -> f64 {
        let missed = f64::from(truths) - f64::from(self.true_positives);
        let wrong = f64::from(self.false_positives) + missed;
        let errors = self.localisation / (1.0 - iou_threshold) + wrong;
        errors / (f64::from(truths) + f64::from(self.false_positives))
    }
}

fn of_class(setup: &Setup<'_>, order: &Order, found: &Outcomes, label: usize) -> ClassOlrp {
    let (truths, cells) = (found.truths[label], setup.cells);
    let mut kept = Kept::default();
    let mut best = (kept.lrp(truths, found.iou_threshold), kept);
    let slots = order.of_class(cells, label);
    // What scores the same is kept or dropped together.
    for equal in slots.chunk_by(|a, b| order.score(*a) == order.score(*b)) {
        let mut counts = false;
        for &slot in equal {
            match found.of_slot[slot as usize] {
                Outcome::True { iou } => {
                    kept.true_positives += 1;
                    kept.localisation += 1.0 - iou;
                }
                Outcome::False => kept.false_positives += 1,
                Outcome::Ignored | Outcome::NotCounted => continue,
            }
            counts = true;
        }
        if !counts {
            continue;
        }
        kept.threshold = equal.first().map(|&slot| order.score(slot));
        let lrp = kept.lrp(truths, found.iou_threshold);
        if lrp < best.0 {
            best = (lrp, kept);
        }
    }
    described(setup, label, truths, best)
}

fn described(setup: &Setup<'_>, label: usize, truths: u32, best: (f64, Kept)) -> ClassOlrp {
    let (olrp, kept) = best;
    let share = |part: f64, whole: u32| (whole > 0).then(|| part / f64::from(whole));
    let all = kept.true_positives + kept.false_positives;
    ClassOlrp {
        label,
        class: setup.input.classes.name(label),
        truths,
        components: Components {
            olrp: Some(olrp),
            localisation: share(kept.localisation, kept.true_positives),
            false_positive: share(f64::from(kept.false_positives), all),
            false_negative: share(
                f64::from(truths.saturating_sub(kept.true_positives)),
                truths,
            ),
        },
        threshold: kept.threshold,
        true_positives: kept.true_positives,
        false_positives: kept.false_positives,
    }
}
