//! Storages: the blocks of elements that tensors are views of.

use std::collections::BTreeMap;

use super::TorchError;
use crate::weights::pickle::{Id, Node, Pickle};
use crate::weights::raw::Dtype;
use crate::weights::source::Span;

/// Bytes of each storage by key.
#[derive(Debug, Default)]
pub(super) struct Storages {
    blocks: BTreeMap<String, Span>,
}

/// What a persistent id says: `('storage', type, key, location, numel[, view])`.
#[derive(Debug)]
pub(super) struct StorageId {
    pub key: String,
    /// `None` for an untyped storage: numel then counts bytes.
    pub dtype: Option<Dtype>,
    pub numel: u64,
    /// Legacy only: offset and elements within the block.
    pub view: Option<(u64, u64)>,
}

impl StorageId {
    /// Bytes of the whole block.
    pub fn byte_len(&self) -> Option<u64> {
        let size = self.dtype.map_or(1, Dtype::size) as u64;
        self.numel.checked_mul(size)
    }

    /// Reads a persistent id; `name` is of the tensor, for messages.
    pub fn read(pickle: &Pickle<'_>, id: Id, name: &str) -> Result<Self, TorchError> {
        let malformed = || TorchError::Malformed {
            name: name.into(),
            what: "its reference to a storage",
        };
        let Node::Persistent(tuple) = pickle.node(id) else {
            return Err(TorchError::NotTensor {
                name: name.into(),
                what: format!("a view of {}", pickle.describe(id)),
            });
        };
        let (&[tag, storage_type, key, _location, numel], rest) = pickle
            .sequence(*tuple)
            .and_then(|ids| ids.split_first_chunk::<5>())
            .ok_or_else(malformed)?;
        if pickle.text(tag) != Some("storage") {
            return Err(malformed());
        }
        let numel = pickle
            .int(numel)
            .and_then(|numel| u64::try_from(numel).ok())
            .ok_or_else(malformed)?;
        let dtype = match pickle.global(storage_type) {
            Some(("torch" | "torch.storage", "UntypedStorage")) => None,
            Some(("torch" | "torch.storage" | "torch.cuda", type_name)) => Some(
                storage_dtype(type_name).ok_or_else(|| TorchError::NotTensor {
                    name: name.into(),
                    what: format!("a view of a {type_name}"),
                })?,
            ),
            _ => return Err(malformed()),
        };
        let view = match rest {
            [] => None,
            [view, ..] => view_of(pickle, *view).ok_or_else(malformed)?,
        };
        Ok(Self {
            key: pickle.text(key).ok_or_else(malformed)?.to_owned(),
            dtype,
            numel,
            view,
        })
    }
}

/// `None`, or `(key, offset, size)`.
fn view_of(pickle: &Pickle<'_>, id: Id) -> Option<Option<(u64, u64)>> {
    if matches!(pickle.node(id), Node::None) {
        return Some(None);
    }
    let &[_key, offset, size] = pickle.sequence(id)? else {
        return None;
    };
    let offset = u64::try_from(pickle.int(offset)?).ok()?;
    let size = u64::try_from(pickle.int(size)?).ok()?;
    Some(Some((offset, size)))
}

/// Element type of `torch.FloatStorage` and its kin.
fn storage_dtype(type_name: &str) -> Option<Dtype> {
    Some(match type_name {
        "DoubleStorage" => Dtype::F64,
        "FloatStorage" => Dtype::F32,
        "HalfStorage" => Dtype::F16,
        "BFloat16Storage" => Dtype::Bf16,
        "LongStorage" => Dtype::I64,
        "IntStorage" => Dtype::I32,
        "ShortStorage" => Dtype::I16,
        "CharStorage" => Dtype::I8,
        "ByteStorage" => Dtype::U8,
        "BoolStorage" => Dtype::Bool,
        _ => return None,
    })
}

/// Element type of `torch.float32` and its kin.
pub(super) fn torch_dtype(name: &str) -> Option<Dtype> {
    Some(match name {
        "float64" | "double" => Dtype::F64,
        "float32" | "float" => Dtype::F32,
        "float16" | "half" => Dtype::F16,
        "bfloat16" => Dtype::Bf16,
        "int64" | "long" => Dtype::I64,
        "int32" | "int" => Dtype::I32,
        "int16" | "short" => Dtype::I16,
        "int8" => Dtype::I8,
        "uint8" => Dtype::U8,
        "uint16" => Dtype::U16,
        "uint32" => Dtype::U32,
        "uint64" => Dtype::U64,
        "bool" => Dtype::Bool,
        _ => return None,
    })
}

impl Storages {
    /// Storages from their blocks.
    pub fn new(blocks: BTreeMap<String, Span>) -> Self {
        Self { blocks }
    }

    /// The bytes that a persistent id stands for. The block must be exactly as long as the id claims.
    pub fn span(&self, id: &StorageId) -> Result<Span, TorchError> {
        let block = self
            .blocks
            .get(&id.key)
            .ok_or_else(|| TorchError::StorageMissing(id.key.clone()))?;
        let wrong = |claimed| TorchError::StorageSize {
            key: id.key.clone(),
            claimed,
            have: block.len() as u64,
        };
        let claimed = id.byte_len().ok_or_else(|| wrong(u64::MAX))?;
        if claimed != block.len() as u64 {
            return Err(wrong(claimed));
        }
        let Some((offset, size)) = id.view else {
            return Ok(block.clone());
        };
        let element = id.dtype.map_or(1, Dtype::size) as u64;
        offset
            .checked_mul(element)
            .zip(size.checked_mul(element))
            .and_then(|(start, len)| {
                block.slice(usize::try_from(start).ok()?, usize::try_from(len).ok()?)
            })
            .ok_or_else(|| wrong(offset.saturating_add(size).saturating_mul(element)))
    }
}
