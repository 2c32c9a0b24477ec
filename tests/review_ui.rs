//! The Review workspace in the real window: by keys and by labels, over a restart, beside a second window.

mod queues;
mod safety;
mod tools;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use egui::accesskit::Role;
use egui::{Key, Modifiers};
use egui_kittest::kittest::Queryable as _;
use maskscope::coco::Dataset;
use maskscope::document::Format;
use maskscope::document::review::{ReviewSession, Target, Verdict};
use maskscope::ui::App;
use maskscope::ui::command::Command;
use maskscope::ui::review_command::ReviewCommand;
use maskscope::ui::review_queue::QueueOf;
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

fn reviewed(window: &Window) -> &ReviewSession {
    window.state().document().review().unwrap()
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
    let review = reviewed(window);
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
    let document = window.state_mut().document_mut();
    document.export_review(Format::Coco, path);
    until(window, "the export", |_| path.exists());
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
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
    let note = "a cart indeed".into();
    review(
        &mut window,
        ReviewCommand::SetNote(Target::Annotation(1), note),
    );
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
    assert!(reviewed(&window).corrections().is_empty());
    assert_eq!(window.state().document().classes().names.len(), 3);
}

#[test]
fn the_list_holds_annotations_where_they_alone_are_drawn() {
    let files = files();
    let mut window = open(&files, egui::Theme::Dark);
    send(&mut window, Command::OpenPath(files.first.clone()));
    until(&mut window, "the predictions", |app| {
        app.document().images()[0].detections().is_some()
    });
    send(&mut window, Command::SelectImage(0));
    send(&mut window, Command::SetThreshold(0.0));
    settle(&mut window);
    assert!(said(&window, "Instances · 4"));
    press(&mut window, Key::T);
    assert!(said(&window, "Ground truth · 3"));
    // A click on the canvas selects one of them: the cat alone covers the left.
    click(&mut window, 10.0, 60.0);
    settle(&mut window);
    assert_eq!(selected(&window), Some(Target::Annotation(1)));
    press(&mut window, Key::Tab);
    assert_eq!(selected(&window), Some(Target::Annotation(2)));
    // Its own mask is what is copied.
    window.state_mut().commands().push(Command::CopyMask);
    window.step();
    let output = window.output().platform_output.commands.clone();
    let copied = output.iter().find_map(|command| match command {
        egui::OutputCommand::CopyText(text) => Some(text.clone()),
        _ => None,
    });
    let mask = reviewed(&window).mask(2).unwrap();
    assert_eq!(copied, Some(maskscope::document::coco_rle(&mask)));
    // With both drawn it stays selected, and the list holds predictions again.
    press(&mut window, Key::G);
    assert_eq!(selected(&window), Some(Target::Annotation(2)));
    assert!(said(&window, "Instances · 4"));
    press(&mut window, Key::T);
    press(&mut window, Key::T);
    assert_eq!(selected(&window), None);
    // A queue of predictions shows them, whatever is drawn and whatever the threshold.
    review(&mut window, ReviewCommand::MakeQueue(QueueOf::Predictions));
    settle(&mut window);
    let first = selected(&window);
    assert!(matches!(first, Some(Target::Prediction(_))));
    press(&mut window, Key::B);
    press(&mut window, Key::Escape);
    send(&mut window, Command::SetThreshold(0.95));
    settle(&mut window);
    press(&mut window, Key::Enter);
    let second = selected(&window);
    assert!(matches!(second, Some(Target::Prediction(_))));
    assert_ne!(second, first);
    send(&mut window, Command::SetWorkspace(Workspace::Browse));
    send(&mut window, Command::SetThreshold(0.0));
    settle(&mut window);
    assert!(said(&window, "Instances · 4"));
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
    assert!(reviewed(&window).corrections().is_empty());
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
        let review = reviewed(window);
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
fn what_is_typed_is_kept_wherever_one_goes_from_its_field() {
    let files = files();
    let mut window = open(&files, egui::Theme::Dark);
    send(&mut window, Command::SelectInstance(Some(0)));
    settle(&mut window);
    press(&mut window, Key::Num1);
    press(&mut window, Key::N);
    window
        .get_by_role_and_label(Role::TextInput, "Note")
        .type_text("seen");
    settle(&mut window);
    undo(&mut window);
    assert_eq!(verdicts(&window).len(), 1, "a field has its own undo");
    let of = selected(&window).unwrap();
    window
        .get_by_role_and_label(Role::TextInput, "Note")
        .type_text("seen twice");
    settle(&mut window);
    window.key_press_modifiers(Modifiers::COMMAND, Key::Num1);
    settle(&mut window);
    assert_eq!(window.state().view().workspace, Workspace::Browse);
    let review = reviewed(&window);
    let note = review.opinion(&of).note;
    assert!(note.ends_with("seen twice"), "{note}");
}

#[test]
fn what_is_typed_for_one_is_not_written_on_another() {
    let files = files();
    let mut window = open(&files, egui::Theme::Dark);
    send(&mut window, Command::SelectInstance(Some(0)));
    settle(&mut window);
    press(&mut window, Key::N);
    window
        .get_by_role_and_label(Role::TextInput, "Note")
        .type_text("of the first");
    settle(&mut window);
    // Something that is no command selects another one.
    window.state_mut().view_mut().review.wanted = Some(Target::Annotation(2));
    settle(&mut window);
    assert_eq!(selected(&window), Some(Target::Annotation(2)));
    let review = reviewed(&window);
    assert_eq!(review.opinion(&Target::Annotation(1)).note, "of the first");
    assert_eq!(review.opinion(&Target::Annotation(2)).note, "");
}

#[test]
fn the_selection_stays_on_its_annotation() {
    let files = files();
    let mut window = open(&files, egui::Theme::Dark);
    let review_of = |window: &Window| {
        let review = reviewed(window);
        review.annotation_ids(0)
    };
    let all = review_of(&window);
    assert!(all.len() > 1, "{all:?}");
    send(&mut window, Command::SelectInstance(Some(0)));
    settle(&mut window);
    let first = selected(&window);
    press(&mut window, Key::Delete);
    assert_eq!(selected(&window), None);
    press(&mut window, Key::Delete);
    assert_eq!(
        review_of(&window).len(),
        all.len() - 1,
        "nothing was selected"
    );
    send(&mut window, Command::SelectInstance(Some(0)));
    settle(&mut window);
    let second = selected(&window);
    assert_ne!(first, second);
    // The first one comes back, before the one that was selected, and is shown.
    undo(&mut window);
    assert_eq!(review_of(&window), all);
    assert_eq!(selected(&window), first);
    send(&mut window, Command::SelectInstance(Some(1)));
    settle(&mut window);
    assert_eq!(selected(&window), second);
    window.key_press_modifiers(Modifiers::COMMAND | Modifiers::SHIFT, Key::Z);
    settle(&mut window);
    assert_eq!(selected(&window), second);
}

fn steps(window: &Window) -> usize {
    let review = reviewed(window);
    review.history_position()
}

/// A synthetic set.
fn synthetic(home: &Path, images: usize) -> PathBuf {
    use maskscope::jobs::synth::{Contents, Stats, SynthRequest, write};
    let request = SynthRequest {
        out: home.join("set"),
        images,
        seed: 77,
        size: maskscope::structures::Size::new(256, 256),
        contents: Contents::from(Stats::Plain),
    };
    write(&request, &mut |_, _| true).unwrap();
    request.out
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
