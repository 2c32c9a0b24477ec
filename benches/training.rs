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

use candle_core::Device;
use maskscope::jobs::doctor::check::TrainingStep;

const STAGES: [&str; 4] = ["forward", "backward", "update", "forward + backward"];

fn step(step: &mut TrainingStep) -> [f64; STAGES.len()] {
    let [forward, backward, update] = step.run().unwrap();
    [forward, backward, update, forward + backward]
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
    let mut run = TrainingStep::new(&Device::Cpu).unwrap();
    step(&mut run);
    for round in 1..=rounds {
        let runs: Vec<_> = (0..repeat).map(|_| step(&mut run)).collect();
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
    for number in 1..=steady {
        step(&mut run);
        if number % 20 == 0 {
            println!("step {number}: {} MiB resident", status_mib("VmRSS:"));
        }
    }
}
