//! Which format a file has, by its first bytes and never by its name (semantics.md 5.1).

use super::mindspore::{self, MindsporeError};
use super::pickle::PickleError;
use super::safetensors::SafetensorsError;
use super::torch::TorchError;

/// A format that can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// safetensors, ours or another's.
    Safetensors,
    /// PyTorch since 1.6.
    TorchZip,
    /// PyTorch before 1.6.
    TorchLegacy,
    /// A plain pickle of numpy arrays, as detectron2's model zoo has.
    Pickle,
    /// MindSpore `.ckpt`.
    Mindspore,
}

impl Format {
    /// For example `PyTorch (zip)`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Safetensors => "safetensors",
            Self::TorchZip => "PyTorch (zip)",
            Self::TorchLegacy => "PyTorch (legacy)",
            Self::Pickle => "pickle",
            Self::Mindspore => "MindSpore",
        }
    }
}

/// Why bytes are no checkpoint that can be read.
#[derive(Debug, thiserror::Error)]
pub enum FormatError {
    /// Nothing there.
    #[error("empty or truncated: {len} bytes")]
    Empty {
        /// Length of the file.
        len: usize,
    },
    /// A stand-in that git-lfs left.
    #[error(
        "a git-lfs pointer, not the file itself: fetch it with `git lfs pull` or download it again"
    )]
    LfsPointer,
    /// A download that went wrong.
    #[error("a web page, not a checkpoint: the download went wrong, fetch the file again")]
    WebPage,
    /// Some JSON.
    #[error("a JSON text, not a checkpoint")]
    Json,
    /// An encrypted MindSpore file.
    #[error("an encrypted MindSpore checkpoint: save it again without enc_key")]
    Encrypted,
    /// The tar container of the first PyTorch versions.
    #[error(
        "a tar container of PyTorch's first versions, too old: load it once with PyTorch and save it again"
    )]
    TooOld,
    /// None of the known formats.
    #[error(
        "not a checkpoint that can be read (safetensors, PyTorch .pth, MindSpore .ckpt, pickled numpy arrays)"
    )]
    Unknown,
    /// A broken safetensors file.
    #[error(transparent)]
    Safetensors(#[from] SafetensorsError),
    /// A broken MindSpore file.
    #[error(transparent)]
    Mindspore(#[from] MindsporeError),
    /// A broken or forbidden pickle.
    #[error(transparent)]
    Pickle(#[from] PickleError),
    /// A broken PyTorch file.
    #[error(transparent)]
    Torch(#[from] TorchError),
}

/// Shortest file that can be anything.
const MIN_BYTES: usize = 16;
/// Longest header of a safetensors file.
pub(super) const MAX_SAFETENSORS_HEADER: u64 = 100_000_000;
/// A pickle of protocol 2 holding the magic number of `torch.save`, and its end.
const TORCH_LEGACY: &[u8] = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19";
/// AES-GCM, AES-CBC and SM4-CBC blocks of MindSpore.
const ENCRYPTED: [u32; 3] = [0x7F3A_5ED8, 0x7F3A_5ED9, 0x7F3A_5EDA];

/// The format of a file.
pub(super) fn detect(bytes: &[u8]) -> Result<Format, FormatError> {
    let starts = |prefix: &[u8]| {
        bytes
            .get(..prefix.len())
            .is_some_and(|head| head.eq_ignore_ascii_case(prefix))
    };
    let (Some(head), true) = (bytes.first_chunk::<8>(), bytes.len() >= MIN_BYTES) else {
        return Err(FormatError::Empty { len: bytes.len() });
    };
    if starts(b"version https://git-lfs") {
        return Err(FormatError::LfsPointer);
    }
    if starts(b"<!DOCTYPE") || starts(b"<html") {
        return Err(FormatError::WebPage);
    }
    if starts(b"{\"") {
        return Err(FormatError::Json);
    }
    if bytes.starts_with(b"PK\x03\x04") {
        return Ok(Format::TorchZip);
    }
    if bytes.starts_with(TORCH_LEGACY) {
        return Ok(Format::TorchLegacy);
    }
    if matches!(head, [0x80, 2..=5, ..]) {
        return Ok(Format::Pickle);
    }
    let header = u64::from_le_bytes(*head);
    let room = (bytes.len() as u64 - 8).min(MAX_SAFETENSORS_HEADER);
    if (2..=room).contains(&header) && bytes.get(8) == Some(&b'{') {
        return Ok(Format::Safetensors);
    }
    let [a, b, c, d, ..] = *head;
    let word = [a, b, c, d];
    if ENCRYPTED.contains(&u32::from_le_bytes(word))
        || ENCRYPTED.contains(&u32::from_be_bytes(word))
    {
        return Err(FormatError::Encrypted);
    }
    if bytes.get(257..262) == Some(b"ustar") {
        return Err(FormatError::TooOld);
    }
    if mindspore::looks_like(bytes) {
        return Ok(Format::Mindspore);
    }
    if bytes.get(8) == Some(&b'{') && header > room {
        // Certainly meant as safetensors: say what is wrong with it.
        return Err(SafetensorsError::HeaderLength { header, room }.into());
    }
    Err(FormatError::Unknown)
}
