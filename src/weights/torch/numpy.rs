//! numpy arrays inside a pickle.

use super::TorchError;
use crate::weights::pickle::{Id, Node, Pickle};
use crate::weights::raw::{Dtype, RawTensor};
use crate::weights::source::Span;

/// Whether an object is a numpy array.
pub(super) fn is_array(module: &str, name: &str) -> bool {
    matches!(
        (module, name),
        (
            "numpy.core.multiarray" | "numpy._core.multiarray",
            "_reconstruct"
        )
    )
}

/// The array of `_reconstruct` and its state `(version, shape, dtype, fortran, bytes)`. `bytes` is the pickle.
pub(super) fn array(
    pickle: &Pickle<'_>,
    bytes: &Span,
    object: Id,
    name: &str,
) -> Result<RawTensor, TorchError> {
    let malformed = |what| TorchError::Malformed {
        name: name.into(),
        what,
    };
    let state = pickle
        .object(object)
        .and_then(|(object, ..)| object.state)
        .and_then(|state| pickle.sequence(state))
        .ok_or_else(|| malformed("the array's state"))?;
    let &[_version, shape, dtype, fortran, data] = state else {
        return Err(malformed("the array's state"));
    };
    let shape: Vec<usize> = pickle
        .sequence(shape)
        .and_then(|ids| {
            ids.iter()
                .map(|&id| usize::try_from(pickle.int(id)?).ok())
                .collect()
        })
        .ok_or_else(|| malformed("the array's shape"))?;
    let dtype = element_type(pickle, dtype).ok_or_else(|| malformed("the array's element type"))?;
    let data = content(pickle, bytes, data).ok_or_else(|| malformed("the array's content"))?;
    let tensor = if matches!(pickle.node(fortran), Node::Bool(true)) {
        let strides = column_major(&shape).ok_or_else(|| malformed("the array's shape"))?;
        RawTensor::strided(dtype, shape, strides, 0, &data)
    } else {
        RawTensor::contiguous(dtype, shape, vec![data])
    };
    tensor.map_err(|problem| TorchError::Tensor {
        name: name.into(),
        problem,
    })
}

fn column_major(shape: &[usize]) -> Option<Vec<usize>> {
    let mut stride = 1_usize;
    let mut strides = Vec::with_capacity(shape.len());
    for &size in shape {
        strides.push(stride);
        stride = stride.checked_mul(size)?;
    }
    Some(strides)
}

/// `numpy.dtype('f4', ..)` with state `(3, '<', ..)`.
fn element_type(pickle: &Pickle<'_>, id: Id) -> Option<Dtype> {
    let (object, "numpy", "dtype") = pickle.object(id)? else {
        return None;
    };
    let code = pickle.text(*pickle.sequence(object.args)?.first()?)?;
    let order = match object.state {
        Some(state) => pickle.text(*pickle.sequence(state)?.get(1)?)?,
        None => "|",
    };
    let dtype = match code {
        "f8" => Dtype::F64,
        "f4" => Dtype::F32,
        "f2" => Dtype::F16,
        "i8" => Dtype::I64,
        "i4" => Dtype::I32,
        "i2" => Dtype::I16,
        "i1" => Dtype::I8,
        "u8" => Dtype::U64,
        "u4" => Dtype::U32,
        "u2" => Dtype::U16,
        "u1" => Dtype::U8,
        "b1" => Dtype::Bool,
        _ => return None,
    };
    (order != ">" || dtype.size() == 1).then_some(dtype)
}

/// Raw bytes, or `_codecs.encode(text, 'latin1')` as protocol 2 writes bytes.
fn content(pickle: &Pickle<'_>, bytes: &Span, id: Id) -> Option<Span> {
    if let Some(range) = pickle.byte_range(id) {
        return bytes.slice(range.start, range.len());
    }
    let (object, module, name) = pickle.object(id)?;
    let args = pickle.sequence(object.args)?;
    match (module, name) {
        ("_codecs", "encode") => {
            let text = pickle.text(*args.first()?)?;
            let latin1: Option<Vec<u8>> = text
                .chars()
                .map(|c| u8::try_from(u32::from(c)).ok())
                .collect();
            latin1.map(Span::owned)
        }
        _ => None,
    }
}
