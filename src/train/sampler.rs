//! Draws the boxes that a loss looks at.

use super::assigner::Assigned;
use crate::config::Sampler;
use crate::structures::Random;

/// What the random numbers of one draw depend on: an image draws the same on any rank and in any batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Draw {
    /// Of the run.
    pub seed: u64,
    /// 0-based.
    pub epoch: usize,
    /// Id of the image in its set.
    pub image: u64,
}

/// Keys that set the streams of one image apart.
#[derive(Clone, Copy)]
pub(super) enum Purpose {
    Anchors = 1,
    Rois = 2,
}

impl Draw {
    pub(super) fn stream(&self, purpose: Purpose) -> Random {
        Random::of(&[self.seed, self.epoch as u64, self.image, purpose as u64])
    }
}

/// Indices of the boxes drawn, ascending in each list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Drawn {
    /// Boxes that answer for a ground truth.
    pub positive: Vec<usize>,
    /// The ground truth of each.
    pub truths: Vec<usize>,
    /// Background.
    pub negative: Vec<usize>,
}

/// At most `num·pos_fraction` positives (rounded down), the rest negatives, as many as `neg_pos_ub` allows.
pub fn draw(assigned: &[Assigned], config: &Sampler, random: &mut Random) -> Drawn {
    let with_index = || assigned.iter().enumerate();
    let positive: Vec<(usize, usize)> = with_index()
        .filter_map(|(index, assigned)| match assigned {
            Assigned::Positive(truth) => Some((index, *truth)),
            _ => None,
        })
        .collect();
    let negative: Vec<usize> = with_index()
        .filter(|(_, assigned)| **assigned == Assigned::Negative)
        .map(|(index, _)| index)
        .collect();
    let most = (config.num as f64 * config.pos_fraction) as usize;
    let positive = random.choose(&positive, most);
    let mut rest = config.num - positive.len();
    if config.neg_pos_ub >= 0.0 {
        let bound = config.neg_pos_ub * positive.len().max(1) as f64;
        rest = rest.min(bound as usize);
    }
    let negative = random.choose(&negative, rest);
    let (positive, truths) = positive.into_iter().unzip();
    Drawn {
        positive,
        truths,
        negative,
    }
}
