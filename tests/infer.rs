//! `maskscope infer` from outside: the file it writes, what interrupts it, what it says of bad input.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::support::fixtures::folder;

/// The narrow fixture model at a small canvas, so that a run takes seconds.
fn infer(input: &Path, output: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_maskscope"));
    command
        .args(["infer", "--checkpoint"])
        .arg(folder("tiny_pytorch_style").join("model.pth"));
    command.args([
        "--set",
        "img_width=160",
        "--set",
        "img_height=128",
        "--device",
        "cpu",
    ]);
    command.arg(input).arg(output).stdin(Stdio::null());
    command
}

fn run(command: &mut Command) -> Output {
    command.output().expect("the binary starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A picture of overlapping rectangles that the fixture model finds instances in.
fn picture(seed: u32) -> image::RgbImage {
    image::RgbImage::from_fn(150, 120, |x, y| {
        let inside = |x0: u32, y0: u32, w: u32, h: u32| {
            (x0..x0 + w).contains(&x) && (y0..y0 + h).contains(&y)
        };
        let shift = seed * 7 % 40;
        if inside(20 + shift, 30, 50, 40) {
            image::Rgb([230, (seed * 31 % 256) as u8, 40])
        } else if inside(60, 10 + shift, 60, 70) {
            image::Rgb([20, 90, (seed * 57 % 256) as u8])
        } else {
            image::Rgb([(x * 2 % 256) as u8, (y * 3 % 256) as u8, 128])
        }
    })
}

pub fn photos(folder: &Path, count: u32) -> PathBuf {
    let photos = folder.join("photos");
    std::fs::create_dir_all(&photos).unwrap();
    for n in 0..count {
        picture(n).save(photos.join(format!("{n:03}.png"))).unwrap();
    }
    photos
}

fn json(path: &Path) -> serde_json::Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn a_folder_becomes_the_json_of_the_seed() {
    let home = tempfile::tempdir().unwrap();
    let photos = photos(home.path(), 3);
    let output = home.path().join("out.json");
    let done = run(infer(&photos, &output).arg("--json"));
    assert!(done.status.success(), "{}", text(&done.stderr));
    let summary: serde_json::Value =
        serde_json::from_slice(&done.stdout).expect("stdout is JSON only");
    assert_eq!(summary["images"], 3);
    assert!(
        summary["detections"].as_u64().unwrap() > 0,
        "the fixture model finds something"
    );
    assert!(summary["peak_memory_bytes"].as_u64().unwrap() > 1 << 20);

    let written = json(&output);
    let images = written.as_object().unwrap();
    let names: Vec<_> = images.keys().cloned().collect();
    let expected: Vec<_> = (0..3)
        .map(|n| photos.join(format!("{n:03}.png")).display().to_string())
        .collect();
    assert_eq!(names, expected, "paths as given, in name order");
    let mut seen = 0;
    for image in images.values() {
        assert_eq!(
            (image["height"].as_u64(), image["width"].as_u64()),
            (Some(120), Some(150))
        );
        let mut last = f64::INFINITY;
        for p in image["predictions"].as_array().unwrap() {
            let keys: Vec<_> = p.as_object().unwrap().keys().map(String::as_str).collect();
            assert_eq!(
                keys,
                ["bbox", "class", "mask", "score", "iou_score", "mask_iou"]
            );
            assert_eq!(p["class"]["category_id"], "unknown");
            assert_eq!(p["mask"]["size"], serde_json::json!([120, 150]));
            let score = p["score"].as_f64().unwrap();
            let product = (score as f32) * (p["mask_iou"].as_f64().unwrap() as f32);
            assert_eq!(p["iou_score"].as_f64().unwrap(), f64::from(product));
            assert!(score <= last && score > 0.05);
            last = score;
            seen += 1;
        }
    }
    assert_eq!(summary["detections"], seen);
    assert!(!home.path().join("out.json.partial").exists());
    let raw = std::fs::read_to_string(&output).unwrap();
    assert!(
        raw.contains("\n  \"height\": 120,\n"),
        "indent of one space a level"
    );
}

#[test]
fn of_a_set_its_images_alone_are_run() {
    let home = tempfile::tempdir().unwrap();
    let photos = photos(home.path(), 3);
    let names = ["002.png", "000.png"];
    let images: Vec<_> = (1..)
        .zip(names)
        .map(|(id, name)| {
            serde_json::json!({"id": id, "file_name": name, "width": 150, "height": 120})
        })
        .collect();
    let set = photos.join("labels.json");
    let content = serde_json::json!({"images": images, "annotations": [], "categories": []});
    std::fs::write(&set, content.to_string()).unwrap();
    let output = home.path().join("out.json");
    let done = run(&mut infer(&set, &output));
    assert!(done.status.success(), "{}", text(&done.stderr));
    let found: Vec<_> = json(&output).as_object().unwrap().keys().cloned().collect();
    // The file is in name order, as always.
    let expected = ["000.png", "002.png"].map(|name| photos.join(name).display().to_string());
    assert_eq!(found, expected);
    std::fs::write(&set, "{").unwrap();
    let done = run(&mut infer(&set, &output));
    assert!(!done.status.success() && text(&done.stderr).contains("labels.json"));
}

/// Waits until the partial file holds `lines` lines, so that the kill lands in the middle of the run.
fn wait_for_lines(partial: &Path, lines: usize, child: &mut Child) {
    let deadline = Instant::now() + Duration::from_secs(120);
    while std::fs::read_to_string(partial).map_or(0, |t| t.lines().count()) < lines {
        assert!(
            child.try_wait().unwrap().is_none(),
            "ended before it could be killed"
        );
        assert!(Instant::now() < deadline, "no progress");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn killed_in_the_middle_it_goes_on_and_ends_the_same() {
    let home = tempfile::tempdir().unwrap();
    let photos = photos(home.path(), 24);
    let whole = home.path().join("whole.json");
    assert!(run(&mut infer(&photos, &whole)).status.success());

    let output = home.path().join("out.json");
    std::fs::write(&output, "an older result").unwrap();
    let partial = home.path().join("out.json.partial");
    for lines in [4, 9, 14] {
        let mut child = infer(&photos, &output)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        wait_for_lines(&partial, lines, &mut child);
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(std::fs::read_to_string(&output).unwrap(), "an older result");
        assert!(partial.exists());
    }
    // A line cut in half, as a kill inside a write leaves it.
    let bytes = std::fs::read(&partial).unwrap();
    std::fs::write(&partial, &bytes[..bytes.len() - 7]).unwrap();

    let done = run(infer(&photos, &output).arg("--json"));
    assert!(done.status.success(), "{}", text(&done.stderr));
    let summary: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
    assert!(summary["resumed"].as_u64().unwrap() >= 8, "{summary}");
    assert_eq!(
        std::fs::read(&whole).unwrap(),
        std::fs::read(&output).unwrap()
    );
    assert!(!partial.exists());
}

#[test]
fn another_configuration_starts_afresh_and_says_so() {
    let home = tempfile::tempdir().unwrap();
    let photos = photos(home.path(), 12);
    let output = home.path().join("out.json");
    let mut child = infer(&photos, &output)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    wait_for_lines(&home.path().join("out.json.partial"), 3, &mut child);
    child.kill().unwrap();
    child.wait().unwrap();
    let done =
        run(infer(&photos, &output).args(["--json", "--set", "test_cfg.rcnn.score_thr=0.2"]));
    let summary: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!(summary["resumed"], 0);
    assert!(
        text(&done.stderr).contains("another"),
        "{}",
        text(&done.stderr)
    );
}

#[test]
fn bad_images_are_named_and_the_rest_is_done() {
    let home = tempfile::tempdir().unwrap();
    let photos = photos(home.path(), 2);
    let whole = std::fs::read(photos.join("000.png")).unwrap();
    std::fs::write(photos.join("cut.png"), &whole[..whole.len() / 2]).unwrap();
    std::fs::write(photos.join("empty.jpg"), b"").unwrap();
    std::fs::write(photos.join("text.jpeg"), b"this is no picture").unwrap();
    image::RgbImage::new(1, 1)
        .save(photos.join("dot.png"))
        .unwrap();
    let output = home.path().join("out.json");
    let done = run(infer(&photos, &output).arg("--json"));
    assert_eq!(done.status.code(), Some(1), "an image failed");
    let summary: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!(summary["images"], 3);
    let failed: Vec<_> = summary["failed"]
        .as_array()
        .unwrap()
        .iter()
        .map(|f| f.to_string())
        .collect();
    assert_eq!(failed.len(), 3, "{failed:?}");
    for name in ["cut.png", "empty.jpg", "text.jpeg"] {
        assert!(
            failed.iter().any(|f| f.contains(name)),
            "{name} in {failed:?}"
        );
        assert!(text(&done.stderr).contains(name), "{name} on stderr");
    }
    assert_eq!(json(&output).as_object().unwrap().len(), 3);
}

#[test]
fn refusals_say_what_and_where_and_exit_1() {
    let home = tempfile::tempdir().unwrap();
    let photos = photos(home.path(), 1);
    let empty = home.path().join("nothing");
    std::fs::create_dir(&empty).unwrap();
    let check = |command: &mut Command, needles: &[&str]| {
        let done = run(command);
        let said = text(&done.stderr);
        assert_eq!(done.status.code(), Some(1), "{said}");
        assert!(done.stdout.is_empty());
        for needle in needles {
            assert!(said.contains(needle), "`{needle}` in: {said}");
        }
        assert!(
            !said.contains("panicked") && !said.contains("RUST_BACKTRACE"),
            "{said}"
        );
    };
    let output = home.path().join("out.json");
    check(&mut infer(&empty, &output), &["no image", "nothing"]);
    check(
        &mut infer(&home.path().join("absent"), &output),
        &["absent"],
    );
    // A folder that cannot be made: its parent is a file. Root ignores mode bits.
    check(
        &mut infer(&photos, &photos.join("000.png/out.json")),
        &["000.png/out.json"],
    );
    check(
        infer(&photos, &output).args(["--set", "test_cfg.rcnn.score_thr=1.5"]),
        &["score_thr"],
    );
    check(
        infer(&photos, &output).args(["--set", "num_classes=7"]),
        &["num_classes"],
    );
    let mut command = Command::new(env!("CARGO_BIN_EXE_maskscope"));
    command
        .args(["infer", "--checkpoint"])
        .arg(photos.join("000.png"))
        .arg(&photos)
        .arg(&output);
    check(&mut command, &["000.png"]);
    assert!(!output.exists());
}

/// More images than wait for the network: those that decode must not wait for one that has given up.
#[test]
fn a_network_that_breaks_ends_the_run() {
    let home = tempfile::tempdir().unwrap();
    let photos = photos(home.path(), 12);
    let mut command = infer(&photos, &home.path().join("out.json"));
    // Every value of the input becomes infinite.
    command.args(["--set", "img_std=[1e-38, 1e-38, 1e-38]"]);
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let began = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if began.elapsed() > Duration::from_secs(60) {
            child.kill().unwrap();
            panic!("it did not end");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let done = child.wait_with_output().unwrap();
    let said = text(&done.stderr);
    assert_eq!(done.status.code(), Some(1), "{said}");
    assert!(said.contains("NaN"), "{said}");
}

/// A file-size limit stands for a full disk: the write fails, the partial file and an older result stay.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_an_error_and_loses_nothing() {
    let home = tempfile::tempdir().unwrap();
    let photos = photos(home.path(), 6);
    let output = home.path().join("out.json");
    std::fs::write(&output, "an older result").unwrap();
    let plain = infer(&photos, &output);
    let mut limited = Command::new("sh");
    // 2 blocks of 512 bytes; XFSZ ignored, so that the write fails instead of killing.
    limited.args(["-c", "trap '' XFSZ; ulimit -f 2; exec \"$@\"", "sh"]);
    limited
        .arg(plain.get_program())
        .args(plain.get_args())
        .stdin(Stdio::null());
    let done = run(&mut limited);
    let said = text(&done.stderr);
    assert_eq!(done.status.code(), Some(1), "{said}");
    assert!(said.contains("out.json"), "{said}");
    assert!(!said.contains("panicked"), "{said}");
    assert_eq!(std::fs::read_to_string(&output).unwrap(), "an older result");
    // With room again the same command ends the work.
    let done = run(&mut infer(&photos, &output));
    assert!(done.status.success(), "{}", text(&done.stderr));
    assert_eq!(json(&output).as_object().unwrap().len(), 6);
}

#[cfg(unix)]
#[test]
fn ctrl_c_keeps_what_is_done() {
    let home = tempfile::tempdir().unwrap();
    let photos = photos(home.path(), 24);
    let output = home.path().join("out.json");
    let mut child = infer(&photos, &output)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    wait_for_lines(&home.path().join("out.json.partial"), 4, &mut child);
    let killed = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(killed.success());
    let done = child.wait_with_output().unwrap();
    let said = text(&done.stderr);
    assert_eq!(done.status.code(), Some(1), "{said}");
    assert!(
        said.contains("out.json.partial") && said.contains("again"),
        "{said}"
    );
    assert!(!output.exists());
}
