//! The window as a user meets it: by the names of what is on the screen, by keys, never by position.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use egui::{Key, Modifiers};
use egui_kittest::Harness;
use egui_kittest::kittest::Queryable as _;
use maskscope::document::ranking::RankBy;
use maskscope::document::settings::Settings;
use maskscope::document::{ImageState, ModelState, SourceKind};
use maskscope::ui::colour::ColourBy;
use maskscope::ui::command::Command;
use maskscope::ui::view::Layers;
use maskscope::ui::{App, StartOptions, keys};

/// Longest wait for what a thread does; a debug build on a busy machine is slow.
const PATIENCE: Duration = Duration::from_secs(120);

type Window = Harness<'static, App>;

fn open(options: StartOptions) -> Window {
    let (settings, complaint) = match &options.settings {
        Some(path) => Settings::load(path),
        None => (Settings::default(), None),
    };
    let options = StartOptions {
        no_cache: true,
        ..options
    };
    let mut window = Harness::builder()
        .with_size([1280.0, 800.0])
        .with_max_steps(64)
        .wgpu()
        .build_eframe(move |cc| App::new(cc, options, settings, complaint));
    window.step();
    window
}

fn fresh() -> Window {
    open(StartOptions::default())
}

/// Steps until something holds.
fn wait(window: &mut Window, what: &str, holds: impl Fn(&App) -> bool) {
    let since = Instant::now();
    while !holds(window.state()) {
        assert!(since.elapsed() < PATIENCE, "{what} did not happen");
        std::thread::sleep(Duration::from_millis(10));
        window.step();
    }
    window.step();
}

fn send(window: &mut Window, command: Command) {
    window.state_mut().commands().push(command);
    window.step();
    window.step();
}

fn press(window: &mut Window, modifiers: Modifiers, key: Key) {
    window.key_press_modifiers(modifiers, key);
    window.step();
    window.step();
}

/// Renders; keeps the picture where `MASKSCOPE_SHOTS` names a folder, to be looked at.
fn shot(window: &mut Window, name: &str) {
    if let Some(folder) = std::env::var_os("MASKSCOPE_SHOTS") {
        let picture = window.render().unwrap();
        picture
            .save(Path::new(&folder).join(format!("{name}.png")))
            .unwrap();
    }
}

#[test]
fn the_start_offers_the_demo_first() {
    let mut window = fresh();
    window.get_by_label("Open the demo");
    window.get_by_label("Open folder…");
    window.get_by_label("Open COCO set…");
    window.get_by_label("Load checkpoint…");
    window.get_by_label("No checkpoint");
    shot(&mut window, "start");
    window.get_by_label("Open the demo").click();
    window.step();
    wait(&mut window, "opening the demo", |app| {
        app.document().source().is_some()
    });
    let app = window.state();
    assert_eq!(app.document().source().unwrap().kind, SourceKind::Demo);
    assert!(app.document().images().len() > 3);
    assert_eq!(app.view().image, Some(app.view().gallery[0]));
    wait(&mut window, "its model", |app| {
        let mut images = app.document().images().iter();
        images.any(|image| image.detections().is_some())
    });
    assert!(matches!(
        window.state().document().model(),
        ModelState::Ready(_)
    ));
    shot(&mut window, "demo");
}

#[test]
fn every_command_has_a_name_of_its_own() {
    let mut seen = std::collections::HashSet::new();
    for command in Command::listed() {
        let label = command.label();
        assert!(!label.is_empty(), "{command:?} has no label");
        assert!(
            seen.insert(label.clone()),
            "two commands are called {label}"
        );
        assert!(!label.ends_with('.'), "{label}");
    }
}

#[test]
fn the_palette_lists_and_finds() {
    let mut window = fresh();
    let count =
        |window: &Window, command: &Command| window.query_all_by_label(&command.label()).count();
    let commands = Command::listed();
    let before: Vec<usize> = commands.iter().map(|it| count(&window, it)).collect();
    press(&mut window, Modifiers::COMMAND, Key::K);
    for (command, before) in commands.iter().zip(before) {
        let is_left_out = matches!(command, Command::TogglePalette | Command::Escape);
        let added = count(&window, command) - before;
        assert_eq!(added, usize::from(!is_left_out), "{command:?}");
    }
    window.get_by_label("Command palette").type_text("colmsk");
    window.step();
    window.step();
    window.get_by_label("Colour by mask IoU");
    assert!(window.query_by_label("Colour by class").is_none());
    shot(&mut window, "palette");
    press(&mut window, Modifiers::NONE, Key::Enter);
    assert!(window.query_by_label("Command palette").is_none());
    assert_eq!(window.state().view().style.colour_by, ColourBy::MaskIou);
    press(&mut window, Modifiers::COMMAND, Key::K);
    press(&mut window, Modifiers::NONE, Key::Escape);
    assert!(window.query_by_label("Command palette").is_none());
}

#[test]
fn keys_belong_to_the_text_field_that_has_the_focus() {
    let mut window = fresh();
    let masks = window.state().view().style.masks;
    press(&mut window, Modifiers::NONE, Key::M);
    assert_eq!(window.state().view().style.masks, !masks);
    press(&mut window, Modifiers::COMMAND, Key::K);
    press(&mut window, Modifiers::NONE, Key::M);
    assert_eq!(window.state().view().style.masks, !masks);
}

#[test]
fn the_sheet_of_keys_names_every_key() {
    let mut window = fresh();
    press(&mut window, Modifiers::SHIFT, Key::Questionmark);
    window.get_by_label("Keys");
    for command in Command::listed() {
        if !keys::shortcuts(&command).is_empty() {
            let label = command.label();
            let found = window.query_all_by_label(&label).count();
            assert!(found > 0, "{label} is not on the sheet");
        }
    }
    shot(&mut window, "keys");
    press(&mut window, Modifiers::NONE, Key::Escape);
    assert!(window.query_by_label("Keys").is_none());
}

#[test]
fn what_cannot_be_done_now_is_not_done() {
    let mut window = fresh();
    for command in [Command::CloseSet, Command::RunModel, Command::CancelJob] {
        let app = window.state();
        assert!(!command.enabled(app.document(), app.view()), "{command:?}");
        send(&mut window, command);
    }
    window.get_by_label("Open the demo");
}

#[test]
fn settings_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("settings.json");
    let options = StartOptions {
        settings: Some(path.clone()),
        ..StartOptions::default()
    };
    let mut window = open(options.clone());
    for command in [
        Command::SetThreshold(0.35),
        Command::SetRankBy(RankBy::MaskIou),
        Command::SetColourBy(ColourBy::Score),
        Command::ToggleBoxes,
        Command::CycleGroundTruth,
        Command::SetTheme(egui::ThemePreference::Light),
    ] {
        send(&mut window, command);
    }
    eframe::App::on_exit(window.state_mut());
    drop(window);
    let mut window = open(options);
    let view = window.state().view();
    assert_eq!((view.threshold, view.rank_by), (0.35, RankBy::MaskIou));
    assert_eq!(view.style.colour_by, ColourBy::Score);
    assert!(view.style.boxes);
    assert_eq!(view.layers, Layers::GroundTruth);
    // The harness sets a theme of its own over the window's.
    let remembered = &window.state().document().settings().view;
    assert_eq!(remembered["theme"], "light");
    window.ctx.set_theme(egui::Theme::Light);
    window.step();
    shot(&mut window, "light");
}

#[test]
fn damaged_settings_are_said_and_kept_aside() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("settings.json");
    std::fs::write(&path, "{\"recent\": [").unwrap();
    let mut window = open(StartOptions {
        settings: Some(path.clone()),
        ..StartOptions::default()
    });
    window.step();
    window.get_by_label_contains("settings start afresh");
    window.get_by_label("Open the demo");
    assert!(path.with_extension("json.unreadable").exists());
    shot(&mut window, "damaged_settings");
}

#[test]
fn a_path_that_cannot_be_opened_is_said() {
    let mut window = fresh();
    send(
        &mut window,
        Command::OpenPath(PathBuf::from("/no/such/folder")),
    );
    wait(&mut window, "the refusal", |app| {
        app.document().opening().is_none()
    });
    window.get_by_label("Close message");
    window.get_by_label("Open the demo");
    shot(&mut window, "refused");
}

#[test]
fn nothing_is_repainted_while_nothing_happens() {
    let mut window = fresh();
    // Settles within the steps that the harness allows, else this fails.
    window.run();
    send(&mut window, Command::OpenDemo);
    wait(&mut window, "opening the demo", |app| {
        app.document().source().is_some()
    });
    std::thread::sleep(Duration::from_millis(1500));
    window.run();
}

/// The narrow model that the repository carries.
fn tiny_model() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tiny_pytorch_style/model.pth")
}

/// Detects in a folder of three pictures.
fn detected(folder: &Path) -> Window {
    for (name, side) in [("a.png", 96_u32), ("b.png", 128), ("c.png", 112)] {
        let picture = image::RgbImage::from_fn(side, side, |x, y| {
            image::Rgb([
                (x * 5 % 256) as u8,
                (y * 3 % 256) as u8,
                ((x ^ y) * 7 % 256) as u8,
            ])
        });
        picture.save(folder.join(name)).unwrap();
    }
    let mut window = open(StartOptions {
        path: Some(folder.to_owned()),
        checkpoint: Some(tiny_model()),
        ..StartOptions::default()
    });
    wait(&mut window, "detection", |app| {
        let images = app.document().images();
        let is_done = |state: &ImageState| matches!(state, ImageState::Done(_));
        images.len() == 3
            && app.document().progress().is_none()
            && images.iter().all(|image| is_done(&image.state))
    });
    window
}

#[test]
fn open_detect_select_filter_colour_export_and_open_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut window = detected(folder.path());
    shot(&mut window, "detected");
    let app = window.state();
    assert!(matches!(app.document().model(), ModelState::Ready(_)));
    let first = app.view().image.unwrap();
    let count = app.document().images()[first].detections().unwrap().len();
    assert!(count > 1, "the fixture model finds something");

    // By keyboard: an instance, the next image and back.
    press(&mut window, Modifiers::NONE, Key::Tab);
    let selected = window.state().view().instance.unwrap();
    press(&mut window, Modifiers::NONE, Key::Tab);
    assert_ne!(window.state().view().instance, Some(selected));
    press(&mut window, Modifiers::SHIFT, Key::Tab);
    assert_eq!(window.state().view().instance, Some(selected));
    press(&mut window, Modifiers::NONE, Key::ArrowRight);
    assert_ne!(window.state().view().image, Some(first));
    press(&mut window, Modifiers::NONE, Key::J);
    assert_eq!(window.state().view().image, Some(first));

    // Live, without running again.
    let revision = window.state().document().revision();
    press(&mut window, Modifiers::NONE, Key::Quote);
    assert!(window.state().view().threshold > 0.0);
    send(&mut window, Command::SetColourBy(ColourBy::MaskIou));
    assert_eq!(window.state().document().revision(), revision);
    shot(&mut window, "by_mask_iou");

    let before = predictions(window.state());
    let output = folder.path().join("out.json");
    window.state_mut().export(&output);
    wait(&mut window, "the export", |app| !app.document().is_busy());
    window.get_by_label_contains("out.json");
    drop(window);

    let mut window = open(StartOptions {
        path: Some(output),
        ..StartOptions::default()
    });
    wait(&mut window, "opening the export", |app| {
        app.document().source().is_some()
    });
    let app = window.state();
    assert_eq!(
        app.document().source().unwrap().kind,
        SourceKind::Predictions
    );
    assert_eq!(predictions(app), before);
    shot(&mut window, "reopened");
}

/// Name, class name, scores and mask.
type Prediction = (String, String, f64, Option<f64>, f64, Vec<u32>);

/// Every prediction of the open images.
fn predictions(app: &App) -> Vec<Prediction> {
    let mut all = Vec::new();
    for image in app.document().images() {
        let name = image
            .path
            .file_name()
            .unwrap()
            .to_string_lossy()
            .into_owned();
        for found in image.detections().unwrap().iter() {
            let class = app.document().classes().name(found.label);
            let runs = found.mask.runs().to_vec();
            all.push((
                name.clone(),
                class,
                found.score,
                found.mask_iou,
                found.iou_score,
                runs,
            ));
        }
    }
    all
}
