//! Times the whole forward pass: Mask Scoring R-CNN R-50, 80 classes, one image of 800×1024, weights and input from the
//! formula of the golden tests (1000 proposals, 100 detections).
//!
//! `cargo bench --bench forward -- [--repeat 5] [--rounds 1] [--peer COMMAND]`; the peer's command, the same network in
//! PyTorch, is run after every round, so that both see the same machine.
#![allow(clippy::print_stdout, reason = "a benchmark prints its table")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a benchmark stops where it cannot go on"
)]

use std::time::Instant;

use candle_core::{Device, Tensor};
use maskscope::config::{Config, Dialect, Style};
use maskscope::model::{Detector, InputBatch};
use maskscope::structures::{ClassTable, ImageTransform, Size};
use maskscope::weights::formula::{formula_input, formula_weights};
use maskscope::weights::{IouHead, LoadedCheckpoint};

const SIZE: Size = Size {
    width: 1024,
    height: 800,
};

/// The stages, as the peer has them, and the whole with pasting into the picture, which the peer lacks.
const STAGES: [&str; 6] = [
    "backbone+fpn",
    "rpn+proposals",
    "box head+nms",
    "mask+iou heads",
    "sum of these",
    "detect(), with pasting",
];

fn checkpoint() -> LoadedCheckpoint {
    let mut config = Config::default();
    config.backbone.style = Style::Pytorch;
    LoadedCheckpoint {
        path: "formula".into(),
        weights: formula_weights(&config),
        config,
        dialect: Dialect::Mindspore,
        classes: ClassTable::default(),
        iou_head: IouHead::Trained,
        notes: Vec::new(),
    }
}

/// Seconds of each stage, and how many proposals and detections there were.
fn stages(
    detector: &Detector,
    config: &Config,
    input: &InputBatch,
) -> ([f64; STAGES.len()], [usize; 2]) {
    let mut times = Vec::new();
    let mut clock = Instant::now();
    let mut lap = || {
        times.push(clock.elapsed().as_secs_f64());
        clock = Instant::now();
    };
    let features = detector.backbone.forward(&input.images).unwrap();
    let pyramid = detector.fpn.forward(&features).unwrap();
    drop(features);
    lap();
    let levels = detector.rpn.forward(&pyramid).unwrap();
    let transforms = &input.transforms;
    let rules = &config.test_cfg.rpn;
    let proposals = detector.rpn.propose(&levels, transforms, rules).unwrap();
    drop(levels);
    lap();
    let boxes = detector.box_head.detect(&pyramid, &proposals, transforms);
    let boxes = boxes.unwrap();
    lap();
    let masked = detector.masks(&pyramid, &boxes).unwrap();
    lap();
    let counts = [proposals[0].boxes.len(), boxes[0].len()];
    drop((masked, pyramid));
    lap();
    let start = Instant::now();
    let found = detector.detect(input).unwrap();
    assert_eq!(found[0].len(), counts[1]);
    let whole = start.elapsed().as_secs_f64();
    let sum = times[..4].iter().sum();
    ([times[0], times[1], times[2], times[3], sum, whole], counts)
}

fn peak_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"));
    let kib = line.and_then(|l| l.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kib.unwrap_or(0) / 1024
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let value = |flag: &str| {
        let at = args.iter().position(|a| a == flag)?;
        args.get(at + 1).cloned()
    };
    let number = |flag: &str, otherwise: usize| {
        value(flag).map_or(otherwise, |v| v.parse().expect("a number"))
    };
    let (repeat, rounds) = (number("--repeat", 5), number("--rounds", 1));
    let checkpoint = checkpoint();
    let detector = Detector::new(&checkpoint, &Device::Cpu).expect("model");
    let config = checkpoint.config.clone();
    drop(checkpoint);
    maskscope::alloc::release();
    let image = formula_input(SIZE.height, SIZE.width);
    let images = Tensor::from_vec(image, (1, 3, SIZE.height, SIZE.width), &Device::Cpu);
    let input = InputBatch {
        images: images.expect("as many values as the shape says"),
        transforms: vec![ImageTransform::new(SIZE, SIZE, SIZE)],
    };
    let start = Instant::now();
    stages(&detector, &config, &input);
    println!(
        "first pass, which prepares the weights, and a second: {:.2} s",
        start.elapsed().as_secs_f64()
    );
    for round in 1..=rounds {
        let runs: Vec<_> = (0..repeat)
            .map(|_| stages(&detector, &config, &input))
            .collect();
        let [proposals, detections] = runs[0].1;
        println!("round {round}: {proposals} proposals, {detections} detections");
        println!("| stage | fastest s | median s |\n|---|---|---|");
        for (at, stage) in STAGES.iter().enumerate() {
            let mut times: Vec<f64> = runs.iter().map(|run| run.0[at]).collect();
            times.sort_by(f64::total_cmp);
            println!("| {stage} | {:.3} | {:.3} |", times[0], times[repeat / 2]);
        }
        println!(
            "peak {} MiB, {} MiB of it free blocks kept for the next image",
            peak_mib(),
            maskscope::alloc::waiting_bytes() >> 20
        );
        if let Some(peer) = value("--peer") {
            let status = std::process::Command::new("sh")
                .args(["-c", &peer])
                .status();
            println!("peer: {:?}", status.expect("the peer's command starts"));
        }
    }
}
