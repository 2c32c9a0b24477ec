//! The order of images in a running job: what the user looks at first, then its neighbours, then the list.

use std::collections::VecDeque;

/// Neighbours on each side of the image on screen that come before the rest.
const NEIGHBOURS: usize = 3;

/// Tasks not yet handed out, by position in the list.
#[derive(Debug)]
pub struct TaskQueue<T> {
    tasks: Vec<Option<T>>,
    /// Everything before it is handed out.
    cursor: usize,
    /// Positions to take before the list goes on.
    urgent: VecDeque<usize>,
}

impl<T> TaskQueue<T> {
    /// Tasks in the order of the list.
    pub fn new(tasks: Vec<T>) -> Self {
        Self {
            tasks: tasks.into_iter().map(Some).collect(),
            cursor: 0,
            urgent: VecDeque::new(),
        }
    }

    /// The task at `position` comes next, then its neighbours by distance.
    pub fn prioritise(&mut self, position: usize) {
        let nearby = (1..=NEIGHBOURS).flat_map(|d| [Some(position + d), position.checked_sub(d)]);
        self.urgent = std::iter::once(Some(position))
            .chain(nearby)
            .flatten()
            .collect();
    }

    /// The position that `next` would hand out.
    pub fn peek(&mut self) -> Option<usize> {
        while let Some(&position) = self.urgent.front() {
            if self.tasks.get(position).is_some_and(Option::is_some) {
                return Some(position);
            }
            self.urgent.pop_front();
        }
        while self.tasks.get(self.cursor).is_some_and(Option::is_none) {
            self.cursor += 1;
        }
        (self.cursor < self.tasks.len()).then_some(self.cursor)
    }

    /// Hands out the next task.
    pub fn next(&mut self) -> Option<T> {
        let position = self.peek()?;
        self.tasks[position].take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drain(queue: &mut TaskQueue<usize>) -> Vec<usize> {
        std::iter::from_fn(|| queue.next()).collect()
    }

    #[test]
    fn list_order_without_priority() {
        assert_eq!(
            drain(&mut TaskQueue::new((0..5).collect())),
            [0, 1, 2, 3, 4]
        );
        assert_eq!(drain(&mut TaskQueue::new(Vec::new())), [0usize; 0]);
    }

    #[test]
    fn the_image_on_screen_then_its_neighbours_then_the_rest() {
        let mut queue = TaskQueue::new((0..10).collect());
        assert_eq!(queue.next(), Some(0));
        queue.prioritise(6);
        assert_eq!(drain(&mut queue), [6, 7, 5, 8, 4, 9, 3, 1, 2]);
    }

    #[test]
    fn a_later_priority_replaces_an_earlier_one_and_none_comes_twice() {
        let mut queue = TaskQueue::new((0..6).collect());
        queue.prioritise(5);
        assert_eq!(queue.next(), Some(5));
        queue.prioritise(0);
        queue.prioritise(99);
        assert_eq!(drain(&mut queue), [0, 1, 2, 3, 4]);
    }
}
