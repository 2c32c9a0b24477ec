//! Nothing is said of another instance than the one that was meant, and nothing that was said is lost.

use std::path::Path;

use egui::accesskit::Role;
use egui::{Event, Key, Modifiers, ViewportEvent};
use egui_kittest::kittest::Queryable as _;
use maskscope::coco::{Dataset, predictions};
use maskscope::document::Format;
use maskscope::document::review::{SaveState, Target, Verdict};
use maskscope::ui::command::Command;
use maskscope::ui::review_command::ReviewCommand;
use maskscope::ui::review_queue::QueueOf;
use serde_json::{Value, json};

use super::{
    exported, open, press, review, reviewed, saved, selected, settle, undo, until, verdicts,
};
use crate::panels::{Window, frames, said, send, shot};
use crate::workspaces::files;

fn attach(window: &mut Window, path: &Path) {
    send(window, Command::OpenPath(path.to_owned()));
    until(window, "the predictions", |app| {
        app.document().images()[3].detections().is_some()
    });
    send(window, Command::SetThreshold(0.0));
    settle(window);
}

/// Presses a key; egui counts one that is pressed without having been let go as held.
fn key(window: &mut Window, key: Key, pressed: bool) {
    window.input_mut().events.push(Event::Key {
        key,
        physical_key: None,
        pressed,
        repeat: false,
        modifiers: Modifiers::NONE,
    });
}

#[test]
fn rejected_predictions_are_left_out_of_every_export() {
    let files = files();
    let mut window = open(&files, egui::Theme::Dark);
    attach(&mut window, &files.first);
    send(&mut window, Command::SelectInstance(Some(0)));
    settle(&mut window);
    assert!(matches!(selected(&window), Some(Target::Prediction(_))));
    press(&mut window, Key::Num2);
    saved(&mut window);
    let folder = files.set.parent().unwrap().join("out");
    std::fs::create_dir(&folder).unwrap();
    let count = |path: &Path| {
        let file = predictions::read(path).unwrap();
        let images = file.images.iter();
        images.map(|image| image.detections.len()).sum::<usize>()
    };
    let of_window = folder.join("kept.json");
    let results = folder.join("results");
    let report = folder.join("report");
    for (format, out, made) in [
        (Format::Predictions, &of_window, of_window.clone()),
        (Format::Results, &results, folder.join("results.segm.json")),
        (Format::Html, &report, report.join("report.html")),
    ] {
        let document = window.state_mut().document_mut();
        document.export_review(format, out);
        until(&mut window, "the export", |_| made.exists());
    }
    assert_eq!(count(&files.first), 7);
    assert_eq!(count(&of_window), 6);
    assert_eq!(count(&folder.join("results.segm.json")), 6);
    let text = std::fs::read_to_string(report.join("report.html")).unwrap();
    assert!(text.contains("6 detections"), "{text}");
    // And from a terminal, where the window's verdict is known by the content of the file.
    drop(window);
    let copy = files.first.with_file_name("another name.json");
    std::fs::copy(&files.first, &copy).unwrap();
    let of_terminal = folder.join("terminal.json");
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_maskscope"))
        .args(["export", files.set.to_str().unwrap()])
        .args(["--format", "predictions", "--predictions"])
        .args([&copy, Path::new("--out"), &of_terminal])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(count(&of_terminal), 6);
}

#[test]
fn classes_of_a_model_alone_are_never_mixed_up_with_new_ones() {
    let files = files();
    let text = std::fs::read_to_string(&files.first).unwrap();
    let mut found: Value = serde_json::from_str(&text).unwrap();
    for image in found.as_object_mut().unwrap().values_mut() {
        for (number, one) in (0..).zip(image["predictions"].as_array_mut().unwrap()) {
            if number > 0 {
                let name = ["car", "bus"][number % 2];
                one["class"] =
                    json!({"label": 2 + number % 2, "category_id": "unknown", "name": name});
            }
        }
    }
    let foreign = files.set.with_file_name("foreign.json");
    std::fs::write(&foreign, found.to_string()).unwrap();
    let mut window = open(&files, egui::Theme::Light);
    attach(&mut window, &foreign);
    let names = |window: &Window| window.state().document().classes().names.clone();
    assert_eq!(names(&window), ["cat", "dog", "bird", "car", "bus"]);
    // A verdict, and a class of one's own: theirs stay what they are.
    send(&mut window, Command::SelectInstance(Some(0)));
    settle(&mut window);
    press(&mut window, Key::Num1);
    press(&mut window, Key::T);
    send(&mut window, Command::SelectInstance(Some(0)));
    settle(&mut window);
    assert_eq!(selected(&window), Some(Target::Annotation(1)));
    review(&mut window, ReviewCommand::NewClass("cart".into()));
    settle(&mut window);
    assert_eq!(names(&window), ["cat", "dog", "bird", "car", "bus", "cart"]);
    assert!(said(&window, "cart 1 · corrected"));
    // A prediction of a class that the set lacks brings it along.
    press(&mut window, Key::T);
    let detections = window.state().document().images()[0].detections().unwrap();
    let car = detections.iter().position(|it| it.label == 3).unwrap();
    send(&mut window, Command::SelectInstance(Some(car)));
    settle(&mut window);
    press(&mut window, Key::A);
    until(&mut window, "the new annotation", |app| {
        app.view().review.selected == Some(Target::Annotation(7))
    });
    settle(&mut window);
    assert!(said(&window, "car 7 · corrected"));
    assert_eq!(names(&window).len(), 6);
    shot(&mut window, "review-foreign-class-light");
    let set = exported(&mut window, &files.set.with_file_name("corrected.json"));
    let categories: Vec<(i64, &str)> = set["categories"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| (it["id"].as_i64().unwrap(), it["name"].as_str().unwrap()))
        .collect();
    assert_eq!(categories[3..], [(4, "cart"), (5, "car")]);
    let annotations = set["annotations"].as_array().unwrap();
    assert_eq!(annotations[0]["category_id"], 4);
    assert_eq!(annotations.last().unwrap()["category_id"], 5);
    // Taken back, the class that the file of predictions knows stays, the other one goes.
    undo(&mut window);
    undo(&mut window);
    assert_eq!(names(&window), ["cat", "dog", "bird", "car", "bus"]);
}

#[test]
fn keys_act_on_what_was_meant() {
    let files = files();
    let mut window = open(&files, egui::Theme::Dark);
    review(&mut window, ReviewCommand::MakeQueue(QueueOf::Annotations));
    settle(&mut window);
    // A key that is held says nothing of what comes up under it.
    for _ in 0..5 {
        key(&mut window, Key::Num1, true);
        settle(&mut window);
    }
    key(&mut window, Key::Num1, false);
    assert_eq!(
        verdicts(&window),
        [(Target::Annotation(1), Some(Verdict::Accept))]
    );
    assert_eq!(selected(&window), Some(Target::Annotation(2)));
    // Two keys of one frame: the second is for what the first leads to.
    key(&mut window, Key::Num1, true);
    key(&mut window, Key::Num2, true);
    settle(&mut window);
    let said_of = |window: &Window, id| {
        let review = reviewed(window);
        review.opinion(&Target::Annotation(id)).verdict
    };
    assert_eq!(said_of(&window, 2), Some(Verdict::Accept));
    assert_eq!(said_of(&window, 3), Some(Verdict::Reject));
    send(&mut window, Command::SelectImage(0));
    send(&mut window, Command::SelectInstance(Some(0)));
    settle(&mut window);
    key(&mut window, Key::Tab, true);
    key(&mut window, Key::Num4, true);
    settle(&mut window);
    assert_eq!(said_of(&window, 1), Some(Verdict::Accept));
    assert_eq!(said_of(&window, 2), Some(Verdict::BadMask));
    // Enter belongs to the button that has the focus, not to the queue behind it.
    let position = |window: &Window| reviewed(window).queues()["queue"].position();
    assert_eq!(position(&window), 3, "of annotation 4");
    send(&mut window, Command::SelectInstance(Some(2)));
    settle(&mut window);
    assert_eq!(selected(&window), Some(Target::Annotation(3)));
    window.get_by_role_and_label(Role::Button, "Delete").focus();
    settle(&mut window);
    press(&mut window, Key::Enter);
    assert!(reviewed(&window).record(3).is_none(), "it was deleted");
    assert_eq!(reviewed(&window).corrections().counts().deleted, 1);
    assert_eq!(position(&window), 3);
}

#[test]
fn three_keys_of_a_frame_are_for_three_instances() {
    let files = files();
    let mut window = open(&files, egui::Theme::Dark);
    attach(&mut window, &files.first);
    send(&mut window, Command::SelectInstance(Some(0)));
    settle(&mut window);
    // Without a queue a verdict leads to the next instance of the image.
    for pressed in [true, false] {
        key(&mut window, Key::Num1, pressed);
    }
    for pressed in [true, false] {
        key(&mut window, Key::Num1, pressed);
    }
    key(&mut window, Key::Num2, true);
    settle(&mut window);
    let mut given: Vec<Option<Verdict>> = verdicts(&window)
        .into_iter()
        .map(|(_, verdict)| verdict)
        .collect();
    given.sort_unstable();
    let want = [Verdict::Accept, Verdict::Accept, Verdict::Reject];
    assert_eq!(given, want.map(Some));
}

#[test]
fn what_is_deleted_or_taken_over_leads_on_in_the_queue() {
    let files = files();
    let mut window = open(&files, egui::Theme::Dark);
    review(&mut window, ReviewCommand::MakeQueue(QueueOf::Annotations));
    settle(&mut window);
    press(&mut window, Key::Delete);
    assert_eq!(selected(&window), Some(Target::Annotation(2)));
    assert!(said(&window, "1 of 6"));
    attach(&mut window, &files.first);
    review(&mut window, ReviewCommand::MakeQueue(QueueOf::Predictions));
    settle(&mut window);
    let first = selected(&window).unwrap();
    press(&mut window, Key::A);
    let second = selected(&window).unwrap();
    assert!(matches!(second, Target::Prediction(_)) && second != first);
    assert_eq!(
        reviewed(&window).opinion(&first).verdict,
        Some(Verdict::Accept)
    );
    assert!(said(&window, "1 of 7"));
    assert_eq!(reviewed(&window).corrections().counts().added, 1);
    undo(&mut window);
    assert_eq!(reviewed(&window).corrections().counts().added, 0);
    assert_eq!(reviewed(&window).opinion(&first).verdict, None);
    assert_eq!(selected(&window).as_ref(), Some(&first));
    assert_eq!(reviewed(&window).queues()["queue"].current(), Some(&first));
}

/// Forty notes that find no room.
fn fill_disk(window: &mut Window) {
    reviewed(window).limit_database(1);
    for step in 0..40 {
        let note = format!("{step} {}", "a long note that takes pages ".repeat(200));
        let target = Target::Annotation(1);
        review(window, ReviewCommand::SetNote(target, note));
    }
    until(window, "the refusal", |app| {
        let review = app.document().review().unwrap();
        matches!(review.save_state(), SaveState::NotSaved(_))
    });
}

#[test]
fn a_disk_that_refuses_is_told_and_the_window_asks_before_it_closes() {
    for (theme, name) in [(egui::Theme::Dark, "dark"), (egui::Theme::Light, "light")] {
        let files = files();
        let mut window = open(&files, theme);
        send(&mut window, Command::SelectInstance(Some(0)));
        settle(&mut window);
        fill_disk(&mut window);
        frames(&mut window, 3);
        assert!(said(&window, "The review cannot be saved"));
        let closed = |window: &mut Window| {
            let viewport = window
                .input_mut()
                .viewports
                .get_mut(&egui::ViewportId::ROOT);
            viewport.unwrap().events.push(ViewportEvent::Close);
            window.step();
            let output = &window.output().viewport_output[&egui::ViewportId::ROOT];
            !output
                .commands
                .contains(&egui::ViewportCommand::CancelClose)
        };
        assert!(!closed(&mut window), "it would be lost");
        frames(&mut window, 3);
        assert!(said(&window, "Close and lose what is not saved?"));
        assert!(said(&window, "are not saved in"));
        shot(&mut window, &format!("review-unsaved-{name}"));
        window.get_by_label("Keep open").click();
        frames(&mut window, 3);
        assert!(!said(&window, "Close and lose what is not saved?"));
        // A set that is closed keeps what is not on disk, and the window asks still.
        send(&mut window, Command::CloseSet);
        settle(&mut window);
        assert!(window.state().document().review().is_none());
        assert!(!closed(&mut window));
        window.get_by_label("Close and lose it").click();
        frames(&mut window, 2);
        assert!(closed(&mut window), "that was said");
    }
}

#[test]
fn room_on_the_disk_saves_everything() {
    let files = files();
    let mut window = open(&files, egui::Theme::Dark);
    fill_disk(&mut window);
    reviewed(&window).limit_database(0);
    until(&mut window, "the commit", |app| {
        let review = app.document().review().unwrap();
        review.save_state() == SaveState::Saved
    });
    frames(&mut window, 3);
    assert!(said(&window, "The review is saved again"));
    drop(window);
    let window = open(&files, egui::Theme::Dark);
    assert_eq!(reviewed(&window).history().len(), 40);
}

#[test]
fn a_set_that_is_opened_again_takes_up_what_is_not_saved() {
    let files = files();
    let mut window = open(&files, egui::Theme::Dark);
    fill_disk(&mut window);
    send(&mut window, Command::CloseSet);
    settle(&mut window);
    send(&mut window, Command::OpenPath(files.set.clone()));
    until(&mut window, "the set", |app| {
        app.document().review().is_some()
    });
    settle(&mut window);
    assert!(!reviewed(&window).is_read_only());
    assert_eq!(reviewed(&window).history().len(), 40);
    reviewed(&window).limit_database(0);
    saved(&mut window);
}

#[test]
fn a_corrected_set_is_trained_on_from_anywhere() {
    let files = files();
    let mut window = open(&files, egui::Theme::Dark);
    send(&mut window, Command::SelectInstance(Some(0)));
    settle(&mut window);
    press(&mut window, Key::Delete);
    let elsewhere = tempfile::tempdir().unwrap();
    let out = elsewhere.path().join("corrected.json");
    window.state_mut().document_mut().export_to_train(&out);
    until(&mut window, "the dialog", |app| {
        app.document().training().draft().train_data == out.display().to_string()
    });
    settle(&mut window);
    assert!(said(&window, "Fine-tune"));
    shot(&mut window, "review-fine-tune-dark");
    let set = Dataset::open(&out).unwrap();
    assert_eq!((set.missing(), set.images().len()), (0, 4));
    assert_eq!(set.annotations_of(0), 2);
    // Beside the set it is the plain export.
    let beside = files.set.with_file_name("corrected.json");
    window.state_mut().document_mut().export_to_train(&beside);
    until(&mut window, "the dialog", |app| {
        app.document().training().draft().train_data == beside.display().to_string()
    });
    let text = std::fs::read_to_string(&beside).unwrap();
    assert!(!text.contains(files.set.parent().unwrap().to_str().unwrap()));
}

#[test]
fn an_image_has_a_verdict_and_a_note_of_its_own() {
    let files = files();
    let mut window = open(&files, egui::Theme::Dark);
    send(&mut window, Command::SelectImage(2));
    send(&mut window, Command::SelectInstance(None));
    settle(&mut window);
    assert!(said(&window, "Nothing is selected: the image"));
    press(&mut window, Key::Num5);
    assert_eq!(
        verdicts(&window),
        [(Target::Image(3), Some(Verdict::MissingObject))]
    );
    // Of an image nothing else is said by a slip of the hand.
    press(&mut window, Key::Num2);
    press(&mut window, Key::Delete);
    assert_eq!(reviewed(&window).history().len(), 1);
    press(&mut window, Key::N);
    window
        .input_mut()
        .events
        .push(Event::Text("a dog behind the tree".into()));
    settle(&mut window);
    press(&mut window, Key::Escape);
    send(&mut window, Command::SelectImage(1));
    settle(&mut window);
    let said_of_image = reviewed(&window).opinion(&Target::Image(3));
    assert_eq!(said_of_image.note, "a dog behind the tree");
    send(&mut window, Command::SelectImage(2));
    settle(&mut window);
    press(&mut window, Key::Num0);
    assert_eq!(reviewed(&window).opinion(&Target::Image(3)).verdict, None);
}

#[test]
fn an_undo_leads_back_to_what_it_changes() {
    let files = files();
    let mut window = open(&files, egui::Theme::Dark);
    review(&mut window, ReviewCommand::MakeQueue(QueueOf::Annotations));
    settle(&mut window);
    for _ in 0..4 {
        press(&mut window, Key::Num1);
    }
    assert_eq!(window.state().view().image, Some(2));
    for id in [4, 3] {
        undo(&mut window);
        assert_eq!(selected(&window), Some(Target::Annotation(id)));
    }
    assert_eq!(window.state().view().image, Some(0));
    press(&mut window, Key::Num2);
    assert_eq!(
        reviewed(&window).opinion(&Target::Annotation(3)).verdict,
        Some(Verdict::Reject)
    );
    assert_eq!(selected(&window), Some(Target::Annotation(4)));
}

#[test]
fn a_class_is_chosen_by_its_letters() {
    let files = files();
    let mut window = open(&files, egui::Theme::Light);
    send(&mut window, Command::SelectInstance(Some(0)));
    settle(&mut window);
    assert!(said(&window, "cat 1"));
    press(&mut window, Key::Q);
    assert!(said(&window, "Class: bird"));
    window.input_mut().events.push(Event::Text("bird".into()));
    settle(&mut window);
    shot(&mut window, "review-class-light");
    press(&mut window, Key::Enter);
    assert!(said(&window, "bird 1 · corrected"));
    assert_eq!(reviewed(&window).record(1).unwrap().category_id, 3);
    // Without a selection it is the class of what is drawn next.
    send(&mut window, Command::SelectInstance(None));
    settle(&mut window);
    press(&mut window, Key::Q);
    window.input_mut().events.push(Event::Text("dog".into()));
    settle(&mut window);
    press(&mut window, Key::Enter);
    assert_eq!(window.state().view().review.new_class, Some(2));
    assert_eq!(reviewed(&window).history().len(), 1);
    press(&mut window, Key::B);
    assert!(said(&window, "Review: Brush"));
}

#[test]
fn an_export_tells_its_command_line() {
    let files = files();
    let mut window = open(&files, egui::Theme::Dark);
    let line = |window: &Window, command: ReviewCommand| {
        Command::Review(command).command_line(window.state().document())
    };
    let coco = line(&window, ReviewCommand::Export(Format::Coco)).unwrap();
    let set = files.set.display();
    assert_eq!(
        coco,
        format!("maskscope export {set} --format coco --out corrected.json")
    );
    send(&mut window, Command::TogglePalette);
    window
        .input_mut()
        .events
        .push(Event::Text("export audit trail".into()));
    settle(&mut window);
    assert!(said(&window, "--format audit --out audit.csv"));
}
