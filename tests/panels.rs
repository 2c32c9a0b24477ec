//! Gallery, inspector and canvas area of the real window, on prediction files and sets that the tests write.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use egui::accesskit::Role;
use egui_kittest::Harness;
use egui_kittest::kittest::{NodeT as _, Queryable as _};
use maskscope::document::coco_rle;
use maskscope::document::filter::SortBy;
use maskscope::document::ranking::RankBy;
use maskscope::document::settings::Settings;
use maskscope::structures::{Rle, Size};
use maskscope::ui::colour::ColourBy;
use maskscope::ui::command::Command;
use maskscope::ui::view::Layers;
use maskscope::ui::{App, StartOptions};

use crate::infer::photos;
use crate::support::fixtures::folder;

pub type Window = Harness<'static, App>;

/// A window that opens `path`, as large as the pictures of the design.
pub fn window(path: &Path, theme: egui::Theme) -> Window {
    window_with(StartOptions::default(), path, theme)
}

fn window_with(options: StartOptions, path: &Path, theme: egui::Theme) -> Window {
    let options = StartOptions {
        path: Some(path.to_owned()),
        no_cache: true,
        ..options
    };
    let mut window = Harness::builder()
        .with_size(egui::vec2(1280.0, 800.0))
        .with_theme(theme)
        .with_render_cursor(false)
        .wgpu()
        .build_eframe(|cc| App::new(cc, options, Settings::default(), None));
    window
        .state_mut()
        .commands()
        .push(Command::SetTheme(match theme {
            egui::Theme::Dark => egui::ThemePreference::Dark,
            egui::Theme::Light => egui::ThemePreference::Light,
        }));
    until(&mut window, |window| {
        !window.state().document().is_busy() && !window.state().document().images().is_empty()
    });
    frames(&mut window, 3);
    window
}

fn until(window: &mut Window, is_done: impl Fn(&Window) -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    window.step();
    while !is_done(window) {
        assert!(Instant::now() < deadline, "nothing came of it");
        std::thread::sleep(Duration::from_millis(5));
        window.step();
    }
}

pub fn frames(window: &mut Window, count: usize) {
    window.run_steps(count);
}

pub fn send(window: &mut Window, command: Command) {
    window.state_mut().commands().push(command);
    frames(window, 3);
}

/// Renders; keeps the picture where `MASKSCOPE_SHOTS` names a folder, to be looked at.
pub fn shot(window: &mut Window, name: &str) {
    if let Some(folder) = std::env::var_os("MASKSCOPE_SHOTS") {
        let deadline = Instant::now() + Duration::from_millis(1500);
        while Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(10));
            window.step();
        }
        let picture = window.render().unwrap();
        picture
            .save(Path::new(&folder).join(format!("{name}.png")))
            .unwrap();
    }
}

/// Renders in both themes.
pub fn shot_both(window: &mut Window, name: &str) {
    let before = window.ctx.theme();
    for (theme, word) in [(egui::Theme::Dark, "dark"), (egui::Theme::Light, "light")] {
        window.ctx.set_theme(theme);
        shot(window, &format!("{name}-{word}"));
    }
    window.ctx.set_theme(before);
}

/// The accessible names of all widgets that are laid out; of a text, what it says.
fn names(window: &Window) -> Vec<String> {
    window
        .root()
        .children_recursive()
        .filter_map(|node| name(&node))
        .collect()
}

fn name(node: &egui_kittest::Node<'_>) -> Option<String> {
    let node = node.accesskit_node();
    node.label().or_else(|| node.value())
}

pub fn said(window: &Window, text: &str) -> bool {
    names(window).iter().any(|name| name.contains(text))
}

/// Foreground in `columns` of every row.
fn stripe(size: Size, columns: std::ops::Range<u32>) -> Rle {
    let height = size.height as u32;
    let runs = [
        columns.start,
        columns.end - columns.start,
        size.width as u32 - columns.end,
    ];
    Rle::new(size, runs.map(|run| run * height).to_vec()).unwrap()
}

const SIZE: Size = Size {
    width: 150,
    height: 120,
};

fn prediction(
    label: usize,
    score: f64,
    mask_iou: f64,
    columns: std::ops::Range<u32>,
) -> serde_json::Value {
    let mask: serde_json::Value =
        serde_json::from_str(&coco_rle(&stripe(SIZE, columns.clone()))).unwrap();
    let width = columns.end - columns.start;
    let name = ["cat", "dog", "bird"][label];
    serde_json::json!({
        "bbox": {"x_min": columns.start, "y_min": 0, "width": width, "height": SIZE.height},
        "class": {"label": label, "category_id": "unknown", "name": name},
        "mask": mask, "score": score, "iou_score": score * mask_iou, "mask_iou": mask_iou,
    })
}

/// Four photos and a prediction file: 000 has four instances, 001 one, 002 none, 003 two.
pub fn predictions(home: &Path) -> PathBuf {
    let photos = photos(home, 4);
    let image = |name: &str, predictions: Vec<serde_json::Value>| {
        let key = photos.join(name).display().to_string();
        let value = serde_json::json!({"height": SIZE.height, "width": SIZE.width, "predictions": predictions});
        (key, value)
    };
    let file: serde_json::Map<_, _> = [
        image(
            "000.png",
            vec![
                prediction(0, 0.9, 0.5, 0..40),
                prediction(1, 0.8, 0.9, 30..70),
                prediction(0, 0.3, 0.4, 80..100),
                prediction(2, 0.7, 1.25, 110..140),
            ],
        ),
        image("001.png", vec![prediction(1, 0.95, 0.95, 20..90)]),
        image("002.png", Vec::new()),
        image(
            "003.png",
            vec![
                prediction(0, 0.2, 0.5, 0..20),
                prediction(0, 0.25, 0.6, 50..90),
            ],
        ),
    ]
    .into_iter()
    .collect();
    let path = home.join("predictions.json");
    std::fs::write(&path, serde_json::Value::Object(file).to_string()).unwrap();
    path
}

/// Rows of the list from top to bottom.
fn rows(window: &Window) -> Vec<String> {
    let mut rows: Vec<_> = window
        .root()
        .children_recursive()
        .filter_map(|node| {
            let label = name(&node)?;
            label
                .contains(", score ")
                .then(|| (node.rect().top(), label))
        })
        .collect();
    rows.sort_by(|a, b| a.0.total_cmp(&b.0));
    rows.into_iter().map(|(_, label)| label).collect()
}

fn classes(window: &Window) -> Vec<String> {
    let rows = rows(window);
    rows.iter()
        .map(|row| row.split(',').next().unwrap().to_owned())
        .collect()
}

#[test]
fn the_list_ranks_and_filters_without_the_model() {
    let home = tempfile::tempdir().unwrap();
    let mut window = window(&predictions(home.path()), egui::Theme::Dark);
    assert_eq!(
        window.state().view().image,
        Some(0),
        "the first image is shown"
    );
    assert!(said(&window, "Instances · 4"));
    // iou scores: dog .72, bird .875, cat .45, cat .12.
    assert_eq!(classes(&window), ["bird", "dog", "cat", "cat"]);
    assert_eq!(
        rows(&window)[0],
        "bird, score 0.70, mask IoU 1.00, iou score 0.88"
    );
    shot(&mut window, "list-dark");

    window
        .get_by_role_and_label(Role::ComboBox, "Rank by")
        .click();
    frames(&mut window, 3);
    let score = window
        .get_all_by_label("score")
        .find(|node| node.accesskit_node().role() == Role::Button)
        .unwrap();
    score.click();
    frames(&mut window, 3);
    assert_eq!(window.state().view().rank_by, RankBy::Score);
    assert_eq!(classes(&window), ["cat", "dog", "bird", "cat"]);

    // The slider is named after the score that ranks.
    let slider = window.get_by_role_and_label(Role::Slider, "Score at least");
    slider.set_value_accesskit(0.75);
    frames(&mut window, 3);
    assert_eq!(window.state().view().threshold, 0.75);
    assert_eq!(classes(&window), ["cat", "dog"]);
    assert!(said(&window, "2 below score 0.75"));

    let slider = window.get_by_role_and_label(Role::Slider, "Opacity");
    slider.set_value_accesskit(0.8);
    window
        .get_by_role_and_label(Role::ComboBox, "Colour by")
        .click();
    frames(&mut window, 3);
    window
        .get_by_role_and_label(Role::Button, "mask IoU")
        .click();
    frames(&mut window, 3);
    let view = window.state().view();
    assert!((view.style.opacity - 0.8).abs() < 1e-6);
    assert_eq!(view.style.colour_by, ColourBy::MaskIou);
}

#[test]
fn selection_is_shared_and_its_numbers_keep_their_names() {
    let home = tempfile::tempdir().unwrap();
    let mut window = window(&predictions(home.path()), egui::Theme::Light);
    for name in [
        "score: –",
        "mask IoU, predicted: –",
        "iou score: –",
        "IoU, measured: –",
    ] {
        assert!(said(&window, name), "{name}");
    }
    window.get_by_label_contains("bird, score").click();
    frames(&mut window, 3);
    assert_eq!(window.state().view().instance, Some(2));
    assert!(said(&window, "Selected · bird"));
    let expected = [
        "score: 0.70",
        "mask IoU, predicted: 1.00",
        "iou score: 0.88",
        "IoU, measured: –",
        "area: 3,600 px",
        "box: 110, 0 · 30 × 120",
    ];
    let names = names(&window);
    let places: Vec<_> = expected
        .iter()
        .map(|row| {
            names
                .iter()
                .position(|name| name == row)
                .unwrap_or_else(|| panic!("{row}: {names:?}"))
        })
        .collect();
    assert!(places.is_sorted(), "always in the same order: {places:?}");

    window.get_by_label("IoU, measured: –").hover();
    until(&mut window, |window| said(window, "no ground truth"));
    window.get_by_label("mask IoU, predicted: 1.00").hover();
    until(&mut window, |window| {
        said(window, "1.2500 lies outside 0..1")
    });
    shot(&mut window, "selected-light");

    // What the threshold hides cannot stay selected.
    send(&mut window, Command::SetThreshold(0.9));
    assert_eq!(window.state().view().instance, None);
    assert!(classes(&window).is_empty());
    assert!(said(&window, "4 below iou score 0.90: lower it?"));
    shot(&mut window, "below-light");
    window.get_by_label("Lower to 0.43").click();
    frames(&mut window, 3);
    assert_eq!(classes(&window), ["bird", "dog", "cat"]);
}

#[test]
fn the_gallery_filters_sorts_and_says_what_it_holds() {
    let home = tempfile::tempdir().unwrap();
    let mut window = window(&predictions(home.path()), egui::Theme::Dark);
    let gallery = |window: &Window| window.state().view().gallery.clone();
    assert!(said(&window, "4 of 4"));
    assert!(said(&window, "000.png, 4 instances"));
    assert!(said(&window, "001.png, 1 instance"));
    send(&mut window, Command::SetThreshold(0.5));
    assert!(said(&window, "000.png, 2 instances"));
    assert!(said(&window, "003.png, 0 instances"));

    window.get_by_label("Sort by: file order").click();
    frames(&mut window, 3);
    window.get_by_label("count").click();
    frames(&mut window, 3);
    assert_eq!(window.state().view().query.sort, SortBy::Count);
    assert_eq!(gallery(&window), [0, 1, 2, 3], "2, 1, 0, 0 instances");
    window.get_by_label("Order: descending").click();
    frames(&mut window, 3);
    assert_eq!(gallery(&window), [2, 3, 1, 0]);

    window.get_by_label("Class: any class").click();
    frames(&mut window, 3);
    window.get_by_role_and_label(Role::Button, "dog").click();
    frames(&mut window, 3);
    assert_eq!(gallery(&window), [1, 0]);
    assert!(said(&window, "2 of 4"));
    window.get_by_label("Any class").click();
    frames(&mut window, 3);

    let field = window.get_by_role_and_label(Role::TextInput, "Filter");
    field.focus();
    field.type_text("003");
    frames(&mut window, 3);
    assert_eq!(gallery(&window), [3]);
    let field = window.get_by_role_and_label(Role::TextInput, "Filter");
    field.type_text("nowhere");
    frames(&mut window, 3);
    assert!(said(&window, "No image passes the filter"));
    frames(&mut window, 20);
    let canvas = window.get_by_label("Canvas").rect();
    assert!(
        (canvas.left() - 280.0).abs() < 2.0,
        "the gallery keeps its width: {canvas:?}"
    );
    assert_eq!(window.state().view().image, Some(0), "what is shown stays");
    shot(&mut window, "empty-filter-dark");
    window.get_by_label("Clear filter").click();
    frames(&mut window, 3);
    assert_eq!(gallery(&window).len(), 4);
    window.get_by_label_contains("001.png,").click();
    frames(&mut window, 3);
    assert_eq!(window.state().view().image, Some(1));
}

#[test]
fn a_large_gallery_lays_out_only_what_is_visible() {
    const IMAGES: usize = 118_000;
    let home = tempfile::tempdir().unwrap();
    let mut text = String::from("{");
    for n in 0..IMAGES {
        let comma = if n == 0 { "" } else { "," };
        text += &format!(
            "{comma}\"{n:012}.jpg\": {{\"height\": 480, \"width\": 640, \"predictions\": []}}"
        );
    }
    text.push('}');
    let path = home.path().join("large.json");
    std::fs::write(&path, text).unwrap();
    let mut window = window(&path, egui::Theme::Dark);
    let cells = |window: &Window| {
        names(window)
            .iter()
            .filter(|name| name.contains(".jpg, 0 instances"))
            .count()
    };
    assert!(said(&window, "118,000 of 118,000"));
    assert!((10..=20).contains(&cells(&window)), "{}", cells(&window));

    send(&mut window, Command::LastImage);
    assert!(
        said(&window, "000000117999.jpg, 0 instances"),
        "the last row is in view"
    );
    assert!(cells(&window) <= 20);
    let last = window.get_by_label("000000117999.jpg, 0 instances").rect();
    let before = window.get_by_label("000000117997.jpg, 0 instances").rect();
    // Exact even six million points down.
    assert_eq!(last.top() - before.top(), last.height() + 8.0);
    shot(&mut window, "large-dark");

    let start = Instant::now();
    window.state_mut().commands().push(Command::FocusFilter);
    window.step();
    window.event(egui::Event::Text("00007".into()));
    window.step();
    let mut slowest = start.elapsed();
    let mut count = 2;
    while window.state().view().gallery.len() == IMAGES {
        let frame = Instant::now();
        window.step();
        slowest = slowest.max(frame.elapsed());
        count += 1;
        assert!(count < 1_000, "the filter never ends");
    }
    println!(
        "a filter of 118,000 names: {count} frames, {:?}, the slowest {slowest:?}",
        start.elapsed()
    );
    let found = window.state().view().gallery.len();
    assert_eq!(
        found,
        (0..IMAGES)
            .filter(|n| format!("{n:012}.jpg").contains("00007"))
            .count()
    );
}

#[test]
fn an_unreadable_image_says_why_and_the_rest_goes_on() {
    let home = tempfile::tempdir().unwrap();
    let photos = photos(home.path(), 3);
    std::fs::write(photos.join("000.png"), b"no image at all").unwrap();
    let mut window = window(&photos, egui::Theme::Light);
    until(&mut window, |window| said(window, "000.png cannot be read"));
    assert!(said(&window, "The other images are not affected."));
    shot(&mut window, "unreadable-light");
    send(&mut window, Command::NextImage);
    assert_eq!(window.state().view().image, Some(1));
    until(&mut window, |window| {
        said(window, "No checkpoint is loaded")
    });
    assert!(!said(&window, "cannot be read"));
    shot(&mut window, "no-checkpoint-light");
}

#[test]
fn a_set_without_predictions_lists_its_annotations() {
    let home = tempfile::tempdir().unwrap();
    let photos = photos(home.path(), 2);
    let label = |id: u64, category: u64, crowd: u8, x: f64| {
        let segmentation = if crowd == 1 {
            serde_json::json!({"size": [120, 150], "counts": [0, 1200, 16800]})
        } else {
            serde_json::json!([[x, 10.0, x + 20.0, 10.0, x + 20.0, 30.0, x, 30.0]])
        };
        serde_json::json!({"id": id, "image_id": 1, "category_id": category, "iscrowd": crowd, "area": 400.0,
            "bbox": [x, 10.0, 20.0, 20.0], "segmentation": segmentation})
    };
    let set = serde_json::json!({
        "images": [{"id": 1, "file_name": "000.png", "width": 150, "height": 120},
                   {"id": 2, "file_name": "001.png", "width": 150, "height": 120}],
        "categories": [{"id": 7, "name": "cat"}, {"id": 9, "name": "dog"}],
        "annotations": [label(1, 7, 0, 10.0), label(2, 9, 0, 60.0), label(3, 9, 1, 0.0)],
    });
    std::fs::write(photos.join("_annotations.coco.json"), set.to_string()).unwrap();
    let mut window = window(&photos, egui::Theme::Dark);
    until(&mut window, |window| said(window, "Ground truth · 3"));
    assert!(said(&window, "cat, 400 px"));
    assert!(said(&window, "dog, 1,200 px, crowd"));
    assert!(said(&window, "Ground truth: no checkpoint is loaded"));
    assert!(said(&window, "000.png, no predictions, 3 annotations"));
    send(&mut window, Command::NextInstance);
    assert!(said(&window, "Selected · cat"));
    for name in [
        "score: –",
        "mask IoU, predicted: –",
        "iou score: –",
        "IoU, measured: –",
    ] {
        assert!(said(&window, name), "an annotation has no {name}");
    }
    shot(&mut window, "annotations-dark");
}

/// The canvas in points, and where the image lies in it: fitted below the tools.
fn in_image(window: &Window, x: f32, y: f32) -> egui::Pos2 {
    let canvas = window.get_by_label("Canvas").rect();
    let zoom = window.state().view().canvas.zoom_percent() / 100.0;
    // As much is kept free above it as below.
    canvas.center() + (egui::vec2(x, y) - egui::vec2(75.0, 60.0)) * zoom
}

fn click_at(window: &mut Window, at: egui::Pos2, button: egui::PointerButton) {
    window.hover_at(at);
    frames(window, 1);
    for pressed in [true, false] {
        window.event(egui::Event::PointerButton {
            pos: at,
            button,
            pressed,
            modifiers: egui::Modifiers::NONE,
        });
        frames(window, 1);
    }
    frames(window, 2);
}

#[test]
fn the_canvas_and_the_list_share_hover_and_selection() {
    let home = tempfile::tempdir().unwrap();
    let mut window = window(&predictions(home.path()), egui::Theme::Dark);
    until(&mut window, |window| !said(window, "Loading the image"));
    frames(&mut window, 5);
    // Columns 30 to 40 belong to a cat and to the smaller or equal dog.
    let both = in_image(&window, 35.0, 60.0);
    click_at(&mut window, both, egui::PointerButton::Primary);
    let first = window.state().view().instance;
    assert!(matches!(first, Some(0 | 1)), "{first:?}");
    window.run_steps(60); // apart from a double click
    click_at(&mut window, both, egui::PointerButton::Primary);
    let second = window.state().view().instance;
    assert_eq!(second, Some(1 - first.unwrap()), "again: the one below");
    window.run_steps(60);

    let bird = in_image(&window, 125.0, 60.0);
    window.hover_at(bird);
    frames(&mut window, 2);
    assert_eq!(window.state().view().hovered, Some(2));
    window.get_by_label_contains("cat, score 0.30").hover();
    frames(&mut window, 2);
    assert_eq!(window.state().view().hovered, Some(3), "from the list");

    click_at(&mut window, bird, egui::PointerButton::Secondary);
    assert_eq!(
        window.state().view().instance,
        Some(2),
        "the menu is about what is under it"
    );
    assert!(said(&window, "Copy the selected mask as COCO RLE"));
    shot(&mut window, "menu-dark");
    window.get_by_label("Zoom to the instance").click();
    frames(&mut window, 3);
    assert!(!window.state().view().canvas.is_fit());
    window.get_by_role_and_label(Role::Button, "Fit").click();
    frames(&mut window, 3);
    assert!(window.state().view().canvas.is_fit());

    let nothing = in_image(&window, 105.0, 60.0);
    click_at(&mut window, nothing, egui::PointerButton::Primary);
    assert_eq!(window.state().view().instance, None);
    window.get_by_role_and_label(Role::Button, "Boxes").click();
    window.get_by_role_and_label(Role::Button, "Masks").click();
    frames(&mut window, 3);
    let style = &window.state().view().style;
    assert!(style.boxes && !style.masks);
}

#[test]
fn predictions_beside_ground_truth_are_measured_and_layers_cycle() {
    let home = tempfile::tempdir().unwrap();
    let photos = photos(home.path(), 2);
    let set = serde_json::json!({
        "images": [{"id": 1, "file_name": "000.png", "width": 150, "height": 120},
                   {"id": 2, "file_name": "001.png", "width": 150, "height": 120}],
        "categories": [{"id": 7, "name": "class1"}, {"id": 9, "name": "other"}],
        "annotations": [{"id": 1, "image_id": 2, "category_id": 7, "iscrowd": 0, "area": 400.0,
            "bbox": [10.0, 10.0, 20.0, 20.0],
            "segmentation": [[10.0, 10.0, 30.0, 10.0, 30.0, 30.0, 10.0, 30.0]]}],
    });
    std::fs::write(photos.join("_annotations.coco.json"), set.to_string()).unwrap();
    let options = StartOptions {
        checkpoint: Some(folder("tiny_pytorch_style").join("model.pth")),
        set: vec!["img_width=160".into(), "img_height=128".into()],
        device: "cpu".into(),
        ..StartOptions::default()
    };
    let mut window = window_with(options, &photos, egui::Theme::Light);
    // The model finds nothing in the first image.
    send(&mut window, Command::SelectImage(1));
    send(&mut window, Command::NextInstance);
    let selected = window.state().view().instance;
    assert!(selected.is_some());
    until(&mut window, |window| said(window, "IoU, measured: 0."));
    assert!(said(&window, "1 annotation"));
    for (name, layers) in [
        ("Ground truth", Layers::GroundTruth),
        ("Ground truth only", Layers::Both),
        ("With ground truth", Layers::Predictions),
    ] {
        window.get_by_role_and_label(Role::Button, name).click();
        frames(&mut window, 3);
        assert_eq!(window.state().view().layers, layers);
        assert_eq!(window.state().view().instance, selected, "the list stays");
        shot(&mut window, &format!("layers-{layers:?}"));
    }
}
