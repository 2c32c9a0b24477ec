//! RoIAlign: average of bilinear samples in each cell of a grid laid over a box (mmcv's aligned form).
//!
//! Axes: N images, C channels, H and W of the map; R RoIs; output cells h × w.
//!
//! The sample points of a RoI form a grid and bilinear interpolation works on each axis alone, so that the average of a
//! cell is `Σ_y wy·(Σ_x wx·map[y,x])`: one short list of weights per cell and axis, computed once per RoI, serves all
//! channels, and the cost does not grow with the number of samples.

use candle_core::{CpuStorage, CustomOp2, Device, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;

use super::host;

/// Columns of a row of RoIs: image index, x1, y1, x2, y2.
pub const ROI_COLUMNS: usize = 5;

/// More samples on an axis of a cell than any real box asks for: bounds the time that a broken one can take.
const MOST_SAMPLES: f32 = 1e6;

/// Shape and sampling of a RoIAlign.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RoiAlign {
    /// Rows of cells.
    pub out_height: usize,
    /// Columns of cells.
    pub out_width: usize,
    /// Cells of the map per pixel of the boxes' frame: 1/stride.
    pub spatial_scale: f32,
    /// Samples per cell and axis; 0 is one per cell of the map that it covers, rounded up.
    pub sampling_ratio: usize,
}

/// `map` (N,C,H,W) and `rois` (R,5), rows of image index, x1, y1, x2, y2 -> (R,C,h,w).
///
/// # Errors
/// Other shapes or types than f32; a RoI that is not finite or names an image that is not there.
/// The map has a gradient, the RoIs have none.
pub fn roi_align(map: &Tensor, rois: &Tensor, align: RoiAlign) -> Result<Tensor> {
    map.contiguous()?.apply_op2(&rois.contiguous()?, align)
}

impl CustomOp2 for RoiAlign {
    fn name(&self) -> &'static str {
        "roi_align"
    }

    fn cpu_fwd(
        &self,
        map: &CpuStorage,
        map_layout: &Layout,
        rois: &CpuStorage,
        rois_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (n, c, height, width) = map_layout.shape().dims4()?;
        let (r, columns) = rois_layout.shape().dims2()?;
        if columns != ROI_COLUMNS {
            bail!("roi_align: rois need {ROI_COLUMNS} columns, got {columns}");
        }
        let map = host::values(map, map_layout, self.name())?;
        let rois = host::values(rois, rois_layout, self.name())?;
        let (cells, image_len) = (self.out_height * self.out_width, c * height * width);
        let mut output = vec![0.0; r * c * cells];
        if !output.is_empty() && image_len > 0 {
            output
                .par_chunks_mut(c * cells)
                .zip(rois.par_chunks(ROI_COLUMNS))
                .try_for_each(|(out, roi)| {
                    let image = image_index(roi[0], n)?;
                    let features = &map[image * image_len..][..image_len];
                    let rows = self.rows(roi, height)?;
                    let columns = self.columns(roi, width)?;
                    pool(features, width, &rows, &columns, out);
                    Ok::<_, candle_core::Error>(())
                })?;
        }
        let shape = Shape::from((r, c, self.out_height, self.out_width));
        Ok((CpuStorage::F32(output), shape))
    }

    /// Every cell of a RoI gives its gradient to the cells of the map by their weights, channel by channel and RoI by RoI,
    /// so that the order of sums is always the same.
    fn bwd(
        &self,
        map: &Tensor,
        rois: &Tensor,
        _result: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let (n, c, height, width) = map.dims4()?;
        let cells = self.out_height * self.out_width;
        let gradient = gradient.contiguous()?;
        let rois = rois.to_vec2::<f32>()?;
        let mut taps = Vec::with_capacity(rois.len());
        for roi in &rois {
            let image = image_index(roi[0], n)?;
            taps.push((image, self.rows(roi, height)?, self.columns(roi, width)?));
        }
        let mut dmap = vec![0.0; map.elem_count()];
        if !dmap.is_empty() && cells > 0 {
            host::with_values(&gradient, self.name(), |gradient| {
                // (N,C,H,W) -> N·C planes
                let planes = dmap.par_chunks_mut(height * width).enumerate();
                planes.for_each(|(index, plane)| {
                    let (image, channel) = (index / c, index % c);
                    for (roi, (of, rows, columns)) in taps.iter().enumerate() {
                        if *of == image {
                            let from = &gradient[(roi * c + channel) * cells..][..cells];
                            spread(from, rows, columns, width, plane);
                        }
                    }
                });
                Ok(())
            })?;
        }
        let dmap = Tensor::from_vec(dmap, map.shape(), &Device::Cpu)?;
        Ok((Some(dmap), None))
    }
}

impl RoiAlign {
    fn rows(&self, roi: &[f32], height: usize) -> Result<Taps> {
        let span = Span::new(roi[2], roi[4], self.spatial_scale, self.out_height)?;
        span.taps(self.out_height, self.sampling_ratio, height)
    }

    fn columns(&self, roi: &[f32], width: usize) -> Result<Taps> {
        let span = Span::new(roi[1], roi[3], self.spatial_scale, self.out_width)?;
        span.taps(self.out_width, self.sampling_ratio, width)
    }
}

fn image_index(column: f32, n: usize) -> Result<usize> {
    if column >= 0.0 && column < n as f32 {
        Ok(column as usize)
    } else {
        bail!("roi_align: RoI of image {column} in a batch of {n}")
    }
}

/// A RoI on one axis, in cells of the map.
struct Span {
    start: f32,
    /// Length of one output cell.
    bin: f32,
}

impl Span {
    fn new(low: f32, high: f32, scale: f32, bins: usize) -> Result<Self> {
        let start = low * scale - 0.5;
        let end = high * scale - 0.5;
        let bin = (end - start).max(0.0) / bins as f32;
        if !(start.is_finite() && end.is_finite() && bin < MOST_SAMPLES) {
            bail!("roi_align: RoI from {low} to {high} is not a usable box");
        }
        Ok(Self { start, bin })
    }

    /// Weights of the `len` map cells in each of `bins` output cells.
    fn taps(&self, bins: usize, sampling_ratio: usize, len: usize) -> Result<Taps> {
        let samples = if sampling_ratio > 0 {
            sampling_ratio
        } else {
            self.bin.ceil() as usize
        };
        let mut taps = Taps::default();
        for bin in 0..bins {
            let offset = self.start + bin as f32 * self.bin;
            taps.begin_bin();
            for sample in 0..samples {
                let at = offset + (sample as f32 + 0.5) * self.bin / samples as f32;
                taps.sample(at, len);
            }
            taps.finish_bin(samples);
        }
        Ok(taps)
    }
}

/// Weights of consecutive map cells, a run per output cell.
#[derive(Default)]
struct Taps {
    bins: Vec<Bin>,
    weights: Vec<f32>,
}

#[derive(Clone, Copy, Default)]
struct Bin {
    /// First map cell of the run.
    first: usize,
    /// Where the run lies in `weights`.
    weights: (usize, usize),
}

impl Taps {
    fn begin_bin(&mut self) {
        let at = self.weights.len();
        self.bins.push(Bin {
            first: 0,
            weights: (at, at),
        });
    }

    /// Adds a sample point at `at` on an axis of `len` cells; samples come in ascending order.
    fn sample(&mut self, at: f32, len: usize) {
        if at < -1.0 || at > len as f32 {
            return; // outside: counts as zero
        }
        let at = at.max(0.0);
        let low = at as usize;
        if low >= len - 1 {
            self.add(len - 1, 1.0);
        } else {
            let high_weight = at - low as f32;
            self.add(low, 1.0 - high_weight);
            self.add(low + 1, high_weight);
        }
    }

    fn add(&mut self, cell: usize, weight: f32) {
        let Some(bin) = self.bins.last_mut() else {
            return;
        };
        if self.weights.len() == bin.weights.0 {
            bin.first = cell;
        }
        let at = bin.weights.0 + (cell - bin.first);
        if at >= self.weights.len() {
            self.weights.resize(at + 1, 0.0);
        }
        self.weights[at] += weight;
    }

    fn finish_bin(&mut self, samples: usize) {
        let end = self.weights.len();
        if let Some(bin) = self.bins.last_mut() {
            bin.weights.1 = end;
            for weight in &mut self.weights[bin.weights.0..end] {
                *weight /= samples as f32;
            }
        }
    }

    fn runs(&self) -> impl Iterator<Item = (usize, &[f32])> {
        self.bins
            .iter()
            .map(|bin| (bin.first, &self.weights[bin.weights.0..bin.weights.1]))
    }

    /// The part `[start, end)` of the axis that any cell touches.
    fn extent(&self) -> (usize, usize) {
        let used = || self.runs().filter(|(_, weights)| !weights.is_empty());
        let start = used().map(|(first, _)| first).min().unwrap_or(0);
        let end = used().map(|(first, weights)| first + weights.len()).max();
        (start, end.unwrap_or(0).max(start))
    }
}

/// One RoI, all channels: `features` (C,H,W) of its image -> `out` (C,h,w), which holds zeros.
fn pool(features: &[f32], width: usize, rows: &Taps, columns: &Taps, out: &mut [f32]) {
    let (left, right) = columns.extent();
    let (cells, channels) = (rows.bins.len() * columns.bins.len(), out.len());
    let plane_len = features.len() / (channels / cells);
    let mut blended = vec![0.0; right - left]; // one output row before the columns are averaged
    for (plane, out) in features
        .chunks_exact(plane_len)
        .zip(out.chunks_exact_mut(cells))
    {
        for ((top, weights), out_row) in rows.runs().zip(out.chunks_exact_mut(columns.bins.len())) {
            blended.fill(0.0);
            for (row, &weight) in (top..).zip(weights) {
                let source = &plane[row * width + left..row * width + right];
                for (sum, &value) in blended.iter_mut().zip(source) {
                    *sum += weight * value;
                }
            }
            for ((first, weights), value) in columns.runs().zip(out_row) {
                if !weights.is_empty() {
                    let run = &blended[first - left..][..weights.len()];
                    *value = run.iter().zip(weights).map(|(a, b)| a * b).sum();
                }
            }
        }
    }
}

/// The transpose of `pool` for one channel: `gradient` (h,w) -> added to `plane` (H,W).
fn spread(gradient: &[f32], rows: &Taps, columns: &Taps, width: usize, plane: &mut [f32]) {
    let (left, right) = columns.extent();
    let mut blended = vec![0.0; right - left]; // one output row over the columns of the map
    for ((top, weights), gradient) in rows.runs().zip(gradient.chunks_exact(columns.bins.len())) {
        if weights.is_empty() {
            continue;
        }
        blended.fill(0.0);
        for ((first, weights), &value) in columns.runs().zip(gradient) {
            let run = blended.iter_mut().skip(first.saturating_sub(left));
            for (sum, &weight) in run.zip(weights) {
                *sum += weight * value;
            }
        }
        for (row, &weight) in (top..).zip(weights) {
            let target = &mut plane[row * width + left..row * width + right];
            for (sum, &value) in target.iter_mut().zip(&blended) {
                *sum += weight * value;
            }
        }
    }
}
