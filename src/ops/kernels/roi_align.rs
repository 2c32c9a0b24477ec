//! RoIAlign on a device.
//!
//! Axes: N images, C channels, H and W of the map; R RoIs; output cells h × w.

use candle_core::Result;

use super::{Arg, Kernel, Launcher, Size, each, size_arg};
use crate::ops::roi_align::RoiAlign;

const FORWARD: Kernel = Kernel {
    file: "roi_align",
    name: "roi_align_forward",
};
const BACKWARD: Kernel = Kernel {
    file: "roi_align",
    name: "roi_align_backward",
};

/// Most channels that have a thread of their own.
const MOST_THREADS: usize = 256;

/// (N,C,H,W) and a number of RoIs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dims {
    /// (N,C,H,W)
    pub map: [usize; 4],
    /// R
    pub rois: usize,
}

/// map (N,C,H,W), rois (R,5) -> (R,C,h,w). A RoI that cannot be used gives NaN.
///
/// # Errors
/// Arrays too large for a kernel; the launcher's.
pub fn forward<L: Launcher>(
    on: &L,
    map: &L::Buffer,
    rois: &L::Buffer,
    dims: Dims,
    align: RoiAlign,
) -> Result<L::Buffer> {
    let [images, channels, height, width] = dims.map;
    let values = dims.rois * channels * align.out_height * align.out_width;
    let output = on.alloc(values)?;
    let args = [
        Arg::Buffer(map),
        Arg::Buffer(rois),
        Arg::Buffer(&output),
        size_arg(values)?,
        size_arg(images)?,
        size_arg(channels)?,
        size_arg(height)?,
        size_arg(width)?,
        size_arg(align.out_height)?,
        size_arg(align.out_width)?,
        Arg::Float(align.spatial_scale),
        size_arg(align.sampling_ratio)?,
    ];
    on.launch(FORWARD, each(values)?, &args)?;
    Ok(output)
}

/// gradient (R,C,h,w), rois (R,5) -> the gradient of the map (N,C,H,W).
///
/// # Errors
/// Arrays too large for a kernel; the launcher's.
pub fn backward<L: Launcher>(
    on: &L,
    gradient: &L::Buffer,
    rois: &L::Buffer,
    dims: Dims,
    align: RoiAlign,
) -> Result<L::Buffer> {
    let [images, channels, height, width] = dims.map;
    let output = on.alloc(dims.map.iter().product())?;
    let args = [
        Arg::Buffer(gradient),
        Arg::Buffer(rois),
        Arg::Buffer(&output),
        size_arg(dims.rois)?,
        size_arg(images)?,
        size_arg(channels)?,
        size_arg(height)?,
        size_arg(width)?,
        size_arg(align.out_height)?,
        size_arg(align.out_width)?,
        Arg::Float(align.spatial_scale),
        size_arg(align.sampling_ratio)?,
    ];
    let size = Size {
        grid: [width as u32, height as u32, images as u32],
        threads: channels.next_multiple_of(32).min(MOST_THREADS) as u32,
    };
    on.launch(BACKWARD, size, &args)?;
    Ok(output)
}
