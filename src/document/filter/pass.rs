//! One pass over the images, a slice of it at a time: which show, and in which order.

use std::time::{Duration, Instant};

use super::fields::shows;
use super::sort::SortBy;
use super::{FilterInput, Made};

/// Images between two looks at the clock.
const SLICE: usize = 64;

/// A pass that is under way.
pub(super) struct Pass {
    pub made: Made,
    images: usize,
    next: usize,
    no_predictions: bool,
    /// What orders an image, and its index.
    found: Vec<(Option<f64>, usize)>,
    spent: Duration,
}

impl Pass {
    pub fn new(made: Made, input: &FilterInput<'_>) -> Self {
        let mut images = input.images.iter();
        Self {
            made,
            images: input.images.len(),
            next: 0,
            no_predictions: images.all(|image| image.detections().is_none()),
            found: Vec::new(),
            spent: Duration::ZERO,
        }
    }

    /// Number of images that it goes over.
    pub fn images(&self) -> usize {
        self.images
    }

    pub fn no_predictions(&self) -> bool {
        self.no_predictions
    }

    /// Time that it took so far.
    pub fn cost(&self) -> Duration {
        self.spent
    }

    /// Goes on until `budget` is spent; true when it is through.
    pub fn step(&mut self, input: &FilterInput<'_>, budget: Duration) -> bool {
        let start = Instant::now();
        let all = self.made.query.is_everything();
        while self.next < self.images {
            let end = (self.next + SLICE).min(self.images);
            for index in self.next..end {
                let Some(image) = input.images.get(index) else {
                    break;
                };
                if all || shows(&self.made.query, input, index, image) {
                    let sort = self.made.sort;
                    let key = sort.key(index, image, input, self.no_predictions);
                    self.found.push((key, index));
                }
            }
            self.next = end;
            if start.elapsed() >= budget {
                break;
            }
        }
        self.spent += start.elapsed();
        self.next >= self.images
    }

    /// The images that show, in order. Equal ones keep the order of the file; those that lack what orders them come last
    /// in either direction.
    pub fn finish(mut self) -> Vec<usize> {
        let descending = self.made.descending;
        if self.made.sort == SortBy::FileOrder {
            if descending {
                self.found.reverse();
            }
        } else {
            self.found.sort_by(|(a, _), (b, _)| match (a, b) {
                (Some(a), Some(b)) if descending => b.total_cmp(a),
                (Some(a), Some(b)) => a.total_cmp(b),
                (a, b) => b.is_some().cmp(&a.is_some()),
            });
        }
        self.found.into_iter().map(|(_, index)| index).collect()
    }
}
