//! Prediction files: exact form, round trips, resumption, damage, disks that fill.

use std::path::Path;

use maskscope::coco::predictions::{self, Writer};
use maskscope::coco::{CocoError, PredictedImage};
use maskscope::structures::{BoxXywh, ClassTable, Detection, MaskQuality, Rle, Size};

fn detection(score: f64, mask_iou: Option<f64>) -> Detection {
    Detection {
        bbox: BoxXywh::new(f64::from(279.310_4_f32), 0.0, 2.5, 1e-7),
        label: 1,
        score,
        mask_iou,
        iou_score: score * mask_iou.unwrap_or(1.0),
        mask: Rle::new(Size::new(4, 3), vec![1, 4, 7]).unwrap(),
        quality: None,
    }
}

fn image(path: &str, scores: &[f64]) -> PredictedImage {
    let detections = scores
        .iter()
        .map(|&score| detection(score, Some(0.75)))
        .collect();
    PredictedImage::new(path.into(), Size::new(4, 3), detections)
}

fn classes() -> ClassTable {
    ClassTable::from_names(["person", "träm"])
}

/// Written by hand from semantics.md 7.1; the layout is that of Python's `json.dump(indent=1)`.
const EXACT: &str = r#"{
 "a/empty.png": {
  "height": 3,
  "width": 4,
  "predictions": []
 },
 "a/\u00e9.png": {
  "height": 3,
  "width": 4,
  "predictions": [
   {
    "bbox": {
     "x_min": 279.3103942871094,
     "y_min": 0.0,
     "width": 2.5,
     "height": 1e-07
    },
    "class": {
     "label": 1,
     "category_id": "unknown",
     "name": "tr\u00e4m"
    },
    "mask": {
     "size": [
      3,
      4
     ],
     "counts": "147"
    },
    "score": 0.5,
    "iou_score": 0.375,
    "mask_iou": 0.75
   }
  ]
 }
}"#;

#[test]
fn the_form_is_exactly_the_seed_s() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("out.json");
    let mut writer = Writer::create(&output, "h").unwrap();
    // Not in name order: the file is.
    writer
        .append(&image("a/é.png", &[0.5]), &classes())
        .unwrap();
    writer
        .append(&image("a/empty.png", &[]), &classes())
        .unwrap();
    assert!(!output.exists(), "nothing before finish");
    writer.finish().unwrap();
    assert_eq!(std::fs::read_to_string(&output).unwrap(), EXACT);
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
    assert_eq!(left.len(), 1, "{left:?}");
}

#[test]
fn what_is_written_reads_back() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("out.json");
    let mut first = image("1.png", &[0.25, 0.9, 0.5]);
    first.detections[0].mask_iou = None;
    first.detections[1].quality = Some(MaskQuality {
        stability: 0.1 + 0.2,
        mean_foreground: 1.0 / 3.0,
    });
    let images = vec![first, image("2.png", &[])];
    predictions::write(&output, &images, &classes()).unwrap();
    let file = predictions::read(&output).unwrap();
    let mut want = images;
    want[0]
        .detections
        .sort_by(|a, b| b.score.total_cmp(&a.score));
    assert_eq!(file.images, want);
    assert_eq!(file.classes.names, ["class 0", "träm"]);
    assert!(file.notes.is_empty(), "{:?}", file.notes);
    // Once more without estimates: the old side file must not stay.
    predictions::write(&output, &[image("2.png", &[0.5])], &classes()).unwrap();
    assert!(!folder.path().join("out.json.quality.json").exists());
}

#[test]
fn a_backslash_in_counts_is_escaped_and_read() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("out.json");
    let size = Size::new(2, 25);
    let mut one = image("1.png", &[0.5]);
    one.size = size;
    one.detections[0].mask = Rle::new(size, vec![44, 6]).unwrap();
    predictions::write(&output, std::slice::from_ref(&one), &classes()).unwrap();
    let text = std::fs::read_to_string(&output).unwrap();
    assert!(text.contains(r#""counts": "\\16""#), "{text}");
    assert_eq!(predictions::read(&output).unwrap().images, [one]);
}

#[test]
fn category_ids_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("out.json");
    let table = ClassTable {
        names: vec!["a".into(), "b".into()],
        category_ids: vec![3, 17],
    };
    predictions::write(&output, &[image("1.png", &[0.5])], &table).unwrap();
    let file = predictions::read(&output).unwrap();
    assert_eq!(file.classes.category_id(1), Some(17));
}

#[test]
fn mask_iou_may_be_absent_or_null() {
    let text = |keys: &str| {
        format!(
            r#"{{"x.jpg": {{"height": 3, "width": 4, "extra": [1], "predictions": [{{"unknown": {{}},
            "bbox": {{"x_min": 1, "y_min": 2, "width": 3, "height": 4}},
            "class": {{"label": 0, "category_id": "unknown", "name": "a"}},
            "mask": {{"size": [3, 4], "counts": "147"}}, {keys}}}]}}}}"#
        )
    };
    for (keys, mask_iou, iou_score) in [
        (r#""score": 0.5, "iou_score": 0.25"#, Some(0.5), 0.25),
        (
            r#""score": 0.5, "iou_score": 0.5, "mask_iou": null"#,
            None,
            0.5,
        ),
        (r#""score": 0.0, "iou_score": 0.0"#, None, 0.0),
        (
            r#""score": 0.5, "iou_score": 0.1, "mask_iou": 0.4"#,
            Some(0.4),
            0.1,
        ),
    ] {
        let (_folder, path) = file_with(text(keys).as_bytes());
        let file = predictions::read(&path).unwrap();
        let detection = &file.images[0].detections[0];
        assert_eq!(
            (detection.mask_iou, detection.iou_score),
            (mask_iou, iou_score),
            "{keys}"
        );
    }
}

fn file_with(bytes: &[u8]) -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file.json");
    std::fs::write(&path, bytes).unwrap();
    (folder, path)
}

#[test]
fn errors_name_the_place() {
    for (bytes, words) in [
        (&b""[..], "empty"),
        (b"  \n", "nothing but blanks"),
        (b"x", "begins with `x`"),
        (b"{\"a\": 3}", "line 1, column 7"),
        (b"[1, 2]", "line 1, column 2"),
        (b"[{\"name\": \"a\"}]", "image_id is missing"),
        (b"{\"images\": [], \"annotations\": []}", "data set"),
        (b"[{}, ]", "line 1, column 6"),
        (b"[{}]\n]", "line 2, column 1"),
        (&EXACT.as_bytes()[..200], "line 14, column 9"), // behind the last byte
    ] {
        let (_folder, path) = file_with(bytes);
        let text = predictions::read(&path).unwrap_err().to_string();
        assert!(text.contains(words), "{words}: {text}");
        assert!(text.contains("file.json"), "{text}");
    }
}

#[test]
fn a_partial_file_cut_anywhere_resumes() {
    // In memory where there is such a folder: every file here waits for its disk.
    let memory = Path::new("/dev/shm");
    let folder = tempfile::tempdir_in(memory)
        .or_else(|_| tempfile::tempdir())
        .unwrap();
    let output = folder.path().join("out.json");
    let images: Vec<_> = (0..3)
        .map(|i| image(&format!("{i}.png"), &[0.5, 0.25]))
        .collect();
    let mut writer = Writer::create(&output, "h").unwrap();
    let partial = writer.partial_path().to_owned();
    for image in &images {
        writer.append(image, &classes()).unwrap();
    }
    let whole = std::fs::read(&partial).unwrap();
    writer.finish().unwrap();
    let want = std::fs::read(&output).unwrap();
    let lines: Vec<usize> = (0..whole.len()).filter(|&i| whole[i] == b'\n').collect();
    for cut in 0..=whole.len() {
        std::fs::write(&partial, &whole[..cut]).unwrap();
        let mut resumed = Writer::resume_or_create(&output, "h").unwrap();
        let expected = lines
            .iter()
            .filter(|&&end| end < cut)
            .count()
            .saturating_sub(1);
        assert_eq!(resumed.done.len(), expected, "cut at {cut}");
        for image in images
            .iter()
            .filter(|image| !resumed.done.contains(&image.path))
        {
            resumed.writer.append(image, &classes()).unwrap();
        }
        resumed.writer.finish().unwrap();
        assert_eq!(std::fs::read(&output).unwrap(), want, "cut at {cut}");
    }
}

#[test]
fn another_hash_starts_afresh_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("out.json");
    let mut writer = Writer::create(&output, "one").unwrap();
    writer.append(&image("1.png", &[]), &classes()).unwrap();
    drop(writer);
    let resumed = Writer::resume_or_create(&output, "two").unwrap();
    assert!(resumed.done.is_empty());
    assert!(resumed.note.unwrap().contains("another checkpoint"));
    drop(resumed.writer);
    std::fs::write(folder.path().join("out.json.partial"), "not ours\n").unwrap();
    let resumed = Writer::resume_or_create(&output, "two").unwrap();
    assert!(resumed.note.unwrap().contains("cannot be read"));
}

#[test]
fn two_runs_do_not_share_an_output() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("out.json");
    let _first = Writer::create(&output, "h").unwrap();
    let second = Writer::resume_or_create(&output, "h");
    assert!(matches!(second, Err(CocoError::Busy { .. })));
}

#[test]
fn an_export_leaves_a_partial_file_alone() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("out.json");
    let mut writer = Writer::create(&output, "h").unwrap();
    writer.append(&image("1.png", &[0.5]), &classes()).unwrap();
    drop(writer);
    predictions::write(&output, &[image("2.png", &[])], &classes()).unwrap();
    let resumed = Writer::resume_or_create(&output, "h").unwrap();
    assert_eq!(resumed.done, ["1.png"]);
}

#[test]
fn numbers_that_json_cannot_hold_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = Writer::create(&folder.path().join("out.json"), "h").unwrap();
    let error = writer.append(&image("1.png", &[f64::NAN]), &classes());
    assert!(matches!(
        error,
        Err(CocoError::NotFinite { what: "score", .. })
    ));
    assert!(writer.is_empty());
}

#[test]
fn outputs_that_cannot_be_written() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "x").unwrap();
    for output in [
        file.join("out.json"),
        folder.path().to_owned(),
        folder.path().join("none/out.json"),
    ] {
        let Err(error) = Writer::create(&output, "h") else {
            panic!("{} was opened", output.display());
        };
        let text = error.to_string();
        assert!(
            text.contains("cannot write") && text.contains("choose another output"),
            "{text}"
        );
    }
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "x");
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_an_error_and_devices_stay_devices() {
    let mut writer = Writer::create(Path::new("/dev/full"), "h").unwrap();
    writer.append(&image("1.png", &[0.5]), &classes()).unwrap();
    let text = writer.finish().unwrap_err().to_string();
    assert!(text.contains("No space left"), "{text}");
    assert!(!Path::new("/dev/full").is_file(), "the device was replaced");
    assert!(!Path::new("/dev/full.partial").exists());
}

/// Folder to work in, set in the process whose files may not grow.
const LIMITED: &str = "MASKSCOPE_TEST_LIMITED";

#[cfg(target_os = "linux")]
#[test]
fn a_file_size_limit_is_an_error_and_nothing_is_lost() {
    let name = "coco::predictions::a_file_size_limit_is_an_error_and_nothing_is_lost";
    if let Some(folder) = std::env::var_os(LIMITED) {
        let output = Path::new(&folder).join("out.json");
        let mut writer = Writer::create(&output, "h").unwrap();
        let error = (0..1000)
            .find_map(|i| {
                writer
                    .append(&image(&format!("{i}.png"), &[0.5; 20]), &classes())
                    .err()
            })
            .expect("the limit was never reached");
        let text = error.to_string();
        assert!(text.contains("File too large"), "{text}");
        assert!(text.contains("finished images are kept in"), "{text}");
        std::fs::write(Path::new(&folder).join("count"), writer.len().to_string()).unwrap();
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    // Its output is a pipe: a log file inherited from here would fall under the limit too.
    let child = std::process::Command::new("sh")
        .args([
            "-c",
            r#"ulimit -f 64; trap "" XFSZ; exec "$0" --exact "$1""#,
        ])
        .arg(std::env::current_exe().unwrap())
        .arg(name)
        .env(LIMITED, folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&child.stderr);
    assert!(child.status.success(), "{said}");
    let count: usize = std::fs::read_to_string(folder.path().join("count"))
        .unwrap()
        .parse()
        .unwrap();
    let resumed = Writer::resume_or_create(&folder.path().join("out.json"), "h").unwrap();
    assert!(count > 1);
    assert_eq!(resumed.done.len(), count);
}

#[test]
fn detectron2_results_open() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../shared/data/brain_tumor/results_valid/coco_instances_results.json");
    if !path.exists() {
        eprintln!("skipped: {} is not there", path.display());
        return;
    }
    let file = predictions::read(&path).unwrap();
    let rows: Vec<serde_json::Value> =
        serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let detections = file
        .images
        .iter()
        .map(|image| image.detections.len())
        .sum::<usize>();
    assert_eq!(detections, rows.len());
    assert_eq!(file.classes.names, ["category 1"]);
    assert_eq!(file.classes.category_ids, [1]);
    assert!(file.has_masks);
    assert_eq!(file.left_out_count, 0, "{:?}", file.left_out);
    for image in &file.images {
        assert_eq!(image.size, Size::new(640, 640));
        let id = image.image_id.unwrap();
        assert_eq!(image.path, id.to_string());
        // The order of the file, whatever the scores.
        let scores = rows
            .iter()
            .filter(|row| row["image_id"] == id)
            .map(|row| row["score"].as_f64().unwrap());
        assert!(scores.eq(image.detections.iter().map(|detection| detection.score)));
    }
}
