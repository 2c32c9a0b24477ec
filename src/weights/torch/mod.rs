//! PyTorch `.pth` (zip and legacy containers) and plain pickles of numpy arrays (semantics.md 5.3).

mod container;
mod legacy;
mod numpy;
mod state;
mod storage;

use std::sync::Arc;

use super::format::{Format, FormatError};
use super::pickle::{self, PickleError};
use super::raw::{RawTensor, TensorError};
use super::source::Source;

/// Why a PyTorch file was refused.
#[derive(Debug, thiserror::Error)]
pub enum TorchError {
    /// The zip container is broken.
    #[error("PyTorch: the zip container is truncated or damaged: {0}")]
    Zip(String),
    /// A compiled program.
    #[error("a TorchScript program, not a checkpoint: save the model's state_dict instead")]
    TorchScript,
    /// numpy's container.
    #[error("a numpy .npz archive, not a PyTorch checkpoint")]
    Npz,
    /// Some other zip file.
    #[error("a zip file without data.pkl: no PyTorch checkpoint")]
    NotTorch,
    /// A big-endian machine wrote it.
    #[error("PyTorch: written on a big-endian machine, which is not read")]
    BigEndian,
    /// An entry that could deceive: doubled, overlapping, encrypted or inflating without measure.
    #[error("PyTorch: refused, {name} in the zip container {what}")]
    Entry {
        /// Name of the entry.
        name: String,
        /// What is wrong with it.
        what: String,
    },
    /// The pickle names a storage that the file lacks.
    #[error("PyTorch: storage {0} is not in the file (truncated?)")]
    StorageMissing(String),
    /// A storage with other bytes than the pickle claims.
    #[error(
        "PyTorch: storage {key} claims {claimed} bytes, {have} are there: truncated, or made to deceive"
    )]
    StorageSize {
        /// Key of the storage.
        key: String,
        /// Claimed.
        claimed: u64,
        /// There.
        have: u64,
    },
    /// A part of the legacy container that is not as it should be.
    #[error("PyTorch: {0} of the legacy container is not as it should be")]
    Legacy(&'static str),
    /// No dict of tensors anywhere.
    #[error("PyTorch: no state_dict: the file holds {0}")]
    NoState(String),
    /// A value that should be a tensor cannot be read as one.
    #[error("PyTorch: {name} is {what}, which cannot be read as a tensor")]
    NotTensor {
        /// Name in the state_dict.
        name: String,
        /// What it is.
        what: String,
    },
    /// Arguments of a known call that are not as they should be.
    #[error("PyTorch: {name}: {what} is not as it should be")]
    Malformed {
        /// Name in the state_dict.
        name: String,
        /// The part.
        what: &'static str,
    },
    /// Sizes, strides and storage contradict each other.
    #[error("PyTorch: {name}: {problem}")]
    Tensor {
        /// Name in the state_dict.
        name: String,
        /// What contradicts.
        problem: TensorError,
    },
    /// More tensors than any model has.
    #[error("PyTorch: {count} tensors, at most {limit} are read")]
    TooMany {
        /// How many.
        count: usize,
        /// Limit.
        limit: usize,
    },
}

/// A parsed file.
#[derive(Debug, Default)]
pub(super) struct TorchFile {
    /// In the order of the state_dict.
    pub tensors: Vec<(String, RawTensor)>,
    /// `CLASSES` and its newer spellings.
    pub classes: Option<Vec<String>>,
    /// mmdetection's configuration, Python text that is never evaluated.
    pub config_text: Option<String>,
    /// What was left out.
    pub notes: Vec<String>,
}

/// Reads a file of one of the three containers; tensors point into `source` or into inflated entries.
pub(super) fn read(source: &Arc<Source>, format: Format) -> Result<TorchFile, FormatError> {
    match format {
        Format::TorchZip => {
            let container = container::Container::open(source)?;
            let (bytes, storages) = container.pickle()?;
            let pickle = pickle::parse(bytes.bytes(), 0)?;
            Ok(state::read(&pickle, &bytes, &storages)?)
        }
        Format::TorchLegacy => legacy::read(source),
        _ => {
            let pickle = pickle::parse(source, 0)?;
            let whole = super::source::Span::new(source, 0, source.len())
                .ok_or(PickleError::Stack { at: 0 })?;
            Ok(state::read(&pickle, &whole, &storage::Storages::default())?)
        }
    }
}
