//! The zip container: which entries there are and where their bytes lie.

use std::collections::BTreeMap;
use std::io::{Cursor, Read};
use std::sync::Arc;

use zip::{CompressionMethod, ZipArchive};

use super::TorchError;
use super::storage::Storages;
use crate::weights::source::{Source, Span};

/// Inflated bytes of all entries together: weights hardly shrink, so more than this only comes from a bomb.
fn inflated_limit(file: usize) -> u64 {
    const AT_LEAST: u64 = 64 << 20;
    const TIMES_THE_FILE: u64 = 20;
    AT_LEAST.max(TIMES_THE_FILE.saturating_mul(file as u64))
}

/// The entries of a PyTorch zip.
pub(super) struct Container {
    entries: BTreeMap<String, Span>,
    /// Folder of `data.pkl` with its slash.
    root: String,
}

fn broken(error: zip::result::ZipError) -> TorchError {
    TorchError::Zip(error.to_string())
}

impl Container {
    /// Reads the directory, checks it and finds the folder of `data.pkl`.
    pub fn open(source: &Arc<Source>) -> Result<Self, TorchError> {
        let mut archive = ZipArchive::new(Cursor::new(&***source)).map_err(broken)?;
        let names: Vec<String> = archive
            .file_names_raw()
            .map(|name| String::from_utf8_lossy(name).into_owned())
            .collect();
        let root = root(&names)?;
        let whole = |what: &str| TorchError::Entry {
            name: root.clone(),
            what: what.into(),
        };
        if archive.has_duplicate_names() {
            return Err(whole("has two entries of one name"));
        }
        if archive.has_overlapping_entries().map_err(broken)? {
            return Err(whole("has entries that overlap"));
        }
        let mut entries = BTreeMap::new();
        let mut budget = inflated_limit(source.len());
        for (index, name) in names.into_iter().enumerate() {
            // Code and other attachments of a package are not looked at.
            let wanted = name
                .strip_prefix(&root)
                .is_some_and(|n| n == "data.pkl" || n == "byteorder" || n.starts_with("data/"));
            if wanted {
                let span = entry(&mut archive, source, index, &name, &mut budget)?;
                entries.insert(name, span);
            }
        }
        let container = Self { entries, root };
        container.check_byte_order()?;
        Ok(container)
    }

    fn check_byte_order(&self) -> Result<(), TorchError> {
        match self.entries.get(&format!("{}byteorder", self.root)) {
            Some(order) if order.bytes().trim_ascii() != b"little" => Err(TorchError::BigEndian),
            _ => Ok(()),
        }
    }

    /// The pickle, and the storages by key.
    pub fn pickle(self) -> Result<(Span, Storages), TorchError> {
        let Self { mut entries, root } = self;
        let pickle = entries
            .remove(&format!("{root}data.pkl"))
            .ok_or(TorchError::NotTorch)?;
        let prefix = format!("{root}data/");
        let storages = entries
            .into_iter()
            .filter_map(|(name, span)| Some((name.strip_prefix(&prefix)?.to_owned(), span)))
            .collect();
        Ok((pickle, Storages::new(storages)))
    }
}

/// Folder of the only `data.pkl`, with its slash.
fn root(names: &[String]) -> Result<String, TorchError> {
    let mut roots = names
        .iter()
        .filter_map(|name| name.strip_suffix("data.pkl"))
        .filter(|root| root.is_empty() || root.ends_with('/'));
    let Some(root) = roots.next() else {
        let npz = !names.is_empty() && names.iter().all(|name| name.ends_with(".npy"));
        return Err(if npz {
            TorchError::Npz
        } else {
            TorchError::NotTorch
        });
    };
    if roots.next().is_some() {
        return Err(TorchError::Entry {
            name: "data.pkl".into(),
            what: "is there more than once".into(),
        });
    }
    if names.contains(&format!("{root}constants.pkl")) {
        return Err(TorchError::TorchScript);
    }
    Ok(root.to_owned())
}

/// Bytes of an entry: mapped where it is stored, inflated within the budget where it is deflated.
fn entry(
    archive: &mut ZipArchive<Cursor<&[u8]>>,
    source: &Arc<Source>,
    index: usize,
    name: &str,
    budget: &mut u64,
) -> Result<Span, TorchError> {
    let refuse = |what: String| TorchError::Entry {
        name: name.into(),
        what,
    };
    let file = archive.by_index_raw(index).map_err(broken)?;
    if file.encrypted() {
        return Err(refuse("is encrypted".into()));
    }
    let (size, packed, method) = (file.size(), file.compressed_size(), file.compression());
    let start = file.data_start();
    drop(file);
    match method {
        CompressionMethod::Stored => {
            if size != packed {
                return Err(refuse(format!("claims {size} bytes, {packed} are stored")));
            }
            start
                .and_then(|start| usize::try_from(start).ok())
                .zip(usize::try_from(size).ok())
                .and_then(|(start, size)| Span::new(source, start, size))
                .ok_or_else(|| refuse("lies beyond the end of the file".into()))
        }
        CompressionMethod::Deflated => {
            *budget = budget.checked_sub(size).ok_or_else(|| {
                refuse(format!("inflates from {packed} to {size} bytes, too much"))
            })?;
            let reader = archive.by_index(index).map_err(broken)?;
            let mut bytes = Vec::new();
            // One byte more than claimed shows a lie without inflating all of it.
            reader
                .take(size.saturating_add(1))
                .read_to_end(&mut bytes)
                .map_err(|error| refuse(format!("does not inflate: {error}")))?;
            if bytes.len() as u64 != size {
                return Err(refuse(format!(
                    "does not inflate to the {size} bytes it claims"
                )));
            }
            Ok(Span::owned(bytes))
        }
        other => Err(refuse(format!("is packed with {other}, which is not read"))),
    }
}
