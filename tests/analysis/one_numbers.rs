//! Isotonic regression, correlation, calibration and the free baselines: against slow references and golden numbers.

use std::sync::Arc;

use maskscope::eval::knows::Options;
use maskscope::eval::knows::baselines::{
    Columns, Verdict, compare, resampled_mae, resampled_spearman,
};
use maskscope::eval::knows::calibration::bin_index;
use maskscope::eval::knows::correlation::{Agreement, mid_ranks, pearson};
use maskscope::eval::knows::isotonic::{Isotonic, Observation};
use maskscope::eval::knows::rankings::Ranking;
use maskscope::eval::knows::resample::Weights;
use maskscope::eval::{EvalInput, ImageParts, Selection};
use maskscope::structures::{ClassTable, Size};

use super::one::Made;
use super::one_set::{Random, Recipe, detection, image, truth};

/// The min-max formula: the largest mean over starts at or before, of the smallest over ends at or after.
fn isotonic_reference(y: &[f64]) -> Vec<f64> {
    let mean = |from: usize, to: usize| y[from..=to].iter().sum::<f64>() / (to - from + 1) as f64;
    (0..y.len())
        .map(|i| {
            let least = |from| {
                (i..y.len())
                    .map(|to| mean(from, to))
                    .fold(f64::INFINITY, f64::min)
            };
            (0..=i).map(least).fold(f64::NEG_INFINITY, f64::max)
        })
        .collect()
}

#[test]
fn one_isotonic_equals_the_min_max_formula() {
    let mut random = Random(1);
    for round in 0..200 {
        let count = 1 + random.below(25);
        let binary = round % 2 == 0;
        let y: Vec<f64> = (0..count)
            .map(|at| {
                let value = 0.5 * at as f64 / count as f64 + random.unit();
                if binary {
                    f64::from(u8::from(value > 0.8))
                } else {
                    value
                }
            })
            .collect();
        let mut observations: Vec<Observation> = (0..count)
            .map(|at| Observation {
                x: at as f64,
                y: y[at],
            })
            .collect();
        let by = 1 + random.below(count);
        observations.rotate_left(by % count);
        let fitted = Isotonic::fit(observations).unwrap();
        let steps = fitted.steps();
        let expected = isotonic_reference(&y);
        assert_eq!(steps.len(), expected.len());
        for (got, want) in steps.iter().zip(&expected) {
            assert!((got - want).abs() < 1e-12, "{steps:?} {expected:?}");
        }
        let read: Vec<f64> = (-4..4 * count as i32)
            .map(|x| fitted.at(f64::from(x) / 3.0))
            .collect();
        assert!(read.windows(2).all(|pair| pair[0] <= pair[1]));
        for (x, y) in fitted.corners() {
            assert!((fitted.at(x) - y).abs() < 1e-12);
        }
    }
    assert!(Isotonic::fit(Vec::new()).is_none());
}

/// Equal positions are one observation of their mean; between the centres order survives, outside it is flat.
#[test]
fn one_isotonic_ties_and_centres() {
    let observed = [(0.1, 0.0), (0.1, 1.0), (0.5, 0.25), (0.9, 1.0)];
    let fitted = Isotonic::fit(observed.map(|(x, y)| Observation { x, y }).to_vec()).unwrap();
    let pooled = 1.25 / 3.0;
    assert_eq!(fitted.steps().len(), 3);
    assert!((fitted.steps()[1] - pooled).abs() < 1e-12);
    let centre = 0.7 / 3.0;
    let middle = fitted.at((centre + 0.9) / 2.0);
    assert!((middle - (pooled + 1.0) / 2.0).abs() < 1e-12);
    assert_eq!(fitted.at(0.0), fitted.at(0.2));
    assert_eq!(fitted.at(0.95), 1.0);
}

fn naive_ranks(values: &[f64]) -> Vec<f64> {
    let rank = |value: &f64| {
        let below = values.iter().filter(|other| *other < value).count();
        let equal = values.iter().filter(|other| *other == value).count();
        below as f64 + (equal + 1) as f64 / 2.0
    };
    values.iter().map(rank).collect()
}

#[test]
fn one_ranks_equal_the_naive_ones() {
    let mut random = Random(2);
    for _ in 0..50 {
        let count = 1 + random.below(60);
        let values: Vec<f64> = (0..count).map(|_| random.below(20) as f64 - 5.0).collect();
        assert_eq!(mid_ranks(&values), naive_ranks(&values));
    }
    assert_eq!(mid_ranks(&[0.0, -0.0]), [1.5, 1.5]);
}

const SPEARMAN: f64 = -0.101_753_732_834_772_97;
const PEARSON: f64 = -0.118_623_436_423_516_64;
const MAE: f64 = 1.890_625;
const BIAS: f64 = 0.328_125;

/// SciPy 1.17.1:
/// ```python
/// import numpy as np, scipy.stats as s
/// x = [i*37%41/8 for i in range(40)]; y = [i*i%17/4 for i in range(40)]
/// x = [float(int(v)) if i%3 else v for i, v in enumerate(x)]
/// print(s.spearmanr(x, y)[0], s.pearsonr(x, y)[0])
/// print(np.mean(np.abs(np.array(x)-y)), np.mean(np.array(x)-y))
/// ```
#[test]
fn one_agreement_equals_scipy() {
    let x: Vec<f64> = (0..40)
        .map(|i| {
            let value = f64::from(i * 37 % 41) / 8.0;
            if i % 3 == 0 { value } else { value.floor() }
        })
        .collect();
    let y: Vec<f64> = (0..40).map(|i| f64::from(i * i % 17) / 4.0).collect();
    let got = Agreement::new(&x, &y, &mid_ranks(&y)).unwrap();
    assert!((got.spearman.unwrap() - SPEARMAN).abs() < 1e-14, "{got:?}");
    assert!((got.pearson.unwrap() - PEARSON).abs() < 1e-14, "{got:?}");
    assert!((got.mae - MAE).abs() < 1e-14, "{got:?}");
    assert!((got.bias - BIAS).abs() < 1e-14, "{got:?}");
    assert_eq!(pearson(&[1.0, 1.0], &[1.0, 2.0]), None);
    assert_eq!(Agreement::new(&[], &[], &[]), None);
}

/// One image, one class. Of (score, mask_iou): IoU 1, .8, none, and a crowd region under the last.
fn by_hand() -> Made {
    let size = Size::new(200, 40);
    let at = |number: usize| [number * 40, 0, 20, 20];
    let annotations = vec![
        truth(1, 0, size, at(0), false),
        truth(2, 0, size, at(1), false),
        truth(3, 0, size, at(3), true),
    ];
    let detections = vec![
        detection(0, size, at(0), 0.95, Some(0.9)),
        detection(0, size, [40, 0, 20, 16], 0.55, Some(1.2)),
        detection(0, size, at(2), 0.5, Some(0.5)),
        detection(0, size, at(3), 0.45, Some(0.3)),
    ];
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
fn one_calibration_by_hand() {
    let analysis = by_hand().analysed(&Selection::default(), Options::default());
    let close = |got: f64, want: f64| assert!((got - want).abs() < 1e-12, "{got}, not {want}");
    let calibration = &analysis.calibration;
    let of_mask = calibration.mask_iou.reliability.as_ref().unwrap();
    // .9 and 1.2, clamped, share the last bin: promised .95, measured .9. The one of .5 measures 0; the crowd's has none.
    assert_eq!((of_mask.all.count, of_mask.out_of_range), (3, 1));
    let last = of_mask.all.bins[9];
    assert_eq!((last.count, of_mask.all.bins[5].count), (2, 1));
    close(last.mean_predicted, 0.95);
    close(last.mean_actual, 0.9);
    close(of_mask.all.ece, (2.0 * 0.05 + 0.5) / 3.0);
    close(of_mask.all.mce, 0.5);
    close(of_mask.all.bias, (0.1 + 0.5) / 3.0);
    let bins: Vec<_> = (0..4).map(|at| of_mask.in_bin(at)).collect();
    assert_eq!(bins, [Some(9), Some(9), Some(5), None]);
    // Score: the true .95 alone; .55 true and .5 false share a bin; the crowd's is ignored.
    let of_score = calibration.precision[0].reliability.as_ref().unwrap();
    assert_eq!((of_score.all.count, of_score.all.bins[5].count), (3, 2));
    close(of_score.all.bins[5].mean_actual, 0.5);
    close(of_score.all.ece, (0.05 + 2.0 * 0.025) / 3.0);
    assert_eq!(of_score.in_bin(3), None);
    // Precision times IoU: .855 -> 1, .66 -> .8, .25 -> 0.
    let localised = calibration.localisation_aware.reliability.as_ref().unwrap();
    close(localised.all.ece, (0.145 + 0.14 + 0.25) / 3.0);
    close(localised.mean_class_ece, localised.all.ece);
    let correlation = analysis.correlation.of(Ranking::MaskIou).unwrap();
    let all = correlation.all.unwrap();
    assert_eq!((all.count, correlation.found.unwrap().count), (3, 2));
    close(all.mae, (0.1 + 0.4 + 0.5) / 3.0);
    close(all.spearman.unwrap(), 0.5); // ranks 2 3 1 against 3 2 1
}

/// Every bin can be opened: the detections that say they are in it are as many as it counts.
#[test]
fn one_bins_can_be_traced() {
    let made = Made::new(Recipe::small(12).input());
    let options = Options {
        bins: 15,
        resamples: 2,
        threshold: 5,
        ..Options::default()
    };
    let calibration = made.analysed(&Selection::default(), options).calibration;
    assert!((calibration.iou_threshold - 0.75).abs() < 1e-12);
    let diagrams = [&calibration.mask_iou, &calibration.localisation_aware];
    for diagram in diagrams.into_iter().chain(&calibration.precision) {
        let reliability = diagram.reliability.as_ref().unwrap();
        let mut counts = vec![0; 15];
        for detection in 0..made.input.detections.len() {
            if let Some(bin) = reliability.in_bin(detection) {
                counts[bin] += 1;
            }
        }
        let expected: Vec<usize> = reliability.all.bins.iter().map(|bin| bin.count).collect();
        assert_eq!(counts, expected);
        let of_classes: usize = reliability.per_class.iter().map(|c| c.bins.count).sum();
        assert_eq!(of_classes, reliability.all.count);
        assert!(reliability.all.count > 100);
    }
    assert_eq!(
        (bin_index(-0.1, 10), bin_index(1.0, 10), bin_index(0.3, 10)),
        (0, 9, 3)
    );
}

fn random_columns(random: &mut Random, images: usize, each: usize, steps: f64) -> Columns {
    let mut columns = Columns {
        images: Vec::new(),
        values: Default::default(),
    };
    for image in 0..images {
        for _ in 0..random.below(2 * each) {
            let measured = random.unit();
            let near = |spread: f64, random: &mut Random| {
                ((measured + spread * random.bell()) * steps).round() / steps
            };
            let row = [
                near(0.1, random),
                near(0.3, random),
                near(0.6, random),
                measured,
            ];
            columns.images.push(image as u32);
            for (column, value) in columns.values.iter_mut().zip(row) {
                column.push(value);
            }
        }
    }
    columns
}

fn copied(columns: &Columns, counts: &[u8]) -> Columns {
    let rows = columns.images.iter().enumerate();
    let kept: Vec<usize> = rows
        .flat_map(|(at, &image)| std::iter::repeat_n(at, usize::from(counts[image as usize])))
        .collect();
    Columns {
        images: kept.iter().map(|&at| columns.images[at]).collect(),
        values: std::array::from_fn(|c| kept.iter().map(|&at| columns.values[c][at]).collect()),
    }
}

/// Few detections are ranked exactly. Of many, gathered into L = 512 levels, each rank is off by an error that is even over
/// 1 / L; on N detections with weights 0 to 3 the correlation then moves by √(2 · 3.5 / 2.25) / (L √N), of which five
/// times are allowed: ranks of other detections, or without the weights, are off by more.
#[test]
fn one_resampled_correlation_equals_that_of_copied_images() {
    let mut random = Random(4);
    for (each, steps, tolerance) in [
        (6, 10.0, 1e-12),
        (8, 1e6, 1e-12),
        (200, 1e9, 5.0 * (2.0 * 3.5 / 2.25_f64).sqrt() / 512.0),
    ] {
        let columns = random_columns(&mut random, 30, each, steps);
        let resamples: Vec<Vec<u8>> = (0..70)
            .map(|_| (0..30).map(|_| random.below(4) as u8).collect())
            .collect();
        let weights = Weights::given(&resamples);
        let spearman = resampled_spearman(&columns, &weights);
        let mae = resampled_mae(&columns, &weights);
        assert_eq!((spearman[0].len(), mae[0].len()), (70, 70));
        for at in [0, 17, 63, 64, 69] {
            let copied = copied(&columns, &resamples[at]);
            let measured = &copied.values[3];
            let ranks = mid_ranks(measured);
            for estimate in 0..3 {
                let want = Agreement::new(&copied.values[estimate], measured, &ranks).unwrap();
                let got = spearman[estimate][at];
                let rows = columns.images.len() as f64;
                let scale = if each > 100 { rows.sqrt().recip() } else { 1.0 };
                let gap = (got - want.spearman.unwrap()).abs();
                assert!(
                    gap < tolerance * scale,
                    "{got} {want:?} of {} rows",
                    columns.images.len()
                );
                assert!((mae[estimate][at] - want.mae).abs() < 1e-12);
            }
        }
    }
}

#[test]
fn one_verdict_follows_the_interval() {
    let mut random = Random(5);
    let columns = random_columns(&mut random, 60, 10, 1e9);
    let everything = vec![true; 60];
    let weights = Weights::draw(&everything, 128, 1);
    let verdict = |order: [usize; 4], columns: &Columns| {
        let chosen = Columns {
            images: columns.images.clone(),
            values: order.map(|c| columns.values[c].clone()),
        };
        compare(&chosen, &weights).unwrap()
    };
    let best = verdict([0, 1, 2, 3], &columns);
    assert_eq!(best.head_beats_free, Verdict::Yes);
    assert_eq!(best.over_stability.errs_less, Verdict::Yes);
    let worst = verdict([2, 0, 1, 3], &columns);
    assert_eq!(worst.head_beats_free, Verdict::No);
    assert_eq!(worst.over_stability.errs_less, Verdict::No);
    assert_eq!(verdict([1, 0, 2, 3], &columns).head_beats_free, Verdict::No);
    let same = verdict([0, 0, 1, 3], &columns);
    assert_eq!(same.over_stability.ranks_better, Verdict::CannotTell);
    assert_eq!(same.head_beats_free, Verdict::CannotTell);
    assert_eq!(same.over_stability.spearman, Some(0.0));
}
