//! Runs that end early, in every way, and go on.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use maskscope::jobs::train::{
    MetricsLine, RunState, TrainEvent, TrainRequest, preflight, records::Severity, train,
};

use super::runs::{
    Home, STEPS, curve, go, last, lines, record, refused, steps, stopped_after, values,
};

const PATIENCE: Duration = Duration::from_secs(120);

fn resume(run: &Path) -> TrainRequest {
    TrainRequest {
        resume: Some(run.to_owned()),
        ..TrainRequest::default()
    }
}

/// Periodic checkpoints and their states by name.
fn kept(run: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(run).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());
    let mut names: Vec<String> = names.filter(|name| name.starts_with("MSRCNN_")).collect();
    names.sort();
    names
}

fn program(home: &Home, brief: &str, settings: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_maskscope"));
    command.args(["train", "-q", "--brief", brief]);
    command.arg("--config").arg(home.path("small.yaml"));
    command.arg("--train-data").arg(home.path("set"));
    command.arg("--out").arg(home.path("runs"));
    for setting in settings {
        command.args(["--set", setting]);
    }
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// The only run with this brief.
fn folder(home: &Home, brief: &str) -> Option<PathBuf> {
    let entries = std::fs::read_dir(home.path("runs")).into_iter().flatten();
    let mut paths = entries.map(|entry| entry.unwrap().path());
    paths.find(|path| path.to_string_lossy().ends_with(&format!("_{brief}")))
}

fn until<T>(what: &str, look: impl Fn() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(began.elapsed() < PATIENCE, "{what} has not come");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A started run, once it has kept something.
fn with_checkpoint(home: &Home, brief: &str) -> PathBuf {
    until("a checkpoint", || {
        let run = folder(home, brief)?;
        let is_checkpoint = |name: &String| !name.contains(".state");
        kept(&run).iter().any(is_checkpoint).then_some(run)
    })
}

/// A process that does not outlive its test.
struct Process(Option<Child>);

impl Process {
    fn start(mut command: Command) -> Self {
        Self(Some(command.spawn().unwrap()))
    }

    fn id(&self) -> String {
        self.0.as_ref().unwrap().id().to_string()
    }

    #[cfg(unix)]
    fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([name, &self.id()]).status();
        assert!(sent.unwrap().success());
    }

    fn end(mut self) -> Output {
        self.0.take().unwrap().wait_with_output().unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn stale_checkpoints_of_longer_epochs_do_not_win() {
    let home = Home::new();
    home.set("larger", 16, 5);
    let mut request = home.request();
    request.train_data = Some(home.path("larger"));
    let settings = ["keep_checkpoint_max=1", "save_every=100"];
    request.set.extend(settings.map(String::from));
    // Epochs of eight steps; the place is 2_6.
    let run = stopped_after(&request, 8 + 6).folder;
    assert!(last(&run).ends_with("MSRCNN_0-2_6.safetensors"));
    let mut again = resume(&run);
    again.train_data = Some(home.path("set"));
    // What a kill at the first step would leave.
    let mut seen = None;
    let stop = AtomicBool::new(false);
    let ended = train(&again, &stop, &mut |event| {
        if matches!(event, TrainEvent::Step { .. }) && seen.is_none() {
            seen = Some(kept(&run));
        }
    });
    assert!(ended.unwrap().finished);
    let expected = ["MSRCNN_0-2_3.safetensors", "MSRCNN_0-2_3.state.safetensors"];
    assert_eq!(seen.unwrap(), expected, "2_6 is 2_3 of four");
    let places: Vec<_> = steps(&run).iter().map(|it| (it.epoch, it.step)).collect();
    assert_eq!(places[14..], [(2, 4)]);
    assert!(last(&run).ends_with("MSRCNN_0-2_4.safetensors"));
}

#[test]
fn the_command_that_began_a_run_stays() {
    let home = Home::new();
    let mut request = home.request();
    request.command = ["maskscope", "train", "first"].map(String::from).to_vec();
    let run = stopped_after(&request, 1).folder;
    let began = record(&run).started;
    let mut again = resume(&run);
    again.command = ["maskscope", "train", "--resume"]
        .map(String::from)
        .to_vec();
    go(&again);
    let record = record(&run);
    assert_eq!((record.command, record.started), (request.command, began));
    let text = std::fs::read_to_string(run.join("cmd.txt")).unwrap();
    assert_eq!(text, "maskscope train first\nmaskscope train --resume\n");
    let arguments = std::fs::read_to_string(run.join("args.txt")).unwrap();
    assert_eq!(arguments.matches("TrainRequest").count(), 2);
}

#[test]
fn a_run_is_resumed_from_another_folder() {
    let home = Home::new();
    let yaml = std::fs::read_to_string(home.path("small.yaml")).unwrap();
    let sets = yaml
        .lines()
        .map(|line| match line.split(':').next() {
            Some("train_dataset") => "train_dataset: set",
            Some("train_outputs") => "train_outputs: runs",
            Some("run_eval") => "run_eval: 0",
            _ => line,
        })
        .collect::<Vec<_>>()
        .join("\n");
    std::fs::write(home.path("relative.yaml"), sets).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_maskscope"));
    let begun = command
        .args(["train", "-q", "--config", "relative.yaml"])
        .args(["--set", "epoch_size=1", "--set", "lr_steps=[]"])
        .current_dir(home.path(""))
        .output()
        .unwrap();
    assert!(begun.status.success(), "{}", text(&begun));
    let run = std::fs::read_dir(home.path("runs")).unwrap().next();
    let run = run.unwrap().unwrap().path();
    let mut command = Command::new(env!("CARGO_BIN_EXE_maskscope"));
    let resumed = command
        .args(["train", "-q", "--set", "epoch_size=2", "--resume"])
        .arg(&run)
        .current_dir(std::env::temp_dir())
        .output()
        .unwrap();
    assert!(resumed.status.success(), "{}", text(&resumed));
    assert_eq!(steps(&run).len(), 2 * STEPS);
}

#[test]
fn every_optimiser_and_order_goes_on_to_the_last_bit() {
    let home = Home::new();
    for settings in [
        ["opt_type=adam", "lr=0.001"],
        ["accumulate_step=3", "batch_size=1"],
        ["scale_range=[0.7, 1.2]", "flip_ratio=0.5"],
        ["lr_type=dynamic", "grad_clip=0"],
    ] {
        let mut request = home.request();
        request.set.extend(settings.map(String::from));
        let whole = go(&request).folder;
        let run = stopped_after(&request, 3).folder;
        assert!(go(&resume(&run)).finished);
        assert_eq!(curve(&whole), curve(&run), "{settings:?}");
        assert_eq!(values(&last(&whole)), values(&last(&run)), "{settings:?}");
    }
}

#[test]
fn evaluations_come_every_so_many_epochs_and_after_the_last() {
    let home = Home::new();
    home.set("val", 2, 9);
    let mut request = home.request();
    request.set = ["epoch_size=3", "eval_every=2"].map(String::from).to_vec();
    request.val_data = Some(home.path("val"));
    let run = go(&request).folder;
    let epochs: Vec<usize> = lines(&run)
        .into_iter()
        .filter_map(|line| match line {
            MetricsLine::Eval(eval) => Some(eval.epoch),
            MetricsLine::Step(_) => None,
        })
        .collect();
    assert_eq!(epochs, [2, 3]);
}

#[cfg(unix)]
#[test]
fn ctrl_c_finishes_the_step_saves_and_ends_well() {
    let home = Home::new();
    let settings = ["run_eval=0", "epoch_size=100000", "save_every=1"];
    let process = Process::start(program(&home, "ctrl", &settings));
    let run = with_checkpoint(&home, "ctrl");
    process.signal("-INT");
    let output = process.end();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    let record = record(&run);
    assert_eq!(record.state, RunState::Stopped);
    let done = steps(&run).len();
    assert_eq!(done, (record.epoch - 1) * STEPS + record.step);
    let name = format!("MSRCNN_0-{}_{}.safetensors", record.epoch, record.step);
    assert!(run.join(&name).is_file(), "{name} of {:?}", kept(&run));
}

#[cfg(unix)]
#[test]
fn best_checkpoints_outlive_a_kill() {
    let home = Home::new();
    home.set("val", 3, 9);
    let val = home.path("val").display().to_string();
    let settings = ["epoch_size=4", "lr_steps=[]", "keep_best_checkpoints_max=2"];
    let with_val = |brief: &str| {
        let mut command = program(&home, brief, &settings);
        command.args(["--val-data", &val]);
        command
    };
    let whole = with_val("whole").output().unwrap();
    assert!(whole.status.success(), "{}", text(&whole));
    let whole = folder(&home, "whole").unwrap();
    let bests = |run: &Path| {
        let entries = std::fs::read_dir(run.join("best_ckpt"))
            .into_iter()
            .flatten();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.filter(|name| !name.contains("partial")).collect();
        names.sort();
        names
    };
    // Soon after the first best checkpoint: with luck before the state that knows of it.
    let process = Process::start(with_val("killed"));
    let run = until("a best checkpoint", || {
        let run = folder(&home, "killed")?;
        let is_whole = |name: &String| name.ends_with(".safetensors");
        bests(&run).iter().any(is_whole).then_some(run)
    });
    process.signal("-KILL");
    process.end();
    go(&resume(&run));
    assert_eq!(bests(&whole), bests(&run));
    assert_eq!(record(&whole).best, record(&run).best);
    assert_eq!(curve(&whole), curve(&run));
    let evals = |run: &Path| {
        let evals = lines(run).into_iter();
        evals
            .filter(|line| matches!(line, MetricsLine::Eval(_)))
            .count()
    };
    assert_eq!((evals(&whole), evals(&run)), (4, 4));
}

/// A disk that becomes full after the first save; the file size that the process may write stands for it.
#[cfg(target_os = "linux")]
#[test]
fn a_disk_that_fills_up_later_leaves_the_checkpoints_before() {
    let home = Home::new();
    let whole = go(&home.request()).folder;
    let command = format!(
        "trap '' XFSZ; exec {} train -q --config {} --train-data {} --out {} --brief full --set run_eval=0 --set epoch_size=100000",
        env!("CARGO_BIN_EXE_maskscope"),
        home.path("small.yaml").display(),
        home.path("set").display(),
        home.path("runs").display(),
    );
    let mut shell = Command::new("sh");
    shell.args(["-c", &command]).stderr(Stdio::piped());
    let process = Process::start(shell);
    let run = with_checkpoint(&home, "full");
    let limited = Command::new("prlimit")
        .args(["--pid", &process.id(), "--fsize=65536"])
        .status();
    assert!(limited.unwrap().success());
    let output = process.end();
    let said = text(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("error: ") && said.contains("MSRCNN_"),
        "{said}"
    );
    let names = kept(&run);
    assert!(!names.is_empty(), "what was kept before is there");
    assert!(
        names.iter().all(|name| !name.contains("partial")),
        "{names:?}"
    );
    assert_eq!(record(&run).state, RunState::Failed);
    // With room again it goes on.
    let done = steps(&run).len();
    let epochs = done / STEPS + 2;
    let mut again = resume(&run);
    again.set.push(format!("epoch_size={epochs}"));
    assert!(go(&again).finished);
    assert_eq!(steps(&run).len(), epochs * STEPS);
    let loss = |run: &Path| -> Vec<f64> { steps(run).iter().map(|step| step.loss).collect() };
    assert_eq!(loss(&whole)[..STEPS], loss(&run)[..STEPS]);
}

#[test]
fn two_processes_do_not_share_a_folder() {
    let home = Home::new();
    let start = || Process::start(program(&home, "same", &["run_eval=0"]));
    let processes = [start(), start()];
    let mut folders = Vec::new();
    for process in processes {
        let output = process.end();
        assert!(output.status.success(), "{}", text(&output));
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let run = PathBuf::from(said.lines().next().unwrap());
        assert_eq!(steps(&run).len(), 2 * STEPS, "{}", run.display());
        folders.push(run);
    }
    assert_ne!(folders[0], folders[1]);
    // A third one may not go on with a run that lives.
    let lock = std::fs::File::open(folders[0].join("run.lock")).unwrap();
    lock.lock().unwrap();
    assert!(refused(&resume(&folders[0])).contains("in use"));
}

#[test]
fn the_preflight_knows_its_optimiser_its_classes_and_when_to_stop() {
    let home = Home::new();
    let look = |request: &TrainRequest, trial: bool, stop: bool| {
        preflight(request, trial, &AtomicBool::new(stop))
    };
    let mut request = home.request();
    request
        .set
        .extend(["opt_type=adam", "lr=0.01"].map(String::from));
    let report = look(&request, false, false).unwrap();
    let rate = report.proposals.iter().find(|it| it.key == "lr").unwrap();
    assert!(
        rate.value == "0.0001" && rate.why.contains("Adam"),
        "{rate:?}"
    );
    request.set.push("lr=0.0002".into());
    let report = look(&request, false, false).unwrap();
    assert!(report.proposals.iter().all(|it| it.key != "lr"));
    // Images that need more memory than any machine has: a warning, for it is an estimate.
    let mut request = home.request();
    let huge = ["img_width=65536", "img_height=65536", "batch_size=8"];
    request.set.extend(huge.map(String::from));
    let report = look(&request, false, false).unwrap();
    let memory = report.findings.iter().find(|it| it.place == "memory");
    assert!(
        memory.is_some_and(|it| it.severity == Severity::Warning),
        "{:?}",
        report.findings
    );
    // A trial ends when it is told to.
    assert!(look(&home.request(), true, true).is_err());
}
