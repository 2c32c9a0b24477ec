//! The log of a run, line-compatible with the original's (semantics.md 7.3).

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use jiff::ZonedDateTime;

use super::{TrainEvent, TrainJobError};

/// `logs/train_<time>.log`, and the front end, which gets the same lines.
pub(super) struct RunLog<'a> {
    file: Option<File>,
    report: &'a mut (dyn FnMut(TrainEvent<'_>) + Send),
}

/// The file of a log that begins now.
pub(super) fn path(folder: &Path, rank: Option<usize>) -> PathBuf {
    let time = ZonedDateTime::now()
        .strftime("%Y-%m-%d-%H-%M-%S")
        .to_string();
    let rank = rank.map(|rank| format!("_{rank}")).unwrap_or_default();
    folder.join("logs").join(format!("train_{time}{rank}.log"))
}

impl<'a> RunLog<'a> {
    /// A log into `path`; without one only the front end hears it.
    pub fn new(
        path: Option<&Path>,
        report: &'a mut (dyn FnMut(TrainEvent<'_>) + Send),
    ) -> Result<Self, TrainJobError> {
        let open = |path: &Path| {
            if let Some(folder) = path.parent() {
                std::fs::create_dir_all(folder)?;
            }
            OpenOptions::new().create(true).append(true).open(path)
        };
        let file = match path {
            Some(path) => Some(open(path).map_err(|source| TrainJobError::Write {
                path: path.to_owned(),
                source,
            })?),
            None => None,
        };
        Ok(Self { file, report })
    }

    /// `[YYYY-MM-DDTHH:MM:SS.mmm] INFO: message`, local time.
    pub fn info(&mut self, message: &str) {
        self.line("INFO", message);
    }

    /// The same with WARNING.
    pub fn warn(&mut self, message: &str) {
        self.line("WARNING", message);
    }

    /// The same with ERROR.
    pub fn error(&mut self, message: &str) {
        self.line("ERROR", message);
    }

    /// An event for the front end alone.
    pub fn tell(&mut self, event: TrainEvent<'_>) {
        (self.report)(event);
    }

    fn line(&mut self, level: &str, message: &str) {
        let time = ZonedDateTime::now().strftime("%Y-%m-%dT%H:%M:%S%.3f");
        let line = format!("[{time}] {level}: {message}");
        if let Some(file) = &mut self.file {
            // A full disk must not end the training for a line of the log; the checkpoint will tell.
            let _ = writeln!(file, "{line}");
        }
        (self.report)(TrainEvent::Log(&line));
    }
}
