//! Times training steps: Mask Scoring R-CNN R-50, 80 classes, one image of 512×512, weights and input from the formula of
//! the golden tests, every stage trained, 512 RoIs of which 128 positive.
//!
//! `cargo bench --bench training -- [--repeat 5] [--rounds 1] [--peer COMMAND] [--steady STEPS]`; the peer's command, the
//! same pass in PyTorch, is run after every round, so that both see the same machine. `--steady` goes on for so many steps
//! and prints the memory on the way.
#![allow(clippy::print_stdout, reason = "a benchmark prints its table")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a benchmark stops where it cannot go on"
)]

use std::collections::BTreeMap;
use std::time::Instant;

use candle_core::{Device, Tensor};
use maskscope::config::{Config, Dialect, Style};
use maskscope::model::{Detector, ParameterSet};
use maskscope::structures::{BoxXyxy, GroundTruth, ImageTransform, MaskGrid, Random, Size};
use maskscope::train::{Batch, Draw, Optimizer, Update, losses};
use maskscope::weights::formula::{formula_input, formula_weights};

const SIZE: Size = Size {
    width: 512,
    height: 512,
};
/// Each is its own proposal: the sampler's whole share of positive RoIs.
const OBJECTS: usize = 128;
const STAGES: [&str; 4] = ["forward", "backward", "update", "forward + backward"];

fn config() -> Config {
    let mut config = Config::default();
    config.backbone.style = Style::Pytorch;
    // As in the peer's pass.
    config.backbone.frozen_stages = -1;
    config
}

/// Boxes of 12 to 162 pixels with masks of noise.
fn truth(random: &mut Random) -> GroundTruth {
    let grid = Size::new(SIZE.width / 2, SIZE.height / 2);
    let mut unit = || random.below(1 << 20) as f32 / (1 << 20) as f32;
    let mut truth = GroundTruth {
        grid: MaskGrid {
            size: grid,
            scale_x: 0.5,
            scale_y: 0.5,
        },
        ..GroundTruth::default()
    };
    for _ in 0..OBJECTS {
        let (width, height) = (12.0 + 150.0 * unit(), 12.0 + 150.0 * unit());
        let x = unit() * (SIZE.width as f32 - width);
        let y = unit() * (SIZE.height as f32 - height);
        truth.boxes.push(BoxXyxy::new(x, y, x + width, y + height));
        truth.labels.push((unit() * 80.0) as usize);
        let mask = (0..grid.width * grid.height).map(|_| u8::from(unit() < 0.5));
        truth.masks.push(mask.collect());
    }
    truth
}

struct Run {
    config: Config,
    set: ParameterSet,
    detector: Detector,
    optimizer: Optimizer,
    batch: Batch,
}

impl Run {
    fn new() -> Self {
        let config = config();
        let weights = formula_weights(&config);
        let set = ParameterSet::new(&config, &weights, &Device::Cpu).expect("weights");
        let detector = Detector::trainable(&set, &config, Dialect::Mindspore).expect("model");
        let image = formula_input(SIZE.height, SIZE.width);
        let image = Tensor::from_vec(image, (1, 3, SIZE.height, SIZE.width), &Device::Cpu);
        let batch = Batch {
            images: image.expect("as many values as the shape says"),
            transforms: vec![ImageTransform::new(SIZE, SIZE, SIZE)],
            truths: vec![truth(&mut Random::of(&[1]))],
            draws: vec![Draw {
                seed: 1,
                epoch: 0,
                image: 1,
            }],
        };
        Self {
            optimizer: Optimizer::new(&config),
            config,
            set,
            detector,
            batch,
        }
    }

    /// Seconds of each stage. The rate is so small that the weights of the formula stay what they are.
    fn step(&mut self) -> [f64; STAGES.len()] {
        let start = Instant::now();
        let found = losses(&self.detector, &self.config, &self.batch).unwrap();
        let total = found.total().unwrap();
        let forward = start.elapsed().as_secs_f64();
        drop(found);
        let start = Instant::now();
        let mut store = total.backward().unwrap();
        drop(total);
        let gradients: BTreeMap<String, Tensor> = self
            .set
            .trained()
            .filter_map(|(name, var)| Some((name.to_owned(), store.remove(var.as_tensor())?)))
            .collect();
        let backward = start.elapsed().as_secs_f64();
        let start = Instant::now();
        let update = Update {
            rate: 1e-12,
            factor: 1.0,
        };
        self.optimizer
            .step(self.set.trained(), &gradients, update)
            .unwrap();
        let updated = start.elapsed().as_secs_f64();
        [forward, backward, updated, forward + backward]
    }
}

fn status_mib(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix(field));
    let kib = line.and_then(|l| {
        l.trim_matches(|c: char| !c.is_ascii_digit())
            .parse::<u64>()
            .ok()
    });
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
    // As a training job does.
    let _more = maskscope::alloc::KeepMore::up_to(8 << 30);
    let mut run = Run::new();
    run.step();
    if args.iter().any(|a| a == "--parts") {
        for _ in 0..2 {
            let t = Instant::now();
            let f = run.detector.backbone.forward(&run.batch.images).unwrap();
            println!("backbone {:.3}", t.elapsed().as_secs_f64());
            let t = Instant::now();
            let p = run.detector.fpn.forward(&f).unwrap();
            println!("fpn {:.3}", t.elapsed().as_secs_f64());
            let t = Instant::now();
            let l = run.detector.rpn.forward(&p).unwrap();
            println!("rpn {:.3}", t.elapsed().as_secs_f64());
            let t = Instant::now();
            let props = run
                .detector
                .rpn
                .propose(
                    &l,
                    &run.batch.transforms,
                    &run.config.train_cfg.rpn_proposal,
                )
                .unwrap();
            println!(
                "propose {:.3} {}",
                t.elapsed().as_secs_f64(),
                props[0].boxes.len()
            );
            let t = Instant::now();
            let l = losses(&run.detector, &run.config, &run.batch).unwrap();
            println!("all {:.3}", t.elapsed().as_secs_f64());
            drop(l);
        }
    }
    for round in 1..=rounds {
        let runs: Vec<_> = (0..repeat).map(|_| run.step()).collect();
        println!("round {round}\n| stage | fastest s | median s |\n|---|---|---|");
        for (at, stage) in STAGES.iter().enumerate() {
            let mut times: Vec<f64> = runs.iter().map(|run| run[at]).collect();
            times.sort_by(f64::total_cmp);
            println!("| {stage} | {:.3} | {:.3} |", times[0], times[repeat / 2]);
        }
        println!("peak {} MiB", status_mib("VmHWM:"));
        if let Some(peer) = value("--peer") {
            let status = std::process::Command::new("sh")
                .args(["-c", &peer])
                .status();
            println!("peer: {:?}", status.expect("the peer's command starts"));
        }
    }
    let steady = number("--steady", 0);
    for step in 1..=steady {
        run.step();
        if step % 20 == 0 {
            println!("step {step}: {} MiB resident", status_mib("VmRSS:"));
        }
    }
}
