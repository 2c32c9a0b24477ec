//! A thread that commits: whoever edits hands over and goes on; what is on disk is a number that rises.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rusqlite::{Connection, params};

use super::ReviewError;
use super::database::{POSITION, StoredEntry, StoredStep};

/// Time between two tries to write what could not be written.
const RETRY: Duration = Duration::from_millis(500);

/// Records of the file that edits now belong to, by id; `None` takes one away.
pub(super) type Bases = Vec<(u64, Option<Vec<u8>>)>;

/// What is to be committed, as one transaction.
#[derive(Clone, Debug)]
pub(super) enum Write {
    /// A new entry, behind `position`: entries after that are dropped.
    Do {
        entry: StoredEntry,
        position: i64,
        bases: Bases,
    },
    /// Undo or redo; `position` is the last entry that is done then.
    Move {
        step: StoredStep,
        position: i64,
        bases: Bases,
    },
    /// A queue as JSON.
    Queue { name: String, value: String },
}

/// Whether everything is on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SaveState {
    /// Everything is.
    Saved,
    /// A commit is on its way.
    Saving,
    /// The disk refuses; it is tried again and again, and nothing is lost while the program runs.
    NotSaved(String),
}

/// Shared between the session and the thread.
#[derive(Default)]
struct Shared {
    waiting: VecDeque<Write>,
    /// Handed over so far, and committed of these.
    asked: u64,
    saved: u64,
    failure: Option<String>,
    closing: bool,
    /// Most pages that the database may have, as a disk that is full would say; 0 for no limit.
    page_limit: u32,
    /// Called when everything is on disk, and when the disk begins to refuse.
    wake: Option<Wake>,
}

/// Who waits for news.
pub type Wake = Arc<dyn Fn() + Send + Sync>;

/// The thread and its queue.
pub(super) struct Writer {
    path: PathBuf,
    shared: Arc<(Mutex<Shared>, Condvar)>,
    thread: Option<JoinHandle<()>>,
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Writer {
    pub fn start(connection: Connection, path: &Path) -> Result<Self, ReviewError> {
        let shared = Arc::new((Mutex::new(Shared::default()), Condvar::new()));
        let theirs = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("review".into())
            .spawn(move || run(connection, &theirs))
            .map_err(ReviewError::Thread)?;
        Ok(Self {
            path: path.to_owned(),
            shared,
            thread: Some(thread),
        })
    }

    /// Hands over; answers with the number that `saved` reaches when this is on disk.
    pub fn write(&self, write: Write) -> u64 {
        let (state, changed) = &*self.shared;
        let mut state = lock(state);
        state.waiting.push_back(write);
        state.asked += 1;
        changed.notify_all();
        state.asked
    }

    pub fn asked(&self) -> u64 {
        lock(&self.shared.0).asked
    }

    pub fn saved(&self) -> u64 {
        lock(&self.shared.0).saved
    }

    pub fn state(&self) -> SaveState {
        let state = lock(&self.shared.0);
        match &state.failure {
            _ if state.saved == state.asked => SaveState::Saved,
            Some(reason) => SaveState::NotSaved(reason.clone()),
            None => SaveState::Saving,
        }
    }

    /// What is not on disk; none where everything is.
    pub fn unsaved(&self) -> Option<ReviewError> {
        let state = lock(&self.shared.0);
        let reason = state.failure.clone();
        let reason = reason.unwrap_or_else(|| "the disk has not answered yet".into());
        (state.saved < state.asked).then(|| self.refused(&state, reason))
    }

    fn refused(&self, state: &Shared, reason: String) -> ReviewError {
        ReviewError::NotSaved {
            path: self.path.clone(),
            count: state.asked - state.saved,
            reason,
        }
    }

    /// Waits until everything up to `number` is on disk, at most for `patience` once the disk refuses.
    pub fn wait(&self, number: u64, patience: Duration) -> Result<(), ReviewError> {
        let (state, changed) = &*self.shared;
        let mut state = lock(state);
        let mut refused_since: Option<Instant> = None;
        while state.saved < number {
            if let Some(reason) = state.failure.clone() {
                let since = refused_since.get_or_insert_with(Instant::now);
                if since.elapsed() >= patience {
                    return Err(self.refused(&state, reason));
                }
            }
            let waited = changed.wait_timeout(state, RETRY);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        Ok(())
    }

    /// Waits until `number` is on disk, at most so long, and not for a disk that refuses. Whether it is.
    pub fn wait_briefly(&self, number: u64, at_most: Duration) -> bool {
        let (state, changed) = &*self.shared;
        let begin = Instant::now();
        let mut state = lock(state);
        while state.saved < number && state.failure.is_none() {
            let left = at_most.saturating_sub(begin.elapsed());
            if left.is_zero() {
                break;
            }
            let waited = changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        state.saved >= number
    }

    /// From now on `wake` is called when `state` has changed.
    pub fn tell(&self, wake: Wake) {
        lock(&self.shared.0).wake = Some(wake);
    }

    pub fn limit_pages(&self, pages: u32) {
        lock(&self.shared.0).page_limit = pages;
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let (state, changed) = &*self.shared;
        lock(state).closing = true;
        changed.notify_all();
        if let Some(thread) = self.thread.take() {
            // A thread that broke has told the log why.
            let _ = thread.join();
        }
    }
}

/// Commits whatever waits, all of it in one transaction, until it is told to close; then once more.
fn run(mut connection: Connection, shared: &(Mutex<Shared>, Condvar)) {
    let (mutex, changed) = shared;
    loop {
        let mut state = lock(mutex);
        while state.waiting.is_empty() && !state.closing {
            state = changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.waiting.is_empty() {
            return;
        }
        let batch: Vec<Write> = state.waiting.iter().cloned().collect();
        let limit = state.page_limit;
        drop(state);
        let committed = commit(&mut connection, &batch, limit);
        let mut state = lock(mutex);
        match committed {
            Ok(()) => {
                state.waiting.drain(..batch.len());
                state.saved += batch.len() as u64;
                state.failure = None;
                let wake = (state.waiting.is_empty())
                    .then(|| state.wake.clone())
                    .flatten();
                changed.notify_all();
                drop(state);
                call(wake);
            }
            Err(error) => {
                let is_first = state.failure.is_none();
                if is_first {
                    log::error!("the review cannot be saved: {error}");
                }
                state.failure = Some(error.to_string());
                changed.notify_all();
                if state.closing {
                    return;
                }
                if is_first {
                    let wake = state.wake.clone();
                    drop(state);
                    call(wake);
                    state = lock(mutex);
                }
                let waited = changed.wait_timeout(state, RETRY);
                drop(waited.unwrap_or_else(PoisonError::into_inner));
            }
        }
    }
}

fn call(wake: Option<Wake>) {
    if let Some(wake) = wake {
        wake();
    }
}

fn commit(connection: &mut Connection, batch: &[Write], limit: u32) -> rusqlite::Result<()> {
    let pages = if limit == 0 { u32::MAX - 1 } else { limit };
    connection.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))?;
    let transaction = connection.transaction()?;
    for write in batch {
        put(&transaction, write)?;
    }
    transaction.commit()
}

fn put(connection: &Connection, write: &Write) -> rusqlite::Result<()> {
    let step = |step: &StoredStep| {
        connection
            .prepare_cached("INSERT INTO steps (at, action, seq) VALUES (?1, ?2, ?3)")?
            .execute(params![step.at, step.action, step.seq])
    };
    let position = |position: i64| {
        connection
            .prepare_cached("INSERT OR REPLACE INTO meta (key, value) VALUES (?1, ?2)")?
            .execute(params![POSITION, position.to_string()])
    };
    let keep_bases = |bases: &Bases| -> rusqlite::Result<()> {
        for (id, record) in bases {
            match record {
                Some(record) => connection
                    .prepare_cached("INSERT OR REPLACE INTO bases (id, record) VALUES (?1, ?2)")?
                    .execute(params![id.to_string(), record])?,
                None => connection
                    .prepare_cached("DELETE FROM bases WHERE id = ?1")?
                    .execute([id.to_string()])?,
            };
        }
        Ok(())
    };
    match write {
        Write::Do {
            entry,
            position: before,
            bases,
        } => {
            connection
                .prepare_cached("UPDATE entries SET dropped = 1 WHERE seq > ?1 AND dropped = 0")?
                .execute([before])?;
            connection
                .prepare_cached(
                    "INSERT INTO entries (seq, at, words, image, changes) VALUES (?1, ?2, ?3, ?4, ?5)",
                )?
                .execute(params![
                    entry.seq,
                    entry.at,
                    entry.words,
                    entry.image_id.map(|id| id.to_string()),
                    entry.changes
                ])?;
            step(&StoredStep {
                at: entry.at.clone(),
                action: "do".into(),
                seq: entry.seq,
            })?;
            keep_bases(bases)?;
            position(entry.seq)?;
        }
        Write::Move {
            step: moved,
            position: now,
            bases,
        } => {
            step(moved)?;
            keep_bases(bases)?;
            position(*now)?;
        }
        Write::Queue { name, value } => {
            connection
                .prepare_cached("INSERT OR REPLACE INTO queues (name, value) VALUES (?1, ?2)")?
                .execute(params![name, value])?;
        }
    }
    Ok(())
}
