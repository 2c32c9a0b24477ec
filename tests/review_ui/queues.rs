//! Queues, restarts, a second window, and a file that another program changes.

use std::path::Path;

use egui::{Key, Modifiers};
use egui_kittest::kittest::Queryable as _;
use maskscope::document::review::{Target, Verdict};
use maskscope::ui::App;
use maskscope::ui::command::Command;
use maskscope::ui::review_command::ReviewCommand;
use maskscope::ui::review_queue::QueueOf;
use maskscope::ui::view::Workspace;
use serde_json::Value;

use super::{
    exported, open, press, review, reviewed, saved, selected, settle, steps, synthetic, undo,
    until, verdicts,
};
use crate::panels::{Window, said, send, shot, shot_both, window};
use crate::workspaces::files;

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
    shot_both(&mut window, "review-done");
    for _ in 0..4 {
        undo(&mut window);
    }
    assert_eq!(verdicts(&window).len(), 2);
    saved(&mut window);
    drop(window);

    let mut window = open(&files, egui::Theme::Light);
    assert_eq!(verdicts(&window).len(), 2);
    assert!(said(&window, "2 of 6, 1 rejected"), "the queue came back");
    assert_eq!(reviewed(&window).history().len(), 6);
    shot(&mut window, "review-restarted-light");
    // What was undone can be done again after a restart.
    window.key_press_modifiers(Modifiers::COMMAND | Modifiers::SHIFT, Key::Z);
    settle(&mut window);
    assert_eq!(verdicts(&window).len(), 3);
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
        let review = reviewed(&window);
        let queue = &review.queues()["queue"];
        (queue.items().to_vec(), queue.reason().unwrap().to_owned())
    };
    assert!(!items.is_empty());
    assert_eq!(selected(&window).as_ref(), items.first());
    assert!(said(&window, &reason), "{reason}");
    shot_both(&mut window, "review-suspects");
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
        let review = reviewed(window);
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
fn ten_instances_by_keys_four_undone_and_exported() {
    let home = tempfile::tempdir().unwrap();
    let out = synthetic(home.path(), 3);
    let json = out.join("labels.json");
    let file: Value = serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap();
    let before = file["annotations"].as_array().unwrap().clone();
    assert!(before.len() >= 10, "{}", before.len());
    let in_review = |path: &Path| {
        let mut window = window(path, egui::Theme::Light);
        send(&mut window, Command::SetWorkspace(Workspace::Review));
        until(&mut window, "the review", |app| {
            app.document().review().is_some()
        });
        settle(&mut window);
        window
    };
    let mut window = in_review(&out);
    review(&mut window, ReviewCommand::MakeQueue(QueueOf::Annotations));
    settle(&mut window);
    // Two are deleted, the others judged: one key each, two where the next has to be asked for.
    let mut order = Vec::new();
    for step in 0..10 {
        let Some(Target::Annotation(id)) = selected(&window) else {
            panic!("the queue leads to annotations");
        };
        order.push(id);
        match step {
            2 | 7 => {
                press(&mut window, Key::Delete);
                press(&mut window, Key::Enter);
            }
            1 | 4 => press(&mut window, Key::Num2),
            _ => press(&mut window, Key::Num1),
        }
    }
    assert_eq!(steps(&window), 10);
    shot(&mut window, "review-ten-light");
    for _ in 0..4 {
        undo(&mut window);
    }
    saved(&mut window);
    drop(window);

    let mut window = in_review(&out);
    assert_eq!((steps(&window), verdicts(&window).len()), (6, 5));
    let corrected = exported(&mut window, &home.path().join("corrected.json"));
    let kept = corrected["annotations"].as_array().unwrap();
    // The second deletion was among the four that were taken back.
    let want: Vec<&Value> = before.iter().filter(|it| it["id"] != order[2]).collect();
    assert_eq!(kept.iter().collect::<Vec<_>>(), want);
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
    shot_both(&mut second, "review-second-window");
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
    shot_both(&mut window, "review-changed");
    window.get_by_label("Open again and merge").click();
    until(&mut window, "the set", |app| {
        !app.document().is_changed_outside() && app.document().review().is_some()
    });
    settle(&mut window);
    let conflicts = |window: &Window| {
        let review = reviewed(window);
        review.conflicts().len()
    };
    assert_eq!(conflicts(&window), 1);
    assert!(said(&window, "Conflicts with the file · 1"));
    shot_both(&mut window, "review-conflict");
    let review = reviewed(&window);
    assert_eq!(
        review.record(2).unwrap().category_id,
        3,
        "the other edit went on"
    );
    assert!(review.record(70).is_some());
    window.get_by_label("Keep mine").click();
    settle(&mut window);
    assert_eq!(conflicts(&window), 0);
    let review = reviewed(&window);
    assert_eq!(review.record(1).unwrap().category_id, 2);
}
