//! The container of PyTorch before 1.6: pickles one after another, then the storages.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::storage::{StorageId, Storages};
use super::{TorchError, TorchFile, state};
use crate::weights::format::FormatError;
use crate::weights::pickle::{self, Node, Pickle};
use crate::weights::source::{Source, Span};

/// Second pickle of the container.
const PROTOCOL: i64 = 1001;

/// Reads magic, protocol, system, object, keys, storages.
pub(super) fn read(source: &Arc<Source>) -> Result<TorchFile, FormatError> {
    let magic = pickle::parse(source, 0)?;
    let protocol = pickle::parse(source, magic.end)?;
    if protocol.int(protocol.root) != Some(PROTOCOL) {
        return Err(TorchError::Legacy("the protocol number").into());
    }
    let system = pickle::parse(source, protocol.end)?;
    check_endian(&system)?;
    let object = pickle::parse(source, system.end)?;
    let keys = pickle::parse(source, object.end)?;
    let sizes = storage_sizes(&object)?;
    let storages = blocks(source, &keys, &sizes)?;
    let whole =
        Span::new(source, 0, source.len()).ok_or(TorchError::Legacy("the end of the file"))?;
    Ok(state::read(&object, &whole, &storages)?)
}

/// System information must say little-endian: only the byte order of numbers is read from it.
fn check_endian(system: &Pickle<'_>) -> Result<(), TorchError> {
    let little = system
        .get(system.root, "little_endian")
        .ok_or(TorchError::Legacy("the system information"))?;
    match system.node(little) {
        Node::Bool(true) => Ok(()),
        Node::Bool(false) => Err(TorchError::BigEndian),
        _ => Err(TorchError::Legacy("the system information")),
    }
}

/// What the persistent ids claim of one storage.
#[derive(Clone, Copy, PartialEq, Eq)]
struct StorageSize {
    /// Elements.
    numel: u64,
    /// Bytes.
    claimed: u64,
}

/// Size of each storage, as the persistent ids of the object claim.
fn storage_sizes(object: &Pickle<'_>) -> Result<BTreeMap<String, StorageSize>, TorchError> {
    let mut sizes = BTreeMap::new();
    for id in object.ids() {
        if matches!(object.node(id), Node::Persistent(_)) {
            let storage = StorageId::read(object, id, "a storage")?;
            let claimed = storage.byte_len().unwrap_or(u64::MAX);
            let size = StorageSize {
                numel: storage.numel,
                claimed,
            };
            let known = *sizes.entry(storage.key.clone()).or_insert(size);
            if known != size {
                return Err(TorchError::StorageSize {
                    key: storage.key,
                    claimed,
                    have: known.claimed,
                });
            }
        }
    }
    Ok(sizes)
}

/// After the list of keys: for each an i64 number of elements, then the bytes.
fn blocks(
    source: &Arc<Source>,
    keys: &Pickle<'_>,
    sizes: &BTreeMap<String, StorageSize>,
) -> Result<Storages, TorchError> {
    let list = keys
        .sequence(keys.root)
        .ok_or(TorchError::Legacy("the list of storages"))?;
    let mut at = keys.end;
    let mut blocks = BTreeMap::new();
    for &key in list {
        let key = keys
            .text(key)
            .ok_or(TorchError::Legacy("the list of storages"))?;
        let StorageSize { numel, claimed } = *sizes
            .get(key)
            .ok_or_else(|| TorchError::StorageMissing(key.into()))?;
        let short = || TorchError::StorageSize {
            key: key.into(),
            claimed,
            have: (source.len().saturating_sub(at) as u64).saturating_sub(8),
        };
        let start = at.checked_add(8).ok_or_else(short)?;
        let repeated = source
            .get(at..start)
            .and_then(|bytes| bytes.first_chunk())
            .map(|bytes| u64::from_le_bytes(*bytes))
            .ok_or_else(short)?;
        if repeated != numel {
            return Err(TorchError::Legacy("the length of a storage"));
        }
        let len = usize::try_from(claimed).map_err(|_| short())?;
        let span = Span::new(source, start, len).ok_or_else(short)?;
        at = start + len;
        if blocks.insert(key.to_owned(), span).is_some() {
            return Err(TorchError::Legacy("the list of storages"));
        }
    }
    Ok(Storages::new(blocks))
}
