//! RoIAlign: average of bilinear samples in each cell of a grid laid over a box (mmcv's aligned form).
//!
//! Axes: N images, C channels, H and W of the map; R RoIs; output cells h × w.
//!
//! The sample points of a RoI form a grid and bilinear interpolation works on each axis alone, so that the average of a
//! cell is `Σ_y wy·(Σ_x wx·map[y,x])`: one short list of weights per cell and axis, computed once per RoI, serves all
//! channels, and the cost does not grow with the number of samples.

mod cpu;
#[cfg(feature = "gpu")]
mod gpu;
mod taps;

use candle_core::{CpuStorage, CustomOp2, DType, Device, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;

use super::host;
use cpu::{pool, spread};
use taps::{Span, Taps};

#[cfg(feature = "gpu")]
pub use gpu::roi_align_on;

/// Columns of a row of RoIs: image index, x1, y1, x2, y2.
pub const ROI_COLUMNS: usize = 5;

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
    #[cfg(feature = "gpu")]
    if map.device().is_cpu()
        && let Some(compute) = super::compute::in_use()
    {
        return roi_align_on(&compute, map, rois, align);
    }
    // Features of two bytes are widened: the sums are in f32 anyway.
    let map = map.to_dtype(DType::F32)?;
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

    /// A RoI that cannot be used gives NaN here.
    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        map: &candle_core::CudaStorage,
        map_layout: &Layout,
        rois: &candle_core::CudaStorage,
        rois_layout: &Layout,
    ) -> Result<(candle_core::CudaStorage, Shape)> {
        let dims = dims(map_layout.shape(), rois_layout.shape())?;
        let (map, rois) = ((map, map_layout), (rois, rois_layout));
        super::cuda::forward2(map, rois, "roi_align", |on, map, rois| {
            let pooled = super::kernels::roi_align::forward(on, map, rois, dims, *self)?;
            let shape = (dims.rois, dims.map[1], self.out_height, self.out_width);
            Ok((pooled, Shape::from(shape)))
        })
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
        #[cfg(feature = "cuda")]
        if map.device().is_cuda() {
            let dims = dims(map.shape(), rois.shape())?;
            let op = "gradient of roi_align";
            let dmap = super::cuda::on2(&gradient, rois, op, |on, gradient, rois| {
                let dmap = super::kernels::roi_align::backward(on, gradient, rois, dims, *self)?;
                Ok((dmap, map.shape().clone()))
            })?;
            return Ok((Some(dmap), None));
        }
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

#[cfg(feature = "cuda")]
fn dims(map: &Shape, rois: &Shape) -> Result<super::kernels::roi_align::Dims> {
    let (n, c, height, width) = map.dims4()?;
    let (rois, columns) = rois.dims2()?;
    if columns != ROI_COLUMNS {
        bail!("roi_align: rois need {ROI_COLUMNS} columns, got {columns}");
    }
    Ok(super::kernels::roi_align::Dims {
        map: [n, c, height, width],
        rois,
    })
}

fn image_index(column: f32, n: usize) -> Result<usize> {
    if column >= 0.0 && column < n as f32 {
        Ok(column as usize)
    } else {
        bail!("roi_align: RoI of image {column} in a batch of {n}")
    }
}
