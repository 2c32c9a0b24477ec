//! Weights and input of the full-size model from a formula: splitmix64 seeded with the name's FNV-1a, 24 bits a value.

use std::collections::BTreeMap;
use std::path::Path;

use maskscope::config::Config;
use maskscope::weights::{Kind, Parameter, Weights, parameters};
use rayon::prelude::*;
use serde_json::Value;

const GAMMA: u64 = 0x9E37_79B9_7F4A_7C15;

/// Seed of a stream.
pub fn fnv1a(name: &str) -> u64 {
    name.bytes().fold(0xCBF2_9CE4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01B3)
    })
}

/// Element `index` of a stream, in [-1, 1).
fn element(seed: u64, index: usize) -> f64 {
    let z = seed.wrapping_add(GAMMA.wrapping_mul(index as u64 + 1));
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((z ^ (z >> 31)) >> 40) as f64 / f64::from(1 << 23) - 1.0
}

/// Every tensor of the model; `expected` names the gains and the background's bias.
pub fn weights(config: &Config, expected: &Value) -> Weights {
    let tensors: BTreeMap<_, _> = parameters(config)
        .into_par_iter()
        .map(|parameter| {
            let (offset, scale) = rule(&parameter, &expected["gains"]);
            let seed = fnv1a(&parameter.name);
            let count = parameter.shape.iter().product();
            let value = |index| (offset + scale * element(seed, index)) as f32;
            let mut values: Vec<f32> = (0..count).map(value).collect();
            if parameter.name == "roi_head.bbox_head.fc_cls.bias" {
                *values.last_mut().unwrap() += expected["background_bias"].as_f64().unwrap() as f32;
            }
            (parameter.name, (parameter.shape, values))
        })
        .collect();
    Weights::from_memory(Path::new("formula"), tensors)
}

/// Offset and scale of a tensor's values.
fn rule(parameter: &Parameter, gains: &Value) -> (f64, f64) {
    let name = parameter.name.as_str();
    match parameter.kind {
        Kind::Conv | Kind::Fc | Kind::Deconv => {
            let fan_in: usize = match parameter.kind {
                Kind::Deconv => parameter.shape[0],
                _ => parameter.shape[1..].iter().product(),
            };
            let mut gains = gains.as_array().unwrap().iter();
            let gain = gains.find(|gain| name.contains(gain[0].as_str().unwrap()));
            let gain = gain.unwrap()[1].as_f64().unwrap();
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

/// The input (1,3,height,width): blocks of 64, 16 and 1 pixels.
pub fn image(height: usize, width: usize) -> Vec<f32> {
    let mut sums = vec![0.0; 3 * height * width];
    for (block, weight) in [(64, 1.2), (16, 0.8), (1, 0.3)] {
        let seed = fnv1a(&format!("input.{block}"));
        let (rows, columns) = (height.div_ceil(block), width.div_ceil(block));
        for (at, sum) in sums.iter_mut().enumerate() {
            let (channel, pixel) = (at / (height * width), at % (height * width));
            let (row, column) = (pixel / width / block, pixel % width / block);
            *sum += weight * element(seed, (channel * rows + row) * columns + column);
        }
    }
    sums.into_iter().map(|sum| sum as f32).collect()
}
