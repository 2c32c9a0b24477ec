//! Times what is asked of a set's scores (headroom, calibration, correlation, baselines, oLRP) on a generated set of
//! COCO's validation size: 5,000 images, 36,000 ground truths, 250,000 detections.
//!
//! `cargo bench --bench analysis_one -- [--repeat 5]`
#![allow(clippy::print_stdout, reason = "a benchmark prints its table")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a benchmark may stop"
)]
#![allow(dead_code, reason = "the tests use more of the generator")]

#[path = "../tests/analysis/one_set.rs"]
mod one_set;

use std::time::Instant;

use maskscope::eval::{
    Cells, IdPolicy, Kind, Order, Overlaps, Scope, Selection, Setup, accumulate, matches,
    measured_ious, rank_scores,
};
use maskscope::structures::ranking::RankBy;

fn timed<T>(name: &str, work: impl Fn() -> T) -> T {
    let mut best = f64::INFINITY;
    let mut result = None;
    for _ in 0..3 {
        let start = Instant::now();
        result = Some(work());
        best = best.min(start.elapsed().as_secs_f64());
    }
    println!("{name:<40} {:8.1} ms", best * 1e3);
    result.expect("three runs")
}

fn main() {
    let start = Instant::now();
    let input = one_set::Recipe::coco().input();
    println!(
        "{} images, {} ground truths, {} detections, made in {:.1} s, {} threads",
        input.images.len(),
        input.truths.len(),
        input.detections.len(),
        start.elapsed().as_secs_f64(),
        rayon::current_num_threads(),
    );
    let cells = Cells::new(&input);
    let overlaps = timed("overlaps of masks", || {
        Overlaps::measure(&input, Kind::Segm, Scope::SameClass, &|_| true).expect("not stopped")
    });
    let setup = Setup {
        input: &input,
        cells: &cells,
        overlaps: &overlaps,
        kind: Kind::Segm,
        ids: IdPolicy::ByIndex,
    };
    let selection = Selection::default();
    let scores = rank_scores(&input, RankBy::IouScore);
    let order = timed("order", || Order::new(&cells, &scores));
    let found = timed("matches", || matches(&setup, &order, &selection));
    timed("accumulate", || accumulate(&cells, &order, &found));
    timed("measured IoU", || measured_ious(&input, &overlaps));
}
