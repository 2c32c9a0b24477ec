//! The thread that watches run folders, starts processes and carries out what is asked about runs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::time::{Duration, SystemTime};

use super::run::{RunDetails, RunInputs};
use crate::document::Wake;
use crate::jobs::train::launch::{self, LaunchError, Launched};
use crate::jobs::train::metrics_file::{MetricsPart, MetricsReader};
use crate::jobs::train::records::RunRecord;
use crate::jobs::train::runs;

/// From look to look while something trains.
const LIVELY: Duration = Duration::from_millis(500);
/// The same while nothing does.
const QUIET: Duration = Duration::from_millis(1_500);
/// Events that wait for the window; a long run comes in parts and waits for it.
const WAITING: usize = 64;

/// What the thread is asked for.
pub enum Request {
    /// Watch the runs of these folders.
    Folders(Vec<PathBuf>),
    /// Read all about this run.
    Select(Option<PathBuf>),
    /// Start `program` with these arguments.
    Launch {
        /// To know its end by.
        number: u64,
        /// What runs.
        program: PathBuf,
        /// Without `--run-record`.
        arguments: Vec<String>,
        /// A run that goes on.
        resumes: Option<PathBuf>,
    },
    /// Ask a run to end.
    Stop(PathBuf),
    /// Delete a run that does not live.
    Delete(PathBuf),
}

/// What the thread found.
pub enum Event {
    /// A run is new, or says something new.
    Run {
        /// Its folder.
        folder: PathBuf,
        /// What it says, or why that cannot be read.
        record: Result<Box<RunRecord>, String>,
        /// What is there of its sets and weights.
        inputs: RunInputs,
        /// Its process lives.
        is_alive: bool,
        /// It was asked to end.
        is_stopping: bool,
    },
    /// Lines of its metrics.
    Metrics(PathBuf, MetricsPart),
    /// What is read of the selected run.
    Details(PathBuf, Box<RunDetails>),
    /// A run is no longer there.
    Gone(PathBuf),
    /// Why a folder cannot be watched; `None`: it can.
    Folder(PathBuf, Option<String>),
    /// All runs of the folders have been told once.
    Looked,
    /// A started process has a run folder.
    Launched(u64, PathBuf),
    /// A started process ended with an error or was killed: how.
    Died(PathBuf, String),
    /// A started process has none.
    LaunchFailed(u64, LaunchError),
    /// A request was refused.
    Refused(LaunchError),
    /// A run was deleted.
    Deleted(PathBuf),
}

/// The thread's other end. Dropping it ends the thread; started processes go on.
pub struct Worker {
    requests: Sender<Request>,
    events: Receiver<Event>,
}

impl Worker {
    /// Starts the thread. `state` is where started processes leave what they say.
    pub fn start(state: PathBuf, wake: Wake) -> std::io::Result<Self> {
        let (requests, asked) = channel();
        let (sender, events) = sync_channel(WAITING);
        let mut watch = Watch {
            state,
            wake,
            sender,
            folders: Vec::new(),
            complaints: BTreeMap::new(),
            runs: BTreeMap::new(),
            selected: None,
            children: Vec::new(),
            has_looked: true,
        };
        std::thread::Builder::new()
            .name("training runs".into())
            .spawn(move || watch.work(&asked))?;
        Ok(Self { requests, events })
    }

    /// Asks for something.
    pub fn ask(&self, request: Request) {
        // The thread ends only with this.
        let _ = self.requests.send(request);
    }

    /// What it has found since the last call.
    pub fn events(&self) -> impl Iterator<Item = Event> {
        self.events.try_iter()
    }
}

/// Nobody listens any more.
struct Closed;

/// A run that is watched.
struct Watched {
    metrics: MetricsReader,
    metrics_stamp: Option<Stamp>,
    seen: Option<Seen>,
    /// By the newest record that could be read.
    named: RunInputs,
    details: Option<RunDetails>,
}

type Stamp = (SystemTime, u64);

/// What an event told last.
#[derive(Clone, PartialEq)]
struct Seen {
    record: Option<Stamp>,
    inputs: RunInputs,
    is_alive: bool,
    is_stopping: bool,
}

struct Child {
    number: u64,
    launched: Launched,
    /// Its run folder, once it has named it.
    run: Option<PathBuf>,
}

struct Watch {
    state: PathBuf,
    wake: Wake,
    sender: SyncSender<Event>,
    folders: Vec<PathBuf>,
    complaints: BTreeMap<PathBuf, Option<String>>,
    runs: BTreeMap<PathBuf, Watched>,
    selected: Option<PathBuf>,
    children: Vec<Child>,
    /// At the folders that are watched now.
    has_looked: bool,
}

impl Watch {
    fn work(&mut self, asked: &Receiver<Request>) {
        let mut wait = LIVELY;
        loop {
            let request = match asked.recv_timeout(wait) {
                Ok(request) => Some(request),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            // What was asked at once is done before the next look.
            for request in request.into_iter().chain(asked.try_iter()) {
                if self.carry_out(request).is_err() {
                    return;
                }
            }
            match self.look() {
                Ok(is_lively) => wait = if is_lively { LIVELY } else { QUIET },
                Err(Closed) => return,
            }
        }
    }

    fn tell(&self, event: Event) -> Result<(), Closed> {
        self.sender.send(event).map_err(|_| Closed)?;
        (self.wake)();
        Ok(())
    }

    fn carry_out(&mut self, request: Request) -> Result<(), Closed> {
        match request {
            Request::Folders(folders) => {
                self.folders = folders;
                // Of a folder that comes back it is told again.
                self.complaints
                    .retain(|folder, _| self.folders.contains(folder));
                self.has_looked = false;
            }
            Request::Select(run) => {
                self.selected = run;
                for watched in self.runs.values_mut() {
                    watched.details = None;
                }
            }
            Request::Launch {
                number,
                program,
                arguments,
                resumes,
            } => {
                if let Some(run) = resumes {
                    launch::forget_stop(&run);
                }
                match launch::start(&program, &arguments, &self.state) {
                    Ok(launched) => self.children.push(Child {
                        number,
                        launched,
                        run: None,
                    }),
                    Err(error) => self.tell(Event::LaunchFailed(number, error))?,
                }
            }
            Request::Stop(run) => {
                if let Err(error) = launch::ask_to_stop(&run) {
                    self.tell(Event::Refused(error))?;
                }
            }
            Request::Delete(run) => match launch::delete(&run) {
                Ok(()) => self.tell(Event::Deleted(run))?,
                Err(error) => self.tell(Event::Refused(error))?,
            },
        }
        Ok(())
    }

    /// Looks at everything; true while something trains.
    fn look(&mut self) -> Result<bool, Closed> {
        let of_children = self.look_at_children();
        self.list()?;
        let mut is_lively = self.children.iter().any(|child| child.run.is_none());
        let folders: Vec<PathBuf> = self.runs.keys().cloned().collect();
        for folder in folders {
            is_lively |= self.look_at_run(&folder)?;
        }
        // A run that goes on is alive before its start is over: nobody resumes it in between.
        for event in of_children {
            self.tell(event)?;
        }
        if !self.has_looked {
            self.has_looked = true;
            self.tell(Event::Looked)?;
        }
        Ok(is_lively)
    }

    /// What is to be told of started processes.
    fn look_at_children(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        self.children.retain_mut(|child| {
            if let Some(run) = &child.run {
                let has_ended = child.launched.has_ended();
                if has_ended && let Some(death) = child.launched.death() {
                    events.push(Event::Died(run.clone(), death));
                }
                return !has_ended;
            }
            match child.launched.run_folder() {
                Ok(None) => true,
                Ok(Some(run)) => {
                    child.launched.forget_record();
                    let run = std::path::absolute(&run).unwrap_or(run);
                    child.run = Some(run.clone());
                    events.push(Event::Launched(child.number, run));
                    true
                }
                Err(error) => {
                    events.push(Event::LaunchFailed(child.number, error));
                    false
                }
            }
        });
        events
    }

    /// Which runs there are.
    fn list(&mut self) -> Result<(), Closed> {
        let mut found = BTreeSet::new();
        for folder in self.folders.clone() {
            let complaint = match runs::list(&folder) {
                Ok(runs) => {
                    found.extend(runs);
                    None
                }
                // A folder for coming runs is made by the first of them.
                Err(_) if !folder.exists() => None,
                Err(error) => Some(error.to_string()),
            };
            if self.complaints.get(&folder) != Some(&complaint) {
                self.complaints.insert(folder.clone(), complaint.clone());
                self.tell(Event::Folder(folder, complaint))?;
            }
        }
        let gone: Vec<PathBuf> = self
            .runs
            .keys()
            .filter(|run| !found.contains(*run))
            .cloned()
            .collect();
        for run in gone {
            self.runs.remove(&run);
            self.tell(Event::Gone(run))?;
        }
        for run in found {
            self.runs.entry(run.clone()).or_insert_with(|| Watched {
                metrics: MetricsReader::new(&run),
                metrics_stamp: None,
                seen: None,
                named: RunInputs::default(),
                details: None,
            });
        }
        Ok(())
    }

    /// What a run says; true while it lives.
    fn look_at_run(&mut self, folder: &Path) -> Result<bool, Closed> {
        let written = stamp(&folder.join(runs::RECORD));
        // Before the record is read: it would be the last word of a process that ends between both looks.
        let is_alive = runs::is_alive(folder);
        let is_stopping = folder.join(runs::STOP).exists();
        let Some(watched) = self.runs.get_mut(folder) else {
            return Ok(false);
        };
        let mut record = None;
        if watched.seen.as_ref().is_none_or(|it| it.record != written) {
            let read = runs::record(folder);
            if let Ok(read) = &read {
                watched.named = RunInputs::named(read);
            }
            record = Some(read);
        }
        let seen = Seen {
            record: written,
            inputs: watched.named.present(),
            is_alive,
            is_stopping,
        };
        let inputs = seen.inputs.clone();
        let is_new = watched.seen.as_ref() != Some(&seen);
        watched.seen = Some(seen);
        if is_new {
            let record = record.unwrap_or_else(|| runs::record(folder));
            self.tell(Event::Run {
                folder: folder.to_owned(),
                record: record.map(Box::new).map_err(|error| error.to_string()),
                inputs,
                is_alive,
                is_stopping,
            })?;
        }
        self.read_metrics(folder)?;
        self.read_details(folder)?;
        Ok(is_alive)
    }

    fn read_metrics(&mut self, folder: &Path) -> Result<(), Closed> {
        let now = stamp(&folder.join(runs::METRICS));
        loop {
            let Some(watched) = self.runs.get_mut(folder) else {
                return Ok(());
            };
            if watched.metrics_stamp == now {
                return Ok(());
            }
            let part = match watched.metrics.read() {
                Ok(part) => part,
                Err(error) => {
                    log::warn!("{error}");
                    watched.metrics_stamp = now; // said once
                    return Ok(());
                }
            };
            if !part.has_more {
                watched.metrics_stamp = now;
            }
            if part.restarted || !part.lines.is_empty() || part.refused > 0 {
                self.tell(Event::Metrics(folder.to_owned(), part))?;
            }
        }
    }

    fn read_details(&mut self, folder: &Path) -> Result<(), Closed> {
        if self.selected.as_deref() != Some(folder) {
            return Ok(());
        }
        let details = RunDetails {
            log: runs::log_tail(folder).unwrap_or_default(),
            config: runs::config_text(folder),
            files: runs::files(folder),
        };
        let watched = self.runs.get_mut(folder);
        let Some(watched) = watched.filter(|it| it.details.as_ref() != Some(&details)) else {
            return Ok(());
        };
        watched.details = Some(details.clone());
        self.tell(Event::Details(folder.to_owned(), Box::new(details)))
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
    let known = std::fs::metadata(path).ok()?;
    Some((known.modified().ok()?, known.len()))
}
