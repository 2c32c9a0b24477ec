//! Which images each step takes: a function of seed, epoch and rank alone, so that a run depends on neither threads nor
//! resumption (semantics.md 4.3 and 4.10).

use crate::config::Config;
use crate::structures::Random;

/// Sets the streams of a run apart.
const ORDER: u64 = 0x6f72;
const FLIP: u64 = 0x666c;
const SCALE: u64 = 0x7363;
const SUBSET: u64 = 0x7375;

/// The steps of one rank.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Order {
    /// Of the run.
    pub seed: u64,
    /// Images of the set that take part, by position.
    pub images: Vec<usize>,
    /// Images of a step.
    pub batch: usize,
    /// This process and all of them.
    pub rank: usize,
    pub ranks: usize,
}

impl Order {
    /// Data steps of an epoch: the last incomplete batch is dropped.
    pub fn steps(&self) -> usize {
        self.images.len().div_ceil(self.ranks) / self.batch
    }

    /// Positions in the set of the images of a 0-based epoch, all of this rank's.
    pub fn epoch(&self, epoch: usize) -> Vec<usize> {
        let mut images = self.images.clone();
        Random::of(&[self.seed, epoch as u64, ORDER]).shuffle(&mut images);
        let padded = images.len().div_ceil(self.ranks) * self.ranks;
        let own = (self.rank..padded).step_by(self.ranks);
        own.map(|at| images[at % images.len()]).collect()
    }

    /// Whether an image is mirrored in an epoch.
    pub fn is_flipped(&self, epoch: usize, image_id: u64, ratio: f64) -> bool {
        Random::of(&[self.seed, epoch as u64, image_id, FLIP]).unit() < ratio
    }
}

/// `config` with the size of a step's images, both 0-based: the same on every rank. A side stays a multiple of the divider.
pub(super) fn scaled(config: &Config, seed: u64, epoch: usize, step: usize) -> Config {
    let mut config = config.clone();
    let [least, most] = config.scale_range;
    let unit = Random::of(&[seed, epoch as u64, step as u64, SCALE]).unit();
    let scale = least + (most - least) * unit;
    let divider = config.divider.max(1);
    let side = |side: usize| {
        let sides = (side as f64 * scale / divider as f64).round().max(1.0);
        sides as usize * divider
    };
    (config.img_width, config.img_height) = (side(config.img_width), side(config.img_height));
    config
}

/// `⌊num/divider⌋` of the first `num` images, drawn once; all of them where either is 0.
pub(super) fn subset(images: usize, num: usize, divider: usize) -> Vec<usize> {
    if num == 0 || divider == 0 {
        return (0..images).collect();
    }
    let first: Vec<usize> = (0..num.min(images)).collect();
    Random::of(&[0, SUBSET]).choose(&first, num / divider)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(images: usize, rank: usize, ranks: usize) -> Order {
        Order {
            seed: 1,
            images: (0..images).collect(),
            batch: 2,
            rank,
            ranks,
        }
    }

    #[test]
    fn ranks_share_an_epoch_without_overlap() {
        let mut all: Vec<usize> = (0..4)
            .flat_map(|rank| order(16, rank, 4).epoch(3))
            .collect();
        all.sort_unstable();
        assert_eq!(all, (0..16).collect::<Vec<_>>());
        assert_ne!(order(16, 0, 1).epoch(0), order(16, 0, 1).epoch(1));
        assert_eq!(order(16, 0, 1).epoch(1), order(16, 0, 1).epoch(1));
    }

    #[test]
    fn steps_are_the_seeds() {
        // 118,287 images on 4 devices with batch 2: the seed's log says 14786.
        assert_eq!(order(118_287, 0, 4).steps(), 14_786);
        assert_eq!(order(7, 0, 1).steps(), 3);
    }

    #[test]
    fn sizes_fill_their_range_and_repeat() {
        let config = Config {
            img_width: 640,
            img_height: 320,
            divider: 64,
            scale_range: [0.5, 1.5],
            ..Config::default()
        };
        let widths: std::collections::BTreeSet<usize> = (0..200)
            .map(|step| {
                let scaled = scaled(&config, 1, 0, step);
                assert!(
                    scaled.img_width.is_multiple_of(64) && scaled.img_height.is_multiple_of(64)
                );
                assert_eq!(
                    scaled.img_width,
                    super::scaled(&config, 1, 0, step).img_width
                );
                scaled.img_width
            })
            .collect();
        assert_eq!(
            widths.into_iter().collect::<Vec<_>>(),
            (5..=15).map(|n| n * 64).collect::<Vec<_>>()
        );
    }

    #[test]
    fn a_subset_is_drawn_once() {
        assert_eq!(subset(5, 0, 2), [0, 1, 2, 3, 4]);
        let drawn = subset(100, 50, 5);
        assert!(drawn.len() == 10 && drawn.iter().all(|&image| image < 50));
        assert_eq!(drawn, subset(100, 50, 5));
    }
}
