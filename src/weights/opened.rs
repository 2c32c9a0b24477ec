//! A checkpoint file opened: its tensors under their own names, and what it says about itself.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::error::WeightsError;
use super::format::{self, Format, FormatError};
use super::raw::{Dtype, RawTensor};
use super::source::Source;
use super::tensors::Weights;
use super::{mindspore, safetensors, torch};

/// What a file of any format holds.
#[derive(Debug)]
pub(super) struct Opened {
    /// The file.
    pub path: PathBuf,
    /// Its format.
    pub format: Format,
    /// In the order of the file.
    pub tensors: Vec<(String, RawTensor)>,
    /// `__metadata__` of safetensors.
    pub metadata: BTreeMap<String, String>,
    /// Class names of a PyTorch file.
    pub classes: Option<Vec<String>>,
    /// mmdetection's configuration text.
    pub config_text: Option<String>,
    /// What was left out while reading.
    pub notes: Vec<String>,
}

impl Opened {
    /// Maps and parses a file.
    pub fn open(path: &Path) -> Result<Self, WeightsError> {
        let source = Source::map(path).map_err(|problem| WeightsError::Io {
            problem,
            path: path.to_owned(),
        })?;
        Self::of_source(path, &source)
    }

    /// Parses bytes in memory; `path` is only named in errors.
    pub fn of_bytes(path: &Path, bytes: Vec<u8>) -> Result<Self, WeightsError> {
        Self::of_source(path, &Arc::new(Source::Owned(bytes)))
    }

    fn of_source(path: &Path, source: &Arc<Source>) -> Result<Self, WeightsError> {
        Self::parse(path, source).map_err(|problem| WeightsError::Format {
            problem,
            path: path.to_owned(),
        })
    }

    fn parse(path: &Path, source: &Arc<Source>) -> Result<Self, FormatError> {
        let format = format::detect(source)?;
        let mut opened = Self {
            path: path.to_owned(),
            format,
            tensors: Vec::new(),
            metadata: BTreeMap::new(),
            classes: None,
            config_text: None,
            notes: Vec::new(),
        };
        match format {
            Format::Safetensors => {
                let file = safetensors::read(source)?;
                opened.tensors = file.tensors;
                opened.metadata = file.metadata;
            }
            Format::Mindspore => {
                let file = mindspore::read(source)?;
                opened.tensors = file.tensors;
                opened.notes = file.notes;
            }
            Format::TorchZip | Format::TorchLegacy | Format::Pickle => {
                let file = torch::read(source, format)?;
                opened.tensors = file.tensors;
                opened.classes = file.classes;
                opened.config_text = file.config_text;
                opened.notes = file.notes;
            }
        }
        Ok(opened)
    }

    /// The tensors as floats under their own names, and the metadata.
    fn into_weights(self, path: &Path) -> (Weights, BTreeMap<String, String>) {
        let tensors = self.tensors.into_iter().map(|(name, raw)| {
            let tensor = (raw.shape().to_vec(), raw.to_f32());
            (name, tensor)
        });
        (Weights::from_memory(path, tensors.collect()), self.metadata)
    }

    fn into_file_tensors(self) -> Vec<FileTensor> {
        self.tensors
            .into_iter()
            .map(|(name, raw)| FileTensor { name, raw })
            .collect()
    }
}

/// A tensor of a file under its own name, before any mapping.
#[derive(Debug)]
pub struct FileTensor {
    /// Name in the file.
    pub name: String,
    raw: RawTensor,
}

impl FileTensor {
    /// Element type.
    pub fn dtype(&self) -> Dtype {
        self.raw.dtype()
    }

    /// Sizes.
    pub fn shape(&self) -> &[usize] {
        self.raw.shape()
    }

    /// Little-endian bytes of the elements, row-major.
    pub fn bytes(&self) -> Vec<u8> {
        self.raw.bytes().into_owned()
    }
}

/// Every tensor of a file of any format, in the order of the file.
///
/// # Errors
/// A file that cannot be read.
pub fn file_tensors(path: &Path) -> Result<Vec<FileTensor>, WeightsError> {
    Opened::open(path).map(Opened::into_file_tensors)
}

/// The float tensors of one of our own files as they are named there, and what is kept beside them.
///
/// # Errors
/// A file that cannot be read.
pub fn load_tensors(path: &Path) -> Result<(Weights, BTreeMap<String, String>), WeightsError> {
    Opened::open(path).map(|opened| opened.into_weights(path))
}

/// As `load_tensors`, of bytes in memory; `path` is only named in errors.
///
/// # Errors
/// Bytes that cannot be read.
pub fn load_tensors_of_bytes(path: &Path, bytes: Vec<u8>) -> Result<Weights, WeightsError> {
    Opened::of_bytes(path, bytes).map(|opened| opened.into_weights(path).0)
}

/// As `file_tensors`, of bytes in memory; `path` is only named in errors.
///
/// # Errors
/// Bytes that cannot be read.
pub fn tensors_of_bytes(path: &Path, bytes: Vec<u8>) -> Result<Vec<FileTensor>, WeightsError> {
    Opened::of_bytes(path, bytes).map(Opened::into_file_tensors)
}
