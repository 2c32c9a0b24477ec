//! MindSpore `.ckpt`: a stream of protobuf messages without header or index (semantics.md 5.2).

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use super::protobuf::{Field, Payload, Reader};
use super::raw::{Dtype, RawTensor, TensorError, element_count};
use super::source::{Source, Span};

/// Why a MindSpore file was refused.
#[derive(Debug, thiserror::Error)]
pub enum MindsporeError {
    /// The checksum does not fit.
    #[error("MindSpore: the checksum is {got:08x}, the bytes give {want:08x}: the file is damaged")]
    Crc {
        /// In the trailer.
        got: u64,
        /// Computed.
        want: u64,
    },
    /// A length that reaches beyond its message.
    #[error(
        "MindSpore: at byte {at} a field claims {claimed} bytes, {left} are left: truncated or damaged"
    )]
    Truncated {
        /// Offset in the file.
        at: usize,
        /// Claimed length.
        claimed: u64,
        /// Bytes left.
        left: usize,
    },
    /// A number of more than 64 bits or one that does not end.
    #[error("MindSpore: at byte {at} is no valid number: truncated or damaged")]
    Varint {
        /// Offset in the file.
        at: usize,
    },
    /// A field that does not belong there.
    #[error(
        "MindSpore: at byte {at} is field {field} of wire type {wire}, which a checkpoint does not have there"
    )]
    Field {
        /// Offset in the file.
        at: usize,
        /// Number of the field.
        field: u64,
        /// Its wire type.
        wire: u8,
    },
    /// A message without a required field.
    #[error("MindSpore: the entry at byte {at} has no {what}")]
    Incomplete {
        /// Offset in the file.
        at: usize,
        /// The field.
        what: &'static str,
    },
    /// A name or type that is no text.
    #[error("MindSpore: at byte {at} is a name that is not UTF-8")]
    Text {
        /// Offset in the file.
        at: usize,
    },
    /// A negative or absurd size.
    #[error("MindSpore: {name} has the size {size} in its shape")]
    Dim {
        /// The tensor.
        name: String,
        /// The size, as written.
        size: u64,
    },
    /// More sizes than any tensor has.
    #[error("MindSpore: {name} has more than {limit} sizes in its shape")]
    Rank {
        /// The tensor.
        name: String,
        /// Most sizes.
        limit: usize,
    },
    /// Shape and bytes contradict each other.
    #[error("MindSpore: {name}: {problem}")]
    Tensor {
        /// The tensor.
        name: String,
        /// What contradicts.
        problem: TensorError,
    },
    /// A name that appears twice, apart from the pieces of one tensor.
    #[error("MindSpore: {0} appears twice")]
    Duplicate(String),
}

/// A parsed file.
#[derive(Debug)]
pub(super) struct MindsporeFile {
    /// In the order of the file.
    pub tensors: Vec<(String, RawTensor)>,
    /// Entries that hold no numbers, one line each.
    pub notes: Vec<String>,
}

/// `crc_num` and ten bytes of a big-endian number.
const TRAILER: usize = 17;
const TRAILER_MAGIC: &[u8] = b"crc_num";
/// numpy's limit, which MindSpore inherits.
const MAX_RANK: usize = 32;

/// Whether the first message has the shape of a checkpoint's.
pub(super) fn looks_like(bytes: &[u8]) -> bool {
    let mut reader = Reader::new(bytes, 0..bytes.len());
    match reader.next_field() {
        Ok(Some(Field {
            number: 1,
            payload: Payload::Bytes(range),
            ..
        })) => bytes.get(range.start) == Some(&0x0A),
        _ => false,
    }
}

/// Reads all entries; tensors point into `source`.
pub(super) fn read(source: &Arc<Source>) -> Result<MindsporeFile, MindsporeError> {
    let end = checked_end(source)?;
    let mut entries = Vec::<Entry>::new();
    let mut notes = Vec::new();
    let mut reader = Reader::new(source, 0..end);
    while let Some(field) = reader.next_field()? {
        let Payload::Bytes(range) = field.payload.clone() else {
            return Err(field.misplaced());
        };
        if field.number != 1 {
            return Err(field.misplaced());
        }
        let entry = read_entry(source, range, field.at)?;
        match entry {
            Value::Map(name) => notes.push(format!("{name} is a map tensor, which is not read")),
            Value::Tensor(entry) => match entries.last_mut() {
                // Slices of one tensor: equal names follow one another, each with the full shape.
                Some(last) if last.same_tensor(&entry) => last.pieces.extend(entry.pieces),
                _ => entries.push(entry),
            },
        }
    }
    let mut seen = HashSet::new();
    let mut tensors = Vec::new();
    for entry in entries {
        if !seen.insert(entry.name.clone()) {
            return Err(MindsporeError::Duplicate(entry.name));
        }
        match entry.into_tensor(source)? {
            Ok(named) => tensors.push(named),
            Err(note) => notes.push(note),
        }
    }
    Ok(MindsporeFile { tensors, notes })
}

/// Length without the trailer, whose checksum must fit.
fn checked_end(bytes: &[u8]) -> Result<usize, MindsporeError> {
    let end = bytes.len().saturating_sub(TRAILER);
    let (body, trailer) = bytes.split_at(end);
    let Some(digits) = trailer.strip_prefix(TRAILER_MAGIC) else {
        return Ok(bytes.len());
    };
    // Ten bytes; the upper ones are zero in a true trailer, so saturation changes nothing.
    let got = digits.iter().fold(0_u64, |sum, &b| {
        sum.saturating_mul(256).saturating_add(b.into())
    });
    let want = u64::from(crc32fast::hash(body));
    if got == want {
        Ok(end)
    } else {
        Err(MindsporeError::Crc { got, want })
    }
}

/// One `Value` message.
enum Value {
    Tensor(Entry),
    Map(String),
}

/// A tensor's name, shape, type and the pieces of its bytes.
struct Entry {
    name: String,
    dims: Vec<u64>,
    type_name: String,
    pieces: Vec<Range<usize>>,
}

impl Entry {
    fn same_tensor(&self, other: &Self) -> bool {
        self.name == other.name && self.dims == other.dims && self.type_name == other.type_name
    }

    /// The tensor, or a note where its type holds no numbers.
    fn into_tensor(
        self,
        source: &Arc<Source>,
    ) -> Result<Result<(String, RawTensor), String>, MindsporeError> {
        let Self {
            name,
            dims,
            type_name,
            pieces,
        } = self;
        let Some(dtype) = dtype(&type_name) else {
            return Ok(Err(format!("{name} of type {type_name} is ignored")));
        };
        let spans: Vec<Span> = pieces
            .into_iter()
            .filter_map(|range| Span::new(source, range.start, range.len()))
            .collect();
        let mut shape = Vec::with_capacity(dims.len());
        for size in dims {
            // An int64 on the wire: negative numbers come out huge.
            match usize::try_from(size) {
                Ok(small) if size <= i64::MAX as u64 => shape.push(small),
                _ => return Err(MindsporeError::Dim { name, size }),
            }
        }
        let len = spans.iter().map(Span::len).sum::<usize>();
        if shape == [0] && len == dtype.size() {
            shape.clear(); // how older versions write a scalar
        }
        if element_count(&shape) == Some(0) && len == 0 {
            return Ok(Err(format!("{name} is empty")));
        }
        match RawTensor::contiguous(dtype, shape, spans) {
            Ok(tensor) => Ok(Ok((name, tensor))),
            Err(problem) => Err(MindsporeError::Tensor { name, problem }),
        }
    }
}

/// Type names of all versions; 2020 spelt `Uint8`.
fn dtype(name: &str) -> Option<Dtype> {
    Some(match name {
        "Float64" => Dtype::F64,
        "Float32" => Dtype::F32,
        "Float16" => Dtype::F16,
        "BFloat16" => Dtype::Bf16,
        "Int64" => Dtype::I64,
        "Int32" => Dtype::I32,
        "Int16" => Dtype::I16,
        "Int8" => Dtype::I8,
        "UInt64" | "Uint64" => Dtype::U64,
        "UInt32" | "Uint32" => Dtype::U32,
        "UInt16" | "Uint16" => Dtype::U16,
        "UInt8" | "Uint8" => Dtype::U8,
        "Bool" => Dtype::Bool,
        _ => return None,
    })
}

fn read_entry(bytes: &[u8], range: Range<usize>, at: usize) -> Result<Value, MindsporeError> {
    let mut name = None;
    let mut tensor = None;
    let mut map = false;
    let mut reader = Reader::new(bytes, range);
    while let Some(field) = reader.next_field()? {
        match (field.number, &field.payload) {
            (1, Payload::Bytes(range)) => name = Some(text(bytes, range)?),
            (2, Payload::Bytes(range)) if tensor.is_none() => tensor = Some(range.clone()),
            (3, Payload::Bytes(_)) => map = true,
            _ => return Err(field.misplaced()),
        }
    }
    let incomplete = |what| MindsporeError::Incomplete { at, what };
    let name = name.ok_or_else(|| incomplete("name"))?;
    match tensor {
        Some(range) => Ok(Value::Tensor(read_tensor(bytes, range, at, name)?)),
        None if map => Ok(Value::Map(name)),
        None => Err(incomplete("tensor")),
    }
}

fn read_tensor(
    bytes: &[u8],
    range: Range<usize>,
    at: usize,
    name: String,
) -> Result<Entry, MindsporeError> {
    let mut dims = Vec::new();
    let mut type_name = None;
    let mut content = None;
    let mut reader = Reader::new(bytes, range);
    while let Some(field) = reader.next_field()? {
        match (field.number, &field.payload) {
            (1, Payload::Number(size)) => dims.push(*size),
            (1, Payload::Bytes(packed)) => {
                let mut packed = Reader::new(bytes, packed.clone());
                while !packed.is_empty() && dims.len() <= MAX_RANK {
                    dims.push(packed.varint()?);
                }
            }
            (2, Payload::Bytes(range)) => type_name = Some(text(bytes, range)?),
            (3, Payload::Bytes(range)) if content.is_none() => content = Some(range.clone()),
            _ => return Err(field.misplaced()),
        }
        if dims.len() > MAX_RANK {
            return Err(MindsporeError::Rank {
                name,
                limit: MAX_RANK,
            });
        }
    }
    let incomplete = |what| MindsporeError::Incomplete { at, what };
    Ok(Entry {
        name,
        dims,
        type_name: type_name.ok_or_else(|| incomplete("element type"))?,
        pieces: vec![content.ok_or_else(|| incomplete("content"))?],
    })
}

fn text(bytes: &[u8], range: &Range<usize>) -> Result<String, MindsporeError> {
    let bytes = bytes.get(range.clone()).unwrap_or_default();
    std::str::from_utf8(bytes)
        .map(String::from)
        .map_err(|_| MindsporeError::Text { at: range.start })
}
