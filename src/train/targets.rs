//! What the two mask heads should say (semantics.md 4.5 and 4.6).
//!
//! Axes: G ground truths, P positive RoIs, S = 28 rows and columns of a mask.

use candle_core::{Device, Tensor};
use rayon::prelude::*;

use super::TrainError;
use crate::ops::roi_align::{ROI_COLUMNS, RoiAlign, roi_align};
use crate::structures::{BoxXyxy, GroundTruth, MaskGrid};

/// Share of a cell from which on it counts as mask; exactly half does.
const INSIDE: f32 = 0.5;

/// Which cells of each RoI belong to the mask of its ground truth: (P,S,S) of 0 and 1. `rois` in the input frame,
/// `assigned` the index of each one's truth.
///
/// # Errors
/// A RoI that is not finite.
pub fn mask_targets(
    truth: &GroundTruth,
    rois: &[BoxXyxy],
    assigned: &[usize],
    side: usize,
) -> Result<Vec<f32>, TrainError> {
    let grid = truth.grid;
    let (width, height) = (grid.size.width as f32, grid.size.height as f32);
    let align = RoiAlign {
        out_height: side,
        out_width: side,
        spatial_scale: 1.0,
        sampling_ratio: 0,
    };
    let cells = side * side;
    let mut targets = vec![0.0; rois.len() * cells];
    for (index, mask) in truth.masks.iter().enumerate() {
        let own: Vec<usize> = (0..rois.len())
            .filter(|&roi| assigned[roi] == index)
            .collect();
        if own.is_empty() {
            continue;
        }
        let values: Vec<f32> = mask.iter().map(|&inside| f32::from(inside)).collect();
        let shape = (1, 1, grid.size.height, grid.size.width);
        let map = Tensor::from_vec(values, shape, &Device::Cpu)?;
        let rows = own.iter().flat_map(|&roi| {
            let BoxXyxy { x1, y1, x2, y2 } =
                grid.grid_from_input(rois[roi]).clamp_to(width, height);
            [0.0, x1, y1, x2, y2]
        });
        let rows = Tensor::from_vec(rows.collect(), (own.len(), ROI_COLUMNS), &Device::Cpu)?;
        let shares = roi_align(&map, &rows, align)?
            .flatten_all()?
            .to_vec1::<f32>()?;
        for (&roi, shares) in own.iter().zip(shares.chunks_exact(cells)) {
            for (target, &share) in targets[roi * cells..].iter_mut().zip(shares) {
                *target = f32::from(u8::from(share >= INSIDE));
            }
        }
    }
    Ok(targets)
}

/// The IoU that each predicted mask has with the whole ground truth, estimated from the part inside the RoI: (P). None for
/// a RoI that holds nothing of its mask: it is left out of the loss. `predicted` and `targets` (P,S,S).
pub fn mask_iou_targets(
    truth: &GroundTruth,
    rois: &[BoxXyxy],
    assigned: &[usize],
    predicted: &[bool],
    targets: &[f32],
) -> Vec<Option<f32>> {
    let cells = targets.len() / rois.len().max(1);
    let areas: Vec<usize> = truth
        .masks
        .iter()
        .map(|mask| mask.iter().filter(|&&inside| inside > 0).count())
        .collect();
    rois.par_iter()
        .zip(assigned)
        .zip(predicted.par_chunks(cells.max(1)))
        .zip(targets.par_chunks(cells.max(1)))
        .map(|(((&roi, &index), predicted), target)| {
            let inside = pixels_inside(&truth.masks[index], truth.grid, roi);
            let ratio = inside as f32 / areas[index] as f32;
            if inside == 0 || areas[index] == 0 {
                return None;
            }
            let inter = predicted.iter().zip(target).filter(|(q, _)| **q);
            let inter: f32 = inter.map(|(_, &t)| t).sum();
            let of_predicted = predicted.iter().filter(|q| **q).count() as f32;
            let full = target.iter().sum::<f32>() / ratio;
            let union = of_predicted + full - inter;
            Some(if union > 0.0 { inter / union } else { 0.0 })
        })
        .collect()
}

/// Mask pixels whose centre lies in the RoI.
fn pixels_inside(mask: &[u8], grid: MaskGrid, roi: BoxXyxy) -> usize {
    let on_grid = grid.grid_from_input(roi);
    // Pixel X lies inside where x1 <= X + 0.5 < x2.
    let first = |edge: f32, len: usize| ((edge - 0.5).ceil().max(0.0) as usize).min(len);
    let (left, right) = (
        first(on_grid.x1, grid.size.width),
        first(on_grid.x2, grid.size.width),
    );
    let (top, bottom) = (
        first(on_grid.y1, grid.size.height),
        first(on_grid.y2, grid.size.height),
    );
    (top..bottom)
        .map(|y| {
            let row = &mask[y * grid.size.width..][..grid.size.width];
            let part = row.get(left..right).unwrap_or_default();
            part.iter().filter(|&&inside| inside > 0).count()
        })
        .sum()
}
