//! A list of instances to go through: what was decided, what was skipped and comes back, what is next.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use super::edit::{Target, Verdict};

/// A queue. It keeps places, not opinions: those belong to the instances, whichever queue they were given in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Queue {
    /// What it is kept under.
    pub name: String,
    /// What it holds, as people read it: a filter, a saved view, "suspects".
    #[serde(default)]
    pub title: String,
    items: Vec<Target>,
    /// Why each is in it; empty where that needs no saying.
    #[serde(default)]
    reasons: Vec<String>,
    #[serde(flatten)]
    place: QueuePlace,
}

/// Where a queue stands: all of it that changes on the way.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueuePlace {
    position: usize,
    /// Places that were skipped, the earliest first; they come back when the rest is done.
    skipped: VecDeque<usize>,
}

/// How an instance of a queue stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Nothing was said of it.
    Open,
    /// It has a verdict.
    Judged(Verdict),
    /// It was deleted, or merged into another one: there is nothing to say any more.
    Gone,
}

/// How far a queue has come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueueProgress {
    /// Instances with a verdict, and those that are gone.
    pub reviewed: usize,
    /// All instances.
    pub total: usize,
    /// Of these, how many of each verdict.
    pub verdicts: BTreeMap<Verdict, usize>,
    /// Skipped and still without a verdict.
    pub skipped: usize,
}

impl QueueProgress {
    /// `212 of 640, 31 rejected`
    pub fn words(&self) -> String {
        let mut text = format!("{} of {}", self.reviewed, self.total);
        let rejected = self.verdicts.get(&Verdict::Reject).copied().unwrap_or(0);
        if rejected > 0 {
            text.push_str(&format!(", {rejected} rejected"));
        }
        if self.skipped > 0 {
            text.push_str(&format!(", {} skipped", self.skipped));
        }
        text
    }
}

impl Queue {
    /// A queue at its beginning.
    pub fn new(name: &str, items: Vec<Target>) -> Self {
        Self {
            name: name.to_owned(),
            items,
            ..Self::default()
        }
    }

    /// With what it holds, and why each instance is in it: none, or one for each.
    #[must_use]
    pub fn titled(self, title: impl Into<String>, reasons: Vec<String>) -> Self {
        Self {
            title: title.into(),
            reasons,
            ..self
        }
    }

    /// Where it stands.
    pub fn place(&self) -> &QueuePlace {
        &self.place
    }

    /// Stands at a place that was kept.
    pub fn set_place(&mut self, place: QueuePlace) {
        self.place = place;
    }

    /// Why the instance in hand is in it.
    pub fn reason(&self) -> Option<&str> {
        self.reasons.get(self.place.position).map(String::as_str)
    }

    /// Its instances in order.
    pub fn items(&self) -> &[Target] {
        &self.items
    }

    /// The place of the instance in hand.
    pub fn position(&self) -> usize {
        self.place.position
    }

    /// The instance in hand.
    pub fn current(&self) -> Option<&Target> {
        self.items.get(self.place.position)
    }

    /// Goes to a place, back to one that was decided too.
    pub fn go_to(&mut self, position: usize) -> Option<&Target> {
        if position < self.items.len() {
            self.place.position = position;
        }
        self.current()
    }

    /// One place back.
    pub fn back(&mut self) -> Option<&Target> {
        self.go_to(self.place.position.saturating_sub(1))
    }

    /// Leaves the instance in hand for later and goes to the next.
    pub fn skip(&mut self, standing: &dyn Fn(&Target) -> Standing) -> Option<&Target> {
        let at = self.place.position;
        if at < self.items.len() {
            self.place.skipped.retain(|&skipped| skipped != at);
            self.place.skipped.push_back(at);
        }
        self.next(standing)
    }

    /// Goes to the next open instance: behind this one, then from the beginning, then those that were skipped
    /// in their order. `None` when all are decided; the place stays.
    pub fn next(&mut self, standing: &dyn Fn(&Target) -> Standing) -> Option<&Target> {
        let is_open = |at: &usize| {
            self.items
                .get(*at)
                .is_some_and(|item| standing(item) == Standing::Open)
        };
        let behind = self.place.position + 1..self.items.len();
        let before = 0..self.place.position.min(self.items.len());
        let fresh = behind.chain(before).chain([self.place.position]);
        let mut fresh = fresh
            .filter(|at| !self.place.skipped.contains(at))
            .filter(is_open);
        let found = fresh.next();
        let found = found.or_else(|| self.place.skipped.iter().copied().find(is_open))?;
        self.place.skipped.retain(|&skipped| skipped != found);
        self.go_to(found)
    }

    /// How far it has come.
    pub fn progress(&self, standing: &dyn Fn(&Target) -> Standing) -> QueueProgress {
        let mut progress = QueueProgress {
            total: self.items.len(),
            ..QueueProgress::default()
        };
        for item in &self.items {
            let standing = standing(item);
            progress.reviewed += usize::from(standing != Standing::Open);
            if let Standing::Judged(verdict) = standing {
                *progress.verdicts.entry(verdict).or_default() += 1;
            }
        }
        let open = self
            .place
            .skipped
            .iter()
            .filter_map(|&at| self.items.get(at));
        progress.skipped = open.filter(|item| standing(item) == Standing::Open).count();
        progress
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Said = BTreeMap<Target, Standing>;

    fn decide(said: &mut Said, id: u64, verdict: Verdict) {
        said.insert(Target::Annotation(id), Standing::Judged(verdict));
    }

    fn standing(said: &Said) -> impl Fn(&Target) -> Standing + '_ {
        |item| said.get(item).copied().unwrap_or(Standing::Open)
    }

    #[test]
    fn what_was_skipped_comes_back_in_its_order() {
        let items = (0..5).map(Target::Annotation).collect();
        let mut queue = Queue::new("suspects", items);
        let mut opinions = BTreeMap::new();
        assert_eq!(queue.current(), Some(&Target::Annotation(0)));
        assert_eq!(
            queue.skip(&standing(&opinions)),
            Some(&Target::Annotation(1))
        );
        assert_eq!(
            queue.skip(&standing(&opinions)),
            Some(&Target::Annotation(2))
        );
        decide(&mut opinions, 2, Verdict::Reject);
        assert_eq!(
            queue.next(&standing(&opinions)),
            Some(&Target::Annotation(3))
        );
        decide(&mut opinions, 3, Verdict::Accept);
        assert_eq!(
            queue.progress(&standing(&opinions)).words(),
            "2 of 5, 1 rejected, 2 skipped"
        );
        assert_eq!(
            queue.next(&standing(&opinions)),
            Some(&Target::Annotation(4))
        );
        decide(&mut opinions, 4, Verdict::Accept);
        let kept = serde_json::to_string(&queue).unwrap();
        let mut queue: Queue = serde_json::from_str(&kept).unwrap();
        assert_eq!(
            queue.next(&standing(&opinions)),
            Some(&Target::Annotation(0))
        );
        assert_eq!(
            queue.skip(&standing(&opinions)),
            Some(&Target::Annotation(1)),
            "skipped again, behind the other"
        );
        decide(&mut opinions, 1, Verdict::BadMask);
        assert_eq!(
            queue.next(&standing(&opinions)),
            Some(&Target::Annotation(0))
        );
        opinions.insert(Target::Annotation(0), Standing::Gone);
        assert_eq!(queue.next(&standing(&opinions)), None);
        assert_eq!(queue.progress(&standing(&opinions)).reviewed, 5);
        assert_eq!(queue.back(), Some(&Target::Annotation(0)));
        assert_eq!(queue.go_to(3), Some(&Target::Annotation(3)));
        assert_eq!(Queue::default().next(&standing(&opinions)), None);
    }
}
