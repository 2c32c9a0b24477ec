//! Saving a set: a copy of its JSON in which the records that were edited are replaced, so that all else stays as it
//! was to the last byte: unknown keys, polygons, digits, order and space.

use std::collections::BTreeMap;
use std::io::{BufWriter, Write};
use std::ops::Range;
use std::path::Path;

use serde_json::Value;

use super::dataset::{AnnotationHead, Dataset, Source, fields, scan};
use super::{AtomicFile, CocoError};
use plan::Plan;

mod plan;

/// Bytes copied at a time.
const BLOCK: usize = 1 << 20;

/// What becomes of one record.
#[derive(Clone, Debug, PartialEq)]
enum Change {
    Replace(Vec<u8>),
    Remove,
}

/// Changes of annotations, at most one for each; none: the copy is the file itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Edits {
    /// By where the record starts, with where it ends.
    changes: BTreeMap<u64, (u64, Change)>,
    added: Vec<Vec<u8>>,
    categories: Vec<Vec<u8>>,
    /// A key of `info` with its value.
    info: Option<(String, Value)>,
}

impl Edits {
    /// Gives an annotation another record. To change some of its fields and keep the others to the last digit, make
    /// the record with `with_fields`.
    ///
    /// # Errors
    /// The text is no JSON object.
    pub fn replace(&mut self, head: &AnnotationHead, record: Vec<u8>) -> Result<(), NotAnObject> {
        check_object(&record)?;
        let end = head.span.end();
        self.changes
            .insert(head.span.start, (end, Change::Replace(record)));
        Ok(())
    }

    /// Takes an annotation out.
    pub fn remove(&mut self, head: &AnnotationHead) {
        let end = head.span.end();
        self.changes.insert(head.span.start, (end, Change::Remove));
    }

    /// Puts an annotation behind all others.
    ///
    /// # Errors
    /// The text is no JSON object.
    pub fn add(&mut self, record: Vec<u8>) -> Result<(), NotAnObject> {
        check_object(&record)?;
        self.added.push(record);
        Ok(())
    }

    /// Puts a category behind all others.
    ///
    /// # Errors
    /// The text is no JSON object.
    pub fn add_category(&mut self, record: Vec<u8>) -> Result<(), NotAnObject> {
        check_object(&record)?;
        self.categories.push(record);
        Ok(())
    }

    /// Gives a key of the `info` block another value; the rest of the block stays. A block that is no object is left
    /// as it is.
    pub fn set_info(&mut self, key: &str, value: Value) {
        self.info = Some((key.to_owned(), value));
    }

    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A text that was to be a record but is no JSON object.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("a record must be one JSON object")]
pub struct NotAnObject;

fn check_object(record: &[u8]) -> Result<(), NotAnObject> {
    match scan::members(record, 0, |_, _| {}) {
        Ok(end) if end == record.len() => Ok(()),
        _ => Err(NotAnObject),
    }
}

/// The text of a record with the values of some keys replaced, those it does not have added at its end; the rest stays
/// as it is. Of a key that stands there twice all values are replaced.
///
/// # Errors
/// The text is no JSON object.
pub fn with_fields(record: &[u8], values: &[(&str, Value)]) -> Result<Vec<u8>, NotAnObject> {
    check_object(record)?;
    let mut spans: Vec<(Range<usize>, usize)> = Vec::new();
    let mut is_empty = true;
    scan::members(record, 0, |key, span| {
        is_empty = false;
        let key = fields::key(key);
        if let Some(at) = values.iter().position(|(name, _)| name.as_bytes() == &*key) {
            spans.push((span, at));
        }
    })
    .map_err(|_| NotAnObject)?;
    let mut text = Vec::with_capacity(record.len());
    let mut done = 0;
    for (span, at) in &spans {
        text.extend_from_slice(record.get(done..span.start).unwrap_or_default());
        text.extend(
            values
                .get(*at)
                .map(|(_, value)| value.to_string())
                .unwrap_or_default()
                .bytes(),
        );
        done = span.end;
    }
    text.extend_from_slice(record.get(done..record.len() - 1).unwrap_or_default());
    let missing = (0..values.len()).filter(|at| spans.iter().all(|(_, known)| known != at));
    for (name, value) in missing.filter_map(|at| values.get(at)) {
        let comma = if std::mem::take(&mut is_empty) {
            ""
        } else {
            ", "
        };
        text.extend(format!("{comma}{}: {value}", Value::from(*name)).bytes());
    }
    text.push(b'}');
    Ok(text)
}

/// Writes the set with its edits to `output`, which is replaced in one step and may be the set's own file; the set must
/// then be opened again.
///
/// # Errors
/// The set's file was changed since it was opened, the disk or folder refuses.
pub fn save(set: &Dataset, output: &Path, edits: &Edits) -> Result<(), CocoError> {
    let source = set.source();
    source.check_unchanged()?;
    let splices = Plan { set, edits }.splices()?;
    // Through a link the file itself is replaced, not the link.
    let target = std::fs::canonicalize(output).unwrap_or_else(|_| output.to_owned());
    let failed = |source| CocoError::Write {
        path: target.clone(),
        source,
        kept: "the file that was there is as it was".into(),
    };
    let mut file = AtomicFile::create(&target).map_err(failed)?;
    let mut writer = BufWriter::new(&mut file);
    let mut done = 0;
    for splice in splices {
        copy(source, done..splice.range.start, &mut writer, failed)?;
        writer.write_all(&splice.text).map_err(failed)?;
        done = splice.range.end;
    }
    copy(source, done..source.length(), &mut writer, failed)?;
    writer.flush().map_err(failed)?;
    drop(writer);
    source.check_unchanged()?;
    file.persist().map_err(failed)
}

fn copy(
    source: &Source,
    range: Range<u64>,
    writer: &mut impl Write,
    failed: impl Fn(std::io::Error) -> CocoError,
) -> Result<(), CocoError> {
    let mut block = vec![0u8; BLOCK];
    let mut at = range.start;
    while at < range.end {
        let length = (BLOCK as u64).min(range.end - at);
        let bytes = block.get_mut(..length as usize).unwrap_or_default();
        source.read_at(at, bytes)?;
        writer.write_all(bytes).map_err(&failed)?;
        at += length;
    }
    Ok(())
}
