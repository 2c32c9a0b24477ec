//! The window's evaluation at COCO's size, through the document as the window drives it: `cargo bench --bench live`.
//! 5,000 images, about 36,000 annotations, 250,000 detections, written to a temporary folder.
//!
//! From the attached file to the numbers, then how long a moved threshold and another ranking take to new numbers, and
//! everything that is analysed from them.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a measurement stops at what goes wrong and prints"
)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use maskscope::data::synth::{AnnotationsRequest, write_annotations};
use maskscope::document::eval::{CocoNumbers, Kind, accumulate, matches};
use maskscope::document::evaluation::{EvalSettings, Side};
use maskscope::document::ranking::RankBy;
use maskscope::document::settings::Settings;
use maskscope::document::{Document, ModelRequest};

const IMAGES: usize = 5_000;
const DETECTIONS: usize = 250_000;
/// How often the window would look.
const FRAME: Duration = Duration::from_millis(1);

fn main() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("set");
    write_annotations(
        &AnnotationsRequest {
            out: out.clone(),
            images: IMAGES,
            seed: 1,
            size: None,
            detections: DETECTIONS,
            predictions: true,
        },
        &mut |_, _| true,
    )
    .unwrap();
    let mut doc = Document::new(
        ModelRequest::default(),
        Settings::default(),
        Arc::new(|| ()),
    );
    let opened = timed(
        &mut doc,
        |doc| doc.open(&out.join("labels.json")),
        |doc| doc.has_truth(),
    );
    println!("open the set: {opened:.3} s");
    let attached = timed(
        &mut doc,
        |doc| doc.attach_predictions(&out.join("predictions.json"), Side::A),
        |doc| doc.predictions_path().is_some(),
    );
    println!("read the predictions: {attached:.3} s");
    let settings = EvalSettings::default();
    let first = evaluated(&mut doc, &settings);
    println!("masks, overlaps, both kinds' numbers: {first:.3} s");
    let analysed = timed(
        &mut doc,
        |_| (),
        |doc| {
            doc.analysis().is_some_and(|a| a.knowledge.is_some())
                && doc.analysis_progress().is_none()
        },
    );
    println!("errors, confusion, TIDE, suspects, calibration, headroom: {analysed:.3} s");
    let thresholds = |n: usize| 0.05 + 0.9 * (n as f64 / 40.0);
    steps(&doc);
    report(
        "a moved threshold",
        (0..40).map(|n| {
            let threshold = Some(thresholds(n));
            evaluated(
                &mut doc,
                &EvalSettings {
                    threshold,
                    ..settings.clone()
                },
            )
        }),
    );
    report(
        "another filter",
        [
            "size = small",
            "class = person",
            "score > 0.3",
            "area < 50^2",
        ]
        .map(|filter| {
            evaluated(
                &mut doc,
                &EvalSettings {
                    filter: Some(filter.into()),
                    ..settings.clone()
                },
            )
        }),
    );
    report(
        "another ranking, first",
        RankBy::ALL.map(|rank_by| {
            evaluated(
                &mut doc,
                &EvalSettings {
                    rank_by,
                    threshold: Some(0.01),
                    ..settings.clone()
                },
            )
        }),
    );
    report(
        "another ranking, known",
        RankBy::ALL.map(|rank_by| {
            evaluated(
                &mut doc,
                &EvalSettings {
                    rank_by,
                    ..settings.clone()
                },
            )
        }),
    );
}

/// Seconds until an evaluation with these settings is here.
fn evaluated(doc: &mut Document, settings: &EvalSettings) -> f64 {
    timed(
        doc,
        |doc| doc.evaluate(settings),
        |doc| {
            let evaluation = doc.evaluation(Side::A);
            evaluation.is_some_and(|evaluation| evaluation.settings == *settings)
        },
    )
}

/// Seconds from `ask` to the first frame in which `is_done`.
fn timed(
    doc: &mut Document,
    ask: impl FnOnce(&mut Document),
    is_done: impl Fn(&Document) -> bool,
) -> f64 {
    let start = Instant::now();
    ask(doc);
    loop {
        for notice in doc.poll() {
            println!("  {}", notice.text);
        }
        if is_done(doc) {
            return start.elapsed().as_secs_f64();
        }
        std::thread::sleep(FRAME);
    }
}

fn report(what: &str, seconds: impl IntoIterator<Item = f64>) {
    let mut all: Vec<f64> = seconds.into_iter().collect();
    all.sort_by(f64::total_cmp);
    let at = |share: f64| all[((all.len() - 1) as f64 * share).round() as usize] * 1e3;
    let (p50, p95, most) = (at(0.5), at(0.95), at(1.0));
    println!(
        "{what}: p50 {p50:.1} ms, p95 {p95:.1} ms, longest {most:.1} ms ({} times)",
        all.len()
    );
}

/// What a moved threshold is made of.
fn steps(doc: &Document) {
    let Some(evaluation) = doc.evaluation(Side::A) else {
        return;
    };
    let selection = &evaluation.selection;
    for kind in [Kind::Segm, Kind::Bbox] {
        let (base, order) = (&evaluation.base, &evaluation.of(kind).order);
        let setup = base.setup(kind);
        let (mut matching, mut tracing, mut naming) = (f64::MAX, f64::MAX, f64::MAX);
        for _ in 0..5 {
            let start = Instant::now();
            let found = matches(&setup, order, selection);
            matching = matching.min(start.elapsed().as_secs_f64());
            let start = Instant::now();
            let curves = accumulate(&base.cells, order, &found);
            tracing = tracing.min(start.elapsed().as_secs_f64());
            let start = Instant::now();
            std::hint::black_box(CocoNumbers::of(&curves));
            naming = naming.min(start.elapsed().as_secs_f64());
        }
        let [matching, tracing, naming] = [matching, tracing, naming].map(|s| s * 1e3);
        let kind = kind.key();
        println!(
            "  {kind}: matches {matching:.1} ms, curves {tracing:.1} ms, numbers {naming:.1} ms"
        );
    }
}
