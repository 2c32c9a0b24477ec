//! Work that several threads finish out of order, handed on in the order in which it was begun: what shares a batch, and which
//! failure is told first, must not depend on who was quicker.

use std::collections::{BTreeMap, VecDeque};

/// Results by the place of their work.
#[derive(Debug)]
pub(super) struct Lineup<T, E> {
    /// Place of the next work.
    begun: usize,
    /// Place of the first work that is not over, or whose predecessors are not.
    due: usize,
    /// Results that wait for work before them.
    early: BTreeMap<usize, Result<T, E>>,
    /// Those that wait to be handed on.
    ready: VecDeque<T>,
}

impl<T, E> Lineup<T, E> {
    pub fn new() -> Self {
        Self {
            begun: 0,
            due: 0,
            early: BTreeMap::new(),
            ready: VecDeque::new(),
        }
    }

    /// Results that are being made or wait to be handed on.
    pub fn waiting(&self) -> usize {
        self.begun - self.due + self.ready.len()
    }

    /// The place of work that begins.
    pub fn begin(&mut self) -> usize {
        self.begun += 1;
        self.begun - 1
    }

    /// What became of the work of a place; the failures whose turn it is by that.
    pub fn finish(&mut self, place: usize, result: Result<T, E>) -> Vec<E> {
        self.early.insert(place, result);
        let mut failures = Vec::new();
        while let Some(result) = self.early.remove(&self.due) {
            self.due += 1;
            match result {
                Ok(result) => self.ready.push_back(result),
                Err(failure) => failures.push(failure),
            }
        }
        failures
    }

    /// The next `count` results, or what is left where no more work will begin (`is_last`); none while there may come more.
    pub fn next(&mut self, count: usize, is_last: bool) -> Option<Vec<T>> {
        let is_over = is_last && self.due == self.begun;
        if self.ready.len() < count && !is_over {
            return None;
        }
        let count = count.min(self.ready.len());
        Some(self.ready.drain(..count).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_the_order_of_their_beginning() {
        let mut lineup = Lineup::new();
        let places: Vec<usize> = (0..6).map(|_| lineup.begin()).collect();
        assert_eq!((places, lineup.waiting()), (vec![0, 1, 2, 3, 4, 5], 6));
        assert!(lineup.finish(2, Ok('c')).is_empty());
        assert!(lineup.finish(1, Err("second")).is_empty());
        assert_eq!(lineup.next(1, false), None);
        // Nobody waits for what failed.
        assert_eq!(lineup.finish(0, Err("first")), ["first", "second"]);
        assert_eq!((lineup.waiting(), lineup.next(2, false)), (4, None));
        assert!(lineup.finish(4, Ok('e')).is_empty());
        assert_eq!(lineup.next(2, true), None, "the fourth is not over");
        assert!(lineup.finish(3, Ok('d')).is_empty());
        assert_eq!(lineup.next(2, false), Some(vec!['c', 'd']));
        assert_eq!(lineup.next(2, false), None, "there may come more");
        assert_eq!(lineup.finish(5, Err("sixth")), ["sixth"]);
        assert_eq!(lineup.next(2, true), Some(vec!['e']));
        assert_eq!(lineup.next(2, true), Some(vec![]));
    }
}
