//! The Review workspace in the real window: by keys and by labels, over a restart, beside a second window.

use std::path::Path;
use std::time::{Duration, Instant};

use egui::accesskit::Role;
use egui::{Key, Modifiers};
use egui_kittest::kittest::Queryable as _;
use maskscope::coco::Dataset;
use maskscope::document::Format;
use maskscope::document::review::{Target, Verdict};
use maskscope::ui::App;
use maskscope::ui::command::Command;
use maskscope::ui::review_command::{QueueOf, ReviewCommand};
use maskscope::ui::view::Workspace;
use serde_json::Value;

use crate::panels::{Window, frames, said, send, shot, window};
use crate::workspaces::{Files, files};

fn until(window: &mut Window, what: &str, holds: impl Fn(&App) -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !holds(window.state()) {
        assert!(Instant::now() < deadline, "{what} did not happen");
        std::thread::sleep(Duration::from_millis(5));
        window.step();
    }
    frames(window, 3);
}

fn review(window: &mut Window, command: ReviewCommand) {
    send(window, Command::Review(command));
    frames(window, 3);
}

/// The set in the Review workspace.
fn open(files: &Files, theme: egui::Theme) -> Window {
    let mut window = window(&files.set, theme);
    send(&mut window, Command::SetWorkspace(Workspace::Review));
    until(&mut window, "the review", |app| {
        app.document().review().is_some()
    });
    settle(&mut window);
    window
}

/// Until what the threads do is drawn.
fn settle(window: &mut Window) {
    for _ in 0..10 {
        std::thread::sleep(Duration::from_millis(10));
        window.step();
    }
}

fn press(window: &mut Window, key: Key) {
    window.key_press(key);
    settle(window);
}

fn undo(window: &mut Window) {
    window.key_press_modifiers(Modifiers::COMMAND, Key::Z);
    settle(window);
}

fn verdicts(window: &Window) -> Vec<(Target, Option<Verdict>)> {
    let review = window.state().document().review().unwrap();
    review
        .opinions()
        .iter()
        .map(|(target, opinion)| (target.clone(), opinion.verdict))
        .collect()
}

fn selected(window: &Window) -> Option<Target> {
    window.state().view().review.selected.clone()
}

fn saved(window: &mut Window) {
    until(window, "saving", |app| {
        let review = app.document().review().unwrap();
        review.save_state() == maskscope::document::review::SaveState::Saved
    });
}

fn exported(window: &mut Window, path: &Path) -> Value {
    window.state_mut().export_review(Format::Coco, path);
    until(window, "the export", |_| path.exists());
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

#[test]
fn instances_are_reviewed_by_keys_and_come_back_after_a_restart() {
    let files = files();
    let mut window = open(&files, egui::Theme::Dark);
    review(&mut window, ReviewCommand::MakeQueue(QueueOf::Annotations));
    settle(&mut window);
    assert_eq!(selected(&window), Some(Target::Annotation(1)));
    assert!(said(&window, "0 of 6"), "progress of the queue");
    // accept, reject, wrong class, bad mask, accept, accept
    for key in [
        Key::Num1,
        Key::Num2,
        Key::Num3,
        Key::Num4,
        Key::Num1,
        Key::Num1,
    ] {
        press(&mut window, key);
    }
    let given: Vec<Option<Verdict>> = verdicts(&window)
        .into_iter()
        .map(|(_, verdict)| verdict)
        .collect();
    let want = [
        Verdict::Accept,
        Verdict::Reject,
        Verdict::WrongClass,
        Verdict::BadMask,
        Verdict::Accept,
        Verdict::Accept,
    ];
    assert_eq!(given, want.map(Some));
    assert!(said(&window, "6 of 6, 1 rejected"));
    shot(&mut window, "review-done-dark");
    for _ in 0..4 {
        undo(&mut window);
    }
    assert_eq!(verdicts(&window).len(), 2);
    saved(&mut window);
    drop(window);

    let mut window = open(&files, egui::Theme::Light);
    assert_eq!(verdicts(&window).len(), 2);
    assert!(said(&window, "2 of 6, 1 rejected"), "the queue came back");
    assert_eq!(
        window.state().document().review().unwrap().history().len(),
        6
    );
    shot(&mut window, "review-restarted-light");
    // What was undone can be done again after a restart.
    window.key_press_modifiers(Modifiers::COMMAND | Modifiers::SHIFT, Key::Z);
    settle(&mut window);
    assert_eq!(verdicts(&window).len(), 3);
}

#[test]
fn corrections_show_and_are_exported() {
    let files = files();
    let mut window = open(&files, egui::Theme::Dark);
    send(&mut window, Command::SelectImage(0));
    settle(&mut window);
    send(&mut window, Command::SelectInstance(Some(0)));
    settle(&mut window);
    assert_eq!(selected(&window), Some(Target::Annotation(1)));
    review(&mut window, ReviewCommand::SetClass(2));
    settle(&mut window);
    assert!(said(&window, "dog 1 · corrected"));
    review(&mut window, ReviewCommand::NewClass("cart".into()));
    settle(&mut window);
    assert!(said(&window, "cart 1 · corrected"));
    assert_eq!(
        window
            .state()
            .document()
            .classes()
            .names
            .last()
            .map(String::as_str),
        Some("cart")
    );
    review(&mut window, ReviewCommand::SetNote("a cart indeed".into()));
    send(&mut window, Command::SelectInstance(Some(1)));
    settle(&mut window);
    press(&mut window, Key::Delete);
    assert!(said(&window, "Delete dog"), "the history has it in words");
    shot(&mut window, "review-corrected-dark");
    saved(&mut window);
    let out = files.set.with_file_name("corrected.json");
    let set = exported(&mut window, &out);
    let annotations = set["annotations"].as_array().unwrap();
    assert_eq!(annotations.len(), 5);
    assert_eq!(annotations[0]["category_id"], 4);
    assert_eq!(set["categories"][3]["name"], "cart");
    let opened = Dataset::open(&out).unwrap();
    assert_eq!(opened.annotations_of(0), 2);
    // All of it can be taken back.
    for _ in 0..4 {
        undo(&mut window);
    }
    assert!(
        window
            .state()
            .document()
            .review()
            .unwrap()
            .corrections()
            .is_empty()
    );
    assert_eq!(window.state().document().classes().names.len(), 3);
}

#[test]
fn predictions_are_taken_over() {
    let files = files();
    let mut window = open(&files, egui::Theme::Light);
    send(&mut window, Command::OpenPath(files.first.clone()));
    until(&mut window, "the predictions", |app| {
        app.document().images()[3].detections().is_some()
    });
    send(&mut window, Command::SelectImage(3));
    send(&mut window, Command::SetThreshold(0.1));
    settle(&mut window);
    send(&mut window, Command::SelectInstance(Some(1)));
    settle(&mut window);
    assert!(matches!(selected(&window), Some(Target::Prediction(_))));
    press(&mut window, Key::A);
    until(&mut window, "the new annotation", |app| {
        app.view().review.selected == Some(Target::Annotation(7))
    });
    shot(&mut window, "review-taken-over-light");
    let out = files.set.with_file_name("corrected.json");
    let set = exported(&mut window, &out);
    let new = set["annotations"]
        .as_array()
        .unwrap()
        .last()
        .unwrap()
        .clone();
    assert_eq!((&new["id"], &new["image_id"]), (&7.into(), &4.into()));
    assert_eq!(new["area"], 40 * 120);
    undo(&mut window);
    assert!(
        window
            .state()
            .document()
            .review()
            .unwrap()
            .corrections()
            .is_empty()
    );
}

#[test]
fn a_second_window_reads_only_and_says_so() {
    let files = files();
    let mut first = open(&files, egui::Theme::Dark);
    review(&mut first, ReviewCommand::MakeQueue(QueueOf::Annotations));
    settle(&mut first);
    press(&mut first, Key::Num1);
    saved(&mut first);
    let mut second = open(&files, egui::Theme::Dark);
    assert_eq!(verdicts(&second).len(), 1);
    assert!(said(&second, "Another window has this review"));
    press(&mut second, Key::Num2);
    assert_eq!(verdicts(&second).len(), 1);
    shot(&mut second, "review-second-window-dark");
}

#[test]
fn a_missing_object_is_said_of_the_image() {
    let files = files();
    let mut window = open(&files, egui::Theme::Dark);
    send(&mut window, Command::SelectImage(2));
    settle(&mut window);
    press(&mut window, Key::Num5);
    assert_eq!(
        verdicts(&window),
        [(Target::Image(3), Some(Verdict::MissingObject))]
    );
}

#[test]
fn notes_are_typed_and_keys_stay_keys_in_them() {
    let files = files();
    let mut window = open(&files, egui::Theme::Dark);
    send(&mut window, Command::SelectInstance(Some(0)));
    settle(&mut window);
    press(&mut window, Key::N);
    let note = |window: &Window| {
        let review = window.state().document().review().unwrap();
        review.opinion(&Target::Annotation(1))
    };
    window
        .get_by_role_and_label(Role::TextInput, "Note")
        .type_text("1 leg missing");
    settle(&mut window);
    assert_eq!(
        note(&window).verdict,
        None,
        "a digit in a note is no verdict"
    );
    window.get_by_label("Split").focus();
    settle(&mut window);
    assert_eq!(note(&window).note, "1 leg missing");
}

#[test]
fn without_a_set_the_workspace_says_what_it_needs() {
    let home = tempfile::tempdir().unwrap();
    let photos = crate::infer::photos(home.path(), 2);
    let mut window = window(&photos, egui::Theme::Dark);
    send(&mut window, Command::SetWorkspace(Workspace::Review));
    settle(&mut window);
    assert!(said(&window, "Review needs a set with annotations"));
}

/// Where a pixel of the image lies on the screen.
fn on_screen(window: &Window, x: f32, y: f32) -> egui::Pos2 {
    let canvas = window.get_by_label("Canvas").rect();
    let view = &window.state().view().canvas;
    view.screen_from_image(
        canvas,
        window.ctx.pixels_per_point(),
        maskscope::structures::Size::new(150, 120),
        (x, y),
    )
}

fn pointer(window: &mut Window, at: egui::Pos2, pressed: Option<bool>) {
    match pressed {
        None => window.event(egui::Event::PointerMoved(at)),
        Some(pressed) => window.event(egui::Event::PointerButton {
            pos: at,
            button: egui::PointerButton::Primary,
            pressed,
            modifiers: Modifiers::NONE,
        }),
    }
    window.step();
}

fn drag(window: &mut Window, path: &[(f32, f32)]) {
    let path: Vec<egui::Pos2> = path.iter().map(|&(x, y)| on_screen(window, x, y)).collect();
    pointer(window, path[0], None);
    pointer(window, path[0], Some(true));
    for &at in &path[1..] {
        pointer(window, at, None);
    }
    shot(window, "review-brush-dark");
    pointer(window, path[path.len() - 1], Some(false));
    settle(window);
}

fn click(window: &mut Window, x: f32, y: f32) {
    let at = on_screen(window, x, y);
    pointer(window, at, None);
    pointer(window, at, Some(true));
    pointer(window, at, Some(false));
    // So long that what follows makes no double click.
    let now = window.input().time.unwrap_or(0.0);
    window.input_mut().time = Some(now + 2.0);
    frames(window, 2);
}

fn area(window: &Window, id: u64) -> u64 {
    window
        .state()
        .document()
        .review()
        .unwrap()
        .mask(id)
        .unwrap()
        .area()
}

#[test]
fn masks_are_painted_and_erased() {
    let files = files();
    let mut window = open(&files, egui::Theme::Dark);
    send(&mut window, Command::SelectImage(2));
    send(&mut window, Command::SelectInstance(Some(0)));
    settle(&mut window);
    assert_eq!(
        (selected(&window), area(&window, 5)),
        (Some(Target::Annotation(5)), 40 * 120)
    );
    press(&mut window, Key::B);
    drag(&mut window, &[(60.0, 60.0), (100.0, 60.0), (120.0, 60.0)]);
    let painted = area(&window, 5);
    // A stroke of 24 px beside the stripe, 70 px long and more.
    assert!(painted > 40 * 120 + 60 * 20, "{painted}");
    assert_eq!(
        window.state().document().review().unwrap().history().len(),
        1,
        "a stroke is one step"
    );
    press(&mut window, Key::E);
    drag(&mut window, &[(0.0, 60.0), (149.0, 60.0)]);
    let erased = area(&window, 5);
    assert!(erased < 40 * 120 && erased > 40 * 80, "{erased}");
    undo(&mut window);
    assert_eq!(area(&window, 5), painted);
    undo(&mut window);
    assert_eq!(area(&window, 5), 40 * 120);
    // Nothing selected, the brush begins a new annotation.
    press(&mut window, Key::V);
    send(&mut window, Command::SelectInstance(None));
    settle(&mut window);
    press(&mut window, Key::B);
    drag(&mut window, &[(90.0, 30.0), (110.0, 30.0)]);
    assert!(area(&window, 7) > 400);
    press(&mut window, Key::Escape);
    assert!(!window.state().view().review.drawing.is_active());
}

#[test]
fn polygons_are_drawn_and_cut() {
    let files = files();
    let mut window = open(&files, egui::Theme::Light);
    send(&mut window, Command::SelectImage(2));
    settle(&mut window);
    press(&mut window, Key::P);
    for (x, y) in [(60.0, 20.0), (120.0, 20.0), (120.0, 80.0), (60.0, 80.0)] {
        click(&mut window, x, y);
    }
    shot(&mut window, "review-polygon-light");
    press(&mut window, Key::Enter);
    until(&mut window, "the new annotation", |app| {
        app.view().review.selected == Some(Target::Annotation(7))
    });
    let drawn = area(&window, 7);
    assert!((3400..3800).contains(&drawn), "{drawn}");
    let shape = |window: &Window| {
        window
            .state()
            .document()
            .review()
            .unwrap()
            .shape(7)
            .unwrap()
    };
    assert!(matches!(
        shape(&window),
        maskscope::document::review::Shape::Polygons(_)
    ));
    press(&mut window, Key::H);
    for (x, y) in [(80.0, 40.0), (100.0, 40.0), (100.0, 60.0), (80.0, 60.0)] {
        click(&mut window, x, y);
    }
    press(&mut window, Key::Enter);
    settle(&mut window);
    let cut = area(&window, 7);
    assert!(cut < drawn - 300 && cut > drawn - 500, "{cut} of {drawn}");
    assert!(
        matches!(shape(&window), maskscope::document::review::Shape::Runs(_)),
        "polygons have no holes"
    );
    assert!(
        said(&window, "The polygons are a painted mask now"),
        "the conversion is announced"
    );
    shot(&mut window, "review-hole-light");
    undo(&mut window);
    assert!(matches!(
        shape(&window),
        maskscope::document::review::Shape::Polygons(_)
    ));
}
