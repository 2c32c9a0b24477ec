//! Values of a network that has not been trained (semantics.md 4.11).

use std::collections::BTreeMap;
use std::path::Path;

use rayon::prelude::*;

use crate::config::Config;
use crate::structures::Random;
use crate::weights::formula::fnv1a;
use crate::weights::{Kind, Parameter, Weights, parameters};

/// Layers that depend on the classes: fine-tuning on another set begins them anew.
pub const CLASS_LAYERS: [&str; 4] = [
    "roi_head.bbox_head.fc_cls",
    "roi_head.bbox_head.fc_reg",
    "roi_head.mask_head.conv_logits",
    "roi_head.mask_iou_head.fc_mask_iou",
];

/// Every tensor of `config`'s model. A tensor's values depend on `seed` and its name alone.
pub fn initial_weights(config: &Config, seed: u64) -> Weights {
    let tensors: BTreeMap<_, _> = parameters(config)
        .into_par_iter()
        .map(|parameter| {
            let values = initial(&parameter, seed);
            (parameter.name, (parameter.shape, values))
        })
        .collect();
    Weights::from_memory(Path::new("a new network"), tensors)
}

fn initial(parameter: &Parameter, seed: u64) -> Vec<f32> {
    let Parameter { name, shape, kind } = parameter;
    let len = shape.iter().product();
    let mut random = Random::of(&[seed, fnv1a(name)]);
    let mut fill = |next: &mut dyn FnMut(&mut Random) -> f64| -> Vec<f32> {
        (0..len).map(|_| next(&mut random) as f32).collect()
    };
    let mut normal = |deviation: f64| fill(&mut |random| deviation * random.normal());
    match kind {
        Kind::Bias | Kind::BnBias | Kind::BnMean => vec![0.0; len],
        Kind::BnWeight | Kind::BnVar => vec![1.0; len],
        _ => match rule(name) {
            Rule::Normal(deviation) => normal(deviation),
            // Of a deconvolution PyTorch counts the second axis as the fan out.
            Rule::KaimingNormal if *kind == Kind::Deconv => normal(kaiming(shape[1], shape)),
            Rule::KaimingNormal => normal(kaiming(shape[0], shape)),
            Rule::XavierUniform => {
                let taps = taps(shape);
                let bound = (6.0 / ((shape[0] + shape[1]) * taps) as f64).sqrt();
                fill(&mut |random| bound * (2.0 * random.unit() - 1.0))
            }
            Rule::Caffe2Xavier => {
                let bound = (3.0 / (shape[1] * taps(shape)) as f64).sqrt();
                fill(&mut |random| bound * (2.0 * random.unit() - 1.0))
            }
        },
    }
}

enum Rule {
    Normal(f64),
    KaimingNormal,
    XavierUniform,
    Caffe2Xavier,
}

/// The rule of a weight, as mmdetection's heads have it.
fn rule(name: &str) -> Rule {
    let begins = |prefix| name.starts_with(prefix);
    if begins("rpn_head.") || begins(CLASS_LAYERS[0]) || begins(CLASS_LAYERS[3]) {
        Rule::Normal(0.01)
    } else if begins(CLASS_LAYERS[1]) {
        Rule::Normal(0.001)
    } else if begins("neck.") || begins("roi_head.bbox_head.shared_fcs") {
        Rule::XavierUniform
    } else if begins("roi_head.mask_iou_head.fcs") {
        Rule::Caffe2Xavier
    } else {
        Rule::KaimingNormal
    }
}

/// √(2/(taps·out))
fn kaiming(outputs: usize, shape: &[usize]) -> f64 {
    (2.0 / (taps(shape) * outputs) as f64).sqrt()
}

fn taps(shape: &[usize]) -> usize {
    shape.iter().skip(2).product()
}
