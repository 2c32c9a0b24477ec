//! Writing our own checkpoints: safetensors with canonical names (semantics.md 5.4).

use std::collections::BTreeMap;
use std::io::{BufWriter, Write};
use std::path::Path;

use half::{bf16, f16};
use serde_json::{Map, Value, json};

use super::error::WeightsError;
use super::tensors::Weights;

mod metadata;

pub use metadata::{CheckpointMetadata, TrainingProgress};

/// Element type of a written checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum StoredType {
    /// float32, without loss.
    #[default]
    F32,
    /// float16; a tensor whose values do not fit stays float32.
    F16,
    /// bfloat16.
    Bf16,
}

impl StoredType {
    fn size(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
        }
    }

    /// As a safetensors header spells it.
    fn name(self) -> &'static str {
        match self {
            Self::F32 => "F32",
            Self::F16 => "F16",
            Self::Bf16 => "BF16",
        }
    }
}

/// Writes a checkpoint under a temporary name in the same folder, then renames it: there is never half a file.
/// Returns what the user should know.
///
/// # Errors
/// `Write`, and then a file that was there before is unharmed.
pub fn save(
    path: &Path,
    weights: &Weights,
    metadata: &CheckpointMetadata<'_>,
    stored: StoredType,
) -> Result<Vec<String>, WeightsError> {
    let (layout, notes) = Layout::of(weights, stored);
    write(path, weights, &layout, metadata.to_json())?;
    Ok(notes)
}

/// Writes any tensors as float32 in the same way: the state of an optimiser, with what is to be kept beside it.
///
/// # Errors
/// As `save`.
pub fn save_tensors(
    path: &Path,
    tensors: &Weights,
    metadata: &BTreeMap<String, String>,
) -> Result<(), WeightsError> {
    let (layout, _) = Layout::of(tensors, StoredType::F32);
    write(path, tensors, &layout, json!(metadata))
}

fn write(
    path: &Path,
    weights: &Weights,
    layout: &Layout,
    metadata: Value,
) -> Result<(), WeightsError> {
    let header = layout.header(metadata);
    write_whole(path, |out| {
        out.write_all(&(header.len() as u64).to_le_bytes())?;
        out.write_all(header.as_bytes())?;
        for entry in &layout.entries {
            let values = weights
                .values(&entry.name, &entry.shape)
                .map_err(std::io::Error::other)?;
            write_values(out, &values, entry.stored)?;
        }
        Ok(())
    })
    .map_err(|problem| WeightsError::Write {
        problem,
        path: path.to_owned(),
    })
}

/// Tensors in the order of the file.
struct Layout {
    entries: Vec<Entry>,
}

struct Entry {
    name: String,
    shape: Vec<usize>,
    stored: StoredType,
}

impl Layout {
    fn of(weights: &Weights, stored: StoredType) -> (Self, Vec<String>) {
        let mut notes = Vec::new();
        let mut entries: Vec<Entry> = weights
            .names()
            .map(|name| {
                let shape = weights.shape(name).unwrap_or_default().to_vec();
                let fits = stored != StoredType::F16 || fits_f16(weights, name, &shape);
                if !fits {
                    notes.push(format!(
                        "{name} has values beyond float16's range and stays float32"
                    ));
                }
                Entry {
                    name: name.into(),
                    shape,
                    stored: if fits { stored } else { StoredType::F32 },
                }
            })
            .collect();
        // Wide types first keep every tensor aligned to its element.
        entries.sort_by(|a, b| {
            (b.stored.size().cmp(&a.stored.size())).then_with(|| a.name.cmp(&b.name))
        });
        (Self { entries }, notes)
    }

    fn header(&self, metadata: Value) -> String {
        let mut header = Map::new();
        header.insert("__metadata__".into(), metadata);
        let mut start = 0;
        for entry in &self.entries {
            let end = start + entry.shape.iter().product::<usize>() * entry.stored.size();
            header.insert(
                entry.name.clone(),
                json!({"dtype": entry.stored.name(), "shape": entry.shape, "data_offsets": [start, end]}),
            );
            start = end;
        }
        let mut text = Value::Object(header).to_string();
        // The data begins at a multiple of 8.
        while !text.len().is_multiple_of(8) {
            text.push(' ');
        }
        text
    }
}

fn fits_f16(weights: &Weights, name: &str, shape: &[usize]) -> bool {
    let limit = f16::MAX.to_f32();
    weights
        .values(name, shape)
        .is_ok_and(|values| values.iter().all(|v| !v.is_finite() || v.abs() <= limit))
}

fn write_values(out: &mut dyn Write, values: &[f32], stored: StoredType) -> std::io::Result<()> {
    const AT_ONCE: usize = 1 << 14;
    let mut bytes = Vec::with_capacity(AT_ONCE * 4);
    for part in values.chunks(AT_ONCE) {
        bytes.clear();
        match stored {
            StoredType::F32 => bytes.extend(part.iter().flat_map(|v| v.to_le_bytes())),
            StoredType::F16 => {
                bytes.extend(part.iter().flat_map(|v| f16::from_f32(*v).to_le_bytes()));
            }
            StoredType::Bf16 => {
                bytes.extend(part.iter().flat_map(|v| bf16::from_f32(*v).to_le_bytes()));
            }
        }
        out.write_all(&bytes)?;
    }
    Ok(())
}

/// A temporary file beside the target, synced and renamed when whole.
fn write_whole(
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> std::io::Result<()>,
) -> std::io::Result<()> {
    // A rename would replace a device or a folder's entry by a file.
    if let Ok(found) = std::fs::symlink_metadata(path)
        && !found.is_file()
        && !found.is_symlink()
    {
        return Err(std::io::Error::new(
            std::io::ErrorKind::AlreadyExists,
            "it exists and is no regular file",
        ));
    }
    // Through a symbolic link the file it points to is replaced, not the link.
    let target = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let folder = match target.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut builder = tempfile::Builder::new();
    builder.prefix(".maskscope-").suffix(".partial");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // As any new file, by the umask; a temporary file alone would be private.
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    let mut file = builder.tempfile_in(folder)?;
    {
        let mut out = BufWriter::with_capacity(1 << 20, file.as_file_mut());
        write(&mut out)?;
        out.flush()?;
    }
    file.as_file().sync_all()?;
    file.persist(&target).map_err(|error| error.error)?;
    sync_folder(folder);
    Ok(())
}

/// Makes the rename itself durable where the system can.
fn sync_folder(folder: &Path) {
    #[cfg(unix)]
    if let Ok(folder) = std::fs::File::open(folder) {
        // Some file systems refuse it; the file itself is synced already.
        let _ = folder.sync_all();
    }
    #[cfg(not(unix))]
    let _ = folder;
}
