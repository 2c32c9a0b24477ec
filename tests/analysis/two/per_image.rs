//! Numbers of each image equal those of the engine on that image alone, and of the ledger.

use maskscope::eval::{
    Area, DetectionOutcome, DetectionStatus, IdPolicy, PerImage, Selection, Setup, TruthOutcome,
    TruthStatus, accumulate, ledger, matches, measured_ious, pair_up, per_image,
};

use super::scene::{Scene, fixture_scenes, random_drawing, random_selection};

fn numbers(scene: &Scene, setup: &Setup<'_>, selection: &Selection, threshold: usize) -> PerImage {
    let found = matches(setup, &scene.order, selection);
    let pairing = pair_up(setup, &scene.order, selection, &found, threshold);
    let measured = measured_ious(&scene.input, &scene.overlaps);
    per_image(setup, &scene.order, selection, &found, &pairing, &measured)
}

/// AP of one image by the whole engine on a selection of it alone.
fn ap_alone(scene: &Scene, setup: &Setup<'_>, selection: &Selection, image: usize) -> Option<f64> {
    let count = scene.input.images.len();
    let is_in = |at: usize| selection.images.as_ref().is_none_or(|images| images[at]);
    let alone = Selection {
        images: Some((0..count).map(|at| at == image && is_in(at)).collect()),
        ..selection.clone()
    };
    let found = matches(setup, &scene.order, &alone);
    let ap = accumulate(&scene.cells, &scene.order, &found).ap(Area::All);
    (ap >= 0.0).then_some(ap)
}

fn check(name: &str, scene: &Scene, setup: &Setup<'_>, selection: &Selection, threshold: usize) {
    let numbers = numbers(scene, setup, selection, threshold);
    let measured = measured_ious(&scene.input, &scene.overlaps);
    for (at, (image, of)) in numbers.images.iter().zip(&scene.input.images).enumerate() {
        let ledger = ledger(setup, &scene.order, selection, at, Area::All).unwrap();
        let (mut tp, mut fp, mut fn_, mut ious) = (0, 0, 0, Vec::new());
        for entry in &ledger.detections {
            let status = numbers.detections[entry.detection as usize];
            let want = match entry.outcomes[threshold] {
                DetectionOutcome::Matched { .. } => DetectionStatus::TruePositive,
                DetectionOutcome::Unmatched(_) => DetectionStatus::FalsePositive,
                DetectionOutcome::Ignored(_) => DetectionStatus::Ignored,
                _ => DetectionStatus::NotCounted,
            };
            assert_eq!(status, want, "{name}: detection {}", entry.detection);
            tp += u32::from(want == DetectionStatus::TruePositive);
            fp += u32::from(want == DetectionStatus::FalsePositive);
            if want != DetectionStatus::NotCounted {
                ious.extend(measured[entry.detection as usize]);
            }
        }
        for entry in &ledger.truths {
            let want = match entry.outcomes[threshold] {
                TruthOutcome::Matched { .. } => TruthStatus::Found,
                TruthOutcome::Missed(_) => TruthStatus::Missed,
                TruthOutcome::CrowdRegion | TruthOutcome::AreaOutOfRange { .. } => {
                    TruthStatus::Ignored
                }
                TruthOutcome::Deselected => TruthStatus::Deselected,
            };
            assert_eq!(
                numbers.truths[entry.truth as usize], want,
                "{name}: truth {}",
                entry.truth
            );
            fn_ += u32::from(want == TruthStatus::Missed);
        }
        let got = (
            image.true_positives,
            image.false_positives,
            image.false_negatives,
        );
        assert_eq!(got, (tp, fp, fn_), "{name}: image {}", of.id);
        let want = (!ious.is_empty()).then(|| ious.iter().sum::<f64>() / ious.len() as f64);
        near(name, image.mean_measured_iou, want);
        near(name, image.ap, ap_alone(scene, setup, selection, at));
    }
}

/// Sums in another order: the last bits may differ.
fn near(name: &str, got: Option<f64>, want: Option<f64>) {
    match (got, want) {
        (Some(got), Some(want)) => {
            assert!((got - want).abs() < 1e-12, "{name}: {got} against {want}")
        }
        (got, want) => assert_eq!(got, want, "{name}"),
    }
}

#[test]
fn equal_the_engine_on_fixtures() {
    for (name, scene) in fixture_scenes() {
        for ids in [IdPolicy::ByIndex, IdPolicy::Pycocotools] {
            let setup = Setup {
                ids,
                ..scene.setup()
            };
            check(name, &scene, &setup, &Selection::default(), 0);
        }
    }
}

#[test]
fn equal_the_engine_on_random_sets() {
    for seed in 0..150 {
        let scene = random_drawing(seed).finish();
        let selection = random_selection(&scene.input, seed + 1);
        let threshold = seed as usize % 10;
        check(
            &format!("seed {seed}"),
            &scene,
            &scene.setup(),
            &Selection::default(),
            threshold,
        );
        check(
            &format!("seed {seed}, filtered"),
            &scene,
            &scene.setup(),
            &selection,
            threshold,
        );
    }
}
