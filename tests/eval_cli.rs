//! `maskscope eval` and `maskscope suspects` from outside: numbers, block, JSON, report, bad input.

mod report;
mod suspects;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use crate::eval::bad_input::{self, File};
use crate::support::fixtures;

fn maskscope(command: &str) -> Command {
    let mut process = Command::new(env!("CARGO_BIN_EXE_maskscope"));
    process.arg(command).stdin(Stdio::null());
    process
}

fn eval(set: &Path, predictions: &Path) -> Command {
    let mut command = maskscope("eval");
    command.arg(set).arg("--predictions").arg(predictions);
    command
}

/// Exit code, standard output, standard error.
fn run(command: &mut Command) -> (Option<i32>, String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().expect("the binary starts");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    (status.code(), text(stdout), text(stderr))
}

/// Standard output of a run that must succeed.
fn done(command: &mut Command) -> String {
    let (code, stdout, stderr) = run(command);
    assert_eq!(code, Some(0), "{stderr}");
    stdout
}

fn numbers(command: &mut Command) -> Value {
    serde_json::from_str(&done(command.arg("--json"))).expect("stdout is JSON alone")
}

fn write(path: &Path, value: &Value) -> PathBuf {
    std::fs::write(path, value.to_string()).unwrap();
    path.to_owned()
}

/// A case of the fixtures: its files and what pycocotools found.
struct Case {
    name: String,
    gt: PathBuf,
    dt: PathBuf,
    expected: Value,
}

impl Case {
    /// Results of a kind when every annotation counts.
    fn right(&self, kind: &str) -> &Value {
        let right = &self.expected[format!("{kind}_ids_from_1")];
        if right.is_null() {
            &self.expected[kind]
        } else {
            right
        }
    }
}

/// The cases whose files lie in their own folder.
fn cases() -> Vec<Case> {
    let root = fixtures::folder("eval");
    let mut found: Vec<Case> = std::fs::read_dir(&root)
        .unwrap()
        .filter_map(|entry| {
            let folder = entry.unwrap().path();
            let (gt, dt) = (folder.join("gt.json"), folder.join("dt.json"));
            (gt.is_file() && dt.is_file()).then(|| Case {
                name: folder.file_name().unwrap().to_string_lossy().into_owned(),
                expected: fixtures::json(&folder.join("expected.json")),
                gt,
                dt,
            })
        })
        .collect();
    found.sort_by(|a, b| a.name.cmp(&b.name));
    assert!(found.len() >= 5, "no cases in {}", root.display());
    found
}

fn case(name: &str) -> Case {
    let found = cases().into_iter().find(|case| case.name == name);
    found.unwrap_or_else(|| panic!("no case {name}"))
}

fn stats(of_kind: &Value) -> Vec<u64> {
    let bits = |value: &Value| value.as_f64().unwrap().to_bits();
    match of_kind {
        Value::Object(map) => map.values().map(bits).collect(),
        Value::Array(list) => list.iter().map(bits).collect(),
        other => panic!("no numbers: {other}"),
    }
}

const KEYS: [&str; 12] = [
    "AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100", "ARs", "ARm", "ARl",
];

#[test]
fn json_has_pycocotools_numbers_to_the_last_bit() {
    for case in cases() {
        let mut command = eval(&case.gt, &case.dt);
        let found = numbers(command.args(["--rank-by", "score"]));
        let keys: Vec<_> = found.as_object().unwrap().keys().take(5).collect();
        assert_eq!(
            keys,
            ["bbox", "segm", "per_class", "images", "detections"],
            "{}",
            case.name
        );
        for kind in ["bbox", "segm"] {
            let keys: Vec<_> = found[kind].as_object().unwrap().keys().collect();
            assert_eq!(keys, KEYS, "{}", case.name);
            let want = &case.right(kind)["stats"];
            assert_eq!(stats(&found[kind]), stats(want), "{} {kind}", case.name);
        }
        let mut command = eval(&case.gt, &case.dt);
        let as_theirs = numbers(command.args(["--rank-by", "score", "--pycocotools-ids"]));
        for kind in ["bbox", "segm"] {
            let want = &case.expected[kind]["stats"];
            assert_eq!(stats(&as_theirs[kind]), stats(want), "{} {kind}", case.name);
        }
    }
}

#[test]
fn masks_are_ranked_by_the_mask_score_unless_told_otherwise() {
    let case = case("mask_scoring");
    let found = numbers(&mut eval(&case.gt, &case.dt));
    assert_eq!(found["rank_by"], "iou_score");
    let by_mask_score = &case.expected["segm_by_mask_score"];
    assert_eq!(stats(&found["segm"]), stats(&by_mask_score["stats"]));
    assert_eq!(
        stats(&found["bbox"]),
        stats(&case.expected["bbox"]["stats"])
    );
    let set = fixtures::json(&case.gt);
    let per_class = found["per_class"].as_object().unwrap();
    for category in set["categories"].as_array().unwrap() {
        let of_class = &per_class[category["name"].as_str().unwrap()];
        let id = category["id"].to_string();
        for (key, want) in [
            ("segm_AP", &by_mask_score["per_category_ap"][&id]),
            ("bbox_AP", &case.expected["bbox"]["per_category_ap"][&id]),
        ] {
            let difference = of_class[key].as_f64().unwrap() - want.as_f64().unwrap();
            assert!(difference.abs() <= 1e-12, "{id} {key}: {difference:e}");
        }
    }
}

#[test]
fn the_block_is_printed_line_for_line() {
    for case in cases() {
        let mut command = eval(&case.gt, &case.dt);
        let printed = done(command.args(["--rank-by", "score"]));
        let mut lines = printed.lines();
        let mut next = || lines.next().unwrap_or_default();
        for (kind, title) in [("bbox", "Bbox"), ("segm", "Segmentation")] {
            let right = case.right(kind);
            assert_eq!(next(), "Loading and preparing results...", "{}", case.name);
            let load = next();
            assert!(
                load.starts_with("DONE (t=") && load.ends_with("s)"),
                "{load}"
            );
            assert_eq!(next(), "creating index...");
            assert_eq!(next(), "index created!");
            assert_eq!(next(), "Running per image evaluation...");
            assert_eq!(next(), format!("Evaluate annotation type *{kind}*"));
            let evaluated = next();
            assert!(evaluated.starts_with("DONE (t=") && evaluated.ends_with("s)."));
            assert_eq!(next(), "Accumulating evaluation results...");
            assert!(next().ends_with("s)."));
            for want in right["summary"].as_array().unwrap() {
                assert_eq!(next(), want.as_str().unwrap(), "{}", case.name);
            }
            let ap = right["stats"][0].as_f64().unwrap();
            assert_eq!(next(), format!("{title} eval result: {ap:?}"));
        }
        assert_eq!(next(), "");
        assert_eq!(next(), "Evaluation done!");
        assert_eq!(next(), "");
        assert_eq!(next(), "Done!");
        let time = next();
        assert!(time.starts_with("Time taken: ") && time.ends_with(" seconds"));
        assert_eq!(next(), "");
    }
}

#[test]
fn real_results_tell_that_pycocotools_would_miscount() {
    let Some(data) = fixtures::real_data("brain_tumor") else {
        return;
    };
    let results = data.join("results_valid/coco_instances_results.json");
    let mut command = eval(&data.join("valid"), &results);
    let (code, stdout, stderr) = run(command.arg("--json"));
    assert_eq!(code, Some(0), "{stderr}");
    let found: Value = serde_json::from_str(&stdout).unwrap();
    let ap = |found: &Value, kind: &str| format!("{:.4}", found[kind]["AP"].as_f64().unwrap());
    assert_eq!(
        (ap(&found, "segm"), ap(&found, "bbox")),
        ("0.4745".into(), "0.4484".into())
    );
    assert_eq!(
        (&found["images"], &found["detections"]),
        (&json!(201), &json!(588))
    );
    let notice = stderr
        .lines()
        .find(|line| line.contains("annotation id 0: pycocotools would miscount"))
        .expect("the notice");
    for number in ["0.4745", "0.4685", "0.4484", "0.4413"] {
        assert!(notice.contains(number), "{notice}");
    }
    let mut command = eval(&data.join("valid"), &results);
    let theirs = numbers(command.arg("--pycocotools-ids"));
    assert_eq!(
        (ap(&theirs, "segm"), ap(&theirs, "bbox")),
        ("0.4685".into(), "0.4413".into())
    );
}

/// `P.bbox.json` with scores and `P.segm.json` with mask scores of a case's results.
fn write_pair(case: &Case, prefix: &Path) {
    let results = fixtures::json(&case.dt);
    let rows = |score: &str, shape: &str| -> Value {
        let rows = results.as_array().unwrap().iter();
        rows.map(|row| {
            json!({
                "image_id": row["image_id"], "category_id": row["category_id"],
                "bbox": row["bbox"], "score": row[score], shape: row[shape],
            })
        })
        .collect()
    };
    let path = |suffix: &str| PathBuf::from(format!("{}{suffix}", prefix.display()));
    write(&path(".bbox.json"), &rows("score", "bbox"));
    write(&path(".segm.json"), &rows("mask_score", "segmentation"));
}

#[test]
fn a_pair_of_lists_has_both_scores() {
    let case = case("mask_scoring");
    let home = tempfile::tempdir().unwrap();
    let prefix = home.path().join("run");
    write_pair(&case, &prefix);
    let found = numbers(&mut eval(&case.gt, &prefix));
    assert_eq!(
        stats(&found["bbox"]),
        stats(&case.expected["bbox"]["stats"])
    );
    assert_eq!(
        stats(&found["segm"]),
        stats(&case.expected["segm_by_mask_score"]["stats"])
    );
    // Lists that part are evaluated each by itself.
    let segm = home.path().join("run.segm.json");
    let mut rows = fixtures::json(&segm);
    let list = rows.as_array_mut().unwrap();
    list.reverse();
    write(&segm, &rows);
    let (code, stdout, stderr) = run(eval(&case.gt, &prefix).arg("--json"));
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stderr.contains("each by their own list"), "{stderr}");
    let apart: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(apart["bbox"], found["bbox"]);
    assert_eq!(apart["segm"], found["segm"]);
}

#[test]
fn boxes_alone_have_no_numbers_of_masks() {
    let case = case("basic");
    let home = tempfile::tempdir().unwrap();
    let mut results = fixtures::json(&case.dt);
    for row in results.as_array_mut().unwrap() {
        row.as_object_mut().unwrap().remove("segmentation");
    }
    let path = write(&home.path().join("boxes.json"), &results);
    let (code, stdout, stderr) = run(eval(&case.gt, &path).arg("--json"));
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stderr.contains("boxes alone"), "{stderr}");
    let found: Value = serde_json::from_str(&stdout).unwrap();
    assert!(found["segm"].is_null());
    assert_eq!(
        stats(&found["bbox"]),
        stats(&case.expected["bbox"]["stats"])
    );
    let per_class = found["per_class"].as_object().unwrap();
    assert!(per_class.values().all(|class| class["segm_AP"].is_null()));
    let out = home.path().join("out");
    done(eval(&case.gt, &path).arg("--out").arg(&out));
    assert!(out.join("report.html").is_file());
    let (code, _, stderr) = run(maskscope("suspects")
        .arg(&case.gt)
        .arg("--predictions")
        .arg(&path));
    assert_eq!(code, Some(1));
    assert!(stderr.contains("no masks"), "{stderr}");
}

/// Numbers and reports of input with one thing wrong.
#[test]
fn what_is_wrong_is_reported_with_its_place_and_the_rest_is_used() {
    let home = tempfile::tempdir().unwrap();
    for case in bad_input::all() {
        let (gt, dt) = (home.path().join("gt.json"), home.path().join("dt.json"));
        std::fs::write(&gt, &case.ground_truth).unwrap();
        std::fs::write(&dt, &case.results).unwrap();
        let mut command = eval(&gt, &dt);
        let (code, stdout, stderr) = run(command.args(["--json", "--rank-by", "score"]));
        assert_eq!(code, Some(0), "{}: {stderr}", case.name);
        let found: Value = serde_json::from_str(&stdout).unwrap();
        for &kind in case.kinds {
            let want = case.clean_numbers(kind).map(f64::to_bits);
            let got = stats(&found[kind.name()]);
            assert_eq!(got, want, "{} {}: {stderr}", case.name, kind.name());
        }
        for report in &case.reports {
            let file = match report.file {
                File::GroundTruth => "gt.json",
                File::Results => "dt.json",
            };
            // The path of the folder is no place in a file.
            let told = stderr
                .lines()
                .filter(|line| line.contains(file))
                .any(|line| {
                    let place = line.find(file).map_or(0, |at| at + file.len());
                    report.told_by(&line[place..])
                });
            assert!(told, "{}: {report:?} in\n{stderr}", case.name);
        }
    }
}

#[test]
fn a_query_restricts_images_and_both_sides() {
    let case = case("basic");
    let home = tempfile::tempdir().unwrap();
    let set = fixtures::json(&case.gt);
    let results = fixtures::json(&case.dt);
    let keep = |list: &Value, key: &str, value: &Value| -> Value {
        let list = list.as_array().unwrap().iter();
        list.filter(|record| record[key] == *value)
            .cloned()
            .collect()
    };
    // One image: the same as files with that image alone.
    let id = &set["images"][0]["id"];
    let one = json!({
        "images": keep(&set["images"], "id", id), "categories": set["categories"],
        "annotations": keep(&set["annotations"], "image_id", id),
    });
    let gt = write(&home.path().join("gt.json"), &one);
    let dt = write(
        &home.path().join("dt.json"),
        &keep(&results, "image_id", id),
    );
    let want = numbers(&mut eval(&gt, &dt));
    let mut command = eval(&case.gt, &case.dt);
    let found = numbers(command.args(["--where", &format!("image.id = {id}")]));
    assert_eq!(found["segm"], want["segm"]);
    assert_eq!(found["bbox"], want["bbox"]);
    assert_eq!(found["images"], 1);
    // One class: the others have nothing left to measure.
    let category = &set["categories"][0];
    let name = category["name"].as_str().unwrap();
    let whole = numbers(&mut eval(&case.gt, &case.dt));
    let mut command = eval(&case.gt, &case.dt);
    let found = numbers(command.args(["--where", &format!("class = '{name}'")]));
    assert_eq!(found["per_class"][name], whole["per_class"][name]);
    assert_eq!(found["segm"]["AP"], whole["per_class"][name]["segm_AP"]);
    let others = found["per_class"].as_object().unwrap();
    assert!(
        others
            .iter()
            .all(|(class, of)| class == name || of["segm_AP"] == json!(-1.0))
    );
    // A measured IoU is asked of predictions alone: recall stays what good masks reach.
    let mut command = eval(&case.gt, &case.dt);
    let found = numbers(command.args(["--where", "measured_iou >= 0.5"]));
    assert!(found["detections"].as_u64() < whole["detections"].as_u64());
    assert_eq!(found["segm"]["AR100"], whole["segm"]["AR100"]);
    assert!(found["segm"]["AP"].as_f64() >= whole["segm"]["AP"].as_f64());
}

#[test]
fn refusals_say_what_and_exit() {
    let case = case("basic");
    let check = |command: &mut Command, code: i32, needles: &[&str]| {
        let (got, stdout, stderr) = run(command);
        assert_eq!(got, Some(code), "{stderr}");
        assert_eq!(stdout, "");
        for needle in needles {
            assert!(stderr.contains(needle), "`{needle}` in {stderr}");
        }
        assert!(!stderr.contains("panicked"), "{stderr}");
    };
    check(maskscope("eval").arg(&case.gt), 2, &["--predictions"]);
    let rank = |by: &str| {
        let mut command = eval(&case.gt, &case.dt);
        command.args(["--rank-by", by]);
        command
    };
    check(&mut rank("luck"), 2, &["mask_iou"]);
    check(
        &mut rank("mask_iou"),
        1,
        &["no prediction has a `mask_iou`"],
    );
    let filter = |query: &str| {
        let mut command = eval(&case.gt, &case.dt);
        command.args(["--where", query]);
        command
    };
    check(&mut filter("scroe > 0.5"), 2, &["column 1", "score"]);
    check(
        &mut filter("class = nothing_such"),
        1,
        &["--where", "nothing_such"],
    );
    check(&mut filter("tp > 3"), 2, &["outcome"]);
    let absent = case.gt.with_file_name("absent.json");
    check(&mut eval(&absent, &case.dt), 1, &["absent.json"]);
    check(
        &mut eval(&case.gt, &absent),
        1,
        &["absent.json", "--checkpoint"],
    );
    check(&mut eval(&case.gt, &case.gt), 1, &["gt.json", "data set"]);
    check(
        eval(&case.gt, &case.dt)
            .args(["--out"])
            .arg(case.dt.join("x")),
        1,
        &["dt.json"],
    );
    let kind = ["--predictions", "x", "--kind", "odd"];
    check(
        maskscope("suspects").arg(&case.gt).args(kind),
        2,
        &["missing_label"],
    );
}

/// A set of pictures whose ground truth is what the fixture model finds on them.
#[test]
fn a_checkpoint_is_run_and_its_predictions_are_kept() {
    let home = tempfile::tempdir().unwrap();
    let photos = crate::infer::photos(home.path(), 3);
    let images: Value = (0..3)
        .map(|n| json!({"id": n + 4, "width": 150, "height": 120, "file_name": format!("{n:03}.png")}))
        .collect();
    let categories: Value = (0..3)
        .map(|n| json!({"id": 7 * n + 2, "name": format!("c{n}")}))
        .collect();
    let set = |annotations: Value| {
        let set = json!({"images": images, "categories": categories, "annotations": annotations});
        write(&home.path().join("photos/labels.json"), &set)
    };
    let prefix = home.path().join("kept");
    let model = |gt: &Path| {
        let mut command = maskscope("eval");
        command.arg("--checkpoint");
        command.arg(fixtures::folder("tiny_pytorch_style").join("model.pth"));
        command.args([
            "--set",
            "img_width=160",
            "--set",
            "img_height=128",
            "--device",
            "cpu",
        ]);
        command.arg(gt).arg("--images").arg(&photos);
        command
    };
    let gt = set(json!([]));
    let first = numbers(model(&gt).arg("--predictions").arg(&prefix));
    assert!(first["detections"].as_u64().unwrap() > 0);
    let segm = fixtures::json(&home.path().join("kept.segm.json"));
    let bbox = fixtures::json(&home.path().join("kept.bbox.json"));
    let rows = segm.as_array().unwrap();
    assert_eq!(rows.len() as u64, first["detections"].as_u64().unwrap());
    assert_eq!(bbox.as_array().unwrap().len(), rows.len());
    // The best of them as ground truth: then there is something to find.
    let best: Value = rows
        .iter()
        .step_by(3)
        .zip(1..)
        .map(|(row, id)| {
            json!({
                "id": id, "image_id": row["image_id"], "category_id": row["category_id"],
                "bbox": row["bbox"], "segmentation": row["segmentation"], "iscrowd": 0,
            })
        })
        .collect();
    let gt = set(best);
    let from_model = numbers(&mut model(&gt));
    assert!(from_model["detections"].as_u64().unwrap() > 0);
    let ids: Vec<_> = categories
        .as_array()
        .unwrap()
        .iter()
        .map(|c| &c["id"])
        .collect();
    assert!(rows.iter().all(|row| ids.contains(&&row["category_id"])));
    let (code, stdout, stderr) = run(model(&gt).arg("--predictions").arg(&prefix).arg("--json"));
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stderr.contains("Load predictions from file: "), "{stderr}");
    assert!(stderr.contains("the checkpoint was not run"), "{stderr}");
    let from_files: Value = serde_json::from_str(&stdout).unwrap();
    for key in ["bbox", "segm", "per_class", "images", "detections"] {
        assert_eq!(from_files[key], from_model[key], "{key}");
    }
    // A picture that is gone: the rest is evaluated, and the command fails.
    std::fs::remove_file(photos.join("001.png")).unwrap();
    let (code, stdout, stderr) = run(model(&gt).arg("--json"));
    assert_eq!(code, Some(1));
    assert!(stderr.contains("001.png"), "{stderr}");
    let without: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(without["images"], 3);
    assert!(without["detections"].as_u64() < from_model["detections"].as_u64());
}
