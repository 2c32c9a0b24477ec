//! Times the canvas without a window: the CPU side of a frame (input, layout, tessellation, uploads, command encoding) with
//! 1,000 instances on a picture of 3840×2160, and what is uploaded. Commands are encoded, not executed: the graphics
//! card's own time is not in it, which a software adapter would spend on the same cores.
//!
//! `cargo bench --bench canvas`; the goals are p50 4 ms and p99 8 ms a frame, 1 ms for a change of style.
#![allow(clippy::print_stdout, reason = "a benchmark prints its table")]
#![allow(clippy::expect_used, reason = "a benchmark may stop")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use egui::{Vec2, pos2, vec2};
use maskscope::jobs::images::DecodedImage;
use maskscope::structures::{BoxXywh, ClassTable, Detection, Rle, Size};
use maskscope::ui::canvas::{self, CanvasInput, CanvasView, InstanceSet, OverlayStyle};
use maskscope::ui::colour::ColourBy;
use maskscope::ui::gpu::{self, Counters};

/// Points and pixels of the window.
const WINDOW: Vec2 = vec2(1600.0, 1000.0);
/// Frames of each scenario.
const FRAMES: usize = 300;

/// The canvas with a renderer but no window.
struct Bench {
    ctx: egui::Context,
    gpu: egui_wgpu::RenderState,
    target: wgpu::Texture,
    counters: Arc<Counters>,
    scene: Scene,
    time: f64,
}

/// What the scenarios change.
struct Scene {
    image: Arc<DecodedImage>,
    set: Arc<InstanceSet>,
    shown: Vec<usize>,
    style: OverlayStyle,
    view: CanvasView,
    selected: Option<usize>,
}

fn main() {
    let (set, built) = timed(|| instances(Size::new(3840, 2160), 1000));
    println!("1,000 instances built in {}", ms(built));
    let mut bench = Bench::new(Size::new(3840, 2160), set);
    println!("adapter: {}", bench.gpu.adapter.get_info().name);
    let first = bench.frame(Vec::new());
    let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let masks = read(&bench.counters.mask_bytes);
    let area: u64 = bench.scene.set.instances().iter().map(|it| it.area).sum();
    println!("first frame, uploads in it:  {}", ms(first));
    println!(
        "  masks {} KiB for {} Mpx of foreground",
        masks >> 10,
        area / 1_000_000
    );
    println!("  image {} KiB", read(&bench.counters.image_bytes) >> 10);

    println!("\nCPU side of a frame, {FRAMES} frames     p50       p99       max");
    bench.scenario("nothing changes", |_, _| Vec::new());
    bench.scenario("pointer moves over the masks", |_, i| {
        let x = 100.0 + (i * 37 % 1400) as f32;
        let y = 100.0 + (i * 53 % 800) as f32;
        vec![egui::Event::PointerMoved(pos2(x, y))]
    });
    bench.scenario("threshold slides", |scene, i| {
        scene.shown = (0..1000 - i).collect();
        Vec::new()
    });
    bench.scene.shown = (0..1000).collect();
    bench.scenario("ranking changes", |scene, _| {
        scene.shown.rotate_left(1);
        Vec::new()
    });
    bench.scenario("opacity slides", |scene, i| {
        scene.style.opacity = i as f32 / FRAMES as f32;
        Vec::new()
    });
    bench.scenario("colours change", |scene, i| {
        scene.style.colour_by = ColourBy::ALL[i % ColourBy::ALL.len()];
        Vec::new()
    });
    bench.scenario("selection steps", |scene, i| {
        scene.selected = Some(i);
        Vec::new()
    });
    bench.scene.selected = None;
    bench.scenario("zoom and pan", |scene, i| {
        scene
            .view
            .zoom_by(if i % 40 < 20 { 1.1 } else { 1.0 / 1.1 });
        Vec::new()
    });
    bench.scene.view.fit();
    bench.scene.style.boxes = true;
    bench.scenario("boxes of all, pointer moves", |_, i| {
        vec![egui::Event::PointerMoved(pos2(100.0 + i as f32, 500.0))]
    });
    println!("\nmask uploads: {}", read(&bench.counters.mask_uploads));
    println!(
        "mask bytes since the first frame: {}",
        read(&bench.counters.mask_bytes) - masks
    );

    let small = Size::new(640, 480);
    let (set, built) = timed(|| instances(small, 300));
    let mut bench = Bench::new(small, set);
    let first = bench.frame(Vec::new());
    println!(
        "\n300 instances at 640×480: built {}, first frame {}",
        ms(built),
        ms(first)
    );
}

impl Bench {
    fn new(size: Size, set: Arc<InstanceSet>) -> Self {
        let gpu = egui_kittest::wgpu::create_render_state(
            egui_kittest::wgpu::default_wgpu_setup(),
            egui_wgpu::RendererOptions::default(),
        );
        let ctx = egui::Context::default();
        ctx.set_missing_glyph_policy(egui::MissingGlyphPolicy::Tofu);
        install_font(&ctx);
        let target = gpu.device.create_texture(&wgpu::TextureDescriptor {
            label: Some("bench"),
            size: wgpu::Extent3d {
                width: WINDOW.x as u32,
                height: WINDOW.y as u32,
                depth_or_array_layers: 1,
            },
            mip_level_count: 1,
            sample_count: 1,
            dimension: wgpu::TextureDimension::D2,
            format: gpu.target_format,
            usage: wgpu::TextureUsages::RENDER_ATTACHMENT,
            view_formats: &[],
        });
        let rgb: Vec<u8> = (0..size.pixels() * 3)
            .map(|i| (i / 3 % 251) as u8)
            .collect();
        let scene = Scene {
            image: Arc::new(DecodedImage::from_rgb(size, &rgb)),
            shown: (0..set.len()).collect(),
            set,
            style: OverlayStyle::default(),
            view: CanvasView::default(),
            selected: None,
        };
        let mut bench = Self {
            counters: gpu::install(&gpu),
            ctx,
            gpu,
            target,
            scene,
            time: 0.0,
        };
        // Fonts and pipelines of egui itself are not what is measured.
        let set = std::mem::replace(
            &mut bench.scene.set,
            InstanceSet::new(&[], &ClassTable::default()),
        );
        bench.frame(Vec::new());
        bench.frame(Vec::new());
        bench.scene.set = set;
        bench
    }

    /// Runs one scenario and prints its times.
    fn scenario(
        &mut self,
        name: &str,
        mut change: impl FnMut(&mut Scene, usize) -> Vec<egui::Event>,
    ) {
        let mut times: Vec<Duration> = (0..FRAMES)
            .map(|i| {
                let events = change(&mut self.scene, i);
                self.frame(events)
            })
            .collect();
        times.sort();
        let at = |share: f64| ms(times[((FRAMES - 1) as f64 * share) as usize]);
        println!("  {name:32} {} {} {}", at(0.5), at(0.99), at(1.0));
    }

    /// One frame; the time until its commands are ready to be submitted.
    fn frame(&mut self, events: Vec<egui::Event>) -> Duration {
        self.time += 1.0 / 60.0;
        let input = egui::RawInput {
            screen_rect: Some(egui::Rect::from_min_size(pos2(0.0, 0.0), WINDOW)),
            time: Some(self.time),
            events,
            ..Default::default()
        };
        let begin = Instant::now();
        let scene = &mut self.scene;
        let mut output = self.ctx.run_ui(input, |ui| scene.ui(ui));
        let shapes = std::mem::take(&mut output.shapes);
        let jobs = self.ctx.tessellate(shapes, 1.0);
        let commands = self.encode(&jobs, &mut output.textures_delta);
        let taken = begin.elapsed();
        drop(commands);
        self.gpu.queue.submit([]); // the uploads alone
        let wait = wgpu::PollType::wait_indefinitely();
        self.gpu.device.poll(wait).expect("the device answers");
        taken
    }

    /// Uploads and encodes.
    fn encode(
        &self,
        jobs: &[egui::ClippedPrimitive],
        textures: &mut egui::TexturesDelta,
    ) -> Vec<wgpu::CommandBuffer> {
        let screen = egui_wgpu::ScreenDescriptor {
            size_in_pixels: [WINDOW.x as u32, WINDOW.y as u32],
            pixels_per_point: 1.0,
        };
        let (device, queue) = (&self.gpu.device, &self.gpu.queue);
        let mut renderer = self.gpu.renderer.write();
        for (id, deltas) in textures.set.drain() {
            for delta in deltas {
                renderer.update_texture(device, queue, id, &delta);
            }
        }
        let mut encoder = device.create_command_encoder(&Default::default());
        let mut buffers = renderer.update_buffers(device, queue, &mut encoder, jobs, &screen);
        let view = self.target.create_view(&Default::default());
        let mut pass = encoder
            .begin_render_pass(&wgpu::RenderPassDescriptor {
                color_attachments: &[Some(wgpu::RenderPassColorAttachment {
                    view: &view,
                    resolve_target: None,
                    depth_slice: None,
                    ops: wgpu::Operations::default(),
                })],
                ..Default::default()
            })
            .forget_lifetime();
        renderer.render(&mut pass, jobs, &screen);
        drop(pass);
        buffers.push(encoder.finish());
        buffers
    }
}

impl Scene {
    fn ui(&mut self, ui: &mut egui::Ui) {
        let input = CanvasInput {
            image: Some(&self.image),
            thumbnail: None,
            image_size: None,
            instances: Some(&self.set),
            shown: Some(&self.shown),
            verdicts: None,
            picked: None,
            wipe: None,
            ground_truth_selected: None,
            draws: false,
            ground_truth: None,
            ground_truth_verdicts: None,
            style: &self.style,
            selected: self.selected,
            hovered: None,
        };
        canvas::show(ui, &mut self.view, &input);
    }
}

/// Ellipses from a tenth down to a hundredth of the picture, everywhere.
fn instances(size: Size, count: usize) -> Arc<InstanceSet> {
    let detections: Vec<Detection> = (0..count).map(|i| ellipse(size, i, count)).collect();
    let names = (0..80).map(|i| format!("class {i}"));
    InstanceSet::new(&detections, &ClassTable::from_names(names))
}

/// Written column by column as runs; nothing of the picture's size is allocated.
fn ellipse(size: Size, i: usize, count: usize) -> Detection {
    let (width, height) = (size.width as f64, size.height as f64);
    let share = 0.01 + 0.09 * (i * 7919 % count) as f64 / count as f64;
    let (rx, ry) = (width * share / 2.0, height * share / 2.0);
    let cx = rx + (width - 2.0 * rx) * (i * 104_729 % 997) as f64 / 997.0;
    let cy = ry + (height - 2.0 * ry) * (i * 15_485 % 991) as f64 / 991.0;
    let (mut runs, mut at) = (Vec::new(), 0);
    for x in (cx - rx) as usize..((cx + rx) as usize).min(size.width) {
        let half = ry * (1.0 - ((x as f64 + 0.5 - cx) / rx).powi(2)).max(0.0).sqrt();
        let top = (cy - half).max(0.0) as usize;
        let bottom = ((cy + half) as usize).min(size.height);
        if bottom > top {
            let start = x * size.height + top;
            runs.extend([(start - at) as u32, (bottom - top) as u32]);
            at = start + bottom - top;
        }
    }
    runs.push((size.pixels() - at) as u32);
    let score = 1.0 - i as f64 / count as f64;
    Detection {
        bbox: BoxXywh::new(cx - rx, cy - ry, 2.0 * rx, 2.0 * ry),
        label: i % 80,
        score,
        mask_iou: Some(0.7),
        iou_score: score * 0.7,
        mask: Rle::new(size, runs).expect("the runs fill the picture"),
        quality: None,
    }
}

/// The font that the window ships, so that labels cost what they cost there.
fn install_font(ctx: &egui::Context) {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/fonts");
    let font = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .find(|path| {
            path.extension()
                .is_some_and(|it| it == "ttf" || it == "otf")
        });
    let Some(bytes) = font.and_then(|path| std::fs::read(path).ok()) else {
        println!("no font in assets/fonts: labels are drawn without text");
        return;
    };
    let mut fonts = egui::FontDefinitions::empty();
    let data = Arc::new(egui::FontData::from_owned(bytes));
    fonts.font_data.insert("ui".to_owned(), data);
    let family = fonts.families.entry(egui::FontFamily::Proportional);
    family.or_default().push("ui".to_owned());
    ctx.set_fonts(fonts);
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let begin = Instant::now();
    (work(), begin.elapsed())
}

fn ms(time: Duration) -> String {
    format!("{:6.2} ms", time.as_secs_f64() * 1e3)
}
