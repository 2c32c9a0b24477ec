//! `run.json` and `metrics.jsonl`: what a run tells those who watch it.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::TrainJobError;
use super::records::{MetricsLine, RunRecord, RunState};
use crate::coco::write_json;
use crate::jobs::JobError;

/// `run.json` is replaced this often while steps go on.
const EVERY: Duration = Duration::from_secs(1);

/// Seconds since 1970.
pub(super) fn now() -> f64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0.0, |since| since.as_secs_f64())
}

/// The record of a run, on disk.
pub(super) struct Told {
    pub record: RunRecord,
    /// None on a rank that does not lead.
    path: Option<PathBuf>,
    written: Option<Instant>,
}

impl Told {
    pub fn new(folder: Option<&Path>, record: RunRecord) -> Self {
        Self {
            record,
            path: folder.map(|folder| folder.join("run.json")),
            written: None,
        }
    }

    /// Another state, at once.
    pub fn state(&mut self, state: RunState) -> Result<(), JobError> {
        self.record.state = state;
        self.write()
    }

    /// The same state, now and then. A disk that refuses it does not end the run: the checkpoint will tell.
    pub fn now_and_then(&mut self) {
        if self.written.is_none_or(|at| at.elapsed() >= EVERY) {
            let _ = self.write();
        }
    }

    fn write(&mut self) -> Result<(), JobError> {
        self.record.updated = now();
        self.written = Some(Instant::now());
        match &self.path {
            Some(path) => Ok(write_json(path, &self.record)?),
            None => Ok(()),
        }
    }
}

/// `metrics.jsonl`, one line a step, grown by whole lines.
pub(super) struct Metrics {
    /// None on a rank that does not lead.
    file: Option<File>,
    path: PathBuf,
    /// Its length.
    pub bytes: u64,
}

impl Metrics {
    /// Opens the file and cuts it back to `bytes`: what a run wrote beyond its checkpoint is taken again.
    pub fn open(folder: &Path, bytes: u64) -> Result<Self, TrainJobError> {
        let path = folder.join("metrics.jsonl");
        let open = || {
            let mut file = OpenOptions::new()
                .create(true)
                .truncate(false)
                .read(true)
                .write(true)
                .open(&path)?;
            let mut bytes = bytes;
            if file.metadata()?.len() < bytes {
                // Lines were lost: go on behind the last whole one.
                let mut text = Vec::new();
                file.read_to_end(&mut text)?;
                let end = text.iter().rposition(|&byte| byte == b'\n');
                bytes = end.map_or(0, |at| at as u64 + 1);
            }
            file.set_len(bytes)?;
            file.seek(SeekFrom::Start(bytes))?;
            Ok((file, bytes))
        };
        match open() {
            Ok((file, bytes)) => Ok(Self {
                file: Some(file),
                path,
                bytes,
            }),
            Err(source) => Err(TrainJobError::Write { path, source }),
        }
    }

    /// Metrics that nobody reads.
    pub fn silent() -> Self {
        Self {
            file: None,
            path: PathBuf::new(),
            bytes: 0,
        }
    }

    /// Waits until the lines are on the disk: a checkpoint says how long the file is.
    pub fn sync(&self) -> Result<(), TrainJobError> {
        let synced = self.file.as_ref().map_or(Ok(()), File::sync_data);
        synced.map_err(|source| TrainJobError::Write {
            path: self.path.clone(),
            source,
        })
    }

    /// Adds a line in one write.
    pub fn add(&mut self, line: &MetricsLine) -> Result<(), TrainJobError> {
        let mut text = serde_json::to_string(line).unwrap_or_default();
        text.push('\n');
        let Some(file) = &mut self.file else {
            return Ok(());
        };
        file.write_all(text.as_bytes())
            .map_err(|source| TrainJobError::Write {
                path: self.path.clone(),
                source,
            })?;
        self.bytes += text.len() as u64;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lost_lines_leave_no_holes() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("metrics.jsonl");
        std::fs::write(&path, "one\ntwo\nthr").unwrap();
        // More was written than the checkpoint knows.
        assert_eq!(Metrics::open(home.path(), 4).unwrap().bytes, 4);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "one\n");
        // Less is there than the checkpoint knows.
        std::fs::write(&path, "one\ntwo\nthr").unwrap();
        assert_eq!(Metrics::open(home.path(), 400).unwrap().bytes, 8);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "one\ntwo\n");
    }
}
