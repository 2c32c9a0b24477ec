//! Documents that are made to break a reader.

use crate::support::hang::Stopwatch;
use std::time::Duration;

use maskscope::config::{Config, PRESETS};

use super::error;

/// Reads hostile text: an error in good time, no panic.
fn refused(text: &str) -> String {
    let start = Stopwatch::start();
    let message = error(text);
    assert!(
        start.elapsed() < Duration::from_secs(5),
        "{:?} for {:.40}",
        start.elapsed(),
        text
    );
    assert!(
        message.len() < 100_000,
        "a message of {} bytes",
        message.len()
    );
    message
}

#[test]
fn hostile_documents_end_in_an_error() {
    let n = 200_000;
    refused(&"[".repeat(n));
    assert!(
        refused(&"[".repeat(100)).contains("nest deeper than 32"),
        "{}",
        refused(&"[".repeat(100))
    );
    refused(&"{a: ".repeat(n / 4));
    refused(&"- ".repeat(n));
    refused(&"? ".repeat(n));
    refused(&"a:\n ".repeat(400));
    refused(
        &(0..600)
            .map(|depth| format!("{:depth$}a:\n", ""))
            .collect::<String>(),
    );
    refused(&format!("lr: {}", "9".repeat(n)).replace("lr", "batch_size"));
    refused(&format!("{}: 1", "k".repeat(n)));
    refused(&(0..n).map(|i| format!("k{i}: 1\n")).collect::<String>()[..1 << 20]);
    refused(&format!("lr_steps: [{}]", "1,".repeat(n)));
    assert!(refused("a: &a [x,x]\nb: &b [*a,*a]\nc: [*b,*b]").contains("aliases"));
    assert!(refused("lr: *x").contains("line 1"));
    assert!(refused("lr: !!python/object/apply:os.system ['true']").contains("tags"));
    refused("? [a, b]\n: 1");
    refused("lr: 'unfinished");
    refused("lr: 1\n\tbatch_size: 2");
    refused("<<: {lr: 1}");
    assert!(refused(&"a: 1\n".repeat(n / 5)).starts_with("more than 50 problems"));
    refused("\0");
}

/// A small generator with a fixed seed, so that a failure can be repeated.
struct Lcg(u64);

impl Lcg {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % n.max(1)
    }
}

#[test]
fn mutated_files_never_panic_or_hang() {
    let pieces = [
        "[", "]", "{", "}", ":", ": ", "- ", "\n", "  ", "'", "\"", "#", "&a ", "*a", "!!str ",
        "|", ">", "%", "---", "...", "\t", "? ", ",", "\u{feff}", "é", "\\", "@", "`", "~", "9",
        "e", ".", "\r", "\u{85}", "<<",
    ];
    let start = Stopwatch::start();
    for seed in 0..3_000 {
        let mut random = Lcg(seed);
        let (_, text) = PRESETS[random.below(PRESETS.len())];
        let mut chars: Vec<char> = text.chars().collect();
        for _ in 0..1 + random.below(6) {
            let at = random.below(chars.len());
            match random.below(4) {
                0 => {
                    chars.remove(at);
                }
                1 => chars
                    .splice(at..at, pieces[random.below(pieces.len())].chars())
                    .for_each(drop),
                2 => chars.truncate(at),
                _ => {
                    let end = (at + random.below(40)).min(chars.len());
                    let copy: Vec<_> = chars[at..end].to_vec();
                    let to = random.below(chars.len());
                    chars.splice(to..to, copy).for_each(drop);
                }
            }
            if chars.is_empty() {
                break;
            }
        }
        let text: String = chars.into_iter().collect();
        if let Ok((config, _)) = Config::from_yaml(&text, "mutated") {
            let _ = config.validate();
            assert_eq!(
                Config::from_yaml(&config.to_yaml(), "again").unwrap().0,
                config,
                "seed {seed}"
            );
        }
        if let Some(line) = text.lines().next() {
            let _ = Config::default().set(line);
        }
    }
    assert!(
        start.elapsed() < Duration::from_secs(120),
        "{:?}",
        start.elapsed()
    );
}
