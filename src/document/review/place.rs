//! Where the database of a set lies, and the lock that keeps a second window from editing.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::ReviewError;
use crate::coco::with_suffix;

const SUFFIX: &str = ".maskscope.db";
/// Beside a copy: the stamp of what it was copied from.
const COPY_OF: &str = ".copy-of";
const LOCK_SUFFIX: &str = ".lock";

/// The database beside the set.
pub fn beside(json: &Path) -> PathBuf {
    with_suffix(json, SUFFIX)
}

/// The database in the user's data folder, for a set whose folder cannot be written. The name holds a number of the whole path,
/// so that two sets of one file name stay apart.
fn in_data_folder(json: &Path, data_folder: &Path) -> PathBuf {
    let whole = std::fs::canonicalize(json).unwrap_or_else(|_| json.to_owned());
    let hash = crc32fast::hash(whole.as_os_str().as_encoded_bytes());
    let name = json.file_name().unwrap_or_default().to_string_lossy();
    data_folder.join(format!("{name}-{hash:08x}{SUFFIX}"))
}

/// The user's data folder of this program.
pub fn data_folder() -> PathBuf {
    directories::ProjectDirs::from("", "", "maskscope").map_or_else(
        || std::env::temp_dir().join("maskscope"),
        |dirs| dirs.data_dir().join("reviews"),
    )
}

/// What the lock says.
pub(super) enum Locked {
    /// This process edits as long as it holds the file.
    Ours(File),
    /// Another one does.
    Theirs,
}

/// The database of a set, and the right to write it.
pub(super) struct Place {
    pub path: PathBuf,
    pub lock: Locked,
    /// The database is not beside the set, and why.
    pub note: Option<String>,
}

impl Place {
    /// Where the review goes on: beside the set; in the data folder where that cannot be written, with what is beside the set
    /// already; and there, as long as nobody has gone on beside the set.
    pub fn take(json: &Path, data_folder: &Path) -> Result<Self, ReviewError> {
        let (path, elsewhere) = (beside(json), in_data_folder(json, data_folder));
        let goes_on_elsewhere = Self::find(json, data_folder).as_ref() == Some(&elsewhere);
        if !goes_on_elsewhere {
            return match lock(&path) {
                Ok(lock) => {
                    let other = elsewhere.is_file().then(|| {
                        format!(
                            "an older review of this set lies in {}",
                            elsewhere.display()
                        )
                    });
                    Ok(Self {
                        path,
                        lock,
                        note: other,
                    })
                }
                Err(refused) => Self::take_elsewhere(&path, elsewhere, &refused),
            };
        }
        let lock = lock(&elsewhere).map_err(|source| ReviewError::Folder {
            path: elsewhere.clone(),
            source,
        })?;
        let note = format!("the review of this set is kept in {}", elsewhere.display());
        Ok(Self {
            path: elsewhere,
            lock,
            note: Some(note),
        })
    }

    fn take_elsewhere(
        path: &Path,
        elsewhere: PathBuf,
        refused: &std::io::Error,
    ) -> Result<Self, ReviewError> {
        let fail = |source| ReviewError::Folder {
            path: elsewhere.clone(),
            source,
        };
        let folder = elsewhere.parent().unwrap_or(Path::new("."));
        std::fs::create_dir_all(folder).map_err(fail)?;
        let lock = lock(&elsewhere).map_err(fail)?;
        let mut note = format!(
            "{} cannot be written ({refused}): the review is kept in {}",
            path.display(),
            elsewhere.display()
        );
        if path.is_file() && matches!(lock, Locked::Ours(_)) {
            if elsewhere.is_file() {
                let older = free_name(&elsewhere, ".older");
                move_database(&elsewhere, &older).map_err(fail)?;
                note.push_str(&format!("; an older one lies in {}", older.display()));
            }
            // Before the copy: what is written meanwhile is another one.
            let stamp = stamp(path);
            copy_database(path, &elsewhere).map_err(fail)?;
            std::fs::write(with_suffix(&elsewhere, COPY_OF), stamp).map_err(fail)?;
            note.push_str(", with all that is there");
        }
        Ok(Self {
            path: elsewhere,
            lock,
            note: Some(note),
        })
    }

    /// Where a review of the set lies already. Of two the one in the data folder as long as the other one is what it was copied
    /// from, else the one that was written last. Nothing is made.
    pub fn find(json: &Path, data_folder: &Path) -> Option<PathBuf> {
        let (path, elsewhere) = (beside(json), in_data_folder(json, data_folder));
        match (path.is_file(), elsewhere.is_file()) {
            (false, false) => None,
            (true, false) => Some(path),
            (false, true) => Some(elsewhere),
            (true, true) => {
                let copied = std::fs::read_to_string(with_suffix(&elsewhere, COPY_OF));
                let is_copy = copied.is_ok_and(|copied| copied == stamp(&path));
                let is_later = written(&elsewhere) > written(&path);
                Some(if is_copy || is_later { elsewhere } else { path })
            }
        }
    }
}

/// Length and time of a database and of what waits in its log: others when somebody has gone on with it.
fn stamp(database: &Path) -> String {
    let of = |path: &Path| {
        let found = path.metadata().ok();
        let time = found.as_ref().and_then(|it| it.modified().ok());
        let time = time.and_then(|it| it.duration_since(SystemTime::UNIX_EPOCH).ok());
        let (length, time) = (found.map_or(0, |it| it.len()), time.unwrap_or_default());
        format!("{length} {}", time.as_nanos())
    };
    format!("{} {}", of(database), of(&with_suffix(database, "-wal")))
}

/// When a database was last written: what waits in its log counts.
fn written(database: &Path) -> Option<SystemTime> {
    let of = |path: &Path| path.metadata().and_then(|it| it.modified()).ok();
    of(database).max(of(&with_suffix(database, "-wal")))
}

/// `<path><suffix>`, with a number where that is taken.
pub(super) fn free_name(path: &Path, suffix: &str) -> PathBuf {
    let first = with_suffix(path, suffix);
    let numbered = (2..).map(|number| with_suffix(path, &format!("{suffix}-{number}")));
    let mut names = std::iter::once(first.clone()).chain(numbered);
    names.find(|name| !name.exists()).unwrap_or(first)
}

/// Moves a database with what belongs to it.
pub(super) fn move_database(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::rename(from, to)?;
    for suffix in ["-wal", "-shm"] {
        // Where there is none, none is moved.
        let _ = std::fs::rename(with_suffix(from, suffix), with_suffix(to, suffix));
    }
    Ok(())
}

/// Copies a database with what waits in its log; in one step, so that half of one is never found.
pub(super) fn copy_database(from: &Path, to: &Path) -> std::io::Result<()> {
    // A copy of the permissions would make it one that cannot be written either.
    let copy = |from: &Path, to: &Path| {
        let (mut from, mut to) = (File::open(from)?, File::create(to)?);
        std::io::copy(&mut from, &mut to)?;
        to.sync_all()
    };
    // A log that an earlier copy left would be taken for this one's.
    for suffix in ["-wal", "-shm"] {
        match std::fs::remove_file(with_suffix(to, suffix)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    let log = with_suffix(from, "-wal");
    if log.is_file() {
        copy(&log, &with_suffix(to, "-wal"))?;
    }
    let partial = with_suffix(to, ".partial");
    copy(from, &partial)?;
    std::fs::rename(partial, to)
}

/// A lock beside the database: one on the database itself would be SQLite's. The system gives it back when the process dies.
fn lock(database: &Path) -> std::io::Result<Locked> {
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).read(true).write(true);
    // A folder may be writable and the database not.
    if database.exists() {
        OpenOptions::new().write(true).open(database)?;
    }
    let file = options.open(with_suffix(database, LOCK_SUFFIX))?;
    match file.try_lock() {
        Ok(()) => Ok(Locked::Ours(file)),
        Err(TryLockError::WouldBlock) => Ok(Locked::Theirs),
        Err(TryLockError::Error(error)) => Err(error),
    }
}
