//! Annotations without pictures: repeatable, readable by every reader, with a use for measurements of evaluation.

use std::path::Path;

use hotcoco::params::IouType;
use hotcoco::{COCO, COCOeval};
use maskscope::coco::{Dataset, predictions};
use maskscope::data::synth::{AnnotationsRequest, write_annotations};
use maskscope::structures::Size;

fn request(out: &Path, seed: u64) -> AnnotationsRequest {
    AnnotationsRequest {
        out: out.to_owned(),
        images: 300,
        seed,
        size: None,
        detections: 12_000,
        predictions: true,
    }
}

#[test]
fn the_same_seed_gives_the_same_files() {
    let folder = tempfile::tempdir().unwrap();
    let files = [
        "labels.json",
        "results.segm.json",
        "results.bbox.json",
        "predictions.json",
    ];
    let write = |name: &str, seed: u64| {
        let out = folder.path().join(name);
        let mut steps = 0;
        let summary = write_annotations(&request(&out, seed), &mut |done, total| {
            steps += 1;
            assert!(done <= total);
            true
        })
        .unwrap();
        assert!(summary.complete && steps > 2);
        files.map(|file| std::fs::read(out.join(file)).unwrap())
    };
    let (a, b, other) = (write("a", 1), write("b", 1), write("c", 2));
    assert!(a == b, "not the same bytes");
    assert!(a.iter().zip(&other).all(|(a, c)| a != c));
    let left: Vec<_> = std::fs::read_dir(folder.path().join("a"))
        .unwrap()
        .collect();
    assert_eq!(left.len(), files.len(), "{left:?}");
}

#[test]
fn statistics_are_about_coco_s() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path();
    let written = write_annotations(&request(out, 3), &mut |_, _| true).unwrap();
    let set = Dataset::open(out).unwrap();
    assert_eq!(
        (set.images().len(), set.annotation_count()),
        (300, written.instances)
    );
    assert!(set.notes().is_empty(), "{:?}", set.notes());
    let (mut crowds, mut sizes, mut apart) = (0, [0usize; 3], 0);
    for index in 0..set.images().len() {
        let found = set.annotations(index);
        assert!(found.dropped.is_empty(), "{:?}", found.dropped);
        for annotation in found.kept {
            crowds += usize::from(annotation.is_crowd);
            let side = annotation.area.sqrt();
            sizes[usize::from(side > 32.0) + usize::from(side > 96.0)] += 1;
            let mask = annotation.mask.bbox();
            let near = |given: f64, of_mask: f64| (given - of_mask).abs() < 2.0;
            let bbox = annotation.bbox;
            apart += usize::from(!near(bbox.x, mask.x) || !near(bbox.y, mask.y));
        }
    }
    let per_image = written.instances as f64 / 300.0;
    assert!((6.3..8.3).contains(&per_image), "{per_image}");
    assert!(
        crowds > 5 && crowds < written.instances / 20,
        "{crowds} crowds"
    );
    let shares = sizes.map(|count| count as f64 / written.instances as f64);
    assert!(
        shares.iter().all(|share| (0.15..0.55).contains(share)),
        "{shares:?}"
    );
    // An outline cut off at the border may leave a sliver there that holds no pixel centre.
    assert!(
        apart * 200 < written.instances,
        "{apart} boxes are apart from their masks"
    );
}

#[test]
fn detections_can_be_evaluated_and_know_something_of_their_overlap() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path();
    write_annotations(&request(out, 4), &mut |_, _| true).unwrap();
    for (file, kind) in [
        ("results.segm.json", IouType::Segm),
        ("results.bbox.json", IouType::Bbox),
    ] {
        let truth = COCO::new(&out.join("labels.json")).unwrap();
        let found = truth.load_res(&out.join(file)).unwrap();
        assert_eq!(found.dataset.annotations.len(), 12_000, "{file}");
        let mut eval = COCOeval::new(truth, found, kind);
        eval.evaluate().unwrap();
        eval.accumulate();
        eval.summarize();
        let ap = eval.stats().unwrap()[0];
        assert!((0.1..0.8).contains(&ap), "{file}: AP {ap}");
    }
    let file = predictions::read(&out.join("predictions.json")).unwrap();
    let all: Vec<_> = file
        .images
        .iter()
        .flat_map(|image| &image.detections)
        .collect();
    assert_eq!((file.images.len(), all.len()), (300, 12_000));
    assert!(
        file.images.iter().any(|image| image.detections.len() > 100),
        "some beyond maxDets"
    );
    let sum = |f: &dyn Fn(f64, f64) -> f64| {
        all.iter()
            .map(|d| f(d.score, d.mask_iou.unwrap()))
            .sum::<f64>()
            / all.len() as f64
    };
    let (score, mask_iou) = (sum(&|s, _| s), sum(&|_, m| m));
    let covariance = sum(&|s, m| (s - score) * (m - mask_iou));
    let deviations =
        (sum(&|s, _| (s - score).powi(2)) * sum(&|_, m| (m - mask_iou).powi(2))).sqrt();
    assert!(
        covariance / deviations > 0.3,
        "correlation {}",
        covariance / deviations
    );
}

#[test]
fn a_stop_leaves_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("set");
    let written = write_annotations(&request(&out, 1), &mut |_, _| false).unwrap();
    assert!(!written.complete);
    assert_eq!(std::fs::read_dir(&out).unwrap().count(), 0);
    let mut wrong = request(&out, 1);
    wrong.size = Some(Size::new(3, 3));
    assert!(write_annotations(&wrong, &mut |_, _| true).is_err());
}
