//! Where tensor bytes lie: a mapped file or memory.
#![allow(unsafe_code, reason = "mapping a file is unsafe by nature")]

use std::fs::File;
use std::ops::Deref;
use std::path::Path;
use std::sync::Arc;

use memmap2::Mmap;

/// Bytes that tensors point into.
pub(super) enum Source {
    /// A whole file.
    Mapped(Mmap),
    /// Inflated or decoded bytes.
    Owned(Vec<u8>),
}

impl Deref for Source {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Mapped(map) => map,
            Self::Owned(bytes) => bytes,
        }
    }
}

impl Source {
    /// Maps a file; an empty one, which cannot be mapped, becomes no bytes.
    pub fn map(path: &Path) -> std::io::Result<Arc<Self>> {
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        if metadata.is_dir() {
            return Err(std::io::ErrorKind::IsADirectory.into());
        }
        if metadata.len() == 0 {
            return Ok(Arc::new(Self::Owned(Vec::new())));
        }
        // SAFETY: the map is read-only and only bytes are read from it, any value of which is valid. Another
        // process that shortens the file meanwhile would end this one with a bus error: as with every mapped
        // file, nothing here can prevent that.
        let map = unsafe { Mmap::map(&file)? };
        Ok(Arc::new(Self::Mapped(map)))
    }
}

/// A range of a source. Its bounds were checked when it was made.
#[derive(Clone)]
pub(super) struct Span {
    source: Arc<Source>,
    start: usize,
    len: usize,
}

impl Span {
    /// A range of a source, `None` where it does not lie inside.
    pub fn new(source: &Arc<Source>, start: usize, len: usize) -> Option<Self> {
        (start.checked_add(len)? <= source.len()).then(|| Self {
            source: source.clone(),
            start,
            len,
        })
    }

    /// All of some bytes in memory.
    pub fn owned(bytes: Vec<u8>) -> Self {
        let len = bytes.len();
        Self {
            source: Arc::new(Source::Owned(bytes)),
            start: 0,
            len,
        }
    }

    /// A range within this one.
    pub fn slice(&self, start: usize, len: usize) -> Option<Self> {
        (start.checked_add(len)? <= self.len).then(|| Self {
            source: self.source.clone(),
            start: self.start + start,
            len,
        })
    }

    /// Number of bytes.
    pub fn len(&self) -> usize {
        self.len
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        self.source
            .get(self.start..self.start + self.len)
            .unwrap_or_default()
    }
}

impl std::fmt::Debug for Span {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Span({}+{})", self.start, self.len)
    }
}
