//! The canvas on a real (software) graphics adapter: pixels against run lengths, hit tests, uploads.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use egui::{Pos2, Vec2, pos2};
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
    pointer: Option<(f32, f32)>,
    verdicts: Option<Vec<canvas::Verdict>>,
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
            pointer: None,
            verdicts: None,
        }
    }

    fn ui(&mut self, ui: &mut egui::Ui) {
        let input = CanvasInput {
            image: Some(&self.image),
            thumbnail: None,
            image_size: None,
            instances: Some(&self.set),
            shown: self.shown.as_deref(),
            verdicts: self.verdicts.as_deref(),
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
        let response = canvas::show(ui, &mut self.view, &input);
        if response.clicked.is_some() || response.clicked_empty {
            self.clicked.push(response.clicked);
            self.selected = response.clicked;
        }
        self.hovered = response.hovered;
        self.zoom_percent = response.zoom_percent;
        self.pointer = response.pointer_in_image;
    }
}

/// A window with nothing but a canvas of `size` points, and the counters of its uploads.
fn window(scene: Scene, size: Vec2) -> (Harness<'static, Scene>, Arc<Counters>) {
    window_on(scene, size, 1.0, None)
}

/// The same on a screen of another density or another format of its pixels.
fn window_on(
    scene: Scene,
    size: Vec2,
    pixels_per_point: f32,
    format: Option<wgpu::TextureFormat>,
) -> (Harness<'static, Scene>, Arc<Counters>) {
    let mut render_state = egui_kittest::wgpu::create_render_state(
        egui_kittest::wgpu::default_wgpu_setup(),
        egui_wgpu::RendererOptions::PREDICTABLE,
    );
    if let Some(format) = format {
        let options = egui_wgpu::RendererOptions::PREDICTABLE;
        render_state.target_format = format;
        *render_state.renderer.write() =
            egui_wgpu::Renderer::new(&render_state.device, format, options);
    }
    let counters = gpu::install(&render_state);
    let renderer = egui_kittest::wgpu::WgpuTestRenderer::from_render_state(render_state);
    let harness = Harness::builder()
        .with_size(size + Vec2::splat(2.0 * MARGIN as f32))
        .with_pixels_per_point(pixels_per_point)
        .with_render_cursor(false)
        .allow_missing_glyphs() // the fonts belong to the theme
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

/// Compares every pixel of the image, drawn at a whole multiple, with the run lengths.
fn check_exact(scale: usize, pixels_per_point: f32, format: Option<wgpu::TextureFormat>) {
    let size = Size::new(320, 240);
    let detections = random_masks(size, 12, 7);
    let set = InstanceSet::new(&detections, &ClassTable::default());
    let mut scene = Scene::new(grey(size, 0), set);
    scene.style.outlines = false;
    scene.style.opacity = 1.0;
    let points = Vec2::new((320 * scale) as f32, (240 * scale) as f32) / pixels_per_point;
    let (mut harness, _) = window_on(scene, points, pixels_per_point, format);
    harness.run();
    let margin = (MARGIN as f32 * pixels_per_point) as u32;
    let picture = shot(&mut harness, &format!("exact-{scale}-{pixels_per_point}"));
    assert_eq!(harness.state().zoom_percent, 100.0 * scale as f32);
    let set = Arc::clone(&harness.state().set);
    // The smallest lies on top.
    let mut order: Vec<usize> = (0..detections.len()).collect();
    order.sort_by_key(|&i| detections[i].mask.area());
    let mut covered = 0;
    for y in 0..size.height {
        for x in 0..size.width {
            let top = order
                .iter()
                .copied()
                .find(|&i| contains(&detections[i].mask, x, y));
            let want = top.map_or([0, 0, 0, 255], |i| {
                colour::instance_colour(set.get(i).unwrap().hue).to_array()
            });
            covered += usize::from(top.is_some());
            for (dx, dy) in [(0, 0), (scale - 1, scale - 1)] {
                let (px, py) = ((x * scale + dx) as u32, (y * scale + dy) as u32);
                let got = picture.get_pixel(px + margin, py + margin).0;
                assert_eq!(got, want, "pixel {x},{y} at {scale}00 %");
            }
            let hits = set.hits(x as u32, y as u32, |_| true);
            assert_eq!(top, hits.first().copied(), "hit test at {x},{y}");
        }
    }
    assert!(covered > 10_000, "the masks cover {covered} pixels only");
}

#[test]
fn masks_on_the_gpu_are_the_run_lengths_pixel_for_pixel() {
    // The larger ones take the way of many pixels on a software adapter.
    check_exact(1, 1.0, None);
    check_exact(2, 1.0, None);
    check_exact(3, 1.0, None);
}

#[test]
fn masks_are_exact_on_a_screen_of_high_density() {
    check_exact(2, 2.0, None);
}

#[test]
fn masks_are_exact_where_the_screen_wants_linear_values() {
    check_exact(1, 1.0, Some(wgpu::TextureFormat::Rgba8UnormSrgb));
}

/// A filled rectangle `[x1, x2) × [y1, y2)`.
fn rectangle(size: Size, [x1, y1, x2, y2]: [usize; 4]) -> Rle {
    mask(size, |x, y| (x1..x2).contains(&x) && (y1..y2).contains(&y))
}

/// Where a position in the image is on a canvas that shows it at `scale` from its corner.
fn at(x: f32, y: f32, scale: f32) -> Pos2 {
    pos2(x, y) * scale + Vec2::splat(MARGIN as f32)
}

fn click(harness: &mut Harness<'static, Scene>, at: Pos2) {
    harness.hover_at(at);
    harness.run();
    for pressed in [true, false] {
        harness.event(egui::Event::PointerButton {
            pos: at,
            button: egui::PointerButton::Primary,
            pressed,
            modifiers: egui::Modifiers::NONE,
        });
        harness.run();
    }
}

#[test]
fn clicks_pick_the_smallest_and_then_go_deeper() {
    let size = Size::new(200, 100);
    let detections = [
        detection(rectangle(size, [0, 0, 150, 100]), 0, 0.9),
        detection(rectangle(size, [10, 10, 40, 40]), 1, 0.8),
        detection(rectangle(size, [5, 5, 60, 60]), 2, 0.7),
    ];
    let set = InstanceSet::new(&detections, &ClassTable::default());
    let (mut harness, _) = window(Scene::new(grey(size, 60), set), Vec2::new(400.0, 200.0));
    harness.run();
    let inside = at(20.0, 20.0, 2.0);
    harness.hover_at(inside);
    harness.run();
    assert_eq!(harness.state().hovered, Some(1));
    assert_eq!(harness.state().pointer, Some((20.0, 20.0)));
    for _ in 0..4 {
        click(&mut harness, inside);
    }
    click(&mut harness, at(50.0, 50.0, 2.0));
    click(&mut harness, at(180.0, 50.0, 2.0));
    harness.state_mut().shown = Some(vec![0]);
    click(&mut harness, inside);
    let want = [
        Some(1),
        Some(2),
        Some(0),
        Some(1),
        Some(2), // another place: from the top again
        None,    // no mask
        Some(0), // the others are below the threshold
    ];
    assert_eq!(harness.state().clicked, want);
}

#[test]
fn style_changes_upload_no_mask_again() {
    let size = Size::new(160, 120);
    let detections = random_masks(size, 40, 3);
    let set = InstanceSet::new(&detections, &ClassTable::default());
    let (mut harness, counters) = window(Scene::new(grey(size, 60), set), Vec2::new(320.0, 240.0));
    let frame = |harness: &mut Harness<'static, Scene>| {
        harness.run();
        harness.render().unwrap();
    };
    let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    frame(&mut harness);
    let bytes = read(&counters.mask_bytes);
    assert!(bytes > 0);
    assert_eq!(read(&counters.style_writes), 1);
    frame(&mut harness);
    assert_eq!(read(&counters.style_writes), 1, "nothing changed");

    let changes: [fn(&mut Scene); 9] = [
        |scene| scene.style.opacity = 0.8,
        |scene| scene.style.outline_width = 3.0,
        |scene| scene.style.outlines = false,
        |scene| scene.style.masks = false,
        |scene| scene.style.colour_by = ColourBy::Score,
        |scene| scene.shown = Some((0..20).collect()),
        |scene| scene.shown = Some((0..20).rev().collect()),
        |scene| scene.selected = Some(3),
        |scene| scene.style.isolate = true,
    ];
    for (i, change) in changes.iter().enumerate() {
        change(harness.state_mut());
        frame(&mut harness);
        let writes = read(&counters.style_writes);
        assert_eq!(writes, i as u64 + 2, "change {i} is seen");
    }
    harness.state_mut().view.zoom_by(3.0);
    frame(&mut harness);
    assert_eq!(read(&counters.mask_uploads), 1);
    assert_eq!(read(&counters.mask_bytes), bytes);
    assert_eq!(read(&counters.image_uploads), 1);
}

#[test]
fn what_is_uploaded_grows_with_runs_not_with_pixels() {
    let bytes = |factor: usize| {
        let size = Size::new(100 * factor, 100 * factor);
        let rle = rectangle(size, [10, 10, 90, 90].map(|v| v * factor));
        let set = InstanceSet::new(&[detection(rle, 0, 0.9)], &ClassTable::default());
        let (mut harness, counters) = window(Scene::new(grey(size, 0), set), Vec2::splat(100.0));
        harness.run();
        harness.render().unwrap();
        counters.mask_bytes.load(Ordering::Relaxed)
    };
    // Two u32s a column, one more, and a box.
    assert_eq!(bytes(1), 4 * (2 * 80 + 1) + 20);
    assert_eq!(bytes(8), 4 * (2 * 640 + 1) + 20);
}

#[test]
fn one_pixel_at_800_percent_is_a_crisp_square() {
    let size = Size::new(40, 30);
    let rle = rectangle(size, [17, 9, 18, 10]);
    let set = InstanceSet::new(&[detection(rle, 0, 0.9)], &ClassTable::default());
    let mut scene = Scene::new(grey(size, 0), set);
    scene.style.outlines = false;
    scene.style.opacity = 1.0;
    let (mut harness, _) = window(scene, Vec2::new(320.0, 240.0));
    harness.run();
    let picture = shot(&mut harness, "crisp-800");
    assert_eq!(harness.state().zoom_percent, 800.0);
    let [r, g, b, _] = colour::instance_colour(0).to_array();
    for y in 0..240 {
        for x in 0..320 {
            let inside = (136..144).contains(&x) && (72..80).contains(&y);
            let want = if inside { [r, g, b] } else { [0; 3] };
            assert_eq!(rgb(&picture, x, y), want, "{x},{y}");
        }
    }
}

#[test]
fn the_outline_is_as_wide_at_every_zoom() {
    let size = Size::new(64, 64);
    for scale in [0.5f32, 1.0, 1.7, 2.0, 8.0, 32.0] {
        // The left edge of the mask is the middle of the image, and of the canvas.
        let rle = rectangle(size, [32, 0, 64, 64]);
        let set = InstanceSet::new(&[detection(rle, 0, 0.9)], &ClassTable::default());
        let mut scene = Scene::new(grey(size, 0), set);
        scene.style.masks = false;
        let (mut harness, _) = window(scene, Vec2::splat(200.0));
        harness.run();
        view_at(&mut harness, scale);
        let picture = shot(&mut harness, &format!("outline-{scale}"));
        let full = f32::from(colour::instance_colour(0).r());
        let width: f32 = (90..108)
            .map(|x| f32::from(rgb(&picture, x, 100)[0]) / full)
            .sum();
        // Four samples a pixel: half of a quarter off at most.
        assert!((width - 1.5).abs() < 0.13, "{width} px at {scale}");
    }
}

#[test]
fn the_wheel_zooms_about_the_pointer_and_a_drag_pans() {
    let size = Size::new(200, 200);
    let set = InstanceSet::new(&[], &ClassTable::default());
    let (mut harness, _) = window(Scene::new(grey(size, 60), set), Vec2::splat(400.0));
    harness.run();
    let pointer = at(50.0, 120.0, 2.0);
    harness.hover_at(pointer);
    harness.run();
    for _ in 0..5 {
        harness.event(egui::Event::MouseWheel {
            unit: egui::MouseWheelUnit::Line,
            delta: Vec2::new(0.0, 1.0),
            phase: egui::TouchPhase::Move,
            source: egui::MouseWheelSource::Wheel,
            modifiers: egui::Modifiers::NONE,
        });
        harness.run_steps(6);
    }
    let zoom = harness.state().zoom_percent;
    assert!(zoom > 400.0, "five notches: {zoom} %");
    // The origin is rounded to a screen pixel: an eighth of an image pixel here.
    let (x, y) = harness.state().pointer.unwrap();
    assert!((x - 50.0).abs() < 0.2 && (y - 120.0).abs() < 0.2, "{x},{y}");

    harness.drag_at(pointer);
    harness.run();
    let moved = pointer + Vec2::new(30.0, -20.0);
    harness.hover_at(moved);
    harness.run();
    harness.drop_at(moved);
    harness.run();
    harness.hover_at(moved);
    harness.run();
    let (x, y) = harness.state().pointer.unwrap();
    let followed = (x - 50.0).abs() < 0.3 && (y - 120.0).abs() < 0.3;
    assert!(followed, "the pixel follows the pointer: {x},{y}");
    assert_eq!(harness.state().clicked, [], "a drag is no click");

    harness.state_mut().view.zoom_by(1e6);
    harness.run();
    assert_eq!(harness.state().zoom_percent, 3200.0);
    harness.state_mut().view.fit();
    harness.run();
    assert_eq!(harness.state().zoom_percent, 200.0);
}

#[test]
fn pixels_are_squares_when_large_and_means_of_light_when_small() {
    let size = Size::new(64, 64);
    let checker: Vec<u8> = (0..64 * 64)
        .flat_map(|i| [if (i % 64 + i / 64) % 2 == 0 { 255 } else { 0 }; 3])
        .collect();
    let picture = |side: f32| {
        let set = InstanceSet::new(&[], &ClassTable::default());
        let scene = Scene::new(DecodedImage::from_rgb(size, &checker), set);
        let (mut harness, _) = window(scene, Vec2::splat(side));
        harness.run();
        shot(&mut harness, &format!("checker-{side}"))
    };
    let large = picture(256.0);
    for y in 0..256 {
        for x in 0..256 {
            let want = if (x / 4 + y / 4) % 2 == 0 { 255 } else { 0 };
            assert_eq!(rgb(&large, x, y), [want; 3], "{x},{y}");
        }
    }
    let small = picture(16.0);
    for y in 2..14 {
        for x in 2..14 {
            // Half the light is 188 in sRGB; a mean of the values would be 128.
            let [r, ..] = rgb(&small, x, y);
            assert!((186..=190).contains(&r), "{r} at {x},{y}");
        }
    }
}

#[test]
fn an_image_wider_than_a_texture_is_drawn_in_tiles() {
    let size = Size::new(8200, 16);
    let bytes: Vec<u8> = (0..8200 * 16)
        .flat_map(|i| {
            let (x, y) = (i % 8200, i / 8200);
            [(x % 251) as u8, (x / 251) as u8, y as u8]
        })
        .collect();
    let rle = rectangle(size, [8190, 4, 8200, 6]);
    let set = InstanceSet::new(&[detection(rle, 0, 0.9)], &ClassTable::default());
    let mut scene = Scene::new(DecodedImage::from_rgb(size, &bytes), set);
    scene.style.outlines = false;
    scene.style.opacity = 1.0;
    let (mut harness, _) = window(scene, Vec2::new(400.0, 100.0));
    harness.run();
    let mut picture = shot(&mut harness, "tiles");
    for border in [4096i64, 8192] {
        let around = BoxXywh::new(border as f64 - 4.0, 6.0, 8.0, 4.0);
        harness.state_mut().view.show_box(around);
        harness.run();
        view_at(&mut harness, 4.0);
        picture = shot(&mut harness, &format!("tiles-{border}"));
        for dx in -8..8 {
            // Column and row that lie right and below of the middle of the canvas.
            let x = border + dx;
            let got = rgb(&picture, (200 + dx * 4 + 2) as usize, 50 + 2);
            assert_eq!(got, [(x % 251) as u8, (x / 251) as u8, 8], "column {x}");
        }
    }
    // Rows 4 and 5 at the last border are masked.
    let mask_colour = colour::instance_colour(0).to_array();
    assert_eq!(rgb(&picture, 200 + 2, 50 - 16 + 2), mask_colour[..3]);
}

/// Zooms to so many screen pixels per image pixel.
fn view_at(harness: &mut Harness<'static, Scene>, scale: f32) {
    let now = harness.state().zoom_percent / 100.0;
    harness.state_mut().view.zoom_by(scale / now);
    harness.run();
}
