//! A list of instances to go through: what was decided, what was skipped and comes back, what is next.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use super::edit::{Opinion, Target, Verdict};

/// A queue. It keeps places, not opinions: those belong to the instances, whichever queue they were given in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Queue {
    /// As people name it: a filter, a saved view, "suspects".
    pub name: String,
    items: Vec<Target>,
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

    /// Its instances in order.
    pub fn items(&self) -> &[Target] {
        &self.items
    }

    /// The place of the instance in hand.
    pub fn position(&self) -> usize {
        self.position
    }

    /// The instance in hand.
    pub fn current(&self) -> Option<&Target> {
        self.items.get(self.position)
    }

    /// Goes to a place, back to one that was decided too.
    pub fn go_to(&mut self, position: usize) -> Option<&Target> {
        if position < self.items.len() {
            self.position = position;
        }
        self.current()
    }

    /// One place back.
    pub fn back(&mut self) -> Option<&Target> {
        self.go_to(self.position.saturating_sub(1))
    }

    /// Leaves the instance in hand for later and goes to the next.
    pub fn skip(&mut self, opinions: &BTreeMap<Target, Opinion>) -> Option<&Target> {
        let at = self.position;
        if at < self.items.len() {
            self.skipped.retain(|&skipped| skipped != at);
            self.skipped.push_back(at);
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
        let behind = self.position + 1..self.items.len();
        let before = 0..self.position.min(self.items.len());
        let fresh = behind.chain(before).chain([self.position]);
        let mut fresh = fresh
            .filter(|at| !self.skipped.contains(at))
            .filter(is_open);
        let found = fresh.next();
        let found = found.or_else(|| self.skipped.iter().copied().find(is_open))?;
        self.skipped.retain(|&skipped| skipped != found);
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
        let open = self.skipped.iter().filter_map(|&at| self.items.get(at));
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
