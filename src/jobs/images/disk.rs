//! Thumbnails on disk: JPEG files named by a hash of path, size and time of the image, with a limit for all of them.

use std::ffi::OsStr;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use image::codecs::jpeg::JpegEncoder;
use image::{ExtendedColorType, ImageEncoder as _, ImageFormat};

use crate::data::RgbImage;
use crate::structures::Size;

/// Not to be told from the original at this size; a third of the bytes of 95.
const QUALITY: u8 = 88;
/// Ending of our files; nothing else is ever deleted.
const ENDING: &str = "thumb.jpg";
/// A trim makes so much room, in eighths of the limit, that the next one is far away.
const KEEP_EIGHTHS: u64 = 6;

/// A folder of thumbnails.
#[derive(Debug)]
pub(super) struct DiskCache {
    folder: PathBuf,
    limit: u64,
    /// Bytes of all files; counted at the first write.
    used: Mutex<Option<u64>>,
}

impl DiskCache {
    /// In a folder that need not exist yet.
    pub(super) fn new(folder: PathBuf, limit: u64) -> Self {
        Self {
            folder,
            limit,
            used: Mutex::new(None),
        }
    }

    /// Where the thumbnail of an image belongs; `None` where the image cannot be looked at.
    pub(super) fn place(&self, image: &Path, side: usize) -> Option<PathBuf> {
        let meta = fs::metadata(image).ok()?;
        let full = std::path::absolute(image).ok()?;
        let time = meta.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
        let mut hash = Fnv::default();
        hash.write(full.as_os_str().as_encoded_bytes());
        hash.write(&meta.len().to_le_bytes());
        hash.write(&time.as_nanos().to_le_bytes());
        hash.write(&side.to_le_bytes());
        let name = format!("{:032x}", hash.0);
        let (shard, rest) = name.split_at(2);
        Some(self.folder.join(shard).join(format!("{rest}.{ENDING}")))
    }

    /// Reads a thumbnail; a missing or damaged one is made again.
    pub(super) fn read(&self, place: &Path) -> Option<RgbImage> {
        let bytes = fs::read(place).ok()?;
        let image = image::load_from_memory_with_format(&bytes, ImageFormat::Jpeg).ok()?;
        let image = image.into_rgb8();
        let size = Size::new(image.width() as usize, image.height() as usize);
        Some(RgbImage {
            size,
            rgb: image.into_raw(),
        })
    }

    /// Writes a thumbnail whole or not at all. A full disk costs the cache, not the picture.
    pub(super) fn write(&self, place: &Path, thumbnail: &RgbImage) {
        match self.try_write(place, thumbnail) {
            Ok(bytes) => self.grow(bytes),
            Err(error) => log::debug!("cannot keep the thumbnail {}: {error}", place.display()),
        }
    }

    fn try_write(&self, place: &Path, thumbnail: &RgbImage) -> Result<u64, image::ImageError> {
        let mut bytes = Vec::new();
        let Size { width, height } = thumbnail.size;
        JpegEncoder::new_with_quality(&mut bytes, QUALITY).write_image(
            &thumbnail.rgb,
            width as u32,
            height as u32,
            ExtendedColorType::Rgb8,
        )?;
        let folder = place.parent().unwrap_or(&self.folder);
        fs::create_dir_all(folder)?;
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(&bytes)?;
        file.persist(place).map_err(|error| error.error)?;
        Ok(bytes.len() as u64)
    }

    /// Counts a file; deletes the oldest ones when there are too many.
    fn grow(&self, bytes: u64) {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let total = match *used {
            Some(total) => total + bytes,
            None => self.files().iter().map(|file| file.bytes).sum(),
        };
        *used = Some(if total > self.limit {
            self.trim()
        } else {
            total
        });
    }

    /// Deletes the oldest files; returns the bytes that are left.
    fn trim(&self) -> u64 {
        let mut files = self.files();
        files.sort_by_key(|file| file.time);
        let mut total: u64 = files.iter().map(|file| file.bytes).sum();
        for file in files {
            if total <= self.limit / 8 * KEEP_EIGHTHS {
                break;
            }
            if fs::remove_file(&file.path).is_ok() {
                total -= file.bytes;
            }
        }
        total
    }

    /// Deletes all thumbnails, and the folders that are empty then.
    pub(super) fn clear(&self) {
        for file in self.files() {
            if let Err(error) = fs::remove_file(&file.path) {
                log::warn!("cannot delete {}: {error}", file.path.display());
            }
        }
        for folder in entries(&self.folder) {
            fs::remove_dir(&folder).ok(); // refused where something else is inside
        }
        *self.used.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Our files, in any order.
    fn files(&self) -> Vec<CacheFile> {
        entries(&self.folder)
            .iter()
            .flat_map(|shard| entries(shard))
            .filter(|path| {
                let name = path.file_name().and_then(OsStr::to_str);
                name.is_some_and(|name| name.ends_with(ENDING))
            })
            .filter_map(|path| {
                let meta = fs::metadata(&path).ok()?;
                Some(CacheFile {
                    bytes: meta.len(),
                    time: meta.modified().unwrap_or(UNIX_EPOCH),
                    path,
                })
            })
            .collect()
    }
}

/// A thumbnail on disk.
struct CacheFile {
    path: PathBuf,
    bytes: u64,
    time: SystemTime,
}

/// What lies in a folder; nothing where it cannot be read.
fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}

/// FNV-1a of 128 bits: stable across versions and platforms, which the standard hasher is not.
struct Fnv(u128);

impl Default for Fnv {
    fn default() -> Self {
        Self(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d)
    }
}

impl Fnv {
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 ^= u128::from(byte);
            self.0 = self
                .0
                .wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b);
        }
    }
}
