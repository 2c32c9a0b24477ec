//! The command line from outside: help, usage errors, exit codes, JSON, no desktop.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

fn maskscope(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_maskscope"));
    command.args(arguments).stdin(Stdio::null());
    command
}

/// Exit code, standard output, standard error.
fn run(command: &mut Command) -> (Option<i32>, String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().expect("the binary starts");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    (status.code(), text(stdout), text(stderr))
}

/// A run that must end as a usage error; gives standard error.
fn refused(arguments: &[&str]) -> String {
    let (code, stdout, stderr) = run(&mut maskscope(arguments));
    assert_eq!(code, Some(2), "{arguments:?}: {stderr}");
    assert_eq!(stdout, "", "{arguments:?}");
    assert!(stderr.starts_with("error: "), "{stderr}");
    stderr
}

/// A run that must fail; gives standard error.
fn failed(command: &mut Command) -> String {
    let (code, stdout, stderr) = run(command);
    assert_eq!(code, Some(1), "{stderr}");
    assert_eq!(stdout, "");
    assert_eq!(stderr.matches("error: ").count(), 1, "told once: {stderr}");
    stderr
}

#[test]
fn version_names_features_and_devices() {
    for flag in ["--version", "-V"] {
        let (code, stdout, stderr) = run(&mut maskscope(&[flag]));
        assert_eq!((code, stderr.as_str()), (Some(0), ""));
        let lines: Vec<_> = stdout.lines().collect();
        assert_eq!(lines[0], format!("maskscope {}", env!("CARGO_PKG_VERSION")));
        let features = match (cfg!(feature = "gui"), cfg!(feature = "gpu")) {
            (true, _) => "gui, gpu",
            (false, true) => "gpu",
            (false, false) => "none",
        };
        assert_eq!(lines[1], format!("features: {features}"));
        assert!(lines[2].starts_with("cpu: ") && lines[2].contains("threads"));
        assert!(lines[3].starts_with("cuda: "));
    }
}

#[test]
fn help_names_commands_and_examples() {
    let (code, stdout, stderr) = run(&mut maskscope(&["--help"]));
    assert_eq!((code, stderr.as_str()), (Some(0), ""));
    for part in [
        "infer",
        "eval",
        "suspects",
        "train",
        "inspect",
        "convert",
        "review",
        "export",
        "synth",
        "doctor",
        "completions",
        "Examples:",
        "--set",
        "--device",
        "--json",
        "--quiet",
    ] {
        assert!(stdout.contains(part), "{part}");
    }
    for command in [
        "infer",
        "eval",
        "suspects",
        "inspect",
        "convert",
        "synth",
        "doctor",
        "completions",
    ] {
        let (code, stdout, _) = run(&mut maskscope(&[command, "--help"]));
        assert_eq!(code, Some(0));
        assert!(stdout.contains("Examples:"), "{command}");
        assert!(stdout.contains("--device"), "{command}");
    }
}

#[test]
fn wrong_usage_ends_with_2_and_says_why() {
    for (arguments, part) in [
        (&["--nope"][..], "unexpected argument '--nope'"),
        (&["doctor", "--jsn"], "--json"),
        (&["docter"], "the nearest command is `doctor`"),
        (
            &["/nowhere/at/all"],
            "there is no file or folder `/nowhere/at/all`",
        ),
        (
            &["doctor", "--device", "gpu"],
            "expected auto, cpu, cuda or cuda:N",
        ),
        (&["doctor", "--set", "lr"], "expected KEY=VALUE"),
        (
            &["doctor", "--set", "lrr=1"],
            "unknown key `lrr`; the nearest known key is `lr`",
        ),
        (
            &["doctor", "--set", "backbone.depth=18"],
            "`backbone.depth` is `18`, expected 50, 101, 152, tiny",
        ),
        (
            &["--set", "img_width=wide", "doctor"],
            "`img_width` is `wide`, expected a whole number",
        ),
        (&[".", "doctor"], "exclude each other"),
        (&["completions", "cmd"], "possible values: bash"),
        (&["infer"], "--checkpoint"),
        (&["synth", "x", "--size", "3"], "expected WIDTHxHEIGHT"),
        (&["synth", "x", "--images", "0"], "0"),
    ] {
        let stderr = refused(arguments);
        assert!(stderr.contains(part), "{arguments:?}: {stderr}");
    }
}

#[test]
fn doctor_prints_a_table_or_json() {
    let (code, stdout, stderr) = run(&mut maskscope(&["doctor"]));
    assert_eq!(code, Some(0), "{stderr}");
    for part in ["cpu ", "memory ", "cuda ", "folders ", " use: "] {
        assert!(stdout.contains(part), "{part}: {stdout}");
    }
    let (code, stdout, _) = run(&mut maskscope(&["doctor", "--json"]));
    assert_eq!(code, Some(0));
    let report: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(report["version"], env!("CARGO_PKG_VERSION"));
    let checks = report["checks"].as_array().unwrap();
    let ids: Vec<_> = checks
        .iter()
        .map(|check| check["id"].as_str().unwrap())
        .collect();
    let expected: &[&str] = if cfg!(feature = "gui") {
        &[
            "cpu",
            "memory",
            "cuda",
            "graphics",
            "roi_align",
            "display",
            "file_dialog",
            "folders",
        ]
    } else if cfg!(feature = "gpu") {
        &["cpu", "memory", "cuda", "roi_align", "folders"]
    } else {
        &["cpu", "memory", "cuda", "folders"]
    };
    assert_eq!(ids, expected);
    for check in checks {
        let state = check["state"].as_str().unwrap();
        assert!(["ok", "limited", "missing"].contains(&state), "{check}");
        assert!(!check["found"].as_str().unwrap().is_empty(), "{check}");
        assert!(!check["used"].as_str().unwrap().is_empty(), "{check}");
        // What is missing comes with what to do.
        assert_eq!(state == "ok", check.get("remedy").is_none(), "{check}");
    }
    assert!(checks[0]["details"]["threads"].as_u64().unwrap() >= 1);
}

#[cfg(all(feature = "gui", target_os = "linux"))]
#[test]
fn doctor_without_a_desktop_says_what_to_install() {
    let home = tempfile::tempdir().unwrap();
    let mut command = no_desktop(&["doctor", "--json"]);
    command
        .env("VK_ICD_FILENAMES", "/nowhere.json")
        .env("VK_DRIVER_FILES", "/nowhere.json")
        .env("WGPU_BACKEND", "vulkan")
        .env("HOME", home.path())
        .env("PATH", "");
    let (code, stdout, stderr) = run(&mut command);
    assert_eq!(code, Some(0), "{stderr}");
    let report: Value = serde_json::from_str(&stdout).unwrap();
    let check = |id: &str| {
        let checks = report["checks"].as_array().unwrap();
        checks
            .iter()
            .find(|check| check["id"] == id)
            .unwrap()
            .clone()
    };
    for (id, package) in [
        ("graphics", "mesa-vulkan-drivers"),
        ("display", "xvfb"),
        ("file_dialog", "zenity"),
    ] {
        let check = check(id);
        assert_eq!(check["state"], "missing", "{check}");
        let debian = check["remedy"]["debian"].as_array().unwrap();
        assert!(debian.iter().any(|name| name == package), "{check}");
        assert!(
            !check["remedy"]["fedora"].as_array().unwrap().is_empty(),
            "{check}"
        );
    }
}

/// The program as on a machine without display, session bus and home.
fn no_desktop(arguments: &[&str]) -> Command {
    let mut command = maskscope(arguments);
    for name in [
        "DISPLAY",
        "WAYLAND_DISPLAY",
        "WAYLAND_SOCKET",
        "DBUS_SESSION_BUS_ADDRESS",
        "XDG_RUNTIME_DIR",
        "RUST_BACKTRACE",
    ] {
        command.env_remove(name);
    }
    command
}

#[test]
fn without_a_display_the_window_says_so_and_ends_with_1() {
    let stderr = failed(&mut no_desktop(&[]));
    for noise in ["panicked", "backtrace", ".rs:", "RUST_"] {
        assert!(!stderr.contains(noise), "{stderr}");
    }
    if cfg!(feature = "gui") {
        assert!(stderr.contains("DISPLAY"), "what is missing: {stderr}");
    }
    assert!(stderr.contains("`maskscope "), "what to do: {stderr}");
}

#[test]
fn completions_know_the_commands() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let (code, stdout, stderr) = run(&mut maskscope(&["completions", shell]));
        assert_eq!((code, stderr.as_str()), (Some(0), ""));
        for part in ["maskscope", "doctor", "infer", "checkpoint"] {
            assert!(stdout.contains(part), "{shell}: {part}");
        }
    }
}

#[test]
fn synth_writes_a_set_and_never_over_something() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("set");
    let synth = |out: &Path| {
        let mut command = maskscope(&[
            "synth", "--images", "3", "--seed", "7", "--size", "64x48", "--json",
        ]);
        command.arg(out);
        command
    };
    let (code, stdout, stderr) = run(&mut synth(&out));
    assert_eq!(code, Some(0), "{stderr}");
    let report: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(
        (report["images"].as_u64(), report["complete"].as_bool()),
        (Some(3), Some(true))
    );
    let labels: Value =
        serde_json::from_slice(&std::fs::read(out.join("labels.json")).unwrap()).unwrap();
    assert_eq!(labels["images"].as_array().unwrap().len(), 3);
    assert_eq!(
        labels["annotations"].as_array().unwrap().len() as u64,
        report["instances"].as_u64().unwrap()
    );
    assert_eq!(
        image::image_dimensions(out.join("data/000000.png")).unwrap(),
        (64, 48)
    );

    let before = std::fs::read(out.join("labels.json")).unwrap();
    assert!(failed(&mut synth(&out)).contains("is not empty"));
    assert_eq!(std::fs::read(out.join("labels.json")).unwrap(), before);

    let file = folder.path().join("file");
    std::fs::write(&file, "x").unwrap();
    let stderr = failed(&mut synth(&file.join("set")));
    assert!(
        stderr.contains("cannot write") && stderr.contains("file"),
        "{stderr}"
    );
    let too_large = maskscope(&["synth", "--size", "9000x64"])
        .arg(folder.path().join("large"))
        .output()
        .unwrap();
    assert_eq!(too_large.status.code(), Some(1));
}

#[test]
fn check_reports_a_set_s_health() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("set.json");
    let annotation = |id: u32, category: u32| {
        format!(
            "{{\"id\": {id}, \"image_id\": 1, \"category_id\": {category}, \"area\": 4, \"bbox\": [1, 1, 2, 2]}}"
        )
    };
    let annotations: Vec<String> = (0..8).map(|id| annotation(id, 1 + id / 7)).collect();
    let json = format!(
        "{{\"images\": [{{\"id\": 1, \"file_name\": \"a.png\", \"width\": 9, \"height\": 9}}],\n\
         \"categories\": [{{\"id\": 1, \"name\": \"x\"}}],\n\"annotations\": [{}]}}",
        annotations.join(",\n")
    );
    std::fs::write(&path, json).unwrap();
    let (code, stdout, stderr) = run(maskscope(&["check"]).arg(&path));
    assert_eq!((code, stderr.as_str()), (Some(0), ""));
    for part in [
        "1 images, 8 annotations (1 left out), 1 categories",
        "Annotation id 0: pycocotools would miscount: 1",
        "and 2 more",
        "10:1: annotation 7 of a.png: category 2 is not in the set",
        "2 errors, 8 warnings, 0 notes",
    ] {
        assert!(stdout.contains(part), "{part}: {stdout}");
    }
    let (code, stdout, stderr) = run(maskscope(&["check", "--json"]).arg(&path));
    assert_eq!((code, stderr.as_str()), (Some(0), ""));
    let report: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(report["findings"].as_array().unwrap().len(), 10);
    assert_eq!(report["counts"][0]["kind"], "unknown-category");
    assert_eq!(report["findings"][0]["line"], 10);

    std::fs::write(&path, "{\"images\": [").unwrap();
    let stderr = failed(maskscope(&["check"]).arg(&path));
    assert!(
        stderr.contains("line 1, column 12") && stderr.contains("set.json"),
        "{stderr}"
    );
    let stderr = failed(maskscope(&["check", "--images", "/no/such/folder"]).arg(&path));
    assert!(stderr.contains("--images"), "{stderr}");
}

#[test]
fn a_missing_checkpoint_is_told_once() {
    let folder = tempfile::tempdir().unwrap();
    let photo = folder.path().join("photo.png");
    image::RgbImage::new(8, 8).save(&photo).unwrap();
    let mut command = maskscope(&["infer", "--checkpoint", "/nowhere/model.pth"]);
    command.arg(&photo).arg(folder.path().join("out.json"));
    let stderr = failed(&mut command);
    assert!(stderr.contains("/nowhere/model.pth"), "{stderr}");
    assert_eq!(stderr.matches("No such file").count(), 1, "{stderr}");
}

#[test]
fn inspect_and_convert_share_the_flags_of_every_command() {
    let folder = tempfile::tempdir().unwrap();
    let source = crate::support::fixtures::folder("tiny_pytorch_style").join("model.pth");
    let converted = folder.path().join("model.safetensors");
    let mut convert = maskscope(&["--json", "convert", "--set", "test_cfg.rcnn.score_thr=0.25"]);
    let (code, stdout, stderr) = run(convert.arg(&source).arg(&converted));
    assert_eq!(code, Some(0), "{stderr}");
    let report: Value = serde_json::from_str(&stdout).unwrap();
    assert!(report["parameters"].as_u64().unwrap() > 0);
    let bytes = std::fs::read(&converted).unwrap();
    assert!(String::from_utf8_lossy(&bytes[..8192]).contains("score_thr: 0.25"));
    for flags in [["inspect", "--json"], ["--json", "inspect"]] {
        let (code, stdout, stderr) = run(maskscope(&flags).arg(&converted));
        assert_eq!(code, Some(0), "{stderr}");
        let again: Value = serde_json::from_str(&stdout).unwrap();
        assert_eq!(again["parameters"], report["parameters"]);
    }
    let stderr = failed(
        maskscope(&["convert", "--set", "num_classes=7"])
            .arg(&source)
            .arg(&converted),
    );
    assert!(stderr.contains("num_classes"), "{stderr}");
    assert_eq!(
        std::fs::read(&converted).unwrap(),
        bytes,
        "a failed run leaves the file as it was"
    );
}

#[test]
fn a_configuration_file_with_errors_is_refused_with_lines() {
    let folder = tempfile::tempdir().unwrap();
    let photo = folder.path().join("photo.png");
    image::RgbImage::new(8, 8).save(&photo).unwrap();
    let config = folder.path().join("my.yaml");
    std::fs::write(&config, "lr: 0.1\nbackbone:\n  dept: 50\nbatch_size: two\n").unwrap();
    let model = crate::support::fixtures::folder("tiny_pytorch_style").join("model.pth");
    let mut command = maskscope(&["infer", "--checkpoint"]);
    command
        .arg(model)
        .arg("--config")
        .arg(&config)
        .arg(photo)
        .arg(folder.path().join("out.json"));
    let stderr = failed(&mut command);
    for part in [
        "my.yaml",
        "line 3: unknown key `backbone.dept`; the nearest known key is `backbone.depth`",
        "line 4: `batch_size` is `two`, expected a whole number",
    ] {
        assert!(stderr.contains(part), "{stderr}");
    }
    assert!(!folder.path().join("out.json").exists());
}

/// Ctrl-C finishes the pictures in hand, says what is there, and ends with 1.
#[cfg(unix)]
#[test]
fn synth_stops_at_ctrl_c() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("set");
    let child = maskscope(&["synth", "--images", "1000000"])
        .arg(&out)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let start = std::time::Instant::now();
    while !out.join("data/000010.png").exists() {
        assert!(start.elapsed().as_secs() < 120, "no picture yet");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let killed = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(killed.success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(
        stderr.contains("stopped: ") && stderr.contains("of 1000000"),
        "{stderr}"
    );
    assert!(!out.join("labels.json").exists());
}

/// The reader of a pipe may leave at any time.
#[cfg(unix)]
#[test]
fn a_closed_pipe_is_no_failure() {
    let mut child = maskscope(&["completions", "bash"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_eq!(output.status.code(), Some(0));
}

/// Full disk: an error, not a success with half an answer.
#[cfg(target_os = "linux")]
#[test]
fn an_output_that_cannot_be_written_fails() {
    let full = std::fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let output = maskscope(&["completions", "bash"])
        .stdout(full)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(
        stderr.starts_with("error: ") && stderr.contains("No space left"),
        "{stderr}"
    );
}

const CRASH: &str = "MASKSCOPE_TEST_CRASH";

/// Not a test of its own: `a_defect_leaves_one_sentence_and_a_report` runs it in a process of its own.
#[test]
fn crash_child() {
    if std::env::var_os(CRASH).is_some() {
        maskscope::cli::crash::install();
        log::warn!("before the crash");
        panic!("the sky fell");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_defect_leaves_one_sentence_and_a_report() {
    let cache = tempfile::tempdir().unwrap();
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "cli::crash_child", "--nocapture"])
        .env(CRASH, "1")
        .env("XDG_CACHE_HOME", cache.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(101));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(
        stderr
            .lines()
            .filter(|line| line.starts_with("error: maskscope has a defect"))
            .count(),
        1,
        "{stderr}"
    );
    assert!(
        stderr.contains("the sky fell. The report is in "),
        "{stderr}"
    );
    let report = std::fs::read_dir(cache.path().join("maskscope"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    assert!(stderr.contains(report.to_str().unwrap()), "{stderr}");
    let report = std::fs::read_to_string(report).unwrap();
    for part in ["maskscope 0.", "the sky fell", "tests/cli.rs", "Backtrace:"] {
        assert!(report.contains(part), "{report}");
    }
}
