//! Times what is asked of a set's scores (headroom, calibration, correlation, baselines, oLRP) on a generated set of
//! COCO's validation size: 5,000 images, 36,000 ground truths, 250,000 detections.
//!
//! `cargo bench --bench analysis_one`
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

use maskscope::eval::knows::bootstrap::{RankedSet, counted_truths, resampled_aps};
use maskscope::eval::knows::rankings::{Ranking, Rankings};
use maskscope::eval::knows::resample::Weights;
use maskscope::eval::knows::{
    Numbers, Options, Subject, analyse, baselines, calibration, correlation, headroom, thresholds,
};
use maskscope::eval::{
    Cells, EvalInput, IdPolicy, Kind, Order, Overlaps, Scope, Selection, Setup, accumulate,
    matches, rank_scores,
};
use maskscope::structures::Size;
use maskscope::structures::ranking::RankBy;
use one_set::Recipe;

/// Runs of each step; the best counts.
const REPEAT: usize = 2;

/// Prints the best wall time and, of the same run, the processors' time: the first is longer than half of the second
/// where other work keeps the cores busy.
fn timed<T>(name: &str, work: impl Fn() -> T) -> T {
    let mut best = (f64::INFINITY, 0.0);
    let mut result = None;
    for _ in 0..REPEAT {
        let (start, busy) = (Instant::now(), processor_seconds());
        result = Some(work());
        let run = (start.elapsed().as_secs_f64(), processor_seconds() - busy);
        best = if run.1 < best.1 || best.0.is_infinite() {
            run
        } else {
            best
        };
    }
    println!(
        "{name:<44} {:8.0} ms {:8.0} ms of processors",
        best.0 * 1e3,
        best.1 * 1e3
    );
    result.expect("runs")
}

/// Time of this process on all cores, where the system tells it; in hundredths.
fn processor_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or("");
    let ticks = |at: usize| -> f64 {
        let field = after_name.split_whitespace().nth(at);
        field.and_then(|field| field.parse().ok()).unwrap_or(0.0)
    };
    const USER: usize = 11;
    (ticks(USER) + ticks(USER + 1)) / 100.0
}

fn validation_set() -> Recipe {
    Recipe {
        seed: 7,
        images: 5000,
        classes: 80,
        truths: 7.2,
        detections: 50.0,
        size: Size::new(640, 480),
        crowds: 0.01,
        duplicates: 0.1,
        steps: 0,
        with_head: true,
    }
}

fn measured(input: &EvalInput, kind: Kind) -> Overlaps {
    Overlaps::measure(input, kind, Scope::SameClass, &|_| true).expect("not stopped")
}

fn main() {
    let start = Instant::now();
    let input = validation_set().input();
    println!(
        "{} images, {} ground truths, {} detections, made in {:.1} s, {} threads",
        input.images.len(),
        input.truths.len(),
        input.detections.len(),
        start.elapsed().as_secs_f64(),
        rayon::current_num_threads(),
    );
    let cells = Cells::new(&input);
    let masks = timed("overlaps of masks", || measured(&input, Kind::Segm));
    let boxes = timed("overlaps of boxes", || measured(&input, Kind::Bbox));
    let setup = |kind, overlaps| Setup {
        input: &input,
        cells: &cells,
        overlaps,
        kind,
        ids: IdPolicy::ByIndex,
    };
    let selection = Selection::default();
    let subject = Subject {
        masks: setup(Kind::Segm, &masks),
        boxes: Some(setup(Kind::Bbox, &boxes)),
        selection: &selection,
    };
    timed("plain evaluation of masks, from the overlaps", || {
        let scores = rank_scores(&input, RankBy::IouScore);
        let order = Order::new(&cells, &scores);
        let found = matches(&subject.masks, &order, &selection);
        accumulate(&cells, &order, &found)
    });
    let analysis = timed("everything", || {
        analyse(&subject, Options::default(), &|_| true).expect("not stopped")
    });
    steps(&subject, Options::default());
    for ranking in Ranking::ALL {
        let aps = analysis.headroom.all.of(ranking).and_then(|aps| aps.all);
        println!(
            "{:<22} {:?}",
            ranking.label(),
            aps.map(|all| (all.ap, all.interval))
        );
    }
    let all = analysis.baselines.all.expect("free estimates");
    println!("head beats what is free: {}", all.head_beats_free.label());
}

fn steps(subject: &Subject<'_>, options: Options) {
    let (setup, selection) = (&subject.masks, subject.selection);
    let images = vec![true; setup.input.images.len()];
    let numbers = timed("  numbers", || Numbers::new(setup, selection));
    let rankings = timed("  five rankings with their matches", || {
        Rankings::new(setup, selection, &numbers, &images, options.seed)
    });
    timed("  headroom, both tables", || {
        headroom::headroom(setup, selection, &rankings, &images, &options, &|| true)
    });
    let by_score = rankings.get(Ranking::Score).expect("a ranking");
    timed("    of it: curves of one ranking", || {
        accumulate(setup.cells, &by_score.order, &by_score.matches)
    });
    let is_counted = counted_truths(setup.input, selection);
    let set = RankedSet::new(setup.cells, &by_score.order, &by_score.matches, &is_counted);
    let weights = timed("    of it: resamples drawn", || {
        Weights::draw(&images, options.resamples, options.seed)
    });
    timed("    of it: one ranking resampled", || {
        resampled_aps(&[&set], &weights, &|| true)
    });
    let outcomes = timed("  outcomes of masks and boxes", || {
        thresholds::all_outcomes(subject, &rankings, &options)
    });
    timed("  calibration", || {
        calibration::calibration(setup, &numbers, &rankings, &outcomes, &options)
    });
    timed("  correlation", || {
        correlation::correlation(setup, &numbers)
    });
    timed("  free baselines", || {
        baselines::baselines(setup, &numbers, &images, &options)
    });
    timed("  oLRP", || {
        thresholds::thresholds(subject, &rankings, &outcomes)
    });
}
