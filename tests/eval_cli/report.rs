//! The files of `--out`: a page that stands alone, tables with every row.

use serde_json::{Value, json};

use super::{Case, case, done, eval, write};
use crate::support::fixtures;

/// Tags of a page that must close each other, and all text between them.
fn check_well_formed(page: &str) {
    let mut open: Vec<&str> = Vec::new();
    let mut rest = page.strip_prefix("<!DOCTYPE html>").expect("a doctype");
    while let Some(at) = rest.find('<') {
        let end = at + rest[at..].find('>').expect("every tag ends");
        let tag = &rest[at + 1..end];
        rest = &rest[end + 1..];
        let name = |tag: &str| tag.split([' ', '\n', '/']).next().unwrap_or("").len();
        if let Some(closed) = tag.strip_prefix('/') {
            assert_eq!(
                open.pop(),
                Some(closed),
                "</{closed}> before {}",
                &rest[..60.min(rest.len())]
            );
        } else if !tag.ends_with('/') {
            let name = &tag[..name(tag)];
            open.push(name);
            // Style and script hold no markup.
            if name == "style" || name == "script" {
                let close = rest.find(&format!("</{name}>")).expect("it closes");
                rest = &rest[close..];
            }
        }
    }
    assert!(open.is_empty(), "{open:?} stay open");
}

#[test]
fn the_report_stands_alone_and_its_tables_have_every_row() {
    let case = case("mask_scoring");
    let home = tempfile::tempdir().unwrap();
    let name = "a<b>&\"c\"',d.png";
    let mut set = fixtures::json(&case.gt);
    set["images"][0]["file_name"] = json!(name);
    set["categories"][0]["name"] = json!("<script>alert(1)</script>");
    let gt = write(&home.path().join("gt.json"), &set);
    let out = home.path().join("out");
    std::fs::create_dir(&out).unwrap();
    std::fs::write(out.join("report.html"), "an older report").unwrap();
    std::fs::write(out.join("mine.txt"), "of somebody else").unwrap();
    let printed = done(eval(&gt, &case.dt).arg("--out").arg(&out).arg("--json"));
    let mut files: Vec<String> = std::fs::read_dir(&out)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort();
    let ours = ["analysis.json", "images.csv", "left_out.csv", "matches.csv"];
    assert_eq!(files[..4], ours);
    assert_eq!(
        files[4..],
        ["mine.txt", "numbers.json", "report.html", "truths.csv"]
    );
    let read = |file: &str| std::fs::read_to_string(out.join(file)).unwrap();
    assert_eq!(read("mine.txt"), "of somebody else");
    let kept: Value = serde_json::from_str(&read("numbers.json")).unwrap();
    assert_eq!(kept, serde_json::from_str::<Value>(&printed).unwrap());
    serde_json::from_str::<Value>(&read("analysis.json")).unwrap();

    let page = read("report.html");
    check_well_formed(&page);
    for outside in ["http:", "https:", "src=", "@import", "url("] {
        assert!(!page.contains(outside), "{outside}");
    }
    assert!(!page.contains("<b>&"), "the image's name is escaped");
    assert!(
        !page.contains("<script>alert"),
        "the category's name is escaped"
    );
    assert!(page.contains("a&lt;b&gt;&amp;&quot;c&quot;&#39;,d.png"));
    for part in [
        "COCO numbers",
        "Precision and recall",
        "Confusion matrix",
        "0.323",
    ] {
        assert!(page.contains(part), "{part}");
    }

    let rows = |file: &str| csv(&read(file));
    let results = fixtures::json(&case.dt);
    let count = |value: &Value| value.as_array().unwrap().len();
    let (images, matches, truths) = (rows("images.csv"), rows("matches.csv"), rows("truths.csv"));
    assert_eq!(images.len(), 1 + count(&set["images"]));
    assert_eq!(matches.len(), 1 + count(&results));
    assert_eq!(truths.len(), 1 + count(&set["annotations"]));
    for table in [&images, &matches, &truths] {
        assert!(table.iter().all(|row| row.len() == table[0].len()));
        assert!(
            table
                .iter()
                .any(|row| row.iter().any(|field| field == name))
        );
    }
    check_matches(&case, &images, &matches);
}

/// Counts and matches of the tables are those of pycocotools.
fn check_matches(case: &Case, images: &[Vec<String>], matches: &[Vec<String>]) {
    let column =
        |table: &[Vec<String>], name: &str| table[0].iter().position(|c| c == name).unwrap();
    let cells = case.expected["segm_by_mask_score"]["images"]
        .as_array()
        .unwrap();
    let all = || cells.iter().filter(|cell| cell["area"] == "all");
    let count = |list: &Value, keep: &dyn Fn(usize, u64) -> bool| {
        let list = list.as_array().unwrap().iter().enumerate();
        list.filter(|(at, id)| keep(*at, id.as_u64().unwrap()))
            .count()
    };
    let tp: usize = all()
        .map(|cell| {
            let ignored = cell["dt_ignore"][0].as_array().unwrap();
            count(&cell["dt_matches"][0], &|at, id| {
                id != 0 && ignored[at] == json!(0)
            })
        })
        .sum();
    let sum = |name: &str| -> usize {
        let at = column(images, name);
        images[1..]
            .iter()
            .map(|row| row[at].parse::<usize>().unwrap())
            .sum()
    };
    assert!(tp > 0);
    assert_eq!(sum("tp"), tp);
    for (name, threshold) in [("annotation_50", 0), ("annotation_75", 5)] {
        let at = column(matches, name);
        let mut got: Vec<u64> = matches[1..]
            .iter()
            .filter_map(|row| row[at].parse().ok())
            .collect();
        let mut want: Vec<u64> = all()
            .flat_map(|cell| cell["dt_matches"][threshold].as_array().unwrap().clone())
            .filter_map(|id| id.as_u64().filter(|&id| id != 0))
            .collect();
        got.sort_unstable();
        want.sort_unstable();
        assert_eq!(got, want, "{name}");
    }
}

/// Rows of a CSV with quoted fields.
fn csv(text: &str) -> Vec<Vec<String>> {
    let mut rows = vec![vec![String::new()]];
    let mut chars = text.chars().peekable();
    let mut quoted = false;
    while let Some(c) = chars.next() {
        let row = rows.last_mut().unwrap();
        let field = row.last_mut().unwrap();
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => field.push(chars.next().unwrap()),
            '"' => quoted = !quoted,
            ',' if !quoted => row.push(String::new()),
            '\n' if !quoted => rows.push(vec![String::new()]),
            c => field.push(c),
        }
    }
    assert_eq!(rows.pop(), Some(vec![String::new()]), "the last line ends");
    rows
}
