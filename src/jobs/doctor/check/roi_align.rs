//! RoIAlign against mmcv's.

use candle_core::{Device, Tensor};
use serde_json::Value;

use super::{Found, embedded, relative};
use crate::ops::roi_align::{ROI_COLUMNS, RoiAlign, roi_align};
use crate::weights::Weights;

/// Of the largest value, on any device.
pub(super) const TOLERANCE: f64 = 1e-4;

const CASES: &str = include_str!("../../../../tests/fixtures/ops/roi_align.json");
const TENSORS: &[u8] = include_bytes!("../../../../tests/fixtures/ops/roi_align.safetensors");

/// The worst deviation of all cases on a device of the network.
pub(super) fn deviation(device: &Device) -> Found<f64> {
    worst(device, &|map, rois, align| roi_align(map, rois, align))
}

/// The same on a graphics adapter.
#[cfg(feature = "gpu")]
pub(super) fn deviation_on(compute: &std::sync::Arc<crate::ops::compute::Compute>) -> Found<f64> {
    use crate::ops::roi_align::roi_align_on;
    let found = worst(&Device::Cpu, &|map, rois, align| {
        roi_align_on(compute, map, rois, align)
    })?;
    // Where it failed the processor has answered.
    compute.check()?;
    Ok(found)
}

type Op<'a> = &'a dyn Fn(&Tensor, &Tensor, RoiAlign) -> candle_core::Result<Tensor>;

fn worst(device: &Device, op: Op<'_>) -> Found<f64> {
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
        let map = Tensor::from_vec(map, shape, device)?;
        let (rois, _) = tensor(&tensors, name, "rois")?;
        let count = rois.len() / ROI_COLUMNS;
        let rois = Tensor::from_vec(rois, (count, ROI_COLUMNS), device)?;
        let got = op(&map, &rois, align)?.flatten_all()?.to_vec1::<f32>()?;
        let (want, _) = tensor(&tensors, name, "output")?;
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
        let found = deviation(&Device::Cpu).unwrap();
        assert!(found > 0.0 && found < TOLERANCE, "{found}");
        let wrong = worst(&Device::Cpu, &|map, rois, align| {
            roi_align(map, rois, align)? * 1.001
        });
        assert!(wrong.unwrap() > TOLERANCE);
    }
}
