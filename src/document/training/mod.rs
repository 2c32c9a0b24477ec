//! Training: runs under the known output folders, processes that were started, the draft of a new run and its preflight.
//!
//! Runs are processes of their own. Nothing here waits for them: a thread watches their folders, and finds them again
//! after the window was closed.

mod against;
mod check;
mod draft;
mod run;
mod series;
mod worker;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::{Document, Notice, NoticeKind, Wake};
use worker::{Event, Request, Worker};

pub use crate::jobs::train::records::{
    ClassCount, EvalRecord, Finding, PreflightReport, Proposal, RunRecord, Severity, StepRecord,
};
pub use against::Balance;
pub use check::{Checks, Found};
pub use draft::{Beginning, Configured, Field, FineTune, PRESETS, Validation, scaled_lr};
pub use run::{Condition, Run, RunDetails};
pub use series::{ApKind, CurveOptions, Over, Quantity, RunSeries};

/// Events of a frame: a long run comes in large parts, and a frame takes a few milliseconds.
const EVENTS: usize = 12;

/// How training processes are started.
#[derive(Clone, Debug, Default)]
pub struct TrainerOptions {
    /// The program; this one where `None`.
    pub program: Option<PathBuf>,
    /// Where started processes leave what they say; the user's folder for such things where `None`.
    pub state: Option<PathBuf>,
}

impl TrainerOptions {
    fn program(&self) -> std::io::Result<PathBuf> {
        match &self.program {
            Some(program) => Ok(program.clone()),
            None => std::env::current_exe(),
        }
    }

    fn state(&self) -> PathBuf {
        let own = || {
            let dirs = directories::ProjectDirs::from("", "", "maskscope")?;
            Some(dirs.state_dir().unwrap_or(dirs.cache_dir()).join("runs"))
        };
        let state = self.state.clone().or_else(own);
        state.unwrap_or_else(|| std::env::temp_dir().join("maskscope-runs"))
    }
}

/// A process that has no run folder yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Launching {
    number: u64,
    /// As lists name it.
    pub label: String,
}

/// See the module's documentation.
#[derive(Default)]
pub struct Training {
    options: TrainerOptions,
    worker: Option<Worker>,
    watched: Vec<PathBuf>,
    has_looked: bool,
    runs: Vec<Run>,
    complaints: Vec<(PathBuf, String)>,
    launching: Vec<Launching>,
    launches: u64,
    /// A run that was started here and is to be shown.
    started: Option<PathBuf>,
    draft: FineTune,
    checks: Checks,
    against: against::Against,
}

impl Training {
    /// All known runs, newest first.
    pub fn runs(&self) -> &[Run] {
        &self.runs
    }

    /// Whether all runs of the known folders were found; before, some are missing.
    pub fn has_looked(&self) -> bool {
        self.has_looked
    }

    /// A run by its folder.
    pub fn run(&self, folder: &Path) -> Option<&Run> {
        self.runs.iter().find(|run| run.folder == folder)
    }

    /// Processes that have no run folder yet.
    pub fn launching(&self) -> &[Launching] {
        &self.launching
    }

    /// Folders that cannot be watched, and why.
    pub fn complaints(&self) -> &[(PathBuf, String)] {
        &self.complaints
    }

    /// What the dialog holds.
    pub fn draft(&self) -> &FineTune {
        &self.draft
    }

    /// Its preflights.
    pub fn checks(&self) -> &Checks {
        &self.checks
    }

    /// Why the draft may not start.
    pub fn blocker(&self) -> Option<String> {
        self.checks.blocker(&self.draft)
    }

    /// A run that was started since the last call.
    pub fn take_started(&mut self) -> Option<PathBuf> {
        self.started.take()
    }

    fn worker(&mut self, wake: &Wake) -> Option<&Worker> {
        if self.worker.is_none() {
            match Worker::start(self.options.state(), Arc::clone(wake)) {
                Ok(worker) => self.worker = Some(worker),
                Err(error) => log::error!("cannot start a thread: {error}"),
            }
        }
        self.worker.as_ref()
    }

    /// Watches these folders.
    fn watch(&mut self, folders: &[PathBuf], wake: &Wake) {
        if self.watched == folders {
            return;
        }
        self.watched = folders.to_vec();
        if let Some(worker) = self.worker(wake) {
            worker.ask(Request::Folders(folders.to_vec()));
        }
    }

    /// The run of a folder; entered where it is new.
    fn entry(&mut self, folder: PathBuf) -> &mut Run {
        let at = match self.runs.iter().position(|run| run.folder == folder) {
            Some(at) => at,
            None => {
                self.runs.push(Run::new(folder));
                self.runs.len() - 1
            }
        };
        &mut self.runs[at]
    }

    /// Newest first; those that tell no time, last.
    fn sort(&mut self) {
        let started = |run: &Run| run.record.as_ref().map_or(0.0, |record| record.started);
        self.runs.sort_by(|a, b| {
            let order = started(b).total_cmp(&started(a));
            order.then_with(|| b.name.cmp(&a.name))
        });
    }

    fn take(&mut self, event: Event, notices: &mut Vec<Notice>, folders: &mut Vec<PathBuf>) {
        match event {
            Event::Run {
                folder,
                record,
                is_alive,
                is_stopping,
            } => {
                let run = self.entry(folder);
                let before = run.condition;
                match record {
                    Ok(record) => {
                        run.condition = Condition::of(record.state, is_alive);
                        (run.record, run.damage) = (Some(*record), None);
                    }
                    Err(error) => {
                        run.damage = Some(error);
                        run.condition = Condition::Unreadable;
                    }
                }
                run.is_stopping = is_stopping && run.condition.is_live();
                notices.extend(ended(run, before));
                self.sort();
            }
            Event::Metrics(folder, part) => {
                let run = self.entry(folder);
                if part.restarted {
                    run.series = RunSeries::default();
                    run.refused = 0;
                }
                for line in part.lines {
                    run.series.push(line);
                }
                run.refused += part.refused;
                run.revision += 1;
            }
            Event::Details(folder, details) => self.entry(folder).details = Some(*details),
            Event::Looked => self.has_looked = true,
            Event::Gone(folder) => self.runs.retain(|run| run.folder != folder),
            Event::Deleted(folder) => {
                self.runs.retain(|run| run.folder != folder);
                let text = format!("{} is deleted", folder.display());
                notices.push(Notice::new(NoticeKind::Info, text));
            }
            Event::Folder(folder, complaint) => {
                self.complaints.retain(|(known, _)| *known != folder);
                self.complaints.extend(complaint.map(|it| (folder, it)));
            }
            Event::Launched(number, run) => {
                self.launching.retain(|it| it.number != number);
                let parent = run.parent().unwrap_or(&run).to_owned();
                if !folders.contains(&parent) && !folders.contains(&run) {
                    folders.insert(0, parent);
                }
                self.started = Some(run);
            }
            Event::LaunchFailed(number, error) => {
                self.launching.retain(|it| it.number != number);
                notices.push(refused("The training did not start", &error));
            }
            Event::Refused(error) => {
                notices.push(Notice::new(NoticeKind::Error, error.to_string()));
            }
        }
    }
}

fn refused(what: &str, error: &crate::jobs::train::launch::LaunchError) -> Notice {
    use crate::jobs::train::launch::LaunchError;
    let details = match error {
        LaunchError::Ended { said, .. } => said.clone(),
        _ => String::new(),
    };
    Notice::new(NoticeKind::Error, format!("{what}: {error}")).with_details(details)
}

/// What is told when a run that was seen alive has ended.
fn ended(run: &Run, before: Condition) -> Option<Notice> {
    if !before.is_live() || run.condition.is_live() {
        return None;
    }
    let name = &run.name;
    let message = run.record.as_ref().and_then(|it| it.message.clone());
    let (kind, text) = match run.condition {
        Condition::Finished => (NoticeKind::Info, format!("{name} has finished")),
        Condition::Stopped => (NoticeKind::Info, format!("{name} has stopped")),
        Condition::Failed => (NoticeKind::Error, format!("{name} has failed")),
        _ => (NoticeKind::Warning, format!("{name} was interrupted")),
    };
    Some(Notice::new(kind, text).with_details(message.unwrap_or_default()))
}

impl Document {
    /// Runs, the draft of a new one, its preflight.
    pub fn training(&self) -> &Training {
        &self.training
    }

    /// How training processes are started; before the first of them.
    pub fn set_trainer(&mut self, options: TrainerOptions) {
        self.training.options = options;
    }

    /// What the dialog holds, to be changed by it.
    pub fn draft_mut(&mut self) -> &mut FineTune {
        &mut self.training.draft
    }

    /// A run that was started since the last call, to be shown.
    pub fn take_started_run(&mut self) -> Option<PathBuf> {
        self.training.take_started()
    }

    /// Fills what the draft leaves open from what is open in the window.
    pub fn prepare_draft(&mut self) {
        use super::{ModelState, SourceKind};
        let open = self.source.as_ref().filter(|source| {
            matches!(source.kind, SourceKind::CocoSet | SourceKind::Demo) && self.has_truth()
        });
        let open = open.map(|source| source.path.display().to_string());
        let checkpoint = match &self.model {
            ModelState::None | ModelState::Failed(..) => {
                self.settings.recent_checkpoints.first().cloned()
            }
            ModelState::Chosen(path) | ModelState::Loading(path) => Some(path.clone()),
            ModelState::Ready(summary) => Some(summary.checkpoint.clone()),
        };
        let output = self.settings.run_folders.first().cloned();
        let output = output.or_else(default_output);
        let draft = &mut self.training.draft;
        let fill = |field: &mut String, value: Option<String>| {
            if field.trim().is_empty() {
                *field = value.unwrap_or_default();
            }
        };
        let text = |path: PathBuf| path.display().to_string();
        fill(&mut draft.train_data, open);
        fill(&mut draft.checkpoint, checkpoint.map(text));
        fill(&mut draft.output, output.map(text));
    }

    /// Watches the runs of a folder from now on, also after the next start.
    pub fn add_run_folder(&mut self, folder: &Path) {
        let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
        let folders = &mut self.settings.run_folders;
        folders.retain(|known| *known != folder);
        folders.insert(0, folder);
    }

    /// No longer shows the runs of a folder; they stay where they are.
    pub fn forget_run_folder(&mut self, folder: &Path) {
        self.settings.run_folders.retain(|known| known != folder);
    }

    /// Reads all about this run.
    pub fn select_run(&mut self, folder: Option<&Path>) {
        if let Some(worker) = self.training.worker(&self.wake) {
            worker.ask(Request::Select(folder.map(Path::to_owned)));
        }
    }

    /// Starts the run of the draft where nothing speaks against it.
    pub fn start_training(&mut self) -> bool {
        if self.training.blocker().is_some() {
            return false;
        }
        self.training.checks.cancel();
        let draft = self.training.draft.clone();
        self.add_run_folder(Path::new(draft.output.trim()));
        let label = match draft.brief.trim() {
            "" => "New run".to_owned(),
            brief => brief.to_owned(),
        };
        self.launch(label, draft.arguments(), None);
        true
    }

    /// Has a run go on from its last checkpoint.
    pub fn resume_run(&mut self, folder: &Path) {
        let Some(run) = self.training.run(folder).filter(|run| run.can_resume()) else {
            return;
        };
        let words = ["train", "--resume", &folder.to_string_lossy()].map(str::to_owned);
        let label = run.name.clone();
        self.launch(label, words.to_vec(), Some(folder.to_owned()));
    }

    fn launch(&mut self, label: String, arguments: Vec<String>, resumes: Option<PathBuf>) {
        let program = match self.training.options.program() {
            Ok(program) => program,
            Err(error) => {
                let text = format!("the program does not know its own path: {error}");
                self.notices.push(Notice::new(NoticeKind::Error, text));
                return;
            }
        };
        self.training.launches += 1;
        let number = self.training.launches;
        self.training.launching.push(Launching { number, label });
        if let Some(worker) = self.training.worker(&self.wake) {
            worker.ask(Request::Launch {
                number,
                program,
                arguments,
                resumes,
            });
        }
    }

    /// Asks a run to finish its step, save and end.
    pub fn stop_run(&mut self, folder: &Path) {
        if let Some(worker) = self.training.worker(&self.wake) {
            worker.ask(Request::Stop(folder.to_owned()));
        }
    }

    /// Deletes a run that does not live, with all its files.
    pub fn delete_run(&mut self, folder: &Path) {
        if let Some(worker) = self.training.worker(&self.wake) {
            worker.ask(Request::Delete(folder.to_owned()));
        }
    }

    /// Checks the draft; with a trial a few steps are taken to measure time and memory.
    pub fn check_draft(&mut self, with_trial: bool) {
        let training = &mut self.training;
        let started = training.options.program().and_then(|program| {
            let wake = Arc::clone(&self.wake);
            (training.checks).start(program, &training.draft, with_trial, wake)
        });
        if let Err(error) = started {
            let text = format!("the check cannot be started: {error}");
            self.notices.push(Notice::new(NoticeKind::Error, text));
        }
    }

    /// Ends a check that runs.
    pub fn cancel_check_of_draft(&mut self) {
        self.training.checks.cancel();
    }

    /// Checks the draft by itself once other sets were chosen and the fields rest. Call it while the dialog is open;
    /// returns when to call it again at the latest.
    pub fn tend_draft(&mut self) -> Option<Duration> {
        let training = &mut self.training;
        let wait = training.checks.due_in(&training.draft)?;
        if wait.is_zero() {
            self.check_draft(false);
            return None;
        }
        Some(wait)
    }

    /// The best checkpoint of a run, on its validation set where there is one.
    pub fn open_best_checkpoint(&mut self, folder: &Path) {
        let Some(run) = self.training.run(folder) else {
            return;
        };
        let Some(checkpoint) = run.best_checkpoint() else {
            return;
        };
        let set = run.validation_set().map(Path::to_owned);
        match set {
            Some(set) => {
                // The set runs it as soon as it is open; until then nothing else is to be run.
                self.close();
                self.choose_checkpoint(&checkpoint);
                self.open(&set);
            }
            None => self.choose_checkpoint(&checkpoint),
        }
    }

    /// Ends checks and comparisons, which are of use to the window alone; runs go on. For the end of the program: it waits
    /// until the processes are gone.
    pub fn finish_training(&mut self) {
        self.training.checks.finish();
        self.training.against.finish();
    }

    pub(super) fn take_training(&mut self) {
        self.training.checks.poll();
        let mut folders = std::mem::take(&mut self.settings.run_folders);
        let events: Vec<Event> = match &self.training.worker {
            Some(worker) => worker.events().take(EVENTS).collect(),
            None => Vec::new(),
        };
        if events.len() == EVENTS {
            (self.wake)();
        }
        for event in events {
            self.training.take(event, &mut self.notices, &mut folders);
        }
        self.training.watch(&folders, &self.wake);
        self.settings.run_folders = folders;
        self.take_against();
    }
}

/// Where runs go when nothing else was chosen before.
fn default_output() -> Option<PathBuf> {
    let dirs = directories::UserDirs::new()?;
    Some(dirs.home_dir().join("maskscope-runs"))
}
