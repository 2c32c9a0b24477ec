//! The ledger agrees with the numbers everywhere, and gives the right reason in hand-drawn cases.

use maskscope::eval::{
    DetectionOutcome, IdPolicy, Ledger, Missed, NOT_COUNTED, Selection, Setup, THRESHOLDS,
    TruthOutcome, Unmatched, ledger, matches,
};
use maskscope::structures::Size;

use super::scene::{AREAS, Drawing, Scene, fixture_scenes, random_drawing, random_selection};

/// True, false, ignored, uncounted.
#[derive(Debug, PartialEq, Clone, Copy)]
enum Fate {
    True,
    False,
    Ignored,
    Uncounted,
}

fn fate(outcome: &DetectionOutcome) -> Fate {
    match outcome {
        DetectionOutcome::Matched { .. } => Fate::True,
        DetectionOutcome::Unmatched(_) => Fate::False,
        DetectionOutcome::Ignored(_) => Fate::Ignored,
        DetectionOutcome::BeyondMaxDets { .. } | DetectionOutcome::Deselected => Fate::Uncounted,
    }
}

/// Every entry of every image, area range and threshold against the flags behind the numbers.
fn agrees(name: &str, scene: &Scene, setup: &Setup<'_>, selection: &Selection) {
    let found = matches(setup, &scene.order, selection);
    for (a, area) in AREAS.into_iter().enumerate() {
        let mut counted = vec![0; found.truths.len()];
        let mut true_positives = vec![[0u32; THRESHOLDS]; found.truths.len()];
        let mut found_truths = true_positives.clone();
        for image in 0..scene.input.images.len() {
            let ledger = ledger(setup, &scene.order, selection, image, area).unwrap();
            for entry in &ledger.detections {
                let slot = scene.cells.slot_of[entry.detection as usize] as usize;
                let label = scene.input.detections[entry.detection as usize].label as usize;
                let flags = found.flags[slot][a];
                for (t, outcome) in entry.outcomes.iter().enumerate() {
                    let bit = |bits: u16| bits >> t & 1 == 1;
                    let want = if found.rank_in_cell[slot] == NOT_COUNTED {
                        Fate::Uncounted
                    } else if bit(flags.ignored) {
                        Fate::Ignored
                    } else if bit(flags.matched) {
                        Fate::True
                    } else {
                        Fate::False
                    };
                    assert_eq!(
                        fate(outcome),
                        want,
                        "{name}: {outcome:?} of {} at {t} in {area:?}",
                        entry.detection
                    );
                    true_positives[label][t] += u32::from(want == Fate::True);
                    assert!(!outcome.sentence(&scene.input, t).is_empty());
                    both_sides(&ledger, entry.detection, outcome, t);
                }
            }
            for entry in &ledger.truths {
                let label = scene.input.truths[entry.truth as usize].label as usize;
                let counts = |o: &TruthOutcome| {
                    matches!(o, TruthOutcome::Matched { .. } | TruthOutcome::Missed(_))
                };
                counted[label] += u32::from(counts(&entry.outcomes[0]));
                for (t, outcome) in entry.outcomes.iter().enumerate() {
                    let is_found = matches!(outcome, TruthOutcome::Matched { .. });
                    found_truths[label][t] += u32::from(is_found);
                    assert!(!outcome.sentence(&scene.input, t).is_empty());
                }
            }
        }
        let want: Vec<u32> = found.truths.iter().map(|of| of[a]).collect();
        assert_eq!(
            counted, want,
            "{name}: ground truths that count in {area:?}"
        );
        assert_eq!(
            found_truths, true_positives,
            "{name}: found ground truths in {area:?}"
        );
    }
}

/// A match stands on both pages.
fn both_sides(ledger: &Ledger, detection: u32, outcome: &DetectionOutcome, t: usize) {
    if let DetectionOutcome::Matched { truth, iou } = *outcome {
        let entry = ledger
            .truths
            .iter()
            .find(|entry| entry.truth == truth)
            .unwrap();
        assert_eq!(
            entry.outcomes[t],
            TruthOutcome::Matched { by: detection, iou }
        );
    }
}

#[test]
fn agrees_with_the_numbers_on_fixtures() {
    for (name, scene) in fixture_scenes() {
        for ids in [IdPolicy::ByIndex, IdPolicy::Pycocotools] {
            let setup = Setup {
                ids,
                ..scene.setup()
            };
            agrees(name, &scene, &setup, &Selection::default());
        }
    }
}

#[test]
fn agrees_with_the_numbers_on_random_sets() {
    for seed in 0..150 {
        let scene = random_drawing(seed).finish();
        let selection = random_selection(&scene.input, seed);
        agrees(
            &format!("seed {seed}"),
            &scene,
            &scene.setup(),
            &Selection::default(),
        );
        agrees(
            &format!("seed {seed}, filtered"),
            &scene,
            &scene.setup(),
            &selection,
        );
    }
}

fn of_image(scene: &Scene, selection: &Selection) -> Ledger {
    ledger(&scene.setup(), &scene.order, selection, 0, AREAS[0]).unwrap()
}

/// Threshold .75.
const AT_75: usize = 5;

#[test]
fn gives_reasons_for_detections() {
    let mut drawing = Drawing::new(Size::new(200, 100), 1, &["cat", "dog", "cow"]);
    drawing
        .truth(17, 1, 1, [0, 0, 20, 20])
        .truth(18, 1, 2, [100, 0, 20, 20])
        .crowd(19, 1, 1, [150, 50, 40, 40])
        .detection(1, 1, 0.91, [0, 0, 20, 20])
        .detection(1, 1, 0.8, [0, 0, 20, 19])
        .detection(1, 1, 0.7, [0, 0, 20, 10])
        .detection(1, 1, 0.6, [100, 0, 20, 20])
        .detection(1, 1, 0.5, [60, 60, 5, 5])
        .detection(1, 3, 0.4, [60, 60, 5, 5])
        .detection(1, 1, 0.3, [150, 50, 10, 10]);
    let scene = drawing.finish();
    let ledger = of_image(&scene, &Selection::default());
    let sentences: Vec<String> = ledger
        .detections
        .iter()
        .map(|entry| entry.outcomes[AT_75].sentence(&scene.input, AT_75))
        .collect();
    let want = [
        "matched annotation 17 at IoU 1.00",
        "annotation 17 (IoU .95) is already taken by #1 (score .91)",
        "lower IoU than .75: best is annotation 17 at .50",
        "class differs: lies on annotation 18 (dog) at IoU 1.00",
        "touches no annotation of its class",
        "the image has no annotation of its class",
        "ignored: 100 % of it lies on the crowd region of annotation 19",
    ];
    assert_eq!(sentences, want);
    let third = ledger.detections[2].outcomes[0];
    assert_eq!(
        third,
        DetectionOutcome::Unmatched(Unmatched::Taken {
            by: 0,
            truth: 0,
            iou: 0.5
        })
    );
}

#[test]
fn gives_reasons_for_ground_truths() {
    let mut drawing = Drawing::new(Size::new(200, 100), 1, &["cat", "dog"]);
    drawing
        .truth(1, 1, 1, [0, 0, 20, 20])
        .truth(2, 1, 1, [0, 4, 20, 20]) // 2/3 of #1, which fits annotation 1
        .truth(3, 1, 1, [100, 0, 20, 20])
        .truth(4, 1, 1, [150, 0, 20, 20])
        .truth(5, 1, 1, [100, 60, 20, 20])
        .truth(6, 1, 2, [0, 60, 20, 20])
        .crowd(7, 1, 2, [150, 60, 20, 20])
        .detection(1, 1, 0.9, [0, 0, 20, 20])
        .detection(1, 2, 0.8, [100, 0, 20, 20])
        .detection(1, 1, 0.7, [150, 0, 20, 8])
        .detection(1, 2, 0.6, [0, 60, 20, 20]);
    let scene = drawing.finish();
    let selection = Selection {
        detections: Some(vec![true, true, true, false]),
        ..Selection::default()
    };
    let ledger = of_image(&scene, &selection);
    let sentences: Vec<String> = ledger
        .truths
        .iter()
        .map(|entry| entry.outcomes[0].sentence(&scene.input, 0))
        .collect();
    let want = [
        "matched by #1 at IoU 1.00",
        "missed: #1 (IoU .67) matched annotation 1 at IoU 1.00",
        "missed: #2 lies on it at IoU 1.00 as dog",
        "missed: lower IoU than .50: best is #3 at .40",
        "missed: no prediction of its class touches it",
        "missed: #4 (IoU 1.00) is not counted",
        "ignored: a crowd region cannot be missed",
    ];
    assert_eq!(sentences, want);
    assert!(matches!(
        ledger.truths[5].outcomes[0],
        TruthOutcome::Missed(Missed::NotCounted { detection: 3, .. })
    ));
    assert_eq!(
        ledger.detections[3].outcomes[0],
        DetectionOutcome::Deselected
    );
}

/// A hundred of a class count, the next does not.
#[test]
fn names_the_rank_beyond_max_dets() {
    let mut drawing = Drawing::new(Size::new(40, 40), 1, &["cat"]);
    drawing.truth(1, 1, 1, [0, 0, 20, 20]);
    for index in 0..102 {
        drawing.detection(1, 1, 1.0 - f64::from(index) / 1000.0, [30, 30, 5, 5]);
    }
    let scene = drawing.finish();
    let ledger = of_image(&scene, &Selection::default());
    assert_eq!(
        ledger.detections[99].outcomes[0],
        DetectionOutcome::Unmatched(Unmatched::Apart)
    );
    assert_eq!(
        ledger.detections[101].outcomes[0],
        DetectionOutcome::BeyondMaxDets { rank: 101 }
    );
    let sentence = ledger.detections[101].outcomes[0].sentence(&scene.input, 0);
    assert_eq!(
        sentence,
        "not counted: rank 102 of its class in this image, the first 100 count"
    );
}

/// Numbers that two digits would make equal get more.
#[test]
fn a_near_miss_shows_the_digits_that_matter() {
    let mut drawing = Drawing::new(Size::new(2000, 20), 1, &["cat"]);
    drawing
        .truth(1, 1, 1, [0, 0, 1000, 1])
        .detection(1, 1, 0.9, [0, 0, 749, 1]);
    let scene = drawing.finish();
    let ledger = of_image(&scene, &Selection::default());
    let sentence = ledger.detections[0].outcomes[AT_75].sentence(&scene.input, AT_75);
    assert_eq!(
        sentence,
        "lower IoU than .750: best is annotation 1 at .749"
    );
}
