//! Mask Scoring R-CNN. No IO.
//!
//! Axes: N images, H and W of the input; R RoIs; S = 28 rows and columns of a mask.

pub mod anchors;
pub mod box_coder;
pub mod box_head;
mod conv_norm;
pub mod fpn;
pub mod mask_head;
pub mod mask_iou_head;
mod parameters;
mod params;
pub mod pooler;
pub mod postprocess;
pub mod resnet;
pub mod rpn;

use candle_core::{Device, Tensor};

use crate::config::{Config, Dialect, Proposals as ProposalRules, TestRcnn};
use crate::ops::sigmoid_tensor;
use crate::structures::{BoxXyxy, Detection, ImageTransform, Precision};
use crate::weights::{IouHead, LoadedCheckpoint, WeightsError};
use box_head::{BoxHead, DetectedBox};
use fpn::Fpn;
use mask_head::MaskHead;
use mask_iou_head::MaskIouHead;
use params::{Params, Source};
use pooler::{ImageRoi, RoiPooler};
use postprocess::{MaskedBox, to_image};
use resnet::ResNet;
use rpn::RpnHead;

pub use crate::ops::GradientTap;
#[cfg(feature = "nccl")]
pub use crate::ops::cuda::{Lane, Ring};
pub use parameters::ParameterSet;

/// Detections per pass through the mask heads: about 300 MB of activations at full size.
const MASK_CHUNK: usize = 128;

/// Why a model could not be built or run.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// A weight is missing or has another shape.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// A weight is not a number.
    #[error("weight {name} holds NaN or infinity: the checkpoint is damaged; use another one")]
    BrokenWeight {
        /// Canonical name.
        name: String,
    },
    /// A tensor operation failed.
    #[error("tensor operation failed: {0}")]
    Tensor(#[from] candle_core::Error),
    /// Scores are not numbers.
    #[error("{stage} are not finite numbers: weights or input contain NaN or overflow")]
    Nan {
        /// Where it was noticed.
        stage: &'static str,
    },
    /// A batch that does not fit together.
    #[error("a batch of {images} images came with {transforms} transforms")]
    Batch {
        /// Images in the tensor.
        images: usize,
        /// Transforms beside it.
        transforms: usize,
    },
}

/// Images as the network sees them.
#[derive(Debug)]
pub struct InputBatch {
    /// (N,3,H,W), normalised and padded.
    pub images: Tensor,
    /// One transform an image.
    pub transforms: Vec<ImageTransform>,
}

/// The whole network with its weights. The parts are public so that each stage can be run and measured alone.
#[derive(Debug, Clone)]
pub struct Detector {
    /// Image -> C2..C5.
    pub backbone: ResNet,
    /// C2..C5 -> P2..P6.
    pub fpn: Fpn,
    /// P2..P6 -> proposals.
    pub rpn: RpnHead,
    /// Proposals -> boxes with class and score.
    pub box_head: BoxHead,
    /// Features of detections for the two mask heads.
    pub mask_pooler: RoiPooler,
    /// Detections -> masks.
    pub mask_head: MaskHead,
    /// Masks -> their predicted IoU; none for a model without a trained head.
    pub mask_iou_head: Option<MaskIouHead>,
    proposal_rules: ProposalRules,
    selection: TestRcnn,
}

impl Detector {
    /// Builds the network of `checkpoint.config` from its weights on `device`, in float32.
    ///
    /// # Errors
    /// A missing, misshapen or damaged weight.
    pub fn new(checkpoint: &LoadedCheckpoint, device: &Device) -> Result<Self, ModelError> {
        Self::in_precision(checkpoint, device, Precision::Float32)
    }

    /// As `new`, with products of another precision where the device has it: CUDA alone.
    ///
    /// # Errors
    /// A missing, misshapen or damaged weight.
    pub fn in_precision(
        checkpoint: &LoadedCheckpoint,
        device: &Device,
        precision: Precision,
    ) -> Result<Self, ModelError> {
        let config = &checkpoint.config;
        let params = &Params {
            source: Source::Checkpoint(&checkpoint.weights, device, precision),
            sums: params::sums(config.neck.fpn.out_channels),
        };
        Self::build(params, config, checkpoint.dialect, checkpoint.iou_head)
    }

    /// The network of `config` on tensors in training: its layers see every update.
    ///
    /// # Errors
    /// A tensor that `config` needs and `set` lacks.
    pub fn trainable(
        set: &ParameterSet,
        config: &Config,
        dialect: Dialect,
    ) -> Result<Self, ModelError> {
        let params = &Params {
            source: Source::Training(set),
            sums: params::sums(config.neck.fpn.out_channels),
        };
        let iou_head = if config.mask_iou_head.loss_iou.loss_weight > 0.0 {
            IouHead::Trained
        } else {
            IouHead::Untrained
        };
        Self::build(params, config, dialect, iou_head)
    }

    fn build(
        params: &Params<'_>,
        config: &Config,
        dialect: Dialect,
        iou_head: IouHead,
    ) -> Result<Self, ModelError> {
        Ok(Self {
            backbone: ResNet::new(params, &config.backbone)?,
            fpn: Fpn::new(params, &config.neck.fpn)?,
            rpn: RpnHead::new(params, &config.rpn, dialect)?,
            box_head: BoxHead::new(params, config, dialect)?,
            mask_pooler: RoiPooler::new(&config.mask_roi),
            mask_head: MaskHead::new(params, config)?,
            mask_iou_head: match iou_head {
                IouHead::Trained => Some(MaskIouHead::new(params, config)?),
                IouHead::Untrained => None,
            },
            proposal_rules: config.test_cfg.rpn.clone(),
            selection: config.test_cfg.rcnn.clone(),
        })
    }

    /// Detections of each image, best score first.
    ///
    /// # Errors
    /// NaN in the input or overflow in the network; a batch that does not fit together; a failed tensor operation.
    pub fn detect(&self, input: &InputBatch) -> Result<Vec<Vec<Detection>>, ModelError> {
        let pyramid = self.pyramid(input)?;
        let levels = self.rpn.forward(&pyramid)?;
        let proposals = self
            .rpn
            .propose(&levels, &input.transforms, &self.proposal_rules)?;
        let boxes = self
            .box_head
            .detect(&pyramid, &proposals, &input.transforms)?;
        let masked = self.masks(&pyramid, &boxes)?;
        let threshold = self.selection.mask_thr_binary as f32;
        let images = masked.iter().zip(&input.transforms);
        images
            .map(|(found, transform)| match input.images.device() {
                #[cfg(feature = "cuda")]
                Device::Cuda(device) => {
                    let on = crate::ops::cuda::Cuda(device);
                    Ok(postprocess::to_image_on(&on, found, transform, threshold)?)
                }
                _ => Ok(to_image(found, transform, threshold)),
            })
            .collect()
    }

    /// (N,3,H,W) -> P2..P6, for boxes that are asked about one after the other.
    ///
    /// # Errors
    /// NaN in the input; a failed tensor operation.
    pub fn pyramid(&self, input: &InputBatch) -> Result<Vec<Tensor>, ModelError> {
        check_input(input)?;
        self.fpn.forward(&self.backbone.forward(&input.images)?)
    }

    /// What the heads say of a box of the input that somebody drew, in the first image of `pyramid`: its mask, class and
    /// score. The box stays as it is. Without `label` the class is the most probable one.
    ///
    /// # Errors
    /// NaN or infinite outputs; a failed tensor operation.
    pub fn detect_in(
        &self,
        pyramid: &[Tensor],
        transform: &ImageTransform,
        bbox: BoxXyxy,
        label: Option<usize>,
    ) -> Result<Detection, ModelError> {
        let (label, score) = self.box_head.classify(pyramid, bbox, label)?;
        let detected = DetectedBox { bbox, label, score };
        let masked = self.mask_chunk(pyramid, 0, &[detected])?;
        let threshold = self.selection.mask_thr_binary as f32;
        let mut found = to_image(&masked, transform, threshold);
        found.pop().ok_or(ModelError::Nan { stage: "masks" })
    }

    /// Pyramid levels and the boxes of each image -> the same boxes with mask and predicted mask IoU.
    ///
    /// # Errors
    /// NaN or infinite outputs; a failed tensor operation.
    pub fn masks(
        &self,
        pyramid: &[Tensor],
        boxes: &[Vec<DetectedBox>],
    ) -> Result<Vec<Vec<MaskedBox>>, ModelError> {
        let of_image = |(image, found): (usize, &Vec<DetectedBox>)| {
            let mut masked = Vec::with_capacity(found.len());
            for found in found.chunks(MASK_CHUNK) {
                masked.extend(self.mask_chunk(pyramid, image, found)?);
            }
            Ok(masked)
        };
        boxes.iter().enumerate().map(of_image).collect()
    }

    fn mask_chunk(
        &self,
        pyramid: &[Tensor],
        image: usize,
        found: &[DetectedBox],
    ) -> Result<Vec<MaskedBox>, ModelError> {
        let roi = |found: &DetectedBox| ImageRoi {
            image,
            bbox: found.bbox,
        };
        let rois: Vec<ImageRoi> = found.iter().map(roi).collect();
        let features = self.mask_pooler.pool(pyramid, &rois)?;
        let labels = label_tensor(found.iter().map(|found| found.label), features.device())?;
        let masks = sigmoid_tensor(&self.mask_head.forward(&features, &labels)?)?;
        let ious = match &self.mask_iou_head {
            Some(head) => head
                .score(&features, &masks, &labels)?
                .to_vec1::<f32>()?
                .into_iter()
                .map(Some)
                .collect(),
            None => vec![None; found.len()],
        };
        let masks = masks.flatten_from(1)?.to_vec2::<f32>()?; // (R,S,S) -> (R,S·S)
        let not_finite = |values: &[f32]| values.iter().any(|value| !value.is_finite());
        if masks.iter().any(|mask| not_finite(mask)) {
            return Err(ModelError::Nan { stage: "masks" });
        }
        if ious.iter().flatten().any(|iou: &f32| !iou.is_finite()) {
            return Err(ModelError::Nan { stage: "mask IoUs" });
        }
        let rows = found.iter().zip(masks).zip(ious);
        Ok(rows
            .map(|((&detected, mask), mask_iou)| MaskedBox {
                detected,
                mask,
                mask_iou,
            })
            .collect())
    }
}

fn check_input(input: &InputBatch) -> Result<(), ModelError> {
    let (images, ..) = input.images.dims4()?;
    if images != input.transforms.len() {
        return Err(ModelError::Batch {
            images,
            transforms: input.transforms.len(),
        });
    }
    // A ReLU may turn NaN into 0, so that it must be found before the first one.
    let sum = input.images.sum_all()?.to_scalar::<f32>()?;
    if sum.is_finite() {
        Ok(())
    } else {
        Err(ModelError::Nan {
            stage: "input values",
        })
    }
}

/// Labels as indices for candle: (R), u32.
///
/// # Errors
/// A failed copy to the device.
pub fn label_tensor(
    labels: impl IntoIterator<Item = usize>,
    device: &Device,
) -> candle_core::Result<Tensor> {
    let labels: Vec<u32> = labels.into_iter().map(|label| label as u32).collect();
    let count = labels.len();
    Tensor::from_vec(labels, count, device)
}
