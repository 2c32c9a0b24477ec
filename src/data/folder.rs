//! The images of a folder.

use std::path::{Path, PathBuf};

use super::ImageError;

/// Suffixes that are opened, in any case.
pub const IMAGE_SUFFIXES: [&str; 7] = ["png", "jpg", "jpeg", "webp", "bmp", "tif", "tiff"];

/// Whether a file's suffix is one of an image.
pub fn has_image_suffix(path: &Path) -> bool {
    path.extension().is_some_and(|suffix| {
        IMAGE_SUFFIXES
            .iter()
            .any(|known| suffix.eq_ignore_ascii_case(known))
    })
}

/// Images of a folder in name order; with `recursive` those of its folders too. A file stands for itself.
/// Hidden files are left out, and links to folders are not followed, so that none is walked twice.
///
/// # Errors
/// A folder that cannot be read.
pub fn list_images(folder: &Path, recursive: bool) -> Result<Vec<PathBuf>, ImageError> {
    let kind = std::fs::metadata(folder).map_err(|source| ImageError::io(folder, source))?;
    if kind.is_file() {
        return Ok(vec![folder.to_owned()]);
    }
    let mut found = Vec::new();
    let mut waiting = vec![folder.to_owned()];
    while let Some(folder) = waiting.pop() {
        let io = |source| ImageError::io(&folder, source);
        for entry in std::fs::read_dir(&folder).map_err(io)? {
            let entry = entry.map_err(io)?;
            if entry.file_name().as_encoded_bytes().starts_with(b".") {
                continue;
            }
            let path = entry.path();
            if entry.file_type().map_err(io)?.is_dir() {
                if recursive {
                    waiting.push(path);
                }
            } else if has_image_suffix(&path) && path.is_file() {
                found.push(path);
            }
        }
    }
    // By the whole text, as the prediction file orders its images.
    found.sort_by(|a, b| a.as_os_str().cmp(b.as_os_str()));
    Ok(found)
}
