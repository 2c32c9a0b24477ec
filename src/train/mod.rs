//! The mathematics of a training step: who is assigned to what, what is drawn, the six losses, the update. No IO.
//!
//! Axes: N images, G ground truths, B boxes, R RoIs, P positives, C foreground classes.

mod assigner;
mod initial;
mod loss_scale;
mod optimizer;
mod roi_samples;
mod rpn_samples;
mod sampler;
mod schedule;
mod step;
mod targets;

pub use assigner::{Assigned, assign};
pub use initial::{CLASS_LAYERS, initial_weights};
pub use loss_scale::{LossScale, Verdict};
pub use optimizer::{Optimizer, Update};
pub use roi_samples::{RoiSamples, draw_rois, roi_losses};
pub use rpn_samples::{AnchorSamples, draw_anchors, rpn_losses};
pub use sampler::{Draw, Drawn, draw};
pub use schedule::Schedule;
pub use step::{Batch, Losses, losses, losses_at};
pub use targets::{mask_iou_targets, mask_targets};

use crate::model::ModelError;

/// Why a step failed.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// The network.
    #[error(transparent)]
    Model(Box<ModelError>),
    /// A tensor operation failed.
    #[error("tensor operation failed: {0}")]
    Tensor(#[from] candle_core::Error),
    /// A ground truth has a label that the model has no class for.
    #[error("image {image} has an object of class {label}, but the model has {classes} classes")]
    Label {
        /// Index in the batch.
        image: usize,
        /// 0-based.
        label: usize,
        /// Foreground classes.
        classes: usize,
    },
}

impl From<ModelError> for TrainError {
    fn from(error: ModelError) -> Self {
        Self::Model(Box::new(error))
    }
}
