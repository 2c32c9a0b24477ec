//! Which ranges of the file give way to what.

use std::ops::Range;

use serde_json::Value;

use super::{Change, Edits, with_fields};
use crate::coco::CocoError;
use crate::coco::dataset::{Dataset, List, scan};

/// Bytes looked at together on the way to the next mark between two records.
const PEEK: u64 = 64;

/// A range of the file and what takes its place.
pub(super) struct Splice {
    pub range: Range<u64>,
    pub text: Vec<u8>,
}

/// Where something new goes.
enum Place {
    At(Splice),
    /// A new key of the whole.
    Closing(Vec<u8>),
}

pub(super) struct Plan<'a> {
    pub set: &'a Dataset,
    pub edits: &'a Edits,
}

impl Plan<'_> {
    /// In the order of the file, none overlapping another.
    pub fn splices(&self) -> Result<Vec<Splice>, CocoError> {
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
        let mut places = Vec::new();
        for (list, added) in [
            (List::Annotations, &self.edits.added),
            (List::Categories, &self.edits.categories),
        ] {
            if !added.is_empty() {
                places.push(self.addition(list, added)?);
            }
        }
        if let Some((key, value)) = &self.edits.info {
            places.extend(self.info(key, value)?);
        }
        self.place(places, &mut splices);
        splices.sort_by_key(|splice| (splice.range.start, splice.range.end)); // stable
        Ok(splices)
    }

    /// Adds what was placed; new members of the whole stand together before its closing bracket.
    fn place(&self, places: Vec<Place>, splices: &mut Vec<Splice>) {
        let index = self.set.index();
        let mut members = Vec::new();
        for place in places {
            match place {
                Place::At(splice) => splices.push(splice),
                Place::Closing(member) => members.push(member),
            }
        }
        if members.is_empty() {
            return;
        }
        let comma: &[u8] = if index.is_empty { b"" } else { b", " };
        splices.push(Splice {
            range: index.closing..index.closing,
            text: [comma, &members.join(&b", "[..])].concat(),
        });
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

    /// The new records of a list behind its last one, separated as the others are.
    fn addition(&self, list: List, added: &[Vec<u8>]) -> Result<Place, CocoError> {
        let index = self.set.index();
        let known = index.lists.iter().find(|known| known.list == list);
        let Some(known) = known else {
            let records = added.join(&b", "[..]);
            let text = [format!("\"{}\": [", list.key()).as_bytes(), &records, b"]"].concat();
            return Ok(Place::Closing(text));
        };
        if known.is_null {
            let text = [b"[", &added.join(&b", "[..])[..], b"]"].concat();
            let range = known.span.clone();
            return Ok(Place::At(Splice { range, text }));
        }
        let end = self.skip_space_back(known.span.end - 1)?;
        let separator = self.separator(list)?;
        let mut text = added.join(&separator[..]);
        if self.kept(list) > 0 {
            text.splice(0..0, separator);
        }
        let range = end..end;
        Ok(Place::At(Splice { range, text }))
    }

    /// Records of a list that stay.
    fn kept(&self, list: List) -> usize {
        let index = self.set.index();
        let problems = index.problems.iter();
        let left_out = problems
            .filter(|problem| problem.list == list && problem.reason.is_left_out())
            .count();
        if list == List::Categories {
            return index.categories.len() + left_out;
        }
        let changes = self.edits.changes.values();
        let removed = changes
            .filter(|(_, change)| *change == Change::Remove)
            .count();
        (index.annotations.len() + left_out).saturating_sub(removed)
    }

    /// The `info` block with one value more; nothing for a block that is no object.
    fn info(&self, key: &str, value: &Value) -> Result<Option<Place>, CocoError> {
        let fresh = serde_json::json!({ key: value }).to_string();
        let Some(range) = self.set.index().info.clone() else {
            return Ok(Some(Place::Closing(
                format!("\"info\": {fresh}").into_bytes(),
            )));
        };
        let mut block = vec![0; (range.end - range.start) as usize];
        self.set.source().read_at(range.start, &mut block)?;
        if block == b"null" {
            let text = fresh.into_bytes();
            return Ok(Some(Place::At(Splice { range, text })));
        }
        let changed = with_fields(&block, &[(key, value.clone())]).ok();
        Ok(changed.map(|text| Place::At(Splice { range, text })))
    }

    /// What stands between the last two records of a list.
    fn separator(&self, list: List) -> Result<Vec<u8>, CocoError> {
        const LONGEST: u64 = 64;
        let index = self.set.index();
        let last = match list {
            List::Categories => index.categories.last().map(|record| record.span.start),
            _ => index.annotations.last().map(|head| head.span.start),
        };
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
