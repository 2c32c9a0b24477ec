//! What comes out: the corrected set to the byte, and every other format read back.

use std::path::Path;

use maskscope::coco::Dataset;
use maskscope::coco::predictions;
use maskscope::document::review::{Edit, PredictionKey, ReviewSession, Shape, Target, Verdict};
use maskscope::jobs::JobError;
use maskscope::jobs::export::{ExportRequest, ExportSummary, Format, export};
use maskscope::structures::BoxXywh;
use serde_json::{Value, json};

use super::{Home, add, disk};

fn request(format: Format, out: &Path) -> ExportRequest {
    ExportRequest {
        format,
        out: out.to_owned(),
        predictions: None,
        prediction_hash: None,
        command_line: "maskscope export".into(),
    }
}

fn run(review: &ReviewSession, request: &ExportRequest) -> Result<ExportSummary, JobError> {
    export(
        review.set(),
        review.corrections(),
        &review.remarks(),
        request,
        &mut |_, _| true,
    )
}

fn value(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

#[test]
fn without_an_edit_it_is_the_file() {
    let home = Home::new();
    let out = home.path().join("out.json");
    run(&home.memory(), &request(Format::Coco, &out)).unwrap();
    assert!(std::fs::read(&out).unwrap() == std::fs::read(&home.json).unwrap());
}

#[test]
fn one_edit_changes_one_annotation() {
    let home = Home::new();
    let mut review = home.memory();
    let mask = disk(20.0, 15.0, 6.0);
    let painted = Edit::SetMask {
        id: 5,
        segmentation: Shape::Runs(mask.clone()),
    };
    review.apply(&painted).unwrap();
    let out = home.path().join("out.json");
    run(&review, &request(Format::Coco, &out)).unwrap();
    let (mut want, mut got) = (value(&home.json), value(&out));
    let provenance = got["info"]
        .as_object_mut()
        .unwrap()
        .remove("maskscope")
        .unwrap();
    assert_eq!(provenance["edits"]["masks_changed"], 1);
    assert_eq!(provenance["source"]["file"], "labels.json");
    let bbox = mask.bbox();
    let edited = &mut want["annotations"][1];
    edited["segmentation"] = Shape::Runs(mask.clone()).to_json();
    edited["area"] = json!(mask.area());
    edited["bbox"] = json!([bbox.x, bbox.y, bbox.width, bbox.height]);
    assert!(got == want, "{got:#}");
    // Texts of the others, to the byte.
    let text = std::fs::read_to_string(&home.json).unwrap();
    let record = &text[text.find("\"id\": 12").unwrap()..];
    let record = &record[..record.find('}').unwrap()];
    assert!(std::fs::read_to_string(&out).unwrap().contains(record));
    // Undone, the file again.
    review.undo().unwrap();
    run(&review, &request(Format::Coco, &out)).unwrap();
    assert!(std::fs::read(&out).unwrap() == std::fs::read(&home.json).unwrap());
}

#[test]
fn class_and_flag_leave_the_mask() {
    let home = Home::new();
    let mut review = home.memory();
    review
        .apply(&Edit::SetClass {
            id: 0,
            category_id: 3,
        })
        .unwrap();
    review
        .apply(&Edit::SetCrowd {
            id: 9,
            iscrowd: false,
        })
        .unwrap();
    let out = home.path().join("out.json");
    run(&review, &request(Format::Coco, &out)).unwrap();
    let (mut want, mut got) = (value(&home.json), value(&out));
    got["info"].as_object_mut().unwrap().remove("maskscope");
    want["annotations"][0]["category_id"] = json!(3);
    want["annotations"][2]["iscrowd"] = json!(0);
    assert!(got == want, "area and box of the file stay: {got:#}");
}

#[test]
fn added_deleted_and_new_categories() {
    let home = Home::new();
    let mut review = home.memory();
    let cat = Edit::AddCategory {
        name: "cat \"tom\"".into(),
        id: None,
    };
    review.apply(&cat).unwrap();
    review.apply(&Edit::Delete { ids: vec![0, 12] }).unwrap();
    let square = vec![3.0, 3.0, 9.0, 3.0, 9.0, 9.0, 3.0, 9.0];
    review
        .apply(&add(3, Shape::Polygons(vec![square.clone()])))
        .unwrap();
    review
        .apply(&Edit::SetClass {
            id: 13,
            category_id: 4,
        })
        .unwrap();
    let out = home.path().join("out.json");
    let done = run(&review, &request(Format::Coco, &out)).unwrap();
    assert_eq!(done.instances, 3);
    let got = value(&out);
    let ids: Vec<u64> = got["annotations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|a| a["id"].as_u64().unwrap())
        .collect();
    assert_eq!(ids, [5, 9, 13]);
    assert_eq!(got["annotations"][2]["segmentation"], json!([square]));
    assert_eq!(got["annotations"][2]["area"], 36);
    assert_eq!(
        got["categories"][2],
        json!({"id": 4, "name": "cat \"tom\"", "supercategory": ""})
    );
    let again = Dataset::open(&out).unwrap();
    assert_eq!(again.classes().names, ["person", "dog", "cat \"tom\""]);
    assert!(again.notes().is_empty(), "{:?}", again.notes());
}

/// A box without a mask stays one: as drawn, and without a segmentation where the file has none.
#[test]
fn boxes_alone_stay_boxes() {
    let annotation = |id: u64, segmentation: Option<Value>| {
        let mut record = json!({"id": id, "image_id": 1, "category_id": 1, "bbox": [10, 5, 20, 10], "area": 200, "iscrowd": 0});
        if let Some(segmentation) = segmentation {
            record["segmentation"] = segmentation;
        }
        record
    };
    let polygon = json!([[1, 1, 20, 1, 20, 20]]);
    let home = Home::of(&json!({
        "images": [{"id": 1, "file_name": "a", "width": 40, "height": 30}],
        "categories": [{"id": 1, "name": "x"}],
        "annotations": [annotation(1, None), annotation(2, Some(json!([]))), annotation(3, Some(polygon))],
    }));
    let mut review = home.memory();
    for id in 1..=3 {
        let old = Shape::Box(BoxXywh::new(10.0, 5.0, 20.0, 10.0));
        let (from, to) = (
            BoxXywh::new(10.0, 5.0, 20.0, 10.0),
            BoxXywh::new(12.5, 6.0, 10.0, 4.0),
        );
        let segmentation = old.mapped(from, to);
        review.apply(&Edit::SetMask { id, segmentation }).unwrap();
    }
    let out = home.path().join("out.json");
    run(&review, &request(Format::Coco, &out)).unwrap();
    let got = value(&out);
    let want = [None, Some(json!([])), Some(json!([]))];
    for (record, want) in got["annotations"].as_array().unwrap().iter().zip(want) {
        assert_eq!(record["bbox"], json!([12.5, 6.0, 10.0, 4.0]));
        assert_eq!(record["area"], json!(40.0));
        assert_eq!(record.get("segmentation"), want.as_ref(), "{record}");
    }
    Dataset::open(&out).unwrap();
}

/// Lists and blocks that are missing, null or of another kind.
#[test]
fn sets_without_the_usual_blocks() {
    for (text, has_info) in [
        (
            r#"{"images": [{"id": 1, "file_name": "a", "width": 40, "height": 30}]}"#,
            true,
        ),
        (
            r#"{"images": [{"id": 1, "file_name": "a", "width": 40, "height": 30}], "annotations": null, "categories": null, "info": null}"#,
            true,
        ),
        (
            r#"{"info": "by hand", "categories": [], "annotations": [], "images": [{"id": 1, "file_name": "a", "width": 40, "height": 30}]}"#,
            false,
        ),
        (
            r#"{"info": {}, "categories": [ ], "annotations": [ ], "images": [{"id": 1, "file_name": "a", "width": 40, "height": 30}]}"#,
            true,
        ),
    ] {
        let home = Home::of(&json!({}));
        std::fs::write(&home.json, text).unwrap();
        let mut review = home.memory();
        let cat = Edit::AddCategory {
            name: "cat".into(),
            id: Some(1),
        };
        review.apply(&cat).unwrap();
        let new = review
            .apply(&add(1, Shape::Runs(disk(9.0, 9.0, 4.0))))
            .unwrap();
        assert_eq!(new.new_ids, [1]);
        let out = home.path().join("out.json");
        run(&review, &request(Format::Coco, &out)).unwrap();
        let got = value(&out);
        assert_eq!(
            got["annotations"].as_array().map(Vec::len),
            Some(1),
            "{text}"
        );
        assert_eq!(got["categories"][0]["name"], "cat", "{text}");
        assert_eq!(got["info"].get("maskscope").is_some(), has_info, "{text}");
        let set = Dataset::open(&out).unwrap();
        assert_eq!(set.annotations(0).kept[0].mask, disk(9.0, 9.0, 4.0));
    }
}

#[test]
fn the_set_itself_is_refused() {
    let home = Home::new();
    let refused = run(&home.memory(), &request(Format::Coco, &home.json));
    assert!(matches!(refused, Err(JobError::OntoItself { .. })));
    let folder = home.path().join("full");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("mine.txt"), "mine").unwrap();
    for format in [Format::Yolo, Format::Voc, Format::Overlays] {
        let refused = run(&home.memory(), &request(format, &folder));
        assert!(
            matches!(refused, Err(JobError::NotEmpty { .. })),
            "{format:?}"
        );
    }
    assert_eq!(std::fs::read(folder.join("mine.txt")).unwrap(), b"mine");
}

#[test]
fn a_stopped_export_leaves_nothing() {
    let home = Home::new();
    let review = home.memory();
    for format in [
        Format::Yolo,
        Format::Voc,
        Format::Cvat,
        Format::Csv,
        Format::Predictions,
    ] {
        let out = home.path().join("stopped");
        let stopped = export(
            review.set(),
            review.corrections(),
            &review.remarks(),
            &request(format, &out),
            &mut |done, _| done < 1,
        );
        assert!(stopped.is_err(), "{format:?}");
        let left = std::fs::read_dir(home.path()).unwrap().count();
        assert_eq!(left, 1, "{format:?}: the JSON alone");
    }
}

#[test]
fn yolo_voc_cvat_and_csv_hold_the_review() {
    let home = Home::new();
    let mut review = home.memory();
    review
        .apply(&add(3, Shape::Runs(disk(20.0, 15.0, 5.0))))
        .unwrap();
    let target = Target::Annotation(13);
    let verdict = Some(Verdict::Accept);
    review
        .apply(&Edit::Verdict {
            target: target.clone(),
            verdict,
        })
        .unwrap();
    let note = "round, \"blue\"".into();
    review.apply(&Edit::Note { target, note }).unwrap();

    let yolo = home.path().join("yolo");
    let done = run(&review, &request(Format::Yolo, &yolo)).unwrap();
    assert_eq!((done.images, done.instances), (3, 4));
    assert!(
        done.notes.iter().any(|note| note.contains("1 crowds")),
        "{:?}",
        done.notes
    );
    let label = std::fs::read_to_string(yolo.join("labels/000001.txt")).unwrap();
    let lines: Vec<&str> = label.lines().collect();
    assert_eq!(
        lines[0],
        "0 0.025000 0.066667 0.225000 0.066667 0.225000 0.333333 0.025000 0.333333"
    );
    assert_eq!(lines.len(), 2, "an object in two parts is one instance");
    let yaml = std::fs::read_to_string(yolo.join("data.yaml")).unwrap();
    assert_eq!(yaml, "nc: 2\nnames:\n  0: \"person\"\n  1: \"dog\"\n");

    let voc = home.path().join("voc");
    run(&review, &request(Format::Voc, &voc)).unwrap();
    let back = hotcoco::convert::voc_to_coco(&voc).unwrap();
    assert_eq!(back.annotations.len(), 5);
    let cvat = home.path().join("cvat.xml");
    run(&review, &request(Format::Cvat, &cvat)).unwrap();
    let (back, _) = hotcoco::convert::cvat_to_coco(&cvat).unwrap();
    assert_eq!(back.images.len(), 3);
    assert_eq!(
        back.annotations.len(),
        6,
        "two parts are two polygons there"
    );

    let csv = home.path().join("table.csv");
    run(&review, &request(Format::Csv, &csv)).unwrap();
    let text = std::fs::read_to_string(&csv).unwrap();
    assert_eq!(text.lines().count(), 6);
    let last = text.lines().last().unwrap();
    assert!(last.starts_with("3,000003.png,13,1,person,"), "{last}");
    assert!(
        last.ends_with(r#",0,1,accept,,"round, ""blue""""#),
        "{last}"
    );
}

#[test]
fn rejected_predictions_stay_behind() {
    let home = Home::new();
    let mut review = home.memory();
    let all = home.path().join("all.json");
    run(&review, &request(Format::Predictions, &all)).unwrap();
    let file = predictions::read(&all).unwrap();
    assert_eq!(
        file.images
            .iter()
            .map(|image| image.detections.len())
            .sum::<usize>(),
        4
    );
    let source = maskscope::coco::content_hash(&all).unwrap();
    let image = file
        .images
        .iter()
        .find(|image| image.path == "000001.png")
        .unwrap();
    let key = PredictionKey::new(1, &source, &image.detections[1].mask);
    let reject = Edit::Verdict {
        target: Target::Prediction(key),
        verdict: Some(Verdict::Reject),
    };
    review.apply(&reject).unwrap();
    let mut kept = request(Format::Predictions, &home.path().join("kept.json"));
    kept.predictions = Some(all.clone());
    let done = run(&review, &kept).unwrap();
    assert_eq!(done.instances, 3);
    assert!(
        done.notes[0].contains("1 predictions were rejected"),
        "{:?}",
        done.notes
    );
    let mut pair = request(Format::Results, &home.path().join("run"));
    pair.predictions = Some(all);
    let done = run(&review, &pair).unwrap();
    assert_eq!(done.written.len(), 2);
    assert_eq!(
        value(&home.path().join("run.segm.json"))
            .as_array()
            .unwrap()
            .len(),
        3
    );
}

#[test]
fn results_that_know_ids_alone_keep_their_images() {
    let home = Home::new();
    let review = home.memory();
    let prefix = home.path().join("run");
    run(&review, &request(Format::Results, &prefix)).unwrap();
    let mut again = request(Format::Predictions, &home.path().join("again.json"));
    again.predictions = Some(prefix);
    assert_eq!(run(&review, &again).unwrap().instances, 4);
    let file = predictions::read(&again.out).unwrap();
    let mut paths: Vec<&str> = file.images.iter().map(|it| it.path.as_str()).collect();
    paths.sort_unstable();
    assert_eq!(paths, ["000001.png", "000002.png"]);
}

#[test]
fn overlays_and_the_report_of_a_synthetic_set() {
    use maskscope::jobs::synth::{Contents, SynthRequest, write};
    use maskscope::structures::Size;
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("set");
    let synth = SynthRequest {
        out: out.clone(),
        images: 4,
        seed: 1,
        size: Size::new(96, 64),
        contents: Contents::from(maskscope::jobs::synth::Stats::Plain),
    };
    write(&synth, &mut |_, _| true).unwrap();
    let set = std::sync::Arc::new(Dataset::open(&out).unwrap());
    let first = set.heads()[0].id;
    let mut review = ReviewSession::in_memory(set).unwrap();
    let predictions = folder.path().join("p.json");
    run(&review, &request(Format::Predictions, &predictions)).unwrap();
    review.apply(&Edit::Delete { ids: vec![first] }).unwrap();
    let pictures = folder.path().join("pictures");
    let done = run(&review, &request(Format::Overlays, &pictures)).unwrap();
    assert_eq!(done.images, 4);
    assert_eq!(std::fs::read_dir(&pictures).unwrap().count(), 4);
    let mut html = request(Format::Html, &folder.path().join("report"));
    assert!(matches!(
        run(&review, &html),
        Err(JobError::ReportWithoutPredictions)
    ));
    html.predictions = Some(predictions);
    run(&review, &html).unwrap();
    let numbers = value(&folder.path().join("report/numbers.json"));
    let ap = numbers["segm"]["AP"].as_f64().unwrap();
    assert!(
        ap > 0.5 && ap < 1.0,
        "one prediction has no annotation any more: {ap}"
    );
    assert!(folder.path().join("report/report.html").is_file());
}

/// Every set of the machine: no edit, the same bytes; one mask edited, that record alone differs.
#[test]
fn real_sets_come_back() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    let sets = crate::coco::round_trip::sets_below(&root);
    if sets.is_empty() {
        eprintln!("skipped: no set in {}", root.display());
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out.json");
    for json in sets {
        let set = std::sync::Arc::new(Dataset::open(&json).unwrap());
        let mut review = ReviewSession::in_memory(set).unwrap();
        run(&review, &request(Format::Coco, &out)).unwrap();
        let name = json.display();
        assert!(
            std::fs::read(&out).unwrap() == std::fs::read(&json).unwrap(),
            "{name}"
        );
        let head = review
            .set()
            .heads()
            .get(review.set().heads().len() / 2)
            .copied();
        let Some(head) = head else { continue };
        let mask = review.mask(head.id).unwrap();
        let inverted = Shape::Runs(mask.inverted());
        let edit = Edit::SetMask {
            id: head.id,
            segmentation: inverted.clone(),
        };
        review.apply(&edit).unwrap();
        run(&review, &request(Format::Coco, &out)).unwrap();
        let (mut want, mut got) = (value(&json), value(&out));
        let info = got["info"]
            .as_object_mut()
            .map(|info| info.remove("maskscope"));
        if want.get("info").is_none() {
            got.as_object_mut().unwrap().remove("info");
        }
        assert!(info.is_some(), "{name}");
        let records = want["annotations"].as_array_mut().unwrap();
        let at = records
            .iter()
            .position(|record| record["id"] == json!(head.id))
            .unwrap();
        for key in ["segmentation", "area", "bbox"] {
            records[at][key] = got["annotations"][at][key].clone();
        }
        assert_eq!(records[at]["segmentation"], inverted.to_json(), "{name}");
        assert!(got == want, "{name}");
    }
}

#[test]
fn the_command_line_does_all_of_it() {
    let home = Home::new();
    let maskscope = |words: &[&str]| {
        std::process::Command::new(env!("CARGO_BIN_EXE_maskscope"))
            .args(words)
            .current_dir(home.path())
            .env("XDG_DATA_HOME", home.path().join("data-home"))
            .output()
            .unwrap()
    };
    let script = r#"
{"edit":"set_class","id":5,"category_id":1}
{"edit":"add","image_id":3,"category_id":1,"segmentation":[[1,1,9,1,9,9]]}
{"edit":"undo"}
{"edit":"redo"}
{"edit":"verdict","target":{"annotation":9},"verdict":"bad_mask"}
"#;
    std::fs::write(home.path().join("edits.jsonl"), script).unwrap();
    let done = maskscope(&["review", "labels.json", "--apply", "edits.jsonl"]);
    assert!(
        done.status.success(),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
    let lines: Vec<Value> = done
        .stdout
        .split(|&b| b == b'\n')
        .filter(|l| !l.is_empty())
        .map(|line| serde_json::from_slice(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 5);
    assert_eq!(lines[1]["new_ids"], json!([13]));
    let list = maskscope(&["review", "labels.json", "--list", "--json"]);
    let list: Value = serde_json::from_slice(&list.stdout).unwrap();
    assert_eq!(list["edits"]["added"], 1);
    assert_eq!(list["opinions"][0]["verdict"], "bad_mask");
    assert_eq!(list["history"].as_array().unwrap().len(), 3);
    let text = maskscope(&["review", "labels.json", "--list"]);
    let text = String::from_utf8_lossy(&text.stdout).into_owned();
    assert!(
        text.contains("Make dog #5 in 000001.png a person"),
        "{text}"
    );

    std::fs::write(
        home.path().join("wrong.jsonl"),
        "{\"edit\":\"delete\",\"ids\":[0]}\n{\"edit\":\"delete\",\"ids\":[77]}\n",
    )
    .unwrap();
    let refused = maskscope(&["review", "labels.json", "--apply", "wrong.jsonl"]);
    assert_eq!(refused.status.code(), Some(1));
    let words = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        words.contains("line 2") && words.contains("no annotation 77"),
        "{words}"
    );

    for (format, out) in [
        ("coco", "c.json"),
        ("csv", "t.csv"),
        ("audit", "a.csv"),
        ("yolo", "y"),
        ("voc", "v"),
        ("cvat", "c.xml"),
        ("predictions", "p.json"),
        ("results", "r"),
        ("overlays", "o"),
    ] {
        let done = maskscope(&[
            "export",
            "labels.json",
            "--format",
            format,
            "--out",
            out,
            "--json",
        ]);
        assert!(
            done.status.success(),
            "{format}: {}",
            String::from_utf8_lossy(&done.stderr)
        );
        let _: Value = serde_json::from_slice(&done.stdout).unwrap();
    }
    let corrected = Dataset::open(&home.path().join("c.json")).unwrap();
    assert_eq!(corrected.heads().len(), 4, "one more, one less");
    let before = std::fs::read(&home.json).unwrap();
    for format in ["coco", "audit", "csv"] {
        let words = [
            "export",
            "labels.json",
            "--format",
            format,
            "--out",
            "./labels.json",
        ];
        assert_eq!(maskscope(&words).status.code(), Some(1), "{format}");
    }
    assert!(std::fs::read(&home.json).unwrap() == before);
    assert_eq!(
        maskscope(&["export", "labels.json", "--format", "gif", "--out", "x"])
            .status
            .code(),
        Some(2)
    );
    assert_eq!(maskscope(&["review", "labels.json"]).status.code(), Some(2));
}
