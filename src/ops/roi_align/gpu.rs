//! RoIAlign as a compute shader. The lists of weights are those of the processor's path, so that both do the same sums.

use std::sync::Arc;

use bytemuck::{Pod, Zeroable};
use candle_core::{CpuStorage, CustomOp2, Device, Layout, Result, Shape, Tensor, bail};

use super::{ROI_COLUMNS, RoiAlign, image_index};
use crate::ops::compute::{Compute, ComputeError, Dispatch, Kernel, give_up};
use crate::ops::host;

const SOURCE: &str = include_str!("../../../shaders/roi_align.wgsl");
const FORWARD: Kernel = Kernel {
    source: SOURCE,
    entry: "forward",
};
const BACKWARD: Kernel = Kernel {
    source: SOURCE,
    entry: "backward",
};

/// `roi_align` on an adapter. Where it fails the processor computes instead, with a message.
///
/// # Errors
/// As `roi_align`.
pub fn roi_align_on(
    compute: &Arc<Compute>,
    map: &Tensor,
    rois: &Tensor,
    align: RoiAlign,
) -> Result<Tensor> {
    let op = OnGpu {
        align,
        compute: Arc::clone(compute),
    };
    map.contiguous()?.apply_op2(&rois.contiguous()?, op)
}

struct OnGpu {
    align: RoiAlign,
    compute: Arc<Compute>,
}

impl CustomOp2 for OnGpu {
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
        let (n, channels, height, width) = map_layout.shape().dims4()?;
        let (r, columns) = rois_layout.shape().dims2()?;
        if columns != ROI_COLUMNS {
            bail!("roi_align: rois need {ROI_COLUMNS} columns, got {columns}");
        }
        let values = host::values(map, map_layout, self.name())?;
        let boxes = host::values(rois, rois_layout, self.name())?;
        let lists = self.lists(boxes, n, (height, width))?;
        let sizes = Sizes {
            channels,
            plane: height * width,
            cells: self.align.out_height * self.align.out_width,
        };
        match self.forward(values, &lists, sizes, (height, width)) {
            Ok(out) => {
                let shape = (r, channels, self.align.out_height, self.align.out_width);
                Ok((CpuStorage::F32(out), Shape::from(shape)))
            }
            Err(error) => {
                give_up(&self.compute, &error);
                self.align.cpu_fwd(map, map_layout, rois, rois_layout)
            }
        }
    }

    fn bwd(
        &self,
        map: &Tensor,
        rois: &Tensor,
        result: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let (n, channels, height, width) = map.dims4()?;
        let contiguous = gradient.contiguous()?;
        let boxes = rois.flatten_all()?.to_vec1::<f32>()?;
        let lists = self.lists(&boxes, n, (height, width))?;
        let sizes = Sizes {
            channels,
            plane: height * width,
            cells: self.align.out_height * self.align.out_width,
        };
        let found = host::with_values(&contiguous, self.name(), |values| {
            Ok(self.backward(values, &lists, sizes, (height, width)))
        })?;
        match found {
            Ok(dmap) => {
                let dmap = Tensor::from_vec(dmap, map.shape(), &Device::Cpu)?;
                Ok((Some(dmap), None))
            }
            Err(error) => {
                give_up(&self.compute, &error);
                self.align.bwd(map, rois, result, gradient)
            }
        }
    }
}

/// Values of a channel of the map, and of a channel of a RoI.
#[derive(Clone, Copy)]
struct Sizes {
    channels: usize,
    plane: usize,
    cells: usize,
}

/// The RoIs of one image.
#[derive(Default)]
struct Lists {
    /// Rows of the RoI tensor.
    rois: Vec<usize>,
    entries: Vec<Entry>,
    weights: Vec<f32>,
}

/// As in the shader.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct Entry {
    first: u32,
    weights: u32,
    count: u32,
    end: u32,
}

/// As in the shader.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct Params {
    channels: u32,
    height: u32,
    width: u32,
    out_height: u32,
    out_width: u32,
    rois: u32,
    row: u32,
    unused: u32,
}

impl OnGpu {
    /// One list an image.
    fn lists(&self, rois: &[f32], n: usize, (height, width): (usize, usize)) -> Result<Vec<Lists>> {
        let mut lists: Vec<Lists> = (0..n).map(|_| Lists::default()).collect();
        for (index, roi) in rois.chunks_exact(ROI_COLUMNS).enumerate() {
            let image = image_index(roi[0], n)?;
            let (rows, columns) = (
                self.align.rows(roi, height)?,
                self.align.columns(roi, width)?,
            );
            let list = &mut lists[image];
            list.rois.push(index);
            let ((top, bottom), (left, right)) = (rows.extent(), columns.extent());
            list.entries.push(Entry {
                first: top as u32,
                weights: bottom as u32,
                count: left as u32,
                end: right as u32,
            });
            for taps in [rows, columns] {
                let base = list.weights.len();
                list.entries.extend(taps.bins.iter().map(|bin| Entry {
                    first: bin.first as u32,
                    weights: (base + bin.weights.0) as u32,
                    count: (bin.weights.1 - bin.weights.0) as u32,
                    end: 0,
                }));
                list.weights.extend(taps.weights);
            }
        }
        Ok(lists)
    }

    /// `map` (N,C,H,W) -> (R,C,h,w), image by image and as many channels at once as the adapter's arrays hold.
    fn forward(
        &self,
        map: &[f32],
        lists: &[Lists],
        sizes: Sizes,
        size: (usize, usize),
    ) -> std::result::Result<Vec<f32>, ComputeError> {
        let Sizes {
            channels,
            plane,
            cells,
        } = sizes;
        let rois: usize = lists.iter().map(|list| list.rois.len()).sum();
        let mut out = vec![0.0; rois * channels * cells];
        for (image, list) in lists.iter().enumerate().filter(|(_, l)| !l.rois.is_empty()) {
            let step = self.channels_at_once(list, sizes)?;
            for first in (0..channels).step_by(step) {
                let count = step.min(channels - first);
                let at = (image * channels + first) * plane;
                let source = &map[at..][..count * plane];
                let outputs = list.rois.len() * count * cells;
                let found = self.run(FORWARD, list, count, size, source, outputs)?;
                for (&roi, found) in list.rois.iter().zip(found.chunks_exact(count * cells)) {
                    let to = (roi * channels + first) * cells;
                    out[to..][..count * cells].copy_from_slice(found);
                }
            }
        }
        Ok(out)
    }

    /// `gradient` (R,C,h,w) -> (N,C,H,W).
    fn backward(
        &self,
        gradient: &[f32],
        lists: &[Lists],
        sizes: Sizes,
        size: (usize, usize),
    ) -> std::result::Result<Vec<f32>, ComputeError> {
        let Sizes {
            channels,
            plane,
            cells,
        } = sizes;
        let mut dmap = vec![0.0; lists.len() * channels * plane];
        for (image, list) in lists.iter().enumerate().filter(|(_, l)| !l.rois.is_empty()) {
            let step = self.channels_at_once(list, sizes)?;
            for first in (0..channels).step_by(step) {
                let count = step.min(channels - first);
                let mut source = Vec::with_capacity(list.rois.len() * count * cells);
                for &roi in &list.rois {
                    let from = (roi * channels + first) * cells;
                    source.extend_from_slice(&gradient[from..][..count * cells]);
                }
                let found = self.run(BACKWARD, list, count, size, &source, count * plane)?;
                let to = (image * channels + first) * plane;
                dmap[to..][..count * plane].copy_from_slice(&found);
            }
        }
        Ok(dmap)
    }

    fn channels_at_once(
        &self,
        list: &Lists,
        sizes: Sizes,
    ) -> std::result::Result<usize, ComputeError> {
        let of_channel = sizes.plane.max(list.rois.len() * sizes.cells).max(1);
        match self.compute.most_values() / of_channel {
            0 => Err(ComputeError {
                adapter: self.compute.name().to_owned(),
                reason: "a channel is larger than its arrays".into(),
            }),
            count => Ok(count.min(sizes.channels.max(1))),
        }
    }

    fn run(
        &self,
        kernel: Kernel,
        list: &Lists,
        channels: usize,
        (height, width): (usize, usize),
        source: &[f32],
        outputs: usize,
    ) -> std::result::Result<Vec<f32>, ComputeError> {
        let uniform = |row: u32| {
            let params = Params {
                channels: channels as u32,
                height: height as u32,
                width: width as u32,
                out_height: self.align.out_height as u32,
                out_width: self.align.out_width as u32,
                rois: list.rois.len() as u32,
                row,
                unused: 0,
            };
            bytemuck::bytes_of(&params).to_vec()
        };
        self.compute.run(&Dispatch {
            kernel,
            uniform: &uniform,
            inputs: [
                bytemuck::cast_slice(&list.entries),
                bytemuck::cast_slice(&list.weights),
                bytemuck::cast_slice(source),
            ],
            outputs,
        })
    }
}
