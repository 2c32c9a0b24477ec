//! Filter and order of the gallery: what the filter bar holds, and the pass over the images that carries it out.

mod fields;
mod pass;
mod sort;

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use crate::query::{
    Completion, Query, QueryError, Schema, Status, begins_field, complete, spelled,
};
pub use fields::{
    AnnotationFields, EvaluationFields, GroundTruth, passing_annotations, passing_predictions,
};
use pass::Pass;
pub use sort::{SortBy, best_score};

use super::ImageEntry;
use super::ranking::RankBy;
use crate::structures::ClassTable;

/// While images finish, a gallery whose order costs time is renewed only after so many times that cost.
const RENEW_COST: u32 = 20;

/// Filter and order of the gallery, as the user set them.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ImageQuery {
    /// A query as it was typed; part of a name is one.
    pub text: String,
    /// Order.
    pub sort: SortBy,
    /// The largest first.
    pub descending: bool,
}

/// Everything that a pass over the images looks at.
#[derive(Clone, Copy)]
pub struct FilterInput<'a> {
    /// The images, in the order of folder or file.
    pub images: &'a [ImageEntry],
    /// Classes of labels.
    pub classes: &'a ClassTable,
    /// Changes whenever images, predictions, classes or evaluation do.
    pub revision: u64,
    /// What an evaluation found, where there was one.
    pub evaluation: Option<&'a EvaluationFields>,
    /// The annotations of the set, where it has some.
    pub truth: Option<&'a dyn GroundTruth>,
    /// The score that instances are held against.
    pub rank_by: RankBy,
    /// Predictions below it do not count.
    pub threshold: f64,
}

/// What a gallery was made from.
#[derive(Clone, PartialEq)]
struct Made {
    revision: u64,
    query: Arc<Query>,
    sort: SortBy,
    descending: bool,
    rank_by: RankBy,
    threshold: u64,
}

impl Made {
    /// Whether only images, predictions or threshold changed since.
    fn asks_the_same(&self, other: &Self) -> bool {
        let with = Self {
            revision: self.revision,
            threshold: self.threshold,
            ..other.clone()
        };
        *self == with
    }
}

/// A finished gallery.
struct Renewed {
    made: Made,
    at: f64,
    cost: Duration,
    has_predictions: bool,
}

/// When the gallery is to be looked at again.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Next {
    /// When something changes.
    Change,
    /// In the next frame: a pass is under way.
    Frame,
    /// After so long.
    After(Duration),
}

/// Keeps a gallery in step with the filter. A pass over many images takes several frames, a few milliseconds of each;
/// the old list stays until it is done.
#[derive(Default)]
pub struct GalleryFilter {
    /// The text that was parsed last, and with which revision of the classes.
    parsed: Option<(String, u64)>,
    query: Arc<Query>,
    error: Option<QueryError>,
    pass: Option<Pass>,
    renewed: Option<Renewed>,
    /// The text is the beginning of something longer: it is not read yet.
    is_held: bool,
    generation: u64,
}

impl GalleryFilter {
    /// The last query that was right: the one that the gallery shows.
    pub fn query(&self) -> &Query {
        &self.query
    }

    /// What is wrong with the text.
    pub fn error(&self) -> Option<&QueryError> {
        self.error.as_ref()
    }

    /// Changes with every gallery that is made.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Whether a pass is under way.
    pub fn is_running(&self) -> bool {
        self.pass.is_some()
    }

    /// Whether any image had predictions when the gallery was made.
    pub fn has_predictions(&self) -> bool {
        self.renewed.as_ref().is_some_and(|it| it.has_predictions)
    }

    /// Forgets what was made: another set is open.
    pub fn restart(&mut self) {
        *self = Self {
            generation: self.generation + 1,
            ..Self::default()
        };
    }

    /// Leaves the text unread while it is the beginning of something longer, such as `cla` while completion offers `class`:
    /// looked for in names it would empty the gallery for a moment.
    pub fn hold(&mut self, is_held: bool) {
        self.is_held = is_held;
    }

    /// Reads the text where it or the classes changed. One that is wrong leaves the query before it in force.
    pub fn read(&mut self, text: &str, input: &FilterInput<'_>) {
        let is_known =
            |(known, revision): &(String, u64)| known == text && *revision == input.revision;
        if self.is_held || self.parsed.as_ref().is_some_and(is_known) {
            return;
        }
        let schema = Schema {
            classes: input.classes,
        };
        match Query::parse(text, &schema) {
            Ok(query) => {
                self.error = None;
                // An equal query keeps its place, so that no pass begins anew for it.
                if query != *self.query {
                    self.query = Arc::new(query);
                }
            }
            Err(error) => self.error = Some(error),
        }
        self.parsed = Some((text.to_owned(), input.revision));
    }

    /// Brings `gallery` up to date, or begins or goes on with that; `now` is a clock in seconds, `budget` what this call
    /// may take.
    pub fn renew(
        &mut self,
        gallery: &mut Vec<usize>,
        order: &ImageQuery,
        input: &FilterInput<'_>,
        now: f64,
        budget: Duration,
    ) -> Next {
        self.read(&order.text, input);
        let made = Made {
            revision: input.revision,
            query: Arc::clone(&self.query),
            sort: order.sort,
            descending: order.descending,
            rank_by: input.rank_by,
            threshold: input.threshold.to_bits(),
        };
        let images = input.images.len();
        let is_valid = gallery.iter().max().is_none_or(|&last| last < images);
        let fits = |pass: &mut Pass| pass.images() == images && pass.made.asks_the_same(&made);
        let pass = match self.pass.take_if(fits) {
            Some(pass) => pass,
            None => match self.wait(&made, is_valid && !gallery.is_empty(), is_valid, now) {
                Some(next) => return next,
                None => Pass::new(made.clone(), input),
            },
        };
        self.go_on(pass, gallery, input, now, budget, made)
    }

    /// How long the gallery may stay as it is; `None` where it is to be made now.
    fn wait(&mut self, made: &Made, may_wait: bool, is_valid: bool, now: f64) -> Option<Next> {
        self.pass = None;
        let old = self.renewed.as_ref()?;
        if old.made == *made && is_valid {
            return Some(Next::Change);
        }
        let only_revision = Made {
            revision: made.revision,
            ..old.made.clone()
        } == *made;
        let due = old.at + (old.cost * RENEW_COST).as_secs_f64();
        (only_revision && may_wait && now < due)
            .then(|| Next::After(Duration::from_secs_f64(due - now)))
    }

    fn go_on(
        &mut self,
        mut pass: Pass,
        gallery: &mut Vec<usize>,
        input: &FilterInput<'_>,
        now: f64,
        budget: Duration,
        made: Made,
    ) -> Next {
        if !pass.step(input, budget) {
            self.pass = Some(pass);
            return Next::Frame;
        }
        let is_current = pass.made == made;
        self.renewed = Some(Renewed {
            made: pass.made.clone(),
            at: now,
            cost: pass.cost(),
            has_predictions: !pass.no_predictions(),
        });
        *gallery = pass.finish();
        self.generation += 1;
        if is_current {
            Next::Change
        } else {
            Next::Frame
        }
    }

    /// How many of an image's predictions pass; `None` where the query asks nothing of instances.
    pub fn count_of(
        &self,
        input: &FilterInput<'_>,
        image: usize,
        predictions: &[usize],
    ) -> Option<usize> {
        self.query
            .asks_instances()
            .then(|| fields::count(&self.query, input, image, predictions))
    }
}

#[cfg(test)]
mod tests;
