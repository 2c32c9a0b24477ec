//! Work that several threads finish out of order, handed on in the order in which it was begun: what shares a batch must not
//! depend on who was quicker.

use std::collections::BTreeMap;

/// Results by the place of their work.
#[derive(Debug)]
pub(super) struct Lineup<T> {
    /// Place of the next work.
    begun: usize,
    /// Place of the next result that is handed on.
    due: usize,
    /// Results that wait; none of work that failed.
    done: BTreeMap<usize, Option<T>>,
}

impl<T> Lineup<T> {
    pub fn new() -> Self {
        Self {
            begun: 0,
            due: 0,
            done: BTreeMap::new(),
        }
    }

    /// Results that are being made or wait to be handed on; failures are not counted, for nobody will come for them.
    pub fn waiting(&self) -> usize {
        let failed = self.done.values().filter(|result| result.is_none()).count();
        self.begun - self.due - failed
    }

    /// The place of work that begins.
    pub fn begin(&mut self) -> usize {
        self.begun += 1;
        self.begun - 1
    }

    /// What became of the work of a place.
    pub fn finish(&mut self, place: usize, result: Option<T>) {
        self.done.insert(place, result);
    }

    /// The next `count` results, or what is left where all work that will ever be begun is over (`is_last`); none while that has to
    /// be waited for.
    pub fn next(&mut self, count: usize, is_last: bool) -> Option<Vec<T>> {
        let (mut found, mut end) = (0, self.due);
        while found < count
            && let Some(result) = self.done.get(&end)
        {
            found += usize::from(result.is_some());
            end += 1;
        }
        let is_over = is_last && end == self.begun;
        if found < count && !is_over {
            return None;
        }
        let later = self.done.split_off(&end);
        let taken = std::mem::replace(&mut self.done, later);
        self.due = end;
        Some(taken.into_values().flatten().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_the_order_of_their_beginning() {
        let mut lineup = Lineup::new();
        let places: Vec<usize> = (0..5).map(|_| lineup.begin()).collect();
        assert_eq!((places, lineup.waiting()), (vec![0, 1, 2, 3, 4], 5));
        lineup.finish(2, Some('c'));
        lineup.finish(1, Some('b'));
        assert_eq!(lineup.next(2, false), None);
        lineup.finish(0, None); // failed: nobody waits for it
        assert_eq!(lineup.waiting(), 4);
        assert_eq!(lineup.next(2, false), Some(vec!['b', 'c']));
        assert_eq!(lineup.waiting(), 2);
        lineup.finish(4, Some('e'));
        assert_eq!(lineup.next(2, true), None, "the fourth is not over");
        lineup.finish(3, Some('d'));
        assert_eq!(lineup.next(3, false), None, "there may come more");
        assert_eq!(lineup.next(3, true), Some(vec!['d', 'e']));
        assert_eq!(lineup.next(3, true), Some(vec![]));
    }
}
