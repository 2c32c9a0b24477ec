//! The JSON file of an opened set: read at positions, and known to be the one that was indexed.

use std::fs::{File, Metadata};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::coco::CocoError;

/// Bytes read at once while the place of a mistake is counted.
const BLOCK: usize = 1 << 20;

/// What tells one state of a file from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    length: u64,
    modified: Option<SystemTime>,
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self {
            length: metadata.len(),
            modified: metadata.modified().ok(),
        }
    }
}

/// An open file that must stay as it is.
pub(in crate::coco) struct Source {
    path: PathBuf,
    file: File,
    stamp: Stamp,
}

impl Source {
    pub fn open(path: &Path) -> Result<Self, CocoError> {
        let io = |source| CocoError::read(path, source);
        let file = File::open(path).map_err(io)?;
        let stamp = Stamp::of(&file.metadata().map_err(io)?);
        Ok(Self {
            path: path.to_owned(),
            file,
            stamp,
        })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn length(&self) -> u64 {
        self.stamp.length
    }

    pub fn file(&self) -> &File {
        &self.file
    }

    /// Refuses a file that was changed, replaced or removed since it was opened.
    pub fn check_unchanged(&self) -> Result<(), CocoError> {
        let now = std::fs::metadata(&self.path).map(|metadata| Stamp::of(&metadata));
        if now.is_ok_and(|now| now == self.stamp) {
            Ok(())
        } else {
            Err(CocoError::Changed {
                path: self.path.clone(),
            })
        }
    }

    /// Fills `bytes` from position `start`.
    pub fn read_at(&self, start: u64, bytes: &mut [u8]) -> Result<(), CocoError> {
        read_exact_at(&self.file, start, bytes)
            .map_err(|source| CocoError::read(&self.path, source))
    }

    /// A JSON mistake at a position: its line and column, 1-based, are counted now.
    pub fn mistake(&self, at: u64, reason: String) -> CocoError {
        let (line, column) = self
            .lines_and_columns(&[at])
            .ok()
            .and_then(|places| places.first().copied())
            .unwrap_or((1, at as usize + 1));
        CocoError::Json {
            path: self.path.clone(),
            reason,
            line,
            column,
        }
    }

    /// Lines and columns (in bytes), 1-based, of ascending positions: one pass over the file.
    pub fn lines_and_columns(&self, ascending: &[u64]) -> Result<Vec<(usize, usize)>, CocoError> {
        let mut found = Vec::with_capacity(ascending.len());
        let (mut line, mut line_start) = (1usize, 0u64);
        let mut wanted = ascending.iter().copied().peekable();
        let (mut base, mut block) = (0u64, vec![0u8; BLOCK]);
        while let Some(&last) = ascending.last().filter(|_| wanted.peek().is_some()) {
            let length = BLOCK.min(self.length().saturating_sub(base) as usize);
            let bytes = block.get_mut(..length).unwrap_or_default();
            self.read_at(base, bytes)?;
            let ends = (base..)
                .zip(bytes.iter())
                .filter(|&(_, &byte)| byte == b'\n');
            for newline in ends.map(|(at, _)| at).take_while(|&at| at < last) {
                while let Some(at) = wanted.next_if(|&at| at <= newline) {
                    found.push((line, (at - line_start) as usize + 1));
                }
                line += 1;
                line_start = newline + 1;
            }
            base += length as u64;
            let is_last = base >= self.length();
            while let Some(at) = wanted.next_if(|&at| is_last || at < base) {
                found.push((line, (at - line_start) as usize + 1));
            }
        }
        Ok(found)
    }
}

#[cfg(unix)]
fn read_exact_at(file: &File, start: u64, bytes: &mut [u8]) -> std::io::Result<()> {
    use std::os::unix::fs::FileExt;
    file.read_exact_at(bytes, start)
}

#[cfg(windows)]
fn read_exact_at(file: &File, mut start: u64, mut bytes: &mut [u8]) -> std::io::Result<()> {
    use std::os::windows::fs::FileExt;
    while !bytes.is_empty() {
        let count = file.seek_read(bytes, start)?;
        if count == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        start += count as u64;
        bytes = bytes.get_mut(count..).unwrap_or_default();
    }
    Ok(())
}
