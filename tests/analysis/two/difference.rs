//! What a second prediction set won, lost and changed.

use maskscope::eval::{
    Area, Curves, Difference, DifferenceError, DifferenceRules, DifferenceSide, Matches, Selection,
    accumulate, ap_deltas, difference, image_ap_pairs, measured_ious, per_image,
};
use maskscope::structures::Size;

use super::scene::{Drawing, Scene, random_drawing};

fn compare(a: &Scene, b: &Scene, rules: &DifferenceRules) -> Result<Difference, DifferenceError> {
    let selection = Selection::default();
    let (setup_a, setup_b) = (a.setup(), b.setup());
    let (found_a, found_b) = (a.matches(&selection), b.matches(&selection));
    let side = |setup, order, found| DifferenceSide {
        setup,
        order,
        selection: &selection,
        found,
    };
    difference(
        side(&setup_a, &a.order, &found_a),
        side(&setup_b, &b.order, &found_b),
        rules,
    )
}

fn truths() -> Drawing {
    let mut drawing = Drawing::new(Size::new(200, 200), 2, &["cat", "dog"]);
    drawing
        .truth(1, 1, 1, [0, 0, 40, 40])
        .truth(2, 1, 1, [100, 0, 40, 40])
        .truth(3, 1, 2, [0, 100, 40, 40])
        .truth(4, 1, 2, [100, 100, 40, 40])
        .truth(5, 2, 1, [0, 0, 40, 40])
        .crowd(6, 2, 2, [100, 100, 60, 60]);
    drawing
}

#[test]
fn names_what_was_won_lost_and_changed() {
    let (mut a, mut b) = (truths(), truths());
    a.detection(1, 1, 0.9, [0, 0, 40, 40]) // found by both alike
        .detection(1, 1, 0.9, [100, 0, 40, 40]) // lost
        .detection(1, 2, 0.9, [0, 100, 40, 40]) // changed: IoU 1 to .8
        .detection(1, 2, 0.9, [100, 100, 40, 40]) // changed: score .9 to .7
        .detection(2, 1, 0.8, [80, 0, 20, 20]) // false in both
        .detection(2, 1, 0.7, [0, 80, 20, 20]) // false, gone
        .detection(2, 2, 0.9, [110, 110, 20, 20]); // on the crowd region
    b.detection(1, 1, 0.88, [0, 0, 40, 40])
        .detection(1, 2, 0.9, [0, 100, 40, 32])
        .detection(1, 2, 0.7, [100, 100, 40, 40])
        .detection(2, 1, 0.9, [0, 0, 40, 40]) // won
        .detection(2, 1, 0.45, [80, 0, 20, 18]) // the same false one, a little below the limit
        .detection(2, 2, 0.6, [0, 150, 20, 20]) // new
        .detection(2, 2, 0.4, [60, 150, 20, 20]); // new, but below the limit
    let (a, b) = (a.finish(), b.finish());
    let rules = DifferenceRules::default();
    let got = compare(&a, &b, &rules).unwrap();
    let truths =
        |list: &[maskscope::eval::FoundByOne]| list.iter().map(|of| of.truth).collect::<Vec<_>>();
    assert_eq!(truths(&got.won), [4]);
    assert_eq!(truths(&got.lost), [1]);
    assert_eq!(got.won[0].by.detection, 3);
    assert_eq!((got.lost[0].by.iou, got.lost[0].by.score), (1.0, 0.9));
    let changed: Vec<u32> = got.changed.iter().map(|of| of.truth).collect();
    assert_eq!(changed, [2, 3]);
    assert_eq!((got.changed[0].a.iou, got.changed[0].b.iou), (1.0, 0.8));
    assert_eq!(got.unchanged, 1);
    assert_eq!(got.false_positives_gone, [5]);
    assert_eq!(got.false_positives_new, [5]);
    let strict = DifferenceRules {
        score: 0.01,
        ..rules
    };
    assert_eq!(compare(&a, &b, &strict).unwrap().unchanged, 0);
}

/// A set against itself differs in nothing; two sides swapped give the lists swapped.
#[test]
fn is_symmetric_on_random_sets() {
    let rules = DifferenceRules {
        min_score: 0.0,
        ..DifferenceRules::default()
    };
    let mut differing = 0;
    for seed in 0..100 {
        let a = random_drawing(seed).finish();
        let same = compare(&a, &a, &rules).unwrap();
        let empty = Difference {
            unchanged: same.unchanged,
            ..Difference::default()
        };
        assert_eq!(same, empty, "seed {seed}");
        // Every other detection on the other side.
        let half = a.dt.iter().step_by(2).cloned().collect();
        let b = Scene::new(a.gt.clone(), half);
        let (there, back) = (
            compare(&a, &b, &rules).unwrap(),
            compare(&b, &a, &rules).unwrap(),
        );
        assert_eq!(
            (&there.won, &there.lost),
            (&back.lost, &back.won),
            "seed {seed}"
        );
        assert_eq!(there.unchanged, back.unchanged);
        let swapped: Vec<_> = back
            .changed
            .iter()
            .map(|of| (of.truth, of.b, of.a))
            .collect();
        assert_eq!(
            there
                .changed
                .iter()
                .map(|of| (of.truth, of.a, of.b))
                .collect::<Vec<_>>(),
            swapped
        );
        differing += usize::from(there != empty);
    }
    assert!(differing > 50, "{differing} of 100 sets differ");
}

#[test]
fn refuses_different_ground_truths() {
    let mut a = truths();
    a.detection(1, 1, 0.9, [0, 0, 40, 40]);
    let mut b = truths();
    b.truth(9, 2, 2, [0, 0, 5, 5])
        .detection(1, 1, 0.9, [0, 0, 40, 40]);
    let error = compare(&a.finish(), &b.finish(), &DifferenceRules::default()).unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("2 images with 6 annotations against 2 images with 7 annotations"),
        "{text}"
    );
}

fn curves(scene: &Scene, found: &Matches) -> Curves {
    accumulate(&scene.cells, &scene.order, found)
}

#[test]
fn ap_deltas_are_those_of_the_curves_and_images() {
    let (mut a, mut b) = (truths(), truths());
    a.detection(1, 1, 0.9, [0, 0, 40, 40]);
    b.detection(1, 1, 0.9, [0, 0, 40, 40])
        .detection(2, 1, 0.8, [0, 0, 40, 40]);
    let (a, b) = (a.finish(), b.finish());
    let selection = Selection::default();
    let (found_a, found_b) = (a.matches(&selection), b.matches(&selection));
    let (curves_a, curves_b) = (curves(&a, &found_a), curves(&b, &found_b));
    let deltas = ap_deltas(&curves_a, &curves_b);
    let all = deltas.areas[Area::All as usize];
    assert_eq!(
        (all.a, all.b),
        (Some(curves_a.ap(Area::All)), Some(curves_b.ap(Area::All)))
    );
    assert!(deltas.classes[0].delta().unwrap() > 0.0);
    assert_eq!(deltas.classes[1].delta(), Some(0.0));
    assert_eq!(
        deltas.areas[Area::Large as usize].delta(),
        None,
        "no large ground truth"
    );
    let numbers = |scene: &Scene, found| {
        let pairing = scene.pairing(&selection, 0);
        let measured = measured_ious(&scene.input, &scene.overlaps);
        per_image(
            &scene.setup(),
            &scene.order,
            &selection,
            found,
            &pairing,
            &measured,
        )
    };
    let images = image_ap_pairs(&numbers(&a, &found_a), &numbers(&b, &found_b));
    assert_eq!(images[0].delta(), Some(0.0));
    assert_eq!((images[1].a, images[1].b), (Some(0.0), Some(1.0)));
}
