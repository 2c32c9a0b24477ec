//! `P.bbox.json` and `P.segm.json`: two parallel lists of COCO results (semantics.md 7.2), boxes ranked by `score`,
//! masks by `iou_score`.

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use serde::Serialize;
use serde::ser::{SerializeSeq, Serializer as _};
use tempfile::NamedTempFile;

use super::entry::{Mask, check_finite};
use super::{ours, read};
use crate::coco::{CocoError, PredictedImage, PredictionFile, file, python_json};
use crate::structures::{ClassTable, Detection};

/// Both files of a pair.
#[derive(Clone, Debug, PartialEq)]
pub struct Pair {
    /// `P.bbox.json`: boxes with `score`.
    pub bbox: PredictionFile,
    /// `P.segm.json`: masks with `iou_score`, which stands there as `score`.
    pub segm: PredictionFile,
}

/// What came of joining a pair.
#[derive(Clone, Debug, PartialEq)]
pub enum Joined {
    /// Detections with both scores.
    Whole(PredictionFile),
    /// The lists do not run parallel: each is to be used by itself.
    Apart {
        /// The pair as it was.
        pair: Box<Pair>,
        /// Where they part, for the user.
        reason: String,
    },
}

/// What is to be written of one image.
#[derive(Clone, Copy, Debug)]
pub struct PairImage<'a> {
    /// The data set's id of the image.
    pub image_id: u64,
    /// Its instances, in any order.
    pub detections: &'a [Detection],
}

/// The names of a pair's files.
pub fn pair_paths(prefix: &Path) -> [PathBuf; 2] {
    [".bbox.json", ".segm.json"].map(|suffix| file::with_suffix(prefix, suffix))
}

/// The file whose content tells one prediction file from another: of a pair that of the masks.
pub fn file_of(path: &Path) -> PathBuf {
    let [_, segm] = pair_paths(path);
    if path.is_file() || !segm.is_file() {
        return path.to_owned();
    }
    segm
}

/// Reads a file, or the pair of a prefix as one.
///
/// # Errors
/// As `read`.
pub fn read_any(path: &Path) -> Result<PredictionFile, CocoError> {
    if path.is_file() {
        return read(path);
    }
    match read_pair(path)?.map(Pair::join) {
        None => read(path),
        Some(Joined::Whole(file)) => Ok(file),
        Some(Joined::Apart { pair, reason }) => {
            let mut file = pair.segm;
            let note = format!("only the masks are used: {reason}");
            file.notes.push(note);
            Ok(file)
        }
    }
}

/// Reads `P.bbox.json` and `P.segm.json`; `None` where one of them is not there.
///
/// # Errors
/// As `read`, of either file.
pub fn read_pair(prefix: &Path) -> Result<Option<Pair>, CocoError> {
    let [bbox, segm] = pair_paths(prefix);
    if !(bbox.is_file() && segm.is_file()) {
        return Ok(None);
    }
    Ok(Some(Pair {
        bbox: read(&bbox)?,
        segm: read(&segm)?,
    }))
}

/// Writes both files: images by ascending id, detections by descending `score` in both, so that the lists run parallel.
/// `classes` holds the category ids.
///
/// # Errors
/// A label without category id, a number that is not finite, a folder that cannot be written. Files that were there
/// stay until both new ones are whole.
pub fn write_pair<'a>(
    prefix: &Path,
    images: impl IntoIterator<Item = PairImage<'a>>,
    classes: &ClassTable,
) -> Result<(), CocoError> {
    let mut images: Vec<PairImage<'a>> = images.into_iter().collect();
    images.sort_by_key(|image| image.image_id);
    check(&images, classes)?;
    let [bbox, segm] = pair_paths(prefix);
    let boxes = write_list(&bbox, &images, |id, detection| Row {
        image_id: id,
        bbox: bbox_of(detection),
        score: detection.score,
        category_id: classes.category_id(detection.label),
        segmentation: None,
    })?;
    let masks = write_list(&segm, &images, |id, detection| Row {
        image_id: id,
        bbox: bbox_of(detection),
        score: detection.iou_score,
        category_id: classes.category_id(detection.label),
        segmentation: Some(Mask::new(&detection.mask)),
    })?;
    persist(boxes, &bbox)?;
    persist(masks, &segm)
}

/// One result, keys in the order of the file.
#[derive(Serialize)]
struct Row {
    image_id: u64,
    bbox: [f64; 4],
    score: f64,
    category_id: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    segmentation: Option<Mask>,
}

fn bbox_of(detection: &Detection) -> [f64; 4] {
    let bbox = detection.bbox;
    [bbox.x, bbox.y, bbox.width, bbox.height]
}

/// Everything that can be refused is refused before a file is begun.
fn check(images: &[PairImage<'_>], classes: &ClassTable) -> Result<(), CocoError> {
    for image in images {
        for detection in image.detections {
            check_finite(&format!("image {}", image.image_id), detection)?;
            if classes.category_id(detection.label).is_none() {
                return Err(CocoError::NoCategoryId {
                    name: classes.name(detection.label),
                });
            }
        }
    }
    Ok(())
}

fn write_list(
    target: &Path,
    images: &[PairImage<'_>],
    row: impl Fn(u64, &Detection) -> Row,
) -> Result<NamedTempFile, CocoError> {
    let write = || {
        let mut temporary = file::temporary_beside(target)?;
        let mut buffered = BufWriter::new(&mut temporary);
        let mut serializer = python_json::serializer(&mut buffered);
        let count = images.iter().map(|image| image.detections.len()).sum();
        let mut list = serializer.serialize_seq(Some(count))?;
        for image in images {
            let mut sorted: Vec<&Detection> = image.detections.iter().collect();
            sorted.sort_by(|a, b| b.score.total_cmp(&a.score));
            for detection in sorted {
                list.serialize_element(&row(image.image_id, detection))?;
            }
        }
        list.end()?;
        buffered.flush()?;
        drop(buffered);
        Ok(temporary)
    };
    write().map_err(|source| failed(target, source))
}

fn persist(temporary: NamedTempFile, target: &Path) -> Result<(), CocoError> {
    file::persist(temporary, target).map_err(|source| failed(target, source))
}

fn failed(path: &Path, source: std::io::Error) -> CocoError {
    CocoError::Write {
        path: path.to_owned(),
        source,
        kept: "a file that was there is as it was; make room or choose another place".into(),
    }
}

impl Pair {
    /// Joins the files where both lists run parallel: same images, and on each the same categories and boxes in the same
    /// order. `score` and box come from `bbox`, `iou_score` and mask from `segm`, `mask_iou` is `iou_score / score`.
    pub fn join(mut self) -> Joined {
        if let Some(reason) = self.parting() {
            let pair = Box::new(self);
            return Joined::Apart { pair, reason };
        }
        for (boxes, masks) in self.bbox.images.iter().zip(&mut self.segm.images) {
            for (of_box, of_mask) in boxes.detections.iter().zip(&mut masks.detections) {
                of_mask.bbox = of_box.bbox;
                of_mask.score = of_box.score;
                of_mask.mask_iou = ours::quotient(of_mask.iou_score, of_box.score);
            }
        }
        let mut whole = self.segm;
        let mut notes = self.bbox.notes;
        notes.append(&mut whole.notes);
        whole.notes = notes;
        whole.left_out_count += self.bbox.left_out_count;
        let mut left_out = self.bbox.left_out;
        left_out.append(&mut whole.left_out);
        whole.left_out = left_out;
        Joined::Whole(whole)
    }

    /// Where the lists part; `None` where they do not.
    fn parting(&self) -> Option<String> {
        let Self { bbox, segm } = self;
        if !segm.has_masks {
            return Some("the segm file has no masks".into());
        }
        if bbox.images.len() != segm.images.len() {
            let counts = (bbox.images.len(), segm.images.len());
            return Some(format!(
                "the bbox file has {} images, the segm file {}",
                counts.0, counts.1
            ));
        }
        // The box of a mask costs a walk over its runs.
        let images = bbox.images.par_iter().zip(&segm.images);
        images
            .find_map_first(|(boxes, masks)| parting_on(boxes, &bbox.classes, masks, &segm.classes))
    }
}

fn parting_on(
    boxes: &PredictedImage,
    box_classes: &ClassTable,
    masks: &PredictedImage,
    mask_classes: &ClassTable,
) -> Option<String> {
    if boxes.path != masks.path {
        let (boxes, masks) = (&boxes.path, &masks.path);
        return Some(format!(
            "image {boxes} of the bbox file stands where the segm file has {masks}"
        ));
    }
    let counts = (boxes.detections.len(), masks.detections.len());
    if counts.0 != counts.1 {
        return Some(format!(
            "image {} has {} boxes and {} masks",
            boxes.path, counts.0, counts.1
        ));
    }
    let mut pairs = boxes.detections.iter().zip(&masks.detections);
    let index = pairs.position(|(of_box, of_mask)| {
        let same_class =
            box_classes.category_id(of_box.label) == mask_classes.category_id(of_mask.label);
        // A segm file without boxes is read with those of its masks, which say nothing about the order.
        !same_class || (of_mask.bbox != of_box.bbox && of_mask.bbox != of_mask.mask.bbox())
    })?;
    Some(format!(
        "prediction {index} on image {} is another in the bbox file than in the segm file",
        boxes.path
    ))
}
