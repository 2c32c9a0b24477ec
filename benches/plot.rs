//! Times the plots without a window: the CPU side of a frame (input, layout, counting, tessellation, upload of the density)
//! of a scatter of 500,000 points. Nothing is drawn on a graphics card; textures are written through a software adapter.
//!
//! `cargo bench --bench plot`; the goal is p99 8 ms a frame.
#![allow(clippy::print_stdout, reason = "a benchmark prints its table")]
#![allow(clippy::expect_used, reason = "a benchmark may stop")]

use std::time::{Duration, Instant};

use egui::{Event, Modifiers, PointerButton, Pos2, Rect, Vec2, pos2, vec2};
use maskscope::ui::plot::{Axes, Axis, Points, Range, Region, Scatter, ScatterState, Tool};
use maskscope::ui::theme;

/// Points of the scatter, in points of the screen and pixels.
const WINDOW: Vec2 = vec2(1000.0, 800.0);
/// Frames of each scenario.
const FRAMES: usize = 300;
/// Points of the scatter.
const POINTS: usize = 500_000;

/// A scatter without a window.
struct Bench {
    ctx: egui::Context,
    gpu: egui_wgpu::RenderState,
    points: Points,
    state: ScatterState,
    plane: Rect,
    time: f64,
}

fn main() {
    let (x, y) = cloud(POINTS);
    let begin = Instant::now();
    let points = Points::new(&x, &y, None);
    println!("{POINTS} points sorted in {}", ms(begin.elapsed()));
    let mut bench = Bench::new(points);
    println!("adapter: {}", bench.gpu.adapter.get_info().name);
    println!("first frame, fonts in it:  {}", ms(bench.frame(Vec::new())));

    println!("\nCPU side of a frame, {FRAMES} frames     p50       p99       max");
    bench.scenario("nothing changes", |_, _| Vec::new());
    bench.scenario("pointer moves over the points", |bench, i| {
        vec![moved(bench.at(i, 0.3))]
    });
    bench.scenario("zoom with the wheel", |bench, i| {
        let turns = if i % 60 < 30 { 40.0 } else { -40.0 };
        let wheel = Event::MouseWheel {
            source: egui::MouseWheelSource::Wheel,
            unit: egui::MouseWheelUnit::Point,
            delta: vec2(0.0, turns),
            phase: egui::TouchPhase::Move,
            modifiers: Modifiers::NONE,
        };
        vec![moved(bench.plane.center()), wheel]
    });
    let axes = bench.axes();
    let half = Range {
        min: 0.25,
        max: 0.75,
    };
    bench.state.view.show(half, half, &axes);
    bench.drag("pan", Tool::Pan, |_| {});
    let most = Range {
        min: 0.02,
        max: 0.98,
    };
    bench.state.view.show(most, most, &axes);
    bench.drag("pan of nearly all", Tool::Pan, |_| {});
    bench.state.view.reset();
    bench.drag("draw a rectangle", Tool::Rectangle, |state| {
        state.set_brush(None)
    });
    let large = Region::rect([0.2, 0.2], [0.8, 0.8]);
    bench.drag("move a large rectangle", Tool::Rectangle, |state| {
        state.set_brush(Some(large.clone()))
    });
    bench.drag("draw a lasso", Tool::Lasso, |state| state.set_brush(None));
    bench.state.set_brush(Some(large));
    bench.state.view.show(half, half, &axes);
    bench.drag("pan with a brush", Tool::Pan, |_| {});
    bench.state.set_brush(None);
    let near = Range {
        min: 0.48,
        max: 0.53,
    };
    bench.state.view.show(near, near, &axes);
    bench.drag("pan, zoomed in to dots", Tool::Pan, |_| {});
}

impl Bench {
    fn new(points: Points) -> Self {
        let ctx = egui::Context::default();
        theme::install(&ctx);
        let mut bench = Self {
            gpu: egui_kittest::wgpu::create_render_state(
                egui_kittest::wgpu::default_wgpu_setup(),
                egui_wgpu::RendererOptions::default(),
            ),
            ctx,
            points: Points::new(&[], &[], None),
            state: ScatterState::default(),
            plane: Rect::ZERO,
            time: 0.0,
        };
        bench.frame(Vec::new());
        bench.frame(Vec::new());
        bench.points = points;
        bench
    }

    fn axes(&self) -> Axes<'static> {
        Axes {
            x: Axis::unit("mask IoU"),
            y: Axis::unit("measured IoU"),
            diagonal: true,
        }
    }

    /// A place on a circle, after `i` frames.
    fn at(&self, i: usize, radius: f32) -> Pos2 {
        let turn = std::f32::consts::TAU * i as f32 / 240.0;
        self.plane.center() + vec2(turn.cos(), turn.sin()) * radius * self.plane.height()
    }

    /// Presses the button, moves on a circle, releases; the times are those of the frames between.
    fn drag(&mut self, name: &str, tool: Tool, before: impl Fn(&mut ScatterState)) {
        before(&mut self.state);
        self.state.tool = tool;
        let start = self.at(0, 0.25);
        self.frame(vec![moved(start)]);
        self.frame(vec![button(start, true)]);
        self.scenario(name, |bench, i| vec![moved(bench.at(i + 1, 0.25))]);
        let end = self.at(FRAMES, 0.25);
        self.frame(vec![button(end, false)]);
        // Time passes, so that two drags are no double click.
        self.time += 2.0;
    }

    /// Runs one scenario and prints its times.
    fn scenario(&mut self, name: &str, mut events: impl FnMut(&Self, usize) -> Vec<Event>) {
        let mut times: Vec<Duration> = (0..FRAMES)
            .map(|i| {
                let events = events(self, i);
                self.frame(events)
            })
            .collect();
        times.sort();
        let at = |share: f64| ms(times[((FRAMES - 1) as f64 * share) as usize]);
        println!("  {name:32} {} {} {}", at(0.5), at(0.99), at(1.0));
    }

    /// One frame; the time until its triangles and textures are ready.
    fn frame(&mut self, events: Vec<Event>) -> Duration {
        self.time += 1.0 / 60.0;
        let input = egui::RawInput {
            screen_rect: Some(Rect::from_min_size(pos2(0.0, 0.0), WINDOW)),
            time: Some(self.time),
            events,
            ..Default::default()
        };
        let begin = Instant::now();
        let (points, state, plane) = (&self.points, &mut self.state, &mut self.plane);
        let mut output = self.ctx.run_ui(input, |ui| {
            *plane = scatter(points).show(ui, state).plane.frame;
        });
        let shapes = std::mem::take(&mut output.shapes);
        let triangles = self.ctx.tessellate(shapes, 1.0);
        let mut renderer = self.gpu.renderer.write();
        for (id, deltas) in output.textures_delta.set.drain() {
            for delta in deltas {
                renderer.update_texture(&self.gpu.device, &self.gpu.queue, id, &delta);
            }
        }
        let taken = begin.elapsed();
        drop((renderer, triangles));
        self.gpu.queue.submit([]); // the uploads alone
        let wait = wgpu::PollType::wait_indefinitely();
        self.gpu.device.poll(wait).expect("the device answers");
        taken
    }
}

fn scatter(points: &Points) -> Scatter<'_> {
    Scatter {
        name: "scatter",
        points,
        x: Axis::unit("mask IoU"),
        y: Axis::unit("measured IoU"),
        palette: &[],
        bright: None,
        selected: None,
        diagonal: true,
        margins: true,
        noun: ["instance", "instances"],
        describe: None,
        empty: "No instances",
    }
}

/// Points along the diagonal, dense at its upper end, as predictions are.
fn cloud(count: usize) -> (Vec<f32>, Vec<f32>) {
    let mut seed = 0x9e37_79b9_7f4a_7c15u64;
    let mut next = move || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        (seed >> 40) as f32 / (1u64 << 24) as f32
    };
    (0..count)
        .map(|_| {
            let x = next().sqrt();
            let noise = next() + next() + next() - 1.5;
            (x, (x + 0.25 * noise).clamp(0.0, 1.0))
        })
        .unzip()
}

fn moved(at: Pos2) -> Event {
    Event::PointerMoved(at)
}

fn button(at: Pos2, pressed: bool) -> Event {
    Event::PointerButton {
        pos: at,
        button: PointerButton::Primary,
        pressed,
        modifiers: Modifiers::NONE,
    }
}

fn ms(time: Duration) -> String {
    format!("{:6.2} ms", time.as_secs_f64() * 1e3)
}
