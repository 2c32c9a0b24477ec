//! Opening a large set: `cargo bench --bench sets [-- LABELS.json]`. Without a file it writes one of 118,000 images and
//! about 860,000 annotations to a temporary folder. Our index and hotcoco's own load take turns, each in a process of
//! its own, so that each has its own peak of resident memory; the file is in the page cache for both.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a measurement stops at what goes wrong and prints"
)]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use maskscope::coco::Dataset;
use maskscope::coco::dataset::Role;
use maskscope::data::synth::{AnnotationsRequest, write_annotations};
use maskscope::jobs::peak_memory;

/// Turns of each reader.
const TURNS: usize = 5;
const IMAGES: usize = 118_000;
/// Tells a child what to do: the reader, then the file.
const CHILD: &str = "--measure-alone";

fn main() {
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| a != "--bench")
        .collect();
    if let [flag, reader, json] = arguments.as_slice()
        && flag == CHILD
    {
        measure(reader, Path::new(json));
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let json = match arguments.first() {
        Some(json) => PathBuf::from(json),
        None => generated(folder.path()),
    };
    std::hint::black_box(std::fs::read(&json).unwrap()); // into the page cache
    let bytes = std::fs::metadata(&json).unwrap().len();
    println!("{} bytes, {TURNS} turns, medians", bytes);
    let mut rows = vec![Vec::new(); READERS.len()];
    for _ in 0..TURNS {
        for (row, reader) in rows.iter_mut().zip(READERS) {
            row.push(in_a_child(reader, &json));
        }
    }
    let mut medians = Vec::new();
    for (row, reader) in rows.iter_mut().zip(READERS) {
        let median = |of: fn(&Measured) -> f64| {
            let mut values: Vec<f64> = row.iter().map(of).collect();
            values.sort_by(f64::total_cmp);
            values[values.len() / 2]
        };
        let (whole, images, peak) = (
            median(|m| m.whole),
            median(|m| m.images),
            median(|m| m.peak),
        );
        println!("{reader:>10}: {whole:.3} s, images known after {images:.3} s, peak {peak:.0} MB");
        medians.push(whole);
    }
    println!(
        "index / hotcoco: {:.2} (goal at most 1.2)",
        medians[0] / medians[1]
    );
}

const READERS: [&str; 2] = ["index", "hotcoco"];

/// Seconds and megabytes of one turn.
#[derive(Clone)]
struct Measured {
    whole: f64,
    images: f64,
    peak: f64,
}

fn in_a_child(reader: &str, json: &Path) -> Measured {
    let output = Command::new(std::env::current_exe().unwrap())
        .args([CHILD, reader])
        .arg(json)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let numbers: Vec<f64> = text
        .split_whitespace()
        .map(|n| n.parse().unwrap())
        .collect();
    let [whole, images, peak] = numbers[..] else {
        panic!("{text}{}", String::from_utf8_lossy(&output.stderr));
    };
    Measured {
        whole,
        images,
        peak,
    }
}

fn measure(reader: &str, json: &Path) {
    let start = Instant::now();
    let mut images = 0.0;
    let count = if reader == "index" {
        let set = Dataset::open_with(json, Role::Any, None, &mut |progress| {
            if progress.images.is_some() {
                images = start.elapsed().as_secs_f64();
            }
            true
        })
        .unwrap();
        let count = set.heads().len();
        std::hint::black_box(&set);
        println!("{} {images}", start.elapsed().as_secs_f64());
        count
    } else {
        let set = hotcoco::COCO::new(json).unwrap();
        let whole = start.elapsed().as_secs_f64();
        println!("{whole} {whole}");
        set.dataset.annotations.len()
    };
    assert!(count > 0);
    println!("{}", peak_memory().unwrap_or(0) as f64 / 1e6);
}

fn generated(folder: &Path) -> PathBuf {
    let request = AnnotationsRequest {
        out: folder.to_owned(),
        images: IMAGES,
        seed: 1,
        size: None,
        detections: 0,
        predictions: false,
    };
    let written = write_annotations(&request, &mut |_, _| true).unwrap();
    println!(
        "{} images, {} annotations",
        written.images, written.instances
    );
    folder.join("labels.json")
}
