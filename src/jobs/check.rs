//! The health report of a set for a front end.

use std::path::PathBuf;

use super::JobError;
use crate::coco::check;
use crate::coco::dataset::{Dataset, DatasetImage, Role};
use crate::data;
use crate::structures::Size;

pub use crate::coco::check::{Finding, KEPT, Kind, KindCount, Report, Severity};

/// What to check.
#[derive(Clone, Debug)]
pub struct CheckRequest {
    /// The JSON, or a folder of any layout.
    pub path: PathBuf,
    /// The folder of the images where they lie elsewhere.
    pub images: Option<PathBuf>,
}

/// How far a check has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckProgress {
    /// Bytes of the JSON read, of all.
    Opening(u64, u64),
    /// Images checked, of all.
    Checking(usize, usize),
}

/// Opens and checks a set with its image files. `progress` returns false to stop.
///
/// # Errors
/// The set cannot be opened, its JSON changes meanwhile, or `progress` stopped it (`CocoError::Cancelled`).
pub fn run(
    request: &CheckRequest,
    progress: &mut dyn FnMut(CheckProgress) -> bool,
) -> Result<Report, JobError> {
    let images = request.images.as_deref();
    let set = Dataset::open_with(&request.path, Role::Any, images, &mut |step| {
        progress(CheckProgress::Opening(step.done, step.total))
    })?;
    Ok(of_set(&set, &mut |done, total| {
        progress(CheckProgress::Checking(done, total))
    })?)
}

/// Checks an opened set with its image files.
///
/// # Errors
/// As `run`.
pub fn of_set(
    set: &Dataset,
    progress: &mut dyn FnMut(usize, usize) -> bool,
) -> Result<Report, crate::coco::CocoError> {
    check::check(set, Some(&probe), progress)
}

/// Header only: a picture's pixels are not decoded. A picture that EXIF turns has the size that it is decoded to.
fn probe(image: &DatasetImage) -> Result<Size, String> {
    data::probe_as_declared(&image.path, image.declared).map_err(|error| error.to_string())
}
