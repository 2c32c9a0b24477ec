//! What is read does not depend on how the file is cut, nor on the number of threads.

use std::fmt::Write as _;
use std::path::Path;

use proptest::prelude::*;

use super::batches::BATCH_BYTES;
use super::read::{read_bytes, read_in_batches};

/// Masks and values, many of them unusable.
const SEGMENTATIONS: [&str; 7] = [
    r#"{"size": [3, 4], "counts": "147"}"#,
    r#"{"counts": [1, 4, 7], "size": [3, 4]}"#,
    r#"{"size": [3, 4], "counts": "1470000"}"#,
    r#"{"size": [4, 4], "counts": "14;"}"#,
    "null",
    "[[1, 2, 3, 4, 5, 6]]",
    "[]",
];
const NUMBERS: [&str; 8] = [
    "0.5",
    "NaN",
    "-Infinity",
    "1",
    "\"7\"",
    "null",
    "1e999",
    "-3",
];
/// Extra values: some look like the borders between entries.
const EXTRAS: [&str; 5] = [
    r#""},{\"image_id\": 1},{""#,
    r#"[{"a": 1}, {"image_id": 2}, {"height": {}}]"#,
    r#"{"x": {}, "y": {"height": 3}}"#,
    "NaN",
    "[[[[{}]]]]",
];

fn results(picks: &[[usize; 6]]) -> String {
    let rows = picks.iter().map(|&[image, category, score, mask, extra, form]| {
        let mut row = format!(
            r#"{{"image_id": {}, "category_id": {}, "score": {}, "bbox": [1, 2, {}, 4], "segmentation": {}"#,
            image % 3,
            category % 4,
            NUMBERS[score % NUMBERS.len()],
            NUMBERS[(score / 8) % NUMBERS.len()],
            SEGMENTATIONS[mask % SEGMENTATIONS.len()],
        );
        if form % 3 == 0 {
            let _ = write!(row, r#", "extra": {}"#, EXTRAS[extra % EXTRAS.len()]);
        }
        row + "}"
    });
    format!("[{}]", rows.collect::<Vec<_>>().join(", "))
}

fn ours(picks: &[[usize; 6]]) -> String {
    let images = picks
        .iter()
        .map(|&[image, label, score, mask, extra, form]| {
            format!(
                r#""{image}.png": {{"height": 3, "width": {}, "predictions": [{{"score": {},
            "mask": {}, "bbox": {{"width": 1, "height": 2, "x_min": 0, "y_min": 0}},
            "class": {{"label": {label}, "name": "n{form}"}}}}, {{"extra": {}}}], "more": {}}}"#,
                if form % 5 == 0 { 0 } else { 4 },
                NUMBERS[score % NUMBERS.len()],
                SEGMENTATIONS[mask % SEGMENTATIONS.len()],
                EXTRAS[extra % EXTRAS.len()],
                EXTRAS[form % EXTRAS.len()],
            )
        });
    format!("{{{}}}", images.collect::<Vec<_>>().join(",\n"))
}

/// All that a reading gives, or its error.
fn outcome(bytes: &[u8], batch_bytes: usize) -> String {
    format!("{:?}", read_in_batches(Path::new("f"), bytes, batch_bytes))
}

proptest! {
    #[test]
    fn any_cut_reads_the_same(
        picks in prop::collection::vec(prop::array::uniform6(0usize..64), 0..12),
        damage in prop::option::of((any::<prop::sample::Index>(), any::<u8>())),
        batch_bytes in 1usize..400,
    ) {
        for text in [results(&picks), ours(&picks)] {
            let mut bytes = text.into_bytes();
            if let Some((at, byte)) = &damage {
                let at = at.index(bytes.len());
                bytes[at] = *byte;
            }
            prop_assert_eq!(outcome(&bytes, batch_bytes), outcome(&bytes, usize::MAX));
        }
    }
}

#[test]
fn one_thread_reads_what_many_read() {
    let picks: Vec<[usize; 6]> = (0..9_000)
        .map(|i| [i / 3, i % 5, i % 64, i % 7, i % 5, i % 11])
        .collect();
    for text in [results(&picks), ours(&picks)] {
        assert!(text.len() > 4 * BATCH_BYTES, "{} bytes", text.len());
        let read = || format!("{:?}", read_bytes(Path::new("f"), text.as_bytes()));
        let [one, many] = [1, 4].map(|threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
            pool.build().unwrap().install(read)
        });
        assert!(one.starts_with("Ok"), "{}", &one[..200]);
        assert!(one == many, "one thread and many differ");
        assert!(
            one == outcome(text.as_bytes(), usize::MAX),
            "cuts change what is read"
        );
    }
}
