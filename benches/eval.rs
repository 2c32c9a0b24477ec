//! Evaluation of a whole set from files to 24 numbers: `cargo bench --bench eval [-- FOLDER]`. Without a folder it writes
//! 5,000 images with about 36,000 annotations and 250,000 detections (`labels.json`, `results.bbox.json`,
//! `results.segm.json`). Ours and hotcoco alone take turns, each in a process of its own, the files in the page cache;
//! where MASKSCOPE_PYTHON names a Python that has pycocotools, it takes one turn too.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a measurement stops at what goes wrong and prints"
)]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use hotcoco::params::IouType;
use hotcoco::{COCO, COCOeval};
use maskscope::data::synth::{AnnotationsRequest, write_annotations};
use maskscope::jobs::evaluate::{EvaluateRequest, evaluate};
use maskscope::structures::ranking::RankBy;

/// Turns of each.
const TURNS: usize = 7;
const IMAGES: usize = 5_000;
const DETECTIONS: usize = 250_000;
/// Tells a child what to do: who evaluates, then the folder.
const CHILD: &str = "--measure-alone";
const WHO: [&str; 2] = ["maskscope", "hotcoco"];
/// Names a Python with pycocotools.
const PYTHON: &str = "MASKSCOPE_PYTHON";

/// Prints seconds and the two AP, as the children do.
const SCRIPT: &str = "
import contextlib, io, sys, time
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
folder = sys.argv[1]
start = time.perf_counter()
aps = []
with contextlib.redirect_stdout(io.StringIO()):
    gt = COCO(folder + '/labels.json')
    for kind in ('bbox', 'segm'):
        found = COCOeval(gt, gt.loadRes(f'{folder}/results.{kind}.json'), kind)
        found.evaluate()
        found.accumulate()
        found.summarize()
        aps.append(float(found.stats[0]))
print(time.perf_counter() - start, *aps)
";

fn main() {
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| a != "--bench")
        .collect();
    if let [flag, who, folder] = arguments.as_slice()
        && flag == CHILD
    {
        measure(who, Path::new(folder));
        return;
    }
    let made = tempfile::tempdir().unwrap();
    let folder = match arguments.first() {
        Some(folder) => PathBuf::from(folder),
        None => generated(made.path()),
    };
    for name in ["labels.json", "results.bbox.json", "results.segm.json"] {
        let bytes = std::fs::read(folder.join(name)).unwrap(); // into the page cache
        println!("{name}: {} bytes", bytes.len());
    }
    let mut seconds = vec![Vec::new(); WHO.len()];
    let mut aps = Vec::new();
    for _ in 0..TURNS {
        for (turn, who) in seconds.iter_mut().zip(WHO) {
            let program = std::env::current_exe().unwrap();
            let answer = answer(Command::new(program).args([CHILD, who]).arg(&folder));
            turn.push(answer[0]);
            aps.push(answer[1..].to_vec());
        }
    }
    let medians: Vec<f64> = seconds.iter_mut().map(|turns| median(turns)).collect();
    for (who, (median, turns)) in WHO.iter().zip(medians.iter().zip(&seconds)) {
        println!(
            "{who}: median {median:.3} s, fastest {:.3} s of {TURNS}",
            turns[0]
        );
    }
    println!("maskscope / hotcoco: {:.2}", medians[0] / medians[1]);
    println!("bbox AP, segm AP: {:?} {:?}", aps[0], aps[1]);
    if let Ok(python) = std::env::var(PYTHON) {
        let answer = answer(Command::new(python).args(["-c", SCRIPT]).arg(&folder));
        println!("pycocotools: {:.1} s, AP {:?}", answer[0], &answer[1..]);
        println!("pycocotools / maskscope: {:.1}", answer[0] / medians[0]);
    }
}

fn generated(folder: &Path) -> PathBuf {
    let out = folder.join("set");
    let request = AnnotationsRequest {
        out: out.clone(),
        images: IMAGES,
        seed: 1,
        size: None,
        detections: DETECTIONS,
        predictions: false,
    };
    write_annotations(&request, &mut |_, _| true).unwrap();
    out
}

/// The numbers on a child's line.
fn answer(command: &mut Command) -> Vec<f64> {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}{errors}");
    said.split_whitespace()
        .map(|n| n.parse().unwrap())
        .collect()
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn measure(who: &str, folder: &Path) {
    let start = Instant::now();
    let [bbox, segm] = if who == WHO[0] {
        own(folder)
    } else {
        hotcoco_alone(folder)
    };
    println!("{} {bbox:?} {segm:?}", start.elapsed().as_secs_f64());
}

fn own(folder: &Path) -> [f64; 2] {
    let request = EvaluateRequest {
        data: folder.join("labels.json"),
        images: None,
        predictions: Some(folder.join("results")),
        model: None,
        rank_by: RankBy::IouScore,
        pycocotools_ids: false,
        filter: None,
        details: false,
    };
    let found = evaluate(&request, &AtomicBool::new(false), &mut |_| {}).unwrap();
    [&found.bbox, &found.segm].map(|kind| kind.as_ref().unwrap().numbers.ap())
}

fn hotcoco_alone(folder: &Path) -> [f64; 2] {
    let gt = Arc::new(COCO::new(&folder.join("labels.json")).unwrap());
    let kinds = [("bbox", IouType::Bbox), ("segm", IouType::Segm)];
    kinds.map(|(name, kind)| {
        let dt = gt
            .load_res(&folder.join(format!("results.{name}.json")))
            .unwrap();
        let mut found = COCOeval::new(Arc::clone(&gt), dt, kind);
        found.evaluate().unwrap();
        found.accumulate();
        found.summarize_lines();
        found.stats().unwrap()[0]
    })
}
