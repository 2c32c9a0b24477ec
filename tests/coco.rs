//! COCO files: the RLE string codec, prediction files, data sets.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

mod check;
mod dataset;
mod fuzz;
mod hostile;
mod predictions;
mod predictions_lenient;
mod predictions_pair;
pub mod round_trip;

use maskscope::coco::rle_string;
use maskscope::structures::{Rle, Size};
use proptest::prelude::*;

proptest! {
    #[test]
    fn rle_strings_equal_hotcoco(runs in proptest::collection::vec(0u32..5_000_000, 1..60)) {
        let total: u32 = runs.iter().sum();
        let size = Size::new(1, total as usize);
        let rle = Rle::new(size, runs.clone()).unwrap();
        let theirs = hotcoco::Rle { h: total, w: 1, counts: runs };
        let text = rle_string::encode(&rle);
        prop_assert_eq!(&text, &hotcoco::mask::rle_to_string(&theirs));
        prop_assert_eq!(rle_string::decode(&text, size).unwrap(), rle);
    }
}
