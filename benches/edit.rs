//! Times what a stroke of the brush costs before it can be drawn: painting, run lengths, and the ends that the window uploads.
//!
//! Then the same through the window: all that a frame computes while the pointer draws, with 60 other instances in the image,
//! without the drawing itself, which a software adapter would do on the same cores.
//!
//! `cargo bench --bench edit`; the goal is 8 ms a step on 4096×4096 with a brush of 200 px.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a measurement stops at what goes wrong and prints"
)]

use std::time::{Duration, Instant};

use egui_kittest::Harness;
use egui_kittest::kittest::Queryable as _;
use maskscope::coco::polygon::rasterise;
use maskscope::document::settings::Settings;
use maskscope::structures::{EditableMask, Paint, Random, Rle, Size};
use maskscope::ui::command::Command;
use maskscope::ui::panels::review::tools::Tool;
use maskscope::ui::review_command::ReviewCommand;
use maskscope::ui::view::Workspace;
use maskscope::ui::{App, StartOptions};

const SIZE: Size = Size {
    width: 4096,
    height: 4096,
};
/// Steps of each stroke.
const STEPS: usize = 500;
/// Width of the brush.
const BRUSH: f32 = 200.0;
/// Annotations beside the one that is painted in the window.
const OTHERS: usize = 60;
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
    through_the_window();
}

/// A picture of `SIZE` with `OTHERS` annotations, open in the Review workspace with the brush in hand.
fn through_the_window() {
    let home = tempfile::tempdir().unwrap();
    let picture = image::RgbImage::from_fn(4096, 4096, |x, y| {
        image::Rgb([(x / 16) as u8, (y / 16) as u8, ((x ^ y) / 16) as u8])
    });
    picture.save(home.path().join("0.jpg")).unwrap();
    let mut random = Random::new(5);
    let mut polygon = || -> Vec<f64> {
        let mut within = |low: f64, high: f64| low + (high - low) * random.unit();
        let (x, y) = (within(300.0, 3800.0), within(300.0, 3800.0));
        let corner = |at: usize| f64::from(at as u32) / 80.0 * std::f64::consts::TAU;
        (0..80)
            .map(corner)
            .flat_map(|angle| {
                let radius = within(150.0, 300.0);
                [x + radius * angle.cos(), y + radius * angle.sin()]
            })
            .collect()
    };
    let annotations: Vec<_> = (0..OTHERS)
        .map(|id| {
            serde_json::json!({"id": id + 1, "image_id": 1, "category_id": 1, "iscrowd": 0,
                "segmentation": [polygon()], "bbox": [0, 0, 1, 1], "area": 1})
        })
        .collect();
    let set = serde_json::json!({
        "images": [{"id": 1, "file_name": "0.jpg", "width": 4096, "height": 4096}],
        "categories": [{"id": 1, "name": "thing"}],
        "annotations": annotations,
    });
    let json = home.path().join("set.json");
    std::fs::write(&json, set.to_string()).unwrap();
    let mut window = Harness::builder()
        .with_size([1280.0, 800.0])
        .wgpu()
        .build_eframe(|cc| {
            let options = StartOptions {
                no_cache: true,
                path: Some(json.clone()),
                ..StartOptions::default()
            };
            App::new(cc, options, Settings::default(), None)
        });
    frames(&mut window, |app| app.document().has_truth());
    let commands = window.state_mut().commands();
    commands.push(Command::SetWorkspace(Workspace::Review));
    frames(&mut window, |app| app.document().review().is_some());
    let radius = |app: &App| app.view().review.drawing.radius();
    while radius(window.state()) < BRUSH / 2.0 {
        let larger = Command::Review(ReviewCommand::Resize(1));
        let brush = Command::Review(ReviewCommand::Tool(Tool::Brush));
        let commands = window.state_mut().commands();
        commands.push(brush);
        commands.push(larger);
        window.step();
    }
    // The picture is decoded and the annotations are here.
    for _ in 0..100 {
        std::thread::sleep(Duration::from_millis(20));
        window.step();
    }
    let canvas = window.get_by_label("Canvas").rect().shrink(60.0);
    let at = |share: f32| {
        let wave = (share * 40.0).sin() * 0.5 + 0.5;
        egui::pos2(
            canvas.left() + canvas.width() * share,
            canvas.top() + canvas.height() * wave,
        )
    };
    press(&mut window, at(0.0), true);
    let (mut times, mut first) = (Vec::new(), None);
    for step in 1..=STEPS {
        let to = at(step as f32 / STEPS as f32);
        window.event(egui::Event::PointerMoved(to));
        let begin = Instant::now();
        window.step();
        let output = window.output();
        let (shapes, scale) = (output.shapes.clone(), output.pixels_per_point);
        std::hint::black_box(window.ctx.tessellate(shapes, scale));
        let took = begin.elapsed();
        first.get_or_insert(took);
        times.push(took);
    }
    let begin = Instant::now();
    press(&mut window, at(1.0), false);
    let last = begin.elapsed();
    let review = window.state().document().review().unwrap();
    assert_eq!(review.history().len(), 1, "the stroke became an edit");
    let new = OTHERS as u64 + 1;
    println!(
        "through the window, brush of {:.0} px, {OTHERS} other instances, {} px painted:",
        2.0 * radius(window.state()),
        review.mask(new).unwrap().area()
    );
    times.sort_unstable();
    let at = |share: f64| ms(times[((STEPS - 1) as f64 * share) as usize]);
    println!(
        "{:40} {} {} {}",
        "a frame of the stroke",
        at(0.5),
        at(0.99),
        at(1.0)
    );
    println!(
        "first frame {}, the edit {}",
        ms(first.unwrap_or_default()),
        ms(last)
    );
}

fn press(window: &mut Harness<'_, App>, pos: egui::Pos2, pressed: bool) {
    window.event(egui::Event::PointerMoved(pos));
    window.step();
    window.event(egui::Event::PointerButton {
        pos,
        button: egui::PointerButton::Primary,
        pressed,
        modifiers: egui::Modifiers::NONE,
    });
    window.step();
}

fn frames(window: &mut Harness<'_, App>, until: impl Fn(&App) -> bool) {
    while !until(window.state()) {
        std::thread::sleep(Duration::from_millis(5));
        window.step();
    }
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
