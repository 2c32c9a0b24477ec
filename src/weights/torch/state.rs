//! From a pickle's tree to named tensors: where the state_dict is, what its values are.

use std::collections::BTreeSet;

use super::storage::{StorageId, Storages, torch_dtype};
use super::{TorchError, TorchFile, numpy};
use crate::weights::pickle::{Id, Node, Object, Pickle};
use crate::weights::raw::{RawTensor, TensorError};
use crate::weights::source::Span;

/// Keys under which training programs keep the weights, in the order of trying.
const STATE_KEYS: [&str; 4] = ["state_dict", "model", "model_state_dict", "net"];
/// More than any model has; a pickle could name one tensor ten million times.
const MAX_TENSORS: usize = 100_000;
/// Parameters wrapped in parameters.
const MAX_WRAPPINGS: usize = 8;

/// Everything of interest in a checkpoint. `bytes` are those of the pickle.
pub(super) fn read(
    pickle: &Pickle<'_>,
    bytes: &Span,
    storages: &Storages,
) -> Result<TorchFile, TorchError> {
    let state = find_state(pickle)?;
    let pairs = pickle.pairs(state).unwrap_or_default();
    if pairs.len() > MAX_TENSORS {
        return Err(TorchError::TooMany {
            count: pairs.len(),
            limit: MAX_TENSORS,
        });
    }
    let mut file = TorchFile::default();
    let mut names = BTreeSet::new();
    for &(key, value) in pairs {
        let Some(name) = pickle.text(key) else {
            file.notes.push(format!(
                "a key of the state_dict is {}",
                pickle.describe(key)
            ));
            continue;
        };
        if !names.insert(name) {
            return Err(TorchError::Malformed {
                name: name.into(),
                what: "a name that appears twice",
            });
        }
        match tensor(pickle, bytes, storages, value, name)? {
            Some(tensor) => file.tensors.push((name.into(), tensor)),
            None => file.notes.push(format!(
                "{name} is {}, not a tensor",
                pickle.describe(value)
            )),
        }
    }
    read_meta(pickle, &mut file);
    Ok(file)
}

/// The dict of tensors: under one of the usual keys, else the root itself.
fn find_state(pickle: &Pickle<'_>) -> Result<Id, TorchError> {
    let no_state = || TorchError::NoState(pickle.describe(pickle.root));
    let is_dict = |id: Id| {
        matches!(pickle.node(id), Node::Dict(_))
            || matches!(pickle.object(id), Some((_, "collections", "OrderedDict")))
    };
    if !is_dict(pickle.root) {
        return Err(no_state());
    }
    let nested = STATE_KEYS
        .iter()
        .filter_map(|key| pickle.get(pickle.root, key))
        .find(|&id| is_dict(id));
    if let Some(state) = nested {
        return Ok(state);
    }
    let values = pickle.pairs(pickle.root).unwrap_or_default();
    if values
        .iter()
        .any(|&(_, value)| looks_like_tensor(pickle, value))
    {
        return Ok(pickle.root);
    }
    let keys: Vec<&str> = values
        .iter()
        .filter_map(|&(key, _)| pickle.text(key))
        .take(6)
        .collect();
    Err(TorchError::NoState(if keys.is_empty() {
        "an empty dict".into()
    } else {
        format!("a dict with {}", keys.join(", "))
    }))
}

fn looks_like_tensor(pickle: &Pickle<'_>, id: Id) -> bool {
    pickle.object(id).is_some_and(|(_, module, name)| {
        module.starts_with("torch") || numpy::is_array(module, name)
    })
}

/// A tensor; `None` for a plain value such as a number or text, an error for an object that cannot be read.
fn tensor(
    pickle: &Pickle<'_>,
    bytes: &Span,
    storages: &Storages,
    mut id: Id,
    name: &str,
) -> Result<Option<RawTensor>, TorchError> {
    for _ in 0..MAX_WRAPPINGS {
        let Some((object, module, function)) = pickle.object(id) else {
            return Ok(None);
        };
        match (module, function) {
            ("torch._utils", "_rebuild_tensor" | "_rebuild_tensor_v2" | "_rebuild_tensor_v3") => {
                return rebuild(pickle, storages, object, function, name).map(Some);
            }
            ("torch._utils", "_rebuild_parameter" | "_rebuild_parameter_with_state") => {
                id = pickle
                    .sequence(object.args)
                    .and_then(|args| args.first().copied())
                    .ok_or_else(|| TorchError::Malformed {
                        name: name.into(),
                        what: "the parameter",
                    })?;
            }
            _ if numpy::is_array(module, function) => {
                return numpy::array(pickle, bytes, id, name).map(Some);
            }
            ("collections", "OrderedDict") => return Ok(None),
            _ => break,
        }
    }
    Err(TorchError::NotTensor {
        name: name.into(),
        what: pickle.describe(id),
    })
}

/// `_rebuild_tensor(storage, offset, size, stride, …)` and its successors.
fn rebuild(
    pickle: &Pickle<'_>,
    storages: &Storages,
    object: &Object,
    function: &str,
    name: &str,
) -> Result<RawTensor, TorchError> {
    let malformed = |what| TorchError::Malformed {
        name: name.into(),
        what,
    };
    let (&[storage, offset, size, stride], rest) = pickle
        .sequence(object.args)
        .and_then(|args| args.split_first_chunk::<4>())
        .ok_or_else(|| malformed("the tensor's arguments"))?;
    let storage = StorageId::read(pickle, storage, name)?;
    let dtype = if function == "_rebuild_tensor_v3" {
        // (…, requires_grad, backward_hooks, dtype, metadata)
        rest.get(2)
            .and_then(|&id| pickle.global(id))
            .filter(|(module, _)| *module == "torch")
            .and_then(|(_, name)| torch_dtype(name))
    } else {
        storage.dtype
    };
    let dtype = dtype.ok_or_else(|| malformed("the tensor's element type"))?;
    let failed = |problem| TorchError::Tensor {
        name: name.into(),
        problem,
    };
    let offset = natural("offset", pickle.int(offset))
        .ok_or_else(|| malformed("the tensor's offset"))?
        .map_err(failed)?;
    let shape = naturals(pickle, size, "size")
        .ok_or_else(|| malformed("the tensor's size"))?
        .map_err(failed)?;
    let strides = naturals(pickle, stride, "stride")
        .ok_or_else(|| malformed("the tensor's strides"))?
        .map_err(failed)?;
    let span = storages.span(&storage)?;
    RawTensor::strided(dtype, shape, strides, offset, &span).map_err(failed)
}

/// A number from zero; `None` where it is no number.
fn natural(what: &'static str, value: Option<i64>) -> Option<Result<usize, TensorError>> {
    let value = value?;
    Some(usize::try_from(value).map_err(|_| TensorError::Negative { what, value }))
}

fn naturals(
    pickle: &Pickle<'_>,
    id: Id,
    what: &'static str,
) -> Option<Result<Vec<usize>, TensorError>> {
    pickle
        .sequence(id)?
        .iter()
        .map(|&id| natural(what, pickle.int(id)))
        .collect()
}

/// Class names and configuration text of mmdetection 2 and 3.
fn read_meta(pickle: &Pickle<'_>, file: &mut TorchFile) {
    let get = |dict: Option<Id>, key: &str| pickle.get(dict?, key);
    let meta = pickle.get(pickle.root, "meta");
    let dataset = get(meta, "dataset_meta");
    file.classes = [
        get(meta, "CLASSES"),
        get(dataset, "classes"),
        get(dataset, "CLASSES"),
    ]
    .into_iter()
    .flatten()
    .find_map(|id| class_names(pickle, id));
    file.config_text = [get(meta, "config"), get(meta, "cfg")]
        .into_iter()
        .flatten()
        .find_map(|id| pickle.text(id))
        .map(String::from);
}

/// A tuple of names; mmdetection writes a single class as plain text.
fn class_names(pickle: &Pickle<'_>, id: Id) -> Option<Vec<String>> {
    if let Some(name) = pickle.text(id) {
        return Some(vec![name.into()]);
    }
    let names = pickle.sequence(id)?;
    if names.len() > MAX_TENSORS {
        return None;
    }
    names
        .iter()
        .map(|&name| pickle.text(name).map(String::from))
        .collect()
}
