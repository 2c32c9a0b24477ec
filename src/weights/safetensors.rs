//! The safetensors format: reading, with every offset checked.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::sync::Arc;

use serde::Deserialize;
use serde::de::{MapAccess, Visitor};

use super::format::MAX_SAFETENSORS_HEADER;
use super::raw::{Dtype, RawTensor, TensorError};
use super::source::{Source, Span};

/// Why a safetensors file was refused.
#[derive(Debug, thiserror::Error)]
pub enum SafetensorsError {
    /// A header longer than the file or the limit.
    #[error("safetensors: the header claims {header} bytes, at most {room} are possible")]
    HeaderLength {
        /// Claimed length.
        header: u64,
        /// Bytes after the length, at most 100 MB.
        room: u64,
    },
    /// The header is not what it should be.
    #[error("safetensors: the header is broken: {0}")]
    Header(serde_json::Error),
    /// A name appears twice.
    #[error("safetensors: {0} appears twice")]
    Duplicate(String),
    /// An element type that is not known.
    #[error("safetensors: {name} has the element type {dtype}, which cannot be read")]
    Dtype {
        /// The tensor.
        name: String,
        /// Its type.
        dtype: String,
    },
    /// Shape and bytes contradict each other.
    #[error("safetensors: {name}: {problem}")]
    Tensor {
        /// The tensor.
        name: String,
        /// What contradicts.
        problem: TensorError,
    },
    /// The tensors leave a gap, overlap or reach beyond the end.
    #[error(
        "safetensors: {name} lies at {start}..{end}, but {expected} was expected as its start and the data has {len} bytes (truncated, or made to deceive)"
    )]
    Offsets {
        /// The tensor.
        name: String,
        /// First byte.
        start: u64,
        /// After the last byte.
        end: u64,
        /// Where it should start.
        expected: u64,
        /// Length of the data section.
        len: u64,
    },
    /// Bytes after the last tensor.
    #[error("safetensors: {extra} bytes belong to no tensor")]
    Trailing {
        /// How many.
        extra: u64,
    },
}

/// A parsed file.
#[derive(Debug)]
pub(super) struct SafetensorsFile {
    /// In the order of the data.
    pub tensors: Vec<(String, RawTensor)>,
    /// `__metadata__`.
    pub metadata: BTreeMap<String, String>,
}

/// Reads the header; tensors point into `source`.
pub(super) fn read(source: &Arc<Source>) -> Result<SafetensorsFile, SafetensorsError> {
    let header_len = source
        .first_chunk::<8>()
        .map_or(0, |head| u64::from_le_bytes(*head));
    let room = (source.len() as u64)
        .saturating_sub(8)
        .min(MAX_SAFETENSORS_HEADER);
    let too_long = || SafetensorsError::HeaderLength {
        header: header_len,
        room,
    };
    if header_len > room {
        return Err(too_long());
    }
    let data_start = usize::try_from(header_len).map_err(|_| too_long())? + 8;
    let text = source.get(8..data_start).unwrap_or_default();
    let header: Header = serde_json::from_slice(text).map_err(SafetensorsError::Header)?;
    check_unique(&header)?;
    let tensors = tiles(header.entries, source, data_start)?;
    Ok(SafetensorsFile {
        tensors,
        metadata: header.metadata.into_iter().flat_map(|m| m.0).collect(),
    })
}

fn check_unique(header: &Header) -> Result<(), SafetensorsError> {
    let mut seen = HashSet::new();
    if header.metadata.len() > 1 {
        return Err(SafetensorsError::Duplicate(METADATA.into()));
    }
    for (name, _) in &header.entries {
        if !seen.insert(name.as_str()) {
            return Err(SafetensorsError::Duplicate(name.clone()));
        }
    }
    seen.clear();
    for (key, _) in header.metadata.iter().flat_map(|m| &m.0) {
        if !seen.insert(key.as_str()) {
            return Err(SafetensorsError::Duplicate(format!("{METADATA}.{key}")));
        }
    }
    Ok(())
}

/// Tensors must follow one another without gap or overlap and fill the data section.
fn tiles(
    mut entries: Vec<(String, Entry)>,
    source: &Arc<Source>,
    data_start: usize,
) -> Result<Vec<(String, RawTensor)>, SafetensorsError> {
    entries.sort_by_key(|(_, entry)| entry.data_offsets);
    let len = (source.len() - data_start) as u64;
    let mut expected = 0;
    let mut tensors = Vec::with_capacity(entries.len());
    for (name, entry) in entries {
        let [start, end] = entry.data_offsets;
        if start != expected || end < start || end > len {
            return Err(SafetensorsError::Offsets {
                name,
                start,
                end,
                expected,
                len,
            });
        }
        expected = end;
        let tensor = tensor(&name, entry, source, data_start)?;
        tensors.push((name, tensor));
    }
    if expected != len {
        return Err(SafetensorsError::Trailing {
            extra: len - expected,
        });
    }
    Ok(tensors)
}

fn tensor(
    name: &str,
    entry: Entry,
    source: &Arc<Source>,
    data_start: usize,
) -> Result<RawTensor, SafetensorsError> {
    let Some(dtype) = dtype(&entry.dtype) else {
        return Err(SafetensorsError::Dtype {
            name: name.into(),
            dtype: entry.dtype,
        });
    };
    // Checked by the caller: start <= end <= length of the data.
    let [start, end] = entry.data_offsets.map(|at| at as usize);
    let span = Span::new(source, data_start + start, end - start);
    RawTensor::contiguous(dtype, entry.shape, span.into_iter().collect()).map_err(|problem| {
        SafetensorsError::Tensor {
            name: name.into(),
            problem,
        }
    })
}

fn dtype(name: &str) -> Option<Dtype> {
    Some(match name {
        "F64" => Dtype::F64,
        "F32" => Dtype::F32,
        "F16" => Dtype::F16,
        "BF16" => Dtype::Bf16,
        "I64" => Dtype::I64,
        "I32" => Dtype::I32,
        "I16" => Dtype::I16,
        "I8" => Dtype::I8,
        "U64" => Dtype::U64,
        "U32" => Dtype::U32,
        "U16" => Dtype::U16,
        "U8" => Dtype::U8,
        "BOOL" => Dtype::Bool,
        _ => return None,
    })
}

const METADATA: &str = "__metadata__";

/// The header with every pair that the text has; a map would hide duplicates.
struct Header {
    entries: Vec<(String, Entry)>,
    metadata: Vec<Pairs>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    dtype: String,
    shape: Vec<usize>,
    data_offsets: [u64; 2],
}

struct Pairs(Vec<(String, String)>);

impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct HeaderVisitor;
        impl<'de> Visitor<'de> for HeaderVisitor {
            type Value = Header;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of tensors")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Header, A::Error> {
                let mut header = Header {
                    entries: Vec::new(),
                    metadata: Vec::new(),
                };
                while let Some(name) = map.next_key::<String>()? {
                    if name == METADATA {
                        header.metadata.push(map.next_value()?);
                    } else {
                        header.entries.push((name, map.next_value()?));
                    }
                }
                Ok(header)
            }
        }
        deserializer.deserialize_map(HeaderVisitor)
    }
}

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PairsVisitor;
        impl<'de> Visitor<'de> for PairsVisitor {
            type Value = Pairs;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of strings")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(PairsVisitor)
    }
}
