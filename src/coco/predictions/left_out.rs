//! What a prediction file held that could not be used: where, and why.

use std::fmt;

/// Entries listed one by one; more are only counted.
pub(super) const MAX_LISTED: usize = 10_000;

/// Where an entry begins in its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Offset in bytes.
    pub offset: usize,
    /// 1-based line.
    pub line: usize,
    /// 1-based column, in bytes.
    pub column: usize,
}

/// What was left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A prediction: its 0-based number among the results of the file, or among its image's in our JSON.
    Prediction(usize),
    /// An image with all its predictions.
    Image,
    /// A key beside those that are known; the rest of its entry is used.
    Extra,
}

/// An entry that was not used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// What it was.
    pub entry: EntryKind,
    /// Where it begins.
    pub place: Place,
    /// Path or id of its image; empty where the entry does not tell.
    pub image: String,
    /// Why it cannot be used.
    pub reason: String,
}

impl LeftOut {
    /// What it was and where in the file.
    pub fn what(&self) -> String {
        let entry = match self.entry {
            EntryKind::Prediction(index) => format!("prediction {index}"),
            EntryKind::Image => "all predictions".into(),
            EntryKind::Extra => "an extra key".into(),
        };
        let image = match self.image.as_str() {
            "" => String::new(),
            image => format!(" on {image}"),
        };
        let Place { line, column, .. } = self.place;
        format!("{entry}{image} (line {line}, column {column})")
    }
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what(), self.reason)
    }
}

/// An entry found unusable, its line not yet counted.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Refused {
    pub entry: EntryKind,
    pub offset: usize,
    pub image: String,
    pub reason: String,
    /// It does not even look like an entry of such a file.
    pub is_foreign: bool,
}

/// Gives the refused their lines, in file order, at most `MAX_LISTED` of them.
pub(super) fn listed(bytes: &[u8], mut refused: Vec<Refused>) -> Vec<LeftOut> {
    refused.sort_by_key(|entry| entry.offset);
    refused.truncate(MAX_LISTED);
    let mut lines = Lines::new(bytes);
    refused
        .into_iter()
        .map(|entry| LeftOut {
            entry: entry.entry,
            place: lines.place(entry.offset),
            image: entry.image,
            reason: entry.reason,
        })
        .collect()
}

/// One sentence for the user where anything was left out.
pub fn note(left_out: &[LeftOut], count: usize) -> Option<String> {
    let first = left_out.first()?;
    Some(match count {
        1 => format!("left out: {first}"),
        _ => format!("{count} entries were left out; the first: {first}"),
    })
}

/// Line and column of an offset.
pub(super) fn place(bytes: &[u8], offset: usize) -> Place {
    Lines::new(bytes).place(offset)
}

/// Counts lines forward, once over the file for all places together.
struct Lines<'a> {
    bytes: &'a [u8],
    at: usize,
    line: usize,
    line_start: usize,
}

impl<'a> Lines<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            at: 0,
            line: 1,
            line_start: 0,
        }
    }

    /// `offset` is not before the last one asked for.
    fn place(&mut self, offset: usize) -> Place {
        let end = offset.min(self.bytes.len());
        let part = self.bytes.get(self.at..end).unwrap_or_default();
        self.line += part.iter().filter(|&&byte| byte == b'\n').count();
        if let Some(back) = part.iter().rposition(|&byte| byte == b'\n') {
            self.line_start = self.at + back + 1;
        }
        self.at = end;
        Place {
            offset,
            line: self.line,
            column: end - self.line_start + 1,
        }
    }
}
