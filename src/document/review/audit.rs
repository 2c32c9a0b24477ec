//! The audit trail: when what was changed, before and after. Who did it is not recorded.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;

use serde_json::{Value, json};

use super::ReviewError;
use super::database::StoredStep;
use super::edit::{Change, Opinion};
use super::history::HistoryLine;
use crate::coco::Record;
use crate::structures::csv_field;

/// Everything that was done, undone and done again.
pub struct Audit {
    pub(super) steps: Vec<StoredStep>,
    /// All entries, dropped ones among them, by number.
    pub(super) lines: Vec<HistoryLine>,
    /// Records of the file as they stood when they were first edited.
    pub(super) bases: BTreeMap<u64, Vec<u8>>,
}

impl Audit {
    /// Writes the trail to a file, whole or not at all.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn export(&self, path: &Path) -> Result<(), ReviewError> {
        Ok(crate::coco::write_whole(path, |out| self.write(out))?)
    }

    /// Writes the trail as CSV: a row for each change of each doing, undoing and redoing.
    ///
    /// # Errors
    /// The output cannot be written.
    pub fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        self.rows(out)
    }
}

impl Audit {
    /// The bases before any decision moved them.
    fn first_bases(&self) -> BTreeMap<u64, Vec<u8>> {
        let mut bases = self.bases.clone();
        for line in self.lines.iter().rev() {
            for change in line.changes() {
                if let Change::Base {
                    id,
                    before: Some(before),
                    ..
                } = change
                {
                    bases.insert(id, before.into_bytes());
                }
            }
        }
        bases
    }

    fn rows(&self, out: &mut dyn Write) -> io::Result<()> {
        let (steps, lines) = (&self.steps, &self.lines);
        let mut bases = self.first_bases();
        writeln!(
            out,
            "when,step,entry,action,what,image,annotation,kind,before,after"
        )?;
        for (number, step) in (1..).zip(steps) {
            let Ok(at) = lines.binary_search_by_key(&step.seq, |line| line.seq) else {
                continue;
            };
            let line = &lines[at];
            for change in line.changes() {
                let change = if step.action == "undo" {
                    change.inverse()
                } else {
                    change
                };
                let row = row(&change, line, &bases);
                if let Change::Base {
                    id,
                    after: Some(after),
                    ..
                } = &change
                {
                    bases.insert(*id, after.clone().into_bytes());
                }
                writeln!(
                    out,
                    "{},{number},{},{},{},{},{},{},{},{}",
                    step.at,
                    step.seq,
                    step.action,
                    csv_field(&line.words),
                    row.image,
                    row.annotation,
                    row.kind,
                    csv_field(&row.before),
                    csv_field(&row.after)
                )?;
            }
        }
        Ok(())
    }
}

#[derive(Default)]
struct Row {
    image: String,
    annotation: String,
    kind: &'static str,
    before: String,
    after: String,
}

fn row(change: &Change, line: &HistoryLine, bases: &BTreeMap<u64, Vec<u8>>) -> Row {
    let image = line.image_id.map(|id| id.to_string()).unwrap_or_default();
    match change {
        Change::Annotation { id, before, after } => Row {
            image: [before, after]
                .into_iter()
                .flatten()
                .next()
                .map_or(image, |record| record.image_id.to_string()),
            annotation: id.to_string(),
            kind: "annotation",
            before: record_text(before.as_ref(), bases.get(id)),
            after: record_text(after.as_ref(), bases.get(id)),
        },
        Change::Base { id, before, after } => Row {
            image,
            annotation: id.to_string(),
            kind: "decision",
            before: before.clone().unwrap_or_default(),
            after: after.clone().unwrap_or_default(),
        },
        Change::Category { id, before, after } => {
            let text = |name: &Option<String>| {
                let named = name.as_ref().map(|name| json!({ "id": id, "name": name }));
                named.map(|value| value.to_string()).unwrap_or_default()
            };
            Row {
                kind: "category",
                before: text(before),
                after: text(after),
                ..Row::default()
            }
        }
        Change::Opinion {
            target,
            before,
            after,
        } => {
            let text = |opinion: &Opinion| {
                let about = json!({ "target": target, "opinion": opinion });
                if opinion.is_empty() {
                    String::new()
                } else {
                    about.to_string()
                }
            };
            let annotation = match target {
                super::Target::Annotation(id) => id.to_string(),
                _ => String::new(),
            };
            Row {
                image,
                annotation,
                kind: "opinion",
                before: text(before),
                after: text(after),
            }
        }
    }
}

/// A record without a shape has the file's, which may be another by now: the one that was edited stands in `base`.
fn record_text(record: Option<&Record>, base: Option<&Vec<u8>>) -> String {
    let Some(record) = record else {
        return String::new();
    };
    let mut text = json!(record);
    let base = base.filter(|_| record.shape.is_none() && !record.is_new);
    let base = base.and_then(|text| serde_json::from_slice::<Value>(text).ok());
    if let Some(shape) = base.as_ref().and_then(|base| base.get("segmentation")) {
        text["shape"] = shape.clone();
    }
    text.to_string()
}
