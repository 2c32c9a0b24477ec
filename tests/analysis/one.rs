//! AP under resamples, headroom and oLRP: against the engine itself, brute force and cases done by hand.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use maskscope::eval::knows::bootstrap::{RankedSet, counted_in, counted_truths, resampled_aps};
use maskscope::eval::knows::outcomes::{Outcome, outcomes};
use maskscope::eval::knows::rankings::Ranking;
use maskscope::eval::knows::resample::{Interval, Weights};
use maskscope::eval::knows::thresholds::olrp;
use maskscope::eval::knows::{Analysis, Options, Subject, analyse};
use maskscope::eval::{
    Area, Cells, Curves, EvalInput, IdPolicy, ImageParts, Kind, Matches, Order, Overlaps, Scope,
    Selection, Setup, accumulate, matches, measured_ious, rank_scores,
};
use maskscope::structures::ranking::RankBy;
use maskscope::structures::{ClassTable, Detection, Size};

use super::one_set::{Random, Recipe, detection, image, truth};

/// An input with all that is made of it once.
pub struct Made {
    pub input: EvalInput,
    pub cells: Cells,
    masks: Overlaps,
    boxes: Overlaps,
}

impl Made {
    pub fn new(input: EvalInput) -> Self {
        let measure = |kind| Overlaps::measure(&input, kind, Scope::SameClass, &|_| true).unwrap();
        Self {
            cells: Cells::new(&input),
            masks: measure(Kind::Segm),
            boxes: measure(Kind::Bbox),
            input,
        }
    }

    pub fn setup(&self, kind: Kind) -> Setup<'_> {
        Setup {
            input: &self.input,
            cells: &self.cells,
            overlaps: match kind {
                Kind::Segm => &self.masks,
                Kind::Bbox => &self.boxes,
            },
            kind,
            ids: IdPolicy::ByIndex,
        }
    }

    pub fn analysed(&self, selection: &Selection, options: Options) -> Analysis {
        let subject = Subject {
            masks: self.setup(Kind::Segm),
            boxes: Some(self.setup(Kind::Bbox)),
            selection,
        };
        analyse(&subject, options, &|_| true).unwrap()
    }

    fn evaluated(&self, scores: &[f64], selection: &Selection) -> (Order, Matches, Curves) {
        let order = Order::new(&self.cells, scores);
        let found = matches(&self.setup(Kind::Segm), &order, selection);
        let curves = accumulate(&self.cells, &order, &found);
        (order, found, curves)
    }
}

fn few() -> Options {
    Options {
        resamples: 70,
        ..Options::default()
    }
}

fn assert_near(got: f64, want: f64, what: &str) {
    assert!((got - want).abs() < 1e-12, "{what}: {got}, not {want}");
}

/// Scores by which a set may be ranked; measured IoU ties at 0.
fn scores_of(made: &Made) -> Vec<Vec<f64>> {
    let measured = measured_ious(&made.input, &made.masks);
    let by = |by| rank_scores(&made.input, by);
    vec![
        by(RankBy::Score),
        by(RankBy::MaskIou),
        by(RankBy::IouScore),
        measured.iter().map(|m| m.unwrap_or(0.0)).collect(),
    ]
}

#[test]
fn one_unit_weights_give_the_engines_ap() {
    for seed in 0..40 {
        let recipe = Recipe {
            steps: if seed % 2 == 0 { 0 } else { 8 },
            ..Recipe::small(seed)
        };
        let made = Made::new(recipe.input());
        let all = Selection::default();
        let some = Selection {
            images: Some((0..recipe.images).map(|i| i % 3 != 0).collect()),
            ..Selection::default()
        };
        for selection in [all, some] {
            let is_counted = counted_truths(&made.input, &selection);
            let (mut sets, mut curves) = (Vec::new(), Vec::new());
            for scores in scores_of(&made) {
                let (order, found, traced) = made.evaluated(&scores, &selection);
                sets.push(RankedSet::new(&made.cells, &order, &found, &is_counted));
                curves.push(traced);
            }
            let sets: Vec<&RankedSet> = sets.iter().collect();
            let weights = Weights::given(&[vec![1; recipe.images]]);
            let samples = resampled_aps(&sets, &weights, &|| true).unwrap();
            for (samples, curves) in samples.iter().zip(&curves) {
                assert_near(samples.all[0], curves.ap(Area::All), "AP");
                for (label, of_class) in samples.of_class.iter().enumerate() {
                    match curves.class_ap(label, Area::All) {
                        -1.0 => assert!(of_class[0].is_nan(), "class {label} has no truth"),
                        ap => assert_near(of_class[0], ap, "AP of a class"),
                    }
                }
            }
        }
    }
}

/// A resample is the set with its images copied; scores do not tie.
#[test]
fn one_weights_equal_copied_images() {
    let mut random = Random(99);
    for seed in 100..112 {
        let recipe = Recipe::small(seed);
        let parts = recipe.parts();
        let made = Made::new(recipe.input());
        let resamples: Vec<Vec<u8>> = (0..3)
            .map(|_| (0..recipe.images).map(|_| random.below(4) as u8).collect())
            .collect();
        for by in [RankBy::Score, RankBy::IouScore] {
            let scores = rank_scores(&made.input, by);
            let (order, found, _) = made.evaluated(&scores, &Selection::default());
            let weights = Weights::given(&resamples);
            let of_area = |area: Area| {
                let is_counted = counted_in(&made.input, &Selection::default(), area);
                let set = RankedSet::of_area(&made.cells, &order, &found, &is_counted, area);
                resampled_aps(&[&set], &weights, &|| true)
                    .unwrap()
                    .remove(0)
                    .all
            };
            let samples = Area::ALL.map(of_area);
            for (at, resample) in resamples.iter().enumerate() {
                let copied = Made::new(copies(&recipe, &parts, resample));
                let scores = rank_scores(&copied.input, by);
                let (_, _, curves) = copied.evaluated(&scores, &Selection::default());
                for area in Area::ALL {
                    let got = samples[area as usize][at];
                    let wanted = curves.ap(area);
                    // What does not exist is NaN here and -1 there.
                    assert_eq!(got.is_nan(), wanted < 0.0, "{area:?}");
                    if !got.is_nan() {
                        assert_near(got, wanted, "AP of copied images");
                    }
                }
            }
        }
    }
}

fn copies(recipe: &Recipe, parts: &[ImageParts], counts: &[u8]) -> EvalInput {
    let mut copied = Vec::new();
    for (part, &count) in parts.iter().zip(counts) {
        for _ in 0..count {
            let mut part = part.clone();
            part.image = image(copied.len() as u64 + 1, recipe.size);
            copied.push(part);
        }
    }
    EvalInput::from_parts(recipe.class_table(), copied)
}

#[test]
fn one_resamples_are_drawn_by_the_seed_from_the_marked_images() {
    let marked: Vec<bool> = (0..50).map(|image| image % 4 != 1).collect();
    let weights = Weights::draw(&marked, 130, 5);
    assert_eq!(weights, Weights::draw(&marked, 130, 5));
    assert_ne!(weights, Weights::draw(&marked, 130, 6));
    // AP of one class whose only truth and detection lie in one image tells whether that image was drawn.
    let drawn = |at: usize| {
        let size = Size::new(20, 20);
        let parts = (0..50)
            .map(|number| ImageParts {
                image: image(number as u64 + 1, size),
                annotations: (number == at)
                    .then(|| truth(1, 0, size, [2, 2, 8, 8], false))
                    .into_iter()
                    .collect(),
                detections: Arc::default(),
            })
            .collect();
        let made = Made::new(EvalInput::from_parts(ClassTable::from_names(["a"]), parts));
        let (order, found, _) = made.evaluated(&[], &Selection::default());
        let is_counted = counted_truths(&made.input, &Selection::default());
        let set = RankedSet::new(&made.cells, &order, &found, &is_counted);
        let samples = resampled_aps(&[&set], &weights, &|| true).unwrap();
        assert_eq!(samples[0].all.len(), 130);
        samples[0].all.iter().filter(|ap| !ap.is_nan()).count()
    };
    assert_eq!(drawn(1), 0, "not marked");
    let times = drawn(2);
    // 1 - (1 - 1/37)^37 = .638 of 130 resamples, deviation 5.5
    assert!((61..=105).contains(&times), "drawn in {times} resamples");
}

/// numpy: `np.percentile([(i*7%11)**2/3 for i in range(11)], [2.5, 97.5])`
#[test]
fn one_intervals_interpolate_as_numpy() {
    let interval = Interval::of((0..11).map(|i| f64::from((i * 7 % 11) * (i * 7 % 11)) / 3.0));
    let interval = interval.unwrap();
    assert_near(interval.low, 0.083_333_333_333_333_33, "low");
    assert_near(interval.high, 31.75, "high");
    assert_eq!(Interval::of([1.0, f64::NAN]), None);
}

fn of(analysis: &Analysis, ranking: Ranking) -> f64 {
    analysis.headroom.all.of(ranking).unwrap().all.unwrap().ap
}

#[test]
fn one_headroom_without_duplicates_is_bounded_by_the_oracle() {
    for seed in 0..12 {
        let recipe = Recipe {
            duplicates: 0.0,
            crowds: 0.0,
            ..Recipe::small(seed)
        };
        let made = Made::new(recipe.input());
        let analysis = made.analysed(&Selection::default(), few());
        let oracle = of(&analysis, Ranking::MeasuredIou);
        for ranking in Ranking::ALL {
            let ap = of(&analysis, ranking);
            assert!(ap <= oracle + 1e-12, "{ranking:?}: {ap} above {oracle}");
        }
        let score = of(&analysis, Ranking::Score);
        assert!(oracle > score, "the generator's scores are no oracle");
        let table = &analysis.headroom.all;
        for row in &table.rankings {
            let all = row.ap.as_ref().unwrap().all.unwrap();
            let interval = all.interval.unwrap();
            assert!(interval.low < all.ap && all.ap < interval.high, "{row:?}");
            assert_near(all.over_score, all.ap - score, "difference");
        }
        let same = table.of(Ranking::Score).unwrap().all.unwrap();
        let none = Interval {
            low: 0.0,
            high: 0.0,
        };
        assert_eq!(same.over_score_interval, Some(none));
    }
}

/// The engine itself, told to look at the test half alone, gives the same numbers.
#[test]
fn one_test_half_equals_an_evaluation_of_that_half() {
    let recipe = Recipe::small(31);
    let made = Made::new(recipe.input());
    let analysis = made.analysed(&Selection::default(), few());
    let half = &analysis.headroom.test_half;
    assert_eq!(half.images, recipe.images / 2);
    let subject = made.setup(Kind::Segm);
    let numbers = maskscope::eval::knows::Numbers::new(&subject, &Selection::default());
    let everything = vec![true; recipe.images];
    let rankings = maskscope::eval::knows::rankings::Rankings::new(
        &subject,
        &Selection::default(),
        &numbers,
        &everything,
        few().seed,
    );
    let selection = Selection {
        images: Some(rankings.is_test.clone()),
        ..Selection::default()
    };
    for (ranking, by) in [
        (Ranking::Score, RankBy::Score),
        (Ranking::MaskIou, RankBy::MaskIou),
    ] {
        let scores = rank_scores(&made.input, by);
        let (_, _, curves) = made.evaluated(&scores, &selection);
        let aps = half.of(ranking).unwrap();
        assert_near(aps.all.unwrap().ap, curves.ap(Area::All), "all");
        for (got, area) in [
            (aps.small, Area::Small),
            (aps.medium, Area::Medium),
            (aps.large, Area::Large),
        ] {
            assert_near(got.unwrap_or(-1.0), curves.ap(area), area.key());
        }
    }
    let maps = rankings.recalibration.as_ref().unwrap();
    let product: Vec<f64> = (0..made.input.detections.len())
        .map(|at| {
            let d = made.input.detection(at);
            maps.product(
                made.input.detections[at].image,
                d.score,
                d.mask_iou.unwrap(),
            )
        })
        .collect();
    let ranked = rankings.get(Ranking::Recalibrated).unwrap();
    for slots in [
        ranked.order.of_class(&made.cells, 0),
        ranked.order.of_class(&made.cells, 1),
    ] {
        let of_slot = |slot: u32| product[made.cells.detections[slot as usize] as usize];
        assert!(
            slots
                .windows(2)
                .all(|pair| of_slot(pair[0]) >= of_slot(pair[1]))
        );
        assert!(slots.len() > 10);
    }
}

/// Without a head what needs one is absent, with its reason; the rest is there.
#[test]
fn one_results_without_mask_iou() {
    let recipe = Recipe {
        with_head: false,
        ..Recipe::small(3)
    };
    let made = Made::new(recipe.input());
    let analysis = made.analysed(&Selection::default(), few());
    for row in &analysis.headroom.all.rankings {
        let exists = matches!(row.ranking, Ranking::Score | Ranking::MeasuredIou);
        assert_eq!(row.ap.is_some(), exists, "{row:?}");
        let reason = (!exists).then_some("the predictions carry no mask IoU");
        assert_eq!(row.reason.as_deref(), reason);
    }
    assert!(analysis.calibration.mask_iou.reliability.is_none());
    assert!(analysis.calibration.precision[0].reliability.is_some());
    assert!(
        analysis
            .correlation
            .of(Ranking::Score)
            .unwrap()
            .all
            .is_some()
    );
    assert!(
        analysis
            .correlation
            .of(Ranking::MaskIou)
            .unwrap()
            .all
            .is_none()
    );
    assert!(analysis.baselines.reason.is_some());
    assert!(analysis.thresholds.of(Kind::Segm, Ranking::Score).is_some());
    assert!(
        analysis
            .thresholds
            .of(Kind::Segm, Ranking::IouScore)
            .is_none()
    );
}

/// One class, four truths of 20x20 in one image; IoUs 1, .9 and .6, a false one, and what scores least.
fn by_hand(scores: [f64; 4]) -> Made {
    let size = Size::new(200, 40);
    let at = |number: usize| [number * 40, 0, 20, 20];
    let annotations = (0..4)
        .map(|n| truth(n as u64 + 1, 0, size, at(n), false))
        .collect();
    let lower = |number: usize, height: usize| [number * 40, 0, 20, height];
    let detections: Vec<Detection> = [
        (at(0), scores[0]),
        (lower(1, 18), scores[1]),
        ([170, 20, 10, 10], scores[2]),
        (lower(2, 12), scores[3]),
    ]
    .map(|(rect, score)| detection(0, size, rect, score, Some(1.0)))
    .to_vec();
    let parts = ImageParts {
        image: image(1, size),
        annotations,
        detections: Arc::new(detections),
    };
    Made::new(EvalInput::from_parts(
        ClassTable::from_names(["a"]),
        vec![parts],
    ))
}

#[test]
fn one_olrp_by_hand() {
    let made = by_hand([0.9, 0.8, 0.7, 0.6]);
    let analysis = made.analysed(&Selection::default(), few());
    let of_class = |kind, ranking| {
        let olrp = analysis.thresholds.of(kind, ranking).unwrap();
        assert_eq!(
            olrp.mean, olrp.per_class[0].components,
            "one class is its own mean"
        );
        olrp.per_class[0].clone()
    };
    for kind in [Kind::Segm, Kind::Bbox] {
        for ranking in [Ranking::Score, Ranking::IouScore] {
            // Nothing: 1. One: 3/4. Two: (.2 + 2)/4 = .55. Three: 3.2/5. Four: (.2 + .8 + 1 + 1)/5 = .6
            let got = of_class(kind, ranking);
            assert_near(got.components.olrp.unwrap(), 0.55, "oLRP");
            assert_near(got.components.localisation.unwrap(), 0.05, "localisation");
            assert_near(
                got.components.false_positive.unwrap(),
                0.0,
                "false positives",
            );
            assert_near(got.components.false_negative.unwrap(), 0.5, "misses");
            assert_eq!(got.threshold, Some(0.8));
            assert_eq!(
                (got.truths, got.true_positives, got.false_positives),
                (4, 2, 0)
            );
        }
    }
    // Of equal scores one cannot be kept without the other.
    let made = by_hand([0.9, 0.8, 0.8, 0.6]);
    let analysis = made.analysed(&Selection::default(), few());
    let tied = &analysis
        .thresholds
        .of(Kind::Segm, Ranking::Score)
        .unwrap()
        .per_class[0];
    assert_near(tied.components.olrp.unwrap(), 0.6, "oLRP");
    assert_eq!(tied.threshold, Some(0.6));
}

/// The definition, at every score that occurs.
#[test]
fn one_olrp_equals_a_search_over_all_thresholds() {
    for seed in 200..215 {
        let recipe = Recipe {
            steps: 12,
            ..Recipe::small(seed)
        };
        let made = Made::new(recipe.input());
        let setup = made.setup(Kind::Segm);
        let scores = rank_scores(&made.input, RankBy::Score);
        let order = Order::new(&made.cells, &scores);
        let all = Selection::default();
        let found = outcomes(&setup, &order, &all, 0);
        let got = olrp(&setup, &order, &found);
        assert!(!got.per_class.is_empty());
        for class in &got.per_class {
            let mut best = (1.0, None);
            for step in (0..=12).rev() {
                let threshold = f64::from(step) / 12.0;
                let kept = Selection {
                    detections: Some(scores.iter().map(|&s| s >= threshold).collect()),
                    ..Selection::default()
                };
                let lrp = lrp_of(&setup, &order, &kept, class.label);
                if lrp < best.0 - 1e-12 {
                    best = (lrp, Some(threshold));
                }
            }
            assert_near(class.components.olrp.unwrap(), best.0, "oLRP");
            assert_eq!(
                class.threshold, best.1,
                "class {} of seed {seed}",
                class.label
            );
        }
    }
}

fn lrp_of(setup: &Setup<'_>, order: &Order, kept: &Selection, label: usize) -> f64 {
    let found = outcomes(setup, order, kept, 0);
    let (mut errors, mut count, mut hits) = (0.0, 0.0, 0.0);
    for slot in setup.cells.slots_of_class(label) {
        match found.of_slot[slot] {
            Outcome::True { iou } => {
                errors += (1.0 - iou) / 0.5;
                count += 1.0;
                hits += 1.0;
            }
            Outcome::False => {
                errors += 1.0;
                count += 1.0;
            }
            Outcome::Ignored | Outcome::NotCounted => {}
        }
    }
    let missed = f64::from(found.truths[label]) - hits;
    (errors + missed) / (count + missed)
}

#[test]
fn one_outcomes_agree_with_the_matches() {
    for seed in 300..310 {
        let made = Made::new(Recipe::small(seed).input());
        let scores = rank_scores(&made.input, RankBy::IouScore);
        let (order, found, _) = made.evaluated(&scores, &Selection::default());
        for threshold in [0, 4, 9] {
            let got = outcomes(
                &made.setup(Kind::Segm),
                &order,
                &Selection::default(),
                threshold,
            );
            for (flags, outcome) in found.flags.iter().zip(&got.of_slot) {
                let all = flags[Area::All as usize];
                let is_true = all.true_positive() >> threshold & 1 == 1;
                assert_eq!(matches!(outcome, Outcome::True { .. }), is_true);
                let is_ignored = all.ignored >> threshold & 1 == 1;
                assert_eq!(*outcome == Outcome::Ignored, is_ignored);
                if let Outcome::True { iou } = outcome {
                    assert!(*iou >= got.iou_threshold - 1e-9 && *iou <= 1.0);
                }
            }
            let truths: Vec<u32> = found.truths.iter().map(|t| t[0]).collect();
            assert_eq!(got.truths, truths);
        }
    }
}

#[test]
fn one_analysis_reports_its_progress_stops_and_serialises() {
    let made = Made::new(Recipe::small(8).input());
    let selection = Selection::default();
    let subject = Subject {
        masks: made.setup(Kind::Segm),
        boxes: None,
        selection: &selection,
    };
    let calls = AtomicUsize::new(0);
    let shares = std::sync::Mutex::new(Vec::new());
    let whole = analyse(&subject, few(), &|share| {
        calls.fetch_add(1, Ordering::Relaxed);
        shares.lock().unwrap().push(share);
        true
    });
    let shares = shares.into_inner().unwrap();
    assert!(
        shares.windows(2).all(|pair| pair[0] <= pair[1]),
        "{shares:?}"
    );
    assert_eq!((shares[0], shares[shares.len() - 1]), (0.0, 1.0));
    for stop in 0..calls.into_inner() {
        let asked = AtomicUsize::new(0);
        let found = analyse(&subject, few(), &|_| {
            asked.fetch_add(1, Ordering::Relaxed) < stop
        });
        assert!(found.is_none(), "told to stop at call {stop}");
    }
    let json = serde_json::to_value(whole.unwrap()).unwrap();
    let rows = json["headroom"]["all"]["rankings"].as_array().unwrap();
    let names: Vec<_> = rows
        .iter()
        .map(|row| row["ranking"].as_str().unwrap())
        .collect();
    let expected = [
        "score",
        "mask_iou",
        "iou_score",
        "recalibrated",
        "measured_iou",
    ];
    assert_eq!(names, expected);
    assert!(json["thresholds"]["tables"][0]["olrp"]["mean"]["olrp"].is_number());
    assert!(json["baselines"]["all"]["head_beats_free"].is_string());
}

#[test]
fn one_analysis_of_nothing() {
    let none = Made::new(EvalInput::from_parts(
        ClassTable::from_names(["a"]),
        Vec::new(),
    ));
    let analysis = none.analysed(&Selection::default(), few());
    assert_eq!(analysis.headroom.all.images, 0);
    let aps = analysis.headroom.all.of(Ranking::Score).unwrap();
    assert_eq!(aps.all, None);
    assert!(
        analysis
            .thresholds
            .of(Kind::Segm, Ranking::Score)
            .unwrap()
            .per_class
            .is_empty()
    );
}
