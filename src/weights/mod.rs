//! Checkpoints: safetensors, PyTorch `.pth`, MindSpore `.ckpt` become one map of tensors under canonical names.
//!
//! `format` tells the formats apart, `safetensors`, `torch` (with `pickle`) and `mindspore` read them into `raw`
//! tensors that stay in the mapped file, `names` and `rows` put them under canonical names and row order, `survey`
//! compares them with the tensors of `canonical`, `resolve` decides configuration, dialect and classes.

mod canonical;
mod error;
mod format;
pub mod formula;
mod inspect;
mod load;
mod mindspore;
mod mismatch;
mod names;
mod opened;
mod pickle;
mod proposals;
mod protobuf;
mod raw;
mod resolve;
mod rows;
mod safetensors;
mod save;
mod source;
mod survey;
mod tensors;
mod torch;
mod widths;

pub use canonical::{Kind, Parameter, backbone_parameters, parameters};
pub use error::WeightsError;
pub use format::{Format, FormatError};
pub use inspect::{InspectedModel, InspectedTensor, Inspection, inspect};
pub use load::{
    IouColumns, IouHead, LoadOptions, LoadedBackbone, LoadedCheckpoint, load, load_backbone,
};
pub use mindspore::MindsporeError;
pub use mismatch::{Mismatch, Misshapen};
pub use names::Naming;
pub use opened::{FileTensor, file_tensors, load_tensors, load_tensors_of_bytes, tensors_of_bytes};
pub use pickle::PickleError;
pub use proposals::Proposals;
pub use raw::{Dtype, TensorError};
pub use safetensors::SafetensorsError;
pub use save::{CheckpointMetadata, StoredType, TrainingProgress, save, save_tensors};
pub use tensors::Weights;
pub use torch::TorchError;
