//! What a review tells: how far it is saved, what it changed, what an export takes along.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::{ReviewSession, Store};
use crate::coco::dataset::Dataset;
use crate::coco::{Corrected, CorrectedSet, Corrections, Record, Shape};
use crate::document::review::conflict::Conflict;
use crate::document::review::edit::{Opinion, Target, Verdict};
use crate::document::review::history::HistoryLine;
use crate::document::review::writer::{SaveState, Wake};
use crate::document::review::{Audit, ReviewError, State};
use crate::jobs::export::{Remark, Remarks};
use crate::structures::{ClassTable, Rle};

impl ReviewSession {
    /// Everything with a ticket up to this is on disk.
    pub fn saved(&self) -> u64 {
        match &self.store {
            Store::Database { writer, .. } => writer.saved(),
            Store::Memory | Store::ReadOnly(_) => 0,
        }
    }

    /// For the status bar.
    pub fn save_state(&self) -> SaveState {
        match &self.store {
            Store::Database { writer, .. } => writer.state(),
            Store::Memory | Store::ReadOnly(_) => SaveState::Saved,
        }
    }

    /// What is not on disk, as `NotSaved`; none where everything is.
    pub fn unsaved(&self) -> Option<ReviewError> {
        match &self.store {
            Store::Database { writer, .. } => writer.unsaved(),
            Store::Memory | Store::ReadOnly(_) => None,
        }
    }

    /// Calls `wake` when `save_state` has changed, from a thread.
    pub fn tell_saved(&self, wake: Wake) {
        if let Store::Database { writer, .. } = &self.store {
            writer.tell(wake);
        }
    }

    /// Waits until a ticket is on disk; gives up after `patience` where the disk refuses. Not for a frame.
    ///
    /// # Errors
    /// `NotSaved`; the edits stay in memory and are tried again.
    pub fn wait_saved(&self, ticket: u64, patience: Duration) -> Result<(), ReviewError> {
        match &self.store {
            Store::Database { writer, .. } => writer.wait(ticket, patience),
            Store::Memory | Store::ReadOnly(_) => Ok(()),
        }
    }

    /// Waits until everything is on disk, at most so long: a frame that follows an edit may ask for a few milliseconds. Whether
    /// it is.
    pub fn wait_briefly(&self, at_most: Duration) -> bool {
        match &self.store {
            Store::Database { writer, .. } => writer.wait_briefly(self.asked(), at_most),
            Store::Memory | Store::ReadOnly(_) => true,
        }
    }

    /// Ends the review when everything is on disk.
    ///
    /// # Errors
    /// As `wait_saved`.
    pub fn close(self, patience: Duration) -> Result<(), ReviewError> {
        self.wait_saved(self.asked(), patience)
    }

    /// Bounds the database to so many pages of 4 KiB, 0 for no bound. Beyond it edits stay in memory, as on a full disk.
    pub fn limit_database(&self, pages: u32) {
        if let Store::Database { writer, .. } = &self.store {
            writer.limit_pages(pages);
        }
    }

    /// Whether edits are refused.
    pub fn is_read_only(&self) -> bool {
        matches!(self.store, Store::ReadOnly(_))
    }

    /// What the user should know: where the review is kept, who else edits.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The database, if there is one.
    pub fn database(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// The set.
    pub fn set(&self) -> &Arc<Dataset> {
        self.places.set()
    }

    /// The entries of the history; those from `history_position` on can be redone.
    pub fn history(&self) -> &[HistoryLine] {
        self.history.lines()
    }

    /// How many entries are done.
    pub fn history_position(&self) -> usize {
        self.history.done()
    }

    /// The state that the history leads to.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Annotations and categories that differ from the file.
    pub fn corrections(&self) -> &Corrections {
        &self.state.corrections
    }

    /// All verdicts, tags and notes.
    pub fn opinions(&self) -> &BTreeMap<Target, Opinion> {
        &self.state.opinions
    }

    /// Verdict, tags and note of one instance.
    pub fn opinion(&self, target: &Target) -> Opinion {
        self.state.opinions.get(target).cloned().unwrap_or_default()
    }

    /// Classes by label, new ones at the end.
    pub fn classes(&self) -> ClassTable {
        self.state.corrections.classes(self.places.set())
    }

    /// The annotations of an image as they stand now, and why others are left out. Reads the file: call it on a thread, or for the
    /// open image alone.
    ///
    /// # Errors
    /// The file was changed since it was opened.
    pub fn annotations(&self, image: usize) -> Result<(Vec<Corrected>, Vec<String>), ReviewError> {
        let set = CorrectedSet::new(self.places.set(), &self.state.corrections);
        Ok(set.annotations(image)?)
    }

    /// The shape of an annotation: polygons to edit, or runs.
    ///
    /// # Errors
    /// No such annotation; the file was changed.
    pub fn shape(&self, id: u64) -> Result<Shape, ReviewError> {
        self.state.shape(&self.places, id)
    }

    /// The mask of an annotation, to paint on.
    ///
    /// # Errors
    /// As `shape`.
    pub fn mask(&self, id: u64) -> Result<Rle, ReviewError> {
        self.state.mask(&self.places, id)
    }

    /// Ids of annotations that differ from the file.
    pub fn edited(&self) -> BTreeSet<u64> {
        self.state.corrections.annotations.keys().copied().collect()
    }

    /// Annotations that were edited here and changed by another program.
    pub fn conflicts(&self) -> &[Conflict] {
        &self.conflicts
    }

    /// What an export adds to the annotations, and the predictions that it leaves out.
    pub fn remarks(&self) -> Remarks {
        let mut remarks = Remarks::default();
        for (target, opinion) in &self.state.opinions {
            match target {
                Target::Annotation(id) => {
                    let verdict = opinion.verdict.map(|verdict| verdict.words().to_owned());
                    let remark = Remark {
                        verdict: verdict.unwrap_or_default(),
                        tags: opinion.tags.clone(),
                        note: opinion.note.clone(),
                    };
                    remarks.annotations.insert(*id, remark);
                }
                Target::Prediction(key) if opinion.verdict == Some(Verdict::Reject) => {
                    let rejected = (key.image_id, key.source.clone(), key.mask.clone());
                    remarks.rejected.insert(rejected);
                }
                Target::Prediction(_) | Target::Image(_) => {}
            }
        }
        remarks
    }

    /// Writes the audit trail into a file, in one step.
    ///
    /// # Errors
    /// The folder or the disk refuses.
    pub fn export_audit(&self, path: &Path) -> Result<(), ReviewError> {
        self.audit().export(path)
    }

    /// The audit trail as it is now, for a thread to write.
    pub fn audit(&self) -> Audit {
        let mut lines: Vec<HistoryLine> = self.dropped.clone();
        lines.extend_from_slice(self.history.lines());
        lines.sort_by_key(|line| line.seq);
        Audit {
            steps: self.steps.clone(),
            lines,
            bases: self.bases.clone(),
        }
    }

    /// Refuses while conflicts wait for a decision: an export would hold neither side.
    ///
    /// # Errors
    /// `Conflicts`.
    pub fn check_settled(&self) -> Result<(), ReviewError> {
        match self.conflicts.len() {
            0 => Ok(()),
            count => Err(ReviewError::Conflicts(count)),
        }
    }
}

impl ReviewSession {
    /// An annotation as it stands; what is not edited of it is as in the file. None where there is none.
    pub fn record(&self, id: u64) -> Option<Record> {
        self.state.record(&self.places, id)
    }

    /// Whether an annotation differs from the file.
    pub fn is_edited(&self, id: u64) -> bool {
        self.corrections().annotations.contains_key(&id)
    }

    /// The id of the next category.
    pub fn next_category(&self) -> i64 {
        self.ids.clone().next_category()
    }

    /// Ids of the annotations of an image by position, the file's in its order, then new ones. No file is read.
    pub fn annotation_ids(&self, image: usize) -> Vec<u64> {
        let mut ids = self.annotation_ids_of_file(image);
        ids.extend(self.new_annotations().get(&image).into_iter().flatten());
        ids
    }

    /// Those of them that the file has.
    pub fn annotation_ids_of_file(&self, image: usize) -> Vec<u64> {
        let edited = &self.corrections().annotations;
        let of_file = self.set().heads_of(image).map(|head| head.id);
        of_file.filter(|id| edited.get(id) != Some(&None)).collect()
    }

    /// Ids of new annotations, by position of their image.
    pub fn new_annotations(&self) -> BTreeMap<usize, Vec<u64>> {
        let mut new: BTreeMap<usize, Vec<u64>> = BTreeMap::new();
        for (&id, record) in &self.corrections().annotations {
            let record = record.as_ref().filter(|record| record.is_new);
            let image = record.and_then(|record| self.image_position(record.image_id));
            if let Some(image) = image {
                new.entry(image).or_default().push(id);
            }
        }
        new
    }

    /// Position in the set of an image by id.
    pub fn image_position(&self, image_id: u64) -> Option<usize> {
        self.places.image_position(image_id)
    }

    /// Id of the image of an annotation of the file.
    pub fn head_image(&self, id: u64) -> Option<u64> {
        self.places.head(id).map(|head| head.image_id)
    }

    /// Id of the image of an annotation, a deleted one among them.
    pub fn image_of(&self, id: u64) -> Option<u64> {
        let record = self
            .corrections()
            .annotations
            .get(&id)
            .and_then(Option::as_ref);
        record
            .map(|record| record.image_id)
            .or_else(|| self.head_image(id))
    }

    /// What differs, by position of the image.
    pub fn corrections_by_image(&self) -> HashMap<usize, Corrections> {
        let all = self.corrections();
        let mut images: HashMap<usize, Corrections> = HashMap::new();
        for (&id, record) in &all.annotations {
            let image = self.image_of(id).and_then(|id| self.image_position(id));
            if let Some(image) = image {
                let of_image = images.entry(image).or_default();
                of_image.annotations.insert(id, record.clone());
            }
        }
        for corrections in images.values_mut() {
            corrections.categories.clone_from(&all.categories);
        }
        images
    }

    /// What differs in one image; none where nothing does.
    pub fn corrections_of(&self, image: usize) -> Option<Corrections> {
        let image_id = self.set().images().get(image)?.id;
        let all = self.corrections();
        let here = all
            .annotations
            .iter()
            .filter(|(id, _)| self.image_of(**id) == Some(image_id));
        let corrections = Corrections {
            annotations: here.map(|(&id, record)| (id, record.clone())).collect(),
            categories: all.categories.clone(),
        };
        (!corrections.annotations.is_empty()).then_some(corrections)
    }
}
