//! What is to be decoded, and in which order.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use crate::jobs::infer::ImageTask;

/// Images requested by name that are kept: the newest; the user has gone past the others.
const MAX_FULL: usize = 4;
/// Thumbnails waiting; more are not visible at once.
const MAX_THUMBNAILS: usize = 1024;

/// One piece of work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Work {
    /// A whole image.
    Full(ImageTask),
    /// A thumbnail.
    Thumbnail(ImageTask),
    /// Empty the cache on disk.
    ClearCache,
}

/// The turn of a request, then its number within all: later turns are more urgent, within a turn the first.
type Urgency = (u64, Reverse<u64>);

/// Requests. What a worker has in hand is not handed out again.
#[derive(Debug, Default)]
pub(super) struct Queue {
    clearing: bool,
    /// The newest last.
    full: Vec<ImageTask>,
    /// The likeliest first.
    prefetch: VecDeque<ImageTask>,
    /// The most urgent last.
    thumbnails: BTreeMap<Urgency, ImageTask>,
    /// Urgency by index.
    urgencies: HashMap<usize, Urgency>,
    next: u64,
    full_in_hand: HashSet<usize>,
    thumbnails_in_hand: HashSet<usize>,
}

impl Queue {
    /// To the front.
    pub(super) fn request_full(&mut self, task: ImageTask) {
        if self.full_in_hand.contains(&task.index) {
            return;
        }
        self.full.retain(|other| other.index != task.index);
        self.full.push(task);
        if self.full.len() > MAX_FULL {
            self.full.remove(0);
        }
    }

    /// Instead of the list before.
    pub(super) fn prefetch(&mut self, tasks: Vec<ImageTask>) {
        self.prefetch = tasks.into();
    }

    /// Before the thumbnails that were requested in earlier turns, after those of this turn.
    pub(super) fn request_thumbnail(&mut self, task: ImageTask, turn: u64) {
        if self.thumbnails_in_hand.contains(&task.index) {
            return;
        }
        self.next += 1;
        let urgency = (turn, Reverse(self.next));
        if let Some(old) = self.urgencies.insert(task.index, urgency) {
            self.thumbnails.remove(&old);
        }
        self.thumbnails.insert(urgency, task);
        if self.thumbnails.len() > MAX_THUMBNAILS
            && let Some((_, dropped)) = self.thumbnails.pop_first()
        {
            self.urgencies.remove(&dropped.index);
        }
    }

    /// Before everything else.
    pub(super) fn request_clearing(&mut self) {
        self.clearing = true;
    }

    /// The next piece of work. Worker 0 prefers the next images, the others the thumbnails, so that neither starves.
    pub(super) fn take(&mut self, worker: usize) -> Option<Work> {
        if std::mem::take(&mut self.clearing) {
            return Some(Work::ClearCache);
        }
        if let Some(task) = self.full.pop() {
            self.full_in_hand.insert(task.index);
            return Some(Work::Full(task));
        }
        if worker == 0 {
            self.take_prefetch().or_else(|| self.take_thumbnail())
        } else {
            self.take_thumbnail().or_else(|| self.take_prefetch())
        }
    }

    /// A worker is done with an image.
    pub(super) fn finish(&mut self, work: &Work) {
        match work {
            Work::Full(task) => self.full_in_hand.remove(&task.index),
            Work::Thumbnail(task) => self.thumbnails_in_hand.remove(&task.index),
            Work::ClearCache => false,
        };
    }

    fn take_prefetch(&mut self) -> Option<Work> {
        loop {
            let task = self.prefetch.pop_front()?;
            if self.full_in_hand.insert(task.index) {
                return Some(Work::Full(task));
            }
        }
    }

    fn take_thumbnail(&mut self) -> Option<Work> {
        let (_, task) = self.thumbnails.pop_last()?;
        self.urgencies.remove(&task.index);
        self.thumbnails_in_hand.insert(task.index);
        Some(Work::Thumbnail(task))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(index: usize) -> ImageTask {
        ImageTask {
            index,
            path: format!("{index}.png").into(),
            declared: None,
        }
    }

    fn order(queue: &mut Queue, worker: usize) -> Vec<(char, usize)> {
        std::iter::from_fn(|| queue.take(worker))
            .map(|work| match work {
                Work::Full(task) => ('f', task.index),
                Work::Thumbnail(task) => ('t', task.index),
                Work::ClearCache => ('c', 0),
            })
            .collect()
    }

    #[test]
    fn newest_first_and_the_looked_at_before_all() {
        let mut queue = Queue::default();
        for i in 0..3 {
            queue.request_thumbnail(task(i), 1);
        }
        queue.request_thumbnail(task(2), 2);
        queue.prefetch(vec![task(11), task(9)]);
        queue.request_full(task(10));
        let want = [('f', 10), ('f', 11), ('f', 9), ('t', 2), ('t', 0), ('t', 1)];
        assert_eq!(order(&mut queue, 0), want);
    }

    #[test]
    fn other_workers_prefer_thumbnails() {
        let mut queue = Queue::default();
        queue.request_thumbnail(task(1), 1);
        queue.prefetch(vec![task(2)]);
        assert_eq!(order(&mut queue, 1), [('t', 1), ('f', 2)]);
    }

    #[test]
    fn what_is_in_hand_is_not_handed_out_again() {
        let mut queue = Queue::default();
        queue.request_full(task(1));
        let work = queue.take(0).unwrap();
        queue.request_full(task(1));
        queue.prefetch(vec![task(1)]);
        assert_eq!(queue.take(1), None);
        queue.finish(&work);
        queue.request_full(task(1));
        assert_eq!(queue.take(1), Some(Work::Full(task(1))));
    }

    #[test]
    fn old_requests_are_forgotten() {
        let mut queue = Queue::default();
        for i in 0..MAX_THUMBNAILS + 5 {
            queue.request_thumbnail(task(i), i as u64);
        }
        for i in 0..10 {
            queue.request_full(task(i));
        }
        let got = order(&mut queue, 0);
        assert_eq!(got[..4], [('f', 9), ('f', 8), ('f', 7), ('f', 6)]);
        assert_eq!(got.len(), 4 + MAX_THUMBNAILS);
        assert_eq!(got.last(), Some(&('t', 5)));
    }
}
