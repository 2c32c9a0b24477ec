//! A run against what it began with: both checkpoints see the validation set, and images are told better or worse.
//!
//! Two processes `maskscope eval` keep their predictions in the run folder; they are opened beside each other as any two
//! prediction files, the start as A and the best checkpoint as B.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::thread::JoinHandle;

use super::Run;
use crate::coco::correspond::corresponding_labels;
use crate::coco::predictions::pair_paths;
use crate::document::evaluation::{Analysis, Side};
use crate::document::{Document, Notice, NoticeKind, Wake};
use crate::jobs::checkpoint;
use crate::jobs::train::launch::{self, LaunchError};
use crate::structures::ClassTable;

/// Folder of the predictions in a run folder.
const FOLDER: &str = "against_start";
/// Predictions of best checkpoints begin so; the checkpoint's name follows.
const BEST: &str = "best_";
/// Changes of IoU decide where counts are even; smaller ones are none.
const LEAST_IOU: f64 = 0.02;

/// The predictions of a run, each the prefix of two files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// The validation set.
    pub set: PathBuf,
    /// Predictions of what the run began with.
    pub start: PathBuf,
    /// Predictions of its best checkpoint; another one has others.
    pub best: PathBuf,
}

impl Pair {
    /// With both checkpoints. Asked in every frame: no disk is.
    fn of(run: &Run) -> Option<(Self, [PathBuf; 2])> {
        let set = run.validation_set()?.to_owned();
        let began = run.inputs.start_checkpoint.clone()?;
        let best = run.best_checkpoint()?;
        let folder = run.folder.join(FOLDER).join(folder_of(&set));
        let name = best.file_stem()?.to_string_lossy();
        let pair = Self {
            set,
            start: folder.join("start.json"),
            best: folder.join(format!("{BEST}{name}.json")),
        };
        Some((pair, [began, best]))
    }
}

/// Predictions for another set lie apart: a run may be resumed with one. Should the hash change with a later compiler, both checkpoints
/// run once more.
fn folder_of(set: &Path) -> String {
    let mut hasher = DefaultHasher::new();
    set.hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

/// Both checkpoints at work. Dropping it ends them.
struct Job {
    run: PathBuf,
    pair: Pair,
    done: Arc<AtomicUsize>,
    is_cancelled: Arc<AtomicBool>,
    answer: Receiver<Result<ClassTable, LaunchError>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Job {
    fn drop(&mut self) {
        self.is_cancelled.store(true, Ordering::Relaxed);
    }
}

/// Files that are to be shown as soon as their set is open.
struct Showing {
    pair: Pair,
    /// What the start knows; empty where it does not say.
    classes: ClassTable,
    is_asked: bool,
}

/// Comparisons with the start; one at a time.
#[derive(Default)]
pub struct Against {
    job: Option<Job>,
    showing: Option<Showing>,
    is_shown: bool,
    /// What is to be known of the comparison of a pair.
    note: Option<(Pair, String)>,
}

impl Against {
    /// Ends a comparison that is being made and waits until its process is gone; for the end of the program.
    pub fn finish(&mut self) {
        let Some(mut job) = self.job.take() else {
            return;
        };
        let thread = job.thread.take();
        drop(job);
        if let Some(thread) = thread {
            // What broke there has been logged.
            let _ = thread.join();
        }
    }
}

/// Images of a comparison, as positions in `Document::images`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Balance {
    /// More objects are found, or fewer false ones.
    pub better: Vec<usize>,
    /// The other way round.
    pub worse: Vec<usize>,
}

impl Balance {
    /// Of the comparison that is open; `None` while there is none.
    pub fn of(analysis: &Analysis) -> Option<Self> {
        let comparison = analysis.comparison.as_ref()?;
        let difference = &comparison.difference;
        let (a, b) = (
            &analysis.evaluation.base.input,
            &comparison.second.base.input,
        );
        let mut counts: BTreeMap<u32, (i64, f64)> = BTreeMap::new();
        let of_truth = |truth: u32| a.truths.get(truth as usize).map(|it| it.image);
        let truths = (difference.won.iter().map(|it| (it.truth, 1)))
            .chain(difference.lost.iter().map(|it| (it.truth, -1)));
        for (truth, by) in truths {
            if let Some(image) = of_truth(truth) {
                counts.entry(image).or_default().0 += by;
            }
        }
        let falsely = (difference.false_positives_gone.iter().map(|at| (a, at, 1)))
            .chain(difference.false_positives_new.iter().map(|at| (b, at, -1)));
        for (input, at, by) in falsely {
            if let Some(detection) = input.detections.get(*at as usize) {
                counts.entry(detection.image).or_default().0 += by;
            }
        }
        for change in &difference.changed {
            if let Some(image) = of_truth(change.truth) {
                counts.entry(image).or_default().1 += change.b.iou - change.a.iou;
            }
        }
        let mut balance = Self::default();
        for (image, (count, iou)) in counts {
            let Some(image) = a.images.get(image as usize) else {
                continue;
            };
            let by_iou = i64::from(iou > LEAST_IOU) - i64::from(iou < -LEAST_IOU);
            match if count == 0 { by_iou } else { count } {
                0 => {}
                1.. => balance.better.push(image.position),
                _ => balance.worse.push(image.position),
            }
        }
        Some(balance)
    }
}

fn work(
    program: &Path,
    pair: &Pair,
    checkpoints: &[PathBuf; 2],
    done: &AtomicUsize,
    is_cancelled: &dyn Fn() -> bool,
) -> Result<ClassTable, LaunchError> {
    for (checkpoint, output) in checkpoints.iter().zip([&pair.start, &pair.best]) {
        if !are_newer(output, checkpoint) {
            make_room(pair, output)?;
            let text = |path: &Path| path.to_string_lossy().into_owned();
            let words = [
                "eval".into(),
                "--checkpoint".into(),
                text(checkpoint),
                "--predictions".into(),
                text(output),
                text(&pair.set),
                "--quiet".into(),
            ];
            launch::answer(program, &words, is_cancelled)?;
        }
        done.fetch_add(1, Ordering::Relaxed);
    }
    // `eval` has just read it; where it does not say its classes, nothing is said of them.
    let inspected = checkpoint::inspect(&checkpoints[0]).ok();
    let names = inspected.and_then(|file| Some(file.model?.classes));
    Ok(ClassTable {
        names: names.unwrap_or_default(),
        category_ids: Vec::new(),
    })
}

/// A start of other classes finds nothing of them: every image would be better for that.
fn unknown_classes(start: &ClassTable, set: &ClassTable) -> Option<String> {
    if start.is_empty() {
        return None;
    }
    let labels = corresponding_labels(set, start, false);
    let is_unknown = |label: &usize| !labels.contains(&Some(*label));
    let unknown: Vec<String> = (0..set.len())
        .filter(is_unknown)
        .map(|label| set.name(label))
        .collect();
    let all = set.len();
    (!unknown.is_empty()).then(|| {
        format!(
            "The start does not know {} of the {all} classes ({}): whatever is found of them counts as better",
            unknown.len(),
            unknown.join(", ")
        )
    })
}

/// Whether both files of a prefix are there and were made after the weights.
fn are_newer(output: &Path, checkpoint: &Path) -> bool {
    let time = |path: &Path| std::fs::metadata(path).and_then(|it| it.modified()).ok();
    let is_newer = |file: &PathBuf| match (time(file), time(checkpoint)) {
        (Some(file), Some(checkpoint)) => file > checkpoint,
        _ => false,
    };
    pair_paths(output).iter().all(is_newer)
}

/// Removes what older weights predicted: `eval` reads predictions that it finds instead of running the model.
fn make_room(pair: &Pair, output: &Path) -> Result<(), LaunchError> {
    let refused = |path: &Path| {
        let path = path.to_owned();
        move |source| LaunchError::Write { path, source }
    };
    let folder = output.parent().unwrap_or(output);
    std::fs::create_dir_all(folder).map_err(refused(folder))?;
    for file in pair_paths(output) {
        match std::fs::remove_file(&file) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(refused(&file)(error)),
            _ => {}
        }
    }
    if *output != pair.best {
        return Ok(());
    }
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    for entry in entries {
        if entry.file_name().to_string_lossy().starts_with(BEST) {
            // Nobody reads those of an earlier best checkpoint.
            let _ = std::fs::remove_file(entry.path());
        }
    }
    Ok(())
}

impl Document {
    /// Whether a run can be compared with its start: both checkpoints and the validation set are there.
    pub fn can_compare_with_start(&self, run: &Run) -> bool {
        self.training.against.job.is_none() && Pair::of(run).is_some()
    }

    /// Has both checkpoints of a run see its validation set, then opens what they found beside each other.
    pub fn compare_with_start(&mut self, folder: &Path) {
        let found = self.training.run(folder).and_then(Pair::of);
        let Some((pair, checkpoints)) = found else {
            return;
        };
        let (sender, answer) = channel();
        let done = Arc::new(AtomicUsize::new(0));
        let is_cancelled = Arc::new(AtomicBool::new(false));
        let mut job = Job {
            run: folder.to_owned(),
            pair: pair.clone(),
            done: Arc::clone(&done),
            is_cancelled: Arc::clone(&is_cancelled),
            answer,
            thread: None,
        };
        let wake: Wake = Arc::clone(&self.wake);
        let started = self.training.options.program().and_then(|program| {
            let work = move || {
                let is_cancelled = || is_cancelled.load(Ordering::Relaxed);
                let result = work(&program, &pair, &checkpoints, &done, &is_cancelled);
                // The receiver is gone when the answer is no longer wanted.
                let _ = sender.send(result);
                wake();
            };
            let thread = std::thread::Builder::new().name("against the start".into());
            thread.spawn(work)
        });
        match started {
            Ok(thread) => {
                job.thread = Some(thread);
                self.training.against.job = Some(job);
            }
            Err(error) => {
                let text = format!("the comparison cannot be started: {error}");
                self.notices.push(Notice::new(NoticeKind::Error, text));
            }
        }
    }

    /// The run that is being compared, and how many of its two checkpoints are done.
    pub fn comparing_with_start(&self) -> Option<(&Path, usize)> {
        let job = self.training.against.job.as_ref()?;
        Some((&job.run, job.done.load(Ordering::Relaxed)))
    }

    /// Ends a comparison that is being made.
    pub fn cancel_comparison_with_start(&mut self) {
        self.training.against.job = None;
    }

    /// The analysis, where the open predictions are those of this run and its start.
    pub fn analysis_against_start(&self, run: &Run) -> Option<&Analysis> {
        let (start, second) = (self.predictions_path()?, self.second()?);
        let (pair, _) = Pair::of(run)?;
        let is_shown = *start == pair.start && second.path == pair.best;
        self.analysis().filter(|_| is_shown)
    }

    /// What is to be known of the comparison of this run, where it is open.
    pub fn note_against_start(&self, run: &Run) -> Option<&str> {
        let (pair, note) = self.training.against.note.as_ref()?;
        let (own, _) = Pair::of(run)?;
        (own == *pair).then_some(note)
    }

    /// A comparison was opened since the last call, to be shown.
    pub fn take_shown_comparison(&mut self) -> bool {
        std::mem::take(&mut self.training.against.is_shown)
    }

    pub(super) fn take_against(&mut self) {
        if let Some(job) = &self.training.against.job {
            let result = match job.answer.try_recv() {
                Ok(result) => result.map_err(|error| error.to_string()),
                Err(TryRecvError::Empty) => return,
                Err(TryRecvError::Disconnected) => {
                    Err("its thread broke; the log holds the details".into())
                }
            };
            match result {
                Ok(classes) => {
                    self.training.against.showing = Some(Showing {
                        pair: job.pair.clone(),
                        classes,
                        is_asked: false,
                    });
                }
                Err(error) => {
                    let text = format!("The comparison with the start failed: {error}");
                    self.notices.push(Notice::new(NoticeKind::Error, text));
                }
            }
            self.training.against.job = None;
        }
        self.show_comparison();
    }

    /// Opens the set, then both files beside it.
    fn show_comparison(&mut self) {
        if self.opening().is_some() {
            return;
        }
        let Some(mut showing) = self.training.against.showing.take() else {
            return;
        };
        let is_open = self.has_truth()
            && (self.source.as_ref()).is_some_and(|source| source.path == showing.pair.set);
        if is_open {
            let set = self.dataset.as_ref().map(|set| set.classes());
            let note = set.and_then(|set| unknown_classes(&showing.classes, set));
            self.training.against.note = note.map(|note| (showing.pair.clone(), note));
            self.attach_predictions(&showing.pair.start, Side::A);
            self.attach_predictions(&showing.pair.best, Side::B);
            self.training.against.is_shown = true;
        } else if !showing.is_asked {
            self.open(&showing.pair.set);
            showing.is_asked = true;
            self.training.against.showing = Some(showing);
        }
        // Else the set could not be opened, which was told.
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_start_does_not_know_is_told() {
        let table = |names: &[&str]| ClassTable {
            names: names.iter().map(ToString::to_string).collect(),
            category_ids: Vec::new(),
        };
        let set = table(&["disc", "moon"]);
        assert_eq!(unknown_classes(&set, &set), None);
        // Classes without a name in common, but as many: by their order, as `eval` takes them.
        assert_eq!(unknown_classes(&table(&["a", "b"]), &set), None);
        let told = unknown_classes(&table(&["moon", "star", "ring"]), &set);
        assert!(told.is_some_and(|it| it.contains("1 of the 2 classes (disc)")));
        assert_eq!(unknown_classes(&table(&[]), &set), None);
    }

    #[test]
    fn predictions_of_another_set_lie_apart() {
        let of = |set: &str| folder_of(Path::new(set));
        assert_eq!(of("/sets/a"), of("/sets/a"));
        assert_ne!(of("/sets/a"), of("/sets/b"));
    }
}
