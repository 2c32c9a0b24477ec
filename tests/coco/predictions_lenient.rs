//! Prediction files with entries that cannot be used: each is left out with its place, the rest is used.

use std::path::Path;

use maskscope::coco::predictions::{self, EntryKind, LeftOut};
use maskscope::coco::{CocoError, PredictionFile};
use maskscope::structures::BoxXywh;

fn read(text: impl AsRef<[u8]>) -> PredictionFile {
    predictions::read_bytes(Path::new("file.json"), text.as_ref()).unwrap()
}

fn error(text: impl AsRef<[u8]>) -> String {
    let read = predictions::read_bytes(Path::new("file.json"), text.as_ref());
    match read.unwrap_err() {
        error @ CocoError::Json { .. } => error.to_string(),
        other => panic!("{other}"),
    }
}

fn scores(file: &PredictionFile) -> Vec<f64> {
    let detections = file.images.iter().flat_map(|image| &image.detections);
    detections.map(|detection| detection.score).collect()
}

/// A result whose keys may be replaced, on a line of its own between two good ones.
fn results_with(changes: &[(&str, Option<&str>)]) -> String {
    let good = r#"{"image_id": 7, "category_id": 5, "bbox": [0, 0, 2, 3], "score": 0.25, "segmentation": {"size": [3, 4], "counts": "147"}}"#;
    format!("[{good},\n  {},\n{good}]", changed(good, changes))
}

/// The object with keys replaced, or taken away.
fn changed(object: &str, changes: &[(&str, Option<&str>)]) -> String {
    let value: serde_json::Map<String, serde_json::Value> = serde_json::from_str(object).unwrap();
    let mut pairs: Vec<(String, String)> = value
        .into_iter()
        .map(|(key, value)| (key, value.to_string()))
        .collect();
    for &(key, new) in changes {
        pairs.retain(|(old, _)| old != key);
        pairs.extend(new.map(|new| (key.to_owned(), new.to_owned())));
    }
    let pairs: Vec<String> = pairs
        .iter()
        .map(|(key, value)| format!("\"{key}\": {value}"))
        .collect();
    format!("{{{}}}", pairs.join(", "))
}

#[test]
fn results_that_cannot_be_used_are_left_out() {
    for (key, value, words) in [
        ("score", Some("NaN"), "score is NaN"),
        ("score", Some("Infinity"), "score is Infinity"),
        ("score", Some("-Infinity"), "score is -Infinity"),
        ("score", Some("1e999"), "score is 1e999"),
        ("score", Some("null"), "score is null, not a number"),
        ("score", Some("\"0.5\""), "score is a text"),
        ("score", None, "score is missing"),
        ("image_id", None, "image_id is missing"),
        ("image_id", Some("-1"), "image_id is -1"),
        ("image_id", Some("1.5"), "image_id is 1.5"),
        ("image_id", Some("\"-1\""), "image_id is `-1`"),
        ("image_id", Some("[7]"), "image_id is a list"),
        ("category_id", None, "category_id is missing"),
        ("category_id", Some("-2"), "category_id is -2"),
        ("category_id", Some("\"cat\""), "category_id is `cat`"),
        (
            "category_id",
            Some("18446744073709551615"),
            "beyond 63 bits",
        ),
        ("bbox", Some("[0, 0, -1, 2]"), "bbox has a width of -1"),
        ("bbox", Some("[0, 0, 1, -2]"), "bbox has a height of -2"),
        ("bbox", Some("[0, NaN, 1, 2]"), "bbox [1] is NaN"),
        ("bbox", Some("[0, 0, 1]"), "bbox has 3 numbers"),
        ("bbox", Some("{}"), "bbox is an object"),
        ("mask_iou", Some("NaN"), "mask_iou is NaN"),
        ("iou_score", Some("\"x\""), "iou_score is a text"),
        ("segmentation", None, "has a box but no mask"),
        ("segmentation", Some("null"), "has a box but no mask"),
        (
            "segmentation",
            Some("[[0, 0, 1, 1, 2, 0]]"),
            "list of polygons",
        ),
        ("segmentation", Some("\"147\""), "segmentation is a text"),
        ("segmentation", Some(r#"{"size": [3, 4]}"#), "has no counts"),
        ("segmentation", Some(r#"{"counts": "147"}"#), "has no size"),
        (
            "segmentation",
            Some(r#"{"size": [3, 4], "counts": "14"}"#),
            "holds 5 of the 12 pixels",
        ),
        (
            "segmentation",
            Some(r#"{"size": [3, 4], "counts": "148"}"#),
            "more than the 12 pixels",
        ),
        (
            "segmentation",
            Some(r#"{"size": [3, 4], "counts": "1 7"}"#),
            "position 1 of counts",
        ),
        (
            "segmentation",
            Some(r#"{"size": [3, 4], "counts": [1, 4]}"#),
            "holds 5 of the 12",
        ),
        (
            "segmentation",
            Some(r#"{"size": [3, 4], "counts": [1, -4, 15]}"#),
            "a run that is -4",
        ),
        (
            "segmentation",
            Some(r#"{"size": [3, 4], "counts": [5000000000]}"#),
            "beyond 32 bits",
        ),
        (
            "segmentation",
            Some(r#"{"size": [3, 5], "counts": "14:"}"#),
            "its mask is 5×3",
        ),
        (
            "segmentation",
            Some(r#"{"size": [0, 4], "counts": ""}"#),
            "size is 4×0",
        ),
        (
            "segmentation",
            Some(r#"{"size": [3], "counts": "147"}"#),
            "is not [height, width]",
        ),
    ] {
        let text = results_with(&[(key, value)]);
        let file = read(&text);
        assert_eq!(scores(&file), [0.25, 0.25], "{words}");
        assert_eq!(file.left_out_count, 1, "{words}");
        let [left_out] = file.left_out.as_slice() else {
            panic!("{words}: {:?}", file.left_out);
        };
        assert!(
            left_out.reason.contains(words),
            "{words}: {}",
            left_out.reason
        );
        assert_eq!(left_out.entry, EntryKind::Prediction(1));
        assert_eq!((left_out.place.line, left_out.place.column), (2, 3));
        assert_eq!(left_out.place.offset, text.find("\n  {").unwrap() + 3);
        let image = if key == "image_id" { "" } else { "7" };
        assert_eq!(left_out.image, image);
        assert!(
            file.notes[0].contains("line 2, column 3"),
            "{:?}",
            file.notes
        );
    }
}

#[test]
fn ids_may_be_numbers_in_other_spellings_and_names() {
    let texts = [
        ("7", "7"),
        ("7.0", "7"),
        ("\"7\"", "7"),
        ("\"a/7.png\"", "a/7.png"),
    ];
    for (id, path) in texts {
        let text = results_with(&[("image_id", Some(id)), ("category_id", Some("\"5\""))]);
        let file = read(text);
        assert_eq!(file.left_out_count, 0);
        assert_eq!(file.images.last().unwrap().path, path);
        let image_id = (path == "7").then_some(7);
        assert_eq!(file.images.last().unwrap().image_id, image_id);
        assert_eq!(file.classes.category_ids, [5]);
    }
}

#[test]
fn extra_scores_of_results_are_used() {
    for (keys, mask_iou, iou_score) in [
        (&[][..], None, 0.25),
        (&[("mask_score", "0.125")], None, 0.125),
        (
            &[("iou_score", "0.125"), ("mask_iou", "0.5")],
            Some(0.5),
            0.125,
        ),
        (&[("mask_iou", "0.5")], Some(0.5), 0.25),
        (&[("mask_iou", "null")], None, 0.25),
    ] {
        let changes: Vec<_> = keys
            .iter()
            .map(|&(key, value)| (key, Some(value)))
            .collect();
        let file = read(results_with(&changes));
        let detection = &file.images[0].detections[1];
        assert_eq!(
            (detection.mask_iou, detection.iou_score),
            (mask_iou, iou_score)
        );
    }
}

#[test]
fn the_order_of_the_file_is_kept() {
    let row = |image: u64, score: f64, category: u64| {
        format!(
            r#"{{"image_id": {image}, "category_id": {category}, "bbox": [1, 1, 1, 1], "score": {score}}}"#
        )
    };
    let rows = [
        row(9, 0.1, 30),
        row(2, 0.5, 4),
        row(9, 0.9, 4),
        row(2, 0.5, 30),
        row(9, 0.1, 4),
    ];
    let file = read(format!("[{}]", rows.join(",")));
    let ids: Vec<_> = file.images.iter().map(|image| image.image_id).collect();
    assert_eq!(ids, [Some(9), Some(2)]);
    assert_eq!(scores(&file), [0.1, 0.9, 0.1, 0.5, 0.5]);
    assert_eq!(file.classes.category_ids, [4, 30]);
    let labels: Vec<_> = file.images[1].detections.iter().map(|d| d.label).collect();
    assert_eq!(labels, [0, 1]);
}

#[test]
fn boxes_alone_are_a_file_of_boxes() {
    let text = br#"[{"image_id": 7, "category_id": 5, "bbox": [1, 2, 3, 4], "score": 0.5, "segmentation": []},
      {"image_id": 7, "category_id": 5, "score": 0.5}]"#;
    let file = read(text);
    assert!(!file.has_masks);
    assert_eq!(file.images[0].size.pixels(), 0);
    let detection = &file.images[0].detections[0];
    assert_eq!(detection.bbox, BoxXywh::new(1.0, 2.0, 3.0, 4.0));
    assert_eq!(detection.mask.area(), 0);
    assert!(
        file.left_out[0]
            .reason
            .contains("neither bbox nor segmentation")
    );
    assert!(read("[]").has_masks && read("{}").has_masks);
}

#[test]
fn masks_alone_have_the_boxes_of_their_masks() {
    let file = read(results_with(&[("bbox", None)]));
    assert!(file.has_masks);
    let boxes = file.images[0]
        .detections
        .iter()
        .map(|detection| detection.bbox);
    assert!(boxes.eq([BoxXywh::new(0.0, 0.0, 2.0, 3.0); 3]));
}

const OURS: &str = r#"{"bbox": {"x_min": 1, "y_min": 0, "width": 2, "height": 3},
  "class": {"label": 1, "category_id": 3, "name": "cat"}, "mask": {"size": [3, 4], "counts": "147"}, "score": 0.5, "iou_score": 0.25}"#;

/// Our JSON of an image with three predictions, the second on a line of its own.
fn ours_with(middle: &str) -> String {
    format!(
        "{{\"a.png\": {{\"height\": 3, \"width\": 4, \"predictions\": [{OURS},\n    {middle},\n{OURS}]}}}}"
    )
}

#[test]
fn predictions_of_ours_that_cannot_be_used_are_left_out() {
    for (key, value, words) in [
        ("score", Some("NaN"), "score is NaN"),
        ("score", None, "score is missing"),
        ("iou_score", Some("Infinity"), "iou_score is Infinity"),
        ("mask_iou", Some("-Infinity"), "mask_iou is -Infinity"),
        ("bbox", None, "bbox is missing"),
        ("bbox", Some("[1, 2, 3, 4]"), "bbox is a list"),
        (
            "bbox",
            Some(r#"{"x_min": 1, "y_min": 0, "width": 2}"#),
            "bbox lacks",
        ),
        (
            "bbox",
            Some(r#"{"x_min": 1, "y_min": 0, "width": -2, "height": 1}"#),
            "width of -2",
        ),
        (
            "bbox",
            Some(r#"{"x_min": NaN, "y_min": 0, "width": 2, "height": 1}"#),
            "bbox.x_min is NaN",
        ),
        ("class", None, "class is missing"),
        ("class", Some("{}"), "class.label is missing"),
        (
            "class",
            Some(r#"{"label": 99999999999}"#),
            "beyond any class",
        ),
        ("class", Some(r#"{"label": -1}"#), "class.label is -1"),
        (
            "class",
            Some(r#"{"label": 1, "name": 5}"#),
            "class.name is a number",
        ),
        ("mask", None, "mask is missing"),
        (
            "mask",
            Some(r#"{"size": [4, 3], "counts": "147"}"#),
            "its mask is 3×4, the image 4×3",
        ),
        (
            "mask",
            Some(r#"{"size": [3, 4], "counts": "1470000"}"#),
            "mask is broken",
        ),
    ] {
        let text = ours_with(&changed(OURS, &[(key, value)]));
        let file = read(&text);
        assert_eq!(scores(&file), [0.5, 0.5], "{words}");
        let [left_out] = file.left_out.as_slice() else {
            panic!("{words}: {:?}", file.left_out);
        };
        assert!(
            left_out.reason.contains(words),
            "{words}: {}",
            left_out.reason
        );
        assert_eq!(left_out.entry, EntryKind::Prediction(1));
        assert_eq!(
            (left_out.image.as_str(), left_out.place.column),
            ("a.png", 5)
        );
        assert_eq!(
            left_out.place.offset,
            text.find("\n    {").unwrap() + 5,
            "{words}"
        );
    }
    assert!(
        read(ours_with("5")).left_out[0]
            .reason
            .contains("it is a number")
    );
}

#[test]
fn images_that_cannot_be_used_are_left_out() {
    let good = format!(r#""good.png": {{"height": 3, "width": 4, "predictions": [{OURS}]}}"#);
    for (image, words) in [
        (r#""b": 3"#, "it is a number"),
        (
            r#""b": {"height": 3, "predictions": []}"#,
            "width is missing",
        ),
        (
            r#""b": {"height": 0, "width": 4, "predictions": []}"#,
            "size is 4×0",
        ),
        (
            r#""b": {"height": -3, "width": 4, "predictions": []}"#,
            "height is -3",
        ),
        (
            r#""b": {"height": 3, "width": 4}"#,
            "predictions is missing",
        ),
        (
            r#""b": {"height": 3, "width": 4, "predictions": {}}"#,
            "predictions is an object",
        ),
    ] {
        let file = read(format!("{{{image},\n{good}}}"));
        let [left_out] = file.left_out.as_slice() else {
            panic!("{words}: {:?}", file.left_out);
        };
        assert_eq!(
            (left_out.entry, left_out.place.column),
            (EntryKind::Image, 7)
        );
        assert!(
            left_out.reason.contains(words),
            "{words}: {}",
            left_out.reason
        );
        assert_eq!(scores(&file), [0.5]);
    }
    let bytes = [
        &b"{\"\xff.png\": {\"height\": 3, \"width\": 4, \"predictions\": []},"[..],
        good.as_bytes(),
        b"}",
    ];
    let file = read(bytes.concat());
    assert_eq!(file.left_out[0].reason, "its path is not UTF-8");
    assert_eq!(file.images.len(), 1);
}

#[test]
fn of_an_image_named_twice_the_last_entry_counts() {
    let image = |name: &str, height| {
        format!(r#""{name}": {{"height": {height}, "width": 4, "predictions": []}}"#)
    };
    let file = read(format!(
        "{{{},{},\n{}}}",
        image("a", 3),
        image("b", 3),
        image("a", 5)
    ));
    let images: Vec<_> = file
        .images
        .iter()
        .map(|i| (i.path.as_str(), i.size.height))
        .collect();
    assert_eq!(images, [("a", 5), ("b", 3)]);
    let [
        LeftOut {
            entry: EntryKind::Image,
            place,
            image,
            ..
        },
    ] = file.left_out.as_slice()
    else {
        panic!("{:?}", file.left_out);
    };
    assert_eq!((image.as_str(), place.line, place.column), ("a", 1, 7));
}

#[test]
fn many_are_counted_and_the_first_are_listed() {
    let row = r#"{"image_id": 1, "category_id": 1, "score": NaN, "bbox": [1, 1, 1, 1]}"#;
    let file = read(format!("[{}]", [row; 12_000].join(",\n")));
    assert_eq!((file.left_out_count, file.left_out.len()), (12_000, 10_000));
    assert_eq!(file.left_out[9_999].entry, EntryKind::Prediction(9_999));
    assert_eq!(file.left_out[9_999].place.line, 10_000);
    assert!(
        file.notes[0].starts_with("12000 entries were left out"),
        "{:?}",
        file.notes
    );
}

#[test]
fn deep_nesting_needs_no_stack() {
    let levels = 200_000;
    let deep = "[".repeat(levels) + &"]".repeat(levels);
    for text in [
        results_with(&[("score", Some(&deep))]),
        results_with(&[("segmentation", Some(&deep))]),
    ] {
        let file = read(text);
        assert_eq!((scores(&file).len(), file.left_out_count), (2, 1));
    }
    let file = read(results_with(&[("more", Some(&deep))]));
    assert_eq!((scores(&file).len(), file.left_out_count), (3, 0));
    // Of ours such a value would have to be kept: the key alone is left out.
    let file = read(ours_with(&changed(OURS, &[("more", Some(&deep))])));
    assert_eq!(scores(&file).len(), 3);
    assert_eq!(file.left_out[0].entry, EntryKind::Extra);
    assert!(error("[".repeat(levels)).contains("line 1, column 200001"));
    assert!(error("{\"a\":".repeat(levels)).contains("line 1, column 1000001"));
}

#[test]
fn extra_keys_are_read_and_written() {
    let first = changed(
        OURS,
        &[
            ("score", Some("0.125")),
            ("track", Some("[1, {\"a\": null}]")),
        ],
    );
    let text = format!(
        r#"{{"a.png": {{"camera": "left", "height": 3, "width": 4, "predictions": [{first}, {{}}, {OURS}], "bad": NaN}}}}"#
    );
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("out.json");
    let file = read(&text);
    assert_eq!(file.left_out_count, 2);
    assert!(file.left_out[1].reason.starts_with("`bad` is not kept"));
    let extra = file.images[0].extra.as_ref().unwrap();
    assert_eq!(extra.detections.keys().collect::<Vec<_>>(), [&0]);
    predictions::write(&output, &file.images, &file.classes).unwrap();
    let value: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&output).unwrap()).unwrap();
    let image = &value["a.png"];
    assert_eq!(image["camera"], "left");
    assert_eq!(
        image.as_object().unwrap().keys().next_back().unwrap(),
        "camera"
    );
    // The writer sorts by score, and the key goes with its prediction.
    assert_eq!(image["predictions"][0].get("track"), None);
    assert_eq!(
        image["predictions"][1]["track"],
        serde_json::json!([1, {"a": null}])
    );
    // Once more, now in the order of the file.
    let again = predictions::read(&output).unwrap();
    assert_eq!(again.left_out_count, 0);
    assert_eq!(
        again.images[0].extra.as_ref().unwrap().detections[&1],
        extra.detections[&0]
    );
    let common = read(ours_with(OURS));
    assert_eq!(common.images[0].extra, None);
}
