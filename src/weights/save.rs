//! Writing our own checkpoints: safetensors with canonical names (semantics.md 5.4).

use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use half::{bf16, f16};
use serde_json::{Map, Value, json};

use crate::config::{Config, Dialect};
use crate::structures::ClassTable;

use super::error::WeightsError;
use super::load::IouHead;
use super::tensors::Weights;

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

/// What a checkpoint says about itself.
#[derive(Clone, Debug)]
pub struct CheckpointMetadata<'a> {
    /// The configuration in force.
    pub config: &'a Config,
    /// Foreground classes.
    pub classes: &'a ClassTable,
    /// The dialect in use.
    pub dialect: Dialect,
    /// Whether the mask-IoU head was trained.
    pub iou_head: IouHead,
    /// Epoch and step of the training, where there was one.
    pub progress: Option<TrainingProgress>,
    /// When it was made.
    pub created: SystemTime,
}

/// How far a training was.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TrainingProgress {
    /// Epoch, from 1.
    pub epoch: usize,
    /// Step within all of the training, from 1.
    pub step: u64,
    /// Box AP, where it was measured.
    pub bbox_map: Option<f64>,
    /// Mask AP, where it was measured.
    pub seg_map: Option<f64>,
    /// Mean loss of the epoch, where one is over.
    pub loss: Option<f64>,
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
    let failed = |source| WeightsError::Write {
        source,
        path: path.to_owned(),
    };
    let (layout, notes) = Layout::of(weights, stored);
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
    .map_err(failed)?;
    Ok(notes)
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

    fn header(&self, metadata: &CheckpointMetadata<'_>) -> String {
        let mut header = Map::new();
        header.insert("__metadata__".into(), metadata_object(metadata));
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

/// All values are strings, as the format has it.
fn metadata_object(metadata: &CheckpointMetadata<'_>) -> Value {
    let classes = metadata.classes;
    let mut object = json!({
        "format": "maskscope",
        "version": "1",
        "config": metadata.config.to_yaml(),
        "classes": json!(classes.names).to_string(),
        "dialect": metadata.dialect.name(),
        "iou_head": metadata.iou_head.name(),
        "created": utc(metadata.created),
    });
    let mut insert = |key: &str, value: String| {
        if let Some(object) = object.as_object_mut() {
            object.insert(key.into(), Value::String(value));
        }
    };
    if !classes.category_ids.is_empty() {
        let categories: Vec<Value> = classes
            .category_ids
            .iter()
            .zip(&classes.names)
            .map(|(id, name)| json!({"id": id, "name": name}))
            .collect();
        insert("categories", Value::Array(categories).to_string());
    }
    if let Some(progress) = &metadata.progress {
        insert("epoch", progress.epoch.to_string());
        insert("step", progress.step.to_string());
        let mut metrics = Map::new();
        for (key, value) in [
            ("bbox_mAP", progress.bbox_map),
            ("seg_mAP", progress.seg_map),
            ("loss", progress.loss),
        ] {
            if let Some(value) = value {
                metrics.insert(key.into(), json!(value));
            }
        }
        insert("metrics", Value::Object(metrics).to_string());
    }
    object
}

/// `2026-11-24T15:07:00Z`.
fn utc(time: SystemTime) -> String {
    let seconds = time
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (rest / 3_600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// Year, month and day of a day since 1970, in years that begin in March (Hinnant's algorithm).
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    (year, month, day)
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn times_are_utc() {
        let check = |seconds, text| {
            assert_eq!(utc(UNIX_EPOCH + Duration::from_secs(seconds)), text);
        };
        check(0, "1970-01-01T00:00:00Z");
        check(951_827_696, "2000-02-29T12:34:56Z");
        check(1_709_251_199, "2024-02-29T23:59:59Z");
        check(4_102_444_800, "2100-01-01T00:00:00Z");
    }
}
