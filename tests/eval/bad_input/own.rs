//! The bad inputs are what they say.

use serde_json::{Value, json};

use super::{Draft, Fate, all, annotation_with, deeply_nested_results, result_with};
use crate::eval::case::{Case, Ids, Kind, Question, difference};
use crate::eval::slow;

/// A line of a file, from 1.
fn line(bytes: &[u8], number: usize) -> &[u8] {
    let mut lines = bytes.split(|byte| *byte == b'\n');
    lines.nth(number - 1).unwrap()
}

/// The record on a line, where it is JSON.
fn record(bytes: &[u8], number: usize) -> Option<Value> {
    let line = line(bytes, number);
    serde_json::from_slice(line.strip_suffix(b",").unwrap_or(line)).ok()
}

#[test]
fn reports_name_the_lines_of_bad_records() {
    let good = Draft::new().finish("good", Vec::new(), &Kind::ALL);
    let lists = |case: &Case| {
        let list = |key: &str| case.gt[key].as_array().unwrap().clone();
        [list("images"), list("annotations"), case.dt.clone()].concat()
    };
    for bad in all() {
        assert!(!bad.reports.is_empty(), "{}: no report", bad.name);
        for report in &bad.reports {
            let what = format!("{}: {report:?}", bad.name);
            let named = line(bad.bytes(report.file), report.line);
            assert!(named.starts_with(b"{"), "{what} names no record");
            // Its place in the list is the number of records above it in the same list.
            let above = (1..report.line).rev();
            let above = above.take_while(|&n| line(bad.bytes(report.file), n).starts_with(b"{"));
            assert_eq!(above.count(), report.index, "{what}");
            let Some(record) = record(bad.bytes(report.file), report.line) else {
                continue;
            };
            assert!(
                !lists(&good.clean).contains(&record),
                "{what} names a good record"
            );
            let used = lists(&bad.clean).contains(&record);
            assert_eq!(used, report.fate == Fate::Used, "{what}");
        }
    }
}

#[test]
fn a_message_must_name_what_and_where() {
    let nan = &all()[0].reports[0];
    assert!(nan.told_by("results.json:4:10: the score is NaN; left out"));
    assert!(nan.told_by("result 2: score not finite"));
    assert!(!nan.told_by("results.json: the score is NaN"), "no place");
    assert!(!nan.told_by("results.json:4: left out"), "no reason");
    assert!(
        !nan.told_by("results.json:14: the score is NaN"),
        "another line"
    );
}

#[test]
fn names_are_unique_and_every_promise_has_its_input() {
    let mut names: Vec<&str> = all().iter().map(|bad| bad.name).collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
    let promised = [
        "missing image",
        "NaN",
        "negative",
        "runs",
        "unknown image",
        "unknown category",
        "repeated",
        "UTF-8",
    ];
    for promise in promised {
        assert!(names.iter().any(|name| name.contains(promise)), "{promise}");
    }
}

/// The numbers of the rest must tell whether a bad record was used, or a good one lost.
#[test]
fn clean_numbers_depend_on_every_good_record() {
    let good = Draft::new().finish("good", Vec::new(), &Kind::ALL).clean;
    let numbers = |case: &Case, kind| {
        let (rank_by, ids) = ("score", Ids::Position);
        slow::evaluate(case, Question { kind, rank_by, ids })
    };
    for kind in Kind::ALL {
        let whole = numbers(&good, kind);
        assert!(
            whole.stats[0] > 0.1 && whole.stats[0] < 0.9,
            "{:?}",
            whole.stats
        );
        for lost in 0..good.dt.len() {
            let mut less = good.clone();
            less.dt.remove(lost);
            assert!(
                difference(&numbers(&less, kind), &whole).is_some(),
                "result {lost}"
            );
        }
        let used = good.clone();
        let mut more = used.clone();
        more.dt.push(result_with("extra", json!(1)));
        assert_ne!(
            numbers(&more, kind).stats,
            whole.stats,
            "a bad result used is seen"
        );
        let mut more = used;
        let annotations = more.gt["annotations"].as_array_mut().unwrap();
        annotations.push(annotation_with("extra", json!(1)));
        assert_ne!(
            numbers(&more, kind).stats,
            whole.stats,
            "a bad annotation used is seen"
        );
    }
}

#[test]
fn clean_files_evaluate_for_every_kind_named() {
    for bad in all() {
        assert!(!bad.kinds.is_empty(), "{}", bad.name);
        for &kind in bad.kinds {
            let numbers = bad.clean_numbers(kind);
            assert!(
                numbers[0] > 0.0 && numbers[0] < 1.0,
                "{}: {numbers:?}",
                bad.name
            );
        }
    }
    let deep = deeply_nested_results(1_000);
    assert!(deep.len() > 2_000 && deep.ends_with(b"]\n"));
}
