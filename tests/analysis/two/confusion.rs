//! The confusion matrix equals hotcoco's, and every cell opens what it counts.

use maskscope::eval::{ConfusionRule, EvalInput, Selection, confusion};
use maskscope::structures::Size;

use super::scene::{Drawing, Scene, fixture_scenes, random_drawing, random_selection};

fn equals_hotcoco(name: &str, scene: &Scene, min_score: f64) {
    let rule = ConfusionRule {
        min_score,
        ..ConfusionRule::default()
    };
    let ours = confusion(&scene.setup(), &scene.order, &Selection::default(), rule);
    let theirs =
        scene
            .hotcoco()
            .confusion_matrix(rule.iou, Some(rule.max_detections), Some(min_score));
    assert_eq!(ours.classes, theirs.num_cats, "{name}");
    assert_eq!(ours.counts, theirs.matrix, "{name}");
    assert_eq!(ours.shares(), theirs.normalized(), "{name}");
    cells_open(&scene.input, &ours);
}

fn cells_open(input: &EvalInput, confusion: &maskscope::eval::Confusion) {
    let background = confusion.classes;
    let label = |label: Option<u32>| label.map_or(background, |label| label as usize);
    for row in 0..=background {
        for column in 0..=background {
            let instances = confusion.instances(row, column);
            assert_eq!(instances.len() as u64, confusion.count(row, column));
            for of in instances {
                let truth = of.truth.map(|t| &input.truths[t as usize]);
                let detection = of.detection.map(|d| &input.detections[d as usize]);
                assert_eq!(label(truth.map(|t| t.label)), row);
                assert_eq!(label(detection.map(|d| d.label)), column);
                if let (Some(truth), Some(detection)) = (truth, detection) {
                    assert_eq!(truth.image, detection.image);
                }
            }
        }
    }
    assert_eq!(confusion.count(background, background), 0);
    assert!(confusion.instances(background + 1, 0).is_empty());
}

#[test]
fn equals_hotcoco_on_fixtures() {
    for (name, scene) in fixture_scenes() {
        for min_score in [0.0, 0.5] {
            equals_hotcoco(name, &scene, min_score);
        }
    }
}

#[test]
fn equals_hotcoco_on_random_sets() {
    for seed in 0..300 {
        let scene = random_drawing(seed).finish();
        equals_hotcoco(
            &format!("seed {seed}"),
            &scene,
            [0.0, 0.3, 0.7][seed as usize % 3],
        );
    }
}

/// Each selected detection and each selected ordinary ground truth lies in exactly one cell.
#[test]
fn a_filter_leaves_out_what_it_says() {
    let rule = ConfusionRule {
        min_score: 0.0,
        ..ConfusionRule::default()
    };
    for seed in 0..50 {
        let scene = random_drawing(seed).finish();
        let selection = random_selection(&scene.input, seed);
        let found = confusion(&scene.setup(), &scene.order, &selection, rule);
        cells_open(&scene.input, &found);
        let (mut truths, mut detections) = (Vec::new(), Vec::new());
        for cell in 0..(found.classes + 1).pow(2) {
            for of in found.instances(cell / (found.classes + 1), cell % (found.classes + 1)) {
                truths.extend(of.truth);
                detections.extend(of.detection);
            }
        }
        truths.sort_unstable();
        detections.sort_unstable();
        let has = |list: &Option<Vec<bool>>, at: u32| list.as_ref().unwrap()[at as usize];
        let want_truths: Vec<u32> = (0u32..)
            .zip(&scene.input.truths)
            .filter(|(at, t)| {
                has(&selection.truths, *at) && has(&selection.images, t.image) && !t.is_crowd
            })
            .map(|(at, _)| at)
            .collect();
        let want_detections: Vec<u32> = (0u32..)
            .zip(&scene.input.detections)
            .filter(|(at, d)| has(&selection.detections, *at) && has(&selection.images, d.image))
            .map(|(at, _)| at)
            .collect();
        assert_eq!(truths, want_truths, "seed {seed}");
        assert_eq!(detections, want_detections, "seed {seed}");
    }
}

#[test]
fn a_cat_called_dog_lies_in_their_cell() {
    let mut drawing = Drawing::new(Size::new(60, 60), 1, &["cat", "dog"]);
    drawing
        .truth(1, 1, 1, [0, 0, 20, 20])
        .truth(2, 1, 1, [30, 30, 20, 20])
        .detection(1, 2, 0.9, [0, 0, 20, 20])
        .detection(1, 2, 0.8, [0, 40, 10, 10])
        .detection(1, 1, 0.2, [30, 30, 20, 20]); // below the score
    let scene = drawing.finish();
    let found = confusion(
        &scene.setup(),
        &scene.order,
        &Selection::default(),
        ConfusionRule::default(),
    );
    assert_eq!(found.counts, [0, 1, 1, 0, 0, 0, 0, 1, 0]);
    let [swapped] = found.instances(0, 1) else {
        panic!("one instance")
    };
    assert_eq!((swapped.truth, swapped.detection), (Some(0), Some(0)));
    assert_eq!(found.instances(0, 2)[0].truth, Some(1));
    assert_eq!(found.instances(2, 1)[0].detection, Some(1));
}
