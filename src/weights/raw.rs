//! A tensor as a file holds it: element type, shape, where the bytes are. Read only when asked for.

use std::borrow::Cow;

use half::{bf16, f16};

use super::source::Span;

/// Element type of a tensor in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Dtype {
    F64,
    F32,
    F16,
    Bf16,
    I64,
    I32,
    I16,
    I8,
    U64,
    U32,
    U16,
    U8,
    Bool,
}

impl Dtype {
    /// Bytes of one element.
    pub fn size(self) -> usize {
        match self {
            Self::F64 | Self::I64 | Self::U64 => 8,
            Self::F32 | Self::I32 | Self::U32 => 4,
            Self::F16 | Self::Bf16 | Self::I16 | Self::U16 => 2,
            Self::I8 | Self::U8 | Self::Bool => 1,
        }
    }

    /// Whether it holds real numbers: only such tensors are weights.
    pub fn is_float(self) -> bool {
        matches!(self, Self::F64 | Self::F32 | Self::F16 | Self::Bf16)
    }

    /// For example `f32`.
    pub fn name(self) -> &'static str {
        match self {
            Self::F64 => "f64",
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
            Self::I64 => "i64",
            Self::I32 => "i32",
            Self::I16 => "i16",
            Self::I8 => "i8",
            Self::U64 => "u64",
            Self::U32 => "u32",
            Self::U16 => "u16",
            Self::U8 => "u8",
            Self::Bool => "bool",
        }
    }
}

/// Product of sizes, `None` where it does not fit.
pub(super) fn element_count(shape: &[usize]) -> Option<usize> {
    shape
        .iter()
        .try_fold(1_usize, |count, &size| count.checked_mul(size))
}

/// How the elements lie.
#[derive(Clone, Debug)]
enum Layout {
    /// Row-major, in pieces that follow one another (MindSpore cuts large tensors).
    Contiguous(Vec<Span>),
    /// At `offset + Σ index·stride` elements of one storage.
    Strided {
        storage: Span,
        offset: usize,
        strides: Vec<usize>,
    },
}

/// A tensor as a file holds it, little-endian.
#[derive(Clone, Debug)]
pub(super) struct RawTensor {
    dtype: Dtype,
    shape: Vec<usize>,
    layout: Layout,
}

/// Why bytes are no tensor.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TensorError {
    /// The number of elements does not fit a machine word, or the stated limit.
    #[error("shape {shape:?} has more elements than the {limit} allowed")]
    TooLarge {
        /// The shape.
        shape: Vec<usize>,
        /// Most elements.
        limit: usize,
    },
    /// The bytes are not as many as shape and type need.
    #[error("shape {shape:?} of {dtype} needs {need} bytes, {have} are there")]
    Bytes {
        /// The shape.
        shape: Vec<usize>,
        /// Name of the element type.
        dtype: &'static str,
        /// Bytes needed.
        need: usize,
        /// Bytes there.
        have: usize,
    },
    /// Sizes and strides differ in number.
    #[error("{sizes} sizes, but {strides} strides")]
    Rank {
        /// Number of sizes.
        sizes: usize,
        /// Number of strides.
        strides: usize,
    },
    /// A size, offset or stride below zero.
    #[error("negative {what} {value}")]
    Negative {
        /// size, offset or stride.
        what: &'static str,
        /// The number.
        value: i64,
    },
    /// A view that reaches beyond its storage.
    #[error(
        "the view of shape {shape:?}, strides {strides:?}, offset {offset} reaches beyond its storage of {numel} elements"
    )]
    Outside {
        /// The shape.
        shape: Vec<usize>,
        /// The strides.
        strides: Vec<usize>,
        /// First element.
        offset: usize,
        /// Elements of the storage.
        numel: usize,
    },
    /// A view that repeats elements: a few bytes could claim any size.
    #[error(
        "the view of shape {shape:?}, strides {strides:?} is larger than its storage of {numel} elements"
    )]
    Repeats {
        /// The shape.
        shape: Vec<usize>,
        /// The strides.
        strides: Vec<usize>,
        /// Elements of the storage.
        numel: usize,
    },
}

/// Most elements of one tensor (semantics.md 5.3).
pub(super) const MAX_ELEMENTS: usize = 1 << 31;

/// Number of elements, at most `MAX_ELEMENTS`.
pub(super) fn checked_count(shape: &[usize]) -> Result<usize, TensorError> {
    element_count(shape)
        .filter(|&count| count <= MAX_ELEMENTS)
        .ok_or_else(|| TensorError::TooLarge {
            shape: shape.to_vec(),
            limit: MAX_ELEMENTS,
        })
}

impl RawTensor {
    /// A row-major tensor from pieces that follow one another.
    pub fn contiguous(
        dtype: Dtype,
        shape: Vec<usize>,
        pieces: Vec<Span>,
    ) -> Result<Self, TensorError> {
        // 2^31 elements of 8 bytes fit a 64-bit word.
        let need = checked_count(&shape)?.saturating_mul(dtype.size());
        let have = pieces.iter().map(Span::len).fold(0, usize::saturating_add);
        if need != have {
            return Err(TensorError::Bytes {
                shape,
                dtype: dtype.name(),
                need,
                have,
            });
        }
        Ok(Self {
            dtype,
            shape,
            layout: Layout::Contiguous(pieces),
        })
    }

    /// A view of a storage: element `index` lies at `offset + Σ index·stride`.
    pub fn strided(
        dtype: Dtype,
        shape: Vec<usize>,
        strides: Vec<usize>,
        offset: usize,
        storage: &Span,
    ) -> Result<Self, TensorError> {
        if shape.len() != strides.len() {
            return Err(TensorError::Rank {
                sizes: shape.len(),
                strides: strides.len(),
            });
        }
        let count = checked_count(&shape)?;
        let numel = storage.len() / dtype.size();
        if count > numel {
            return Err(TensorError::Repeats {
                shape,
                strides,
                numel,
            });
        }
        let last = shape
            .iter()
            .zip(&strides)
            .try_fold(offset, |last, (&size, &stride)| {
                last.checked_add(size.saturating_sub(1).checked_mul(stride)?)
            });
        let inside = count == 0 || last.is_some_and(|last| last < numel);
        if !inside {
            return Err(TensorError::Outside {
                shape,
                strides,
                offset,
                numel,
            });
        }
        if count == 0 || is_row_major(&shape, &strides) {
            let start = if count == 0 { 0 } else { offset };
            let bytes = storage.slice(start * dtype.size(), count * dtype.size());
            return Self::contiguous(dtype, shape, bytes.into_iter().collect());
        }
        Ok(Self {
            dtype,
            shape,
            layout: Layout::Strided {
                storage: storage.clone(),
                offset,
                strides,
            },
        })
    }

    /// Element type.
    pub fn dtype(&self) -> Dtype {
        self.dtype
    }

    /// Sizes.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Values as f32, row-major.
    pub fn to_f32(&self) -> Vec<f32> {
        decode(self.dtype, &self.bytes())
    }

    /// Little-endian bytes of the elements, row-major.
    pub fn bytes(&self) -> Cow<'_, [u8]> {
        match &self.layout {
            Layout::Contiguous(pieces) => match pieces.as_slice() {
                [] => Cow::Borrowed(&[]),
                [piece] => Cow::Borrowed(piece.bytes()),
                // An element may lie across a cut.
                pieces => pieces
                    .iter()
                    .flat_map(|p| p.bytes())
                    .copied()
                    .collect::<Vec<u8>>()
                    .into(),
            },
            Layout::Strided {
                storage,
                offset,
                strides,
            } => self.gather(storage.bytes(), *offset, strides).into(),
        }
    }

    /// Copies a view out in row-major order.
    fn gather(&self, storage: &[u8], offset: usize, strides: &[usize]) -> Vec<u8> {
        let size = self.dtype.size();
        let count = element_count(&self.shape).unwrap_or(0);
        let mut bytes = Vec::with_capacity(count * size);
        let mut index = vec![0_usize; self.shape.len()];
        let mut at = offset;
        for _ in 0..count {
            bytes.extend_from_slice(storage.get(at * size..(at + 1) * size).unwrap_or_default());
            // Counts up the last index, carrying to the left.
            for ((index, &extent), &stride) in index.iter_mut().zip(&self.shape).zip(strides).rev()
            {
                *index += 1;
                at += stride;
                if *index < extent {
                    break;
                }
                at -= stride * extent;
                *index = 0;
            }
        }
        bytes
    }
}

/// Whether strides are those of a row-major tensor; of an axis of size 1 any stride is.
fn is_row_major(shape: &[usize], strides: &[usize]) -> bool {
    let mut want = 1_usize;
    for (&size, &stride) in shape.iter().zip(strides).rev() {
        if size != 1 && stride != want {
            return false;
        }
        want = want.saturating_mul(size);
    }
    true
}

/// Little-endian elements to f32.
fn decode(dtype: Dtype, bytes: &[u8]) -> Vec<f32> {
    match dtype {
        Dtype::F32 => decode_f32(bytes),
        Dtype::F64 => each(bytes, |b| f64::from_le_bytes(b) as f32),
        Dtype::F16 => each(bytes, |b| f16::from_le_bytes(b).to_f32()),
        Dtype::Bf16 => each(bytes, |b| bf16::from_le_bytes(b).to_f32()),
        Dtype::I64 => each(bytes, |b| i64::from_le_bytes(b) as f32),
        Dtype::I32 => each(bytes, |b| i32::from_le_bytes(b) as f32),
        Dtype::I16 => each(bytes, |b| f32::from(i16::from_le_bytes(b))),
        Dtype::I8 => each(bytes, |b| f32::from(i8::from_le_bytes(b))),
        Dtype::U64 => each(bytes, |b| u64::from_le_bytes(b) as f32),
        Dtype::U32 => each(bytes, |b| u32::from_le_bytes(b) as f32),
        Dtype::U16 => each(bytes, |b| f32::from(u16::from_le_bytes(b))),
        Dtype::U8 | Dtype::Bool => each(bytes, |b: [u8; 1]| f32::from(b[0])),
    }
}

/// The common case, a plain copy where the machine is little-endian too.
fn decode_f32(bytes: &[u8]) -> Vec<f32> {
    if cfg!(target_endian = "little") {
        let mut values = vec![0.0_f32; bytes.len() / 4];
        let whole = bytes.get(..values.len() * 4).unwrap_or_default();
        bytemuck::cast_slice_mut::<f32, u8>(&mut values).copy_from_slice(whole);
        return values;
    }
    each(bytes, f32::from_le_bytes)
}

fn each<const N: usize>(bytes: &[u8], read: impl Fn([u8; N]) -> f32) -> Vec<f32> {
    bytes.as_chunks::<N>().0.iter().map(|b| read(*b)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(dtype: Dtype, bytes: &[u8]) -> Vec<f32> {
        let count = bytes.len() / dtype.size();
        let span = Span::owned(bytes.to_vec());
        RawTensor::contiguous(dtype, vec![count], vec![span])
            .unwrap()
            .to_f32()
    }

    #[test]
    fn every_type_becomes_f32() {
        let check = |dtype, bytes: &[u8], want: &[f32]| assert_eq!(values(dtype, bytes), want);
        check(Dtype::F64, &(-1.5_f64).to_le_bytes(), &[-1.5]);
        check(Dtype::F32, &1e-40_f32.to_le_bytes(), &[1e-40]);
        check(Dtype::F16, &[0x00, 0x3C, 0xFF, 0xFB], &[1.0, -65504.0]);
        check(Dtype::Bf16, &[0x80, 0x3F, 0x49, 0xC0], &[1.0, -3.140_625]);
        check(Dtype::I64, &(-7_i64).to_le_bytes(), &[-7.0]);
        check(Dtype::I32, &(-7_i32).to_le_bytes(), &[-7.0]);
        check(Dtype::I16, &(-7_i16).to_le_bytes(), &[-7.0]);
        check(Dtype::I8, &[0xF9], &[-7.0]);
        check(Dtype::U64, &7_u64.to_le_bytes(), &[7.0]);
        check(Dtype::U32, &7_u32.to_le_bytes(), &[7.0]);
        check(Dtype::U16, &7_u16.to_le_bytes(), &[7.0]);
        check(Dtype::U8, &[255], &[255.0]);
        check(Dtype::Bool, &[0, 1], &[0.0, 1.0]);
        let nan = values(Dtype::F32, &f32::NAN.to_le_bytes());
        assert!(nan.iter().all(|v| v.is_nan()));
    }

    #[test]
    fn views_are_copied_out_in_row_major_order() {
        let bytes: Vec<u8> = (0..24_u8).collect();
        let storage = Span::owned(bytes);
        let check = |shape: &[usize], strides: &[usize], offset, want: &[u8]| {
            let view = RawTensor::strided(
                Dtype::U8,
                shape.to_vec(),
                strides.to_vec(),
                offset,
                &storage,
            );
            assert_eq!(
                view.unwrap().bytes().as_ref(),
                want,
                "{shape:?} {strides:?}"
            );
        };
        check(&[2, 3], &[3, 1], 4, &[4, 5, 6, 7, 8, 9]);
        check(&[3, 2], &[1, 3], 0, &[0, 3, 1, 4, 2, 5]);
        check(&[2, 2, 2], &[12, 1, 6], 1, &[1, 7, 2, 8, 13, 19, 14, 20]);
        check(&[1, 2], &[99, 2], 0, &[0, 2]);
        check(&[], &[], 23, &[23]);
        check(&[0, 5], &[5, 1], 99, &[]);
    }

    #[test]
    fn an_element_may_lie_across_pieces() {
        let bytes = 1.25_f32.to_le_bytes();
        let pieces = vec![
            Span::owned(bytes[..1].to_vec()),
            Span::owned(bytes[1..].to_vec()),
        ];
        let tensor = RawTensor::contiguous(Dtype::F32, vec![1], pieces).unwrap();
        assert_eq!(tensor.to_f32(), [1.25]);
    }
}
