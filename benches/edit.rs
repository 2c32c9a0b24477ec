//! Times what a stroke of the brush costs before it can be drawn: painting, run lengths, and the ends that the window uploads.
//!
//! `cargo bench --bench edit`; the goal is 8 ms a step on 4096×4096 with a brush of 200 px.
#![allow(clippy::print_stdout, reason = "a benchmark prints its table")]

use std::time::{Duration, Instant};

use maskscope::coco::polygon::rasterise;
use maskscope::structures::{EditableMask, Paint, Random, Rle, Size};

const SIZE: Size = Size {
    width: 4096,
    height: 4096,
};
/// Steps of each stroke.
const STEPS: usize = 500;
/// Width of the brush.
const BRUSH: f32 = 200.0;
/// Way of the pointer between two steps: a quick stroke at 60 frames a second.
const STEP: f64 = 60.0;

fn main() {
    println!("{SIZE}, brush of {BRUSH} px, {STEPS} steps          p50       p99       max");
    let mut empty = EditableMask::new(SIZE);
    scenario("on an empty mask", &mut empty, Paint::Add);
    scenario("eraser over what was painted", &mut empty, Paint::Erase);
    let mut noise = noise();
    println!("noise of {} runs:", noise.to_rle().runs().len());
    scenario("on noise", &mut noise, Paint::Add);

    let begin = Instant::now();
    let outline = star(100_000);
    let mask = rasterise(&[outline], SIZE);
    let area = mask.map_or(0, |mask| mask.area());
    println!(
        "polygon of 100,000 vertices, {area} px: {}",
        ms(begin.elapsed())
    );
    let begin = Instant::now();
    let parts = noise.to_rle().components().len();
    println!("parts of the noise, {parts}: {}", ms(begin.elapsed()));
}

/// A walk over the picture; each step with all that the window needs to draw it.
fn scenario(name: &str, mask: &mut EditableMask, paint: Paint) {
    let mut random = Random::new(7);
    let (mut x, mut y, mut heading) = (2048.0f64, 2048.0f64, 0.0f64);
    let mut times = Vec::with_capacity(STEPS);
    let mut ends = 0;
    for _ in 0..STEPS {
        heading += random.normal() * 0.3;
        let next = (
            (x + STEP * heading.cos()).rem_euclid(4096.0),
            (y + STEP * heading.sin()).rem_euclid(4096.0),
        );
        let begin = Instant::now();
        mask.stroke(
            (x as f32, y as f32),
            (next.0 as f32, next.1 as f32),
            BRUSH / 2.0,
            paint,
        );
        let runs = mask.to_rle();
        ends += runs.ends().len();
        ends += runs.bbox().width as usize;
        times.push(begin.elapsed());
        (x, y) = next;
    }
    assert!(ends > 0, "the work is done");
    times.sort_unstable();
    let at = |share: f64| times.get(((STEPS - 1) as f64 * share) as usize).copied();
    let show = |share| ms(at(share).unwrap_or_default());
    println!("{name:40} {} {} {}", show(0.5), show(0.99), show(1.0));
}

/// Crumbs all over the picture: the worst that a mask is likely to be.
fn noise() -> EditableMask {
    let mut mask = EditableMask::new(SIZE);
    let mut random = Random::new(3);
    for _ in 0..100_000 {
        let (x, y) = (random.unit() * 4096.0, random.unit() * 4096.0);
        let at = (x as f32, y as f32);
        mask.stroke(at, at, 3.0, Paint::Add);
    }
    debug_assert!(EditableMask::from_rle(&Rle::clone(&mask.to_rle())) == mask);
    mask
}

/// A jagged circle.
fn star(vertices: usize) -> Vec<f64> {
    let mut random = Random::new(9);
    (0..vertices)
        .flat_map(|at| {
            let angle = at as f64 / vertices as f64 * std::f64::consts::TAU;
            let radius = 1500.0 + 400.0 * random.unit();
            [2048.0 + radius * angle.cos(), 2048.0 + radius * angle.sin()]
        })
        .collect()
}

fn ms(time: Duration) -> String {
    format!("{:7.3} ms", time.as_secs_f64() * 1e3)
}
