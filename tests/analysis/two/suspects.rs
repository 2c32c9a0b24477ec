//! Each rule finds what was drawn for it, says why, and nothing else; on random sets against a slow search.

use maskscope::eval::{
    Area, DiagnosisRules, DiagnosisStage, Selection, SuspectKind, SuspectRules, Suspects, diagnose,
    measured_ious, suspects,
};
use maskscope::structures::Size;

use super::scene::{Drawing, Scene, random_drawing, random_selection};

fn search(scene: &Scene, selection: &Selection) -> Suspects {
    let (found, pairing) = (scene.matches(selection), scene.pairing(selection, 0));
    let measured = measured_ious(&scene.input, &scene.overlaps);
    suspects(
        &scene.setup(),
        selection,
        &found,
        &pairing,
        &measured,
        &SuspectRules::default(),
    )
}

/// One suspect of each kind and things that are none.
fn drawn() -> Drawing {
    let mut drawing = Drawing::new(Size::new(300, 200), 2, &["cat", "dog"]);
    drawing
        .truth(1, 1, 1, [0, 0, 40, 40])
        .truth(2, 1, 1, [100, 0, 40, 40])
        .truth(3, 1, 2, [200, 0, 40, 40])
        .truth(4, 2, 1, [0, 0, 64, 48])
        .truth(5, 2, 1, [100, 100, 20, 20])
        .crowd(6, 2, 2, [200, 100, 80, 80]);
    drawing.detection(1, 1, 0.9, [0, 0, 40, 12]).mask_iou(0.95); // label: measured IoU .3
    drawing
        .detection(1, 1, 0.8, [100, 0, 40, 40])
        .mask_iou(0.25); // head
    drawing.detection(1, 1, 0.9, [200, 0, 40, 36]).mask_iou(0.9); // swapped: IoU .9
    drawing
        .detection(1, 2, 0.75, [0, 150, 30, 30])
        .mask_iou(0.9); // missing label
    drawing
        .detection(2, 1, 0.9, [100, 100, 20, 20])
        .mask_iou(0.9); // right in every respect
    drawing
        .detection(2, 2, 0.9, [210, 110, 10, 10])
        .mask_iou(0.9); // on a crowd region
    drawing.detection(2, 2, 0.3, [0, 100, 10, 10]).mask_iou(0.9); // not confident
    drawing
}

#[test]
fn each_rule_finds_its_case() {
    let scene = drawn().finish();
    let found = search(&scene, &Selection::default());
    assert_eq!(found.without_mask_iou, None);
    let got: Vec<_> = found
        .list
        .iter()
        .map(|of| (of.kind, of.image, of.detection, of.truth))
        .collect();
    use SuspectKind::{Head, Label, MissedObject, MissingLabel, SwappedClass};
    let want = [
        (SwappedClass, 0, Some(2), Some(2)), // .9 * .9
        (Head, 0, Some(1), Some(1)),         // 1 - .25, and before the next by kind
        (MissingLabel, 0, Some(3), None),    // .75
        (MissedObject, 1, None, Some(3)),    // 3072 / (3072 + 1024)
        (Label, 0, Some(0), Some(0)),        // .95 - .3
    ];
    assert_eq!(got, want);
    let reasons: Vec<&str> = found.list.iter().map(|of| of.reason.as_str()).collect();
    let want = [
        "#3 is cat with score .90 and covers annotation 3 (dog) at IoU .90: one of the two classes is wrong",
        "#2 has mask IoU .25 but measured IoU 1.00 with annotation 2 (cat): the mask is good, the mask-IoU head does \
         not see it",
        "#4 is dog with score .75, but no annotation touches it: a label may be missing",
        "annotation 4 (cat) of 3072 px was not found, no prediction touches it: a missed object or an odd label",
        "#1 has mask IoU .95 but measured IoU .30 with annotation 1 (cat): the label may be wrong",
    ];
    assert_eq!(reasons, want);
    let severities: Vec<f64> = found.list.iter().map(|of| of.severity).collect();
    for (got, want) in severities.iter().zip([0.81, 0.75, 0.75, 0.75, 0.65]) {
        assert!((got - want).abs() < 1e-12, "{severities:?}");
    }
}

/// Without a head two rules are silent and say so; the others stay.
#[test]
fn without_mask_iou_two_rules_are_absent() {
    let mut drawing = Drawing::new(Size::new(100, 100), 1, &["cat"]);
    drawing
        .truth(1, 1, 1, [0, 0, 40, 40])
        .detection(1, 1, 0.9, [0, 0, 40, 12])
        .detection(1, 1, 0.9, [60, 60, 9, 9]);
    let found = search(&drawing.finish(), &Selection::default());
    assert!(found.without_mask_iou.unwrap().contains("mask_iou"));
    assert!(found.list.iter().all(|of| !of.kind.needs_mask_iou()));
    assert_eq!(
        found.list.iter().map(|of| of.kind).collect::<Vec<_>>(),
        [SuspectKind::MissingLabel]
    );
}

/// The kind of a detection by pixels, not by overlaps.
fn slow_kind(scene: &Scene, selection: &Selection, position: usize) -> Option<SuspectKind> {
    let (input, rules) = (&scene.input, SuspectRules::default());
    let has = |list: &Option<Vec<bool>>, at: usize| list.as_ref().is_none_or(|list| list[at]);
    let candidate = &input.detections[position];
    let image = &input.images[candidate.image as usize];
    if !has(&selection.detections, position) || !has(&selection.images, candidate.image as usize) {
        return None;
    }
    let detection = input.detection(position);
    let pairing = scene.pairing(selection, 0);
    let (mut own, mut all, mut other) = (0.0_f64, 0.0_f64, (0.0_f64, usize::MAX));
    for at in image
        .truths
        .clone()
        .filter(|&at| has(&selection.truths, at))
    {
        let truth = &input.truths[at];
        let shared = detection.mask.intersection_area(&truth.mask).unwrap() as f64;
        let iou = if truth.is_crowd {
            shared / detection.mask.area() as f64
        } else {
            detection.mask.iou(&truth.mask).unwrap()
        };
        all = all.max(iou);
        if truth.label == candidate.label {
            own = own.max(iou);
        } else if !truth.is_crowd && iou > other.0 {
            other = (iou, at);
        }
    }
    let confident = detection.score >= rules.confident_score;
    let is_free = other.1 != usize::MAX && pairing.detection_of[other.1].is_none();
    if confident && other.0 >= rules.swapped_iou && is_free && own < rules.near_iou {
        return Some(SuspectKind::SwappedClass);
    }
    if confident && all < rules.near_iou {
        return Some(SuspectKind::MissingLabel);
    }
    let measured = measured_ious(input, &scene.overlaps)[position]?;
    let mask_iou = detection
        .mask_iou
        .filter(|_| detection.score >= rules.min_score)?;
    if mask_iou >= rules.high_mask_iou && measured <= rules.low_measured_iou {
        return Some(SuspectKind::Label);
    }
    (mask_iou <= rules.low_mask_iou && measured >= rules.high_measured_iou)
        .then_some(SuspectKind::Head)
}

#[test]
fn equals_a_slow_search_on_random_sets() {
    let mut total = std::collections::HashMap::new();
    for seed in 0..200 {
        let scene = random_drawing(seed).finish();
        let selection = if seed % 2 == 0 {
            Selection::default()
        } else {
            random_selection(&scene.input, seed)
        };
        let found = search(&scene, &selection);
        let is_sorted = found
            .list
            .windows(2)
            .all(|pair| pair[0].severity >= pair[1].severity);
        assert!(is_sorted, "seed {seed}");
        assert_eq!(
            found,
            search(&scene, &selection),
            "seed {seed}: the same twice"
        );
        for position in 0..scene.input.detections.len() {
            let of_detection = found.list.iter().filter(|of| {
                of.kind != SuspectKind::MissedObject && of.detection == Some(position as u32)
            });
            let kinds: Vec<SuspectKind> = of_detection.map(|of| of.kind).collect();
            let want: Vec<_> = slow_kind(&scene, &selection, position)
                .into_iter()
                .collect();
            assert_eq!(kinds, want, "seed {seed}, detection {position}");
        }
        let missed: Vec<u32> = {
            let of = found
                .list
                .iter()
                .filter(|of| of.kind == SuspectKind::MissedObject);
            let mut list: Vec<u32> = of.filter_map(|of| of.truth).collect();
            list.sort_unstable();
            list
        };
        assert_eq!(missed, slow_missed(&scene, &selection), "seed {seed}");
        for of in &found.list {
            *total.entry(of.kind).or_insert(0) += 1;
            assert!((0.0..=1.0).contains(&of.severity));
        }
    }
    assert!(
        SuspectKind::ALL
            .iter()
            .all(|kind| total.get(kind) > Some(&10)),
        "every kind must occur: {total:?}"
    );
}

fn slow_missed(scene: &Scene, selection: &Selection) -> Vec<u32> {
    let input = &scene.input;
    let has = |list: &Option<Vec<bool>>, at: usize| list.as_ref().is_none_or(|list| list[at]);
    (0..input.truths.len())
        .filter(|&at| {
            let truth = &input.truths[at];
            let detections = input.images[truth.image as usize].detections.clone();
            has(&selection.truths, at)
                && has(&selection.images, truth.image as usize)
                && truth.counts_in(Area::All)
                && detections
                    .filter(|&d| has(&selection.detections, d))
                    .all(|d| input.detection(d).mask.iou(&truth.mask).unwrap() < 0.1)
        })
        .map(|at| at as u32)
        .collect()
}

/// One call gives what the single ones give, tells its stages, and stops where it is told to.
#[test]
fn diagnose_is_all_of_them() {
    let scene = drawn().finish();
    let selection = Selection::default();
    let found = scene.matches(&selection);
    let measured = measured_ious(&scene.input, &scene.overlaps);
    let run = |last: Option<DiagnosisStage>| {
        let stages = std::sync::Mutex::new(Vec::new());
        let progress = |stage| {
            stages.lock().unwrap().push(stage);
            Some(stage) != last
        };
        let rules = DiagnosisRules::default();
        let done = diagnose(
            &scene.setup(),
            &scene.order,
            &selection,
            &found,
            &measured,
            &rules,
            &progress,
        );
        (done, stages.into_inner().unwrap())
    };
    let (done, stages) = run(None);
    assert_eq!(stages, DiagnosisStage::ALL);
    let done = done.unwrap();
    assert_eq!(done.suspects, search(&scene, &selection));
    assert_eq!(
        done.tide.bars.map(|bar| bar.count).iter().sum::<u64>(),
        4 + 1,
        "{:?}",
        done.tide.bars
    );
    assert_eq!(done.per_image.images.len(), 2);
    assert_eq!(done.confusion.count(1, 0), 1, "the dog that is called cat");
    serde_json::to_string(&done).unwrap();
    for stop in DiagnosisStage::ALL {
        assert!(run(Some(stop)).0.is_none(), "{stop:?}");
    }
}
