//! Weights and input from a formula that any language can repeat: a full-size model without a file.
//!
//! The stream of a name is splitmix64 seeded by FNV-1a of the name; element i is `v = (z >> 40) / 2^23 - 1` in
//! [-1, 1), exact in f32. A tensor is `f32(offset + scale * v)`, computed in f64.

use std::collections::BTreeMap;
use std::path::Path;

use crate::config::Config;

use super::canonical::{Kind, Parameter, parameters};
use super::tensors::Weights;

/// Gain of a weight: its standard deviation is gain / √fan_in. The first part that the name contains counts.
const GAINS: [(&str, f64); 12] = [
    ("downsample.0", 1.0),
    (".conv3.weight", std::f64::consts::SQRT_2),
    ("lateral_convs", 0.5),
    ("fpn_convs", 1.0),
    ("rpn_conv", std::f64::consts::SQRT_2),
    ("rpn_cls", 2.0),
    ("rpn_reg", 0.4),
    ("fc_cls", 4.0),
    ("fc_reg", 1.0),
    ("conv_logits", 2.0),
    ("fc_mask_iou", 0.3),
    ("", std::f64::consts::SQRT_2),
];

/// Added to the background's bias, so that scores reach down to the threshold.
const BACKGROUND_BIAS: f32 = 17.5;

const GOLDEN_GAMMA: u64 = 0x9E37_79B9_7F4A_7C15;

/// FNV-1a, 64 bits, of a name.
pub fn fnv1a(name: &str) -> u64 {
    name.bytes().fold(0xCBF2_9CE4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)
    })
}

/// Element `index` of a stream.
fn element(seed: u64, index: usize) -> f64 {
    let state = seed.wrapping_add((index as u64 + 1).wrapping_mul(GOLDEN_GAMMA));
    let z = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    let z = z ^ (z >> 31);
    (z >> 40) as f64 / f64::from(1 << 23) - 1.0
}

/// Offset and scale: weights by fan-in, BatchNorm and biases fixed.
fn rule(parameter: &Parameter) -> (f64, f64) {
    let fan_in = match (parameter.kind, parameter.shape.as_slice()) {
        (Kind::Deconv, [inputs, ..]) => *inputs,
        (_, [_, rest @ ..]) => rest.iter().product(),
        _ => 1,
    };
    let name = &parameter.name;
    match parameter.kind {
        Kind::Conv | Kind::Fc | Kind::Deconv => {
            let gain = GAINS
                .iter()
                .find(|(part, _)| name.contains(part))
                .map_or(1.0, |(_, gain)| *gain);
            (0.0, gain * (3.0 / fan_in as f64).sqrt())
        }
        Kind::Bias if name.ends_with("rpn_cls.bias") => (-1.0, 0.3),
        Kind::Bias if name.ends_with("fc_mask_iou.bias") => (0.7, 0.1),
        Kind::Bias => (0.0, 0.1),
        Kind::BnWeight if name.contains(".bn3.") => (0.3, 0.1),
        Kind::BnWeight => (1.0, 0.2),
        Kind::BnBias | Kind::BnMean => (0.0, 0.2),
        Kind::BnVar => (1.0, 0.4),
    }
}

/// Every tensor of the model that a validated `config` describes.
pub fn formula_weights(config: &Config) -> Weights {
    let tensors: BTreeMap<String, (Vec<usize>, Vec<f32>)> = parameters(config)
        .into_iter()
        .map(|parameter| {
            let (offset, scale) = rule(&parameter);
            let seed = fnv1a(&parameter.name);
            let count = parameter.shape.iter().product();
            let mut values: Vec<f32> = (0..count)
                .map(|index| (offset + scale * element(seed, index)) as f32)
                .collect();
            if parameter.name == "roi_head.bbox_head.fc_cls.bias"
                && let Some(background) = values.last_mut()
            {
                *background += BACKGROUND_BIAS;
            }
            (parameter.name, (parameter.shape, values))
        })
        .collect();
    Weights::from_memory(Path::new("formula"), tensors)
}

/// An input of (1, 3, height, width): blocks of 64, 16 and 1 pixels on top of one another.
pub fn formula_input(height: usize, width: usize) -> Vec<f32> {
    let layers = [(64_usize, 1.2), (16, 0.8), (1, 0.3)].map(|(block, amplitude)| {
        let rows = height.div_ceil(block);
        let columns = width.div_ceil(block);
        (
            block,
            amplitude,
            rows,
            columns,
            fnv1a(&format!("input.{block}")),
        )
    });
    let mut values = Vec::with_capacity(3 * height * width);
    for channel in 0..3 {
        for y in 0..height {
            for x in 0..width {
                let sum =
                    layers
                        .iter()
                        .fold(0.0, |sum, &(block, amplitude, rows, columns, seed)| {
                            let cell = (channel * rows + y / block) * columns + x / block;
                            sum + amplitude * element(seed, cell)
                        });
                values.push(sum as f32);
            }
        }
    }
    values
}
