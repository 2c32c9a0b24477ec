//! The classes of a prediction file, gathered from what its predictions say of theirs.

use std::collections::BTreeMap;

use super::text::Text;
use crate::structures::ClassTable;

/// More classes than any data set has; a larger label would only reserve memory.
pub(super) const MAX_LABEL: u64 = 1_000_000;

/// Category id of a label that no prediction of the file has.
const NO_CATEGORY: i64 = -1;

/// What one prediction says of its class.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct SeenClass<'a> {
    pub label: usize,
    pub name: Option<Text<'a>>,
    pub category_id: Option<i64>,
}

/// Names and ids as the predictions mention them.
#[derive(Default)]
pub(super) struct Classes {
    seen: BTreeMap<usize, (Option<String>, Option<i64>)>,
    pub notes: Vec<String>,
}

impl Classes {
    pub fn see(&mut self, class: SeenClass<'_>) {
        let (name, known_id) = self.seen.entry(class.label).or_default();
        let new = class.name.and_then(Text::text);
        match (&name, new) {
            (None, Some(new)) => *name = Some(new.into_owned()),
            (Some(old), Some(new)) if *old != new => {
                let note = format!(
                    "label {} is named both `{old}` and `{new}`: `{old}` is shown",
                    class.label
                );
                if !self.notes.contains(&note) {
                    self.notes.push(note);
                }
            }
            _ => {}
        }
        *known_id = known_id.or(class.category_id);
    }

    pub fn table(&self) -> ClassTable {
        let Some((&last, _)) = self.seen.last_key_value() else {
            return ClassTable::default();
        };
        let name = |label| {
            self.seen
                .get(&label)
                .and_then(|(name, _)| name.clone())
                .unwrap_or_else(|| format!("class {label}"))
        };
        let names = (0..=last).map(name).collect();
        // A table has an id for every label or for none; a label that never occurs gets one that no set has.
        let category_ids = if self.seen.values().all(|(_, id)| id.is_some()) {
            (0..=last).map(|label| self.id(label)).collect()
        } else {
            Vec::new()
        };
        ClassTable {
            names,
            category_ids,
        }
    }

    fn id(&self, label: usize) -> i64 {
        let known = self.seen.get(&label).and_then(|&(_, id)| id);
        known.unwrap_or(NO_CATEGORY)
    }
}
