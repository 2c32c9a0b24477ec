//! Why a COCO file could not be read or written.

use std::path::{Path, PathBuf};

/// Why a COCO file could not be read or written; names the file, the place in it and what to do.
#[derive(Debug, thiserror::Error)]
pub enum CocoError {
    /// The file could not be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file of no bytes.
    #[error("{path} is empty (0 bytes): it was never written whole; make or copy it again")]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// The file is larger than anything that is read.
    #[error("{path} has {bytes} bytes, at most {limit} are read: split it")]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        bytes: u64,
        /// The limit.
        limit: u64,
    },
    /// The JSON is broken, or not of the form expected.
    #[error("{reason} (line {line}, column {column} of {path})")]
    Json {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
        /// 1-based line.
        line: usize,
        /// 1-based column, in bytes.
        column: usize,
    },
    /// The file is JSON, but of another kind.
    #[error("{path} is not {wanted}: it begins with {found}")]
    Kind {
        /// The file.
        path: PathBuf,
        /// What was expected.
        wanted: &'static str,
        /// What was found.
        found: String,
    },
    /// An output could not be written; what is done is kept.
    #[error("cannot write {path}: {source}; {kept}")]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
        /// What became of the work done so far.
        kept: String,
    },
    /// Another run writes the same output.
    #[error(
        "{path} is being written by another run: wait for it, stop it, or choose another output"
    )]
    Busy {
        /// The partial file.
        path: PathBuf,
    },
    /// A number that JSON cannot hold.
    #[error("{what} of a prediction on {image} is {value}, no finite number")]
    NotFinite {
        /// The image.
        image: String,
        /// Which number.
        what: &'static str,
        /// The number.
        value: f64,
    },
    /// COCO results name categories by id alone.
    #[error("class {name} has no category id: COCO results need the data set that it comes from")]
    NoCategoryId {
        /// The class.
        name: String,
    },
    /// No data set lies where one was expected.
    #[error("no COCO data set in {path}: {looked_for}")]
    NoDataset {
        /// The folder.
        path: PathBuf,
        /// What was looked for.
        looked_for: String,
    },
    /// The file is not the one any more that was opened.
    #[error("{path} was changed, replaced or removed since it was opened: open it again")]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// Opening or checking was stopped before its end.
    #[error("stopped before {path} was read")]
    Cancelled {
        /// The file.
        path: PathBuf,
    },
    /// A mask that cannot be made.
    #[error("annotation {annotation} of {path}: {reason}")]
    Segmentation {
        /// The set.
        path: PathBuf,
        /// The JSON's id of the annotation.
        annotation: u64,
        /// Why.
        reason: String,
    },
    /// Another format cannot hold the set.
    #[error("cannot export to {path} as {format}: {reason}")]
    Format {
        /// The output.
        path: PathBuf,
        /// The format.
        format: &'static str,
        /// Why, and what to do.
        reason: String,
    },
    /// Several data sets lie where one was expected.
    #[error("{path} holds several COCO data sets ({found}): name one of the files")]
    Ambiguous {
        /// The folder.
        path: PathBuf,
        /// The files.
        found: String,
    },
}

impl CocoError {
    pub(super) fn read(path: &Path, source: std::io::Error) -> Self {
        Self::Read {
            path: path.to_owned(),
            source,
        }
    }
}
