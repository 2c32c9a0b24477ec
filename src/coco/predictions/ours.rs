//! Our prediction JSON: an object of images, read on all threads.

use std::collections::HashMap;

use super::batches::follows_an_object;
use super::classes::{Classes, MAX_LABEL, SeenClass};
use super::extras::{Extras, RawExtras};
use super::fields::{self, Problem};
use super::json::{Cursor, Syntax, Token};
use super::left_out::{EntryKind, Refused};
use super::places::EntryAt;
use super::read::Parsed;
use super::text::Text;
use crate::coco::PredictedImage;
use crate::structures::{BoxXywh, Detection, Rle};

const DATASET_KEYS: [&[u8]; 5] = [
    b"images",
    b"annotations",
    b"categories",
    b"licenses",
    b"info",
];

/// One key of the file with what stands under it.
#[derive(Debug)]
pub(super) struct Image<'a> {
    offset: usize,
    image: Result<PredictedImage, Refused>,
    /// Predictions and extra keys that were left out.
    refused: Vec<Refused>,
    /// Classes of its predictions, each once.
    classes: Vec<SeenClass<'a>>,
}

/// The keys of an image as far as they could be read.
#[derive(Default)]
struct Keys<'a> {
    height: Option<u64>,
    width: Option<u64>,
    predictions: Option<Vec<Prediction<'a>>>,
    extras: RawExtras<'a>,
}

struct Prediction<'a> {
    offset: usize,
    checked: Result<Checked<'a>, String>,
    extras: RawExtras<'a>,
}

/// A prediction whose mask was not held against its image yet.
struct Checked<'a> {
    detection: Detection,
    class: SeenClass<'a>,
}

/// Whether an image's key seems to begin at `at`: it follows an object, and an object with the first of an image's keys
/// follows it.
pub(super) fn seems_to_begin(bytes: &[u8], at: usize) -> bool {
    if bytes.get(at) != Some(&b'"') || !follows_an_object(bytes, at) {
        return false;
    }
    let mut cursor = Cursor::new(bytes, at);
    let is_other = |name: Text<'_>| name.raw == b"bbox"; // has a height and a width too
    if !cursor.key().is_ok_and(|name| !is_other(name)) || !cursor.take(b'{') {
        return false;
    }
    let keys: [&[u8]; 3] = [b"height", b"width", b"predictions"];
    cursor.peek() == Some(b'"') && cursor.key().is_ok_and(|key| keys.contains(&key.raw))
}

/// Where each image stands, for each of its predictions that can be used.
pub(super) fn places(runs: Vec<Vec<Image<'_>>>) -> Vec<(String, EntryAt)> {
    let mut found = Vec::new();
    for read in runs.into_iter().flatten() {
        let Ok(image) = read.image else { continue };
        for (number, detection) in image.detections.iter().enumerate() {
            let at = EntryAt {
                number,
                offset: read.offset,
                category: detection.label as i64,
            };
            found.push((image.path.clone(), at));
        }
    }
    found
}

/// Reads one image.
pub(super) fn image<'a>(cursor: &mut Cursor<'a>) -> Result<Image<'a>, Syntax> {
    let key_at = cursor.place();
    let name = cursor.key()?;
    let offset = cursor.place();
    if DATASET_KEYS.contains(&name.bytes().as_ref()) {
        let reason = format!(
            "`{}` is a key of a COCO data set, not an image with predictions: open it as a data set",
            name.lossy()
        );
        return Err(Syntax { at: key_at, reason });
    }
    let refuse = |reason, is_foreign| Image {
        offset,
        image: Err(Refused {
            entry: EntryKind::Image,
            offset,
            image: name.lossy(),
            reason,
            is_foreign,
        }),
        refused: Vec::new(),
        classes: Vec::new(),
    };
    if cursor.peek() != Some(b'{') {
        let kind = cursor.value()?.kind();
        let reason = format!("it is {kind}, not an image with height, width and predictions");
        return Ok(refuse(reason, true));
    }
    let (mut keys, mut problem) = (Keys::default(), Problem::default());
    cursor.object(|cursor, key| keys.take(cursor, key, &mut problem))?;
    let is_foreign = keys.predictions.is_none();
    Ok(keys
        .into_image(offset, name, problem)
        .unwrap_or_else(|reason| refuse(reason, is_foreign)))
}

impl<'a> Keys<'a> {
    fn take(
        &mut self,
        cursor: &mut Cursor<'a>,
        key: Text<'a>,
        problem: &mut Problem,
    ) -> Result<(), Syntax> {
        match key.bytes().as_ref() {
            b"height" => self.height = problem.keep("height", fields::id(cursor.value()?)),
            b"width" => self.width = problem.keep("width", fields::id(cursor.value()?)),
            b"predictions" if cursor.peek() == Some(b'[') => {
                let mut predictions = Vec::new();
                cursor.list(|cursor| {
                    predictions.push(prediction(cursor)?);
                    Ok(())
                })?;
                self.predictions = Some(predictions);
            }
            b"predictions" => {
                let kind = cursor.value()?.kind();
                problem.add(|| format!("predictions is {kind}, not a list"));
            }
            _ => self.extras.add(key, cursor)?,
        }
        Ok(())
    }

    fn into_image(
        self,
        offset: usize,
        name: Text<'a>,
        mut problem: Problem,
    ) -> Result<Image<'a>, String> {
        let missing = [
            ("height", self.height.is_none()),
            ("width", self.width.is_none()),
            ("predictions", self.predictions.is_none()),
        ];
        for (key, _) in missing.into_iter().filter(|&(_, is_missing)| is_missing) {
            problem.add(|| format!("{key} is missing"));
        }
        let path = name.text().map(|path| path.into_owned());
        if path.is_none() {
            problem.add(|| "its path is not UTF-8".into());
        }
        let sides = (
            self.width.unwrap_or_default(),
            self.height.unwrap_or_default(),
        );
        let size = fields::check_size(sides.0, sides.1);
        if let Err(reason) = &size {
            problem.add(|| format!("its size {reason}"));
        }
        let (None, Ok(size), Some(path)) = (&problem.0, size, path) else {
            return Err(problem.0.unwrap_or_default());
        };
        let mut image = Image {
            offset,
            image: Ok(PredictedImage::new(path.clone(), size, Vec::new())),
            refused: Vec::new(),
            classes: Vec::new(),
        };
        let mut predicted = PredictedImage::new(path, size, Vec::new());
        let mut extras = Extras::default();
        image
            .refused
            .extend(self.extras.into_map(&mut extras.image, &predicted.path));
        for (index, prediction) in self.predictions.into_iter().flatten().enumerate() {
            prediction.add_to(&mut predicted, &mut image, &mut extras, index);
        }
        predicted.extra = (!extras.is_empty()).then(|| Box::new(extras));
        image.image = Ok(predicted);
        Ok(image)
    }
}

impl<'a> Prediction<'a> {
    fn add_to(
        self,
        predicted: &mut PredictedImage,
        image: &mut Image<'a>,
        extras: &mut Extras,
        index: usize,
    ) {
        let size = predicted.size;
        let fitting = self.checked.and_then(|checked| {
            let mask = checked.detection.mask.size();
            if mask == size {
                Ok(checked)
            } else {
                Err(format!("its mask is {mask}, the image {size}"))
            }
        });
        match fitting {
            Ok(checked) => {
                if !image.classes.contains(&checked.class) {
                    image.classes.push(checked.class);
                }
                if !self.extras.is_empty() {
                    let map = extras.detections.entry(predicted.detections.len());
                    let left_out = self.extras.into_map(map.or_default(), &predicted.path);
                    image.refused.extend(left_out);
                }
                predicted.detections.push(checked.detection);
            }
            Err(reason) => image.refused.push(Refused {
                entry: EntryKind::Prediction(index),
                offset: self.offset,
                image: predicted.path.clone(),
                reason,
                is_foreign: false,
            }),
        }
    }
}

/// The keys of a prediction as far as they could be read.
#[derive(Default)]
struct PredictionKeys<'a> {
    bbox: Option<[Option<f64>; 4]>,
    label: Option<u64>,
    name: Option<Text<'a>>,
    category_id: Option<i64>,
    has_class: bool,
    mask: Option<Rle>,
    score: Option<f64>,
    iou_score: Option<f64>,
    /// `Some(None)` is a null.
    mask_iou: Option<Option<f64>>,
}

fn prediction<'a>(cursor: &mut Cursor<'a>) -> Result<Prediction<'a>, Syntax> {
    let offset = cursor.place();
    let mut extras = RawExtras::default();
    if cursor.peek() != Some(b'{') {
        let reason = format!("it is {}, not an object", cursor.value()?.kind());
        return Ok(Prediction {
            offset,
            checked: Err(reason),
            extras,
        });
    }
    let (mut keys, mut problem) = (PredictionKeys::default(), Problem::default());
    cursor.object(|cursor, key| keys.take(cursor, key, &mut problem, &mut extras))?;
    Ok(Prediction {
        offset,
        checked: keys.into_checked(problem),
        extras,
    })
}

impl<'a> PredictionKeys<'a> {
    fn take(
        &mut self,
        cursor: &mut Cursor<'a>,
        key: Text<'a>,
        problem: &mut Problem,
        extras: &mut RawExtras<'a>,
    ) -> Result<(), Syntax> {
        match key.bytes().as_ref() {
            b"bbox" if cursor.peek() == Some(b'{') => self.take_bbox(cursor, problem)?,
            b"class" if cursor.peek() == Some(b'{') => self.take_class(cursor, problem)?,
            part @ (b"bbox" | b"class") => {
                let kind = cursor.value()?.kind();
                problem
                    .add(|| format!("{} is {kind}, not an object", String::from_utf8_lossy(part)));
            }
            b"mask" => self.mask = problem.keep("mask", fields::mask(cursor)?).flatten(),
            b"score" => self.score = problem.keep("score", fields::finite(cursor.value()?)),
            b"iou_score" => {
                let value = fields::finite_or_null(cursor.value()?);
                self.iou_score = problem.keep("iou_score", value).flatten();
            }
            b"mask_iou" => {
                let value = fields::finite_or_null(cursor.value()?);
                self.mask_iou = problem.keep("mask_iou", value);
            }
            _ => extras.add(key, cursor)?,
        }
        Ok(())
    }

    fn take_bbox(&mut self, cursor: &mut Cursor<'a>, problem: &mut Problem) -> Result<(), Syntax> {
        let mut sides = [None; 4];
        cursor.object(|cursor, key| {
            let (index, name) = match key.bytes().as_ref() {
                b"x_min" => (0, "bbox.x_min"),
                b"y_min" => (1, "bbox.y_min"),
                b"width" => (2, "bbox.width"),
                b"height" => (3, "bbox.height"),
                _ => return cursor.value().map(drop),
            };
            sides[index] = problem.keep(name, fields::finite(cursor.value()?));
            Ok(())
        })?;
        self.bbox = Some(sides);
        Ok(())
    }

    fn take_class(&mut self, cursor: &mut Cursor<'a>, problem: &mut Problem) -> Result<(), Syntax> {
        self.has_class = true;
        cursor.object(|cursor, key| {
            match key.bytes().as_ref() {
                b"label" => self.label = problem.keep("class.label", fields::id(cursor.value()?)),
                // "unknown", or whatever else a file writes for an id that is not known.
                b"category_id" => {
                    let id = fields::id(cursor.value()?).ok();
                    self.category_id = id.and_then(|id| i64::try_from(id).ok());
                }
                b"name" => match cursor.value()? {
                    Token::Null => self.name = None,
                    Token::Text(name) if name.text().is_some() => self.name = Some(name),
                    Token::Text(_) => problem.add(|| "class.name is not UTF-8".into()),
                    other => problem.add(|| format!("class.name is {}, not a text", other.kind())),
                },
                _ => {
                    cursor.value()?;
                }
            }
            Ok(())
        })
    }

    fn into_checked(self, mut problem: Problem) -> Result<Checked<'a>, String> {
        let missing = [
            ("bbox", self.bbox.is_none()),
            ("class", !self.has_class),
            ("class.label", self.label.is_none()),
            ("mask", self.mask.is_none()),
            ("score", self.score.is_none()),
        ];
        for (key, _) in missing.into_iter().filter(|&(_, is_missing)| is_missing) {
            problem.add(|| format!("{key} is missing"));
        }
        let bbox = self.bbox.and_then(|sides| match sides {
            [Some(x), Some(y), Some(w), Some(h)] => Some(BoxXywh::new(x, y, w, h)),
            _ => {
                problem.add(|| "bbox lacks one of x_min, y_min, width, height".into());
                None
            }
        });
        if let Some(bbox) = bbox {
            problem.keep("bbox", fields::check_sides(bbox.width, bbox.height));
        }
        let label = self.label.unwrap_or_default();
        if label > MAX_LABEL {
            problem.add(|| format!("class.label {label} is beyond any class"));
        }
        let (None, Some(bbox), Some(mask), Some(score)) = (&problem.0, bbox, self.mask, self.score)
        else {
            return Err(problem.0.unwrap_or_default());
        };
        let label = label as usize; // at most MAX_LABEL
        let (mask_iou, iou_score) = mask_scores(score, self.iou_score, self.mask_iou);
        Ok(Checked {
            detection: Detection {
                bbox,
                label,
                score,
                mask_iou,
                iou_score,
                mask,
                quality: None,
            },
            class: SeenClass {
                label,
                name: self.name,
                category_id: self.category_id,
            },
        })
    }
}

/// `mask_iou` and `iou_score`, each from the other where it is absent.
fn mask_scores(
    score: f64,
    iou_score: Option<f64>,
    mask_iou: Option<Option<f64>>,
) -> (Option<f64>, f64) {
    let mask_iou = match (mask_iou, iou_score) {
        (Some(given), _) => given,
        (None, Some(iou_score)) => quotient(iou_score, score),
        _ => None,
    };
    let iou_score = iou_score.unwrap_or_else(|| score * mask_iou.unwrap_or(1.0));
    (mask_iou, iou_score)
}

/// `iou_score / score` where that is a number.
pub(super) fn quotient(iou_score: f64, score: f64) -> Option<f64> {
    Some(iou_score / score).filter(|quotient| quotient.is_finite())
}

/// Joins the images in file order.
pub(super) fn assemble(runs: Vec<Vec<Image<'_>>>) -> Parsed {
    let mut classes = Classes::default();
    let mut images: Vec<PredictedImage> = Vec::new();
    let mut refused = Vec::new();
    // Path -> where it stands among the images, and in the file.
    let mut index: HashMap<String, (usize, usize)> = HashMap::new();
    for image in runs.into_iter().flatten() {
        refused.extend(image.refused);
        for class in image.classes {
            classes.see(class);
        }
        let new = match image.image {
            Ok(new) => new,
            Err(reason) => {
                refused.push(reason);
                continue;
            }
        };
        let known = index.insert(new.path.clone(), (images.len(), image.offset));
        let Some((at, offset)) = known else {
            images.push(new);
            continue;
        };
        // As in Python, the last one counts and stands where the first stood.
        refused.push(Refused {
            entry: EntryKind::Image,
            offset,
            image: new.path.clone(),
            reason: "the image stands again further on, and that entry is used".into(),
            is_foreign: false,
        });
        index.insert(new.path.clone(), (at, image.offset));
        if let Some(slot) = images.get_mut(at) {
            *slot = new;
        }
    }
    Parsed {
        classes: classes.table(),
        images,
        notes: classes.notes,
        refused,
        has_masks: true,
    }
}
