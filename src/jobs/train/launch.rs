//! Starting `maskscope train` as a process of its own that outlives its starter; stopping, resuming, deleting a run; the
//! preflight.

use std::fs::{File, TryLockError};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, SystemTime};

use super::records::PreflightReport;
use super::runs::{self, LOCK, STOP};

/// How often a child is looked after.
const PERIOD: Duration = Duration::from_millis(30);
/// What processes said is kept so long.
const KEPT: Duration = Duration::from_secs(30 * 24 * 3600);
/// The end of what a process said goes into an error.
const MOST_SAID: usize = 4_000;

/// Why nothing was started, stopped or deleted.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// A folder for what the process says.
    #[error("cannot write {path}: {source}; make room there or change its rights")]
    Write {
        /// Where.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The program.
    #[error("cannot start {program}: {source}")]
    Start {
        /// What was to run.
        program: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// It ended before it had a run folder.
    #[error("{}", ended_text(*status, said))]
    Ended {
        /// How.
        status: ExitStatus,
        /// The end of what it said.
        said: String,
    },
    /// The preflight said something else.
    #[error("the preflight's report cannot be read ({reason}); is {program} of this version?")]
    Report {
        /// What ran.
        program: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A run that lives is not deleted.
    #[error("{path} is still training: stop it first")]
    Alive {
        /// The run.
        path: PathBuf,
    },
    /// Only run folders are deleted.
    #[error("{path} is no run folder (it has no run.json), so it is left alone")]
    NoRun {
        /// The folder.
        path: PathBuf,
    },
    /// It was deleted in part or not at all.
    #[error("cannot delete {path}: {source}")]
    Delete {
        /// The run.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Nobody waits any more.
    #[error("cancelled")]
    Cancelled,
}

fn ended_text(status: ExitStatus, said: &str) -> String {
    let last = said.lines().rev().find(|line| !line.trim().is_empty());
    match last {
        Some(last) => last.trim().trim_start_matches("error: ").to_owned(),
        None => format!("the process ended with {status} and said nothing"),
    }
}

/// A process that was started and may not have a run folder yet.
#[derive(Debug)]
pub struct Launched {
    child: Child,
    /// Where it writes the path of its run folder.
    run_record: PathBuf,
    /// Where it writes what it says.
    output: PathBuf,
    ended: Option<ExitStatus>,
}

/// Starts `program arguments --run-record FILE` in a process group of its own; what it says goes to a file in `state`.
///
/// # Errors
/// `state` cannot be written, the program cannot be started.
pub fn start(program: &Path, arguments: &[String], state: &Path) -> Result<Launched, LaunchError> {
    let refused = |path: &Path| {
        let path = path.to_owned();
        move |source| LaunchError::Write { path, source }
    };
    std::fs::create_dir_all(state).map_err(refused(state))?;
    forget_old(state);
    let now = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    let stem = format!("launch-{}-{}", now.as_millis(), std::process::id());
    let output = state.join(format!("{stem}.log"));
    let run_record = state.join(format!("{stem}.run"));
    let said = File::create(&output).map_err(refused(&output))?;
    let said_too = said.try_clone().map_err(refused(&output))?;
    let mut command = Command::new(program);
    command.args(arguments).arg("--run-record").arg(&run_record);
    command.stdin(Stdio::null()).stdout(said).stderr(said_too);
    detach(&mut command);
    let child = command.spawn().map_err(|source| LaunchError::Start {
        program: program.to_owned(),
        source,
    })?;
    Ok(Launched {
        child,
        run_record,
        output,
        ended: None,
    })
}

/// Removes what processes of long ago left.
fn forget_old(state: &Path) {
    let entries = std::fs::read_dir(state).into_iter().flatten().flatten();
    for entry in entries {
        let age = entry.metadata().and_then(|it| it.modified()).ok();
        let age = age.and_then(|time| time.elapsed().ok());
        let is_ours = entry.file_name().to_string_lossy().starts_with("launch-");
        if is_ours && age.is_some_and(|age| age > KEPT) {
            // What cannot be removed now is met again.
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

/// Keys pressed in the starter's terminal, and its end, do not reach the process.
fn detach(command: &mut Command) {
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(command, 0);
    #[cfg(windows)]
    {
        /// `DETACHED_PROCESS | CREATE_NEW_PROCESS_GROUP`.
        const FLAGS: u32 = 0x0000_0008 | 0x0000_0200;
        std::os::windows::process::CommandExt::creation_flags(command, FLAGS);
    }
    #[cfg(not(any(unix, windows)))]
    let _ = command;
}

impl Launched {
    /// The run folder, as soon as the process has named it.
    ///
    /// # Errors
    /// `Ended`: it ended without one.
    pub fn run_folder(&mut self) -> Result<Option<PathBuf>, LaunchError> {
        let has_ended = self.has_ended(); // before the look, so that its last word is heard
        if let Ok(text) = std::fs::read_to_string(&self.run_record)
            && let Some(line) = text
                .lines()
                .next()
                .filter(|_| text.contains('\n') || has_ended)
            && !line.trim().is_empty()
        {
            return Ok(Some(PathBuf::from(line.trim())));
        }
        match self.ended {
            Some(status) => Err(LaunchError::Ended {
                status,
                said: end_of(&std::fs::read_to_string(&self.output).unwrap_or_default()),
            }),
            None => Ok(None),
        }
    }

    /// Whether the process is gone. Asking takes it off the system's list.
    pub fn has_ended(&mut self) -> bool {
        if self.ended.is_none() {
            self.ended = self.child.try_wait().ok().flatten();
        }
        self.ended.is_some()
    }

    /// How it ended, where it ended otherwise than by itself: the signal or status, and its last word.
    pub fn death(&self) -> Option<String> {
        let status = self.ended.filter(|status| !status.success())?;
        let said = std::fs::read_to_string(&self.output).unwrap_or_default();
        let last = end_of(&said);
        let last = last.lines().rev().find(|line| !line.trim().is_empty());
        let mut text = format!("Its process ended with {status}");
        if is_killed(status) {
            text += ": it was killed, by the system if that had no memory left";
        }
        match last {
            Some(last) => Some(format!("{text}. Its last word: {}", last.trim())),
            None => Some(text),
        }
    }

    /// Removes the file that named the run folder; it has been read.
    pub fn forget_record(&self) {
        // Another look at it would do no harm.
        let _ = std::fs::remove_file(&self.run_record);
    }
}

#[cfg(unix)]
fn is_killed(status: ExitStatus) -> bool {
    const SIGKILL: i32 = 9;
    std::os::unix::process::ExitStatusExt::signal(&status) == Some(SIGKILL)
}

#[cfg(not(unix))]
fn is_killed(_: ExitStatus) -> bool {
    false
}

fn end_of(text: &str) -> String {
    let from = text.len().saturating_sub(MOST_SAID);
    let from = (from..=text.len()).find(|&at| text.is_char_boundary(at));
    text[from.unwrap_or(0)..].to_owned()
}

/// Asks a run to finish its step, save and end.
///
/// # Errors
/// The folder cannot be written.
pub fn ask_to_stop(run: &Path) -> Result<(), LaunchError> {
    let path = run.join(STOP);
    let made = File::create(&path);
    made.map(drop)
        .map_err(|source| LaunchError::Write { path, source })
}

/// A request to stop that the run has not seen would stop the resumed one.
pub fn forget_stop(run: &Path) {
    // Mostly there is none.
    let _ = std::fs::remove_file(run.join(STOP));
}

/// Deletes a run folder with everything in it.
///
/// # Errors
/// It is no run folder, its process lives, or files cannot be removed.
pub fn delete(run: &Path) -> Result<(), LaunchError> {
    if !run.join(runs::RECORD).is_file() {
        return Err(LaunchError::NoRun {
            path: run.to_owned(),
        });
    }
    // Held while files go, so that nobody resumes it meanwhile.
    let lock = File::open(run.join(LOCK)).ok();
    if let Some(lock) = &lock
        && matches!(lock.try_lock(), Err(TryLockError::WouldBlock))
    {
        return Err(LaunchError::Alive {
            path: run.to_owned(),
        });
    }
    std::fs::remove_dir_all(run).map_err(|source| LaunchError::Delete {
        path: run.to_owned(),
        source,
    })
}

/// Runs `program arguments`, which print a report, and waits. Returns soon after `is_cancelled`.
///
/// # Errors
/// The program cannot be started, no report can be made, it cannot be read, or it was cancelled.
pub fn preflight(
    program: &Path,
    arguments: &[String],
    is_cancelled: &dyn Fn() -> bool,
) -> Result<PreflightReport, LaunchError> {
    let report = answer(program, arguments, is_cancelled)?;
    serde_json::from_str(&report).map_err(|error| LaunchError::Report {
        program: program.to_owned(),
        reason: error.to_string(),
    })
}

/// Runs `program arguments` and waits; what it wrote to standard output. Returns soon after `is_cancelled`.
///
/// # Errors
/// The program cannot be started, it ended with an error, or it was cancelled.
pub fn answer(
    program: &Path,
    arguments: &[String],
    is_cancelled: &dyn Fn() -> bool,
) -> Result<String, LaunchError> {
    let failed = |source| LaunchError::Start {
        program: program.to_owned(),
        source,
    };
    // A program that is killed does not remove its temporary files, which may be copies of a whole set.
    let scratch = tempfile::tempdir().map_err(failed)?;
    let mut command = Command::new(program);
    for name in ["TMPDIR", "TMP", "TEMP"] {
        command.env(name, scratch.path());
    }
    let started = command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = started.map_err(failed)?;
    let (status, report, said) = finish(&mut child, is_cancelled).map_err(|source| {
        let program = program.to_owned();
        LaunchError::Start { program, source }
    })?;
    let status = status.ok_or(LaunchError::Cancelled)?;
    if !status.success() {
        let said = end_of(&said);
        return Err(LaunchError::Ended { status, said });
    }
    Ok(report)
}

/// Both pipes are read while the child runs: a full one would hold it. No status: it was killed on request.
fn finish(
    child: &mut Child,
    is_cancelled: &dyn Fn() -> bool,
) -> std::io::Result<(Option<ExitStatus>, String, String)> {
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    std::thread::scope(|scope| {
        let read = |pipe: Option<Box<dyn std::io::Read + Send>>| {
            let mut bytes = Vec::new();
            if let Some(mut pipe) = pipe {
                // What came before the pipe broke is kept.
                let _ = pipe.read_to_end(&mut bytes);
            }
            String::from_utf8_lossy(&bytes).into_owned()
        };
        let named = |name: &str| std::thread::Builder::new().name(name.into());
        let out = named("preflight report")
            .spawn_scoped(scope, move || read(stdout.map(|pipe| Box::new(pipe) as _)))?;
        let err = named("preflight errors")
            .spawn_scoped(scope, move || read(stderr.map(|pipe| Box::new(pipe) as _)))?;
        let status = loop {
            if let Some(status) = child.try_wait()? {
                break Some(status);
            }
            if is_cancelled() {
                // It may have ended in this moment.
                let _ = child.kill();
                child.wait()?;
                break None;
            }
            std::thread::sleep(PERIOD);
        };
        let text = |thread: std::thread::ScopedJoinHandle<'_, String>| thread.join();
        Ok((
            status,
            text(out).unwrap_or_default(),
            text(err).unwrap_or_default(),
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_live_run_is_not_deleted() {
        let home = tempfile::tempdir().unwrap();
        let run = home.path().join("run");
        std::fs::create_dir(&run).unwrap();
        assert!(matches!(delete(&run), Err(LaunchError::NoRun { .. })));
        std::fs::write(run.join(runs::RECORD), "{}").unwrap();
        let lock = File::create(run.join(LOCK)).unwrap();
        lock.lock().unwrap();
        assert!(matches!(delete(&run), Err(LaunchError::Alive { .. })));
        assert!(run.is_dir());
        drop(lock);
        ask_to_stop(&run).unwrap();
        assert!(run.join(STOP).is_file());
        delete(&run).unwrap();
        assert!(!run.exists());
    }

    #[cfg(unix)]
    #[test]
    fn a_process_that_ends_without_a_run_says_why() {
        let home = tempfile::tempdir().unwrap();
        let script = [
            "-c".into(),
            "echo noise; echo 'error: no such set' >&2; exit 1".into(),
        ];
        let mut launched = start(Path::new("/bin/sh"), &script, home.path()).unwrap();
        let error = loop {
            match launched.run_folder() {
                Ok(None) => std::thread::sleep(PERIOD),
                Ok(Some(path)) => panic!("{path:?}"),
                Err(error) => break error,
            }
        };
        assert_eq!(error.to_string(), "no such set");
    }

    #[cfg(unix)]
    #[test]
    fn a_preflight_can_be_cancelled_and_refused() {
        let shell = Path::new("/bin/sh");
        let run = |script: &str, cancelled: bool| {
            preflight(shell, &["-c".into(), script.into()], &|| cancelled)
        };
        assert!(matches!(
            run("exec sleep 60", true),
            Err(LaunchError::Cancelled)
        ));
        assert!(matches!(
            run("echo nonsense", false),
            Err(LaunchError::Report { .. })
        ));
        let error = run("echo 'error: tiny.yaml: no key lrr' >&2; exit 1", false).unwrap_err();
        assert_eq!(error.to_string(), "tiny.yaml: no key lrr");
        let missing = preflight(Path::new("/nowhere/maskscope"), &[], &|| false);
        assert!(matches!(missing, Err(LaunchError::Start { .. })));
    }
}
