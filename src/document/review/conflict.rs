//! What happens when another program changed the set's file: edits whose annotations are as they were go on, the others are
//! told and wait for a decision.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use super::ReviewError;
use super::edit::Change;
use super::state::{Ids, Places, State};
use crate::coco::{Record, Shape};

/// How file and review disagree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ConflictKind {
    /// The annotation was edited here and changed in the file.
    Changed,
    /// The annotation was edited here and is gone from the file.
    Gone,
    /// The file has a new annotation with the id of one that was added here.
    SameId,
    /// The image of the annotation is gone from the file.
    ImageGone,
}

/// One disagreement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Conflict {
    /// The annotation.
    pub id: u64,
    /// Its image.
    pub image_id: u64,
    /// How.
    pub kind: ConflictKind,
    /// For the list.
    pub words: String,
}

/// What becomes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// The edit goes on, on the file's new record; an annotation that is gone comes back; one of two with one id gets another.
    Mine,
    /// The edit is dropped.
    Theirs,
}

/// Finds the disagreements about these annotations. Of others than edited ones nothing is read.
pub(super) fn find(
    places: &Places,
    state: &State,
    bases: &BTreeMap<u64, Vec<u8>>,
    ids: impl IntoIterator<Item = u64>,
) -> Result<Vec<Conflict>, ReviewError> {
    let mut found = Vec::new();
    for id in ids {
        let Some(record) = state.corrections.annotations.get(&id) else {
            continue;
        };
        let head = places.head(id);
        let is_new = record.as_ref().is_some_and(|record| record.is_new);
        let kind = match (head, bases.get(&id)) {
            _ if is_on_no_image(places, record.as_ref()) => Some(ConflictKind::ImageGone),
            (Some(_), _) if is_new => Some(ConflictKind::SameId),
            (None, Some(_)) if record.is_some() && !is_new => Some(ConflictKind::Gone),
            (Some(head), Some(base)) => {
                let now = places.set().record(head)?;
                (!is_same(base, &now)).then_some(ConflictKind::Changed)
            }
            _ => None,
        };
        let Some(kind) = kind else { continue };
        let image_id = record.as_ref().map(|record| record.image_id);
        let image_id = image_id.or(head.map(|head| head.image_id)).unwrap_or(0);
        let what = match kind {
            ConflictKind::Changed if record.is_none() => "deleted here, changed in the file",
            ConflictKind::Changed => "edited here, changed in the file",
            ConflictKind::Gone => "edited here, gone from the file",
            ConflictKind::SameId => "added here; the file has a new one with this id",
            ConflictKind::ImageGone => "its image is gone from the file",
        };
        let file = places
            .image(image_id)
            .map_or("?", |image| image.file_name.as_str());
        found.push(Conflict {
            id,
            image_id,
            kind,
            words: format!("annotation {id} in {file}: {what}"),
        });
    }
    Ok(found)
}

fn is_on_no_image(places: &Places, record: Option<&Record>) -> bool {
    record.is_some_and(|record| places.image(record.image_id).is_none())
}

/// Whether two records mean the same, whatever their space and order.
fn is_same(a: &[u8], b: &[u8]) -> bool {
    if a == b {
        return true;
    }
    let value = |text: &[u8]| serde_json::from_slice::<Value>(text).ok();
    matches!((value(a), value(b)), (Some(a), Some(b)) if a == b)
}

/// The changes that settle a disagreement.
pub(super) fn settle(
    places: &Places,
    state: &State,
    ids: &mut Ids,
    base: Option<&Vec<u8>>,
    conflict: &Conflict,
    keep: Keep,
) -> Result<Vec<Change>, ReviewError> {
    let id = conflict.id;
    let mine = state.record(places, id);
    let theirs = places.head(id).map(Record::of_head);
    let change = |before: &Option<Record>, after: Option<Record>| Change::Annotation {
        id,
        before: before.clone(),
        after,
    };
    Ok(match (conflict.kind, keep) {
        (_, Keep::Theirs) => vec![change(&mine, theirs)],
        (ConflictKind::ImageGone, Keep::Mine) => {
            return Err(ReviewError::Impossible {
                what: "keep it",
                why: format!("image {} is gone from the file", conflict.image_id),
            });
        }
        // Where it stands in the file moves, the edit stays.
        (ConflictKind::Changed, Keep::Mine) => Vec::new(),
        (ConflictKind::Gone, Keep::Mine) => {
            let mut back = mine.clone().ok_or(ReviewError::NoAnnotation(id))?;
            back.is_new = true;
            if back.shape.is_none() {
                back.shape = Some(shape_of(base, id)?);
            }
            vec![change(&mine, Some(back))]
        }
        (ConflictKind::SameId, Keep::Mine) => vec![
            change(&mine, theirs),
            Change::Annotation {
                id: ids.next_annotation(),
                before: None,
                after: mine,
            },
        ],
    })
}

/// The shape that the file had when the annotation was first edited.
fn shape_of(base: Option<&Vec<u8>>, id: u64) -> Result<Shape, ReviewError> {
    let record = base.and_then(|text| serde_json::from_slice::<Value>(text).ok());
    let segmentation = record
        .as_ref()
        .and_then(|record| record.get("segmentation"));
    match segmentation {
        Some(segmentation) => Ok(Shape::from_json(segmentation)?),
        None => Err(ReviewError::Mask {
            id,
            reason: "the file no longer holds its mask: take theirs".into(),
        }),
    }
}
