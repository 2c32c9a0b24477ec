//! Open and save: the same bytes without an edit, one record's difference with one.

use std::path::{Path, PathBuf};

use maskscope::coco::dataset::Role;
use maskscope::coco::save::{Edits, NotAnObject, save, with_fields};
use maskscope::coco::{CocoError, Dataset};
use serde_json::{Value, json};

use super::fuzz::Rng;

/// Every JSON below a folder that opens as a set.
pub fn sets_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "json") && Dataset::open(&path).is_ok()
            {
                found.push(path);
            }
        }
    }
    found
}

fn value(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

#[test]
fn real_sets_are_saved_as_they_are() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    let sets = sets_below(&root);
    if sets.is_empty() {
        eprintln!("skipped: no set in {}", root.display());
        return;
    }
    assert!(sets.len() >= 5, "{sets:?}");
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out.json");
    for json in sets {
        let set = Dataset::open(&json).unwrap();
        save(&set, &out, &Edits::default()).unwrap();
        assert!(
            std::fs::read(&json).unwrap() == std::fs::read(&out).unwrap(),
            "{}",
            json.display()
        );

        let Some(head) = set.heads().get(set.heads().len() / 2) else {
            continue;
        };
        let record = set.record(head).unwrap();
        let mut edits = Edits::default();
        edits
            .replace(
                head,
                with_fields(&record, &[("reviewed", json!(true))]).unwrap(),
            )
            .unwrap();
        save(&set, &out, &edits).unwrap();
        let mut want = value(&json);
        let records = want["annotations"].as_array_mut().unwrap();
        let at = records
            .iter()
            .position(|a| a["id"] == json!(head.id))
            .unwrap();
        records[at]["reviewed"] = json!(true);
        assert!(value(&out) == want, "{}", json.display());
    }
}

/// What JSON allows and tools write: all of it must come through.
const NASTY: [&str; 6] = [
    "\u{feff}{\"info\": {\"year\": \"2023\", \"nested\": {\"a\": [[], {}, [{\"b\": null}]]}}, \"categories\": \
     [{\"id\": 1, \"name\": \"Öl\\u00e4\", \"keypoints\": [\"x\"]}], \"annotations\": [{\"id\": 1, \"image_id\": 1, \
     \"category_id\": 1, \"bbox\": [1.10, 2.0e0, 3, 1], \"area\": 3.0000000000000004, \"attributes\": {\"occluded\": \
     false, \"big\": 123456789012345678901234567890, \"tiny\": 1E-400}, \"segmentation\": [[1,1,3.50,1,3,3]]}], \
     \"images\": [{\"id\": 1, \"width\": 9, \"height\": 9, \"file_name\": \"Bild ü.png\", \"date\": null}], \
     \"zzz\": [1,2,{\"images\": []}]}",
    "{\r\n\t\"images\" :\t[ {\"id\":1,\"width\":9,\"height\":9,\"file_name\":\"a\"} ] ,\r\n\t\"annotations\"\t:[\r\n\t\t\
     {\"id\":1,\"image_id\":1,\"category_id\":1,\"bbox\":[1,1,2,2]}\t,\r\n\t\t{\"id\" : 2 , \"image_id\" : 1 , \
     \"category_id\" : 1,\"bbox\":[1,1,2,2] }\r\n\t],\"categories\":[{\"id\":1,\"name\":\"x\"}]\r\n}\r\n",
    "{\"images\":[{\"id\":1,\"width\":9,\"height\":9,\"file_name\":\"a]},{\\\"\"}],\"annotations\":[],\"categories\":[]}",
    "{\"images\":[{\"id\":1.0,\"width\":\"9\",\"height\":9,\"file_name\":\"a\"}],\"annotations\":null,\"extra\":{}}",
    "{\"images\":[],\"extra\":\"annotations\"}",
    "{\"images\":[{\"id\":1,\"width\":9,\"height\":9,\"file_name\":\"a\"}],\"annotations\":[3,{\"id\":1,\"image_id\":1,\
     \"category_id\":1,\"score\":NaN,\"caption\":\"},{\"},{\"id\":-1}]}",
];

/// A folder, the path of a set of that text in it, and one to save to.
fn place(text: &str) -> (tempfile::TempDir, PathBuf, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let (json, out) = (
        folder.path().join("in.json"),
        folder.path().join("out.json"),
    );
    std::fs::write(&json, text).unwrap();
    (folder, json, out)
}

#[test]
fn nasty_sets_are_saved_as_they_are() {
    for text in NASTY {
        let (_place, json, out) = place(text);
        let set = Dataset::open(&json).unwrap_or_else(|error| panic!("{text}: {error}"));
        save(&set, &out, &Edits::default()).unwrap();
        assert_eq!(std::fs::read_to_string(&out).unwrap(), text);
    }
}

#[test]
fn an_added_annotation_is_found_again() {
    for text in NASTY {
        let (_place, json, out) = place(text);
        let set = Dataset::open(&json).unwrap();
        let mut edits = Edits::default();
        for id in [77, 78] {
            let record = json!({"id": id, "image_id": 1, "category_id": 1, "bbox": [0, 0, 2, 2]});
            edits.add(record.to_string().into_bytes()).unwrap();
        }
        save(&set, &out, &edits).unwrap();
        let saved = Dataset::open(&out).unwrap_or_else(|error| panic!("{text}: {error}"));
        let ids: Vec<u64> = saved.heads().iter().map(|head| head.id).collect();
        let mut want: Vec<u64> = set.heads().iter().map(|head| head.id).collect();
        want.extend([77, 78]);
        assert_eq!(ids, want, "{text}");
        let before = std::fs::read_to_string(&json).unwrap();
        let after = std::fs::read_to_string(&out).unwrap();
        assert!(after.contains("zzz") == before.contains("zzz") && after.len() > before.len());
    }
}

/// A set of `count` annotations in one of four styles of white space.
fn styled(count: usize, style: usize) -> String {
    let records: Vec<String> = (0..count)
        .map(|id| format!("{{\"id\": {id}, \"image_id\": 1, \"category_id\": 1, \"x\": {id}.50}}"))
        .collect();
    let (open, between, close) = [
        ("[", ",", "]"),
        ("[ ", ", ", " ]"),
        ("[\r\n  ", ",\r\n  ", "\r\n ]"),
        ("[\n", " ,", "\n]"),
    ][style];
    format!(
        "{{\"images\": [{{\"id\": 1}}], \"annotations\": {open}{}{close}, \"categories\": []}}",
        records.join(between)
    )
}

#[test]
fn any_mixture_of_edits_changes_those_alone() {
    // Each save waits for the disk.
    for seed in 0..300 {
        let mut rng = Rng::new(seed);
        let count = rng.below(7);
        let (_place, json, out) = place(&styled(count, rng.below(4)));
        let set = Dataset::open(&json).unwrap();
        let before = value(&json);
        let mut want = Vec::new();
        let mut edits = Edits::default();
        for (head, record) in set
            .heads()
            .iter()
            .zip(before["annotations"].as_array().unwrap())
        {
            match rng.below(3) {
                0 => edits.remove(head),
                1 => {
                    let text = set.record(head).unwrap();
                    let text =
                        with_fields(&text, &[("x", json!([1])), ("new", json!("y"))]).unwrap();
                    edits.replace(head, text).unwrap();
                    let mut changed = record.clone();
                    changed["x"] = json!([1]);
                    changed["new"] = json!("y");
                    want.push(changed);
                }
                _ => want.push(record.clone()),
            }
        }
        for id in 0..rng.below(3) {
            let added = json!({"id": 100 + id});
            edits.add(added.to_string().into_bytes()).unwrap();
            want.push(added);
        }
        save(&set, &out, &edits).unwrap();
        let after: Value = serde_json::from_slice(&std::fs::read(&out).unwrap())
            .unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        assert_eq!(after["annotations"], Value::from(want), "seed {seed}");
        assert_eq!(
            (&after["images"], &after["categories"]),
            (&before["images"], &before["categories"])
        );
    }
}

#[test]
fn fields_are_changed_and_the_others_keep_their_digits() {
    let record = br#"{"id": 7, "area": 1.50, "big": 12345678901234567890123, "\u0061rea2": 1e5 }"#;
    let text = with_fields(
        record,
        &[
            ("area", json!(2.25)),
            ("area2", json!(null)),
            ("bbox", json!([1, 2])),
        ],
    )
    .unwrap();
    assert_eq!(
        String::from_utf8(text).unwrap(),
        r#"{"id": 7, "area": 2.25, "big": 12345678901234567890123, "\u0061rea2": null , "bbox": [1,2]}"#
    );
    assert_eq!(
        with_fields(b"{}", &[("a", json!(1))]).unwrap(),
        br#"{"a": 1}"#
    );
    for text in ["[]", "", "{\"a\":1", "{} x"] {
        assert_eq!(
            with_fields(text.as_bytes(), &[]),
            Err(NotAnObject),
            "{text}"
        );
        assert_eq!(
            Edits::default().add(text.into()),
            Err(NotAnObject),
            "{text}"
        );
    }
}

#[test]
fn a_set_is_saved_over_itself_and_a_changed_file_is_noticed() {
    let (_place, json, out) = place(NASTY[1]);
    let set = Dataset::open(&json).unwrap();
    assert_eq!(set.annotations(0).kept.len(), 2);
    let mut edits = Edits::default();
    edits.remove(&set.heads()[0]);
    save(&set, &json, &edits).unwrap();
    let again = Dataset::open(&json).unwrap();
    assert_eq!(again.annotations(0).kept.len(), 1);
    // The old index must not be used with the new bytes.
    let error = set.read_annotations(0).unwrap_err();
    assert!(
        matches!(error, CocoError::Changed { .. }) && error.to_string().contains("in.json"),
        "{error}"
    );
    assert!(set.annotations(0).dropped[0].contains("was changed"));
    assert!(matches!(
        save(&set, &out, &edits),
        Err(CocoError::Changed { .. })
    ));
    assert!(!out.exists());
    // Changed in place.
    let text = std::fs::read_to_string(&json).unwrap();
    std::fs::write(&json, &text[..text.len() - 2]).unwrap();
    assert!(matches!(
        again.read_annotations(0),
        Err(CocoError::Changed { .. })
    ));
    std::fs::remove_file(&json).unwrap();
    assert!(matches!(
        again.read_annotations(0),
        Err(CocoError::Changed { .. })
    ));
}

#[test]
fn an_output_that_cannot_be_written_is_named() {
    let (_place, json, out) = place(NASTY[1]);
    let set = Dataset::open_with(&json, Role::Any, None, &mut |_| true).unwrap();
    let error = save(&set, &out.join("no/x.json"), &Edits::default()).unwrap_err();
    assert!(error.to_string().contains("x.json"), "{error}");
}
