//! Anchors: boxes of set shapes centred on the corner of every cell of a pyramid level.

use crate::config::AnchorGenerator;
use crate::structures::{BoxXyxy, Size};

/// The anchors of one level. Index `(y·W + x)·A + a` is shape a at column x, row y of a map W wide.
#[derive(Clone, Debug, PartialEq)]
pub struct LevelAnchors {
    /// Pixels of the input per cell.
    pub stride: usize,
    /// The A shapes, centred on 0, in pixels of the input: ratios outside, scales inside.
    pub base: Vec<BoxXyxy>,
}

impl LevelAnchors {
    /// One level for each stride of the configuration.
    pub fn of_levels(config: &AnchorGenerator) -> Vec<Self> {
        config
            .strides
            .iter()
            .map(|&stride| Self::new(stride, &config.scales, &config.ratios))
            .collect()
    }

    /// Sides `stride·scale·√ratio` high and `stride·scale/√ratio` wide, f32, not rounded.
    pub fn new(stride: usize, scales: &[f64], ratios: &[f64]) -> Self {
        let mut base = Vec::new();
        for &ratio in ratios {
            let root = (ratio as f32).sqrt();
            for &scale in scales {
                let width = stride as f32 * (1.0 / root) * scale as f32;
                let height = stride as f32 * root * scale as f32;
                let (half_width, half_height) = (0.5 * width, 0.5 * height);
                base.push(BoxXyxy::new(
                    -half_width,
                    -half_height,
                    half_width,
                    half_height,
                ));
            }
        }
        Self { stride, base }
    }

    /// The anchor with a flat index on a map `width` cells wide.
    pub fn at(&self, width: usize, index: usize) -> BoxXyxy {
        let (cell, shape) = (index / self.base.len(), index % self.base.len());
        let x = ((cell % width) * self.stride) as f32;
        let y = ((cell / width) * self.stride) as f32;
        let base = self.base[shape];
        BoxXyxy::new(base.x1 + x, base.y1 + y, base.x2 + x, base.y2 + y)
    }

    /// Columns and rows of the cells whose corner lies in a padded image.
    pub fn cells(&self, padded: Size) -> Size {
        Size::new(
            padded.width.div_ceil(self.stride),
            padded.height.div_ceil(self.stride),
        )
    }

    /// All anchors of a map, by flat index.
    pub fn grid(&self, map: Size) -> Vec<BoxXyxy> {
        (0..map.pixels() * self.base.len())
            .map(|index| self.at(map.width, index))
            .collect()
    }
}
