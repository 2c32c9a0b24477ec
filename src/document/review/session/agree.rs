//! What a review and a file that another program changed have to agree on: whose annotation stays, whose category has an id.

use std::collections::BTreeSet;

use super::{Applied, ReviewSession, Store};
use crate::document::review::ReviewError;
use crate::document::review::conflict::{self, Keep};
use crate::document::review::edit::Change;
use crate::document::review::resolve::Resolved;

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

    /// New categories of which the file has the id or the name by now, from another program: ours give way, with all annotations
    /// that they were given to. An entry of the history; who only reads makes it for himself.
    pub(super) fn agree_on_categories(&mut self) -> Result<(), ReviewError> {
        let of_file = self.places.set().classes().clone();
        let file = || of_file.category_ids.iter().copied().zip(&of_file.names);
        for (id, name) in self.state.corrections.categories.clone() {
            let same_name = file().find(|&(_, known)| *known == name);
            let same_id = file().find(|&(known, _)| known == id);
            let (to, why) = match (same_name, same_id) {
                (Some((other, _)), _) if other == id => continue, // it has come to the file
                (Some((other, _)), _) => (other, format!("the file has it as {other}")),
                (None, Some((_, known))) => {
                    let to = self.ids.next_category();
                    (to, format!("it is {to} now, {known} in the file has {id}"))
                }
                (None, None) => continue,
            };
            let mut changes = vec![Change::Category {
                id,
                before: Some(name.clone()),
                after: None,
            }];
            if same_name.is_none() {
                changes.push(Change::Category {
                    id: to,
                    before: None,
                    after: Some(name.clone()),
                });
            }
            changes.extend(self.state.moved_to(id, to));
            let words = format!("Category {name}: {why}");
            self.notes.push(words.clone());
            let done = Resolved {
                changes,
                words,
                ..Resolved::default()
            };
            match self.store {
                Store::ReadOnly(_) => {
                    for change in &done.changes {
                        self.state.apply(&self.places, change);
                    }
                }
                Store::Memory | Store::Database { .. } => drop(self.enter(done)?),
            }
        }
        Ok(())
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
