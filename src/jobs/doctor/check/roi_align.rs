//! RoIAlign against mmcv's.

#[cfg(feature = "gpu")]
use std::sync::Arc;

use candle_core::{Device, Tensor, Var};
use serde_json::Value;

use super::timing::fastest;
use super::{Found, embedded, relative};
use crate::jobs::roi_work::RoiWork;
#[cfg(feature = "gpu")]
use crate::ops::compute::Compute;
#[cfg(feature = "gpu")]
use crate::ops::roi_align::roi_align_on;
use crate::ops::roi_align::{ROI_COLUMNS, RoiAlign, roi_align};
use crate::weights::Weights;

/// Of the largest value, on any device.
pub(super) const TOLERANCE: f64 = 1e-4;

const CASES: &str = include_str!("../../../../tests/fixtures/ops/roi_align.json");
const TENSORS: &[u8] = include_bytes!("../../../../tests/fixtures/ops/roi_align.safetensors");

/// What is compared of a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Forward,
    /// The gradient of the map.
    Backward,
}

impl Part {
    pub const ALL: [(Self, &'static str); 2] = [
        (Self::Forward, "RoIAlign"),
        (Self::Backward, "RoIAlign, gradient"),
    ];
}

/// The worst deviation of all cases on a device of the network.
pub(super) fn deviation(device: &Device, part: Part) -> Found<f64> {
    worst(device, part, &|map, rois, align| {
        roi_align(map, rois, align)
    })
}

/// The same on a graphics adapter.
#[cfg(feature = "gpu")]
pub(super) fn deviation_on(compute: &Arc<Compute>, part: Part) -> Found<f64> {
    let found = worst(&Device::Cpu, part, &|map, rois, align| {
        roi_align_on(compute, map, rois, align)
    })?;
    // Where it failed the processor has answered.
    compute.check()?;
    Ok(found)
}

/// Seconds on a device of the network.
pub(super) fn seconds(device: &Device) -> Found<f64> {
    timed(device, &|map, rois, align| roi_align(map, rois, align))
}

/// The same on a graphics adapter, transfers included.
#[cfg(feature = "gpu")]
pub(super) fn seconds_on(compute: &Arc<Compute>) -> Found<f64> {
    let found = timed(&Device::Cpu, &|map, rois, align| {
        roi_align_on(compute, map, rois, align)
    })?;
    compute.check()?;
    Ok(found)
}

fn timed(device: &Device, op: Op<'_>) -> Found<f64> {
    let RoiWork { map, rois, align } = RoiWork::new(device)?;
    fastest(|| {
        op(&map, &rois, align)?;
        Ok(device.synchronize()?)
    })
}

type Op<'a> = &'a dyn Fn(&Tensor, &Tensor, RoiAlign) -> candle_core::Result<Tensor>;

fn worst(device: &Device, part: Part, op: Op<'_>) -> Found<f64> {
    let cases: Value = serde_json::from_str(CASES)?;
    let tensors = embedded("roi_align.safetensors", TENSORS)?;
    let mut worst = 0.0f64;
    for case in cases["cases"].as_array().into_iter().flatten() {
        let name = case["name"].as_str().unwrap_or_default();
        let number = |value: &Value| value.as_u64().unwrap_or_default() as usize;
        let align = RoiAlign {
            out_height: number(&case["output_size"][0]),
            out_width: number(&case["output_size"][1]),
            spatial_scale: case["spatial_scale"].as_f64().unwrap_or_default() as f32,
            sampling_ratio: number(&case["sampling_ratio"]),
        };
        let (map, shape) = tensor(&tensors, name, "input")?;
        let map = Var::from_vec(map, shape, device)?;
        let (rois, _) = tensor(&tensors, name, "rois")?;
        let count = rois.len() / ROI_COLUMNS;
        let rois = Tensor::from_vec(rois, (count, ROI_COLUMNS), device)?;
        let output = op(map.as_tensor(), &rois, align)?;
        let (got, want) = match part {
            Part::Forward => (output, "output"),
            Part::Backward => {
                let (gradient, shape) = tensor(&tensors, name, "grad_output")?;
                let gradient = Tensor::from_vec(gradient, shape, device)?;
                let gradients = (output * gradient)?.sum_all()?.backward()?;
                let of_map = gradients.get(map.as_tensor());
                (
                    of_map.ok_or("the map has no gradient")?.clone(),
                    "grad_input",
                )
            }
        };
        let got = got.flatten_all()?.to_vec1::<f32>()?;
        let (want, _) = tensor(&tensors, name, want)?;
        worst = worst.max(relative(&got, &want, None));
    }
    Ok(worst)
}

fn tensor(tensors: &Weights, case: &str, part: &str) -> Found<(Vec<f32>, Vec<usize>)> {
    let name = format!("{case}.{part}");
    let shape = tensors.shape(&name).ok_or("a case is not whole")?.to_vec();
    Ok((tensors.values(&name, &shape)?, shape))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_processor_passes_and_a_wrong_operation_does_not() {
        for (part, name) in Part::ALL {
            let found = deviation(&Device::Cpu, part).unwrap();
            assert!(found > 0.0 && found < TOLERANCE, "{name}: {found}");
            let wrong = worst(&Device::Cpu, part, &|map, rois, align| {
                roi_align(map, rois, align)? * 1.001
            });
            assert!(wrong.unwrap() > TOLERANCE, "{name}");
        }
    }
}
