//! Two ranks of `mpirun` against one process that gathers their micro-batches (semantics.md 4.3 and 4.10).

use std::path::Path;
use std::process::{Command, Output};

use super::runs::{Home, last, lines, small, values};

/// Of the largest value of a tensor: the sums of two ranks are added in another order.
const TOLERANCE: f32 = 2e-5;

fn train(home: &Home, ranks: usize, brief: &str, settings: &[&str]) -> Output {
    let mut command = if ranks > 1 {
        let mut command = Command::new("mpirun");
        command.args(["--oversubscribe", "-n", &ranks.to_string()]);
        command.arg(env!("CARGO_BIN_EXE_maskscope"));
        command
    } else {
        Command::new(env!("CARGO_BIN_EXE_maskscope"))
    };
    // mpirun refuses root unless it is told twice.
    for name in ["OMPI_ALLOW_RUN_AS_ROOT", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM"] {
        command.env(name, "1");
    }
    command
        .env("RAYON_NUM_THREADS", "1")
        .args(["train", "-q", "--brief", brief]);
    command.arg("--config").arg(home.path("small.yaml"));
    command.arg("--train-data").arg(home.path("set"));
    command.arg("--out").arg(home.path("runs"));
    for setting in settings {
        command.args(["--set", setting]);
    }
    command.output().expect("mpirun is installed")
}

fn folder(output: &Output) -> std::path::PathBuf {
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    let path = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    Path::new(path.lines().next().unwrap()).to_owned()
}

#[test]
fn two_ranks_are_one_process_that_gathers_their_micro_batches() {
    let home = Home::new();
    home.set("set", 10, 3);
    // Five updates of two images each.
    // Frozen norms: their statistics are not synchronised.
    let common = [
        "run_eval=0",
        "batch_size=1",
        "epoch_size=1",
        "lr_steps=[]",
        "flip_ratio=0.5",
        "backbone.norm_eval=True",
        "precision=f32", // of ranks on cards
    ];
    let alone = [common.as_slice(), &["accumulate_step=2"]].concat();
    let one = folder(&train(&home, 1, "one", &alone));
    let two = folder(&train(&home, 2, "two", &common));
    assert_eq!((lines(&one).len(), lines(&two).len()), (10, 5));
    let (one, two) = (values(&last(&one)), values(&last(&two)));
    assert_eq!(one.len(), two.len());
    let mut moved = false;
    for ((name, one), (_, two)) in one.iter().zip(&two) {
        let largest = one.iter().fold(1e-3f32, |m, v| m.max(v.abs()));
        let off = one
            .iter()
            .zip(two)
            .fold(0f32, |m, (a, b)| m.max((a - b).abs()));
        assert!(off <= TOLERANCE * largest, "{name}: {off:e} of {largest}");
        moved |= off > 0.0;
    }
    println!("equal in every bit: {}", !moved);
}

#[test]
fn processes_and_configuration_must_agree() {
    let home = Home::new();
    let output = train(&home, 2, "three", &["run_eval=0", "device_num=3"]);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success());
    assert!(text.contains("device_num is 3, but 2 processes"), "{text}");
    assert_eq!(small().device_num, 1);
}

#[test]
fn a_lost_rank_ends_the_job_and_leaves_a_checkpoint() {
    let home = Home::new();
    let mut command = Command::new("mpirun");
    for name in ["OMPI_ALLOW_RUN_AS_ROOT", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM"] {
        command.env(name, "1");
    }
    // The second rank kills itself as soon as the first has kept a checkpoint.
    let script = format!(
        "if [ \"$OMPI_COMM_WORLD_RANK\" = 1 ]; then \
           (while ! ls {runs}/*/MSRCNN_*_2.safetensors >/dev/null 2>&1; do sleep 0.05; done; kill -9 $$) & fi; \
         exec {program} train -q --config {config} --train-data {set} --out {runs} --brief lost \
           --set run_eval=0 --set batch_size=1 --set epoch_size=1000",
        runs = home.path("runs").display(),
        program = env!("CARGO_BIN_EXE_maskscope"),
        config = home.path("small.yaml").display(),
        set = home.path("set").display(),
    );
    command.env("RAYON_NUM_THREADS", "1");
    command.args(["--oversubscribe", "-n", "2", "sh", "-c", &script]);
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success());
    assert!(
        text.contains("signal 9") || text.contains("does not answer"),
        "{text}"
    );
    let run = std::fs::read_dir(home.path("runs"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let resumed = Command::new(env!("CARGO_BIN_EXE_maskscope"))
        .args(["train", "-q", "--set", "epoch_size=2", "--resume"])
        .arg(&run)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&resumed.stderr).into_owned();
    assert!(resumed.status.success(), "{text}");
}
