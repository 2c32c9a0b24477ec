//! Where the database of a set lies, and the lock that keeps a second window from editing.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

use super::ReviewError;

const SUFFIX: &str = ".maskscope.db";
const LOCK_SUFFIX: &str = ".lock";

/// `path` with more text at its end.
pub(super) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

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
    /// Beside the set where its folder can be written, else in the data folder.
    pub fn take(json: &Path, data_folder: &Path) -> Result<Self, ReviewError> {
        let path = beside(json);
        match lock(&path) {
            Ok(lock) => Ok(Self {
                path,
                lock,
                note: None,
            }),
            Err(refused) => {
                let elsewhere = in_data_folder(json, data_folder);
                let fail = |source| ReviewError::Folder {
                    path: elsewhere.clone(),
                    source,
                };
                std::fs::create_dir_all(data_folder).map_err(fail)?;
                let lock = lock(&elsewhere).map_err(fail)?;
                let note = format!(
                    "{} cannot be written ({refused}): the review is kept in {}",
                    path.display(),
                    elsewhere.display()
                );
                Ok(Self {
                    path: elsewhere,
                    lock,
                    note: Some(note),
                })
            }
        }
    }

    /// Where a review of the set lies already; nothing is made.
    pub fn find(json: &Path, data_folder: &Path) -> Option<PathBuf> {
        let places = [beside(json), in_data_folder(json, data_folder)];
        places.into_iter().find(|path| path.is_file())
    }
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
