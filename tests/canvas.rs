//! The canvas on a real (software) graphics adapter: pixels against run lengths, hit tests, uploads.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::sync::Arc;

use egui::Vec2;
use egui_kittest::Harness;
use maskscope::jobs::images::DecodedImage;
use maskscope::structures::{BoxXywh, ClassTable, Detection, Rle, Size};
use maskscope::ui::canvas::{self, CanvasInput, CanvasView, InstanceSet, OverlayStyle};
use maskscope::ui::colour::{self, ColourBy};
use maskscope::ui::gpu::{self, Counters};

/// The margin of the root that kittest lays around every ui, in points.
const MARGIN: u32 = 8;

/// What a test changes between frames.
struct Scene {
    image: Arc<DecodedImage>,
    set: Arc<InstanceSet>,
    view: CanvasView,
    style: OverlayStyle,
    selected: Option<usize>,
    shown: Option<Vec<usize>>,
    clicked: Vec<Option<usize>>,
    hovered: Option<usize>,
    zoom_percent: f32,
}

impl Scene {
    fn new(image: DecodedImage, set: Arc<InstanceSet>) -> Self {
        let mut view = CanvasView::default();
        view.padding = egui::Margin::ZERO;
        Self {
            image: Arc::new(image),
            set,
            view,
            style: OverlayStyle {
                labels: false,
                ..OverlayStyle::default()
            },
            selected: None,
            shown: None,
            clicked: Vec::new(),
            hovered: None,
            zoom_percent: 0.0,
        }
    }

    fn ui(&mut self, ui: &mut egui::Ui) {
        let input = CanvasInput {
            image: Some(&self.image),
            thumbnail: None,
            image_size: None,
            instances: Some(&self.set),
            shown: self.shown.as_deref(),
            verdicts: None,
            ground_truth: None,
            ground_truth_verdicts: None,
            style: &self.style,
            selected: self.selected,
            hovered: None,
        };
        let response = canvas::show(ui, &mut self.view, &input);
        if response.clicked.is_some() || response.clicked_empty {
            self.clicked.push(response.clicked);
            self.selected = response.clicked;
        }
        self.hovered = response.hovered;
        self.zoom_percent = response.zoom_percent;
    }
}

/// A window with nothing but a canvas of `size` points, and the counters of its uploads.
fn window(scene: Scene, size: Vec2) -> (Harness<'static, Scene>, Arc<Counters>) {
    let render_state = egui_kittest::wgpu::create_render_state(
        egui_kittest::wgpu::default_wgpu_setup(),
        egui_wgpu::RendererOptions::PREDICTABLE,
    );
    let counters = gpu::install(&render_state);
    let renderer = egui_kittest::wgpu::WgpuTestRenderer::from_render_state(render_state);
    let harness = Harness::builder()
        .with_size(size + Vec2::splat(2.0 * MARGIN as f32))
        .with_render_cursor(false)
        .renderer(renderer)
        .build_ui_state(|ui, scene: &mut Scene| scene.ui(ui), scene);
    (harness, counters)
}

/// Renders; keeps the picture where `MASKSCOPE_SHOTS` names a folder, to be looked at.
fn shot(harness: &mut Harness<'static, Scene>, name: &str) -> image::RgbaImage {
    let picture = harness.render().unwrap();
    if let Some(folder) = std::env::var_os("MASKSCOPE_SHOTS") {
        picture
            .save(std::path::Path::new(&folder).join(format!("{name}.png")))
            .unwrap();
    }
    picture
}

/// A pixel of the canvas.
fn rgb(picture: &image::RgbaImage, x: usize, y: usize) -> [u8; 3] {
    let [r, g, b, _] = picture.get_pixel(x as u32 + MARGIN, y as u32 + MARGIN).0;
    [r, g, b]
}

/// A mask from a predicate, as COCO's column-major runs.
fn mask(size: Size, inside: impl Fn(usize, usize) -> bool) -> Rle {
    let mut runs = vec![0u32];
    let mut current = false;
    for x in 0..size.width {
        for y in 0..size.height {
            if inside(x, y) != current {
                current = !current;
                runs.push(0);
            }
            *runs.last_mut().unwrap() += 1;
        }
    }
    Rle::new(size, runs).unwrap()
}

fn detection(mask: Rle, label: usize, score: f64) -> Detection {
    let height = mask.size().height as u64;
    let (mut x1, mut y1, mut x2, mut y2) = (u64::MAX, u64::MAX, 0, 0);
    for (start, end) in mask.spans() {
        for at in start..end {
            let (x, y) = (at / height, at % height);
            (x1, y1, x2, y2) = (x1.min(x), y1.min(y), x2.max(x + 1), y2.max(y + 1));
        }
    }
    let bbox = BoxXywh::new(
        x1.min(x2) as f64,
        y1.min(y2) as f64,
        x2.saturating_sub(x1) as f64,
        y2.saturating_sub(y1) as f64,
    );
    Detection {
        bbox,
        label,
        score,
        mask_iou: Some(0.5),
        iou_score: score * 0.5,
        mask,
        quality: None,
    }
}

fn grey(size: Size, value: u8) -> DecodedImage {
    DecodedImage::from_rgb(size, &vec![value; size.pixels() * 3])
}

/// A small deterministic generator: xorshift.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }
}

/// Ellipses with holes and noise: several spans a column, some touching the border of the image.
fn random_masks(size: Size, count: usize, seed: u64) -> Vec<Detection> {
    let mut random = Random(seed);
    (0..count)
        .map(|i| {
            let (cx, cy) = (
                random.below(size.width) as f64,
                random.below(size.height) as f64,
            );
            let (rx, ry) = (
                (4 + random.below(size.width / 4)) as f64,
                (4 + random.below(size.height / 4)) as f64,
            );
            let noise = Random(seed + i as u64).below(1000) as u64;
            let rle = mask(size, |x, y| {
                let d = ((x as f64 - cx) / rx).powi(2) + ((y as f64 - cy) / ry).powi(2);
                let speck = (x as u64 * 7919 + y as u64 * 104_729 + noise).is_multiple_of(97);
                d < 1.0 && d > 0.1 && !speck
            });
            detection(rle, i % 3, 0.99 - i as f64 * 0.01)
        })
        .collect()
}

/// Whether a mask covers a pixel, straight from its runs.
fn contains(mask: &Rle, x: usize, y: usize) -> bool {
    let at = (x * mask.size().height + y) as u64;
    mask.spans().any(|(start, end)| start <= at && at < end)
}

#[test]
fn masks_on_the_gpu_are_the_run_lengths_pixel_for_pixel() {
    let size = Size::new(320, 240);
    for scale in [1usize, 2, 3] {
        let detections = random_masks(size, 12, 7);
        let mut scene = Scene::new(
            grey(size, 0),
            InstanceSet::new(&detections, &ClassTable::default()),
        );
        scene.style.outlines = false;
        scene.style.opacity = 1.0;
        scene.style.colour_by = ColourBy::Instance;
        let window_size = Vec2::new((320 * scale) as f32, (240 * scale) as f32);
        let (mut harness, _) = window(scene, window_size);
        harness.run();
        let picture = shot(&mut harness, &format!("exact-{scale}"));
        let set = Arc::clone(&harness.state().set);
        // Largest first: the smallest lies on top.
        let mut order: Vec<usize> = (0..detections.len()).collect();
        order.sort_by_key(|&i| detections[i].mask.area());
        let mut covered = 0;
        for y in 0..size.height {
            for x in 0..size.width {
                let top = order.iter().find(|&&i| contains(&detections[i].mask, x, y));
                let want = top.map_or([0, 0, 0], |&i| {
                    let c = colour::instance_colour(set.get(i).unwrap().hue);
                    [c.r(), c.g(), c.b()]
                });
                covered += usize::from(top.is_some());
                for (dx, dy) in [(0, 0), (scale - 1, scale - 1)] {
                    let got = rgb(&picture, x * scale + dx, y * scale + dy);
                    assert_eq!(got, want, "pixel {x},{y} at {scale}00 %");
                }
                assert_eq!(
                    top.copied(),
                    set.hits(x as u32, y as u32, |_| true).first().copied(),
                    "hit test at {x},{y}"
                );
            }
        }
        assert!(covered > 10_000, "the masks cover {covered} pixels only");
    }
}
