//! What a review and a file that another program changed have to agree on: whose annotation stays, whose category has an id.

use std::collections::{BTreeMap, BTreeSet};

use super::{Applied, ReviewSession};
use crate::coco::dataset::Dataset;
use crate::document::review::ReviewError;
use crate::document::review::conflict::{self, Keep};
use crate::document::review::database::StoredEntry;
use crate::document::review::edit::Change;
use crate::document::review::resolve::Resolved;
use crate::document::review::state::Ids;

impl ReviewSession {
    /// Settles a conflict; that is an entry of the history.
    ///
    /// # Errors
    /// `ReadOnly`; there is no conflict about that annotation.
    pub fn settle(&mut self, id: u64, keep: Keep) -> Result<Applied, ReviewError> {
        self.check_writable()?;
        let at = self.conflicts.iter().position(|conflict| conflict.id == id);
        let at = at.ok_or(ReviewError::NoAnnotation(id))?;
        let conflict = self.conflicts[at].clone();
        let base = self.bases.get(&id);
        let mut ids = self.ids;
        let mut changes =
            conflict::settle(&self.places, &self.state, &mut ids, base, &conflict, keep)?;
        if let Some(head) = self.places.head(id) {
            let text = |record: &[u8]| String::from_utf8_lossy(record).into_owned();
            changes.push(Change::Base {
                id,
                before: base.map(|record| text(record)),
                after: Some(text(&self.places.set().record(head)?)),
            });
        }
        let kept = match keep {
            Keep::Mine => "Keep mine",
            Keep::Theirs => "Take theirs",
        };
        let done = Resolved {
            changes,
            words: format!("{kept}: {}", conflict.words),
            image_id: Some(conflict.image_id),
            ..Resolved::default()
        };
        self.ids = ids;
        let applied = self.enter(done)?;
        self.conflicts.remove(at);
        Ok(applied)
    }

    /// An annotation of which nothing is done any more is the file's: that may be another than when it was edited.
    pub(super) fn untouch(&mut self, change: &Change) {
        if let Change::Annotation { id, .. } = change
            && let Some(count) = self.touched.get_mut(id)
        {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.touched.remove(id);
                self.state.forget(*id);
            }
        }
    }

    pub(super) fn take_bases(&mut self, bases: &[(u64, Option<Vec<u8>>)]) {
        for (id, record) in bases {
            match record {
                Some(record) => drop(self.bases.insert(*id, record.clone())),
                None => drop(self.bases.remove(id)),
            }
        }
    }

    /// What was undone or done again may agree with the file, or disagree with one that was changed meanwhile.
    pub(super) fn renew_conflicts(&mut self, changes: &[Change]) {
        let ids: BTreeSet<u64> = changes.iter().filter_map(changed_id).collect();
        let found = conflict::find(&self.places, &self.state, &self.bases, ids.iter().copied());
        // A file that cannot be read is told by whoever needs it.
        if let Ok(found) = found {
            self.conflicts.retain(|known| !ids.contains(&known.id));
            self.conflicts.extend(found);
            self.conflicts.sort_by_key(|conflict| conflict.id);
        }
    }
}

/// Bases that decisions move, on their way to the disk with what moves them.
pub(super) fn moved_bases(changes: &[Change]) -> Vec<(u64, Option<Vec<u8>>)> {
    let moved = changes.iter().filter_map(|change| match change {
        Change::Base { id, after, .. } => {
            Some((*id, after.as_ref().map(|text| text.clone().into_bytes())))
        }
        _ => None,
    });
    moved.collect()
}

fn changed_id(change: &Change) -> Option<u64> {
    match change {
        Change::Annotation { id, .. } | Change::Base { id, .. } => Some(*id),
        Change::Category { .. } | Change::Opinion { .. } => None,
    }
}

/// New categories of which the file has the id or the name by now, from another program: ours give way. The entries are made what they
/// would be had that id been given from the beginning, undone ones too, so that undo and redo know no other. Answers with the
/// numbers of those that were changed, and what is to be told.
pub(super) fn renumber(
    entries: &mut [StoredEntry],
    set: &Dataset,
) -> Result<(Vec<i64>, Vec<String>), ReviewError> {
    // Most reviews have no category of their own.
    if !entries
        .iter()
        .any(|entry| entry.changes.contains("\"category\":"))
    {
        return Ok(Default::default());
    }
    let mut read = Vec::with_capacity(entries.len());
    let mut ids = Ids::of_set(set);
    for entry in &*entries {
        let changes = entry.read()?;
        changes.iter().for_each(|change| ids.see(change));
        read.push(changes);
    }
    let of_file = set.classes();
    let file = || of_file.category_ids.iter().copied().zip(&of_file.names);
    let (mut moves, mut notes) = (BTreeMap::new(), Vec::new());
    for change in read.iter().flatten() {
        let Change::Category { id, before, after } = change else {
            continue;
        };
        let Some(name) = after.as_ref().or(before.as_ref()) else {
            continue;
        };
        let is_taken = file().any(|(known, other)| known == *id && other != name);
        let same_name = file().find(|&(_, other)| other == name).map(|(id, _)| id);
        if moves.contains_key(id) || same_name == Some(*id) {
            continue; // it has come to the file as it is
        }
        let why = match same_name {
            Some(other) => format!("the file has it as {other}"),
            None if is_taken => format!("the file has another one as {id}"),
            None => continue,
        };
        let to = same_name.unwrap_or_else(|| ids.next_category());
        notes.push(format!(
            "category {name} is {to} now, no longer {id}: {why}"
        ));
        moves.insert(*id, (to, same_name.is_some()));
    }
    let mut changed = Vec::new();
    for (entry, mut changes) in entries.iter_mut().zip(read) {
        let before = changes.clone();
        changes.retain_mut(|change| renumbered(change, &moves));
        if changes != before {
            entry.changes = serde_json::to_string(&changes).map_err(ReviewError::NotKept)?;
            changed.push(entry.seq);
        }
    }
    Ok((changed, notes))
}

/// Gives a change the new ids, each once; false where the file has its category already.
fn renumbered(change: &mut Change, moves: &BTreeMap<i64, (i64, bool)>) -> bool {
    match change {
        Change::Category { id, .. } => match moves.get(id) {
            Some((_, true)) => return false,
            Some((to, false)) => *id = *to,
            None => {}
        },
        Change::Annotation { before, after, .. } => {
            for record in [before, after].into_iter().flatten() {
                if let Some((to, _)) = moves.get(&record.category_id) {
                    record.category_id = *to;
                }
            }
        }
        Change::Base { .. } | Change::Opinion { .. } => {}
    }
    true
}
