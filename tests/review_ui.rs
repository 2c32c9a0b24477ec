//! The Review workspace in the real window: by keys and by labels, over a restart, beside a second window.

use std::path::Path;
use std::time::{Duration, Instant};

use egui::accesskit::Role;
use egui::{Key, Modifiers};
use egui_kittest::kittest::Queryable as _;
use maskscope::coco::Dataset;
use maskscope::document::Format;
use maskscope::document::review::{Shape, Target, Verdict};
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
    let review = window.state().document().review().unwrap();
    let note = review.opinion(&of).note;
    assert!(note.ends_with("seen twice"), "{note}");
}

#[test]
fn the_selection_stays_on_its_annotation() {
    let files = files();
    let mut window = open(&files, egui::Theme::Dark);
    let review_of = |window: &Window| {
        let review = window.state().document().review().unwrap();
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
    // The first one comes back before the selected one.
    undo(&mut window);
    assert_eq!(review_of(&window), all);
    assert_eq!(selected(&window), second);
    window.key_press_modifiers(Modifiers::COMMAND | Modifiers::SHIFT, Key::Z);
    settle(&mut window);
    assert_eq!(selected(&window), second);
}

#[test]
fn corners_stay_with_their_image() {
    let files = files();
    let mut window = open(&files, egui::Theme::Dark);
    send(&mut window, Command::SelectImage(2));
    settle(&mut window);
    press(&mut window, Key::P);
    for (x, y) in [(60.0, 20.0), (120.0, 20.0), (120.0, 80.0)] {
        click(&mut window, x, y);
    }
    send(&mut window, Command::SelectImage(1));
    settle(&mut window);
    press(&mut window, Key::Enter);
    send(&mut window, Command::SelectImage(2));
    settle(&mut window);
    press(&mut window, Key::Enter);
    let review = window.state().document().review().unwrap();
    assert_eq!(review.history().len(), 0);
}

fn corner(window: &Window, id: u64, part: usize, at: usize) -> (f64, f64) {
    match window.state().document().review().unwrap().shape(id) {
        Ok(Shape::Polygons(parts)) => (parts[part][2 * at], parts[part][2 * at + 1]),
        other => panic!("{other:?}"),
    }
}

fn corner_count(window: &Window, id: u64) -> usize {
    match window.state().document().review().unwrap().shape(id) {
        Ok(Shape::Polygons(parts)) => parts.iter().map(|part| part.len() / 2).sum(),
        other => panic!("{other:?}"),
    }
}

fn steps(window: &Window) -> usize {
    let review = window.state().document().review().unwrap();
    review.history_position()
}

#[test]
fn corners_are_moved_made_and_deleted() {
    let files = files();
    let mut window = open(&files, egui::Theme::Dark);
    send(&mut window, Command::SelectImage(2));
    settle(&mut window);
    press(&mut window, Key::P);
    for (x, y) in [(60.0, 20.0), (120.0, 20.0), (120.0, 80.0), (60.0, 80.0)] {
        click(&mut window, x, y);
    }
    press(&mut window, Key::Enter);
    until(&mut window, "the new annotation", |app| {
        app.view().review.selected == Some(Target::Annotation(7))
    });
    press(&mut window, Key::C);
    settle(&mut window);
    drag(&mut window, &[(120.0, 20.0), (125.0, 24.0), (132.0, 30.0)]);
    let (x, y) = corner(&window, 7, 0, 1);
    assert!((x - 132.0).abs() < 1.0 && (y - 30.0).abs() < 1.0, "{x} {y}");
    assert_eq!(steps(&window), 2, "a drag is one step");
    // Near the border it goes onto it.
    drag(&mut window, &[(60.0, 20.0), (40.0, 10.0), (30.0, 1.0)]);
    assert_eq!(corner(&window, 7, 0, 0).1, 0.0);
    // On an edge a new one.
    drag(&mut window, &[(48.75, 50.0), (47.0, 50.0), (40.0, 55.0)]);
    assert_eq!(corner_count(&window, 7), 5);
    let (x, y) = corner(&window, 7, 0, 4);
    assert!((x - 40.0).abs() < 1.5 && (y - 55.0).abs() < 1.5, "{x} {y}");
    shot(&mut window, "review-corners-dark");
    // Delete takes the chosen corner, not the annotation.
    press(&mut window, Key::Delete);
    assert_eq!(corner_count(&window, 7), 4);
    undo(&mut window);
    assert_eq!(corner_count(&window, 7), 5);
    undo(&mut window);
    assert_eq!(corner_count(&window, 7), 4);
    // A click beside everything chooses none: nothing happens.
    let before = steps(&window);
    click(&mut window, 10.0, 100.0);
    press(&mut window, Key::Backspace);
    assert_eq!(steps(&window), before);
    assert_eq!(corner_count(&window, 7), 4);
    // A painted mask has none, and that is said.
    press(&mut window, Key::V);
    send(&mut window, Command::SelectInstance(Some(0)));
    settle(&mut window);
    press(&mut window, Key::C);
    assert!(said(&window, "A painted mask has no corners"));
}

#[test]
fn boxes_move_and_stretch_what_they_are_around() {
    let files = files();
    let mut window = open(&files, egui::Theme::Light);
    send(&mut window, Command::SelectImage(2));
    settle(&mut window);
    press(&mut window, Key::D);
    drag(&mut window, &[(60.0, 30.0), (80.0, 50.0), (100.0, 70.0)]);
    until(&mut window, "the rectangle", |app| {
        app.view().review.selected == Some(Target::Annotation(7))
    });
    let drawn = area(&window, 7);
    assert!((1500..1700).contains(&drawn), "{drawn}");
    settle(&mut window);
    // Inside it moves, and stays in the image.
    drag(&mut window, &[(80.0, 50.0), (90.0, 60.0), (149.0, 60.0)]);
    assert_eq!(area(&window, 7), drawn);
    let bbox = window
        .state()
        .document()
        .review()
        .unwrap()
        .mask(7)
        .unwrap()
        .bbox();
    assert_eq!(bbox.x + bbox.width, 150.0);
    shot(&mut window, "review-box-light");
    // By its left side it becomes twice as wide.
    let middle = (bbox.y + bbox.height / 2.0) as f32;
    drag(
        &mut window,
        &[
            (bbox.x as f32, middle),
            (90.0, middle),
            ((bbox.x - bbox.width) as f32, middle),
        ],
    );
    let wide = area(&window, 7);
    assert!(wide.abs_diff(2 * drawn) < 100, "{wide} of {drawn}");
    assert_eq!(steps(&window), 3);
    // A press and a slip of the hand are no edit.
    click(&mut window, 120.0, middle);
    assert_eq!(steps(&window), 3);
    // A painted mask moves as it is: the stripe of 40 columns by ten.
    press(&mut window, Key::V);
    send(&mut window, Command::SelectInstance(Some(0)));
    settle(&mut window);
    let was = window.state().document().review().unwrap().mask(5).unwrap();
    press(&mut window, Key::D);
    let bbox = was.bbox();
    let inside = (bbox.x as f32 + 15.0, 60.0);
    drag(
        &mut window,
        &[inside, (inside.0 + 4.0, 60.0), (inside.0 + 10.0, 60.0)],
    );
    let now = window.state().document().review().unwrap().mask(5).unwrap();
    assert_eq!(now.area(), was.area());
    assert_eq!(now.bbox().x, bbox.x + 10.0);
    undo(&mut window);
    let back = window.state().document().review().unwrap().mask(5).unwrap();
    assert_eq!(back, was);
}

#[test]
fn marked_annotations_are_merged() {
    let files = files();
    let mut window = open(&files, egui::Theme::Dark);
    let count = |window: &Window| {
        let review = window.state().document().review().unwrap();
        review.annotation_ids(0).len()
    };
    let before = count(&window);
    assert!(before > 1);
    send(&mut window, Command::SelectInstance(Some(0)));
    settle(&mut window);
    let Some(Target::Annotation(first)) = selected(&window) else {
        panic!("nothing is selected");
    };
    press(&mut window, Key::U);
    assert_eq!(count(&window), before, "one alone is not merged");
    press(&mut window, Key::X);
    send(&mut window, Command::SelectInstance(Some(1)));
    settle(&mut window);
    let Some(Target::Annotation(second)) = selected(&window) else {
        panic!("nothing is selected");
    };
    assert!(said(&window, "Marked: "));
    shot(&mut window, "review-marked-dark");
    let mask = |window: &Window, id| {
        window
            .state()
            .document()
            .review()
            .unwrap()
            .mask(id)
            .unwrap()
    };
    let union = mask(&window, first).union(&mask(&window, second)).unwrap();
    press(&mut window, Key::U);
    assert_eq!(count(&window), before - 1);
    assert_eq!(mask(&window, first), union);
    assert_eq!(selected(&window), Some(Target::Annotation(first)));
    assert!(!said(&window, "Marked: "));
    undo(&mut window);
    assert_eq!(count(&window), before);
    // Shift and a click mark the one before.
    send(&mut window, Command::SelectInstance(Some(0)));
    settle(&mut window);
    let other = mask(&window, second).bbox();
    let at = (other.x + other.width / 2.0, other.y + other.height / 2.0);
    let at = on_screen(&window, at.0 as f32, at.1 as f32);
    pointer(&mut window, at, None);
    for pressed in [true, false] {
        window.event_modifiers(
            egui::Event::PointerButton {
                pos: at,
                button: egui::PointerButton::Primary,
                pressed,
                modifiers: Modifiers::SHIFT,
            },
            Modifiers::SHIFT,
        );
        window.step();
    }
    settle(&mut window);
    assert_eq!(window.state().view().review.marked, [first]);
    // Another image has other annotations.
    send(&mut window, Command::SelectImage(1));
    settle(&mut window);
    assert!(window.state().view().review.marked.is_empty());
}

#[test]
fn what_is_begun_is_taken_back_first() {
    let files = files();
    let mut window = open(&files, egui::Theme::Dark);
    send(&mut window, Command::SelectImage(2));
    settle(&mut window);
    press(&mut window, Key::P);
    for (x, y) in [(60.0, 20.0), (120.0, 20.0), (120.0, 80.0), (140.0, 110.0)] {
        click(&mut window, x, y);
    }
    undo(&mut window);
    undo(&mut window);
    window.key_press_modifiers(Modifiers::COMMAND | Modifiers::SHIFT, Key::Z);
    settle(&mut window);
    press(&mut window, Key::Enter);
    until(&mut window, "the triangle", |app| {
        app.view().review.selected == Some(Target::Annotation(7))
    });
    assert_eq!(corner_count(&window, 7), 3);
    let drawn = area(&window, 7);
    // A stroke that is in hand.
    press(&mut window, Key::B);
    let from = on_screen(&window, 30.0, 90.0);
    pointer(&mut window, from, None);
    pointer(&mut window, from, Some(true));
    let to = on_screen(&window, 50.0, 100.0);
    pointer(&mut window, to, None);
    undo(&mut window);
    pointer(&mut window, to, Some(false));
    settle(&mut window);
    assert_eq!(area(&window, 7), drawn);
    assert_eq!(steps(&window), 1);
}

#[test]
fn suspects_filters_and_saved_views_become_queues() {
    let files = files();
    let mut window = open(&files, egui::Theme::Dark);
    assert!(
        !Command::Review(ReviewCommand::MakeQueue(QueueOf::Suspects))
            .enabled(window.state().document(), window.state().view())
    );
    send(&mut window, Command::OpenPath(files.first.clone()));
    until(&mut window, "the analysis", crate::workspaces::is_analysed);
    review(&mut window, ReviewCommand::MakeQueue(QueueOf::Suspects));
    settle(&mut window);
    let (items, reason) = {
        let review = window.state().document().review().unwrap();
        let queue = &review.queues()["queue"];
        (queue.items().to_vec(), queue.reason().unwrap().to_owned())
    };
    assert!(!items.is_empty());
    assert_eq!(selected(&window).as_ref(), items.first());
    assert!(said(&window, &reason), "{reason}");
    shot(&mut window, "review-suspects-dark");
    // The doubted labels are annotations of the set.
    let is_known = |item: &Target| match item {
        Target::Annotation(id) => (1..=6).contains(id),
        Target::Prediction(_) => true,
        Target::Image(_) => false,
    };
    assert!(items.iter().all(is_known), "{items:?}");

    // Of a filter: the instances that pass, not all of their images.
    let dogs = |app: &mut App, text: &str| app.view_mut().query.text = text.into();
    dogs(window.state_mut(), "class = dog and kind = annotation");
    settle(&mut window);
    review(&mut window, ReviewCommand::MakeQueue(QueueOf::Annotations));
    settle(&mut window);
    let items = |window: &Window| {
        let review = window.state().document().review().unwrap();
        review.queues()["queue"].items().to_vec()
    };
    assert_eq!(items(&window), [2, 5].map(Target::Annotation));
    // Of a saved view, which is applied by that.
    send(&mut window, Command::KeepView("the dogs".into()));
    dogs(window.state_mut(), "");
    settle(&mut window);
    review(&mut window, ReviewCommand::MakeQueue(QueueOf::Annotations));
    settle(&mut window);
    assert_eq!(items(&window).len(), 6);
    review(
        &mut window,
        ReviewCommand::MakeQueue(QueueOf::View("the dogs".into())),
    );
    settle(&mut window);
    assert_eq!(items(&window), [2, 5].map(Target::Annotation));
    assert!(said(&window, "the dogs"));
    press(&mut window, Key::Num2);
    assert!(said(&window, "1 of 2, 1 rejected"));
    saved(&mut window);
    drop(window);
    let window = open(&files, egui::Theme::Dark);
    assert!(said(&window, "1 of 2, 1 rejected"), "its place is kept");
}

#[test]
fn a_file_that_another_program_changes_is_noticed_and_merged() {
    let files = files();
    let mut window = open(&files, egui::Theme::Light);
    send(&mut window, Command::SelectInstance(Some(0)));
    settle(&mut window);
    review(&mut window, ReviewCommand::SetClass(2));
    send(&mut window, Command::SelectInstance(Some(1)));
    settle(&mut window);
    review(&mut window, ReviewCommand::SetClass(3));
    settle(&mut window);
    // Another program: one of the corrected annotations is another, and there is a new one.
    let mut set: Value = serde_json::from_slice(&std::fs::read(&files.set).unwrap()).unwrap();
    set["annotations"][0]["category_id"] = 3.into();
    let mut new = set["annotations"][5].clone();
    new["id"] = 70.into();
    set["annotations"].as_array_mut().unwrap().push(new);
    std::fs::write(&files.set, set.to_string()).unwrap();
    until(&mut window, "the notice", |app| {
        app.document().is_changed_outside()
    });
    settle(&mut window);
    assert!(said(&window, "Another program changed the set's file"));
    shot(&mut window, "review-changed-light");
    window.get_by_label("Open again and merge").click();
    until(&mut window, "the set", |app| {
        !app.document().is_changed_outside() && app.document().review().is_some()
    });
    settle(&mut window);
    let conflicts = |window: &Window| {
        let review = window.state().document().review().unwrap();
        review.conflicts().len()
    };
    assert_eq!(conflicts(&window), 1);
    assert!(said(&window, "Conflicts with the file · 1"));
    shot(&mut window, "review-conflict-light");
    let review = window.state().document().review().unwrap();
    assert_eq!(
        review.record(2).unwrap().category_id,
        3,
        "the other edit went on"
    );
    assert!(review.record(70).is_some());
    window.get_by_label("Keep mine").click();
    settle(&mut window);
    assert_eq!(conflicts(&window), 0);
    let review = window.state().document().review().unwrap();
    assert_eq!(review.record(1).unwrap().category_id, 2);
}

/// A synthetic set with the model that knows it.
fn with_model(home: &Path) -> Window {
    use maskscope::jobs::synth::{Contents, Stats, SynthRequest, write};
    let request = SynthRequest {
        out: home.join("set"),
        images: 2,
        seed: 77,
        size: maskscope::structures::Size::new(256, 256),
        contents: Contents::from(Stats::Plain),
    };
    write(&request, &mut |_, _| true).unwrap();
    let mut window = window(&request.out, egui::Theme::Dark);
    let checkpoint = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/demo.safetensors");
    send(&mut window, Command::OpenPath(checkpoint));
    until(&mut window, "the predictions", |app| {
        let images = app.document().images();
        images.len() == 2 && images.iter().all(|image| image.detections().is_some())
    });
    send(&mut window, Command::SetWorkspace(Workspace::Review));
    until(&mut window, "the review", |app| {
        app.document().review().is_some()
    });
    settle(&mut window);
    window
}

#[test]
fn the_model_fills_a_box() {
    let home = tempfile::tempdir().unwrap();
    let mut window = with_model(home.path());
    let size = maskscope::structures::Size::new(256, 256);
    send(&mut window, Command::SelectImage(0));
    settle(&mut window);
    let detections = window.state().document().images()[0].detections().unwrap();
    let best = detections[0].clone();
    assert!(best.score > 0.5, "the model knows this set");
    let review_of = |window: &Window| {
        window
            .state()
            .document()
            .review()
            .unwrap()
            .annotation_ids(0)
    };
    let before = review_of(&window);
    press(&mut window, Key::R);
    let at = |window: &Window, x: f64, y: f64| {
        let canvas = window.get_by_label("Canvas").rect();
        let view = &window.state().view().canvas;
        let points = window.ctx.pixels_per_point();
        view.screen_from_image(canvas, points, size, (x as f32, y as f32))
    };
    let b = best.bbox;
    let path = [
        at(&window, b.x, b.y),
        at(&window, b.x + b.width / 2.0, b.y + b.height / 2.0),
        at(&window, b.x + b.width, b.y + b.height),
    ];
    pointer(&mut window, path[0], None);
    pointer(&mut window, path[0], Some(true));
    pointer(&mut window, path[1], None);
    pointer(&mut window, path[2], None);
    shot(&mut window, "review-predict-dark");
    pointer(&mut window, path[2], Some(false));
    until(&mut window, "the mask", |app| {
        app.document().review().unwrap().annotation_ids(0).len() > before.len()
    });
    settle(&mut window);
    let new = *review_of(&window).last().unwrap();
    assert_eq!(selected(&window), Some(Target::Annotation(new)));
    let review = window.state().document().review().unwrap();
    let mask = review.mask(new).unwrap();
    let iou = mask.iou(&best.mask).unwrap();
    assert!(iou > 0.9, "the mask of the detection in that box: {iou}");
    let record = review.record(new).unwrap();
    let names = &window.state().document().classes().category_ids;
    assert_eq!(record.category_id, names[best.label]);
    let origin = record.origin.unwrap();
    assert!(origin.mask_iou.is_some());
    assert!((origin.score - best.score).abs() < 0.2);
    shot(&mut window, "review-predicted-dark");

    // The box of an annotation: its mask becomes the model's.
    press(&mut window, Key::V);
    let drawn = before[0];
    let was = window
        .state()
        .document()
        .review()
        .unwrap()
        .mask(drawn)
        .unwrap();
    let index = review_of(&window)
        .iter()
        .position(|&id| id == drawn)
        .unwrap();
    send(&mut window, Command::ShowAnnotation(0, index));
    settle(&mut window);
    assert_eq!(selected(&window), Some(Target::Annotation(drawn)));
    let steps_before = steps(&window);
    window.key_press_modifiers(Modifiers::SHIFT, Key::R);
    until(&mut window, "the answer", |app| {
        app.document().asked_masks() == 0
            && app.document().review().unwrap().history_position() > steps_before
    });
    let now = window
        .state()
        .document()
        .review()
        .unwrap()
        .mask(drawn)
        .unwrap();
    let iou = now.iou(&was).unwrap();
    assert!(iou > 0.5 && now != was, "{iou}");
    undo(&mut window);
    let back = window
        .state()
        .document()
        .review()
        .unwrap()
        .mask(drawn)
        .unwrap();
    assert_eq!(back, was);
}

#[test]
fn without_a_model_a_box_is_refused() {
    let files = files();
    let mut window = open(&files, egui::Theme::Dark);
    send(&mut window, Command::SelectInstance(Some(0)));
    settle(&mut window);
    window.key_press_modifiers(Modifiers::SHIFT, Key::R);
    settle(&mut window);
    assert!(said(&window, "No checkpoint is loaded"));
    assert_eq!(steps(&window), 0);
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
    assert!(matches!(shape(&window), Shape::Polygons(_)));
    press(&mut window, Key::H);
    for (x, y) in [(80.0, 40.0), (100.0, 40.0), (100.0, 60.0), (80.0, 60.0)] {
        click(&mut window, x, y);
    }
    press(&mut window, Key::Enter);
    settle(&mut window);
    let cut = area(&window, 7);
    assert!(cut < drawn - 300 && cut > drawn - 500, "{cut} of {drawn}");
    assert!(
        matches!(shape(&window), Shape::Runs(_)),
        "polygons have no holes"
    );
    assert!(
        said(&window, "The polygons are a painted mask now"),
        "the conversion is announced"
    );
    shot(&mut window, "review-hole-light");
    undo(&mut window);
    assert!(matches!(shape(&window), Shape::Polygons(_)));
}
