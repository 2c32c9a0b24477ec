//! Training: runs under the known output folders, processes that were started, the draft of a new run and its preflight.
//!
//! Runs are processes of their own. Nothing here waits for them: a thread watches their folders, and finds them again
//! after the window was closed.

mod actions;
mod against;
mod check;
mod draft;
mod run;
mod series;
mod worker;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Notice, NoticeKind, Wake};
use worker::{Event, Request, Worker};

pub use crate::jobs::train::records::{
    ClassCount, EvalRecord, Finding, PreflightReport, Proposal, RunRecord, Severity, StepRecord,
};
pub use against::Balance;
pub use check::{Checks, Found};
pub use draft::{Beginning, Configured, Field, FineTune, PRESETS, Validation, scaled_lr};
pub use run::{Condition, Run, RunDetails, RunInputs};
pub use series::{ApKind, CurveOptions, Over, Quantity, RunSeries};

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
    /// The run that goes on.
    resumes: Option<PathBuf>,
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

    /// Whether a process was started for this run and has not told its folder yet.
    pub fn is_resuming(&self, folder: &Path) -> bool {
        let resumes = |it: &Launching| it.resumes.as_deref() == Some(folder);
        self.launching.iter().any(resumes)
    }

    /// Whether this run can go on and no process is on its way to do so.
    pub fn can_resume(&self, run: &Run) -> bool {
        run.can_resume() && !self.is_resuming(&run.folder)
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
        self.complaints
            .retain(|(folder, _)| folders.contains(folder));
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

    fn set_death(&mut self, folder: &Path, death: Option<String>) {
        // The folder may not be watched.
        if let Some(run) = self.runs.iter_mut().find(|run| run.folder == folder) {
            run.death = death;
        }
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
                inputs,
                is_alive,
                is_stopping,
            } => {
                let run = self.entry(folder);
                let before = run.condition;
                if is_alive {
                    run.death = None;
                }
                (run.inputs, run.is_alive) = (inputs, is_alive);
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
                // It may have been said before the thread heard that the folder is hidden.
                if self.watched.contains(&folder) {
                    self.complaints.extend(complaint.map(|it| (folder, it)));
                }
            }
            Event::Launched(number, run) => {
                self.launching.retain(|it| it.number != number);
                self.set_death(&run, None);
                let parent = run.parent().unwrap_or(&run).to_owned();
                if !folders.contains(&parent) && !folders.contains(&run) {
                    folders.insert(0, parent);
                }
                self.started = Some(run);
            }
            Event::Died(folder, death) => self.set_death(&folder, Some(death)),
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
