//! Data sets: layouts, categories, masks of every spelling, what has to be left out.

use std::path::{Path, PathBuf};

use maskscope::coco::dataset::{JsonKind, Role, kind_of_json};
use maskscope::coco::{CocoError, Dataset};
use maskscope::structures::{BoxXywh, Size};

/// One image of 6×4 and one annotation of every spelling.
const SET: &str = r#"{
 "images": [
  {"id": 7, "file_name": "a.png", "width": 6, "height": 4},
  {"id": 3, "file_name": "b.png", "width": 6, "height": 4},
  {"id": 9, "file_name": "sizeless.png"}],
 "categories": [
  {"id": 5, "name": "Tumor"}, {"id": 2, "name": "Tumor"}, {"id": 11, "name": "other"}],
 "annotations": [
  {"id": 0, "image_id": 7, "category_id": 5, "iscrowd": 0, "area": 6.5, "bbox": [1, 1, 2, 2],
   "segmentation": [[1, 1, 3, 1, 3, 3, 1, 3], [4, 0, 6, 0, 6, 2, 4, 2], [0, 0, 1, 1]]},
  {"id": 1, "image_id": 7, "category_id": 2, "iscrowd": 1, "segmentation": {"size": [4, 6], "counts": [4, 8, 12]}},
  {"id": 2, "image_id": 7, "category_id": 11, "segmentation": {"size": [4, 6], "counts": "488"}},
  {"id": 3, "image_id": 7, "category_id": 11, "bbox": [1, 0, 2, 4], "segmentation": []},
  {"id": 4, "image_id": 7, "category_id": 99, "bbox": [1, 0, 2, 4]},
  {"id": 5, "image_id": 7, "category_id": 11, "segmentation": {"size": [6, 4], "counts": "488"}},
  {"id": 6, "image_id": 7, "category_id": 11, "segmentation": {"size": [4, 6], "counts": "4~8"}},
  {"id": 7, "image_id": 7, "category_id": 11, "segmentation": [[0, 0, 1, 1]], "bbox": [0, 0, 1, 1]},
  {"id": 8, "image_id": 7, "category_id": 11},
  {"id": 9, "image_id": 9, "category_id": 11, "bbox": [0, 0, 1, 1]},
  {"id": 10, "image_id": 1234, "category_id": 11, "bbox": [0, 0, 1, 1]}]}"#;

struct Place(tempfile::TempDir);

impl Place {
    fn new(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        Self(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

#[test]
fn masks_of_every_spelling() {
    let place = Place::new(&[("labels.json", SET), ("data/a.png", ""), ("data/b.png", "")]);
    let set = Dataset::open(&place.path("")).unwrap();
    assert_eq!(set.classes().names, ["Tumor", "Tumor#5", "other"]);
    assert_eq!(set.classes().category_ids, [2, 5, 11]);
    assert_eq!(set.annotation_count(), 10);
    assert_eq!(set.missing(), 1);
    let notes = set.notes().join("\n");
    assert!(
        notes.contains("`Tumor#5`") && notes.contains("1 annotations belong to no image"),
        "{notes}"
    );
    let found = set.annotations(0);
    let brief: Vec<_> = found
        .kept
        .iter()
        .map(|a| (a.id, a.label, a.is_crowd, a.mask.area(), a.area))
        .collect();
    assert_eq!(
        brief,
        [
            (0, 1, false, 8, 6.5),
            (1, 0, true, 8, 8.0),
            (2, 2, false, 8, 8.0),
            (3, 2, false, 8, 8.0)
        ]
    );
    let parts = &found.kept[0].mask;
    assert!(parts.contains(1, 1) && parts.contains(5, 0) && !parts.contains(3, 1));
    assert_eq!(found.kept[1].mask.runs(), [4, 8, 12]);
    assert_eq!(found.kept[1].mask, found.kept[2].mask);
    assert_eq!(found.kept[2].bbox, BoxXywh::new(1.0, 0.0, 2.0, 4.0));
    assert_eq!(
        found.kept[3].mask, found.kept[2].mask,
        "a box without a mask is its rectangle"
    );
    for (reason, words) in found.dropped.iter().zip([
        "annotation 4 of a.png: category 99",
        "its mask is 4×6, the image 6×4",
        "position 1",
        "three vertices",
        "neither a mask nor a box",
    ]) {
        assert!(reason.contains(words), "{reason}");
    }
    assert_eq!(found.dropped.len(), 5);
    assert_eq!(set.annotations(1).kept.len(), 0);
    assert!(set.annotations(2).dropped[0].contains("no width and height"));
    assert_eq!(set.annotations(99), Default::default());
}

#[test]
fn every_layout_is_found() {
    let image = |folder: &str| format!("{folder}a.png");
    for (json, images, opened) in [
        ("labels.json", "data/", ""),
        ("labels.json", "data/", "data"),
        ("annotations/instances_val2017.json", "val2017/", ""),
        ("annotations/instances_val2017.json", "val2017/", "val2017"),
        (
            "annotations/instances_val2017.json",
            "images/",
            "annotations/instances_val2017.json",
        ),
        ("annotations/custom_val.json", "val2017/", "val2017"),
        ("annotations/custom_val.json", "val2017/", ""),
        ("train/_annotations.coco.json", "train/", "train"),
        ("sub/anything.json", "sub/", "sub"),
        ("sub/anything.json", "sub/images/", "sub/anything.json"),
    ] {
        let place = Place::new(&[(json, SET), (&image(images), "")]);
        let set = Dataset::open(&place.path(opened))
            .unwrap_or_else(|error| panic!("{json} by `{opened}`: {error}"));
        assert!(
            set.images()[0].exists,
            "{json} by `{opened}`: {}",
            set.folder().display()
        );
        assert_eq!(set.images()[0].declared, Some(Size::new(6, 4)));
    }
    let place = Place::new(&[("x/s.json", SET), ("elsewhere/b.png", "")]);
    let set = Dataset::open_as(
        &place.path("x/s.json"),
        Role::Any,
        Some(&place.path("elsewhere")),
    )
    .unwrap();
    assert!(set.images()[1].exists && !set.images()[0].exists);
}

#[test]
fn paths_of_another_machine_are_found_by_their_name() {
    let json = SET
        .replace("\"a.png\"", r#""C:\\data\\set\\a.png""#)
        .replace("\"b.png\"", "\"/home/x/b.png\"");
    let place = Place::new(&[("set.json", &json), ("a.png", ""), ("b.png", "")]);
    let set = Dataset::open(&place.path("set.json")).unwrap();
    assert!(set.images()[0].exists && set.images()[1].exists);
    assert_eq!(set.images()[1].path, place.path("b.png"));
}

#[test]
fn several_sets_in_one_folder_need_a_role() {
    let place = Place::new(&[
        ("annotations/instances_train.json", SET),
        ("annotations/instances_val.json", SET),
        ("annotations/captions_val.json", SET),
    ]);
    let Err(error) = Dataset::open(&place.path("")) else {
        panic!("opened one of two");
    };
    let text = error.to_string();
    assert!(
        text.contains("instances_train.json, instances_val.json"),
        "{text}"
    );
    let set = Dataset::open_as(&place.path(""), Role::Val, None).unwrap();
    assert!(set.json().ends_with("instances_val.json"));
}

#[test]
fn what_is_no_set_is_named() {
    let place = Place::new(&[
        ("empty/x.txt", ""),
        ("results.json", "[{}]"),
        ("predictions.json", "{\"a.png\": {}}"),
        ("text.json", "hello"),
        ("zero.json", ""),
        ("cut.json", &SET[..300]),
        ("wrong.json", "{\"images\": 3}"),
    ]);
    for (name, words) in [
        ("none.json", "cannot read"),
        ("empty", "looked for labels.json"),
        ("results.json", "open it as predictions"),
        ("predictions.json", "open it as predictions"),
        ("text.json", "no JSON object"),
        ("zero.json", "empty (0 bytes)"),
        ("cut.json", "line 8, column 17"),
        ("wrong.json", "a list of records (line 1, column 12"),
    ] {
        let Err(error) = Dataset::open(&place.path(name)) else {
            panic!("{name} was opened");
        };
        let text = error.to_string();
        assert!(
            text.contains(words) && text.contains(name),
            "{name}: {text}"
        );
    }
    assert_eq!(
        kind_of_json(&place.path("results.json")).unwrap(),
        JsonKind::Results
    );
    assert_eq!(
        kind_of_json(&place.path("cut.json")).unwrap(),
        JsonKind::Dataset
    );
}

#[test]
fn a_record_that_does_not_fit_costs_itself() {
    let json = SET
        .replace(
            "\"id\": 3, \"file_name\"",
            "\"id\": \"three\", \"file_name\"",
        )
        .replace(
            "{\"id\": 2, \"image_id\": 7",
            "{\"id\": 2, \"image_id\": -7",
        )
        .replacen('{', "{\"info\": {\"year\": \"2023\"},", 1);
    let place = Place::new(&[("set.json", &json)]);
    let set = Dataset::open(&place.path("set.json")).unwrap();
    assert_eq!((set.images().len(), set.annotation_count()), (2, 9));
    let notes = set.notes().join("\n");
    for words in [
        "1 images could not be read",
        "number 1: ",
        "1 annotations could not be read",
    ] {
        assert!(notes.contains(words), "{words}: {notes}");
    }
}

#[test]
fn sizes_beyond_any_picture_are_refused() {
    let json = SET.replace("\"width\": 6", "\"width\": 4000000000");
    let place = Place::new(&[("set.json", &json)]);
    let set = Dataset::open(&place.path("set.json")).unwrap();
    let found = set.annotations(0);
    assert!(found.kept.is_empty());
    assert!(
        found.dropped[0].contains("too large"),
        "{:?}",
        found.dropped
    );
}

#[test]
fn masks_of_real_sets_are_hotcoco_s() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    for (folder, images, annotations) in [
        ("coco_tiny/train2017", 80, 705),
        ("coco_tiny/val2017", 80, 815),
        ("balloon/val2017", 13, 50),
        ("brain_tumor/valid", 201, 128),
    ] {
        let folder = root.join(folder);
        if !folder.is_dir() {
            eprintln!("skipped: {} is not there", folder.display());
            continue;
        }
        let set = Dataset::open(&folder).unwrap();
        assert_eq!(
            (set.images().len(), set.annotation_count()),
            (images, annotations),
            "{}",
            folder.display()
        );
        assert_eq!(set.missing(), 0);
        // hotcoco itself refuses Roboflow's year.
        let text = std::fs::read_to_string(set.json()).unwrap();
        let text = text.replace("\"year\":\"2023\"", "\"year\":2023");
        let theirs = hotcoco::COCO::from_dataset(serde_json::from_str(&text).unwrap());
        for index in 0..images {
            let found = set.annotations(index);
            assert!(found.dropped.is_empty(), "{:?}", found.dropped);
            for annotation in found.kept {
                let want = theirs
                    .ann_to_rle(theirs.get_ann(annotation.id).unwrap())
                    .unwrap();
                assert_eq!(
                    annotation.mask.runs(),
                    want.counts,
                    "annotation {}",
                    annotation.id
                );
            }
        }
    }
    let ambiguous = Dataset::open(&root.join("coco_tiny"));
    if root.is_dir() {
        assert!(matches!(ambiguous, Err(CocoError::Ambiguous { .. })));
    }
}
