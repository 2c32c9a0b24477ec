//! Saving a set: a copy of its JSON in which the records that were edited are replaced, so that all else stays as it
//! was to the last byte: unknown keys, polygons, digits, order and space.

use std::collections::BTreeMap;
use std::io::{BufWriter, Write};
use std::ops::Range;
use std::path::Path;

use serde_json::Value;

use super::dataset::{AnnotationHead, Dataset, List, Source, fields, scan};
use super::{AtomicFile, CocoError};

/// Bytes copied at a time.
const BLOCK: usize = 1 << 20;
/// Bytes looked at together on the way to the next mark between two records.
const PEEK: u64 = 64;

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

    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.added.is_empty()
    }
}

/// A text that was to be a record but is no JSON object.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("an annotation's record must be one JSON object")]
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

/// A range of the file and what takes its place.
struct Splice {
    range: Range<u64>,
    text: Vec<u8>,
}

struct Plan<'a> {
    set: &'a Dataset,
    edits: &'a Edits,
}

impl Plan<'_> {
    /// In the order of the file, none overlapping another.
    fn splices(&self) -> Result<Vec<Splice>, CocoError> {
        let mut splices = Vec::new();
        let mut removed: Option<Range<u64>> = None; // records next to each other that go
        for (&start, (end, change)) in &self.edits.changes {
            if let Some(run) = removed.take() {
                let follows = self.next_record(run.end)? == Some(start);
                if follows && *change == Change::Remove {
                    removed = Some(run.start..*end);
                    continue;
                }
                splices.push(self.removal(run)?);
            }
            match change {
                Change::Remove => removed = Some(start..*end),
                Change::Replace(text) => splices.push(Splice {
                    range: start..*end,
                    text: text.clone(),
                }),
            }
        }
        if let Some(run) = removed {
            splices.push(self.removal(run)?);
        }
        if !self.edits.added.is_empty() {
            splices.push(self.addition()?);
            // Without a list of annotations the new one may stand before or after what else is changed: nothing is.
            splices.sort_by_key(|splice| (splice.range.start, splice.range.end));
        }
        Ok(splices)
    }

    /// Takes records out with one of the commas around them.
    fn removal(&self, run: Range<u64>) -> Result<Splice, CocoError> {
        let range = match (self.end_before(run.start)?, self.next_record(run.end)?) {
            (Some(before), _) => before..run.end,
            (None, Some(next)) => run.start..next,
            (None, None) => run,
        };
        let text = Vec::new();
        Ok(Splice { range, text })
    }

    /// The new records behind the last one, separated as the others are.
    fn addition(&self) -> Result<Splice, CocoError> {
        let index = self.set.index();
        let list = index
            .lists
            .iter()
            .find(|list| list.list == List::Annotations);
        let Some(list) = list else {
            let comma = if index.is_empty { "" } else { ", " };
            let text = [
                format!("{comma}\"annotations\": [").as_bytes(),
                &self.joined(b", "),
                b"]",
            ]
            .concat();
            let range = index.closing..index.closing;
            return Ok(Splice { range, text });
        };
        if list.is_null {
            let text = [b"[", &self.joined(b", ")[..], b"]"].concat();
            let range = list.span.clone();
            return Ok(Splice { range, text });
        }
        let end = self.skip_space_back(list.span.end - 1)?;
        let removed = self
            .edits
            .changes
            .values()
            .filter(|(_, change)| *change == Change::Remove);
        let left_out = index
            .problems
            .iter()
            .filter(|problem| problem.list == List::Annotations && problem.reason.is_left_out());
        let kept = (index.annotations.len() + left_out.count()).saturating_sub(removed.count());
        let separator = self.separator()?;
        let mut text = self.joined(&separator);
        if kept > 0 {
            text.splice(0..0, separator);
        }
        let range = end..end;
        Ok(Splice { range, text })
    }

    fn joined(&self, separator: &[u8]) -> Vec<u8> {
        self.edits.added.join(separator)
    }

    /// What stands between the last two annotations.
    fn separator(&self) -> Result<Vec<u8>, CocoError> {
        const LONGEST: u64 = 64;
        let last = self.set.heads().last().map(|head| head.span.start);
        let Some(start) = last else {
            return Ok(b", ".to_vec());
        };
        match self.end_before(start)? {
            Some(end) if start - end <= LONGEST => {
                let mut text = vec![0; (start - end) as usize];
                self.set.source().read_at(end, &mut text)?;
                Ok(text)
            }
            _ => Ok(b", ".to_vec()),
        }
    }

    /// Where the record begins that follows the comma after `end`; `None` where the list ends.
    fn next_record(&self, end: u64) -> Result<Option<u64>, CocoError> {
        let at = self.skip_space(end)?;
        if self.byte(at)? != Some(b',') {
            return Ok(None);
        }
        self.skip_space(at + 1).map(Some)
    }

    /// Where the record ends that stands before the comma before `start`; `None` where the list begins.
    fn end_before(&self, start: u64) -> Result<Option<u64>, CocoError> {
        let at = self.skip_space_back(start)?;
        if at == 0 || self.byte(at - 1)? != Some(b',') {
            return Ok(None);
        }
        self.skip_space_back(at - 1).map(Some)
    }

    fn byte(&self, at: u64) -> Result<Option<u8>, CocoError> {
        let source = self.set.source();
        if at >= source.length() {
            return Ok(None);
        }
        let mut byte = [0];
        source.read_at(at, &mut byte)?;
        Ok(Some(byte[0]))
    }

    fn skip_space(&self, mut at: u64) -> Result<u64, CocoError> {
        let source = self.set.source();
        loop {
            let mut bytes = vec![0; PEEK.min(source.length() - at) as usize];
            source.read_at(at, &mut bytes)?;
            let passed = scan::skip_space(&bytes, 0);
            at += passed as u64;
            if passed < bytes.len() || bytes.is_empty() {
                return Ok(at);
            }
        }
    }

    /// Just behind the last byte before `at` that is no white space.
    fn skip_space_back(&self, mut at: u64) -> Result<u64, CocoError> {
        loop {
            let mut bytes = vec![0; PEEK.min(at) as usize];
            self.set
                .source()
                .read_at(at - bytes.len() as u64, &mut bytes)?;
            let kept = bytes.iter().rposition(|byte| !byte.is_ascii_whitespace());
            match kept {
                Some(last) => return Ok(at - (bytes.len() - 1 - last) as u64),
                None if at <= bytes.len() as u64 => return Ok(0),
                None => at -= bytes.len() as u64,
            }
        }
    }
}
