//! The review of one set: what was changed, its history, and where it is kept.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::ReviewError;
use super::conflict::{self, Conflict};
use super::database::{self, Loaded, StoredEntry, StoredStep};
use super::edit::{Change, Edit, Target};
use super::history::{History, HistoryLine};
use super::place::{self, Locked, Place};
use super::queue::{Queue, QueuePlace, QueueProgress, Standing};
use super::resolve::{Resolved, Resolver};
use super::state::{Ids, Places, State};
use super::writer::{Write, Writer};
use crate::coco::dataset::Dataset;

mod agree;
mod look;

use agree::{moved_bases, renumber};

/// How a review is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// To edit; where another window does, to read.
    Edit,
    /// To read what is there; nothing is made.
    Read,
}

/// What an edit, an undo or a redo did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// Its words in the history.
    pub words: String,
    /// The image that it is about.
    pub image_id: Option<u64>,
    /// The instances and images that it is about.
    pub about: Vec<Target>,
    /// Images whose annotations are others now.
    pub images: BTreeSet<u64>,
    /// New annotations and categories, in order.
    pub new_ids: Vec<i64>,
    /// On disk when `saved` has come this far.
    pub ticket: u64,
    /// False where everything was so already: nothing was noted.
    pub is_change: bool,
    /// Polygons became run lengths, which cannot be taken for granted.
    pub is_painted: bool,
}

/// Where edits go.
enum Store {
    /// Nowhere: they end with the session.
    Memory,
    /// Into the database. The lock is held as long as it is open.
    Database {
        writer: Writer,
        _lock: std::fs::File,
    },
    /// They are refused.
    ReadOnly(String),
}

/// A review. Dropped, it writes what is still on its way; `close` tells whether that worked.
pub struct ReviewSession {
    places: Places,
    state: State,
    history: History,
    ids: Ids,
    steps: Vec<StoredStep>,
    /// Entries that were undone and then replaced: for the audit trail alone.
    dropped: Vec<HistoryLine>,
    bases: BTreeMap<u64, Vec<u8>>,
    queues: BTreeMap<String, Queue>,
    /// Changes whenever anything does.
    revision: u64,
    conflicts: Vec<Conflict>,
    /// How many changes of each annotation are done: without any it is the file's, whatever that holds now.
    touched: HashMap<u64, usize>,
    notes: Vec<String>,
    path: Option<PathBuf>,
    store: Store,
}

impl ReviewSession {
    /// Opens the review of a set, beside its JSON or, where that folder cannot be written, in the user's data folder. Reads
    /// the whole history: call it on a thread.
    ///
    /// # Errors
    /// A database that is damaged (it is put aside) or of a later version; folders that refuse.
    pub fn open(set: Arc<Dataset>, access: Access) -> Result<Self, ReviewError> {
        Self::open_in(set, access, &place::data_folder())
    }

    /// As `open`, with a data folder of one's own.
    ///
    /// # Errors
    /// As `open`.
    pub fn open_in(set: Arc<Dataset>, access: Access, data: &Path) -> Result<Self, ReviewError> {
        let json = set.json().to_owned();
        if access == Access::Read {
            let why = "it was opened to read".to_owned();
            let found = Place::find(&json, data);
            return Self::reading(set, found, why);
        }
        let place = Place::take(&json, data)?;
        match place.lock {
            Locked::Theirs => {
                let why = format!("another window or process edits {}", json.display());
                let mut session = Self::reading(set, Some(place.path), why.clone())?;
                session.notes.push(why);
                Ok(session)
            }
            Locked::Ours(lock) => {
                let mut connection = database::open_to_write(&place.path)?;
                let mut loaded = database::load(&connection, &place.path)?;
                let (changed, told) = renumber(&mut loaded.entries, &set)?;
                let entries = loaded.entries.iter();
                let entries = entries.filter(|entry| changed.contains(&entry.seq));
                database::rewrite(&mut connection, &place.path, entries)?;
                let writer = Writer::start(connection, &place.path)?;
                let store = Store::Database {
                    writer,
                    _lock: lock,
                };
                let mut session = Self::with(set, loaded, store, Some(place.path))?;
                session.notes.extend(place.note);
                session.notes.extend(told);
                Ok(session)
            }
        }
    }

    /// A review that is kept nowhere.
    ///
    /// # Errors
    /// None today; the file is not read.
    pub fn in_memory(set: Arc<Dataset>) -> Result<Self, ReviewError> {
        Self::with(set, Loaded::default(), Store::Memory, None)
    }

    fn reading(set: Arc<Dataset>, path: Option<PathBuf>, why: String) -> Result<Self, ReviewError> {
        let mut loaded = match path.as_deref().filter(|path| path.is_file()) {
            Some(path) => database::read_only(path)?,
            None => Loaded::default(),
        };
        // Who only reads makes it for himself.
        let (_, told) = renumber(&mut loaded.entries, &set)?;
        let mut session = Self::with(set, loaded, Store::ReadOnly(why), path)?;
        session.notes.extend(told);
        Ok(session)
    }

    fn with(
        set: Arc<Dataset>,
        loaded: Loaded,
        store: Store,
        path: Option<PathBuf>,
    ) -> Result<Self, ReviewError> {
        let mut ids = Ids::of_set(&set);
        let places = Places::new(set);
        let mut state = State::default();
        let mut touched = HashMap::new();
        for entry in &loaded.entries {
            for change in entry.read()? {
                ids.see(&change);
                if !entry.is_dropped && entry.seq <= loaded.position {
                    state.apply(&places, &change);
                    touch(&mut touched, &change);
                }
            }
        }
        let bases = loaded.bases.into_iter().collect();
        let edited = state.corrections.annotations.keys().copied();
        let conflicts = conflict::find(&places, &state, &bases, edited)?;
        let queues = queues(&loaded.queues);
        let dropped = loaded.entries.iter().filter(|entry| entry.is_dropped);
        Ok(Self {
            history: History::of(&loaded.entries, loaded.position),
            dropped: dropped.map(HistoryLine::new).collect(),
            queues,
            revision: 0,
            steps: loaded.steps,
            notes: Vec::new(),
            places,
            state,
            ids,
            bases,
            touched,
            conflicts,
            path,
            store,
        })
    }

    /// Does an edit, and hands it to the writer. No frame waits.
    ///
    /// # Errors
    /// What the edit asks for is not there or cannot be; nothing has changed then. `ReadOnly`.
    pub fn apply(&mut self, edit: &Edit) -> Result<Applied, ReviewError> {
        self.check_writable()?;
        let mut resolver = Resolver {
            places: &self.places,
            state: &mut self.state,
            ids: self.ids,
            done: Resolved::default(),
        };
        let resolved = resolver.resolve(edit);
        let (done, ids) = (resolver.done, resolver.ids);
        if let Err(refused) = resolved {
            self.revert(&done.changes);
            return Err(refused);
        }
        self.ids = ids;
        self.enter(done)
    }

    /// Makes resolved changes one entry of the history.
    fn enter(&mut self, done: Resolved) -> Result<Applied, ReviewError> {
        self.revision += 1;
        let is_change = !done.changes.is_empty();
        let committed = if is_change {
            self.commit(&done)
        } else {
            Ok(self.asked())
        };
        let ticket = match committed {
            Ok(ticket) => ticket,
            Err(refused) => {
                self.revert(&done.changes);
                return Err(refused);
            }
        };
        Ok(Applied {
            about: done.changes.iter().filter_map(about).collect(),
            images: images_of(&done.changes),
            words: done.words,
            image_id: done.image_id,
            new_ids: done.new_ids,
            ticket,
            is_change,
            is_painted: done.is_painted,
        })
    }

    /// Takes changes back that became no entry.
    fn revert(&mut self, changes: &[Change]) {
        for change in changes.iter().rev() {
            self.state.apply(&self.places, &change.clone().inverse());
        }
    }

    fn commit(&mut self, done: &Resolved) -> Result<u64, ReviewError> {
        let new = self.new_bases(&done.changes)?;
        let entry = StoredEntry {
            seq: self.history.next_seq(),
            at: now(),
            words: done.words.clone(),
            image_id: done.image_id,
            changes: serde_json::to_string(&done.changes).map_err(ReviewError::NotKept)?,
            is_dropped: false,
        };
        for change in &done.changes {
            self.state.apply(&self.places, change);
            touch(&mut self.touched, change);
        }
        let new = new.into_iter().map(|(id, record)| (id, Some(record)));
        let bases: Vec<(u64, Option<Vec<u8>>)> = new.chain(moved_bases(&done.changes)).collect();
        self.take_bases(&bases);
        let position = self.history.position();
        let replaced = self.history.lines().iter().skip(self.history.done());
        self.dropped.extend(replaced.cloned());
        self.history.push(HistoryLine::new(&entry));
        self.steps.push(StoredStep {
            at: entry.at.clone(),
            action: "do".into(),
            seq: entry.seq,
        });
        Ok(self.write(Write::Do {
            entry,
            position,
            bases,
        }))
    }

    /// The file's records of annotations that are edited, as far as nothing of them is done yet.
    fn new_bases(&self, changes: &[Change]) -> Result<Vec<(u64, Vec<u8>)>, ReviewError> {
        let mut bases = BTreeMap::new();
        for change in changes {
            // One of which nothing is done any more may have been changed since.
            if let Change::Annotation { id, .. } = change
                && !(self.bases.contains_key(id) && self.touched.contains_key(id))
                && let Some(head) = self.places.head(*id)
            {
                bases.insert(*id, self.places.set().record(head)?);
            }
        }
        Ok(bases.into_iter().collect())
    }

    /// Takes the last entry back; `None` where there is none.
    ///
    /// # Errors
    /// `ReadOnly`.
    pub fn undo(&mut self) -> Result<Option<Applied>, ReviewError> {
        self.check_writable()?;
        let line = self.history.undo();
        Ok(line.map(|line| {
            let changes = line.changes().into_iter().rev().map(Change::inverse);
            self.moved(&line, changes.collect(), "undo")
        }))
    }

    /// Does the entry again that was taken back last; `None` where there is none.
    ///
    /// # Errors
    /// `ReadOnly`.
    pub fn redo(&mut self) -> Result<Option<Applied>, ReviewError> {
        self.check_writable()?;
        let line = self.history.redo();
        Ok(line.map(|line| self.moved(&line, line.changes(), "redo")))
    }

    fn moved(&mut self, line: &HistoryLine, changes: Vec<Change>, action: &str) -> Applied {
        self.revision += 1;
        let is_undone = action == "undo";
        for change in &changes {
            self.state.apply(&self.places, change);
            match is_undone {
                true => self.untouch(change),
                false => touch(&mut self.touched, change),
            }
        }
        let bases = moved_bases(&changes);
        self.take_bases(&bases);
        self.renew_conflicts(&changes);
        let step = StoredStep {
            at: now(),
            action: action.to_owned(),
            seq: line.seq,
        };
        self.steps.push(step.clone());
        let position = self.history.position();
        Applied {
            about: changes.iter().filter_map(about).collect(),
            images: images_of(&changes),
            words: line.words.clone(),
            image_id: line.image_id,
            new_ids: Vec::new(),
            ticket: self.write(Write::Move {
                step,
                position,
                bases,
            }),
            is_change: true,
            is_painted: false,
        }
    }

    fn check_writable(&self) -> Result<(), ReviewError> {
        match &self.store {
            Store::ReadOnly(why) => Err(ReviewError::ReadOnly { why: why.clone() }),
            Store::Memory | Store::Database { .. } => Ok(()),
        }
    }

    fn write(&self, write: Write) -> u64 {
        match &self.store {
            Store::Database { writer, .. } => writer.write(write),
            Store::Memory | Store::ReadOnly(_) => 0,
        }
    }

    fn asked(&self) -> u64 {
        match &self.store {
            Store::Database { writer, .. } => writer.asked(),
            Store::Memory | Store::ReadOnly(_) => 0,
        }
    }

    /// Queues by name.
    pub fn queues(&self) -> &BTreeMap<String, Queue> {
        &self.queues
    }

    /// Keeps a queue and where it stands, under its name.
    ///
    /// # Errors
    /// `ReadOnly`.
    pub fn keep_queue(&mut self, queue: Queue) -> Result<u64, ReviewError> {
        self.check_writable()?;
        self.revision += 1;
        let value = serde_json::to_string(&queue).unwrap_or_default();
        let name = queue.name.clone();
        self.write(Write::Queue {
            name: name.clone(),
            value,
        });
        let ticket = self.keep_place(&queue);
        self.queues.insert(name, queue);
        Ok(ticket)
    }

    /// Walks in a queue and keeps where it stands then: that alone is written, however long the queue is. What `walk` came to;
    /// none where there is no such queue.
    ///
    /// # Errors
    /// `ReadOnly`.
    pub fn walk_queue(
        &mut self,
        name: &str,
        walk: impl FnOnce(&mut Queue, &dyn Fn(&Target) -> Standing) -> Option<Target>,
    ) -> Result<Option<Target>, ReviewError> {
        self.check_writable()?;
        let Some((name, mut queue)) = self.queues.remove_entry(name) else {
            return Ok(None);
        };
        self.revision += 1;
        let to = walk(&mut queue, &|item| self.standing(item));
        self.keep_place(&queue);
        self.queues.insert(name, queue);
        Ok(to)
    }

    /// How an instance of a queue stands.
    pub fn standing(&self, target: &Target) -> Standing {
        if let Target::Annotation(id) = target
            && !self.state.has(&self.places, *id)
        {
            return Standing::Gone;
        }
        let verdict = self
            .state
            .opinions
            .get(target)
            .and_then(|said| said.verdict);
        verdict.map_or(Standing::Open, Standing::Judged)
    }

    /// How far a queue has come.
    pub fn progress(&self, queue: &Queue) -> QueueProgress {
        queue.progress(&|item| self.standing(item))
    }

    fn keep_place(&self, queue: &Queue) -> u64 {
        let value = serde_json::to_string(queue.place()).unwrap_or_default();
        let name = format!("{}{PLACE}", queue.name);
        self.write(Write::Queue { name, value })
    }

    /// A number that is another whenever edits, opinions or queues are.
    pub fn revision(&self) -> u64 {
        self.revision
    }
}

/// Behind the name of a queue: its place is kept apart.
const PLACE: &str = "/place";

fn about(change: &Change) -> Option<Target> {
    match change {
        Change::Annotation { id, .. } | Change::Base { id, .. } => Some(Target::Annotation(*id)),
        Change::Opinion { target, .. } => Some(target.clone()),
        Change::Category { .. } => None,
    }
}

fn touch(touched: &mut HashMap<u64, usize>, change: &Change) {
    if let Change::Annotation { id, .. } = change {
        *touched.entry(*id).or_default() += 1;
    }
}

/// Images whose annotations change.
fn images_of(changes: &[Change]) -> BTreeSet<u64> {
    let records = changes.iter().flat_map(|change| match change {
        Change::Annotation { before, after, .. } => [before.as_ref(), after.as_ref()],
        _ => [None, None],
    });
    records.flatten().map(|record| record.image_id).collect()
}

/// Queues with their places; one that cannot be read is none.
fn queues(kept: &[(String, String)]) -> BTreeMap<String, Queue> {
    let read = |(name, value): &(String, String)| {
        let queue = serde_json::from_str::<Queue>(value).ok()?;
        Some((name.clone(), queue))
    };
    let mut queues: BTreeMap<String, Queue> = kept.iter().filter_map(read).collect();
    for (name, value) in kept {
        let of = name.strip_suffix(PLACE);
        let place = serde_json::from_str::<QueuePlace>(value).ok();
        if let (Some(of), Some(place)) = (of, place)
            && let Some(queue) = queues.get_mut(of)
        {
            queue.set_place(place);
        }
    }
    queues
}

/// UTC, to the millisecond.
fn now() -> String {
    jiff::Timestamp::now()
        .strftime("%Y-%m-%dT%H:%M:%S%.3fZ")
        .to_string()
}
