//! Run folders as others find them: which there are, what each says of itself, whether its process lives, its log.

use std::fs::{File, TryLockError};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use super::records::RunRecord;

/// What a run says of itself.
pub const RECORD: &str = "run.json";
/// Locked as long as the process lives.
pub const LOCK: &str = "run.lock";
/// A line a step, a line an evaluation.
pub const METRICS: &str = "metrics.jsonl";
/// Its presence asks the run to end.
pub const STOP: &str = "stop";
/// The newest format of `run.json` that is understood.
const VERSION: u32 = 1;
/// More of a log or a configuration is not shown.
const MOST_TEXT: u64 = 64 * 1024;

/// Why a run folder could not be read.
#[derive(Debug, thiserror::Error)]
pub enum RunsError {
    /// The file or folder.
    #[error("cannot read {path}: {source}; check that it is there and may be read")]
    Read {
        /// Where.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// No record.
    #[error(
        "{path} is damaged ({reason}); the run itself may be whole: resume it, or delete its folder"
    )]
    Damaged {
        /// The record.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A record of the future.
    #[error("{path} has format {found}, this Maskscope reads {VERSION}; use a newer Maskscope")]
    Newer {
        /// The record.
        path: PathBuf,
        /// Its format.
        found: u32,
    },
}

impl RunsError {
    fn read(path: &Path, source: std::io::Error) -> Self {
        Self::Read {
            path: path.to_owned(),
            source,
        }
    }
}

/// The run folders in `folder`, by name; `folder` alone where it is one itself.
///
/// # Errors
/// The folder cannot be read.
pub fn list(folder: &Path) -> Result<Vec<PathBuf>, RunsError> {
    if folder.join(RECORD).is_file() {
        return Ok(vec![folder.to_owned()]);
    }
    let entries = std::fs::read_dir(folder).map_err(|error| RunsError::read(folder, error))?;
    let mut runs: Vec<PathBuf> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.join(RECORD).is_file())
        .collect();
    runs.sort();
    Ok(runs)
}

/// What the run says of itself.
///
/// # Errors
/// The record cannot be read or understood.
pub fn record(run: &Path) -> Result<RunRecord, RunsError> {
    #[derive(serde::Deserialize)]
    struct Version {
        version: u32,
    }
    let path = run.join(RECORD);
    let text = std::fs::read(&path).map_err(|error| RunsError::read(&path, error))?;
    let damaged = |error: serde_json::Error| RunsError::Damaged {
        path: path.clone(),
        reason: error.to_string(),
    };
    let version: Version = serde_json::from_slice(&text).map_err(damaged)?;
    if version.version > VERSION {
        return Err(RunsError::Newer {
            path,
            found: version.version,
        });
    }
    serde_json::from_slice(&text).map_err(damaged)
}

/// Whether a process holds the run's lock.
pub fn is_alive(run: &Path) -> bool {
    let Ok(lock) = File::open(run.join(LOCK)) else {
        return false;
    };
    // Dropping the file gives a lock that was got back at once.
    matches!(lock.try_lock_shared(), Err(TryLockError::WouldBlock))
}

/// The end of a text file, whole lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tail {
    /// The file.
    pub path: PathBuf,
    /// Its last lines.
    pub text: String,
}

/// The end of the run's newest log; `None` where there is none yet.
///
/// # Errors
/// The log cannot be read.
pub fn log_tail(run: &Path) -> Result<Option<Tail>, RunsError> {
    // Names hold the time, so the last one is the newest; those of other ranks have a number behind it.
    let of_a_rank = |path: &Path| {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        stem.matches('_').count() > 1
    };
    let logs = std::fs::read_dir(run.join("logs")).into_iter().flatten();
    let logs = logs.flatten().map(|entry| entry.path());
    let newest = logs
        .filter(|path| path.extension().is_some_and(|end| end == "log") && !of_a_rank(path))
        .max();
    newest.map(|path| tail(&path)).transpose()
}

fn tail(path: &Path) -> Result<Tail, RunsError> {
    let refused = |error| RunsError::read(path, error);
    let mut file = File::open(path).map_err(refused)?;
    let length = file.metadata().map_err(refused)?.len();
    let from = length.saturating_sub(MOST_TEXT);
    file.seek(SeekFrom::Start(from)).map_err(refused)?;
    let mut bytes = Vec::new();
    file.take(MOST_TEXT)
        .read_to_end(&mut bytes)
        .map_err(refused)?;
    let text = String::from_utf8_lossy(&bytes);
    let text = match text.split_once('\n') {
        Some((_, rest)) if from > 0 => rest.to_owned(), // the first line is cut
        _ => text.into_owned(),
    };
    Ok(Tail {
        path: path.to_owned(),
        text,
    })
}

/// The run's copy of its configuration; empty where there is none.
pub fn config_text(run: &Path) -> String {
    let mut text = String::new();
    if let Ok(file) = File::open(run.join("config.yaml")) {
        // What is no UTF-8 is no configuration.
        let _ = file.take(MOST_TEXT).read_to_string(&mut text);
    }
    text
}

/// Files of the run with their bytes, relative to it, by name: checkpoints, logs and what lies beside them.
pub fn files(run: &Path) -> Vec<(String, u64)> {
    /// More is not listed.
    const MOST: usize = 200;
    let mut found = Vec::new();
    for below in ["", "best_ckpt", "logs"] {
        let entries = std::fs::read_dir(run.join(below)).into_iter().flatten();
        for entry in entries.flatten().take(MOST) {
            if let Ok(known) = entry.metadata()
                && known.is_file()
            {
                let path = Path::new(below).join(entry.file_name());
                found.push((path.display().to_string(), known.len()));
            }
        }
    }
    found.sort();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_the_folders_with_a_record() {
        let home = tempfile::tempdir().unwrap();
        for name in ["b", "a", "empty"] {
            std::fs::create_dir(home.path().join(name)).unwrap();
        }
        for name in ["a", "b"] {
            std::fs::write(home.path().join(name).join(RECORD), "{}").unwrap();
        }
        let runs = list(home.path()).unwrap();
        assert_eq!(runs, [home.path().join("a"), home.path().join("b")]);
        assert_eq!(list(&runs[1]).unwrap(), [runs[1].clone()]);
        assert!(list(&home.path().join("none")).is_err());
    }

    #[test]
    fn a_record_of_the_future_is_named_as_such() {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join(RECORD), r#"{"version": 2, "new": []}"#).unwrap();
        let error = record(home.path()).unwrap_err();
        assert!(
            matches!(error, RunsError::Newer { found: 2, .. }),
            "{error}"
        );
        std::fs::write(home.path().join(RECORD), r#"{"version": 1, "state": 7}"#).unwrap();
        let error = record(home.path()).unwrap_err();
        assert!(matches!(error, RunsError::Damaged { .. }), "{error}");
    }

    #[test]
    fn the_lock_tells_who_lives() {
        let home = tempfile::tempdir().unwrap();
        assert!(!is_alive(home.path()));
        let lock = File::create(home.path().join(LOCK)).unwrap();
        assert!(!is_alive(home.path()));
        lock.lock().unwrap();
        assert!(is_alive(home.path()));
        drop(lock);
        assert!(!is_alive(home.path()));
    }

    #[test]
    fn the_tail_of_the_newest_log_has_whole_lines() {
        let home = tempfile::tempdir().unwrap();
        assert_eq!(log_tail(home.path()).unwrap(), None);
        std::fs::create_dir(home.path().join("logs")).unwrap();
        let log = |name: &str, text: &str| {
            std::fs::write(home.path().join("logs").join(name), text).unwrap();
        };
        log("train_1.log", "old\n");
        let lines: String = (0..20_000).map(|n| format!("line {n}\n")).collect();
        log("train_2.log", &lines);
        log("train_2_1.log", "of the second rank\n");
        let found = log_tail(home.path()).unwrap().unwrap();
        assert!(found.text.starts_with("line ") && found.text.ends_with("line 19999\n"));
        assert!(found.text.len() as u64 <= MOST_TEXT);
        assert_eq!(files(home.path()).len(), 3);
    }
}
