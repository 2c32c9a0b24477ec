//! Every key as a field: same nesting, same names, defaults of the seed.

use super::DialectChoice;

/// The whole configuration. Field names are the YAML's key names.
#[derive(Clone, Debug, PartialEq)]
#[allow(
    missing_docs,
    reason = "each field is a YAML key; the table is in semantics.md section 1 and config/keys"
)]
pub struct Config {
    pub train_outputs: String,
    pub brief: String,
    pub device_target: String,
    pub mode: String,
    pub detector: String,
    pub backbone: Backbone,
    pub neck: Neck,
    pub rpn: Rpn,
    pub bbox_head: BboxHead,
    pub mask_head: MaskHead,
    pub mask_iou_head: MaskIouHead,
    pub roi: Roi,
    pub mask_roi: Roi,
    pub train_cfg: TrainCfg,
    pub test_cfg: TestCfg,
    pub opt_type: OptType,
    pub lr: f64,
    pub min_lr: f64,
    pub momentum: f64,
    pub weight_decay: f64,
    pub warmup_step: usize,
    pub warmup_ratio: f64,
    pub lr_steps: Vec<usize>,
    pub lr_type: LrType,
    pub grad_clip: f64,
    pub num_gts: usize,
    pub batch_size: usize,
    pub accumulate_step: usize,
    pub test_batch_size: usize,
    pub loss_scale: f64,
    pub epoch_size: usize,
    pub run_eval: bool,
    pub eval_every: usize,
    pub enable_graph_kernel: bool,
    pub datasink: bool,
    pub finetune: bool,
    pub pre_trained: String,
    pub run_distribute: bool,
    pub device_id: usize,
    pub device_num: usize,
    pub rank_id: usize,
    pub num_parallel_workers: usize,
    pub python_multiprocessing: bool,
    pub train_dataset: String,
    pub val_dataset: String,
    /// With `background` first, as in the file.
    pub coco_classes: Vec<String>,
    /// Counts background.
    pub num_classes: usize,
    pub train_dataset_num: usize,
    pub train_dataset_divider: usize,
    pub img_width: usize,
    pub img_height: usize,
    pub mask_divider: f64,
    pub divider: usize,
    /// In the order of the channels the network sees (BGR while `to_rgb` is false).
    pub img_mean: [f64; 3],
    pub img_std: [f64; 3],
    pub to_rgb: bool,
    pub keep_ratio: bool,
    pub flip_ratio: f64,
    /// The limits of the resize are multiplied by a number out of this range, drawn for each training step.
    pub scale_range: [f64; 2],
    pub save_every: usize,
    pub keep_checkpoint_max: usize,
    pub keep_best_checkpoints_max: usize,
    pub dialect: DialectChoice,
    pub seed: u64,
    pub precision: Precision,
}

/// Blocks per stage of the backbone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// One block a stage.
    Tiny,
    /// 3, 4, 6, 3.
    R50,
    /// 3, 4, 23, 3.
    R101,
    /// 3, 8, 36, 3.
    R152,
}

impl Depth {
    /// Bottlenecks of each of the four stages.
    pub fn blocks(self) -> [usize; 4] {
        match self {
            Self::Tiny => [1, 1, 1, 1],
            Self::R50 => [3, 4, 6, 3],
            Self::R101 => [3, 4, 23, 3],
            Self::R152 => [3, 8, 36, 3],
        }
    }
}

/// Where the stride of a stage's first bottleneck sits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// On the first 1×1 convolution.
    Caffe,
    /// On the 3×3 convolution.
    Pytorch,
}

/// Optimiser.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum OptType {
    Sgd,
    Adam,
}

/// Learning-rate schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum LrType {
    Multistep,
    Dynamic,
}

/// Arithmetic of the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Precision {
    Auto,
    F32,
    Tf32,
    F16,
    Bf16,
}

/// `backbone`.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "YAML keys")]
pub struct Backbone {
    pub r#type: String,
    pub depth: Depth,
    pub base_channels: usize,
    pub pretrained: String,
    pub frozen_stages: i64,
    pub norm_eval: bool,
    pub num_stages: usize,
    pub out_indices: Vec<usize>,
    pub style: Style,
}

/// `neck`.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "YAML keys")]
pub struct Neck {
    pub fpn: Fpn,
}

/// `neck.fpn`.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "YAML keys")]
pub struct Fpn {
    pub in_channels: Vec<usize>,
    pub out_channels: usize,
    pub num_outs: usize,
}

/// `bbox_coder` of the RPN and the box head.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "YAML keys")]
pub struct BboxCoder {
    pub target_means: [f64; 4],
    pub target_stds: [f64; 4],
}

/// A loss with its weight.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "YAML keys")]
pub struct Loss {
    pub loss_weight: f64,
}

/// `rpn`.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "YAML keys")]
pub struct Rpn {
    pub in_channels: usize,
    pub feat_channels: usize,
    pub num_classes: usize,
    pub bbox_coder: BboxCoder,
    pub loss_cls: Loss,
    pub loss_bbox: Loss,
    pub anchor_generator: AnchorGenerator,
}

/// `rpn.anchor_generator`.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "YAML keys")]
pub struct AnchorGenerator {
    pub scales: Vec<f64>,
    pub strides: Vec<usize>,
    pub ratios: Vec<f64>,
}

/// `bbox_head`.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "YAML keys")]
pub struct BboxHead {
    pub in_channels: usize,
    pub fc_out_channels: usize,
    pub roi_feat_size: usize,
    pub reg_class_agnostic: bool,
    pub bbox_coder: BboxCoder,
    pub loss_cls: Loss,
    pub loss_bbox: Loss,
}

/// `mask_head`.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "YAML keys")]
pub struct MaskHead {
    pub num_convs: usize,
    pub in_channels: usize,
    pub conv_out_channels: usize,
    pub loss_mask: Loss,
}

/// `mask_iou_head`.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "YAML keys")]
pub struct MaskIouHead {
    pub num_convs: usize,
    pub num_fcs: usize,
    pub roi_feat_size: usize,
    pub in_channels: usize,
    pub conv_out_channels: usize,
    pub fc_out_channels: usize,
    pub loss_iou: Loss,
}

/// `roi` and `mask_roi`.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "YAML keys")]
pub struct Roi {
    pub roi_layer: RoiLayer,
    pub out_channels: usize,
    pub featmap_strides: Vec<usize>,
    pub finest_scale: usize,
    pub sample_num: usize,
}

/// `roi_layer`.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "YAML keys")]
pub struct RoiLayer {
    pub r#type: String,
    pub out_size: usize,
    /// 0: adaptive.
    pub sampling_ratio: usize,
}

/// `train_cfg`.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "YAML keys")]
pub struct TrainCfg {
    pub rpn: TrainStage,
    pub rpn_proposal: Proposals,
    pub rcnn: TrainRcnn,
}

/// `train_cfg.rpn`.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "YAML keys")]
pub struct TrainStage {
    pub assigner: Assigner,
    pub sampler: Sampler,
}

/// `train_cfg.rcnn`.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "YAML keys")]
pub struct TrainRcnn {
    pub assigner: Assigner,
    pub sampler: Sampler,
    pub mask_size: usize,
    pub mask_thr_binary: f64,
}

/// `assigner`.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "YAML keys")]
pub struct Assigner {
    pub pos_iou_thr: f64,
    pub neg_iou_thr: f64,
    pub min_pos_iou: f64,
    pub match_low_quality: bool,
}

/// `sampler`.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "YAML keys")]
pub struct Sampler {
    pub num: usize,
    pub pos_fraction: f64,
    pub neg_pos_ub: f64,
    pub add_gt_as_proposals: bool,
}

/// `train_cfg.rpn_proposal` and `test_cfg.rpn`.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "YAML keys")]
pub struct Proposals {
    pub nms_pre: usize,
    pub max_per_img: usize,
    pub iou_threshold: f64,
    pub min_bbox_size: f64,
}

/// `test_cfg`.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "YAML keys")]
pub struct TestCfg {
    pub rpn: Proposals,
    pub rcnn: TestRcnn,
}

/// `test_cfg.rcnn`.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "YAML keys")]
pub struct TestRcnn {
    pub score_thr: f64,
    pub iou_threshold: f64,
    pub max_per_img: usize,
    pub mask_thr_binary: f64,
}
