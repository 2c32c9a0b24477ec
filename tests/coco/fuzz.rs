//! Mutated RLE strings and JSON with fixed seeds: an error or a value, never a panic, a wait or much memory.

use crate::support::hang::Stopwatch;
use std::path::Path;
use std::time::Duration;

use maskscope::coco::save::{Edits, save};
use maskscope::coco::{self, Dataset, predictions, rle_string};
use maskscope::structures::{Rle, Size};

/// splitmix64.
pub struct Rng(u64);

impl Rng {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, count: usize) -> usize {
        (self.next() % count as u64) as usize
    }
}

#[test]
fn random_strings_decode_or_fail() {
    let (mut decoded, mut refused) = (0, 0);
    for seed in 0..200_000 {
        let mut rng = Rng(seed);
        let length = rng.below(40);
        let text: String = (0..length)
            .map(|_| match rng.below(30) {
                0 => char::from(rng.below(128) as u8),
                1 => 'é',
                _ => char::from(48 + rng.below(64) as u8),
            })
            .collect();
        let size = Size::new(1 << rng.below(17), 1 << rng.below(17));
        match rle_string::decode(&text, size) {
            Ok(rle) => {
                decoded += 1;
                assert_eq!(
                    rle.runs().iter().map(|&run| u64::from(run)).sum::<u64>(),
                    size.pixels() as u64
                );
                // What comes out can be written and read again.
                assert_eq!(
                    rle_string::decode(&rle_string::encode(&rle), size).unwrap(),
                    rle
                );
                let theirs =
                    hotcoco::mask::rle_from_string(&text, size.height as u32, size.width as u32);
                let theirs = theirs.unwrap_or_else(|error| panic!("`{text}`: {error}"));
                assert_eq!(hotcoco::mask::area(&theirs), rle.area(), "`{text}`");
            }
            Err(_) => refused += 1,
        }
    }
    assert!(
        decoded > 1_000 && refused > 1_000,
        "{decoded} decoded, {refused} refused"
    );
}

#[test]
fn sizes_beyond_32_bits_are_refused() {
    let size = Size::new(1 << 20, 1 << 20);
    assert!(rle_string::decode("", size).is_err());
    assert!(rle_string::from_runs(vec![], Size::new(usize::MAX, 2)).is_err());
    assert_eq!(
        rle_string::decode("", Size::new(2, 2)).unwrap(),
        Rle::empty(Size::new(2, 2))
    );
}

#[test]
fn known_strings() {
    // From pycocotools: mask.encode of the same bytes.
    for (runs, text) in [
        (vec![6], "6"),
        (vec![0, 6], "06"),
        (vec![1, 2, 3], "123"),
        (vec![5, 16, 11, 100], "5`0;d2"),
        (vec![0, 1, 1, 1, 1], "01100"),
    ] {
        let total = runs.iter().sum::<u32>() as usize;
        let rle = Rle::new(Size::new(1, total), runs).unwrap();
        assert_eq!(rle_string::encode(&rle), text);
    }
}

const PREDICTIONS: &str = r#"{"a.png": {"height": 3, "width": 4, "predictions": [
 {"bbox": {"x_min": 1.5, "y_min": 0.0, "width": 2.5, "height": 1e-07},
  "class": {"label": 1, "category_id": 3, "name": "tr\u00e4m"},
  "mask": {"size": [3, 4], "counts": "147"}, "score": 0.5, "iou_score": 0.375, "mask_iou": 0.75}]}}"#;

const RESULTS: &str = r#"[{"image_id": 1, "category_id": 2, "bbox": [1, 2, 3, 4], "score": 0.5,
 "segmentation": {"size": [3, 4], "counts": "147"}},
 {"image_id": "x", "category_id": 5, "score": 0.75, "segmentation": {"size": [3, 4], "counts": [1, 4, 7]}}]"#;

const DATASET: &str = r#"{"images": [{"id": 7, "file_name": "a.png", "width": 6, "height": 4}],
 "categories": [{"id": 5, "name": "x"}],
 "annotations": [{"id": 0, "image_id": 7, "category_id": 5, "segmentation": [[1, 1, 3, 1, 3, 3, 1, 3]]},
 {"id": 1, "image_id": 7, "category_id": 5, "iscrowd": 1, "segmentation": {"size": [4, 6], "counts": [4, 8, 12]}}]}"#;

/// Pieces that break JSON, or numbers in it, in ways that single bytes seldom do.
const PIECES: [&str; 14] = [
    "9999999999",
    "-1",
    "1e308",
    "NaN",
    "null",
    "[",
    "]",
    "{",
    "}",
    "\"",
    "\\u",
    "[[[[[[[[",
    "4000000000",
    "0",
];

fn mutated(text: &str, seed: u64) -> Vec<u8> {
    let mut rng = Rng(seed);
    let mut bytes = text.as_bytes().to_vec();
    for _ in 0..=rng.below(3) {
        let at = rng.below(bytes.len());
        match rng.below(5) {
            0 => bytes[at] = rng.below(256) as u8,
            1 => {
                bytes.remove(at);
            }
            2 => bytes.truncate(at.max(1)),
            3 => {
                let end = bytes.len().min(at + 1 + rng.below(4));
                let piece = PIECES[rng.below(PIECES.len())];
                bytes.splice(at..end, piece.bytes());
            }
            _ => {
                // A digit becomes a large number: sizes, ids, runs.
                if let Some(digit) = bytes[at..].iter().position(u8::is_ascii_digit) {
                    let piece = PIECES[[0, 1, 2, 12, 13][rng.below(5)]];
                    bytes.splice(at + digit..=at + digit, piece.bytes());
                }
            }
        }
        if bytes.is_empty() {
            bytes.push(b' ');
        }
    }
    bytes
}

fn check(text: &str, seeds: u64, mut read: impl FnMut(&[u8]) -> bool) {
    assert!(read(text.as_bytes()), "the unchanged file must be read");
    let mut accepted = 0;
    for seed in 0..seeds {
        let bytes = mutated(text, seed);
        let start = Stopwatch::start();
        accepted += u64::from(read(&bytes));
        let took = start.elapsed();
        assert!(took < Duration::from_secs(2), "seed {seed} took {took:?}");
    }
    assert!(
        accepted > 0 && accepted < seeds,
        "{accepted} of {seeds} accepted"
    );
}

#[test]
fn mutated_predictions_are_errors_or_files() {
    let mut left_out = 0;
    let mut read = |bytes: &[u8]| {
        let Ok(file) = predictions::read_bytes(Path::new("file.json"), bytes) else {
            return false;
        };
        left_out += file.left_out_count;
        for image in &file.images {
            for detection in &image.detections {
                let bbox = detection.bbox;
                let numbers = [bbox.x, bbox.y, detection.score, detection.iou_score];
                assert!(numbers.iter().all(|number| number.is_finite()));
                assert!(bbox.width >= 0.0 && bbox.height >= 0.0);
                assert_eq!(detection.mask.size(), image.size);
                assert!(detection.label < file.classes.len());
            }
        }
        true
    };
    check(PREDICTIONS, 20_000, &mut read);
    check(RESULTS, 20_000, &mut read);
    assert!(left_out > 1_000, "{left_out} left out");
}

#[test]
fn mutated_sets_are_errors_or_sets() {
    let folder = tempfile::tempdir().unwrap();
    let mut number = 0;
    check(DATASET, 20_000, |bytes| {
        // A new file each time: ext4 waits for the disk where a file is overwritten.
        number += 1;
        let path = folder.path().join(format!("{number}.json"));
        std::fs::write(&path, bytes).unwrap();
        let set = Dataset::open(&path);
        let is_set = set.is_ok();
        if let Ok(set) = set {
            use_all_of(&set);
            // Each save waits for the disk.
            if number % 100 == 0 {
                save_as_it_is(&set, bytes, &path.with_extension("out"));
            }
        }
        std::fs::remove_file(&path).unwrap();
        is_set
    });
}

/// Masks and report.
fn use_all_of(set: &Dataset) {
    let dropped = |image| set.annotations(image).dropped.len();
    let dropped: usize = (0..set.images().len()).map(dropped).sum();
    let report = coco::check::check(set, None, &mut |_, _| true).unwrap();
    let lost = set.heads().len() - set.annotation_count();
    let unreadable = report.annotations - set.heads().len();
    assert_eq!(report.left_out, dropped + lost + unreadable);
}

fn save_as_it_is(set: &Dataset, bytes: &[u8], out: &Path) {
    let mut edits = Edits::default();
    if let Some(head) = set.heads().first() {
        let record = set.record(head).unwrap();
        edits.replace(head, record).unwrap();
    }
    save(set, out, &edits).unwrap();
    assert_eq!(std::fs::read(out).unwrap(), bytes);
    std::fs::remove_file(out).unwrap();
}
