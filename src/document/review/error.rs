//! Why a review could not begin or an edit was refused.

use std::path::PathBuf;

use super::edit::Target;
use crate::coco::{CocoError, ShapeError};

/// What is wrong, where, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum ReviewError {
    /// The set's file.
    #[error(transparent)]
    Coco(#[from] CocoError),
    /// A mask that cannot be one.
    #[error(transparent)]
    Shape(#[from] ShapeError),
    /// The database refuses.
    #[error("the review database {path} cannot be used: {source}")]
    Database {
        /// The file.
        path: PathBuf,
        /// Why.
        source: rusqlite::Error,
    },
    /// The database is broken.
    #[error(
        "the review database {path} is damaged ({reason}); it was kept as {backup}. The set itself is untouched: open it again to begin a new review"
    )]
    Damaged {
        /// Where it lay.
        path: PathBuf,
        /// Where it lies now.
        backup: PathBuf,
        /// What SQLite says.
        reason: String,
    },
    /// Made by a later version.
    #[error(
        "the review database {path} was made by a newer Maskscope (form {found}, this one knows {known}): update"
    )]
    TooNew {
        /// The file.
        path: PathBuf,
        /// Its form.
        found: i64,
        /// The latest known.
        known: i64,
    },
    /// A folder or file beside the database.
    #[error("cannot use {path} for the review: {source}")]
    Folder {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Someone else edits.
    #[error("this review is open for reading alone: {why}")]
    ReadOnly {
        /// Why.
        why: String,
    },
    /// No annotation of that id.
    #[error("there is no annotation {0}: it was deleted, or never was in the set")]
    NoAnnotation(u64),
    /// An id that several annotations share.
    #[error(
        "several annotations have the id {0}: give each its own id first (`maskscope check` lists them)"
    )]
    RepeatedId(u64),
    /// No image of that id, or none with a size.
    #[error("there is no image {0} with width and height in the set")]
    NoImage(u64),
    /// No category of that id.
    #[error("there is no category {0}: add it first")]
    NoCategory(i64),
    /// A category that exists.
    #[error("there is a category {name} with the id {id} already: choose another name or id")]
    CategoryExists {
        /// Its name.
        name: String,
        /// Its id.
        id: i64,
    },
    /// A category id that COCO does not have.
    #[error("the id {0} of a category is negative: give it another one, or none")]
    NegativeCategory(i64),
    /// A category without a name.
    #[error("a category needs a name")]
    NoName,
    /// A merge or split of what cannot be.
    #[error("cannot {what}: {why}")]
    Impossible {
        /// The edit.
        what: &'static str,
        /// Why.
        why: String,
    },
    /// A mask that cannot be made.
    #[error("annotation {id}: {reason}")]
    Mask {
        /// The annotation.
        id: u64,
        /// Why.
        reason: String,
    },
    /// What is not yet on disk.
    #[error(
        "the last {count} changes are not saved in {path}: {reason}. They are kept in memory while this runs: make room"
    )]
    NotSaved {
        /// The database.
        path: PathBuf,
        /// How many.
        count: u64,
        /// Why.
        reason: String,
    },
    /// An edit that cannot be written down.
    #[error("the edit cannot be kept: {0}")]
    NotKept(serde_json::Error),
    /// An entry that means nothing to this version.
    #[error(
        "entry {seq} of the review's history cannot be read: it was made by another Maskscope, update"
    )]
    UnknownEntry {
        /// Its number.
        seq: i64,
    },
    /// A number of a prediction that JSON cannot hold.
    #[error("a score of the prediction is no finite number: give it none, or another")]
    NotFinite,
    /// An opinion about what does not exist.
    #[error("{0:?} is not part of the set")]
    NoTarget(Target),
    /// A thread of the operating system could not be had.
    #[error("cannot start a thread: {0}")]
    Thread(std::io::Error),
    /// Conflicts with a changed file.
    #[error(
        "{0} annotations were changed here and by another program: decide first which to keep (`maskscope review SET --keep mine` or `theirs`)"
    )]
    Conflicts(usize),
}
