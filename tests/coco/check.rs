//! The health report: each kind of finding from a record that has it, and none from one that has not.

use std::path::{Path, PathBuf};

use maskscope::coco::check::{Kind, Report, Severity, check};
use maskscope::coco::{CocoError, Dataset};
use maskscope::jobs::check as job;
use maskscope::structures::Size;

/// Images of 20×10 with and without annotations; the annotations are put in.
fn set_of(annotations: &str) -> String {
    format!(
        "{{\"images\": [{{\"id\": 1, \"file_name\": \"a.png\", \"width\": 20, \"height\": 10}}],\n\
         \"categories\": [{{\"id\": 5, \"name\": \"x\"}}],\n\"annotations\": [\n{annotations}\n]}}"
    )
}

fn report_of(json: &[u8]) -> Report {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("set.json");
    std::fs::write(&path, json).unwrap();
    let set = Dataset::open(&path).unwrap();
    let report = check(&set, None, &mut |_, _| true).unwrap();
    // Everything the set itself drops is an error of the report.
    let dropped: usize = (0..set.images().len())
        .map(|image| set.annotations(image).dropped.len())
        .sum();
    let lost = set.heads().len() - set.annotation_count();
    let unreadable = report.annotations - set.heads().len();
    assert_eq!(report.left_out, dropped + lost + unreadable, "{report:#?}");
    report
}

fn kinds(report: &Report) -> Vec<(Kind, usize)> {
    report
        .counts
        .iter()
        .map(|known| (known.kind, known.count))
        .collect()
}

/// A square of 8×8 at (2, 1) as its fields, to be varied.
const SQUARE: &str = r#""id": 1, "image_id": 1, "category_id": 5, "iscrowd": 0, "area": 64, "bbox": [2, 1, 8, 8], "segmentation": [[2, 1, 10, 1, 10, 9, 2, 9]]"#;

#[test]
fn a_sound_annotation_has_no_finding() {
    let report = report_of(set_of(&format!("{{{SQUARE}}}")).as_bytes());
    assert_eq!(kinds(&report), [], "{report:#?}");
    assert_eq!(
        (
            report.images,
            report.annotations,
            report.left_out,
            report.categories
        ),
        (1, 1, 0, 1)
    );
}

#[test]
fn every_kind_of_annotation_is_found() {
    for (from, to, want) in [
        (
            r#""bbox": [2, 1, 8, 8]"#,
            r#""bbox": [7, 1, 8, 8]"#,
            &[Kind::BoxAgainstMask][..],
        ),
        (
            r#""bbox": [2, 1, 8, 8]"#,
            r#""bbox": [2, 1, -8, 8]"#,
            &[Kind::BoxSize],
        ),
        (
            r#""bbox": [2, 1, 8, 8]"#,
            r#""bbox": [2, 1, 8, 12]"#,
            &[Kind::BoxAgainstMask, Kind::OutsideImage],
        ),
        (
            r#""bbox": [2, 1, 8, 8]"#,
            r#""bbox": [2, NaN, 8, 8]"#,
            &[Kind::AlteredField, Kind::MissingBox],
        ),
        (r#""bbox": [2, 1, 8, 8], "#, "", &[Kind::MissingBox]),
        (r#""area": 64"#, r#""area": 100"#, &[Kind::AreaAgainstMask]),
        (r#""area": 64"#, r#""area": -64"#, &[Kind::AreaAgainstMask]),
        (
            r#""area": 64"#,
            r#""area": "?""#,
            &[Kind::AlteredField, Kind::MissingArea],
        ),
        (r#""area": 64, "#, "", &[Kind::MissingArea]),
        (
            r#""iscrowd": 0"#,
            r#""iscrowd": 1"#,
            &[Kind::CrowdWithoutRle],
        ),
        (r#""id": 1"#, r#""id": 0"#, &[Kind::AnnotationIdZero]),
        (
            r#""id": 1"#,
            r#""id": -1"#,
            &[Kind::UnreadableRecord, Kind::NoAnnotations],
        ),
        (r#""id": 1"#, r#""id": 1, "id": 2"#, &[Kind::RepeatedKey]),
        (
            r#""image_id": 1"#,
            r#""image_id": 2"#,
            &[Kind::UnknownImage, Kind::NoAnnotations],
        ),
        (
            r#""category_id": 5"#,
            r#""category_id": 6"#,
            &[Kind::UnknownCategory],
        ),
        (
            "10, 9, 2, 9]]",
            "10, 9, 2, 9], [1, 1, 2, 2]]",
            &[Kind::ShortPolygon],
        ),
        ("10, 9, 2, 9]]", "10, 9, 2, 9, 3]]", &[Kind::OddCoordinates]),
        ("10, 9, 2, 9]]", "10, 9, 2, 19]]", &[Kind::OutsideImage]),
        (
            "[[2, 1, 10, 1, 10, 9, 2, 9]]",
            "[[2, 1, 10, 1]]",
            &[Kind::BadPolygon],
        ),
        (
            "[[2, 1, 10, 1, 10, 9, 2, 9]]",
            "[[2, 1, NaN, 1, 10, 9]]",
            &[Kind::BadPolygon],
        ),
        (
            "[[2, 1, 10, 1, 10, 9, 2, 9]]",
            "[[2.2, 1.2, 2.3, 1.2, 2.3, 1.3]]",
            &[Kind::EmptyMask, Kind::AreaAgainstMask],
        ),
        ("[[2, 1, 10, 1, 10, 9, 2, 9]]", "[]", &[Kind::BoxAsMask]),
        (
            "[[2, 1, 10, 1, 10, 9, 2, 9]]",
            r#"{"size": [10, 20], "counts": [21, 64]}"#,
            &[Kind::ShortRle],
        ),
        (
            "[[2, 1, 10, 1, 10, 9, 2, 9]]",
            r#"{"size": [10, 20], "counts": [200, 1]}"#,
            &[Kind::BadRle],
        ),
        (
            "[[2, 1, 10, 1, 10, 9, 2, 9]]",
            r#"{"size": [10, 20], "counts": "e0~"}"#,
            &[Kind::BadRle],
        ),
        (
            "[[2, 1, 10, 1, 10, 9, 2, 9]]",
            r#"{"size": [20, 10], "counts": "e05"}"#,
            &[Kind::BadRle],
        ),
        (
            "[[2, 1, 10, 1, 10, 9, 2, 9]]",
            r#"{"counts": "e05"}"#,
            &[Kind::BadRle],
        ),
        (
            r#", "bbox": [2, 1, 8, 8], "segmentation": [[2, 1, 10, 1, 10, 9, 2, 9]]"#,
            "",
            &[Kind::NoMask],
        ),
    ] {
        let annotation = SQUARE.replacen(from, to, 1);
        assert_ne!(annotation, SQUARE);
        let report = report_of(set_of(&format!("{{{annotation}}}")).as_bytes());
        let mut found: Vec<Kind> = report.counts.iter().map(|known| known.kind).collect();
        let mut want = want.to_vec();
        found.sort();
        want.sort();
        assert_eq!(found, want, "{to}: {report:#?}");
        for finding in &report.findings {
            let near = [Kind::NoAnnotations].contains(&finding.kind);
            assert_eq!(finding.line, Some(if near { 1 } else { 4 }), "{finding:?}");
        }
    }
}

#[test]
fn ids_names_and_records_of_the_whole_set() {
    let json = br#"{"images": [
 {"id": 1, "file_name": "a.png", "width": 20, "height": 10},
 {"id": 1, "file_name": "b.png", "width": 20, "height": 10},
 {"id": 2, "file_name": "a.png", "width": 20, "height": 10},
 {"id": 3, "file_name": "c.png", "width": -20, "height": 10},
 {"id": 4, "file_name": "d.png", "width": 4000000000, "height": 10},
 {"id": 5, "file_name": "NOT", "width": 20, "height": 10}],
"categories": [{"id": 1, "name": "x"}, {"id": 2, "name": "x"}, {"id": 1, "name": "z"}, {"id": 3}, {"id": "?"}],
"annotations": [], "annotations": [
 {"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 1, 2, 2], "area": 4, "segmentation": []},
 {"id": 1, "image_id": 3, "category_id": 1, "bbox": [1, 1, 2, 2], "area": 4},
 {"id": 2, "image_id": 4, "category_id": 1, "bbox": [1, 1, 2, 2], "area": 4},
 "x", {"id" 3}]}"#;
    // A byte that is no UTF-8 in a name.
    let at = json.windows(3).position(|w| w == b"NOT").unwrap();
    let mut json = json.to_vec();
    json[at + 1] = 0xff;
    let report = report_of(&json);
    let mut want = vec![
        (Kind::RepeatedImageId, 1),
        (Kind::RepeatedFileName, 1),
        (Kind::ImageWithoutSize, 2),
        (Kind::AlteredField, 1),
        (Kind::NotUtf8, 1),
        (Kind::RepeatedCategoryName, 1),
        (Kind::RepeatedCategoryId, 1),
        (Kind::UnnamedCategory, 1),
        (Kind::RepeatedKey, 1),
        (Kind::RepeatedAnnotationId, 1),
        (Kind::UnreadableRecord, 3),
        (Kind::BoxAsMask, 1),
        (Kind::NoAnnotations, 3),
    ];
    want.sort();
    assert_eq!(kinds(&report), want, "{report:#?}");
    let unreadable = report.of(Kind::UnreadableRecord);
    assert_eq!(
        (unreadable[1].line, unreadable[1].column),
        (Some(13), Some(2))
    );
    assert_eq!(
        (unreadable[2].line, unreadable[2].column),
        (Some(13), Some(13))
    );
    assert!(
        unreadable[2]
            .text
            .contains("number 4 of annotations: expected a colon"),
        "{unreadable:?}"
    );
    assert!(
        report
            .findings
            .iter()
            .all(|finding| finding.severity == finding.kind.severity())
    );
    assert_eq!(
        report.of(Kind::RepeatedAnnotationId)[0].annotation_id,
        Some(1)
    );
    assert_eq!(
        report.of(Kind::RepeatedImageId)[0].image.as_deref(),
        Some("b.png")
    );
}

#[test]
fn image_files_are_looked_at() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    for name in ["right.png", "other.png", "corrupt.png"] {
        let side = if name == "right.png" { 20 } else { 10 };
        image::RgbImage::new(side, 10).save(path(name)).unwrap();
    }
    std::fs::write(path("corrupt.png"), b"\x89PNG\r\n\x1a\n hello").unwrap();
    let images: Vec<String> = ["right.png", "other.png", "corrupt.png", "none.png", ""]
        .iter()
        .zip(1..)
        .map(|(name, id)| {
            format!("{{\"id\": {id}, \"file_name\": \"{name}\", \"width\": 20, \"height\": 10}}")
        })
        .collect();
    std::fs::write(
        path("set.json"),
        format!("{{\"images\": [{}]}}", images.join(",")),
    )
    .unwrap();
    let request = job::CheckRequest {
        path: path("set.json"),
        images: None,
    };
    let (mut opened, mut checked) = (false, false);
    let report = job::run(&request, &mut |progress| {
        match progress {
            job::CheckProgress::Opening(..) => opened = true,
            job::CheckProgress::Checking(done, total) => checked = (done, total) == (5, 5),
        }
        true
    })
    .unwrap();
    assert!(opened && checked);
    assert_eq!(
        kinds(&report),
        [
            (Kind::MissingFile, 2),
            (Kind::CorruptFile, 1),
            (Kind::SizeMismatch, 1),
            (Kind::NoAnnotations, 5)
        ]
    );
    let text = &report.of(Kind::SizeMismatch)[0].text;
    assert!(
        text.contains("other.png: the file is 10×10, the set says 20×10"),
        "{text}"
    );
    let stopped = job::run(&request, &mut |_| false);
    assert!(stopped.unwrap_err().to_string().contains("stopped before"));
}

#[test]
fn real_sets_are_sound_but_for_what_is_known() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    for (folder, left_out) in [
        ("coco_tiny/train2017", 0),
        ("coco_tiny/val2017", 0),
        ("balloon/val2017", 0),
        ("brain_tumor/valid", 0),
    ] {
        let path: PathBuf = root.join(folder);
        if !path.is_dir() {
            eprintln!("skipped: {} is not there", path.display());
            continue;
        }
        let request = job::CheckRequest { path, images: None };
        let report = job::run(&request, &mut |_| true).unwrap();
        assert_eq!(report.left_out, left_out, "{folder}");
        let errors = report
            .counts
            .iter()
            .filter(|known| known.severity == Severity::Error);
        assert_eq!(errors.count(), 0, "{folder}: {:?}", report.counts);
        eprintln!("{folder}: {:?}", kinds(&report));
        if folder.starts_with("brain") {
            assert_eq!(
                report.count(Kind::AnnotationIdZero),
                1,
                "{:?}",
                report.counts
            );
        }
    }
}

#[test]
fn a_check_can_be_stopped_and_notices_a_changed_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("set.json");
    std::fs::write(&path, set_of(&format!("{{{SQUARE}}}"))).unwrap();
    let set = Dataset::open(&path).unwrap();
    let probe = |_: &maskscope::coco::DatasetImage| Ok(Size::new(20, 10));
    let stopped = check(&set, Some(&probe), &mut |_, _| false);
    assert!(matches!(stopped, Err(CocoError::Cancelled { .. })));
    std::fs::write(&path, "{}").unwrap();
    assert!(matches!(
        check(&set, None, &mut |_, _| true),
        Err(CocoError::Changed { .. })
    ));
}
