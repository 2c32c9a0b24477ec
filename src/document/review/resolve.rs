//! From what is to be done to what changes, with words for the history.

use super::ReviewError;
use super::edit::{Change, Edit, Opinion, Target};
use super::state::{Ids, Places, State};
use crate::coco::{Record, Shape, ShapeError};

/// What an edit comes to.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Resolved {
    pub changes: Vec<Change>,
    pub words: String,
    /// The image that it is about, for the way there.
    pub image_id: Option<u64>,
    /// New annotations and categories.
    pub new_ids: Vec<i64>,
    /// Polygons became run lengths.
    pub is_painted: bool,
}

/// Finds out what an edit changes and makes it, so that one edit of several sees the one before.
pub(super) struct Resolver<'a> {
    pub places: &'a Places,
    pub state: &'a mut State,
    pub ids: Ids,
    pub done: Resolved,
}

impl Resolver<'_> {
    pub fn resolve(&mut self, edit: &Edit) -> Result<(), ReviewError> {
        match edit {
            Edit::SetMask { id, segmentation } => self.set_mask(*id, segmentation),
            Edit::SetClass { id, category_id } => self.set_class(*id, *category_id),
            Edit::SetCrowd { id, iscrowd } => self.set_crowd(*id, *iscrowd),
            Edit::Delete { ids } => self.delete(ids),
            Edit::Add {
                image_id,
                category_id,
                segmentation,
                iscrowd,
                origin,
            } => self.add(Record {
                image_id: *image_id,
                category_id: *category_id,
                is_crowd: *iscrowd,
                shape: Some(segmentation.clone()),
                is_new: true,
                origin: origin.clone(),
            }),
            Edit::Split { id, parts } => self.split(*id, parts),
            Edit::Merge { ids } => self.merge(ids),
            Edit::AddCategory { name, id } => self.add_category(name, *id),
            Edit::Verdict { target, verdict } => {
                let said = verdict.map_or("No verdict on", |verdict| match verdict {
                    super::Verdict::Accept => "Accept",
                    super::Verdict::Reject => "Reject",
                    super::Verdict::WrongClass => "Wrong class:",
                    super::Verdict::BadMask => "Bad mask:",
                    super::Verdict::MissingObject => "Missing object:",
                });
                self.opinion(target, said, |opinion| opinion.verdict = *verdict)
            }
            Edit::Tags { target, tags } => self.opinion(target, "Tag", |opinion| {
                opinion.tags = tags.clone();
                opinion.tags.sort_unstable();
                opinion.tags.dedup();
            }),
            Edit::Note { target, note } => {
                self.opinion(target, "Note on", |opinion| opinion.note = note.clone())
            }
            Edit::Together { words, edits } => {
                for edit in edits {
                    self.resolve(edit)?;
                }
                if !words.is_empty() {
                    self.done.words.clone_from(words);
                }
                Ok(())
            }
        }
    }

    /// Notes a change and makes it; one that changes nothing is none.
    fn change(&mut self, change: Change) {
        if change.clone().inverse() != change {
            self.state.apply(self.places, &change);
            self.ids.see(&change);
            self.done.changes.push(change);
        }
    }

    fn say(&mut self, words: String, image_id: Option<u64>) {
        if self.done.words.is_empty() {
            self.done.words = words;
        }
        self.done.image_id = self.done.image_id.or(image_id);
    }

    fn record(&self, id: u64) -> Result<Record, ReviewError> {
        if self.places.is_repeated(id) {
            return Err(ReviewError::RepeatedId(id));
        }
        let record = self.state.record(self.places, id);
        record.ok_or(ReviewError::NoAnnotation(id))
    }

    fn replace(&mut self, id: u64, before: Record, after: Option<Record>) {
        self.change(Change::Annotation {
            id,
            before: Some(before),
            after,
        });
    }

    fn class(&self, category_id: i64) -> Option<String> {
        let classes = self.state.corrections.classes(self.places.set());
        let label = classes
            .category_ids
            .iter()
            .position(|&id| id == category_id)?;
        Some(classes.name(label))
    }

    fn check_class(&self, category_id: i64) -> Result<String, ReviewError> {
        self.class(category_id)
            .ok_or(ReviewError::NoCategory(category_id))
    }

    /// `person #123 in 000785.jpg`
    fn named(&self, id: u64, record: &Record) -> String {
        let class = self.class(record.category_id);
        let class = class.unwrap_or_else(|| format!("category {}", record.category_id));
        format!("{class} #{id} in {}", self.file(record.image_id))
    }

    fn file(&self, image_id: u64) -> String {
        let image = self.places.image(image_id);
        image.map_or_else(
            || format!("image {image_id}"),
            |image| image.file_name.clone(),
        )
    }

    /// Polygons are not rasterised for it: of those that pass the check every one has a mask where the size has one, and one of
    /// 100,000 corners would take a second.
    fn check_shape(&self, shape: &Shape, image_id: u64) -> Result<(), ReviewError> {
        let size = self.places.size(image_id)?;
        shape.check(size)?;
        match shape {
            Shape::Polygons(_) if u32::try_from(size.pixels()).is_ok() => Ok(()),
            shape => match shape.mask(size) {
                Ok(_) => Ok(()),
                Err(reason) => Err(ShapeError::Segmentation(reason).into()),
            },
        }
    }

    fn set_mask(&mut self, id: u64, shape: &Shape) -> Result<(), ReviewError> {
        let before = self.record(id)?;
        self.check_shape(shape, before.image_id)?;
        let was = self.state.shape(self.places, id);
        let words = match (&was, shape) {
            (Ok(Shape::Polygons(_)), Shape::Runs(_)) => "Paint (polygon becomes run lengths)",
            (Ok(Shape::Polygons(_)), Shape::Polygons(_)) => "Change the polygon of",
            _ => "Change the mask of",
        };
        self.say(
            format!("{words} {}", self.named(id, &before)),
            Some(before.image_id),
        );
        if was.as_ref().is_ok_and(|was| was == shape) {
            return Ok(());
        }
        self.done.is_painted |= was.is_ok_and(|was| is_painted(&was, shape));
        let after = Record {
            shape: Some(shape.clone()),
            ..before.clone()
        };
        self.replace(id, before, Some(after));
        Ok(())
    }

    fn set_class(&mut self, id: u64, category_id: i64) -> Result<(), ReviewError> {
        let before = self.record(id)?;
        let name = self.check_class(category_id)?;
        let words = format!("Make {} a {name}", self.named(id, &before));
        self.say(words, Some(before.image_id));
        let after = Record {
            category_id,
            ..before.clone()
        };
        self.replace(id, before, Some(after));
        Ok(())
    }

    fn set_crowd(&mut self, id: u64, is_crowd: bool) -> Result<(), ReviewError> {
        let before = self.record(id)?;
        let what = if is_crowd { "a crowd" } else { "no crowd" };
        let words = format!("Make {} {what}", self.named(id, &before));
        self.say(words, Some(before.image_id));
        let after = Record {
            is_crowd,
            ..before.clone()
        };
        self.replace(id, before, Some(after));
        Ok(())
    }

    fn delete(&mut self, ids: &[u64]) -> Result<(), ReviewError> {
        for (number, &id) in ids.iter().enumerate() {
            let before = self.record(id)?;
            if number == 0 {
                let words = match ids {
                    [_] => format!("Delete {}", self.named(id, &before)),
                    _ => format!("Delete {} annotations", ids.len()),
                };
                self.say(words, Some(before.image_id));
            }
            self.replace(id, before, None);
        }
        Ok(())
    }

    fn add(&mut self, record: Record) -> Result<(), ReviewError> {
        self.check_class(record.category_id)?;
        if let Some(origin) = &record.origin {
            let scores = [Some(origin.score), origin.mask_iou];
            if !scores.into_iter().flatten().all(f64::is_finite) {
                return Err(ReviewError::NotFinite);
            }
        }
        if let Some(shape) = &record.shape {
            self.check_shape(shape, record.image_id)?;
        }
        let id = self.ids.next_annotation();
        let verb = if record.origin.is_some() {
            "Promote to"
        } else {
            "Add"
        };
        self.say(
            format!("{verb} {}", self.named(id, &record)),
            Some(record.image_id),
        );
        self.insert(id, record);
        Ok(())
    }

    fn insert(&mut self, id: u64, record: Record) {
        self.done
            .new_ids
            .push(i64::try_from(id).unwrap_or(i64::MAX));
        self.change(Change::Annotation {
            id,
            before: None,
            after: Some(record),
        });
    }

    fn split(&mut self, id: u64, parts: &[Shape]) -> Result<(), ReviewError> {
        let before = self.record(id)?;
        let parts = match parts {
            [] => self.parts_of(id)?,
            parts => parts.to_vec(),
        };
        if parts.len() < 2 {
            return Err(ReviewError::Impossible {
                what: "split",
                why: format!("annotation {id} has one part: erase or cut a gap first"),
            });
        }
        let was = self.state.shape(self.places, id);
        for part in &parts {
            self.check_shape(part, before.image_id)?;
            self.done.is_painted |= was.as_ref().is_ok_and(|was| is_painted(was, part));
        }
        let words = format!("Split {} into {}", self.named(id, &before), parts.len());
        self.say(words, Some(before.image_id));
        let of_part = |shape: &Shape, is_new| Record {
            shape: Some(shape.clone()),
            is_new,
            ..before.clone()
        };
        let mut records = parts.iter();
        if let Some(first) = records.next() {
            self.replace(id, before.clone(), Some(of_part(first, before.is_new)));
        }
        for part in records {
            let new = self.ids.next_annotation();
            self.insert(new, of_part(part, true));
        }
        Ok(())
    }

    /// Polygons stay polygons where each part is one; else the pixels that touch.
    fn parts_of(&self, id: u64) -> Result<Vec<Shape>, ReviewError> {
        let mask = self.state.mask(self.places, id)?;
        let components = mask.components();
        if let Shape::Polygons(parts) = self.state.shape(self.places, id)?
            && parts.len() == components.len()
        {
            let sized = parts.into_iter().map(|part| Shape::Polygons(vec![part]));
            let masks = |shape: &Shape| shape.mask(mask.size()).ok();
            let mut sized: Vec<Shape> = sized.collect();
            let is_each_one = sized
                .iter()
                .all(|part| masks(part).is_some_and(|mask| components.contains(&mask)));
            if is_each_one {
                let area = |part: &Shape| masks(part).map_or(0, |mask| mask.area());
                sized.sort_by_key(|part| std::cmp::Reverse(area(part)));
                return Ok(sized);
            }
        }
        Ok(components.into_iter().map(Shape::Runs).collect())
    }

    fn merge(&mut self, ids: &[u64]) -> Result<(), ReviewError> {
        let impossible = |why: String| ReviewError::Impossible { what: "merge", why };
        let (Some(&first), true) = (ids.first(), ids.len() > 1) else {
            return Err(impossible("at least two annotations are needed".into()));
        };
        let before = self.record(first)?;
        let mut shape = self.state.shape(self.places, first)?;
        for (at, &id) in ids.iter().enumerate().skip(1) {
            let other = self.record(id)?;
            if other.image_id != before.image_id {
                return Err(impossible(format!(
                    "{first} and {id} are on different images"
                )));
            }
            if ids.iter().take(at).any(|&known| known == id) {
                return Err(impossible(format!("annotation {id} was given twice")));
            }
            let merged = self.merged(&shape, id, before.image_id)?;
            self.done.is_painted |= is_painted(&shape, &merged);
            shape = merged;
        }
        let words = format!("Merge {} into {}", ids.len(), self.named(first, &before));
        self.say(words, Some(before.image_id));
        for &id in ids.iter().skip(1) {
            let other = self.record(id)?;
            self.replace(id, other, None);
        }
        let after = Record {
            shape: Some(shape),
            ..before.clone()
        };
        self.replace(first, before, Some(after));
        Ok(())
    }

    /// Polygons of both are the parts of one; anything else is laid over each other.
    fn merged(&self, shape: &Shape, id: u64, image_id: u64) -> Result<Shape, ReviewError> {
        match (shape, self.state.shape(self.places, id)?) {
            (Shape::Polygons(parts), Shape::Polygons(others)) => {
                Ok(Shape::Polygons([parts.clone(), others].concat()))
            }
            (shape, other) => {
                let size = self.places.size(image_id)?;
                let refused = |reason| ReviewError::Mask { id, reason };
                let mask = shape.mask(size).map_err(refused)?;
                let other = other.mask(size).map_err(refused)?;
                let both = mask
                    .union(&other)
                    .map_err(|error| refused(error.to_string()))?;
                Ok(Shape::Runs(both))
            }
        }
    }

    fn add_category(&mut self, name: &str, id: Option<i64>) -> Result<(), ReviewError> {
        let name = name.trim();
        if name.is_empty() {
            return Err(ReviewError::NoName);
        }
        if let Some(id) = id.filter(|id| *id < 0) {
            return Err(ReviewError::NegativeCategory(id));
        }
        let classes = self.state.corrections.classes(self.places.set());
        let known = classes.names.iter().zip(&classes.category_ids);
        for (known, &known_id) in known {
            if known == name || Some(known_id) == id {
                return Err(ReviewError::CategoryExists {
                    name: known.clone(),
                    id: known_id,
                });
            }
        }
        let id = id.unwrap_or_else(|| self.ids.next_category());
        self.say(format!("New category {name}"), None);
        self.done.new_ids.push(id);
        self.change(Change::Category {
            id,
            before: None,
            after: Some(name.to_owned()),
        });
        Ok(())
    }

    fn opinion(
        &mut self,
        target: &Target,
        verb: &str,
        change: impl FnOnce(&mut Opinion),
    ) -> Result<(), ReviewError> {
        let (words, image_id) = match target {
            Target::Annotation(id) => {
                let record = self.record(*id)?;
                (self.named(*id, &record), record.image_id)
            }
            Target::Prediction(key) => (
                format!("prediction in {}", self.file(key.image_id)),
                key.image_id,
            ),
            Target::Image(id) => (self.file(*id), *id),
        };
        if self.places.image(image_id).is_none() {
            return Err(ReviewError::NoTarget(target.clone()));
        }
        let before = self.state.opinions.get(target).cloned().unwrap_or_default();
        let mut after = before.clone();
        change(&mut after);
        self.say(format!("{verb} {words}"), Some(image_id));
        self.change(Change::Opinion {
            target: target.clone(),
            before,
            after,
        });
        Ok(())
    }
}

fn is_painted(before: &Shape, after: &Shape) -> bool {
    matches!((before, after), (Shape::Polygons(_), Shape::Runs(_)))
}
