//! Why an image could not be used.

use std::path::{Path, PathBuf};

/// Largest image that is decoded.
pub const MAX_PIXELS: usize = 400_000_000;

/// Why an image could not be used; always names the file and what to do.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// The file could not be read.
    #[error("cannot read {path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file of no bytes.
    #[error("{path} is empty (0 bytes): copy or download it again")]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// A pointer of Git LFS stands where the image should be.
    #[error(
        "{path} is a Git LFS pointer, not the image itself: run `git lfs pull` in its repository"
    )]
    LfsPointer {
        /// The file.
        path: PathBuf,
    },
    /// The first bytes belong to no format that is read.
    #[error(
        "{path} is no image of a known format (PNG, JPEG, WebP, BMP, TIFF, GIF): convert or remove it"
    )]
    UnknownFormat {
        /// The file.
        path: PathBuf,
    },
    /// Wider times higher than `MAX_PIXELS`.
    #[error(
        "{path} is {width}×{height} pixels; at most {} million are read: scale it down",
        MAX_PIXELS / 1_000_000
    )]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Columns that the header declares.
        width: usize,
        /// Rows that the header declares.
        height: usize,
    },
    /// Samples that are no 8- or 16-bit integers.
    #[error("{path} holds {samples}; only 8- and 16-bit images are read: convert it to 8 bits")]
    Samples {
        /// The file.
        path: PathBuf,
        /// What it holds.
        samples: String,
    },
    /// A rare kind of a known format.
    #[error("{path} is {what}, which is not read: save it as an ordinary PNG or JPEG")]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// What it is.
        what: String,
    },
    /// The data behind the header is damaged or cut off.
    #[error("{path} cannot be decoded: {reason}; it is damaged or cut off, copy it again")]
    Broken {
        /// The file.
        path: PathBuf,
        /// What the decoder said.
        reason: String,
    },
}

impl ImageError {
    pub(super) fn io(path: &Path, source: std::io::Error) -> Self {
        // A decoder that runs out of bytes is a damaged file, not a damaged disk.
        if source.kind() == std::io::ErrorKind::UnexpectedEof {
            return Self::broken(path, "the file ends too early");
        }
        Self::Io {
            path: path.to_owned(),
            source,
        }
    }

    pub(super) fn broken(path: &Path, reason: impl ToString) -> Self {
        Self::Broken {
            path: path.to_owned(),
            reason: reason.to_string(),
        }
    }
}
