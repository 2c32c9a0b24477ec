//! Isotonic regression: the rising step function nearest to observations, by pooling adjacent violators.

/// An observation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Observation {
    /// What is known: a score.
    pub x: f64,
    /// What came of it.
    pub y: f64,
}

/// A pooled block: its mean position and its mean outcome.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Block {
    x: f64,
    y: f64,
    /// Observations in it.
    weight: f64,
    /// Distinct positions in it.
    positions: usize,
}

/// A rising curve.
///
/// Between the centres of the blocks it is read linearly (centred isotonic regression, Oron and Flournoy 2017):
/// plain steps would make equal what the score told apart, and a ranking by them would lose order within each step. Before the
/// first and after the last centre it is flat.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Isotonic {
    blocks: Vec<Block>,
}

impl Isotonic {
    /// Fits observations in any order; `None` of none. None may be NaN.
    pub fn fit(mut observations: Vec<Observation>) -> Option<Self> {
        observations.sort_unstable_by(|a, b| a.x.total_cmp(&b.x).then(a.y.total_cmp(&b.y)));
        let mut blocks: Vec<Block> = Vec::new();
        let mut rest = observations.as_slice();
        while let Some(first) = rest.first() {
            let same = rest.iter().take_while(|o| o.x == first.x).count();
            let sum: f64 = rest[..same].iter().map(|o| o.y).sum();
            let mut block = Block {
                x: first.x,
                y: sum / same as f64,
                weight: same as f64,
                positions: 1,
            };
            rest = &rest[same..];
            while let Some(before) = blocks.pop_if(|before| before.y >= block.y) {
                block = before.pooled(block);
            }
            blocks.push(block);
        }
        (!blocks.is_empty()).then_some(Self { blocks })
    }

    /// The step function's value at each distinct position, ascending.
    pub fn steps(&self) -> Vec<f64> {
        self.blocks
            .iter()
            .flat_map(|block| std::iter::repeat_n(block.y, block.positions))
            .collect()
    }

    /// Centres of the blocks as (x, y), ascending in both: the corners of the curve.
    pub fn corners(&self) -> impl Iterator<Item = (f64, f64)> + '_ {
        self.blocks.iter().map(|block| (block.x, block.y))
    }

    /// The curve at `x`.
    pub fn at(&self, x: f64) -> f64 {
        let after = self.blocks.partition_point(|block| block.x <= x);
        let (before, after) = (after.checked_sub(1), self.blocks.get(after));
        match (before.and_then(|at| self.blocks.get(at)), after) {
            (Some(a), Some(b)) => a.y + (b.y - a.y) * ((x - a.x) / (b.x - a.x)),
            (Some(end), None) | (None, Some(end)) => end.y,
            (None, None) => 0.0, // `fit` makes none without blocks
        }
    }
}

impl Block {
    fn pooled(self, other: Self) -> Self {
        let weight = self.weight + other.weight;
        let mean = |a: f64, b: f64| (a * self.weight + b * other.weight) / weight;
        Self {
            x: mean(self.x, other.x),
            y: mean(self.y, other.y),
            weight,
            positions: self.positions + other.positions,
        }
    }
}
