//! The document without a window: open, run, relabel, measure, export, reopen.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use maskscope::document::settings::Settings;
use maskscope::document::{
    Document, ImageEntry, ImageState, ModelRequest, ModelState, Notice, NoticeKind, PathKind,
    SourceKind, TruthState,
};

use crate::infer::photos;
use crate::support::fixtures::folder;

fn request() -> ModelRequest {
    ModelRequest {
        checkpoint: folder("tiny_pytorch_style").join("model.pth"),
        config: None,
        set: vec!["img_width=160".into(), "img_height=128".into()],
        device: "cpu".into(),
    }
}

fn document(request: ModelRequest) -> Document {
    Document::new(request, Settings::default(), Arc::new(|| {}))
}

/// Polls until nothing runs any more.
fn settle(document: &mut Document) -> Vec<Notice> {
    let deadline = Instant::now() + Duration::from_secs(120);
    let mut notices = document.poll();
    while document.is_busy() {
        assert!(Instant::now() < deadline, "still busy");
        std::thread::sleep(Duration::from_millis(5));
        notices.extend(document.poll());
    }
    notices.extend(document.poll());
    notices
}

fn errors(notices: &[Notice]) -> Vec<&str> {
    let errors = notices
        .iter()
        .filter(|notice| notice.kind == NoticeKind::Error);
    errors.map(|notice| notice.text.as_str()).collect()
}

#[test]
fn a_folder_runs_and_its_export_reads_back_the_same() {
    let home = tempfile::tempdir().unwrap();
    let photos = photos(home.path(), 4);
    std::fs::write(photos.join("broken.png"), b"no image").unwrap();
    let mut document = document(request());
    document.open(&photos);
    let notices = settle(&mut document);
    assert!(errors(&notices).is_empty(), "{notices:?}");
    assert!(
        notices
            .iter()
            .any(|n| n.kind == NoticeKind::Warning && n.details.contains("broken.png"))
    );
    assert_eq!(document.source().map(|s| s.kind), Some(SourceKind::Folder));
    assert!(matches!(document.model(), ModelState::Ready(_)));
    assert_eq!(document.images().len(), 5);
    assert_eq!(document.outstanding(), 1, "the broken one");
    let found: usize = document
        .images()
        .iter()
        .filter_map(|i| i.detections())
        .map(|d| d.len())
        .sum();
    assert!(found > 0);

    let output = home.path().join("export.json");
    document.export(&output);
    assert!(errors(&settle(&mut document)).is_empty());
    let mut again = self::document(ModelRequest::default());
    again.open(&output);
    let notices = settle(&mut again);
    assert!(notices.is_empty(), "{notices:?}");
    assert_eq!(
        again.source().map(|s| s.kind),
        Some(SourceKind::Predictions)
    );
    let first = document
        .images()
        .iter()
        .filter(|i| i.detections().is_some());
    for (before, after) in first.zip(again.images()) {
        assert_eq!(before.path, after.path, "found where it was");
        let strip =
            |d: &maskscope::structures::Detection| (d.bbox, d.score, d.mask_iou, d.mask.clone());
        let before: Vec<_> = before.detections().unwrap().iter().map(strip).collect();
        let after: Vec<_> = after.detections().unwrap().iter().map(strip).collect();
        assert_eq!(before, after);
    }
}

#[test]
fn cancelling_keeps_what_was_found_and_running_goes_on() {
    let home = tempfile::tempdir().unwrap();
    let photos = photos(home.path(), 30);
    let mut document = document(request());
    document.open(&photos);
    let deadline = Instant::now() + Duration::from_secs(120);
    let done = |document: &Document| {
        document
            .images()
            .iter()
            .filter(|i| i.detections().is_some())
            .count()
    };
    while done(&document) < 3 {
        assert!(Instant::now() < deadline);
        document.poll();
        std::thread::sleep(Duration::from_millis(2));
    }
    document.cancel();
    let kept = done(&document);
    assert!(kept >= 3);
    assert!(
        !document
            .images()
            .iter()
            .any(|i| matches!(i.state, ImageState::Queued | ImageState::Running))
    );
    assert_eq!(document.outstanding(), 30 - kept);
    document.run(false);
    assert_eq!(document.progress().unwrap().total, 30 - kept);
    settle(&mut document);
    assert_eq!(done(&document), 30);
}

#[test]
fn a_set_has_ground_truth_and_predictions_are_measured() {
    let home = tempfile::tempdir().unwrap();
    let photos = photos(home.path(), 2);
    let label = |id: u64, category: u64, x: f64| {
        serde_json::json!({"id": id, "image_id": 1, "category_id": category, "iscrowd": 0, "area": 400.0,
            "bbox": [x, 10.0, 20.0, 20.0],
            "segmentation": [[x, 10.0, x + 20.0, 10.0, x + 20.0, 30.0, x, 30.0]]})
    };
    let set = serde_json::json!({
        "images": [{"id": 1, "file_name": "000.png", "width": 150, "height": 120},
                   {"id": 2, "file_name": "001.png", "width": 150, "height": 120}],
        "categories": [{"id": 7, "name": "class1"}, {"id": 9, "name": "other"}],
        "annotations": [label(1, 7, 10.0), label(2, 9, 60.0)],
    });
    std::fs::write(photos.join("_annotations.coco.json"), set.to_string()).unwrap();
    let mut document = document(request());
    document.open(&photos);
    let notices = settle(&mut document);
    assert!(errors(&notices).is_empty(), "{notices:?}");
    // The set's classes first, then the model's that it lacks.
    assert_eq!(
        document.classes().names,
        ["class1", "other", "class0", "class2"]
    );
    let deadline = Instant::now() + Duration::from_secs(120);
    let truth = loop {
        assert!(Instant::now() < deadline, "no annotations arrived");
        match document.truth(0) {
            TruthState::Ready(truth) => break truth,
            TruthState::Absent => panic!("the set has ground truth"),
            _ => std::thread::sleep(Duration::from_millis(2)),
        }
    };
    assert_eq!(truth.shapes.len(), 2);
    assert_eq!(truth.shapes[0].mask.area(), 400);
    let detections = document.images()[0].detections().unwrap();
    assert_eq!(truth.measured.len(), detections.len());
    for (detection, measured) in detections.iter().zip(&truth.measured) {
        let other_class = detection.label > 1;
        assert!(
            !other_class || *measured == Some(0.0),
            "no annotation of that class"
        );
    }
}

#[test]
fn the_demo_runs_a_model_of_its_own_that_stays_with_it() {
    let mut document = document(ModelRequest::default());
    document.open_demo();
    let notices = settle(&mut document);
    assert!(errors(&notices).is_empty(), "{notices:?}");
    assert_eq!(document.source().map(|s| s.kind), Some(SourceKind::Demo));
    assert!(document.images().len() >= 12 && document.has_truth());
    assert!(document.images().iter().all(|i| i.annotations > 0));
    let found = |i: &ImageEntry| i.detections().is_some_and(|found| !found.is_empty());
    assert!(
        document.images().iter().all(found),
        "shapes are found in every picture"
    );
    let scored = document.images().iter().filter_map(|i| i.detections());
    assert!(
        scored
            .flat_map(|found| found.iter())
            .all(|d| d.mask_iou.is_some())
    );
    // It knows five shapes: nothing for photos, and no choice to be remembered.
    assert!(document.settings().recent_checkpoints.is_empty());
    let home = tempfile::tempdir().unwrap();
    document.open(&photos(home.path(), 1));
    settle(&mut document);
    assert!(matches!(document.model(), ModelState::None));
}

#[test]
fn bad_paths_are_told_and_nothing_is_lost() {
    let home = tempfile::tempdir().unwrap();
    let photos = photos(home.path(), 1);
    let mut document = document(ModelRequest::default());
    document.open(&photos);
    settle(&mut document);
    let bad = home.path().join("bad.json");
    std::fs::write(&bad, "{\"images\": [").unwrap();
    let text = home.path().join("notes.txt");
    std::fs::write(&text, "words").unwrap();
    let absent = home.path().join("absent");
    for (path, needle) in [
        (&bad, "bad.json"),
        (&text, "notes.txt"),
        (&absent, "absent"),
    ] {
        document.open(path);
        let notices = settle(&mut document);
        assert_eq!(errors(&notices).len(), 1, "{notices:?}");
        assert!(errors(&notices)[0].contains(needle), "{notices:?}");
        assert_eq!(document.images().len(), 1, "what was open stays open");
    }
    document.run(false);
    let notices = settle(&mut document);
    assert!(notices[0].text.contains("No checkpoint"));
    let checkpoint = home.path().join("wrong.pth");
    std::fs::write(&checkpoint, b"no checkpoint at all, just text").unwrap();
    document.open(&checkpoint);
    let notices = settle(&mut document);
    assert!(errors(&notices)[0].contains("wrong.pth"), "{notices:?}");
    assert!(matches!(document.model(), ModelState::Failed(..)));
}

#[test]
fn kinds_of_paths() {
    let home = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = home.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let cases: Vec<(PathBuf, PathKind)> = vec![
        (home.path().to_owned(), PathKind::Folder),
        (write("a.PNG", ""), PathKind::Image),
        (write("set.json", "{\"images\": []}"), PathKind::CocoSet),
        (write("out.json", "{\"a.png\": {}}"), PathKind::Predictions),
        (write("results.json", "[]"), PathKind::Predictions),
        (write("w.ckpt", ""), PathKind::Checkpoint),
        (write("x.txt", ""), PathKind::Unknown),
    ];
    for (path, kind) in cases {
        assert_eq!(PathKind::of(&path), kind, "{}", path.display());
    }
    assert_eq!(PathKind::of(Path::new("nowhere")), PathKind::Unknown);
}
