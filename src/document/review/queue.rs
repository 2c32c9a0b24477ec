//! A list of instances to go through: what was decided, what was skipped and comes back, what is next.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use super::edit::{Opinion, Target, Verdict};

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

/// How far a queue has come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueueProgress {
    /// Instances with a verdict.
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
    pub fn skip(&mut self, opinions: &BTreeMap<Target, Opinion>) -> Option<&Target> {
        let at = self.place.position;
        if at < self.items.len() {
            self.place.skipped.retain(|&skipped| skipped != at);
            self.place.skipped.push_back(at);
        }
        self.next(opinions)
    }

    /// Goes to the next instance without a verdict: behind this one, then from the beginning, then those that were skipped
    /// in their order. `None` when all are decided; the place stays.
    pub fn next(&mut self, opinions: &BTreeMap<Target, Opinion>) -> Option<&Target> {
        let is_open = |at: &usize| {
            self.items
                .get(*at)
                .is_some_and(|item| !is_decided(item, opinions))
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
    pub fn progress(&self, opinions: &BTreeMap<Target, Opinion>) -> QueueProgress {
        let mut progress = QueueProgress {
            total: self.items.len(),
            ..QueueProgress::default()
        };
        for item in &self.items {
            if let Some(verdict) = opinions.get(item).and_then(|opinion| opinion.verdict) {
                progress.reviewed += 1;
                *progress.verdicts.entry(verdict).or_default() += 1;
            }
        }
        let open = self
            .place
            .skipped
            .iter()
            .filter_map(|&at| self.items.get(at));
        progress.skipped = open.filter(|item| !is_decided(item, opinions)).count();
        progress
    }
}

fn is_decided(item: &Target, opinions: &BTreeMap<Target, Opinion>) -> bool {
    opinions
        .get(item)
        .is_some_and(|opinion| opinion.verdict.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decide(opinions: &mut BTreeMap<Target, Opinion>, id: u64, verdict: Verdict) {
        let verdict = Some(verdict);
        let opinion = Opinion {
            verdict,
            ..Opinion::default()
        };
        opinions.insert(Target::Annotation(id), opinion);
    }

    #[test]
    fn what_was_skipped_comes_back_in_its_order() {
        let items = (0..5).map(Target::Annotation).collect();
        let mut queue = Queue::new("suspects", items);
        let mut opinions = BTreeMap::new();
        assert_eq!(queue.current(), Some(&Target::Annotation(0)));
        assert_eq!(queue.skip(&opinions), Some(&Target::Annotation(1)));
        assert_eq!(queue.skip(&opinions), Some(&Target::Annotation(2)));
        decide(&mut opinions, 2, Verdict::Reject);
        assert_eq!(queue.next(&opinions), Some(&Target::Annotation(3)));
        decide(&mut opinions, 3, Verdict::Accept);
        assert_eq!(
            queue.progress(&opinions).words(),
            "2 of 5, 1 rejected, 2 skipped"
        );
        assert_eq!(queue.next(&opinions), Some(&Target::Annotation(4)));
        decide(&mut opinions, 4, Verdict::Accept);
        let kept = serde_json::to_string(&queue).unwrap();
        let mut queue: Queue = serde_json::from_str(&kept).unwrap();
        assert_eq!(queue.next(&opinions), Some(&Target::Annotation(0)));
        assert_eq!(
            queue.skip(&opinions),
            Some(&Target::Annotation(1)),
            "skipped again, behind the other"
        );
        decide(&mut opinions, 1, Verdict::BadMask);
        assert_eq!(queue.next(&opinions), Some(&Target::Annotation(0)));
        decide(&mut opinions, 0, Verdict::Accept);
        assert_eq!(queue.next(&opinions), None);
        assert_eq!(queue.progress(&opinions).reviewed, 5);
        assert_eq!(queue.back(), Some(&Target::Annotation(0)));
        assert_eq!(queue.go_to(3), Some(&Target::Annotation(3)));
        assert_eq!(Queue::default().next(&opinions), None);
    }
}
