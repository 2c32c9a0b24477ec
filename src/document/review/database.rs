//! The review's database: its tables, opening, reading. SQLite in WAL mode; what a commit said is there after a kill or a power cut.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension};

use super::ReviewError;
use super::edit::Change;
use super::place::{copy_database, free_name, move_database};

/// Each step leads from one form of the database to the next; `user_version` counts those that were made.
const MIGRATIONS: [&str; 1] = [
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
     -- What was done, once each. `dropped`: undone, and then something else was done.
     CREATE TABLE entries (seq INTEGER PRIMARY KEY, at TEXT NOT NULL, words TEXT NOT NULL, image TEXT,
                           changes TEXT NOT NULL, dropped INTEGER NOT NULL DEFAULT 0);
     -- The audit trail: every doing, undoing and redoing in order.
     CREATE TABLE steps (number INTEGER PRIMARY KEY, at TEXT NOT NULL, action TEXT NOT NULL, seq INTEGER NOT NULL);
     -- Records of the file as they stood when they were first edited.
     CREATE TABLE bases (id TEXT PRIMARY KEY, record BLOB NOT NULL) WITHOUT ROWID;
     CREATE TABLE queues (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;",
];

/// The last entry of the history that is done.
pub(super) const POSITION: &str = "position";
/// How long a reader waits for a writer.
const BUSY: Duration = Duration::from_secs(5);

/// An entry of the history as the database holds it.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredEntry {
    /// Its number, from 1, ascending.
    pub seq: i64,
    /// When, in UTC.
    pub at: String,
    /// What, in words.
    pub words: String,
    /// The image that it is about.
    pub image_id: Option<u64>,
    /// The changes as JSON.
    pub changes: String,
    /// Undone, and then something else was done.
    pub is_dropped: bool,
}

impl StoredEntry {
    /// Its changes.
    pub(super) fn read(&self) -> Result<Vec<Change>, ReviewError> {
        serde_json::from_str(&self.changes).map_err(|_| ReviewError::UnknownEntry { seq: self.seq })
    }
}

/// One step of the audit trail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredStep {
    /// When, in UTC.
    pub at: String,
    /// `do`, `undo` or `redo`.
    pub action: String,
    /// The entry.
    pub seq: i64,
}

/// Everything that a session begins with.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Loaded {
    /// All entries, dropped ones too, by number.
    pub entries: Vec<StoredEntry>,
    /// Number of the last one that is done; 0 for none.
    pub position: i64,
    /// The audit trail.
    pub steps: Vec<StoredStep>,
    /// Records of the file as they were when they were first edited, by id.
    pub bases: Vec<(u64, Vec<u8>)>,
    /// Queues by name, as JSON.
    pub queues: Vec<(String, String)>,
}

/// Opens the database to write, makes or migrates its tables, and sees that it is sound. A damaged one is put aside.
pub(super) fn open_to_write(path: &Path) -> Result<Connection, ReviewError> {
    let opened = Connection::open(path).and_then(|connection| {
        connection.busy_timeout(BUSY)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        check(&connection)?;
        Ok(connection)
    });
    let mut connection = opened.map_err(|error| damaged_or(path, error))?;
    migrate(&mut connection, path)?;
    Ok(connection)
}

/// Reads everything that is in the database; nothing of it is changed.
pub(super) fn read_only(path: &Path) -> Result<Loaded, ReviewError> {
    let connection = match open_to_read(path) {
        Err(ReviewError::Database { source, .. })
            if matches!(
                source.sqlite_error_code(),
                Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly)
            ) =>
        {
            // SQLite wants to write beside it even then: in a folder where nobody may, a copy is read.
            return read_copy(path);
        }
        opened => opened?,
    };
    load(&connection, path)
}

/// Reads a copy that goes away again.
fn read_copy(path: &Path) -> Result<Loaded, ReviewError> {
    let failed = |source| ReviewError::Folder {
        path: path.to_owned(),
        source,
    };
    let folder = tempfile::tempdir().map_err(failed)?;
    let copy = folder.path().join("review.db");
    copy_database(path, &copy).map_err(failed)?;
    load(&open_to_read(&copy)?, path)
}

fn open_to_read(path: &Path) -> Result<Connection, ReviewError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let failed = |source| ReviewError::Database {
        path: path.to_owned(),
        source,
    };
    let connection = Connection::open_with_flags(path, flags).map_err(failed)?;
    connection.busy_timeout(BUSY).map_err(failed)?;
    check(&connection).map_err(failed)?;
    let found = form(&connection).map_err(failed)?;
    too_new(path, found)?;
    Ok(connection)
}

/// SQLite's own check; what it finds is an error of a damaged file.
fn check(connection: &Connection) -> rusqlite::Result<()> {
    let found: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if found == "ok" {
        return Ok(());
    }
    let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT);
    Err(rusqlite::Error::SqliteFailure(code, Some(found)))
}

fn form(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("PRAGMA user_version", [], |row| row.get(0))
}

fn too_new(path: &Path, found: i64) -> Result<(), ReviewError> {
    let known = MIGRATIONS.len() as i64;
    if found <= known {
        return Ok(());
    }
    let path = path.to_owned();
    Err(ReviewError::TooNew { path, found, known })
}

fn migrate(connection: &mut Connection, path: &Path) -> Result<(), ReviewError> {
    let failed = |source| ReviewError::Database {
        path: path.to_owned(),
        source,
    };
    let found = form(connection).map_err(failed)?;
    too_new(path, found)?;
    for (number, step) in (1i64..).zip(MIGRATIONS).skip(found.max(0) as usize) {
        let made = connection.transaction().and_then(|transaction| {
            transaction.execute_batch(step)?;
            transaction.pragma_update(None, "user_version", number)?;
            transaction.commit()
        });
        made.map_err(failed)?;
    }
    Ok(())
}

/// Puts a damaged database aside under another name; other failures are told as they are.
fn damaged_or(path: &Path, error: rusqlite::Error) -> ReviewError {
    let code = error.sqlite_error_code();
    if !matches!(
        code,
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
    ) {
        let path = path.to_owned();
        return ReviewError::Database {
            path,
            source: error,
        };
    }
    let backup = free_name(path, ".damaged");
    match move_database(path, &backup) {
        Ok(()) => ReviewError::Damaged {
            path: path.to_owned(),
            backup,
            reason: error.to_string(),
        },
        Err(source) => ReviewError::Folder {
            path: path.to_owned(),
            source,
        },
    }
}

/// Writes entries anew whose changes are others now, all or none.
pub(super) fn rewrite<'a>(
    connection: &mut Connection,
    path: &Path,
    entries: impl Iterator<Item = &'a StoredEntry>,
) -> Result<(), ReviewError> {
    let write = || {
        let transaction = connection.transaction()?;
        for entry in entries {
            transaction.execute(
                "UPDATE entries SET changes = ?1 WHERE seq = ?2",
                rusqlite::params![entry.changes, entry.seq],
            )?;
        }
        transaction.commit()
    };
    write().map_err(|source| ReviewError::Database {
        path: path.to_owned(),
        source,
    })
}

/// Reads everything.
pub(super) fn load(connection: &Connection, path: &Path) -> Result<Loaded, ReviewError> {
    read(connection).map_err(|source| ReviewError::Database {
        path: path.to_owned(),
        source,
    })
}

fn read(connection: &Connection) -> rusqlite::Result<Loaded> {
    if form(connection)? == 0 {
        return Ok(Loaded::default()); // killed before its tables were made
    }
    let position: Option<String> = connection
        .query_row("SELECT value FROM meta WHERE key = ?1", [POSITION], |row| {
            row.get(0)
        })
        .optional()?;
    let id = |text: String| text.parse::<u64>().unwrap_or(0);
    Ok(Loaded {
        position: position.and_then(|text| text.parse().ok()).unwrap_or(0),
        entries: rows(
            connection,
            "SELECT seq, at, words, image, changes, dropped FROM entries ORDER BY seq",
            |row| {
                Ok(StoredEntry {
                    seq: row.get(0)?,
                    at: row.get(1)?,
                    words: row.get(2)?,
                    image_id: row.get::<_, Option<String>>(3)?.map(id),
                    changes: row.get(4)?,
                    is_dropped: row.get(5)?,
                })
            },
        )?,
        steps: rows(
            connection,
            "SELECT at, action, seq FROM steps ORDER BY number",
            |row| {
                Ok(StoredStep {
                    at: row.get(0)?,
                    action: row.get(1)?,
                    seq: row.get(2)?,
                })
            },
        )?,
        bases: rows(connection, "SELECT id, record FROM bases", |row| {
            Ok((id(row.get(0)?), row.get(1)?))
        })?,
        queues: rows(
            connection,
            "SELECT name, value FROM queues ORDER BY name",
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?,
    })
}

fn rows<T>(
    connection: &Connection,
    query: &str,
    take: impl FnMut(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<Vec<T>> {
    connection.prepare(query)?.query_map([], take)?.collect()
}
