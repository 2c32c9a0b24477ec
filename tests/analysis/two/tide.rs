//! TIDE equals hotcoco's, bit for bit, and its lists equal its counts.

use maskscope::eval::{ErrorKind, Selection, iou_thresholds, tide};

use super::scene::{Drawing, Scene, fixture_scenes, random_drawing};
use maskscope::structures::Size;

fn equals_hotcoco(name: &str, scene: &Scene, threshold: usize) -> [u64; 6] {
    let selection = Selection::default();
    let found = scene.matches(&selection);
    let pairing = scene.pairing(&selection, threshold);
    let ours = tide(&scene.setup(), &scene.order, &selection, &found, &pairing);
    let theirs = scene
        .hotcoco()
        .tide_errors(iou_thresholds()[threshold], 0.1)
        .unwrap();
    assert_eq!(
        ours.ap.to_bits(),
        theirs.ap_base.to_bits(),
        "{name}: AP {} against {}",
        ours.ap,
        theirs.ap_base
    );
    for bar in ours.bars {
        let key = bar.kind.key();
        assert_eq!(bar.count, theirs.counts[key], "{name}: count of {key}");
        let want = theirs.delta_ap[key];
        assert_eq!(
            bar.delta_ap.to_bits(),
            want.to_bits(),
            "{name}: {key} {} against {want}",
            bar.delta_ap
        );
        let listed = match bar.kind {
            ErrorKind::Missed => ours.missed.len(),
            kind => ours.detections_of(kind).len(),
        };
        assert_eq!(listed as u64, bar.count, "{name}: list of {key}");
    }
    for (key, ours) in [
        ("FP", ours.false_positive_delta),
        ("FN", ours.false_negative_delta),
    ] {
        let want = theirs.delta_ap[key];
        assert_eq!(
            ours.to_bits(),
            want.to_bits(),
            "{name}: {key} {ours} against {want}"
        );
    }
    ours.bars.map(|bar| bar.count)
}

#[test]
fn equals_hotcoco_on_fixtures() {
    for (name, scene) in fixture_scenes() {
        for threshold in [0, 5] {
            equals_hotcoco(name, &scene, threshold);
        }
    }
}

#[test]
fn equals_hotcoco_on_random_sets() {
    let mut total = [0; 6];
    for seed in 0..400 {
        let scene = random_drawing(seed).finish();
        let threshold = (seed % 3) as usize * 3;
        let counts = equals_hotcoco(&format!("seed {seed}"), &scene, threshold);
        for (total, count) in total.iter_mut().zip(counts) {
            *total += count;
        }
    }
    assert!(
        total.iter().all(|&count| count >= 20),
        "every kind of error must occur: {total:?}"
    );
}

/// Each kind drawn by hand, with its detection.
#[test]
fn lists_name_the_errors() {
    let mut drawing = Drawing::new(Size::new(100, 100), 1, &["cat", "dog"]);
    drawing
        .truth(1, 1, 1, [0, 0, 20, 20])
        .truth(2, 1, 2, [40, 0, 20, 20])
        .truth(3, 1, 1, [0, 50, 20, 20])
        .truth(4, 1, 1, [70, 70, 20, 20])
        .detection(1, 1, 0.9, [0, 0, 20, 20]) // true
        .detection(1, 1, 0.8, [1, 0, 20, 20]) // duplicate
        .detection(1, 1, 0.7, [40, 0, 20, 20]) // class
        .detection(1, 1, 0.6, [10, 50, 20, 20]) // place: IoU 1/3
        .detection(1, 2, 0.5, [80, 70, 20, 20]) // both: IoU 1/3 with another class
        .detection(1, 2, 0.4, [40, 40, 5, 5]); // background
    let scene = drawing.finish();
    let selection = Selection::default();
    let (found, pairing) = (scene.matches(&selection), scene.pairing(&selection, 0));
    let tide = tide(&scene.setup(), &scene.order, &selection, &found, &pairing);
    use ErrorKind::{Background, Both, Class, Duplicate, Localization};
    let want = [
        None,
        Some(Duplicate),
        Some(Class),
        Some(Localization),
        Some(Both),
        Some(Background),
    ];
    assert_eq!(tide.detections, want);
    // 2 and 3 would be found by what lies on them; 4 is missed.
    assert_eq!(tide.missed, [3]);
}
