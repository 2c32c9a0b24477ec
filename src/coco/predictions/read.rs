//! Reading a prediction file, whatever its form.

use std::path::Path;

use super::batches::{self, BATCH_BYTES};
use super::json::Syntax;
use super::left_out::{self, EntryKind, Refused};
use super::{ours, quality, results};
use crate::coco::{CocoError, PredictedImage, PredictionFile, file};
use crate::structures::ClassTable;

/// What a file holds, before lines are counted.
#[derive(Debug)]
pub(super) struct Parsed {
    pub images: Vec<PredictedImage>,
    pub classes: ClassTable,
    pub notes: Vec<String>,
    pub refused: Vec<Refused>,
    pub has_masks: bool,
}

/// Reads our prediction JSON, or a list of COCO results (boxes, masks, or both).
///
/// An entry that cannot be used is left out and listed with its place; the others are used, in the order of the file.
/// Bare `NaN` and `Infinity`, as Python writes them, are numbers that cannot be used.
///
/// Of our JSON, an absent `mask_iou` becomes `iou_score / score` and null means that no trained head exists; keys that
/// are not ours are kept. Of COCO results, `path` is the image id, labels number the category ids in ascending order,
/// a missing box is the mask's, and `iou_score` is the entry's `iou_score` or `mask_score`, else its `score`.
///
/// # Errors
/// A file that cannot be read, broken JSON, JSON of another kind: with line and column.
pub fn read(path: &Path) -> Result<PredictionFile, CocoError> {
    let mut file = read_bytes(path, &file::read(path)?)?;
    quality::merge(path, &mut file);
    Ok(file)
}

/// As `read`, from bytes in memory and without a side file; `name` stands for the file in errors.
///
/// # Errors
/// As `read`.
pub fn read_bytes(name: &Path, bytes: &[u8]) -> Result<PredictionFile, CocoError> {
    read_in_batches(name, bytes, BATCH_BYTES)
}

/// As `read_bytes`, in runs of about `batch_bytes`.
pub(super) fn read_in_batches(
    name: &Path,
    bytes: &[u8],
    batch_bytes: usize,
) -> Result<PredictionFile, CocoError> {
    let open = bytes.iter().position(|byte| !byte.is_ascii_whitespace());
    let first = open.and_then(|at| bytes.get(at));
    let parsed = match (open, first) {
        (Some(open), Some(b'[')) => batches::read_elements(
            bytes,
            open,
            batch_bytes,
            results::seems_to_begin,
            results::entry,
        )
        .map(results::assemble),
        (Some(open), Some(b'{')) => {
            batches::read_elements(bytes, open, batch_bytes, ours::seems_to_begin, ours::image)
                .map(ours::assemble)
        }
        _ => {
            return Err(CocoError::Kind {
                path: name.to_owned(),
                wanted: "a prediction file (JSON object of images, or list of COCO results)",
                found: first.map_or("nothing but blanks".into(), |&byte| {
                    format!("`{}`", char::from(byte).escape_default())
                }),
            });
        }
    };
    parsed
        .and_then(refuse_foreign)
        .map(|parsed| finish(bytes, parsed))
        .map_err(|Syntax { at, reason }| {
            let place = left_out::place(bytes, at);
            CocoError::Json {
                path: name.to_owned(),
                reason,
                line: place.line,
                column: place.column,
            }
        })
}

/// A file none of whose entries looks like a prediction is one of another kind.
fn refuse_foreign(parsed: Parsed) -> Result<Parsed, Syntax> {
    let is_foreign = parsed.images.is_empty()
        && !parsed.refused.is_empty()
        && parsed.refused.iter().all(|refused| refused.is_foreign);
    if !is_foreign {
        return Ok(parsed);
    }
    let first = parsed.refused.into_iter().min_by_key(|entry| entry.offset);
    Err(first.map_or_else(
        || Syntax {
            at: 0,
            reason: String::new(),
        },
        |entry| {
            let what = match entry.entry {
                EntryKind::Image => format!("the value of `{}`", entry.image),
                _ => "the first entry".into(),
            };
            Syntax {
                at: entry.offset,
                reason: format!("this is no prediction file: of {what}, {}", entry.reason),
            }
        },
    ))
}

fn finish(bytes: &[u8], parsed: Parsed) -> PredictionFile {
    let left_out_count = parsed.refused.len();
    let left_out = left_out::listed(bytes, parsed.refused);
    let mut notes = parsed.notes;
    notes.extend(left_out::note(&left_out, left_out_count));
    PredictionFile {
        images: parsed.images,
        classes: parsed.classes,
        notes,
        left_out,
        left_out_count,
        has_masks: parsed.has_masks,
    }
}
