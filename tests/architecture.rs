//! The shape of the house: which layer may use which, one home per formula, no file too long.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Layer -> layers it may name with `crate::`. `main` and `lib` tie everything together.
const ARROWS: &[(&str, &[&str])] = &[
    (
        "cli",
        &["jobs", "document", "query", "config", "structures"],
    ),
    ("ui", &["document", "structures"]),
    (
        "document",
        &["jobs", "eval", "coco", "query", "config", "structures"],
    ),
    (
        "jobs",
        &[
            "eval",
            "train",
            "model",
            "ops",
            "weights",
            "data",
            "coco",
            "query",
            "report",
            "config",
            "structures",
            "alloc",
        ],
    ),
    (
        "train",
        &["model", "ops", "weights", "config", "structures"],
    ),
    ("model", &["ops", "weights", "config", "structures"]),
    ("weights", &["config", "structures"]),
    ("data", &["coco", "config", "structures"]),
    ("eval", &["coco", "structures"]),
    ("report", &["eval", "structures"]),
    ("coco", &["structures"]),
    ("query", &["structures"]),
    ("ops", &["structures"]),
    ("config", &["structures"]),
    ("structures", &[]),
    ("alloc", &[]),
];

/// Crates that only these layers may name.
const FENCES: &[(&str, &[&str])] = &[
    ("candle_core", &["jobs", "train", "model", "ops", "weights"]),
    ("hotcoco", &["coco", "eval"]),
    ("egui", &["ui"]),
    ("eframe", &["ui"]),
    ("egui_wgpu", &["ui"]),
    ("rfd", &["ui"]),
    ("anyhow", &["main", "cli", "ui"]),
    ("rusqlite", &["document"]),
];

/// A formula, the one file that may hold it, and what its code looks like (without spaces).
const HOMES: &[(&str, &str, &str)] = &[
    ("IoU of boxes", "src/structures/boxes.rs", "-inter)"),
    ("box coder's clamp", "src/model/box_coder.rs", "0.016"),
    (
        "RLE string codec",
        "src/coco/rle_string.rs",
        "constMORE:u8=0x20",
    ),
    ("OKLCH to sRGB", "src/structures/oklch.rs", "4.076_741"),
];

const LONGEST_FILE: usize = 600;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Path from the root -> text without comments, of every source file.
fn sources() -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut folders = vec![root().join("src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let name = path
                    .strip_prefix(root())
                    .unwrap()
                    .to_string_lossy()
                    .replace('\\', "/");
                found.insert(
                    name,
                    without_comments(&std::fs::read_to_string(&path).unwrap()),
                );
            }
        }
    }
    assert!(found.len() > 20, "the test must see the sources");
    found
}

fn without_comments(text: &str) -> String {
    text.lines()
        .map(|line| line.find("//").map_or(line, |at| &line[..at]))
        .collect::<Vec<_>>()
        .join("\n")
}

/// `src/model/rpn.rs` -> `model`; `src/alloc.rs` -> `alloc`.
fn layer(path: &str) -> &str {
    let inner = path.strip_prefix("src/").unwrap_or(path);
    inner
        .split('/')
        .next()
        .unwrap_or(inner)
        .trim_end_matches(".rs")
}

/// Words that follow `prefix` as a path segment.
fn named_after<'a>(text: &'a str, prefix: &str) -> Vec<&'a str> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut names = Vec::new();
    for (at, _) in text.match_indices(prefix) {
        let free = !text[..at].ends_with(is_word);
        let rest = &text[at + prefix.len()..];
        if free && let Some(list) = rest.strip_prefix('{') {
            names.extend(list.split('}').next().unwrap_or("").split(',').map(|item| {
                let item = item.trim();
                item.split(|c| !is_word(c)).next().unwrap_or(item)
            }));
        } else if free {
            names.push(rest.split(|c| !is_word(c)).next().unwrap_or(rest));
        }
    }
    names
}

fn broken_arrows(path: &str, text: &str) -> Vec<String> {
    let from = layer(path);
    let mut broken = Vec::new();
    if from != "main" && from != "lib" {
        let Some((_, allowed)) = ARROWS.iter().find(|(name, _)| *name == from) else {
            return vec![format!("{path}: layer {from} is not in the list of arrows")];
        };
        for to in named_after(text, "crate::") {
            let is_layer = ARROWS.iter().any(|(name, _)| *name == to);
            if is_layer && to != from && !allowed.contains(&to) {
                broken.push(format!("{path}: {from} may not use {to}"));
            }
        }
    }
    for (library, layers) in FENCES {
        let named =
            text.contains(&format!("{library}::")) || text.contains(&format!("use {library}"));
        let whole_word = !named_after(text, &format!("{library}::")).is_empty();
        if named && whole_word && !layers.contains(&from) {
            broken.push(format!("{path}: {library} may only be named in {layers:?}"));
        }
    }
    broken
}

fn second_homes(path: &str, text: &str) -> Vec<String> {
    let dense: String = text.split_whitespace().collect();
    let strangers = HOMES
        .iter()
        .filter(|(_, home, mark)| path != *home && dense.contains(mark));
    strangers
        .map(|(formula, home, _)| format!("{path}: {formula} lives in {home}"))
        .collect()
}

#[test]
fn layers_use_only_what_they_may() {
    let broken: Vec<_> = sources()
        .iter()
        .flat_map(|(path, text)| broken_arrows(path, text))
        .collect();
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn one_home_per_formula() {
    let sources = sources();
    for (formula, home, mark) in HOMES {
        let text = sources
            .get(*home)
            .unwrap_or_else(|| panic!("{formula}: {home} is gone"));
        let dense: String = text.split_whitespace().collect();
        assert!(
            dense.contains(mark),
            "{formula}: {home} no longer holds `{mark}`"
        );
    }
    let strangers: Vec<_> = sources
        .iter()
        .flat_map(|(path, text)| second_homes(path, text))
        .collect();
    assert!(strangers.is_empty(), "{}", strangers.join("\n"));
}

#[test]
fn no_file_is_too_long() {
    for path in sources().keys() {
        let lines = std::fs::read_to_string(root().join(Path::new(path)))
            .unwrap()
            .lines()
            .count();
        assert!(
            lines <= LONGEST_FILE,
            "{path} has {lines} lines, at most {LONGEST_FILE}"
        );
    }
}

/// The checks themselves must be able to fail.
#[test]
fn broken_samples_are_noticed() {
    assert_eq!(
        broken_arrows("src/coco/x.rs", "use crate::model::Detector;").len(),
        1
    );
    assert_eq!(
        broken_arrows("src/ui/x.rs", "use crate::{jobs::infer, structures::Size};").len(),
        1
    );
    assert_eq!(
        broken_arrows("src/ui/x.rs", "let x = candle_core::Device::Cpu;").len(),
        1
    );
    assert_eq!(broken_arrows("src/attic/x.rs", "").len(), 1);
    assert!(broken_arrows("src/model/x.rs", "use crate::ops::conv2d::Conv2d;").is_empty());
    assert!(broken_arrows("src/ui/x.rs", "use crate::ui::theme;").is_empty());
    assert_eq!(
        second_homes("src/model/x.rs", "inter / (a + b - inter)").len(),
        1
    );
    assert!(second_homes("src/structures/boxes.rs", "inter / (a + b - inter)").is_empty());
}
