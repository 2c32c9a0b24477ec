//! A RoIAlign that devices are timed on: RoIs and channels of a fifth of an image's work.

use candle_core::{Device, Result, Tensor};

use crate::ops::roi_align::{ROI_COLUMNS, RoiAlign};

const ROIS: usize = 200;
const CHANNELS: usize = 256;
const SIDE: usize = 64;

/// Operands and shape of it.
pub(super) struct RoiWork {
    /// (1,256,64,64)
    pub map: Tensor,
    /// (200,5)
    pub rois: Tensor,
    /// Of the box head.
    pub align: RoiAlign,
}

impl RoiWork {
    /// For the table of `doctor --check`.
    pub const NAME: &str = "RoIAlign, 200 RoIs of 256 channels";

    /// On a device.
    pub fn new(device: &Device) -> Result<Self> {
        let values = (0..CHANNELS * SIDE * SIDE).map(|at| (at % 251) as f32 / 251.0);
        let roi = |roi: usize| {
            let (x, y) = ((roi * 7 % 180) as f32, (roi * 13 % 180) as f32);
            let (width, height) = (20.0 + (roi % 40) as f32, 20.0 + (roi % 33) as f32);
            [0.0, x, y, x + width, y + height]
        };
        let rois: Vec<f32> = (0..ROIS).flat_map(roi).collect();
        Ok(Self {
            map: Tensor::from_vec(values.collect(), (1, CHANNELS, SIDE, SIDE), device)?,
            rois: Tensor::from_vec(rois, (ROIS, ROI_COLUMNS), device)?,
            align: RoiAlign {
                out_height: 7,
                out_width: 7,
                spatial_scale: 0.25,
                sampling_ratio: 0,
            },
        })
    }
}
