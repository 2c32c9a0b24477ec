//! The window over a set of COCO's training size: `cargo bench --bench window [IMAGES]`, 118,000 images by default.
//!
//! A generated JSON, its image files hard links to a few pictures. How soon the gallery has its first rows, how long
//! the annotations take, and the CPU side of a frame (layout and tessellation) meanwhile and while the gallery scrolls.
//! Nothing is drawn: a software adapter would spend its time on the same cores.
#![allow(unsafe_code, reason = "the clock of a thread is the system's")]
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a measurement stops at what goes wrong and prints"
)]

use std::path::Path;
use std::time::{Duration, Instant};

use egui::{Event, MouseWheelSource, MouseWheelUnit, Pos2, TouchPhase, vec2};
use egui_kittest::Harness;
use maskscope::coco::dataset::Dataset;
use maskscope::data::synth::{AnnotationsRequest, write_annotations};
use maskscope::document::settings::Settings;
use maskscope::ui::command::Command;
use maskscope::ui::{App, StartOptions};

/// Different pictures.
const PICTURES: usize = 64;
/// A frame of a 60 Hz display.
const FRAME: Duration = Duration::from_millis(16);
/// Frames of each way to scroll.
const FRAMES: usize = 400;
/// In the middle of the gallery.
const GALLERY: Pos2 = Pos2::new(140.0, 400.0);

type Window = Harness<'static, App>;

fn main() {
    let given = std::env::args()
        .skip(1)
        .find_map(|argument| argument.parse().ok());
    let images = given.unwrap_or(118_000);
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("set");
    generate(&out, images);
    let bytes = std::fs::metadata(out.join("labels.json")).unwrap().len();
    println!("{images} images, {} MB of JSON", bytes / 1_000_000);

    let mut window = Harness::builder()
        .with_size([1280.0, 800.0])
        .with_max_steps(64)
        .wgpu()
        .build_eframe(move |cc| {
            let options = StartOptions {
                no_cache: true,
                ..StartOptions::default()
            };
            App::new(cc, options, Settings::default(), None)
        });
    for _ in 0..5 {
        frame(&mut window);
    }
    open(&mut window, &out.join("labels.json"));
    for (name, step, jumps) in [
        ("a row at a time", 40.0, false),
        ("a page at a time", 700.0, false),
        ("flung", 40_000.0, false),
        ("end and back", 0.0, true),
    ] {
        scroll(&mut window, name, step, jumps);
    }
}

fn generate(out: &Path, images: usize) {
    let request = AnnotationsRequest {
        out: out.to_owned(),
        images,
        seed: 1,
        size: None,
        detections: 0,
        predictions: false,
    };
    write_annotations(&request, &mut |_, _| true).unwrap();
    let set = Dataset::open(&out.join("labels.json")).unwrap();
    let picture = |number: usize| {
        image::RgbImage::from_fn(640, 480, |x, y| {
            let at = |scale: u32| ((x * scale + y * (number as u32 + 1)) % 256) as u8;
            image::Rgb([at(1), at(3), at(number as u32)])
        })
    };
    let sources: Vec<_> = (0..PICTURES)
        .map(|number| {
            let path = out.join(format!("picture {number}.jpg"));
            picture(number).save(&path).unwrap();
            path
        })
        .collect();
    for (number, image) in set.images().iter().enumerate() {
        std::fs::create_dir_all(image.path.parent().unwrap()).unwrap();
        std::fs::hard_link(&sources[number % PICTURES], &image.path)
            .or_else(|_| std::fs::copy(&sources[number % PICTURES], &image.path).map(|_| ()))
            .unwrap();
    }
}

/// One frame: what the window computes for it, as time of the processor. Threads that decode thumbnails take the cores
/// away from it, which a clock on the wall would count.
fn frame(window: &mut Window) -> Duration {
    let start = on_processor();
    window.step();
    let output = window.output();
    let (shapes, scale) = (output.shapes.clone(), output.pixels_per_point);
    std::hint::black_box(window.ctx.tessellate(shapes, scale));
    on_processor() - start
}

/// Time that this thread has spent on a processor.
fn on_processor() -> Duration {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the clock writes into `time` and nowhere else.
    let answer = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    assert_eq!(answer, 0, "the system has no clock of a thread");
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

fn open(window: &mut Window, json: &Path) {
    let start = Instant::now();
    window
        .state_mut()
        .commands()
        .push(Command::OpenPath(json.to_owned()));
    let (mut frames, mut first, mut whole) = (Vec::new(), None, None);
    while whole.is_none() {
        frames.push(frame(window));
        let app = window.state();
        if first.is_none() && !app.view().gallery.is_empty() {
            first = Some(start.elapsed());
        }
        if app.document().has_truth() {
            whole = Some(start.elapsed());
        }
        std::thread::sleep(Duration::from_millis(4));
    }
    let seconds = |time: Option<Duration>| time.unwrap_or_default().as_secs_f64();
    println!(
        "first rows after {:.3} s, all annotations after {:.3} s",
        seconds(first),
        seconds(whole)
    );
    report("frames while opening", frames);
    // Thumbnails of the first rows.
    let after: Vec<_> = (0..100).map(|_| frame(window)).collect();
    report("frames after that", after);
}

fn scroll(window: &mut Window, name: &str, step: f32, jumps: bool) {
    let mut frames = Vec::with_capacity(FRAMES);
    for at in 0..FRAMES {
        if jumps {
            let command = match at % 2 {
                0 => Command::LastImage,
                _ => Command::FirstImage,
            };
            window.state_mut().commands().push(command);
        } else {
            let direction = if (at / 100) % 2 == 0 { -1.0 } else { 1.0 };
            window.event(Event::PointerMoved(GALLERY));
            window.event(Event::MouseWheel {
                unit: MouseWheelUnit::Point,
                delta: vec2(0.0, direction * step),
                phase: TouchPhase::Move,
                source: MouseWheelSource::Trackpad,
                modifiers: egui::Modifiers::NONE,
            });
        }
        frames.push(frame(window));
        std::thread::sleep(Duration::from_millis(2));
    }
    report(&format!("scrolling, {name}"), frames);
}

fn report(what: &str, mut frames: Vec<Duration>) {
    frames.sort();
    let at = |share: f64| frames[((frames.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
    let above = frames.iter().filter(|time| **time > FRAME).count();
    println!(
        "{what}: p50 {:.2} ms, p99 {:.2} ms, longest {:.2} ms; {above} of {} above 16 ms",
        at(0.5),
        at(0.99),
        at(1.0),
        frames.len()
    );
}
