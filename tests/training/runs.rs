//! Whole runs on a small set: repeatable, resumable, and what they do with bad input.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use maskscope::config::{Config, preset};
use maskscope::data::synth::{Stats, write_set};
use maskscope::jobs::train::records::{PreflightReport, Severity};
use maskscope::jobs::train::{
    MetricsLine, RunRecord, RunState, SetChanges, StepRecord, TrainEvent, TrainRequest, Trained,
    preflight, train,
};
use maskscope::structures::Size;
use maskscope::weights::{LoadOptions, load};
use tempfile::TempDir;

/// A folder with a set of eight pictures and the configuration of a very small model.
pub struct Home {
    folder: TempDir,
}

const IMAGES: usize = 8;
/// Data steps of an epoch.
pub const STEPS: usize = 4;

impl Home {
    pub fn new() -> Self {
        let home = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        home.set("set", IMAGES, 3);
        std::fs::write(home.path("small.yaml"), small().to_yaml()).unwrap();
        home
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn set(&self, name: &str, images: usize, seed: u64) {
        let size = Size::new(64, 64);
        write_set(
            &self.path(name),
            images,
            seed,
            size,
            Stats::Plain.into(),
            &mut |_, _| true,
        )
        .unwrap();
    }

    /// A run of two epochs without evaluation.
    pub fn request(&self) -> TrainRequest {
        TrainRequest {
            config: Some(self.path("small.yaml")),
            set: vec!["run_eval=0".into()],
            train_data: Some(self.path("set")),
            out: Some(self.path("runs")),
            brief: Some("test".into()),
            ..TrainRequest::default()
        }
    }
}

/// `tiny` with a quarter of its width.
pub fn small() -> Config {
    let mut config = preset("tiny").unwrap();
    config.backbone.base_channels = 4;
    config.neck.fpn.in_channels = vec![16, 32, 64, 128];
    config.bbox_head.fc_out_channels = 32;
    config.mask_iou_head.fc_out_channels = 32;
    config.mask_head.num_convs = 1;
    config.mask_iou_head.num_convs = 2;
    config.train_cfg.rcnn.sampler.num = 16;
    config.roi.sample_num = 20;
    config.mask_roi.sample_num = 4;
    config.train_cfg.rpn_proposal.max_per_img = 30;
    config.test_cfg.rpn.max_per_img = 30;
    (config.img_width, config.img_height) = (64, 64);
    (config.batch_size, config.epoch_size) = (2, 2);
    (config.warmup_step, config.save_every) = (2, 2);
    config.lr_steps = vec![1];
    config
}

/// A set of so many pictures in `folder`, and the checkpoint of a very small model that has seen it once.
pub fn small_checkpoint(folder: &Path, images: usize) -> PathBuf {
    let size = Size::new(64, 64);
    write_set(
        &folder.join("set"),
        images,
        3,
        size,
        Stats::Plain.into(),
        &mut |_, _| true,
    )
    .unwrap();
    std::fs::write(folder.join("small.yaml"), small().to_yaml()).unwrap();
    let run = go(&TrainRequest {
        config: Some(folder.join("small.yaml")),
        set: ["run_eval=0", "epoch_size=1", "lr_steps=[]"]
            .map(String::from)
            .to_vec(),
        train_data: Some(folder.join("set")),
        out: Some(folder.join("first")),
        ..TrainRequest::default()
    });
    last(&run.folder)
}

pub fn go(request: &TrainRequest) -> Trained {
    train(request, &AtomicBool::new(false), &mut |_| {}).unwrap()
}

pub fn refused(request: &TrainRequest) -> String {
    let error = train(request, &AtomicBool::new(false), &mut |_| {}).unwrap_err();
    error.to_string()
}

/// A run that is told to stop after so many data steps.
pub fn stopped_after(request: &TrainRequest, steps: usize) -> Trained {
    let stop = AtomicBool::new(false);
    train(request, &stop, &mut |event| {
        if let TrainEvent::Step { step, .. } = event
            && step.global_step == steps
        {
            stop.store(true, Ordering::Relaxed);
        }
    })
    .unwrap()
}

pub fn lines(run: &Path) -> Vec<MetricsLine> {
    let text = std::fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

pub fn steps(run: &Path) -> Vec<StepRecord> {
    let steps = lines(run).into_iter().filter_map(|line| match line {
        MetricsLine::Step(step) => Some(step),
        MetricsLine::Eval(_) => None,
    });
    steps.collect()
}

/// Epoch, step, losses, rate, norm of the gradient.
pub type Computed = (usize, usize, [(&'static str, f64); 6], f64, Option<f64>);

/// What a step computed, without its times.
pub fn curve(run: &Path) -> Vec<Computed> {
    let steps = steps(run).into_iter();
    steps
        .map(|s| (s.epoch, s.step, s.losses.named(), s.lr, s.grad_norm))
        .collect()
}

pub fn record(run: &Path) -> RunRecord {
    serde_json::from_slice(&std::fs::read(run.join("run.json")).unwrap()).unwrap()
}

/// All values of a checkpoint.
pub fn values(checkpoint: &Path) -> Vec<(String, Vec<f32>)> {
    let loaded = load(checkpoint, None, &LoadOptions::default()).unwrap();
    let names = loaded
        .weights
        .names()
        .map(str::to_owned)
        .collect::<Vec<_>>();
    let read = |name: String| {
        let shape = loaded.weights.shape(&name).unwrap().to_vec();
        let values = loaded.weights.values(&name, &shape).unwrap();
        (name, values)
    };
    names.into_iter().map(read).collect()
}

pub fn last(run: &Path) -> PathBuf {
    run.join(record(run).last_checkpoint.unwrap())
}

#[test]
fn a_run_repeats_whatever_the_number_of_threads() {
    let home = Home::new();
    let with = |workers: usize| {
        let mut request = home.request();
        request.set.push(format!("num_parallel_workers={workers}"));
        go(&request).folder
    };
    let (first, second) = (with(1), with(3));
    assert_ne!(first, second, "a folder with a run is not taken again");
    assert_eq!(curve(&first).len(), 2 * STEPS);
    assert_eq!(curve(&first), curve(&second));
    assert_eq!(values(&last(&first)), values(&last(&second)));
    let other = {
        let mut request = home.request();
        request.set.push("seed=2".into());
        go(&request).folder
    };
    assert_ne!(curve(&first), curve(&other));
}

#[test]
fn a_stopped_run_goes_on_to_the_last_bit() {
    let home = Home::new();
    let whole = go(&home.request());
    assert!(whole.finished && record(&whole.folder).state == RunState::Finished);
    for stop_at in [1, 3, 4, 5] {
        let stopped = stopped_after(&home.request(), stop_at);
        assert!(!stopped.finished);
        assert_eq!(record(&stopped.folder).state, RunState::Stopped);
        assert_eq!(curve(&stopped.folder).len(), stop_at);
        let resumed = go(&TrainRequest {
            resume: Some(stopped.folder.clone()),
            ..TrainRequest::default()
        });
        assert!(resumed.finished && resumed.folder == stopped.folder);
        assert_eq!(
            curve(&whole.folder),
            curve(&resumed.folder),
            "stopped after {stop_at}"
        );
        assert_eq!(values(&last(&whole.folder)), values(&last(&resumed.folder)));
    }
}

#[test]
fn what_lies_beyond_the_last_checkpoint_is_taken_again() {
    let home = Home::new();
    let whole = go(&home.request());
    let run = stopped_after(&home.request(), 5).folder;
    // As after a kill: the newest checkpoint is half a file, its line of metrics is there.
    let newest = last(&run);
    let bytes = std::fs::read(&newest).unwrap();
    std::fs::write(&newest, &bytes[..bytes.len() / 2]).unwrap();
    let mut told = Vec::new();
    let resumed = train(
        &TrainRequest {
            resume: Some(run.clone()),
            ..TrainRequest::default()
        },
        &AtomicBool::new(false),
        &mut |event| {
            if let TrainEvent::Log(line) = event {
                told.push(line.to_owned());
            }
        },
    );
    assert!(resumed.unwrap().finished);
    assert!(
        told.iter().any(|line| line.contains("passed over")),
        "{told:?}"
    );
    assert_eq!(curve(&whole.folder), curve(&run));
    // With no checkpoint left whole there is nothing to go on from.
    for entry in std::fs::read_dir(&run).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "safetensors") {
            std::fs::write(&path, b"damaged, all of it").unwrap();
        }
    }
    let text = refused(&TrainRequest {
        resume: Some(run),
        ..TrainRequest::default()
    });
    assert!(text.contains("no complete checkpoint"), "{text}");
}

#[test]
fn only_epochs_and_paths_change_on_resume() {
    let home = Home::new();
    let run = stopped_after(&home.request(), 3).folder;
    let resume = |set: &str| TrainRequest {
        resume: Some(run.clone()),
        set: vec![set.into()],
        ..TrainRequest::default()
    };
    let text = refused(&resume("lr=0.5"));
    assert!(
        text.contains("lr cannot change") && text.contains("0.02"),
        "{text}"
    );
    let longer = go(&resume("epoch_size=3"));
    assert!(longer.finished);
    assert_eq!(curve(&run).len(), 3 * STEPS);
}

#[test]
fn a_run_goes_on_with_epochs_of_another_length() {
    let home = Home::new();
    home.set("larger", 2 * IMAGES, 5);
    let run = stopped_after(&home.request(), STEPS + 2).folder;
    // Half of the second epoch is half of the larger one.
    let resumed = go(&TrainRequest {
        resume: Some(run.clone()),
        train_data: Some(home.path("larger")),
        ..TrainRequest::default()
    });
    assert!(resumed.finished);
    let after: Vec<(usize, usize)> = steps(&run)
        .iter()
        .skip(STEPS + 2)
        .map(|step| (step.epoch, step.step))
        .collect();
    assert_eq!(after, [(2, 5), (2, 6), (2, 7), (2, 8)]);
    // Fewer epochs than are begun: nothing is left.
    let run = stopped_after(&home.request(), STEPS + 2).folder;
    let ended = go(&TrainRequest {
        resume: Some(run.clone()),
        set: vec!["epoch_size=1".into()],
        ..TrainRequest::default()
    });
    assert!(ended.finished);
    assert_eq!(curve(&run).len(), STEPS + 2);
    // It could be resumed again although it saved nothing new.
    assert_eq!(
        record(&run).last_checkpoint.as_deref(),
        last(&run).file_name().and_then(|name| name.to_str())
    );
}

#[test]
fn a_run_that_cannot_begin_leaves_no_folder() {
    let home = Home::new();
    let runs = || std::fs::read_dir(home.path("runs")).map_or(0, Iterator::count);
    let mut request = home.request();
    request.set.push("batch_size=9".into());
    let file = home.path("record");
    request.run_record = Some(file.clone());
    assert!(refused(&request).contains("9"));
    assert!(runs() == 0 && !file.exists());
    // A name that is a way to another place is refused before anything is made there.
    std::fs::create_dir(home.path("runs/precious")).unwrap();
    let mut request = home.request();
    request.brief = Some("x/../precious".into());
    assert!(refused(&request).contains("brief"));
    assert!(runs() == 1 && home.path("runs/precious").is_dir());
}

#[test]
fn gathered_micro_batches_are_one_update() {
    let home = Home::new();
    let mut request = home.request();
    request
        .set
        .extend(["batch_size=1".into(), "accumulate_step=3".into()]);
    let run = go(&request).folder;
    let norms: Vec<bool> = steps(&run)
        .iter()
        .map(|step| step.grad_norm.is_some())
        .collect();
    // Eight steps an epoch: two whole groups and a rest that updates as well.
    let epoch = [false, false, true, false, false, true, false, true];
    assert_eq!(norms, [epoch, epoch].concat());
}

#[test]
fn evaluation_keeps_the_best_and_its_lines() {
    let home = Home::new();
    home.set("val", 3, 9);
    let mut request = home.request();
    request.set = vec!["keep_checkpoint_max=2".into()];
    request.val_data = Some(home.path("val"));
    let run = go(&request).folder;
    let evals = lines(&run)
        .into_iter()
        .filter(|line| matches!(line, MetricsLine::Eval(_)));
    let evals: Vec<_> = evals.collect();
    assert_eq!(evals.len(), 2);
    for line in evals {
        let MetricsLine::Eval(eval) = line else {
            continue;
        };
        assert_eq!((eval.bbox.len(), eval.segm.len()), (12, 12));
        assert_eq!(
            (eval.bbox["AP"], eval.segm["AP"]),
            (eval.bbox_map, eval.seg_map)
        );
    }
    let record = record(&run);
    let best = record.best.unwrap();
    assert!(run.join(&best.path).is_file(), "{best:?}");
    let periodic = std::fs::read_dir(&run).unwrap().filter(|entry| {
        let name = entry
            .as_ref()
            .unwrap()
            .file_name()
            .to_string_lossy()
            .into_owned();
        name.starts_with("MSRCNN_") && !name.contains("state")
    });
    assert_eq!(periodic.count(), 2);
    let logs = std::fs::read_dir(run.join("logs")).unwrap();
    let log = logs.map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap());
    let log = log.collect::<String>();
    for part in [
        "INFO: Train dataset size: 4",
        "INFO: Number of parameters: ",
        "INFO: epoch: 1, step: 2, loss: ",
        ",  lr: 0.020000",
        "INFO: Eval epoch time: ",
        "INFO: Result metrics for epoch 2: {'bbox_mAP': ",
        "INFO: Train epoch time: ",
    ] {
        assert!(log.contains(part), "{part} is not in\n{log}");
    }
    for file in ["config.yaml", "cmd.txt", "args.txt", "run.lock"] {
        assert!(run.join(file).is_file(), "{file}");
    }
}

#[test]
fn broken_images_are_skipped_counted_and_named() {
    let home = Home::new();
    let data = home.path("set/data");
    let mut names: Vec<_> = std::fs::read_dir(&data)
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    names.sort();
    std::fs::write(&names[1], b"no picture").unwrap();
    std::fs::remove_file(&names[4]).unwrap();
    let run = go(&home.request()).folder;
    let skipped = record(&run).skipped;
    assert_eq!(skipped.len(), 2, "{skipped:?}");
    for name in [&names[1], &names[4]] {
        let name = name.file_name().unwrap().to_string_lossy().into_owned();
        assert!(
            skipped
                .iter()
                .any(|(path, reason)| path.contains(&name) && !reason.is_empty())
        );
    }
    assert_eq!(curve(&run).len(), 2 * STEPS);
}

#[test]
fn a_loss_that_is_no_number_stops_the_run_and_names_the_images() {
    let home = Home::new();
    let mut request = home.request();
    request.set.extend([
        "lr=1e30".into(),
        "warmup_step=0".into(),
        "grad_clip=0".into(),
    ]);
    let text = refused(&request);
    assert!(
        text.starts_with("In epoch: 1 step: 2, loss is NAN or INF") || text.contains("NAN or INF"),
        "{text}"
    );
    assert!(text.contains(".png"), "{text}");
    let run = std::fs::read_dir(home.path("runs"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let record = record(&run);
    assert_eq!(record.state, RunState::Failed);
    assert!(record.message.unwrap().contains("NAN or INF"));
}

#[test]
fn fine_tuning_begins_the_heads_of_other_classes_anew() {
    let home = Home::new();
    let first = go(&home.request()).folder;
    let checkpoint = last(&first);
    let mut request = home.request();
    request.pretrained = Some(checkpoint.clone());
    request.config = None;
    request.changes = SetChanges {
        renames: vec![
            ("circle".into(), "disc".into()),
            ("ring".into(), "disc".into()),
        ],
        drops: vec!["star".into()],
        val_fraction: None,
    };
    let text = refused(&request);
    assert!(
        text.contains("disc") && text.contains("finetune=1"),
        "{text}"
    );
    request.set.extend([
        "finetune=1".into(),
        "epoch_size=1".into(),
        "lr_steps=[]".into(),
    ]);
    let tuned = go(&request).folder;
    let loaded = load(&last(&tuned), None, &LoadOptions::default()).unwrap();
    assert_eq!(loaded.classes.names, ["disc", "triangle", "square"]);
    // Without a step the trunk would be the checkpoint's; with rate 0 it stays so.
    request.set.extend([
        "lr=0".into(),
        "min_lr=0".into(),
        "backbone.norm_eval=True".into(),
    ]);
    let still = go(&request).folder;
    let (old, new) = (values(&checkpoint), values(&last(&still)));
    let of = |all: &[(String, Vec<f32>)], name: &str| {
        all.iter()
            .find(|(known, _)| known == name)
            .unwrap()
            .1
            .clone()
    };
    for name in [
        "backbone.layer2.0.conv2.weight",
        "roi_head.bbox_head.shared_fcs.0.weight",
    ] {
        assert_eq!(of(&old, name), of(&new, name), "{name}");
    }
    assert_eq!(of(&new, "roi_head.bbox_head.fc_cls.weight").len(), 4 * 32);
}

#[test]
fn a_share_for_validation_and_changed_classes_are_written_into_the_run() {
    let home = Home::new();
    let mut request = home.request();
    request.set = vec!["epoch_size=1".into(), "lr_steps=[]".into()];
    request.classes_from_data = true;
    request.changes = SetChanges {
        renames: vec![("circle".into(), "round".into())],
        drops: vec!["star".into()],
        val_fraction: Some(0.25),
    };
    let run = go(&request).folder;
    let json = |name: &str| -> serde_json::Value {
        serde_json::from_slice(&std::fs::read(run.join(name)).unwrap()).unwrap()
    };
    let (kept, held_back) = (json("train.json"), json("val.json"));
    let ids = |set: &serde_json::Value| -> Vec<i64> {
        set["images"]
            .as_array()
            .unwrap()
            .iter()
            .map(|i| i["id"].as_i64().unwrap())
            .collect()
    };
    assert_eq!((ids(&kept).len(), ids(&held_back).len()), (6, 2));
    assert!(ids(&kept).iter().all(|id| !ids(&held_back).contains(id)));
    let names: Vec<&str> = kept["categories"]
        .as_array()
        .unwrap()
        .iter()
        .map(|category| category["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["round", "triangle", "square", "ring"]);
    assert_eq!(lines(&run).len(), 3 + 1);
    request.changes.drops = vec!["hexagon".into()];
    let text = refused(&request);
    assert!(
        text.contains("no class `hexagon`") && text.contains("circle"),
        "{text}"
    );
}

fn look(request: &TrainRequest, trial: bool) -> PreflightReport {
    preflight(request, trial, &AtomicBool::new(false)).unwrap()
}

#[test]
fn the_preflight_tells_what_would_go_wrong() {
    let home = Home::new();
    let report = look(&home.request(), true);
    assert_eq!(
        (report.train_images, report.steps_per_epoch, report.epochs),
        (IMAGES, STEPS, 2)
    );
    assert!(
        report
            .findings
            .iter()
            .all(|f| f.severity != Severity::Error),
        "{:?}",
        report.findings
    );
    assert!(report.seconds_per_step.unwrap() > 0.0 && report.seconds_total.unwrap() > 0.0);
    assert!(report.memory_mib > 0.0 && report.classes.len() == 5);
    assert!(!home.path("runs").exists());
    let keys: Vec<&str> = report.proposals.iter().map(|p| p.key.as_str()).collect();
    assert_eq!(keys, ["lr"]);
    assert_eq!(report.proposals[0].value, "0.0025");
    assert!(
        !home
            .path("runs")
            .read_dir()
            .is_ok_and(|mut d| d.next().is_some())
    );

    let data = home.path("set/data");
    let picture = std::fs::read_dir(&data)
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    std::fs::write(&picture, b"no picture").unwrap();
    let report = look(&home.request(), false);
    let broken = report
        .findings
        .iter()
        .find(|f| f.what.contains("cannot be read"))
        .unwrap();
    assert_eq!(broken.severity, Severity::Warning);
    assert!(
        broken
            .place
            .contains(picture.file_name().unwrap().to_str().unwrap())
    );

    let mut request = home.request();
    request.set.push("batch_size=9".into());
    let report = look(&request, true);
    assert_eq!(report.findings[0].severity, Severity::Error);
    assert!(report.findings[0].what.contains("fewer than a batch of 9"));
    assert!(report.seconds_per_step.is_none());
}

#[test]
fn bad_input_is_refused_with_what_where_and_what_to_do() {
    let home = Home::new();
    let with = |set: &str| {
        let mut request = home.request();
        request.set.push(set.into());
        refused(&request)
    };
    let text = with("train_cfg.rpn.assigner.neg_iou_thr=0.9");
    assert!(
        text.contains("neg_iou_thr") && text.contains("pos_iou_thr"),
        "{text}"
    );
    let text = with("batch_size=9");
    assert!(
        text.contains("8 images") && text.contains("batch_size"),
        "{text}"
    );

    let mut request = home.request();
    request.config = Some(home.path("coco.yaml"));
    let mut coco = small();
    coco.coco_classes = Config::default().coco_classes;
    coco.num_classes = coco.coco_classes.len();
    std::fs::write(home.path("coco.yaml"), coco.to_yaml()).unwrap();
    let text = refused(&request);
    assert!(
        text.contains("circle") && text.contains("--classes-from-data"),
        "{text}"
    );

    let mut request = home.request();
    std::fs::create_dir_all(home.path("empty/data")).unwrap();
    let json = r#"{"images": [], "annotations": [], "categories": [{"id": 1, "name": "circle"}]}"#;
    std::fs::write(home.path("empty/labels.json"), json).unwrap();
    request.train_data = Some(home.path("empty"));
    request.classes_from_data = true;
    let text = refused(&request);
    assert!(text.contains("no image"), "{text}");

    let mut request = home.request();
    std::fs::write(home.path("file"), "in the way").unwrap();
    request.out = Some(home.path("file/runs"));
    let text = refused(&request);
    assert!(
        text.contains("cannot write") && text.contains("file"),
        "{text}"
    );

    let run = go(&home.request()).folder;
    let mut request = home.request();
    request.pretrained = Some(last(&run));
    request.set.push("bbox_head.fc_out_channels=64".into());
    let text = refused(&request);
    assert!(text.contains("fc") && text.contains("64"), "{text}");

    // A deeper network has all the layers of this one, of the same shapes.
    let mut request = home.request();
    let once = ["backbone.depth=50", "epoch_size=1", "run_eval=0"];
    request.set.extend(once.map(str::to_owned));
    let deep = last(&go(&request).folder);
    let mut request = home.request();
    request.pretrained = Some(deep);
    request.set.push("finetune=1".into());
    let text = refused(&request);
    assert!(
        text.contains("backbone.layer") && text.contains("depth"),
        "{text}"
    );

    let lock = std::fs::File::open(run.join("run.lock")).unwrap();
    lock.lock().unwrap();
    let text = refused(&TrainRequest {
        resume: Some(run.clone()),
        ..TrainRequest::default()
    });
    assert!(text.contains("in use by another training"), "{text}");
}

/// A disk that is full in the middle of a save: an error that names the file, and no half checkpoint.
#[cfg(unix)]
#[test]
fn a_full_disk_leaves_no_half_checkpoint() {
    let home = Home::new();
    let command = format!(
        "trap '' XFSZ; ulimit -f 64; exec {} train --config {} --train-data {} --out {} --brief full --set run_eval=0",
        env!("CARGO_BIN_EXE_maskscope"),
        home.path("small.yaml").display(),
        home.path("set").display(),
        home.path("runs").display(),
    );
    let output = std::process::Command::new("sh")
        .args(["-c", &command])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(
        text.contains("error: ") && text.contains("MSRCNN_"),
        "{text}"
    );
    let run = std::fs::read_dir(home.path("runs"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    for entry in std::fs::read_dir(&run).unwrap() {
        let name = entry.unwrap().file_name().to_string_lossy().into_owned();
        assert!(
            !name.ends_with(".safetensors") && !name.contains("partial"),
            "{name}"
        );
    }
    assert_eq!(record(&run).state, RunState::Failed);
}
