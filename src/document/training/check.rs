//! The preflight of what the dialog holds, as a child process that a thread waits for.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::draft::{Configured, FineTune};
use crate::document::Wake;
use crate::jobs::train::launch::{self, LaunchError};
use crate::jobs::train::records::{PreflightReport, Severity};

/// So long the fields must rest before they are checked.
const REST: Duration = Duration::from_millis(500);

/// A finished preflight.
#[derive(Clone, Debug)]
pub struct Found {
    /// `FineTune::data_key` of what was checked.
    data_key: String,
    /// All arguments of what was checked.
    arguments: Vec<String>,
    /// The report, or why there is none.
    pub result: Result<Arc<PreflightReport>, String>,
}

enum Answer {
    Configured(Option<Configured>),
    Done(Result<PreflightReport, LaunchError>),
}

/// A preflight that runs. Dropping it ends its process.
struct Check {
    data_key: String,
    arguments: Vec<String>,
    with_trial: bool,
    is_cancelled: Arc<AtomicBool>,
    answer: Receiver<Answer>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Check {
    fn drop(&mut self) {
        self.is_cancelled.store(true, Ordering::Relaxed);
    }
}

/// Preflights of the dialog: one runs, the last one that ended is shown.
#[derive(Default)]
pub struct Checks {
    running: Option<Check>,
    found: Option<Found>,
    configured: Option<Configured>,
    /// What the fields stood for when a check was cancelled: it does not start again by itself.
    cancelled: Option<Vec<String>>,
    /// What the fields stand for, and since when.
    seen: Option<(Vec<String>, Instant)>,
}

impl Checks {
    /// The last one that ended.
    pub fn found(&self) -> Option<&Found> {
        self.found.as_ref()
    }

    /// Whether one runs; with its trial or without.
    pub fn running(&self) -> Option<bool> {
        self.running.as_ref().map(|check| check.with_trial)
    }

    /// What the configuration says where fields are empty, as far as it is known.
    pub fn configured(&self) -> Option<&Configured> {
        self.configured.as_ref()
    }

    /// Whether the last one was of other values.
    pub fn is_stale(&self, draft: &FineTune) -> bool {
        let found = self.found.as_ref();
        found.is_some_and(|found| found.arguments != draft.arguments())
    }

    /// Why a run of this draft may not start; `None`: it may.
    pub fn blocker(&self, draft: &FineTune) -> Option<String> {
        if let Some((_, text)) = draft.problems().into_iter().next() {
            return Some(text);
        }
        let found = self.found.as_ref();
        let Some(found) = found.filter(|found| found.data_key == draft.data_key()) else {
            let is_left = self.running.is_none() && self.is_cancelled(&draft.arguments());
            return Some(match is_left {
                true => "The check was cancelled: check the sets first".into(),
                false => "The sets are being checked".into(),
            });
        };
        match &found.result {
            Err(error) => Some(format!("The check failed: {error}")),
            Ok(report) => match errors(report) {
                0 => None,
                1 => Some("The check found an error: mend it first".into()),
                many => Some(format!("The check found {many} errors: mend them first")),
            },
        }
    }

    /// When a check is to start by itself, where the sets are complete and the last check was of others: once the fields
    /// have rested. Zero: now.
    pub fn due_in(&mut self, draft: &FineTune) -> Option<Duration> {
        let arguments = draft.arguments();
        if self
            .seen
            .as_ref()
            .is_none_or(|(seen, _)| *seen != arguments)
        {
            self.seen = Some((arguments.clone(), Instant::now()));
        }
        let (_, since) = self.seen.as_ref()?;
        if !self.is_due(draft, &arguments) {
            return None;
        }
        Some(REST.saturating_sub(since.elapsed()))
    }

    /// Other sets are checked by themselves; after errors any change is.
    fn is_due(&self, draft: &FineTune, arguments: &[String]) -> bool {
        if !draft.problems().is_empty() {
            return false;
        }
        let data_key = draft.data_key();
        if let Some(running) = &self.running {
            return running.data_key != data_key;
        }
        if self.is_cancelled(arguments) {
            return false;
        }
        match &self.found {
            None => true,
            Some(found) => {
                let failed = match &found.result {
                    Ok(report) => errors(report) > 0,
                    Err(_) => true,
                };
                found.data_key != data_key || (failed && found.arguments != arguments)
            }
        }
    }

    fn is_cancelled(&self, arguments: &[String]) -> bool {
        self.cancelled.as_deref() == Some(arguments)
    }

    /// Starts a check in place of one that runs.
    pub fn start(
        &mut self,
        program: PathBuf,
        draft: &FineTune,
        with_trial: bool,
        wake: Wake,
    ) -> std::io::Result<()> {
        let is_cancelled = Arc::new(AtomicBool::new(false));
        let (sender, answer) = channel();
        let arguments = draft.arguments();
        let mut words = arguments.clone();
        words.extend(["--preflight".into(), "--json".into()]);
        if with_trial {
            words.push("--trial".into());
        }
        let (config, of_thread) = (draft.config.clone(), Arc::clone(&is_cancelled));
        self.running = None; // ends the one before
        self.cancelled = None;
        let thread = std::thread::Builder::new()
            .name("preflight".into())
            .spawn(move || {
                // The receiver is gone when the answer is no longer wanted.
                let _ = sender.send(Answer::Configured(Configured::read(&config)));
                let is_cancelled = || of_thread.load(Ordering::Relaxed);
                let report = launch::preflight(&program, &words, &is_cancelled);
                let _ = sender.send(Answer::Done(report));
                wake();
            })?;
        self.running = Some(Check {
            data_key: draft.data_key(),
            arguments,
            with_trial,
            is_cancelled,
            answer,
            thread: Some(thread),
        });
        Ok(())
    }

    /// Ends a check that runs. None starts by itself until the draft is another.
    pub fn cancel(&mut self, draft: &FineTune) {
        if self.running.take().is_some() {
            self.cancelled = Some(draft.arguments());
        }
    }

    /// Ends a check that runs and waits until its process is gone; for the end of the program, not for a frame.
    pub fn finish(&mut self) {
        let Some(mut check) = self.running.take() else {
            return;
        };
        let thread = check.thread.take();
        drop(check);
        if let Some(thread) = thread {
            // What broke there has been logged.
            let _ = thread.join();
        }
    }

    /// Takes in what the thread found.
    pub fn poll(&mut self) {
        let Some(check) = &self.running else { return };
        let result = match check.answer.try_recv() {
            Ok(Answer::Configured(configured)) => {
                self.configured = configured;
                return self.poll();
            }
            Ok(Answer::Done(result)) => result.map(Arc::new).map_err(|error| error.to_string()),
            Err(TryRecvError::Empty) => return,
            Err(TryRecvError::Disconnected) => {
                Err("the check broke; the log holds the details".to_owned())
            }
        };
        self.found = Some(Found {
            data_key: check.data_key.clone(),
            arguments: check.arguments.clone(),
            result,
        });
        self.running = None;
    }
}

fn errors(report: &PreflightReport) -> usize {
    let errors = report.findings.iter();
    errors
        .filter(|finding| finding.severity == Severity::Error)
        .count()
}
