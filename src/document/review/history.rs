//! One history for everything, across images, without an end: what can be undone and redone, in words.

use std::sync::Arc;

use super::database::StoredEntry;
use super::edit::Change;

/// An entry as the list shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryLine {
    /// Its number, from 1, ascending.
    pub seq: i64,
    /// When, in UTC.
    pub at: String,
    /// What, in words.
    pub words: String,
    /// The image that it is about.
    pub image_id: Option<u64>,
    /// The changes as the database holds them: short, and read only when they are undone.
    changes: Arc<str>,
}

impl HistoryLine {
    pub(super) fn new(stored: &StoredEntry) -> Self {
        Self {
            seq: stored.seq,
            at: stored.at.clone(),
            words: stored.words.clone(),
            image_id: stored.image_id,
            changes: stored.changes.as_str().into(),
        }
    }

    /// What it changed. Opening has read every entry once, so that there is none that cannot be read.
    pub fn changes(&self) -> Vec<Change> {
        serde_json::from_str(&self.changes).unwrap_or_default()
    }
}

/// Entries that are done, then entries that can be redone.
#[derive(Clone, Debug, Default)]
pub(super) struct History {
    lines: Vec<HistoryLine>,
    done: usize,
    last_seq: i64,
}

impl History {
    /// Of stored entries, dropped ones among them, of which those up to `position` are done.
    pub fn of(entries: &[StoredEntry], position: i64) -> Self {
        let kept = entries.iter().filter(|entry| !entry.is_dropped);
        let lines: Vec<HistoryLine> = kept.map(HistoryLine::new).collect();
        Self {
            done: lines.partition_point(|line| line.seq <= position),
            lines,
            last_seq: entries.last().map_or(0, |entry| entry.seq),
        }
    }

    pub fn lines(&self) -> &[HistoryLine] {
        &self.lines
    }

    pub fn done(&self) -> usize {
        self.done
    }

    /// Number of the last entry that is done; 0 for none.
    pub fn position(&self) -> i64 {
        let last = self.done.checked_sub(1).and_then(|at| self.lines.get(at));
        last.map_or(0, |line| line.seq)
    }

    pub fn next_seq(&self) -> i64 {
        self.last_seq + 1
    }

    /// Adds an entry; what could be redone cannot any more.
    pub fn push(&mut self, line: HistoryLine) {
        self.lines.truncate(self.done);
        self.last_seq = line.seq;
        self.lines.push(line);
        self.done += 1;
    }

    /// The entry to undo, which counts as undone.
    pub fn undo(&mut self) -> Option<HistoryLine> {
        self.done = self.done.checked_sub(1)?;
        self.lines.get(self.done).cloned()
    }

    /// The entry to redo, which counts as done.
    pub fn redo(&mut self) -> Option<HistoryLine> {
        let line = self.lines.get(self.done).cloned()?;
        self.done += 1;
        Some(line)
    }
}
