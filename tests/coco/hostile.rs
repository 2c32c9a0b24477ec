//! Sets that are broken on purpose: what is wrong has a place, the rest is used.

use std::path::PathBuf;

use maskscope::coco::check::{Kind, check};
use maskscope::coco::dataset::Role;
use maskscope::coco::{CocoError, Dataset};

const DEPTH: usize = 100_000;

fn write(text: impl AsRef<[u8]>) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("set.json");
    std::fs::write(&path, text).unwrap();
    (folder, path)
}

/// A small set with a place for something in an annotation, in a list and at the top.
fn set_with(member: &str, element: &str, top: &str) -> String {
    format!(
        "{{\"images\":[{{\"id\":1,\"file_name\":\"a\",\"width\":8,\"height\":8}}],\n\
         \"categories\":[{{\"id\":1,\"name\":\"x\"}}],\n\
         \"annotations\":[{{\"id\":1,\"image_id\":1,\"category_id\":1,\"bbox\":[1,1,2,2]}}{element},\n\
         {{\"id\":2,\"image_id\":1,\"category_id\":1,\"bbox\":[1,1,2,2]{member}}}]{top}}}"
    )
}

#[test]
fn deep_nesting_costs_its_record_at_most() {
    let deep = "[".repeat(DEPTH) + &"]".repeat(DEPTH);
    for (text, kept) in [
        (set_with(&format!(",\"extra\":{deep}"), "", ""), 2),
        (set_with(&format!(",\"segmentation\":{deep}"), "", ""), 1),
        (set_with("", &format!(",{deep}"), ""), 2),
        (set_with("", "", &format!(",\"extra\":{deep}")), 2),
        (
            set_with(
                "",
                "",
                &format!(
                    ",\"extra\":{}1{}",
                    "{\"a\":".repeat(DEPTH),
                    "}".repeat(DEPTH)
                ),
            ),
            2,
        ),
    ] {
        let (_folder, path) = write(&text);
        let set = Dataset::open(&path).unwrap();
        assert_eq!(set.annotations(0).kept.len(), kept);
        let report = check(&set, None, &mut |_, _| true).unwrap();
        assert_eq!(
            report.left_out,
            set.heads().len() - kept + report.count(Kind::UnreadableRecord)
        );
    }
    let (_folder, path) = write(set_with(
        "",
        "",
        &format!(",\"extra\":{}", "[".repeat(DEPTH)),
    ));
    let error = Dataset::open(&path).err().unwrap().to_string();
    assert!(
        error.contains("ends in the middle") && error.contains("line 4, column 100065"),
        "{error}"
    );
}

#[test]
fn a_file_cut_anywhere_is_refused_with_its_place() {
    let text = set_with(
        ",\"segmentation\":[[1,1,3,1,3,3]]",
        "",
        ",\"extra\":\"a\\\"b\"",
    );
    for length in 2..text.len() {
        let (_folder, path) = write(&text[..length]);
        let error = match Dataset::open(&path) {
            Ok(_) => panic!("{length} bytes were opened"),
            Err(error) => error,
        };
        if text[..length].contains("\"images\"") {
            let CocoError::Json {
                line,
                column,
                reason,
                ..
            } = &error
            else {
                panic!("{error}");
            };
            let lines: Vec<&str> = text[..length].split('\n').collect();
            let (want_line, last) = (lines.len(), lines.last().unwrap().len());
            // Behind the last line's end the place is that end.
            let want = if last == 0 {
                (want_line - 1, lines[want_line - 2].len() + 1)
            } else {
                (want_line, last)
            };
            assert_eq!((*line, *column), want, "{length}: {reason}");
            assert!(reason.contains("ends in the middle"), "{reason}");
        }
    }
}

#[test]
fn what_no_list_of_records_can_be() {
    for (text, words) in [
        ("{\"images\":[{\"id\":1}", "ends in the middle"),
        (
            "{\"images\":[{\"id\":1}}",
            "expected a comma or the end of the list (line 1, column 20",
        ),
        (
            "{\"images\":[{\"id\":1},]}",
            "expected a value (line 1, column 21",
        ),
        (
            "{\"images\":{}}",
            "expected `images` as a list of records (line 1, column 11",
        ),
        (
            "{\"images\":[]} x",
            "expected the end of the file (line 1, column 15",
        ),
        (
            "{\"images\":[]\n,}",
            "expected a key in quotes (line 2, column 2",
        ),
        ("{\"images\" []}", "expected a colon (line 1, column 11"),
        (
            "{\"images\":[{\"id\":1}*]}",
            "expected a comma or the end of the list (line 1, column 20",
        ),
    ] {
        let (_folder, path) = write(text);
        let error = Dataset::open(&path)
            .err()
            .unwrap_or_else(|| panic!("{text}"))
            .to_string();
        assert!(
            error.contains(words) && error.contains("set.json"),
            "{text}: {error}"
        );
    }
}

#[test]
fn what_tools_write_otherwise_is_understood() {
    let text = "\u{feff}{\"images\":[{\"id\":1.0,\"file_name\":\"a\",\"width\":\"8\",\"height\":8.0,\"license\":null}],\
        \"categories\":[{\"id\":\"1\",\"name\":null}],\"annotations\":[\
        {\"id\":\"7\",\"image_id\":1.0,\"category_id\":1,\"iscrowd\":true,\"area\":null,\"bbox\":[1,1,2,2],\"segmentation\":null},\
        {\"id\":8,\"image_id\":\"1\",\"category_id\":1e0,\"iscrowd\":\"0\",\"area\":NaN,\"bbox\":null,\"segmentation\":[1,1,3,1,3,3,1,3]},\
        {\"\\u0069d\":9,\"image_id\":1,\"category_id\":1,\"score\":-Infinity,\"bbox\":[\"1\",1,2,2]}]}";
    let (_folder, path) = write(text);
    let set = Dataset::open(&path).unwrap();
    let found = set.annotations(0);
    let brief: Vec<_> = found
        .kept
        .iter()
        .map(|a| (a.id, a.is_crowd, a.area, a.mask.area()))
        .collect();
    assert_eq!(
        brief,
        [(7, true, 4.0, 4), (8, false, 4.0, 4), (9, false, 4.0, 4)],
        "{:?}",
        found.dropped
    );
    assert_eq!(set.classes().names, ["cat_1"]);
}

#[test]
fn opening_tells_its_progress_and_can_be_stopped() {
    let many: Vec<String> = (3..60_000)
        .map(|id| format!(",{{\"id\":{id},\"image_id\":1,\"category_id\":1,\"bbox\":[1,1,2,2],\"pad\":\"{:0100}\"}}", 0))
        .collect();
    let text = set_with("", &many.concat(), "");
    let (_folder, path) = write(&text);
    let (mut last, mut images) = (0, Vec::new());
    let set = Dataset::open_with(&path, Role::Any, None, &mut |progress| {
        assert!(progress.done >= last && progress.done <= progress.total);
        assert_eq!(progress.total, text.len() as u64);
        last = progress.done;
        images.extend(
            progress
                .images
                .map(|images| (progress.done, images.clone())),
        );
        true
    })
    .unwrap();
    assert_eq!((last, set.heads().len()), (text.len() as u64, 59_999));
    // Known before the annotations are read, and the same list as the set's.
    assert_eq!(images.len(), 1);
    assert!(images[0].0 < text.len() as u64);
    assert!(std::ptr::eq(images[0].1.as_ptr(), set.images().as_ptr()));
    for stop_at in [0, 1, 2] {
        let mut calls = 0;
        let stopped = Dataset::open_with(&path, Role::Any, None, &mut |_| {
            calls += 1;
            calls <= stop_at
        });
        assert!(
            matches!(stopped, Err(CocoError::Cancelled { .. })),
            "after {stop_at}"
        );
    }
}
