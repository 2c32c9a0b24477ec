//! Assigner, sampler, schedule, optimiser and losses against reference tables.

use std::collections::BTreeMap;

use candle_core::{DType, Tensor, Var};
use maskscope::config::{Assigner, Config, Dialect, LrType, OptType, Sampler, preset};
use maskscope::model::{Detector, ParameterSet};
use maskscope::ops::losses;
use maskscope::structures::{BoxXyxy, GroundTruth, MaskGrid, Random, Size};
use maskscope::train::{
    Assigned, Draw, Optimizer, Schedule, Update, assign, draw, draw_anchors, initial_weights,
    mask_iou_targets, mask_targets,
};
use serde_json::Value;

use crate::support::compare::Deviation;
use crate::support::device::device;
use crate::support::fixtures::{self, Tensors};

fn cases(op: &str) -> (Vec<Value>, Tensors) {
    let folder = fixtures::folder("ops");
    let info = fixtures::json(&folder.join(format!("{op}.json")));
    let cases = info["cases"].as_array().unwrap().clone();
    assert!(!cases.is_empty(), "no case in {op}.json");
    (
        cases,
        Tensors::read(&folder.join(format!("{op}.safetensors"))),
    )
}

fn boxes(values: &[f32]) -> Vec<BoxXyxy> {
    let corners = values.as_chunks::<4>().0;
    corners
        .iter()
        .map(|&[x1, y1, x2, y2]| BoxXyxy::new(x1, y1, x2, y2))
        .collect()
}

#[test]
fn anchors_are_drawn_from_the_own_padded_size() {
    let mut config = preset("tiny").unwrap();
    config.train_cfg.rpn.sampler.num = 64;
    let weights = initial_weights(&config, 1);
    let set = ParameterSet::new(&config, &weights, device()).unwrap();
    let detector = Detector::trainable(&set, &config, Dialect::Mmdet).unwrap();
    let own = Size::new(128, 64);
    let maps = |canvas: Size| -> Vec<Size> {
        let levels = detector.rpn.anchors.iter();
        levels.map(|level| level.cells(canvas)).collect()
    };
    let truth = GroundTruth {
        boxes: vec![BoxXyxy::new(20.0, 10.0, 60.0, 50.0)],
        labels: vec![0],
        masks: vec![Vec::new()],
        grid: MaskGrid::default(),
    };
    let of = Draw {
        seed: 3,
        epoch: 0,
        image: 7,
    };
    // Where each drawn anchor lies, whatever the index of the map it is on.
    let places = |canvas: Size| {
        let maps = maps(canvas);
        let stage = &config.train_cfg.rpn;
        let samples = draw_anchors(&detector.rpn, &maps, own, &truth, stage, &of);
        let anchors: Vec<BoxXyxy> = detector
            .rpn
            .anchors
            .iter()
            .zip(&maps)
            .flat_map(|(level, &map)| level.grid(map))
            .collect();
        let at = |indices: &[usize]| indices.iter().map(|&i| anchors[i]).collect::<Vec<_>>();
        assert_eq!(at(&samples.drawn.positive), samples.anchors);
        (at(&samples.drawn.positive), at(&samples.drawn.negative))
    };
    let alone = places(own);
    assert!(!alone.0.is_empty() && alone.1.len() > 30);
    // Beside a larger image of the batch.
    assert_eq!(places(Size::new(256, 192)), alone);
}

#[test]
fn golden_assigner() {
    let (cases, tensors) = cases("assigner");
    for case in cases {
        let name = case["name"].as_str().unwrap();
        let number = |key: &str| case[key].as_f64().unwrap();
        let config = Assigner {
            pos_iou_thr: number("pos_iou_thr"),
            neg_iou_thr: number("neg_iou_thr"),
            min_pos_iou: number("min_pos_iou"),
            match_low_quality: true,
        };
        let candidates = boxes(tensors.get(&format!("{name}.boxes")).f32());
        let truths = boxes(tensors.get(&format!("{name}.gt")).f32());
        let got: Vec<i64> = assign(&candidates, &truths, &config)
            .into_iter()
            .map(|assigned| match assigned {
                Assigned::Ignored => -1,
                Assigned::Negative => 0,
                Assigned::Positive(truth) => truth as i64 + 1,
            })
            .collect();
        let want = tensors.get(&format!("{name}.assigned_mmdet")).i64();
        assert_eq!(got, want, "{name}");
    }
}

#[test]
fn without_ground_truth_all_is_background() {
    let config = Config::default().train_cfg.rpn.assigner;
    let candidates = [BoxXyxy::new(0.0, 0.0, 4.0, 4.0); 3];
    assert_eq!(assign(&candidates, &[], &config), [Assigned::Negative; 3]);
}

#[test]
fn a_box_without_area_is_never_positive() {
    let config = Assigner {
        min_pos_iou: 0.0,
        ..Config::default().train_cfg.rpn.assigner
    };
    let hollow = BoxXyxy::new(2.0, 2.0, 2.0, 8.0);
    let whole = BoxXyxy::new(0.0, 0.0, 8.0, 8.0);
    let assigned = assign(&[hollow, whole], &[hollow], &config);
    assert!(!assigned.iter().any(|a| matches!(a, Assigned::Positive(_))));
}

#[test]
fn draws_keep_their_share_and_repeat() {
    let assigned: Vec<Assigned> = (0..1000)
        .map(|at| match at % 10 {
            0 => Assigned::Positive(at / 100),
            1 => Assigned::Ignored,
            _ => Assigned::Negative,
        })
        .collect();
    let sampler = |neg_pos_ub| Sampler {
        num: 64,
        pos_fraction: 0.25,
        neg_pos_ub,
        add_gt_as_proposals: false,
    };
    let one = |seed: u64, ub| draw(&assigned, &sampler(ub), &mut Random::of(&[seed]));
    let first = one(1, -1.0);
    assert_eq!((first.positive.len(), first.negative.len()), (16, 48));
    assert!(first.positive.is_sorted() && first.negative.is_sorted());
    for (&index, &truth) in first.positive.iter().zip(&first.truths) {
        assert_eq!(assigned[index], Assigned::Positive(truth));
    }
    assert!(
        first
            .negative
            .iter()
            .all(|&index| assigned[index] == Assigned::Negative)
    );
    assert_eq!(first, one(1, -1.0));
    assert_ne!(first, one(2, -1.0));
    assert_eq!(one(1, 2.0).negative.len(), 32);
}

#[test]
fn golden_mask_targets() {
    let (cases, tensors) = cases("mask_targets");
    for case in cases {
        let name = case["name"].as_str().unwrap();
        let scale = 1.0 / case["mask_divider"].as_f64().unwrap() as f32;
        let (truth, rois, assigned) = mask_case(&tensors, name, scale);
        let want = tensors.get(&format!("{name}.decided"));
        let got = mask_targets(&truth, &rois, &assigned, want.shape[1]).unwrap();
        assert_eq!(got, want.f32(), "{name}");
    }
}

#[test]
fn golden_mask_iou_targets() {
    let (cases, tensors) = cases("mask_iou_targets");
    for case in cases {
        let name = case["name"].as_str().unwrap();
        let (truth, rois, assigned) = mask_case(&tensors, name, 1.0);
        let logits = tensors.get(&format!("{name}.mask_logits")).f32();
        let predicted: Vec<bool> = logits.iter().map(|&logit| logit > 0.0).collect();
        let targets = tensors.get(&format!("{name}.targets_decided")).f32();
        let got = mask_iou_targets(&truth, &rois, &assigned, &predicted, targets);
        let want = tensors.get(&format!("{name}.iou_decided")).f32();
        for (row, (got, &want)) in got.into_iter().zip(want).enumerate() {
            // A RoI without ground truth inside is left out; the file holds what the formula gives there.
            let got = got.unwrap_or(0.0);
            assert!(
                (got - want.max(0.0)).abs() < 1e-6,
                "{name} row {row}: {got}, want {want}"
            );
        }
    }
}

fn mask_case(tensors: &Tensors, name: &str, scale: f32) -> (GroundTruth, Vec<BoxXyxy>, Vec<usize>) {
    let masks = tensors.get(&format!("{name}.masks"));
    let [_, height, width] = masks.shape[..] else {
        panic!("masks of shape {:?}", masks.shape)
    };
    let truth = GroundTruth {
        masks: masks
            .u8()
            .chunks_exact(height * width)
            .map(<[u8]>::to_vec)
            .collect(),
        grid: MaskGrid {
            size: Size::new(width, height),
            scale_x: scale,
            scale_y: scale,
        },
        ..GroundTruth::default()
    };
    let assigned = tensors.get(&format!("{name}.gt_inds")).i64();
    let rois = boxes(tensors.get(&format!("{name}.boxes")).f32());
    (
        truth,
        rois,
        assigned.iter().map(|&index| index as usize).collect(),
    )
}

#[test]
fn golden_schedule() {
    let (cases, tensors) = cases("lr");
    for case in cases {
        let name = case["name"].as_str().unwrap();
        let whole = |key: &str| case[key].as_u64().unwrap() as usize;
        let drops = case["drops"].as_array();
        let schedule = Schedule {
            base: case["base"].as_f64().unwrap(),
            low: case["low"].as_f64().unwrap_or(0.0),
            warmup: whole("warm"),
            warmup_ratio: case["ratio"].as_f64().unwrap(),
            kind: if drops.is_some() {
                LrType::Multistep
            } else {
                LrType::Dynamic
            },
            drops: drops
                .into_iter()
                .flatten()
                .map(|drop| drop.as_u64().unwrap() as usize)
                .collect(),
            updates_per_epoch: whole("steps_per_epoch"),
            epochs: whole("epochs"),
        };
        for (index, &want) in tensors.get(&format!("{name}.lr")).f64().iter().enumerate() {
            let got = schedule.rate(index);
            assert!(
                (got - want).abs() <= 1e-15,
                "{name} update {index}: {got}, want {want}"
            );
        }
    }
}

/// The digits of the original's log: base .02, ratio .001, warm-up 500, 14,786 steps an epoch, drops at 8 and 11.
#[test]
fn the_seeds_log_prints_these_rates() {
    let schedule = Schedule::new(&Config::default(), 14_786);
    let printed =
        |epoch: usize, step: usize| format!("{:.6}", schedule.printed((epoch - 1) * 14_786 + step));
    for (epoch, step, want) in [
        (1, 100, "0.004016"),
        (1, 200, "0.008012"),
        (1, 300, "0.012008"),
        (1, 400, "0.016004"),
        (1, 500, "0.020000"),
        (9, 100, "0.002000"),
        (12, 100, "0.000200"),
        (12, 14_786, "0.000200"),
    ] {
        assert_eq!(printed(epoch, step), want, "epoch {epoch}, step {step}");
    }
}

#[test]
fn golden_sgd() {
    let (cases, tensors) = cases("sgd");
    let mut velocities = 0;
    for case in cases {
        let name = case["name"].as_str().unwrap();
        let start = tensors.get(&format!("{name}.start"));
        let var = Var::from_vec(start.f32().to_vec(), start.shape.as_slice(), device());
        let var = var.unwrap();
        let config = Config {
            momentum: case["momentum"].as_f64().unwrap(),
            weight_decay: case["weight_decay"].as_f64().unwrap(),
            grad_clip: 0.0,
            ..Config::default()
        };
        let mut optimizer = Optimizer::new(&config);
        for (step, rate) in case["lr"].as_array().unwrap().iter().enumerate() {
            let gradient = tensors.get(&format!("{name}.grad{step}"));
            // Scaled up and down again: a power of two changes nothing.
            let values: Vec<f32> = gradient.f32().iter().map(|g| g * 256.0).collect();
            let gradient = Tensor::from_vec(values, var.dims(), device()).unwrap();
            let update = Update {
                rate: rate.as_f64().unwrap(),
                factor: 1.0 / 256.0,
            };
            let gradients = BTreeMap::from([("p".to_owned(), gradient)]);
            optimizer.step([("p", &var)], &gradients, update).unwrap();
            let got = var.flatten_all().unwrap().to_vec1::<f32>().unwrap();
            let want = tensors.get(&format!("{name}.param{step}")).f32();
            let what = format!("{name} step {step}");
            Deviation::of(&what, &got, want).absolute_within(&what, 1.2e-7);
            forgets(&optimizer);
            // Without momentum it is the gradient, and not among the reference's.
            if !tensors.has(&format!("{name}.velocity{step}")) {
                continue;
            }
            velocities += 1;
            let (_, velocity) = optimizer.state().next().unwrap();
            let got = velocity.flatten_all().unwrap().to_vec1::<f32>().unwrap();
            let want = tensors.get(&format!("{name}.velocity{step}")).f32();
            let what = format!("{what}, velocity");
            Deviation::of(&what, &got, want).relative_within(&what, 2.4e-7);
        }
    }
    assert!(velocities > 0);
}

/// A state that remembers what it was made of keeps every step since the first in memory.
fn forgets(optimizer: &Optimizer) {
    assert!(optimizer.state().next().is_some());
    for (name, state) in optimizer.state() {
        assert!(!state.track_op(), "{name}");
    }
}

#[test]
fn adam_is_pytorchs() {
    // The rule of torch.optim.Adam (decay added to the gradient), written out in f64.
    let var = Var::from_vec(vec![1.0f32, -2.0], 2, device()).unwrap();
    let config = Config {
        opt_type: OptType::Adam,
        weight_decay: 0.01,
        ..Config::default()
    };
    let mut optimizer = Optimizer::new(&config);
    let update = Update {
        rate: 0.1,
        factor: 1.0,
    };
    let mut expected = [(1.0f64, 0.0f64, 0.0f64), (-2.0, 0.0, 0.0)];
    for (step, gradient) in [[0.5f32, -1.0], [0.25, 3.0]].into_iter().enumerate() {
        let tensor = Tensor::new(&gradient, device()).unwrap();
        let gradients = BTreeMap::from([("p".to_owned(), tensor)]);
        optimizer.step([("p", &var)], &gradients, update).unwrap();
        forgets(&optimizer);
        for ((p, mean, square), gradient) in expected.iter_mut().zip(gradient) {
            let g = f64::from(gradient) + 0.01 * *p;
            *mean = 0.9 * *mean + 0.1 * g;
            *square = 0.999 * *square + 0.001 * g * g;
            let t = step as i32 + 1;
            let (m, s) = (
                *mean / (1.0 - 0.9f64.powi(t)),
                *square / (1.0 - 0.999f64.powi(t)),
            );
            *p -= 0.1 * m / (s.sqrt() + 1e-8);
        }
    }
    let got = var.to_vec1::<f32>().unwrap();
    for (got, (want, ..)) in got.into_iter().zip(expected) {
        assert!((f64::from(got) - want).abs() < 1e-6, "{got}, want {want}");
    }
}

#[test]
fn clipping_bounds_the_whole_gradient() {
    let vars = [1, 2].map(|len| Var::zeros(len, DType::F32, device()).unwrap());
    let config = Config {
        momentum: 0.0,
        weight_decay: 0.0,
        grad_clip: 1.0,
        ..Config::default()
    };
    let gradient = |values: &[f32]| Tensor::new(values, device()).unwrap();
    let gradients = BTreeMap::from([
        ("a".to_owned(), gradient(&[6.0])),
        ("b".to_owned(), gradient(&[0.0, 8.0])),
    ]);
    let update = Update {
        rate: 1.0,
        factor: 0.5,
    };
    let named = [("a", &vars[0]), ("b", &vars[1])];
    let norm = Optimizer::new(&config)
        .step(named, &gradients, update)
        .unwrap();
    assert!((norm - 5.0).abs() < 1e-9);
    let moved = vars[1].to_vec1::<f32>().unwrap();
    assert!(
        (vars[0].to_vec1::<f32>().unwrap()[0] + 0.6).abs() < 1e-5 && (moved[1] + 0.8).abs() < 1e-5
    );
}

#[test]
fn golden_losses() {
    let (_, tensors) = cases("losses");
    let check = |case: &str, loss: &Tensor, var: &Var| {
        let want = tensors.get(&format!("{case}.loss")).f32()[0];
        let got = loss.to_scalar::<f32>().unwrap();
        assert!(
            (got - want).abs() <= 1e-5 * want.abs(),
            "{case}: {got}, want {want}"
        );
        let gradients = loss.backward().unwrap();
        let got = gradients
            .get(var.as_tensor())
            .unwrap()
            .flatten_all()
            .unwrap();
        let want = tensors.get(&format!("{case}.grad")).f32();
        let what = format!("{case}: gradient");
        Deviation::of(&what, &got.to_vec1::<f32>().unwrap(), want).relative_within(&what, 1e-5);
    };
    let tensor = |case: &str, part: &str| {
        let found = tensors.get(&format!("{case}.{part}"));
        Tensor::from_slice(found.f32(), found.shape.as_slice(), device()).unwrap()
    };
    let var = |case: &str| Var::from_tensor(&tensor(case, "pred")).unwrap();
    // Sum over the sampled anchors by a constant: semantics.md 4.4.
    let p = var("rpn_cls_extreme");
    let sum = losses::bce_sum(p.as_tensor(), &tensor("rpn_cls_extreme", "target")).unwrap();
    check("rpn_cls_extreme", &(sum / 8.0).unwrap(), &p);
    let p = var("mask_mmdet");
    let labels = tensors.get("mask_mmdet.label").i64().to_vec();
    let rows = Tensor::from_vec(labels, (9, 1, 1, 1), device()).unwrap();
    let own = p
        .gather(
            &rows
                .broadcast_as((9, 1, 28, 28))
                .unwrap()
                .contiguous()
                .unwrap(),
            1,
        )
        .unwrap();
    let target = tensor("mask_mmdet", "target").unsqueeze(1).unwrap();
    let sum = losses::bce_sum(&own, &target).unwrap();
    check("mask_mmdet", &(sum / (9.0 * 784.0)).unwrap(), &p);
    let p = var("mask_iou_mmdet");
    let target = tensor("mask_iou_mmdet", "target");
    let counted: Vec<u32> = target
        .to_vec1::<f32>()
        .unwrap()
        .iter()
        .enumerate()
        .filter(|(_, target)| **target > 0.0)
        .map(|(row, _)| row as u32)
        .collect();
    let count = counted.len() as f64;
    let rows = Tensor::new(counted, device()).unwrap();
    let own = |t: &Tensor| t.index_select(&rows, 0).unwrap();
    let sum = losses::squared_sum(&own(p.as_tensor()), &own(&target)).unwrap();
    check("mask_iou_mmdet", &(sum * (0.5 / count)).unwrap(), &p);
}
