//! Assigner, sampler, schedule, optimiser and losses against reference tables.

use std::collections::BTreeMap;

use candle_core::{Device, Tensor};
use maskscope::config::{Assigner, Config, LrType, Sampler};
use maskscope::structures::{BoxXyxy, Random, Size};
use maskscope::train::{Assigned, Draw, GroundTruth, MaskGrid, Schedule, assign, draw, mask_iou_targets, mask_targets};
use serde_json::Value;

use crate::support::compare::Deviation;
use crate::support::fixtures::{self, Tensors};

fn cases(op: &str) -> (Vec<Value>, Tensors) {
    let folder = fixtures::folder("ops");
    let info = fixtures::json(&folder.join(format!("{op}.json")));
    let cases = info["cases"].as_array().unwrap().clone();
    assert!(!cases.is_empty(), "no case in {op}.json");
    (cases, Tensors::read(&folder.join(format!("{op}.safetensors"))))
}

fn boxes(values: &[f32]) -> Vec<BoxXyxy> {
    let corners = values.as_chunks::<4>().0;
    corners.iter().map(|&[x1, y1, x2, y2]| BoxXyxy::new(x1, y1, x2, y2)).collect()
}
