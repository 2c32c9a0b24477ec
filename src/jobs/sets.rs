//! Listing folders and making the demo set, for layers that must not know `data`.

use std::path::{Path, PathBuf};

use super::JobError;
use crate::coco::dataset::{Dataset, Role};
use crate::coco::write_whole;
use crate::data::{self, synth};
use crate::structures::Size;

/// Pictures of the demo.
const DEMO_IMAGES: usize = 24;
const DEMO_SEED: u64 = 2023;
const DEMO_SIZE: Size = Size {
    width: 640,
    height: 480,
};
/// Renamed when the generator changes, so that an older demo in the cache is not taken for it.
const DEMO_NAME: &str = "demo-1";

/// The demo's model, trained by `maskscope train` on the synthetic set; `assets/demo.md` tells how.
const DEMO_MODEL: &[u8] = include_bytes!("../../assets/demo.safetensors");

/// Opens a COCO set, a folder of any layout or a JSON, with its images in `images` where that is given.
///
/// # Errors
/// No set there, several, or a JSON that cannot be read.
pub fn open_set(path: &Path, images: Option<&Path>) -> Result<Dataset, JobError> {
    Ok(Dataset::open_as(path, Role::Any, images)?)
}

/// Whether the name is one of an image that `infer` would read.
pub fn is_image(path: &Path) -> bool {
    data::has_image_suffix(path)
}

/// Images in a folder, not in folders within, in name order.
///
/// # Errors
/// The folder cannot be read.
pub fn list_folder(folder: &Path) -> Result<Vec<PathBuf>, JobError> {
    Ok(data::list_images(folder, false)?)
}

/// The folder of the built-in demo set; made where it is not in the user's cache yet. `progress` gets the number of
/// pictures made.
///
/// # Errors
/// The cache folder cannot be written.
pub fn demo_folder(progress: &mut dyn FnMut(usize)) -> Result<PathBuf, JobError> {
    let folder = cache().join(DEMO_NAME);
    // The labels are written last: with them the set is whole.
    if !folder.join("labels.json").is_file() {
        let mut report = |done, _| {
            progress(done);
            true
        };
        synth::write_set(
            &folder,
            DEMO_IMAGES,
            DEMO_SEED,
            DEMO_SIZE,
            synth::Stats::Plain.into(),
            &mut report,
        )?;
    }
    Ok(folder)
}

/// The file of the demo's model in the user's cache; written where it is not there as it is in this program.
///
/// # Errors
/// The cache folder cannot be written.
pub fn demo_checkpoint() -> Result<PathBuf, JobError> {
    let path = cache().join("demo.safetensors");
    let is_there = std::fs::read(&path).is_ok_and(|bytes| bytes == DEMO_MODEL);
    if !is_there {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(|source| JobError::Read {
                path: folder.to_owned(),
                source,
            })?;
        }
        write_whole(&path, |out| out.write_all(DEMO_MODEL))?;
    }
    Ok(path)
}

fn cache() -> PathBuf {
    directories::ProjectDirs::from("", "", "maskscope").map_or_else(
        || std::env::temp_dir().join("maskscope"),
        |dirs| dirs.cache_dir().to_owned(),
    )
}
