//! Ranking headroom: what mask AP would be if other numbers ranked the same masks.

use rayon::prelude::*;
use serde::Serialize;

use super::super::{Area, Curves, Matches, Selection, Setup, accumulate};
use super::bootstrap::{ApSamples, RankedSet, counted_in, counted_truths, resampled_aps};
use super::rankings::{Ranked, Ranking, Rankings, restricted};
use super::resample::{Interval, LANES, Weights};
use super::{Absent, Options};

/// AP by every ranking, on all selected images and on the half on which nothing was fitted.
#[derive(Clone, Debug, Serialize)]
pub struct Headroom {
    /// On all images. The recalibrated product is fitted crosswise: each half by the maps of the other.
    pub all: ApTable,
    /// On the test half: every ranking on the same images, the recalibrated product fitted on the other half.
    pub test_half: ApTable,
    /// Corners of the maps fitted on the first half; `None` where there are none.
    pub recalibration: Option<RecalibrationCurves>,
}

/// AP by every ranking on some images.
#[derive(Clone, Debug, Serialize)]
pub struct ApTable {
    /// Number of images.
    pub images: usize,
    /// Bootstrap resamples behind the intervals.
    pub resamples: usize,
    /// In the order of [`Ranking::ALL`].
    pub rankings: Vec<RankingAp>,
}

impl ApTable {
    /// The row of a ranking.
    pub fn of(&self, ranking: Ranking) -> Option<&Aps> {
        let row = self.rankings.iter().find(|row| row.ranking == ranking)?;
        row.ap.as_ref()
    }
}

/// A row: AP, or why there is none.
#[derive(Clone, Debug, Serialize)]
pub struct RankingAp {
    /// What ranks.
    pub ranking: Ranking,
    /// AP.
    pub ap: Option<Aps>,
    /// Why there is none.
    pub reason: Option<String>,
}

/// AP over IoU .50 to .95 by one ranking; a number is `None` where nothing exists to measure.
#[derive(Clone, Debug, Serialize)]
pub struct Aps {
    /// All areas.
    pub all: Option<Estimate>,
    /// Small masks.
    pub small: Option<f64>,
    /// Medium masks.
    pub medium: Option<f64>,
    /// Large masks.
    pub large: Option<f64>,
    /// Intervals of small, medium and large masks, of fewer resamples; only in the table of all images.
    pub size_intervals: [Option<Interval>; 3],
    /// Classes with ground truth.
    pub per_class: Vec<ClassAp>,
}

/// AP of a class.
#[derive(Clone, Debug, Serialize)]
pub struct ClassAp {
    /// Class.
    pub label: usize,
    /// Its name.
    pub class: String,
    /// All areas.
    pub all: Option<Estimate>,
    /// Small masks.
    pub small: Option<f64>,
    /// Medium masks.
    pub medium: Option<f64>,
    /// Large masks.
    pub large: Option<f64>,
}

/// AP with its 95 % interval over images.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Estimate {
    /// AP on the images themselves.
    pub ap: f64,
    /// Over resampled images; `None` of too few resamples.
    pub interval: Option<Interval>,
    /// AP less that of ranking by `score`.
    pub over_score: f64,
    /// Its interval, in the same resamples.
    pub over_score_interval: Option<Interval>,
}

/// Corners of the rising curves, (x, y).
#[derive(Clone, Debug, Serialize)]
pub struct RecalibrationCurves {
    /// `score` -> precision at IoU .5.
    pub precision_of_score: Vec<(f64, f64)>,
    /// `mask_iou` -> measured IoU of true positives.
    pub measured_iou_of_mask_iou: Vec<(f64, f64)>,
}

/// Measures the headroom; `None` when `keep_going` says no.
pub fn headroom(
    setup: &Setup<'_>,
    selection: &Selection,
    rankings: &Rankings,
    is_selected: &[bool],
    options: &Options,
    keep_going: &(dyn Fn() -> bool + Sync),
) -> Option<Headroom> {
    let table = Tables {
        setup,
        selection,
        rankings,
        options,
        keep_going,
    };
    let recalibration = rankings.recalibration.as_ref().ok();
    Some(Headroom {
        all: table.of(is_selected, None, options.resamples)?,
        // Half of the images tell less, whatever they are resampled.
        test_half: table.of(
            &rankings.is_test,
            Some(&rankings.is_test),
            LANES.min(options.resamples),
        )?,
        recalibration: recalibration.map(|maps| RecalibrationCurves {
            precision_of_score: maps.first.precision.corners().collect(),
            measured_iou_of_mask_iou: maps.first.measured_iou.corners().collect(),
        }),
    })
}

struct Tables<'a> {
    setup: &'a Setup<'a>,
    selection: &'a Selection,
    rankings: &'a Rankings,
    options: &'a Options,
    keep_going: &'a (dyn Fn() -> bool + Sync),
}

/// A ranking on the images of a table.
struct Judged {
    curves: Curves,
    set: RankedSet,
}

impl Tables<'_> {
    /// The table of the images `drawn`; `restrict` where the matches hold more than these.
    fn of(&self, drawn: &[bool], restrict: Option<&[bool]>, resamples: usize) -> Option<ApTable> {
        let is_counted = counted_truths(self.setup.input, self.selection);
        let judge = |ranked: &Ranked| self.judge(ranked, restrict, &is_counted);
        let judged: Vec<Result<Judged, &Absent>> = Ranking::ALL
            .par_iter()
            .map(|&ranking| self.rankings.get(ranking).map(judge))
            .collect();
        let sets: Vec<&RankedSet> = judged.iter().flatten().map(|judged| &judged.set).collect();
        let weights = Weights::draw(drawn, resamples, self.options.seed);
        let sizes = match restrict {
            None => self.size_intervals(drawn)?,
            Some(_) => Vec::new(),
        };
        let mut sizes = sizes.into_iter();
        let mut samples = resampled_aps(&sets, &weights, self.keep_going)?.into_iter();
        let by_score = judged.first().and_then(|first| first.as_ref().ok());
        let mut baseline: Option<(&Curves, ApSamples)> = None;
        let mut rows = Vec::with_capacity(judged.len());
        for (&ranking, judged) in Ranking::ALL.iter().zip(&judged) {
            let (ap, reason) = match judged {
                Ok(judged) => {
                    let own = samples.next()?;
                    if baseline.is_none() {
                        baseline = by_score.map(|score| (&score.curves, own.clone()));
                    }
                    let (curves, of_score) = baseline.as_ref()?;
                    let pair = Pair {
                        curves: &judged.curves,
                        samples: &own,
                        curves_of_score: curves,
                        samples_of_score: of_score,
                    };
                    let mut aps = self.aps(&pair);
                    aps.size_intervals = sizes.next().unwrap_or_default();
                    (Some(aps), None)
                }
                Err(reason) => (None, Some(reason.0.clone())),
            };
            rows.push(RankingAp {
                ranking,
                ap,
                reason,
            });
        }
        Some(ApTable {
            images: drawn.iter().filter(|&&drawn| drawn).count(),
            resamples,
            rankings: rows,
        })
    }

    /// Of each ranking that there is, the intervals of small, medium and large masks.
    fn size_intervals(&self, drawn: &[bool]) -> Option<Vec<[Option<Interval>; 3]>> {
        let rankings: Vec<&Ranked> = (Ranking::ALL.iter())
            .filter_map(|&ranking| self.rankings.get(ranking).ok())
            .collect();
        let weights = Weights::draw(drawn, LANES.min(self.options.resamples), self.options.seed);
        let mut intervals = vec![[None; 3]; rankings.len()];
        for (place, area) in [Area::Small, Area::Medium, Area::Large]
            .into_iter()
            .enumerate()
        {
            let is_counted = counted_in(self.setup.input, self.selection, area);
            let set = |ranked: &&Ranked| {
                let (order, matches) = (&ranked.order, &ranked.matches);
                RankedSet::of_area(self.setup.cells, order, matches, &is_counted, area)
            };
            let sets: Vec<RankedSet> = rankings.par_iter().map(set).collect();
            let sets: Vec<&RankedSet> = sets.iter().collect();
            let samples = resampled_aps(&sets, &weights, self.keep_going)?;
            for (interval, samples) in intervals.iter_mut().zip(samples) {
                interval[place] = Interval::of(samples.all);
            }
        }
        Some(intervals)
    }

    fn judge(&self, ranked: &Ranked, restrict: Option<&[bool]>, is_counted: &[bool]) -> Judged {
        let cells = self.setup.cells;
        let of = |matches: &Matches| Judged {
            curves: accumulate(cells, &ranked.order, matches),
            set: RankedSet::new(cells, &ranked.order, matches, is_counted),
        };
        match restrict {
            Some(images) => of(&restricted(
                self.setup,
                self.selection,
                &ranked.matches,
                images,
            )),
            None => of(&ranked.matches),
        }
    }

    fn aps(&self, pair: &Pair<'_>) -> Aps {
        let classes = &self.setup.input.classes;
        let per_class = (0..pair.curves.classes())
            .filter(|&label| existing(pair.curves.class_ap(label, Area::All)).is_some())
            .map(|label| {
                let of = |area| existing(pair.curves.class_ap(label, area));
                ClassAp {
                    label,
                    class: classes.name(label),
                    all: pair.class(label),
                    small: of(Area::Small),
                    medium: of(Area::Medium),
                    large: of(Area::Large),
                }
            })
            .collect();
        Aps {
            all: pair.all(),
            small: existing(pair.curves.ap(Area::Small)),
            medium: existing(pair.curves.ap(Area::Medium)),
            large: existing(pair.curves.ap(Area::Large)),
            size_intervals: [None; 3],
            per_class,
        }
    }
}

/// pycocotools' -1 for what does not exist.
fn existing(ap: f64) -> Option<f64> {
    (ap > -1.0).then_some(ap)
}

/// A ranking beside that by `score`.
struct Pair<'a> {
    curves: &'a Curves,
    samples: &'a ApSamples,
    curves_of_score: &'a Curves,
    samples_of_score: &'a ApSamples,
}

impl Pair<'_> {
    fn all(&self) -> Option<Estimate> {
        let ap = existing(self.curves.ap(Area::All))?;
        let of_score = self.curves_of_score.ap(Area::All);
        Some(estimate(
            ap,
            of_score,
            &self.samples.all,
            &self.samples_of_score.all,
        ))
    }

    fn class(&self, label: usize) -> Option<Estimate> {
        let ap = existing(self.curves.class_ap(label, Area::All))?;
        let of_score = self.curves_of_score.class_ap(label, Area::All);
        let own = self.samples.of_class.get(label)?;
        let others = self.samples_of_score.of_class.get(label)?;
        Some(estimate(ap, of_score, own, others))
    }
}

fn estimate(ap: f64, of_score: f64, samples: &[f64], samples_of_score: &[f64]) -> Estimate {
    Estimate {
        ap,
        interval: Interval::of(samples.iter().copied()),
        over_score: ap - of_score,
        over_score_interval: Interval::of_difference(samples, samples_of_score),
    }
}
