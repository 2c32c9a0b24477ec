//! Features of RoIs, each taken from the pyramid level that fits its size.
//!
//! Axes: N images, F channels; R RoIs, o rows and columns of an output.

use candle_core::Tensor;

use super::ModelError;
use crate::config;
use crate::ops::roi_align::{ROI_COLUMNS, RoiAlign, roi_align};
use crate::structures::BoxXyxy;

/// Keeps a box of just a level's size from falling to the level below by rounding.
const LEVEL_EPSILON: f32 = 1e-6; // mmdetection

/// A box of one image of the batch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ImageRoi {
    /// Index in the batch.
    pub image: usize,
    /// In the input frame.
    pub bbox: BoxXyxy,
}

/// RoIAlign over several levels.
#[derive(Clone, Debug, PartialEq)]
pub struct RoiPooler {
    out_size: usize,
    sampling_ratio: usize,
    strides: Vec<usize>,
    finest_scale: usize,
}

impl RoiPooler {
    /// The pooler of a head.
    pub fn new(config: &config::Roi) -> Self {
        Self {
            out_size: config.roi_layer.out_size,
            sampling_ratio: config.roi_layer.sampling_ratio,
            strides: config.featmap_strides.clone(),
            finest_scale: config.finest_scale,
        }
    }

    /// Index of the level for a box: `⌊log2(√area / finest_scale + 1e-6)⌋`, limited to the levels; 0 for an empty box.
    pub fn level(&self, bbox: BoxXyxy) -> usize {
        let scale = bbox.area().sqrt() / self.finest_scale as f32;
        let level = (scale + LEVEL_EPSILON).log2().floor();
        (level.max(0.0) as usize).min(self.strides.len().saturating_sub(1))
    }

    /// Pyramid levels (N,F,h,w), finest first -> (R,F,o,o) in the order of `rois`, of which there must be one at least.
    ///
    /// # Errors
    /// A RoI that is not finite; a failed tensor operation.
    pub fn pool(&self, pyramid: &[Tensor], rois: &[ImageRoi]) -> Result<Tensor, ModelError> {
        let levels: Vec<usize> = rois.iter().map(|roi| self.level(roi.bbox)).collect();
        let mut by_level: Vec<usize> = (0..rois.len()).collect();
        by_level.sort_by_key(|&index| levels[index]);
        let mut parts = Vec::new();
        for group in by_level.chunk_by(|&a, &b| levels[a] == levels[b]) {
            let level = levels[group[0]];
            let align = RoiAlign {
                out_height: self.out_size,
                out_width: self.out_size,
                spatial_scale: 1.0 / self.strides[level] as f32,
                sampling_ratio: self.sampling_ratio,
            };
            let rows: Vec<f32> = group.iter().flat_map(|&index| rois[index].row()).collect();
            let shape = (group.len(), ROI_COLUMNS);
            let rows = Tensor::from_vec(rows, shape, pyramid[level].device())?;
            parts.push(roi_align(&pyramid[level], &rows, align)?);
        }
        if let [only] = parts.as_slice() {
            return Ok(only.clone());
        }
        // Sorted by level -> the order of `rois`
        let mut position = vec![0; rois.len()];
        for (at, &index) in by_level.iter().enumerate() {
            position[index] = at as u32;
        }
        let pooled = Tensor::cat(&parts, 0)?;
        let position = Tensor::from_vec(position, rois.len(), pooled.device())?;
        Ok(pooled.index_select(&position, 0)?)
    }
}

impl ImageRoi {
    fn row(&self) -> [f32; ROI_COLUMNS] {
        let BoxXyxy { x1, y1, x2, y2 } = self.bbox;
        [self.image as f32, x1, y1, x2, y2]
    }
}
