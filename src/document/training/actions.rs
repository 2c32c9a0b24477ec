//! What the document can do about training: the draft, its check, starting, stopping and deleting runs.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::worker::{Event, Request};
use super::{FineTune, Launching, TrainerOptions, Training};
use crate::document::{Document, ModelState, Notice, NoticeKind, SourceKind};
use crate::jobs::device;

/// Events of a frame: a long run comes in large parts, and a frame takes a few milliseconds.
const EVENTS: usize = 12;

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
        self.training.checks.cancel(&self.training.draft);
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
        let run = self.training.run(folder);
        let Some(run) = run.filter(|run| self.training.can_resume(run)) else {
            return;
        };
        let words = ["train", "--resume", &folder.to_string_lossy()].map(str::to_owned);
        let mut words = words.to_vec();
        // On the device that it ran on: its losses go on to the last bit there alone.
        let ran_on = run.record.as_ref().map(|record| &*record.device);
        if let Some(device) = ran_on.and_then(device::described) {
            words.extend(["--device".to_owned(), device]);
        }
        let label = run.name.clone();
        self.launch(label, words, Some(folder.to_owned()));
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
        self.training.launching.push(Launching {
            number,
            label,
            resumes: resumes.clone(),
        });
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
        self.training.checks.cancel(&self.training.draft);
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

    pub(in crate::document) fn take_training(&mut self) {
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
