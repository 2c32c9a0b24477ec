//! Whole files in and out: size caps, temporary files beside their target.

use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use tempfile::NamedTempFile;

use super::{CocoError, python_json};

/// Largest JSON that is read: nine times COCO train2017.
const MAX_BYTES: u64 = 4 << 30;

/// All bytes of a file.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, CocoError> {
    let io = |source| CocoError::read(path, source);
    let file = File::open(path).map_err(io)?;
    let length = file.metadata().map_err(io)?.len();
    check_length(path, length)?;
    let mut bytes = Vec::with_capacity(length as usize + 1);
    // A pipe has no length; the limit holds all the same.
    file.take(MAX_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(io)?;
    check_length(path, bytes.len() as u64)?;
    if bytes.is_empty() {
        let path = path.to_owned();
        return Err(CocoError::Empty { path });
    }
    Ok(bytes)
}

/// Refuses a JSON larger than any that is read.
pub(super) fn check_length(path: &Path, bytes: u64) -> Result<(), CocoError> {
    if bytes <= MAX_BYTES {
        return Ok(());
    }
    Err(CocoError::TooLarge {
        path: path.to_owned(),
        bytes,
        limit: MAX_BYTES,
    })
}

/// The folder that a file lies in.
pub(super) fn folder_of(path: &Path) -> &Path {
    path.parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
}

/// A temporary file beside its target, readable as any new file of the user.
pub(super) fn temporary_beside(target: &Path) -> std::io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".maskscope-").suffix(".tmp");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(std::fs::Permissions::from_mode(0o666)); // less the umask
    }
    builder.tempfile_in(folder_of(target))
}

/// Puts a temporary file in its target's place, on disk before it counts.
pub(super) fn persist(temporary: NamedTempFile, target: &Path) -> std::io::Result<()> {
    temporary.as_file().sync_all()?;
    temporary.persist(target).map_err(|error| error.error)?;
    // Not every file system can sync a folder; the rename itself has happened.
    if let Ok(folder) = File::open(folder_of(target)) {
        let _ = folder.sync_all();
    }
    Ok(())
}

/// A file that takes its target's place when it is whole; dropped before, it leaves nothing.
pub struct AtomicFile {
    temporary: NamedTempFile,
    target: PathBuf,
}

impl AtomicFile {
    /// Begins a file beside its target.
    ///
    /// # Errors
    /// The folder refuses it.
    pub fn create(target: &Path) -> std::io::Result<Self> {
        Ok(Self {
            temporary: temporary_beside(target)?,
            target: target.to_owned(),
        })
    }

    /// Puts the file in its target's place.
    ///
    /// # Errors
    /// The disk refuses it; the target is as it was.
    pub fn persist(self) -> std::io::Result<()> {
        persist(self.temporary, &self.target)
    }
}

impl Write for AtomicFile {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.temporary.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.temporary.flush()
    }
}

/// `path` with more text at its end.
pub fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Tells one content of a file from another: its length and CRC-32, in hexadecimal.
///
/// # Errors
/// The file cannot be read.
pub fn content_hash(path: &Path) -> Result<String, CocoError> {
    const BLOCK: usize = 1 << 20;
    let io = |source| CocoError::read(path, source);
    let mut file = File::open(path).map_err(io)?;
    let (mut hasher, mut length) = (crc32fast::Hasher::new(), 0u64);
    let mut block = vec![0u8; BLOCK];
    loop {
        let got = file.read(&mut block).map_err(io)?;
        if got == 0 {
            return Ok(format!("{length:x}-{:08x}", hasher.finalize()));
        }
        length += got as u64;
        hasher.update(block.get(..got).unwrap_or_default());
    }
}

/// Writes a JSON as Python's `json.dump(indent=1)` would, in one step: an old file stays until the new one is whole.
///
/// # Errors
/// The folder or the disk refuses it.
pub fn write_json(path: &Path, value: &impl Serialize) -> Result<(), CocoError> {
    write_whole(path, |out| {
        Ok(value.serialize(&mut python_json::serializer(out))?)
    })
}

/// Writes a file in one step: an old one stays until the new one is whole.
///
/// # Errors
/// As `write_json`.
pub fn write_whole(
    path: &Path,
    content: impl FnOnce(&mut dyn Write) -> std::io::Result<()>,
) -> Result<(), CocoError> {
    let write = || {
        let mut temporary = temporary_beside(path)?;
        let mut buffered = BufWriter::new(&mut temporary);
        content(&mut buffered)?;
        buffered.flush()?;
        drop(buffered);
        persist(temporary, path)
    };
    write().map_err(|source| CocoError::Write {
        path: path.to_owned(),
        source,
        kept: "the file that was there is as it was".into(),
    })
}
