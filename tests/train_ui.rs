//! The Train workspace and the fine-tune dialog in the real window, over run folders and a training program made here.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use egui::accesskit::Role;
use egui_kittest::Harness;
use egui_kittest::kittest::{NodeT as _, Queryable as _};
use maskscope::document::settings::Settings;
use maskscope::document::training::{Condition, Quantity, TrainerOptions, Validation};
use maskscope::ui::command::Command;
use maskscope::ui::train_command::{DraftPath, TrainCommand};
use maskscope::ui::view::Workspace;
use maskscope::ui::{App, StartOptions};
use serde_json::{Value, json};

use crate::panels::{Window, frames, said, send, shot};

/// What `run.json` says; `change` is laid over it.
fn record(change: Value) -> Value {
    let mut record = json!({
        "version": 1, "state": "running", "pid": 1, "host": "here",
        "command": ["maskscope", "train", "--config", "tiny", "--out", "my runs"],
        "started": 1_700_000_000.0, "updated": 1_700_000_100.0,
        "epoch": 2, "epochs": 3, "step": 4, "steps_per_epoch": 10,
        "evaluated": null, "seconds_left": 1500.0, "device": "CPU, 2 threads", "message": null,
        "best": {"path": "best_ckpt/best.safetensors", "epoch": 1, "seg_mAP": 0.362},
        "last_checkpoint": "MSRCNN_0-1_10.safetensors", "start_checkpoint": "r50.safetensors",
        "train_data": "tools/train", "val_data": "tools/val", "skipped": [],
    });
    for (key, value) in change.as_object().unwrap() {
        record[key] = value.clone();
    }
    record
}

fn step_line(step: usize) -> String {
    let x = step as f64;
    let wave = 0.02 * (x * 1.7).sin();
    let loss = |share: f64| share * (0.2 + 1.0 / (1.0 + 0.15 * x)) + share * wave;
    let parts = [
        ("rpn_cls", loss(0.2)),
        ("rpn_box", loss(0.1)),
        ("cls", loss(0.4)),
        ("bbox", loss(0.3)),
        ("mask", loss(0.6)),
        ("mask_iou", loss(0.1)),
    ];
    let mut line = json!({
        "kind": "step", "epoch": (step - 1) / 10 + 1, "step": (step - 1) % 10 + 1, "global_step": step,
        "loss": parts.iter().map(|(_, value)| value).sum::<f64>(), "lr": 0.0025 * (x / 8.0).min(1.0),
        "grad_norm": 4.0 / x.sqrt(), "images_per_second": 3.1 + wave, "data_time": 0.02, "step_time": 0.65,
        "memory_mib": 2300.0,
    });
    for (name, value) in parts {
        line[name] = json!(value);
    }
    format!("{line}\n")
}

fn eval_line(epoch: usize) -> String {
    let ap = 0.4 * (1.0 - (-(epoch as f64)).exp());
    let line = json!({
        "kind": "eval", "epoch": epoch, "global_step": epoch * 10, "bbox_mAP": ap + 0.03, "seg_mAP": ap,
        "seg_mAP_by_score": ap - 0.02, "loss": 0.7, "seconds": 12.0,
    });
    format!("{line}\n")
}

/// Steps with an evaluation after each epoch of ten.
fn metrics(steps: usize) -> String {
    let mut text = String::new();
    for step in 1..=steps {
        text += &step_line(step);
        if step.is_multiple_of(10) {
            text += &eval_line(step / 10);
        }
    }
    text
}

/// A run folder below `home`.
fn run(home: &Path, name: &str, change: Value, steps: usize) -> PathBuf {
    let folder = home.join(name);
    std::fs::create_dir_all(folder.join("logs")).unwrap();
    std::fs::create_dir_all(folder.join("best_ckpt")).unwrap();
    std::fs::write(folder.join("metrics.jsonl"), metrics(steps)).unwrap();
    std::fs::write(folder.join("config.yaml"), "lr: 0.0025\nepoch_size: 3\n").unwrap();
    std::fs::write(folder.join("best_ckpt/best.safetensors"), vec![0; 3000]).unwrap();
    let log: String = (1..=40)
        .map(|step| {
            let time = format!("2026-01-01T10:{:02}:{:02}.000", step / 60, step % 60);
            format!("[{time}] INFO: epoch: 1, step: {step}, loss: 1.{step:06},  lr: 0.002500\n")
        })
        .collect();
    std::fs::write(folder.join("logs/train_1.log"), log).unwrap();
    std::fs::write(folder.join("run.lock"), "").unwrap();
    write_record(&folder, change);
    folder
}

fn write_record(folder: &Path, change: Value) {
    let partial = folder.join("run.json.partial");
    std::fs::write(&partial, record(change).to_string()).unwrap();
    std::fs::rename(partial, folder.join("run.json")).unwrap();
}

fn alive(folder: &Path) -> File {
    let lock = File::create(folder.join("run.lock")).unwrap();
    lock.lock().unwrap();
    lock
}

struct Home {
    folder: tempfile::TempDir,
}

impl Home {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("runs")).unwrap();
        Self { folder }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn runs(&self) -> PathBuf {
        self.path().join("runs")
    }

    fn options(&self) -> StartOptions {
        StartOptions {
            no_cache: true,
            settings: Some(self.path().join("settings.json")),
            trainer: TrainerOptions {
                program: Some(self.path().join("trainer")),
                state: Some(self.path().join("state")),
            },
            ..StartOptions::default()
        }
    }

    /// A program in place of the real one; its arguments go to `told`.
    #[cfg(unix)]
    fn trainer(&self, script: &str) {
        use std::os::unix::fs::PermissionsExt as _;
        let told = self.path().join("told");
        let path = self.path().join("trainer");
        let text = format!("#!/bin/sh\necho \"$@\" >> {}\n{script}\n", told.display());
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn told(&self) -> String {
        std::fs::read_to_string(self.path().join("told")).unwrap_or_default()
    }

    /// A window that shows the runs of this home.
    fn window(&self, theme: egui::Theme, size: [f32; 2]) -> Window {
        let settings = Settings {
            run_folders: vec![self.runs()],
            ..Settings::default()
        };
        let mut window = window_with(self.options(), settings, theme, size);
        send(&mut window, Command::SetWorkspace(Workspace::Train));
        window
    }
}

const SIZE: [f32; 2] = [1280.0, 800.0];

fn window_with(
    options: StartOptions,
    settings: Settings,
    theme: egui::Theme,
    size: [f32; 2],
) -> Window {
    let mut window = Harness::builder()
        .with_size(egui::vec2(size[0], size[1]))
        .with_theme(theme)
        .with_render_cursor(false)
        .wgpu()
        .build_eframe(|cc| App::new(cc, options, settings, None));
    let theme = match theme {
        egui::Theme::Dark => egui::ThemePreference::Dark,
        egui::Theme::Light => egui::ThemePreference::Light,
    };
    send(&mut window, Command::SetTheme(theme));
    window
}

fn until(window: &mut Window, what: &str, holds: impl Fn(&Window) -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !holds(window) {
        assert!(Instant::now() < deadline, "{what} did not happen");
        std::thread::sleep(Duration::from_millis(10));
        window.step();
    }
    frames(window, 3);
}

fn train(window: &mut Window, command: TrainCommand) {
    send(window, Command::Train(command));
}

fn steps(window: &Window, name: &str) -> usize {
    let runs = window.state().document().training().runs();
    let run = runs.iter().find(|run| run.name == name);
    run.map_or(0, |run| run.series.len())
}

fn condition(window: &Window, name: &str) -> Option<Condition> {
    let runs = window.state().document().training().runs();
    let run = runs.iter().find(|run| run.name == name);
    run.map(|run| run.condition)
}

fn click(window: &mut Window, label: &str) {
    window.get_by_label(label).click();
    frames(window, 3);
}

/// Types into the field of this name.
fn fill(window: &mut Window, label: &str, text: &str) {
    window.get_by_role_and_label(Role::TextInput, label).focus();
    frames(window, 2);
    window
        .get_by_role_and_label(Role::TextInput, label)
        .type_text(text);
    frames(window, 3);
}

#[test]
fn without_runs_the_workspace_says_what_to_do() {
    let home = Home::new();
    let mut window = home.window(egui::Theme::Dark, SIZE);
    assert!(said(&window, "No runs yet"));
    shot(&mut window, "train-empty-dark");
    // The workspace needs no set; the others do.
    send(&mut window, Command::SetWorkspace(Workspace::Evaluate));
    assert_eq!(window.state().view().workspace, Workspace::Train);
    send(&mut window, Command::SetWorkspace(Workspace::Browse));
    assert!(said(&window, "Open the demo"));
}

#[test]
fn runs_show_with_their_curves_and_states() {
    let home = Home::new();
    let live = run(
        &home.runs(),
        "260101_MSRCNN_live",
        json!({"started": 9.0}),
        14,
    );
    let _lock = alive(&live);
    let finished = json!({"state": "finished", "epoch": 3, "started": 5.0});
    run(&home.runs(), "260101_MSRCNN_done", finished, 30);
    run(
        &home.runs(),
        "260101_MSRCNN_gone",
        json!({"started": 3.0}),
        8,
    );
    let failed = json!({"state": "failed", "message": "loss is not finite at step 3", "best": null, "started": 2.0});
    run(&home.runs(), "260101_MSRCNN_bad", failed, 3);
    for (theme, name, size) in [
        (egui::Theme::Dark, "train-dark", SIZE),
        (egui::Theme::Light, "train-light", SIZE),
        (egui::Theme::Dark, "train-wide-dark", [2560.0, 1440.0]),
    ] {
        let mut window = home.window(theme, size);
        until(&mut window, "reading the runs", |window| {
            steps(window, "260101_MSRCNN_done") == 30
                && condition(window, "260101_MSRCNN_bad").is_some()
                && said(window, "step: 40")
        });
        assert_eq!(
            condition(&window, "260101_MSRCNN_live"),
            Some(Condition::Running)
        );
        assert_eq!(
            condition(&window, "260101_MSRCNN_gone"),
            Some(Condition::Interrupted)
        );
        assert!(said(&window, "epoch 2 of 3 · 25 min left"));
        assert!(said(&window, "finished · 3 epochs"));
        assert!(said(&window, "interrupted at epoch 2 of 3"));
        assert!(said(&window, "loss is not finite"));
        click(&mut window, "Compare 260101_MSRCNN_done");
        assert_eq!(window.state().view().train.compared.len(), 1);
        shot(&mut window, name);
        let ap = window.state().document().training().runs()[0]
            .series
            .latest(Quantity::Ap)
            .unwrap();
        click(&mut window, &format!("AP .{:.0}", ap * 1000.0));
        assert_eq!(window.state().view().train.quantity, Quantity::Ap);
        shot(&mut window, &format!("{name}-ap"));
        let plot = window.get_by_label("Curves of the runs");
        let value = plot.accesskit_node().value().unwrap_or_default();
        assert!(value.contains("260101_MSRCNN_done · mask AP"), "{value}");
    }
}

#[test]
fn metrics_grow_and_are_cut_back() {
    let home = Home::new();
    let folder = run(&home.runs(), "a", json!({}), 5);
    let lock = alive(&folder);
    let mut window = home.window(egui::Theme::Dark, SIZE);
    until(&mut window, "the first steps", |window| {
        steps(window, "a") == 5
    });
    let path = folder.join("metrics.jsonl");
    let mut file = File::options().append(true).open(&path).unwrap();
    file.write_all((step_line(6) + &step_line(7)[..30]).as_bytes())
        .unwrap();
    until(&mut window, "the sixth step", |window| {
        steps(window, "a") == 6
    });
    // A resumed run cuts its file back.
    std::fs::write(&path, metrics(3)).unwrap();
    until(&mut window, "the cut", |window| steps(window, "a") == 3);
    drop(lock);
    until(&mut window, "the end of the process", |window| {
        condition(window, "a") == Some(Condition::Interrupted)
    });
    assert!(said(&window, "a was interrupted"));
    std::fs::remove_dir_all(&folder).unwrap();
    until(&mut window, "the end of the run", |window| {
        said(window, "No runs yet")
    });
}

#[test]
fn runs_are_stopped_and_deleted_with_care() {
    let home = Home::new();
    let folder = run(&home.runs(), "a", json!({}), 5);
    let lock = alive(&folder);
    let mut window = home.window(egui::Theme::Dark, SIZE);
    until(&mut window, "the run", |window| {
        condition(window, "a") == Some(Condition::Running)
            && window.query_by_label("Stop").is_some()
    });
    train(&mut window, TrainCommand::Delete);
    assert!(!said(&window, "Delete a?"), "a live run is not deleted");
    click(&mut window, "Stop");
    until(&mut window, "the request", |_| folder.join("stop").exists());
    until(&mut window, "its answer", |window| said(window, "stopping"));
    write_record(&folder, json!({"state": "stopped"}));
    drop(lock);
    until(&mut window, "the stop", |window| {
        condition(window, "a") == Some(Condition::Stopped)
    });
    train(&mut window, TrainCommand::Delete);
    assert!(said(&window, "Delete a?"));
    shot(&mut window, "train-delete-dark");
    click(&mut window, "Keep");
    assert!(folder.exists() && !said(&window, "Delete a?"));
    train(&mut window, TrainCommand::Delete);
    window.get_by_role_and_label(Role::Button, "Delete").click();
    until(&mut window, "the deletion", |_| !folder.exists());
    until(&mut window, "its end", |window| said(window, "No runs yet"));
}

#[test]
fn the_question_about_deletion_stays_with_its_run() {
    let home = Home::new();
    let folder = run(
        &home.runs(),
        "a",
        json!({"state": "stopped", "started": 2.0}),
        5,
    );
    run(
        &home.runs(),
        "b",
        json!({"state": "stopped", "started": 1.0}),
        5,
    );
    let mut window = home.window(egui::Theme::Dark, SIZE);
    until(&mut window, "the runs", |window| {
        steps(window, "a") == 5 && steps(window, "b") == 5
    });
    // Whichever was found first is selected.
    train(&mut window, TrainCommand::Select(folder.clone()));
    train(&mut window, TrainCommand::Delete);
    assert!(said(&window, "Delete a?"));
    train(&mut window, TrainCommand::Select(home.runs().join("b")));
    assert!(said(&window, "Delete a?"), "another one is selected");
    std::fs::remove_dir_all(&folder).unwrap();
    until(&mut window, "the end of a", |window| {
        condition(window, "a").is_none()
    });
    assert!(!said(&window, "Delete a?") && !said(&window, "Delete b?"));
    assert!(home.runs().join("b").exists());
}

#[test]
fn a_hidden_folder_complains_no_more() {
    let home = Home::new();
    let file = home.path().join("no folder");
    std::fs::write(&file, "text").unwrap();
    let settings = Settings {
        run_folders: vec![home.runs(), file],
        ..Settings::default()
    };
    let mut window = window_with(home.options(), settings, egui::Theme::Dark, SIZE);
    send(&mut window, Command::SetWorkspace(Workspace::Train));
    until(&mut window, "the complaint", |window| {
        said(window, "cannot read")
    });
    click(&mut window, "Hide this folder");
    assert!(!said(&window, "cannot read") && !said(&window, "Hide this folder"));
    assert_eq!(
        window.state().document().settings().run_folders,
        [home.runs()]
    );
}

#[test]
fn the_command_line_is_quoted_once() {
    let home = Home::new();
    run(&home.runs(), "a", json!({"state": "finished"}), 5);
    let mut window = home.window(egui::Theme::Dark, SIZE);
    until(&mut window, "the run", |window| steps(window, "a") == 5);
    let line = "maskscope train --config tiny --out 'my runs'";
    assert!(said(&window, line));
    let copy = Command::Train(TrainCommand::CopyCommandLine);
    window.state_mut().commands().push(copy);
    window.step();
    let commands = &window.output().platform_output.commands;
    let copied = egui::OutputCommand::CopyText(line.into());
    assert!(commands.contains(&copied), "{commands:?}");
}

#[test]
fn without_an_evaluation_no_checkpoint_is_the_best() {
    let home = Home::new();
    let change = json!({"state": "finished", "best": null, "val_data": null, "started": 2.0});
    run(&home.runs(), "a", change, 5);
    run(
        &home.runs(),
        "b",
        json!({"state": "stopped", "best": null, "started": 1.0}),
        5,
    );
    let mut window = home.window(egui::Theme::Dark, SIZE);
    until(&mut window, "the runs", |window| {
        steps(window, "a") == 5 && steps(window, "b") == 5
    });
    for (name, why) in [
        ("a", "There is no validation set"),
        ("b", "no checkpoint is the best yet"),
    ] {
        train(&mut window, TrainCommand::Select(home.runs().join(name)));
        let (doc, view) = (window.state().document(), window.state().view());
        for command in [TrainCommand::OpenBest, TrainCommand::AgainstStart] {
            assert!(!command.enabled(doc, view), "{command:?}");
            let said = command.why_not(doc, view).unwrap();
            assert!(said.contains(why), "{said}");
        }
        assert!(said(&window, why), "the section against the start tells");
    }
}

#[test]
fn a_long_list_of_skipped_images_scrolls() {
    let home = Home::new();
    let skipped: Vec<_> = (0..5_000)
        .map(|at| json!([format!("broken_{at}.jpg"), "it is no picture"]))
        .collect();
    let change = json!({"state": "finished", "skipped": skipped});
    run(&home.runs(), "a", change, 5);
    let mut window = home.window(egui::Theme::Dark, [1280.0, 1200.0]);
    until(&mut window, "the run", |window| steps(window, "a") == 5);
    click(&mut window, "5,000 images were skipped");
    until(&mut window, "the list", |window| {
        said(window, "broken_0.jpg: it is no picture")
    });
    assert!(!said(&window, "broken_100.jpg"));
    shot(&mut window, "train-skipped-dark");
}

#[test]
fn keys_walk_through_runs_and_compare() {
    let home = Home::new();
    run(&home.runs(), "a", json!({"started": 2.0}), 5);
    run(&home.runs(), "b", json!({"started": 1.0}), 5);
    let mut window = home.window(egui::Theme::Dark, SIZE);
    until(&mut window, "the runs", |window| steps(window, "b") == 5);
    let selected = |window: &Window| window.state().view().train.selected.clone();
    assert_eq!(selected(&window), Some(home.runs().join("a")));
    window.key_press(egui::Key::ArrowDown);
    frames(&mut window, 3);
    assert_eq!(selected(&window), Some(home.runs().join("b")));
    window.key_press(egui::Key::C);
    window.key_press(egui::Key::ArrowUp);
    frames(&mut window, 3);
    assert_eq!(selected(&window), Some(home.runs().join("a")));
    let compared = &window.state().view().train.compared;
    assert!(compared.contains(&home.runs().join("b")));
}

fn report(findings: Value) -> Value {
    json!({
        "findings": findings, "train_images": 14, "val_images": 3,
        "classes": [
            {"name": "wrench", "annotations": 81, "images": 12, "known": false},
            {"name": "hammer", "annotations": 41, "images": 9, "known": true},
            {"name": "bolt", "annotations": 9, "images": 2, "known": false},
        ],
        "reinitialised": ["bbox_head.fc_cls", "bbox_head.fc_reg", "mask_head.conv_logits", "mask_iou_head.fc_mask_iou"],
        "memory_mib": 3480.0, "memory_free_mib": 12000.0, "seconds_per_step": 0.65, "steps_per_epoch": 7,
        "epochs": 12, "seconds_total": 2280.0,
        "proposals": [{"key": "lr_steps", "value": "[9, 11]", "why": "the rate falls before the last epochs"}],
        "device": "CPU, 2 threads",
    })
}

/// The dialog with sets and checkpoint filled in.
#[cfg(unix)]
fn dialog(home: &Home, theme: egui::Theme) -> Window {
    let mut window = home.window(theme, SIZE);
    train(&mut window, TrainCommand::FineTune);
    fill(&mut window, "Training set", "my set/train");
    fill(&mut window, "Checkpoint", "r50.safetensors");
    window
}

#[cfg(unix)]
#[test]
fn errors_of_the_preflight_block_the_start() {
    let home = Home::new();
    let findings = json!([
        {"severity": "error", "what": "2 images cannot be read", "where": "a.jpg, b.jpg", "fix": "Replace them, or take them out of the JSON"},
        {"severity": "warning", "what": "“bolt” has 9 masks, “wrench” 81: expect lower AP for “bolt”", "where": "bolt", "fix": ""},
        {"severity": "note", "what": "3 classes, the checkpoint has 80", "where": "", "fix": ""},
    ]);
    let path = home.path().join("report.json");
    std::fs::write(&path, report(findings).to_string()).unwrap();
    home.trainer(&format!("cat {}", path.display()));
    for (theme, name) in [(egui::Theme::Dark, "dark"), (egui::Theme::Light, "light")] {
        let mut window = dialog(&home, theme);
        until(&mut window, "the check", |window| {
            said(window, "2 images cannot be read")
        });
        let words = home.told();
        assert!(
            words.contains("--train-data my set/train") && words.contains("--preflight --json"),
            "{words}"
        );
        assert!(!words.contains("--trial"), "{words}");
        assert!(said(&window, "mend it first"));
        shot(&mut window, &format!("fine-tune-errors-{name}"));
        train(&mut window, TrainCommand::Start);
        assert!(said(&window, "Fine-tune"), "the dialog stays");
        assert!(!home.told().contains("--run-record"));
    }
}

#[cfg(unix)]
#[test]
fn a_check_without_sets_shows_no_numbers() {
    let home = Home::new();
    let findings = json!([
        {"severity": "error", "what": "my set/train does not exist", "where": "", "fix": ""},
    ]);
    let mut empty = report(findings);
    for key in ["train_images", "val_images", "steps_per_epoch", "epochs"] {
        empty[key] = json!(0);
    }
    for key in ["memory_mib", "memory_free_mib"] {
        empty[key] = json!(0.0);
    }
    for key in ["classes", "reinitialised", "proposals"] {
        empty[key] = json!([]);
    }
    for key in ["seconds_per_step", "seconds_total"] {
        empty[key] = Value::Null;
    }
    let path = home.path().join("report.json");
    std::fs::write(&path, empty.to_string()).unwrap();
    home.trainer(&format!("cat {}", path.display()));
    let mut window = dialog(&home, egui::Theme::Dark);
    until(&mut window, "the check", |window| {
        said(window, "does not exist")
    });
    shot(&mut window, "fine-tune-unread-dark");
    for text in ["GiB", "epochs of", "the checkpoint knows"] {
        assert!(!said(&window, text), "{text}");
    }
    // What the machine has free is not known.
    let mut unknown = report(json!([]));
    unknown["memory_free_mib"] = json!(0.0);
    std::fs::write(&path, unknown.to_string()).unwrap();
    train(&mut window, TrainCommand::Check);
    until(&mut window, "the other check", |window| {
        said(window, "14 images to train on")
    });
    assert!(said(&window, "About 3.4 GiB of memory, on CPU, 2 threads"));
    assert!(!said(&window, "that are free"));
}

#[cfg(unix)]
#[test]
fn a_cancelled_check_waits_for_a_change() {
    let home = Home::new();
    home.trainer("exec sleep 60");
    let mut window = dialog(&home, egui::Theme::Dark);
    let checks = |home: &Home| home.told().matches("--preflight").count();
    until(&mut window, "the check", |_| checks(&home) == 1);
    click(&mut window, "Cancel the check");
    // Longer than the fields must rest.
    let rested = Instant::now() + Duration::from_millis(1_200);
    until(&mut window, "the rest", |_| Instant::now() > rested);
    assert_eq!(checks(&home), 1);
    assert!(said(&window, "The check was cancelled"));
    fill(&mut window, "Epochs", "3");
    until(&mut window, "the next check", |_| checks(&home) == 2);
    click(&mut window, "Cancel the check");
    // Who asks for it gets it.
    click(&mut window, "Check");
    until(&mut window, "the check that was asked for", |_| {
        checks(&home) == 3
    });
}

#[cfg(unix)]
#[test]
fn fields_become_a_command_line() {
    let home = Home::new();
    let path = home.path().join("report.json");
    std::fs::write(&path, report(json!([])).to_string()).unwrap();
    home.trainer(&format!("cat {}", path.display()));
    let mut window = dialog(&home, egui::Theme::Dark);
    fill(&mut window, "Epochs", "x");
    assert!(said(&window, "Epochs: “x” is no whole number above 0"));
    window.key_press(egui::Key::Backspace);
    fill(&mut window, "Epochs", "12");
    fill(&mut window, "Batch", "2");
    assert!(said(&window, "0.02 × 2 / 16 = 0.0025"));
    click(&mut window, "Use");
    until(&mut window, "the check", |window| {
        said(window, "14 images to train on")
    });
    shot(&mut window, "fine-tune-dark");
    click(&mut window, "Use lr_steps [9, 11]");
    click(&mut window, "Drop bolt");
    click(&mut window, "Rename or merge hammer");
    window
        .get_by_role_and_label(Role::TextInput, "New name of hammer")
        .focus();
    frames(&mut window, 2);
    window.key_press_modifiers(egui::Modifiers::COMMAND, egui::Key::A);
    fill(&mut window, "New name of hammer", "wrench");
    let line = window.state().document().training().draft().command_line();
    let out = home.runs().display().to_string();
    assert_eq!(
        line,
        format!(
            "maskscope train --train-data 'my set/train' --val-fraction 0.2 --out {out} --pretrained r50.safetensors \
             --classes-from-data --rename hammer=wrench --drop-class bolt --set finetune=1 --set epoch_size=12 --set batch_size=2 \
             --set lr=0.0025 --set 'lr_steps=[9, 11]'"
        )
    );
    assert!(said(&window, &line), "the dialog shows it");
    shot(&mut window, "fine-tune-classes-dark");
    click(&mut window, "Measure time");
    until(&mut window, "the trial", |_| {
        home.told().contains("--trial")
    });
    assert_eq!(
        window.state().document().training().draft().validation,
        Validation::Fraction
    );
}

#[cfg(unix)]
#[test]
fn a_started_run_shows_and_is_found_again() {
    let home = Home::new();
    let path = home.path().join("report.json");
    std::fs::write(&path, report(json!([])).to_string()).unwrap();
    let template = run(
        home.path(),
        "template",
        json!({"state": "finished", "epoch": 3}),
        20,
    );
    let folder = home.path().join("elsewhere/260101_MSRCNN_tools");
    // Prints a report, or makes a run folder and names it.
    home.trainer(&format!(
        "case \"$*\" in *--preflight*) cat {report};; *)\n\
         mkdir -p {parent}; cp -r {template} {folder}\n\
         for word in \"$@\"; do last=$word; done; echo {folder} > \"$last\";; esac",
        report = path.display(),
        parent = folder.parent().unwrap().display(),
        template = template.display(),
        folder = folder.display(),
    ));
    let mut window = dialog(&home, egui::Theme::Dark);
    fill(&mut window, "Name", "tools");
    until(&mut window, "the check", |window| {
        window.state().document().training().blocker().is_none()
    });
    click(&mut window, "Start");
    assert!(!said(&window, "Preflight"), "the dialog is closed");
    until(&mut window, "the run", |window| {
        steps(window, "260101_MSRCNN_tools") == 20
    });
    assert_eq!(window.state().view().train.selected.as_ref(), Some(&folder));
    let told = home.told();
    let launched = told.lines().last().unwrap();
    assert!(launched.contains("--brief tools") && launched.contains("--run-record"));
    let settings = window.state().document().settings().clone();
    drop(window);
    let mut window = window_with(home.options(), settings, egui::Theme::Dark, SIZE);
    until(&mut window, "finding it again", |window| {
        steps(window, "260101_MSRCNN_tools") == 20
    });
    assert_eq!(window.state().view().workspace, Workspace::Train);
}

#[cfg(unix)]
#[test]
fn how_a_process_died_is_told() {
    let home = Home::new();
    let folder = run(&home.runs(), "a", json!({"state": "running"}), 5);
    let mut window = home.window(egui::Theme::Light, SIZE);
    until(&mut window, "the run", |window| steps(window, "a") == 5);
    assert!(said(&window, "Its process is gone"));
    // It takes the run over, says something and is killed, as by a system without memory.
    home.trainer(
        "for word in \"$@\"; do last=$word; done; echo \"$3\" > \"$last\"; echo taking over >&2; sleep 1; kill -9 $$",
    );
    click(&mut window, "Resume");
    until(&mut window, "the end", |window| {
        said(window, "killed, by the system if that had no memory left")
    });
    assert!(said(&window, "Its last word: taking over"));
    assert_eq!(condition(&window, "a"), Some(Condition::Interrupted));
    shot(&mut window, "train-killed");
    assert!(folder.is_dir());
}

#[cfg(unix)]
#[test]
fn a_start_that_fails_says_why() {
    let home = Home::new();
    let path = home.path().join("report.json");
    std::fs::write(&path, report(json!([])).to_string()).unwrap();
    home.trainer(&format!(
        "case \"$*\" in *--preflight*) cat {};; *) echo 'error: the disk is full' >&2; exit 1;; esac",
        path.display()
    ));
    let mut window = dialog(&home, egui::Theme::Dark);
    until(&mut window, "the check", |window| {
        window.state().document().training().blocker().is_none()
    });
    train(&mut window, TrainCommand::Start);
    until(&mut window, "the message", |window| {
        said(window, "The training did not start: the disk is full")
    });
    assert!(window.state().document().training().launching().is_empty());
    // A preflight that cannot be made blocks as well.
    home.trainer("echo 'error: my set/train does not exist' >&2; exit 1");
    train(&mut window, TrainCommand::FineTune);
    train(&mut window, TrainCommand::Check);
    until(&mut window, "the refusal", |window| {
        said(window, "The check failed: my set/train does not exist")
    });
}

#[cfg(unix)]
#[test]
fn a_run_is_resumed_from_its_folder() {
    let home = Home::new();
    let folder = run(&home.runs(), "a", json!({"state": "stopped"}), 5);
    File::create(folder.join("stop")).unwrap();
    home.trainer("for word in \"$@\"; do last=$word; done; echo \"$3\" > \"$last\"");
    let mut window = home.window(egui::Theme::Dark, SIZE);
    until(&mut window, "the run", |window| steps(window, "a") == 5);
    click(&mut window, "Resume");
    until(&mut window, "the process", |_| {
        home.told().contains("--resume")
    });
    // On the device that its record names.
    let expected = format!(
        "train --resume {} --device cpu --run-record",
        folder.display()
    );
    assert!(home.told().contains(&expected), "{}", home.told());
    assert!(
        !folder.join("stop").exists(),
        "the old request would stop it"
    );
}

#[cfg(unix)]
#[test]
fn a_run_is_resumed_once() {
    let home = Home::new();
    let folder = run(&home.runs(), "a", json!({"state": "stopped"}), 5);
    let go = home.path().join("go");
    home.trainer(&format!(
        "while [ ! -e {} ]; do sleep 0.02; done\n\
         for word in \"$@\"; do last=$word; done; echo \"$3\" > \"$last\"",
        go.display()
    ));
    let mut window = home.window(egui::Theme::Dark, SIZE);
    until(&mut window, "the run", |window| steps(window, "a") == 5);
    let can = |window: &Window, command: TrainCommand| {
        command.enabled(window.state().document(), window.state().view())
    };
    assert!(can(&window, TrainCommand::Resume) && can(&window, TrainCommand::Delete));
    click(&mut window, "Resume");
    assert!(!can(&window, TrainCommand::Resume) && !can(&window, TrainCommand::Delete));
    train(&mut window, TrainCommand::Resume);
    until(&mut window, "the process", |_| !home.told().is_empty());
    std::fs::write(&go, "").unwrap();
    until(&mut window, "the folder", |window| {
        window.state().document().training().launching().is_empty()
    });
    assert_eq!(home.told().matches("--resume").count(), 1);
    // That process ended without a word, so the run can go on again; not while another one holds it.
    assert!(can(&window, TrainCommand::Resume));
    let _lock = alive(&folder);
    until(&mut window, "the life of the run", |window| {
        !can(window, TrainCommand::Resume)
    });
    assert_eq!(condition(&window, "a"), Some(Condition::Stopped));
}

/// Predictions of our format as the two files that `eval` writes for `prefix`.
#[cfg(unix)]
fn write_pair(file: &Path, prefix: &Path) {
    let text = std::fs::read_to_string(file).unwrap();
    let images: serde_json::Map<String, Value> = serde_json::from_str(&text).unwrap();
    let (mut boxes, mut masks) = (Vec::new(), Vec::new());
    for (path, image) in &images {
        let number: usize = Path::new(path)
            .file_stem()
            .and_then(|stem| stem.to_string_lossy().parse().ok())
            .unwrap();
        for found in image["predictions"].as_array().unwrap() {
            let of = &found["bbox"];
            let bbox = ["x_min", "y_min", "width", "height"].map(|key| of[key].clone());
            let mut entry = json!({
                "image_id": number + 1, "category_id": found["class"]["category_id"],
                "bbox": bbox, "score": found["score"],
            });
            boxes.push(entry.clone());
            entry["score"] = found["iou_score"].clone();
            entry["segmentation"] = found["mask"].clone();
            masks.push(entry);
        }
    }
    for (kind, list) in [("bbox", boxes), ("segm", masks)] {
        let path = format!("{}.{kind}.json", prefix.display());
        std::fs::write(path, Value::Array(list).to_string()).unwrap();
    }
}

/// Where a run keeps what its start and its best checkpoint predict of its only validation set.
fn predictions(run: &Path) -> PathBuf {
    let folders = std::fs::read_dir(run.join("against_start")).unwrap();
    let mut folders: Vec<_> = folders.map(|entry| entry.unwrap().path()).collect();
    assert_eq!(folders.len(), 1, "{folders:?}");
    folders.remove(0)
}

#[cfg(unix)]
#[test]
fn a_run_is_compared_with_its_start() {
    let home = Home::new();
    let files = crate::workspaces::files();
    let found = ["first", "second"].map(|name| home.path().join(name));
    for (file, prefix) in [&files.first, &files.second].into_iter().zip(&found) {
        write_pair(file, prefix);
    }
    let start = home.path().join("start.safetensors");
    std::fs::write(&start, "weights").unwrap();
    let change = json!({
        "state": "finished", "epoch": 3, "start_checkpoint": start.display().to_string(),
        "val_data": files.set.display().to_string(),
    });
    let folder = run(&home.runs(), "a", change.clone(), 30);
    // As the real one, which leaves predictions that it finds as they are.
    home.trainer(&format!(
        "for word in \"$@\"; do case $word in\n\
         */start.json) from={};; */best_*.json) from={};; *) continue;; esac\n\
         if [ -e \"$word.bbox.json\" ] && [ -e \"$word.segm.json\" ]; then continue; fi\n\
         for kind in bbox segm; do cp $from.$kind.json \"$word.$kind.json\"; done; done",
        found[0].display(),
        found[1].display()
    ));
    let mut window = home.window(egui::Theme::Dark, SIZE);
    until(&mut window, "the run", |window| steps(window, "a") == 30);
    click(&mut window, "Compare with the start");
    until(&mut window, "the comparison", |window| {
        let app = window.state();
        app.view().workspace == Workspace::Compare
            && app.document().second().is_some()
            && crate::workspaces::is_analysed(app)
            && (app.document().analysis()).is_some_and(|analysis| analysis.comparison.is_some())
    });
    assert_eq!(home.told().matches("eval --checkpoint").count(), 2);
    shot(&mut window, "train-against-compare");
    send(&mut window, Command::SetWorkspace(Workspace::Train));
    shot(&mut window, "train-against");
    click(&mut window, "better images");
    assert_eq!(window.state().view().workspace, Workspace::Compare);
    let gallery = window.state().view().gallery.clone();
    assert!(gallery.contains(&1) && !gallery.contains(&3), "{gallery:?}");
    // The files are there: the checkpoints need not run again.
    let again = |window: &mut Window| {
        send(window, Command::SetWorkspace(Workspace::Train));
        click(window, "Compare with the start");
        until(window, "the comparison", |window| {
            let doc = window.state().document();
            let is_idle = doc.comparing_with_start().is_none() && doc.attaching().is_none();
            is_idle && doc.second().is_some()
        });
        home.told().matches("eval --checkpoint").count()
    };
    send(&mut window, Command::CloseSet);
    assert_eq!(again(&mut window), 2);
    // Other weights to start from: their predictions take the place of the old ones.
    std::fs::write(&start, "other weights").unwrap();
    send(&mut window, Command::CloseSet);
    assert_eq!(again(&mut window), 3);
    let time = |path: &Path| std::fs::metadata(path).unwrap().modified().unwrap();
    let kept = predictions(&folder);
    assert!(time(&kept.join("start.json.segm.json")) > time(&start));
    // A better epoch: what is open is no longer the comparison of this run.
    let second = |window: &Window| window.state().document().second().unwrap().path.clone();
    assert_eq!(second(&window), kept.join("best_best.json"));
    std::fs::write(folder.join("best_ckpt/better.safetensors"), "weights").unwrap();
    let mut change = change;
    change["best"] = json!({"path": "best_ckpt/better.safetensors", "epoch": 2, "seg_mAP": 0.4});
    write_record(&folder, change);
    send(&mut window, Command::SetWorkspace(Workspace::Train));
    until(&mut window, "the better epoch", |window| {
        let run = &window.state().document().training().runs()[0];
        let best = run.best_checkpoint().unwrap_or_default();
        best.ends_with("better.safetensors") && said(window, "Compare with the start")
    });
    assert_eq!(again(&mut window), 4);
    assert_eq!(second(&window), kept.join("best_better.json"));
    assert!(!kept.join("best_best.json.segm.json").exists());
    // Without the start there is nothing to compare with.
    let can = |window: &Window| {
        let doc = window.state().document();
        doc.can_compare_with_start(&doc.training().runs()[0])
    };
    assert!(can(&window));
    std::fs::remove_file(&start).unwrap();
    until(&mut window, "the loss of the start", |window| !can(window));
}

#[cfg(unix)]
#[test]
fn the_best_checkpoint_opens_on_the_validation_set() {
    let home = Home::new();
    let files = crate::workspaces::files();
    let change = json!({
        "state": "finished", "epoch": 3, "val_data": files.set.display().to_string(),
    });
    let folder = run(&home.runs(), "a", change, 30);
    let mut window = home.window(egui::Theme::Dark, SIZE);
    until(&mut window, "the run", |window| steps(window, "a") == 30);
    click(&mut window, "Open best");
    until(&mut window, "the set", |window| {
        let doc = window.state().document();
        doc.has_truth() && doc.source().is_some_and(|source| source.path == files.set)
    });
    // These weights are none, which the window says; it is the chosen checkpoint all the same.
    until(&mut window, "the refusal", |window| {
        use maskscope::document::ModelState;
        let best = folder.join("best_ckpt/best.safetensors");
        matches!(window.state().document().model(), ModelState::Failed(path, _) if *path == best)
    });
    assert_eq!(window.state().view().workspace, Workspace::Evaluate);
}

#[test]
fn a_path_is_browsed_for_above_the_dialog() {
    let home = Home::new();
    let mut window = home.window(egui::Theme::Dark, SIZE);
    train(&mut window, TrainCommand::FineTune);
    train(&mut window, TrainCommand::Browse(DraftPath::TrainFolder));
    // Without a desktop the window asks with a field of its own.
    until(&mut window, "the question", |window| {
        window.query_by_label("Path").is_some()
    });
    assert!(said(&window, "Choose a training set") && said(&window, "Preflight"));
    window.key_press_modifiers(egui::Modifiers::COMMAND, egui::Key::A);
    frames(&mut window, 2);
    window.get_by_label("Path").type_text("/data/tools");
    frames(&mut window, 3);
    window.key_press(egui::Key::Enter);
    frames(&mut window, 3);
    let draft = window.state().document().training().draft();
    assert_eq!(draft.train_data, "/data/tools");
    assert!(said(&window, "Preflight"), "the dialog stays");
    window.key_press(egui::Key::Escape);
    frames(&mut window, 3);
    assert!(!said(&window, "Preflight"));
}

#[test]
fn small_windows_hold_the_dialog_and_the_workspace() {
    let home = Home::new();
    let folder = run(&home.runs(), "260101_MSRCNN_live", json!({}), 14);
    let _lock = alive(&folder);
    let mut window = home.window(egui::Theme::Dark, [760.0, 520.0]);
    until(&mut window, "the run", |window| {
        steps(window, "260101_MSRCNN_live") == 14
    });
    shot(&mut window, "train-small");
    train(&mut window, TrainCommand::FineTune);
    shot(&mut window, "fine-tune-small");
    assert!(said(&window, "Start") && said(&window, "Cancel"));
    click(&mut window, "Cancel");
    // What trains is told everywhere, and leads back.
    send(&mut window, Command::SetWorkspace(Workspace::Browse));
    shot(&mut window, "train-start-screen");
    click(
        &mut window,
        "Training 260101_MSRCNN_live: epoch 2 of 3 · 25 min left",
    );
    assert_eq!(window.state().view().workspace, Workspace::Train);
}

/// As `until`, for what the real program has to compute.
#[cfg(unix)]
fn until_computed(window: &mut Window, what: &str, holds: impl Fn(&Window) -> bool) {
    let deadline = Instant::now() + Duration::from_secs(600);
    while !holds(window) {
        assert!(Instant::now() < deadline, "{what} did not happen");
        std::thread::sleep(Duration::from_millis(50));
        window.step();
    }
    frames(window, 3);
}

/// The program itself: preflight, twenty steps, the window closed and opened again in the middle, the best checkpoint.
#[cfg(unix)]
#[test]
fn a_real_job_runs_from_the_dialog_to_its_checkpoint() {
    let home = Home::new();
    let start = crate::training::runs::small_checkpoint(home.path(), 10);
    let options = || StartOptions {
        trainer: TrainerOptions {
            program: Some(env!("CARGO_BIN_EXE_maskscope").into()),
            state: Some(home.path().join("state")),
        },
        ..home.options()
    };
    let settings = Settings {
        run_folders: vec![home.runs()],
        ..Settings::default()
    };
    let mut window = window_with(options(), settings, egui::Theme::Dark, SIZE);
    send(&mut window, Command::SetWorkspace(Workspace::Train));
    train(&mut window, TrainCommand::FineTune);
    fill(
        &mut window,
        "Training set",
        &home.path().join("set").display().to_string(),
    );
    fill(&mut window, "Checkpoint", &start.display().to_string());
    fill(&mut window, "Epochs", "5");
    fill(&mut window, "Batch", "2");
    fill(&mut window, "Name", "real");
    until_computed(&mut window, "the preflight", |window| {
        window.state().document().training().blocker().is_none()
    });
    assert!(said(&window, "8 images to train on"));
    shot(&mut window, "fine-tune-real-dark");
    click(&mut window, "Start");
    let name = |window: &Window| {
        let runs = window.state().document().training().runs();
        let run = runs.iter().find(|run| run.name.ends_with("_real"));
        run.map(|run| run.name.clone()).unwrap_or_default()
    };
    until_computed(&mut window, "the first steps", |window| {
        steps(window, &name(window)) >= 2
    });
    let settings = window.state().document().settings().clone();
    drop(window);
    let mut window = window_with(options(), settings, egui::Theme::Light, SIZE);
    until_computed(&mut window, "the end", |window| {
        condition(window, &name(window)) == Some(Condition::Finished)
    });
    assert_eq!(steps(&window, &name(&window)), 20);
    let run = home.runs().join(name(&window));
    let command = std::fs::read_to_string(run.join("cmd.txt")).unwrap();
    assert!(command.starts_with("maskscope train ") && !command.contains("--run-record"));
    assert!(said(&window, command.trim()), "{command}");
    shot(&mut window, "train-real-light");
    click(&mut window, "Open best");
    until_computed(&mut window, "its predictions", |window| {
        let doc = window.state().document();
        let done = |image: &maskscope::document::ImageEntry| image.detections().is_some();
        doc.has_truth() && doc.images().len() == 2 && doc.images().iter().all(done)
    });
    send(&mut window, Command::SetWorkspace(Workspace::Train));
    click(&mut window, "Compare with the start");
    until_computed(&mut window, "the comparison", |window| {
        window.state().document().second().is_some()
    });
    // Where the window looks for them again.
    for kind in ["bbox", "segm"] {
        let path = predictions(&run).join(format!("start.json.{kind}.json"));
        assert!(path.is_file(), "{}", path.display());
    }
}
