//! The one table of keys. Reading, writing, `--set` and the search for the nearest name all walk it; a field that is
//! missing here does not compile.

use std::collections::HashMap;

use super::error::Problem;
use super::value::{Report, Value};
use super::yaml::{Content, Entry, Node};
use super::*;

/// Keys of sibling models and of cloud services: accepted with a note and ignored.
const IGNORED: [&str; 15] = [
    "enable_modelarts",
    "data_url",
    "train_url",
    "data_path",
    "output_path",
    "load_path",
    "checkpoint_path",
    "prediction_path",
    "pred_input",
    "pred_output",
    "enable_profiling",
    "config_path",
    "expand_ratio",
    "train_data_type",
    "val_data_type",
];

/// Dotted paths of every setting, in the order of the file.
pub fn key_paths() -> Vec<String> {
    let mut paths = Vec::new();
    collect_paths(&Config::default(), "", &mut paths, false);
    paths
}

/// Reads a group: known keys into their fields, everything else into the report.
fn read_group(group: &mut dyn Value, node: &Node, path: &str, report: &mut Report) {
    let Content::Map(entries) = &node.content else {
        let names: Vec<_> = group.children().iter().map(|(name, _)| *name).collect();
        report.push(Problem::WrongType {
            line: report.line(node.line),
            key: path.into(),
            got: node.describe(),
            expected: format!("a map with the keys {}", names.join(", ")),
        });
        return;
    };
    let mut seen = HashMap::new();
    for entry in entries {
        if report.is_full() {
            return;
        }
        if let Some(first) = seen.insert(entry.key.as_str(), entry.line) {
            report.push(Problem::DuplicateKey {
                line: report.line(entry.line),
                first,
                key: join(path, &entry.key),
            });
            continue;
        }
        read_entry(group, entry, path, report);
    }
}

fn read_entry(group: &mut dyn Value, entry: &Entry, path: &str, report: &mut Report) {
    let key = join(path, &entry.key);
    let mut children = group.children_mut();
    let child = children.iter_mut().find(|(name, _)| *name == entry.key);
    let line = report.line(entry.line);
    match child {
        Some((_, value)) => value.read(&entry.value, &key, report),
        None if path.is_empty() && IGNORED.contains(&entry.key.as_str()) => {
            report.notes.push(format!(
                "{line}`{key}` belongs to a sibling model: accepted and ignored"
            ));
        }
        None => report.push(Problem::UnknownKey {
            line,
            nearest: nearest_key(&key),
            key,
        }),
    }
}

fn write_group(group: &dyn Value, out: &mut String, indent: usize) {
    for (name, value) in group.children() {
        out.push_str(&format!("{:indent$}{name}:", ""));
        value.write(out, indent);
    }
}

/// The whole document.
pub(super) fn to_yaml(config: &Config) -> String {
    let mut out = String::new();
    write_group(config, &mut out, 0);
    out
}

/// Reads a whole document into `config`.
pub(super) fn read_document(config: &mut Config, node: &Node, report: &mut Report) {
    read_group(config, node, "", report);
}

/// Reads `node` into the setting or group of a dotted path.
pub(super) fn read_path(config: &mut Config, path: &str, node: Node, report: &mut Report) {
    /// More than the schema nests; what is left over stays one unknown name.
    const DEEPEST: usize = 8;
    // The path becomes nested maps of one key each, so that `--set` and the file share one way in.
    let nested = path.rsplitn(DEEPEST, '.').fold(node, |value, key| Node {
        line: value.line,
        content: Content::Map(vec![Entry {
            key: key.trim().into(),
            line: value.line,
            value,
        }]),
    });
    read_document(config, &nested, report);
}

/// The known path that is most like `path`: among its siblings, else where the last name exists elsewhere, else
/// by the whole path.
pub(super) fn nearest_key(path: &str) -> String {
    /// Longer names are nobody's slip of the finger, and the edit distance is quadratic.
    const LONGEST: usize = 128;
    let path: String = path.chars().take(LONGEST).collect();
    let mut known = Vec::new();
    collect_paths(&Config::default(), "", &mut known, true);
    let (parent, name) = split(&path);
    let close = (name.len() / 3).max(2);
    let distance = |a: &str, b: &str| strsim::damerau_levenshtein(a, b);
    let best = |candidates: &mut dyn Iterator<Item = (usize, &String)>| {
        candidates.min_by_key(|(d, _)| *d).map(|(_, p)| p.clone())
    };
    let by_name = |same_parent: bool| {
        known.iter().filter_map(move |candidate| {
            let (its_parent, its_name) = split(candidate);
            let distance = distance(its_name, name);
            let wanted = (its_parent == parent) == same_parent;
            (wanted && distance <= close).then_some((distance, candidate))
        })
    };
    best(&mut by_name(true))
        .or_else(|| best(&mut by_name(false)))
        .or_else(|| best(&mut known.iter().map(|known| (distance(known, &path), known))))
        .unwrap_or_default()
}

/// Paths below `value`, with those of the groups themselves where asked.
fn collect_paths(value: &dyn Value, path: &str, paths: &mut Vec<String>, groups: bool) {
    let children = value.children();
    if !path.is_empty() && (children.is_empty() || groups) {
        paths.push(path.into());
    }
    for (name, child) in children {
        collect_paths(child, &join(path, name), paths, groups);
    }
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.into()
    } else {
        format!("{path}.{key}")
    }
}

/// Parent and last name.
fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('.').unwrap_or(("", path))
}

/// `type` is a keyword in Rust, not in YAML.
fn yaml_name(field: &'static str) -> &'static str {
    field.strip_prefix("r#").unwrap_or(field)
}

macro_rules! groups {
    ($($type:ident { $($field:ident),* $(,)? })*) => {$(
        impl Value for $type {
            fn read(&mut self, node: &Node, key: &str, report: &mut Report) {
                read_group(self, node, key, report);
            }

            fn write(&self, out: &mut String, indent: usize) {
                out.push('\n');
                write_group(self, out, indent + 2);
            }

            fn children(&self) -> Vec<(&'static str, &dyn Value)> {
                let Self { $($field),* } = self;
                vec![$((yaml_name(stringify!($field)), $field as &dyn Value)),*]
            }

            fn children_mut(&mut self) -> Vec<(&'static str, &mut dyn Value)> {
                let Self { $($field),* } = self;
                vec![$((yaml_name(stringify!($field)), $field as &mut dyn Value)),*]
            }
        }
    )*};
}

groups! {
    Config {
        train_outputs, brief, device_target, mode, detector, backbone, neck, rpn, bbox_head, mask_head, mask_iou_head,
        roi, mask_roi, train_cfg, test_cfg, opt_type, lr, min_lr, momentum, weight_decay, warmup_step, warmup_ratio,
        lr_steps, lr_type, grad_clip, num_gts, batch_size, accumulate_step, test_batch_size, loss_scale, epoch_size,
        run_eval, eval_every, enable_graph_kernel, datasink, finetune, pre_trained, run_distribute, device_id,
        device_num, rank_id, num_parallel_workers, python_multiprocessing, train_dataset, val_dataset, coco_classes,
        num_classes, train_dataset_num, train_dataset_divider, img_width, img_height, mask_divider, divider, img_mean,
        img_std, to_rgb, keep_ratio, flip_ratio, scale_range, save_every, keep_checkpoint_max,
        keep_best_checkpoints_max, dialect, seed, precision,
    }
    Backbone {
        r#type, depth, base_channels, pretrained, frozen_stages, norm_eval, num_stages, out_indices, style,
    }
    Neck { fpn }
    Fpn { in_channels, out_channels, num_outs }
    Rpn { in_channels, feat_channels, num_classes, bbox_coder, loss_cls, loss_bbox, anchor_generator }
    BboxCoder { target_means, target_stds }
    Loss { loss_weight }
    AnchorGenerator { scales, strides, ratios }
    BboxHead {
        in_channels, fc_out_channels, roi_feat_size, reg_class_agnostic, bbox_coder, loss_cls, loss_bbox,
    }
    MaskHead { num_convs, in_channels, conv_out_channels, loss_mask }
    MaskIouHead {
        num_convs, num_fcs, roi_feat_size, in_channels, conv_out_channels, fc_out_channels, loss_iou,
    }
    Roi { roi_layer, out_channels, featmap_strides, finest_scale, sample_num }
    RoiLayer { r#type, out_size, sampling_ratio }
    TrainCfg { rpn, rpn_proposal, rcnn }
    TrainStage { assigner, sampler }
    Assigner { pos_iou_thr, neg_iou_thr, min_pos_iou, match_low_quality }
    Sampler { num, pos_fraction, neg_pos_ub, add_gt_as_proposals }
    Proposals { nms_pre, max_per_img, iou_threshold, min_bbox_size }
    TrainRcnn { assigner, sampler, mask_size, mask_thr_binary }
    TestCfg { rpn, rcnn }
    TestRcnn { score_thr, iou_threshold, max_per_img, mask_thr_binary }
}
