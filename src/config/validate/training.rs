//! What only training reads: assigners, samplers, losses, optimiser, schedule, devices, run folder.

use super::super::{Assigner, Config, Sampler};
use super::{Check, network};

pub(super) fn check(config: &Config, check: &mut Check) {
    stages(config, check);
    losses(config, check);
    optimiser(config, check);
    run(config, check);
    sample_counts(config, check);
    no_effect(config, check);
}

fn stages(config: &Config, check: &mut Check) {
    let train = &config.train_cfg;
    assigner("train_cfg.rpn.assigner", &train.rpn.assigner, check);
    sampler("train_cfg.rpn.sampler", &train.rpn.sampler, check);
    network::proposals("train_cfg.rpn_proposal", &train.rpn_proposal, check);
    assigner("train_cfg.rcnn.assigner", &train.rcnn.assigner, check);
    sampler("train_cfg.rcnn.sampler", &train.rcnn.sampler, check);
    let side = config.mask_roi.roi_layer.out_size;
    check.equal(
        "train_cfg.rcnn.mask_size",
        train.rcnn.mask_size,
        "twice mask_roi.roi_layer.out_size",
        side.saturating_mul(2),
    );
    check.between(
        "train_cfg.rcnn.mask_thr_binary",
        train.rcnn.mask_thr_binary,
        0.0,
        1.0,
    );
}

fn assigner(name: &str, assigner: &Assigner, check: &mut Check) {
    for (key, value) in [
        ("pos_iou_thr", assigner.pos_iou_thr),
        ("neg_iou_thr", assigner.neg_iou_thr),
        ("min_pos_iou", assigner.min_pos_iou),
    ] {
        check.within(&format!("{name}.{key}"), value, 0.0, 1.0);
    }
    check.that(
        assigner.neg_iou_thr <= assigner.pos_iou_thr,
        &format!("{name}.neg_iou_thr"),
        assigner.neg_iou_thr,
        format!("at most pos_iou_thr, which is {}", assigner.pos_iou_thr),
    );
}

fn sampler(name: &str, sampler: &Sampler, check: &mut Check) {
    check.positive(&format!("{name}.num"), sampler.num);
    check.within(
        &format!("{name}.pos_fraction"),
        sampler.pos_fraction,
        0.0,
        1.0,
    );
    check.that(
        sampler.neg_pos_ub.is_finite() && (sampler.neg_pos_ub >= 0.0 || sampler.neg_pos_ub == -1.0),
        &format!("{name}.neg_pos_ub"),
        sampler.neg_pos_ub,
        "at least 0, or -1 for no limit",
    );
}

fn losses(config: &Config, check: &mut Check) {
    for (key, loss) in [
        ("rpn.loss_cls", &config.rpn.loss_cls),
        ("rpn.loss_bbox", &config.rpn.loss_bbox),
        ("bbox_head.loss_cls", &config.bbox_head.loss_cls),
        ("bbox_head.loss_bbox", &config.bbox_head.loss_bbox),
        ("mask_head.loss_mask", &config.mask_head.loss_mask),
        ("mask_iou_head.loss_iou", &config.mask_iou_head.loss_iou),
    ] {
        check.not_negative(&format!("{key}.loss_weight"), loss.loss_weight);
    }
}

fn optimiser(config: &Config, check: &mut Check) {
    check.not_negative("lr", config.lr);
    check.not_negative("min_lr", config.min_lr);
    check.that(
        config.min_lr <= config.lr,
        "min_lr",
        config.min_lr,
        format!("at most lr, which is {}", config.lr),
    );
    check.that(
        (0.0..1.0).contains(&config.momentum),
        "momentum",
        config.momentum,
        "at least 0 and less than 1",
    );
    check.not_negative("weight_decay", config.weight_decay);
    check.that(
        config.warmup_ratio > 0.0 && config.warmup_ratio <= 1.0,
        "warmup_ratio",
        config.warmup_ratio,
        "more than 0 and at most 1",
    );
    check.increasing("lr_steps", &config.lr_steps);
    check.not_negative("grad_clip", config.grad_clip);
    check.above_zero("loss_scale", config.loss_scale);
}

/// The suffix of a run's folder.
pub(super) fn brief(config: &Config, check: &mut Check) {
    check.that(
        !config.brief.contains(['/', '\\']) && !config.brief.chars().any(char::is_control),
        "brief",
        format!("{:?}", config.brief),
        "a part of a folder's name, without / and \\",
    );
}

fn run(config: &Config, check: &mut Check) {
    brief(config, check);
    for (key, value) in [
        ("num_gts", config.num_gts),
        ("batch_size", config.batch_size),
        ("accumulate_step", config.accumulate_step),
        ("test_batch_size", config.test_batch_size),
        ("epoch_size", config.epoch_size),
        ("eval_every", config.eval_every),
        ("device_num", config.device_num),
        ("num_parallel_workers", config.num_parallel_workers),
        ("save_every", config.save_every),
        ("keep_checkpoint_max", config.keep_checkpoint_max),
        (
            "keep_best_checkpoints_max",
            config.keep_best_checkpoints_max,
        ),
    ] {
        check.at_least_one(key, value);
    }
    check.that(
        config.rank_id < config.device_num,
        "rank_id",
        config.rank_id,
        format!("less than device_num, which is {}", config.device_num),
    );
    if (config.train_dataset_num == 0) != (config.train_dataset_divider == 0) {
        check.warn(
            "train_dataset_num and train_dataset_divider act only where both are set: all images are used".into(),
        );
    }
}

/// The original's slots per image must hold what the sampler draws; here they only tell a forgotten change.
fn sample_counts(config: &Config, check: &mut Check) {
    let sampler = &config.train_cfg.rcnn.sampler;
    let num = sampler.num as f64;
    for (key, got, wanted, rule) in [
        (
            "roi.sample_num",
            config.roi.sample_num,
            num * (1.0 + sampler.pos_fraction),
            "num * (1 + pos_fraction)",
        ),
        (
            "mask_roi.sample_num",
            config.mask_roi.sample_num,
            num * sampler.pos_fraction,
            "num * pos_fraction",
        ),
    ] {
        if got as f64 != wanted.round() {
            check.warn(format!(
                "{key} is {got}, but train_cfg.rcnn.sampler gives {} ({rule}): the sampler decides",
                wanted.round()
            ));
        }
    }
}

fn no_effect(config: &Config, check: &mut Check) {
    for (key, given) in [
        ("enable_graph_kernel", config.enable_graph_kernel),
        ("datasink", config.datasink),
        ("python_multiprocessing", config.python_multiprocessing),
        ("mode", config.mode == "pynative"),
    ] {
        if given {
            check.warn(format!("{key} is accepted, but has no effect here"));
        }
    }
}
