//! Writes a synthetic set for a front end.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::JobError;
use crate::data::synth;
use crate::structures::Size;

/// What to write and where.
#[derive(Clone, Debug)]
pub struct SynthRequest {
    /// The new folder: `data/` and `labels.json`.
    pub out: PathBuf,
    /// Pictures.
    pub images: usize,
    /// The same seed gives the same pictures.
    pub seed: u64,
    /// Of each picture.
    pub size: Size,
    /// How many shapes, how large, and which.
    pub contents: Contents,
}

pub use crate::data::synth::{AnnotationsRequest, Contents, Shapes, Stats};

/// What was written; `--json` prints it.
#[derive(Clone, Debug, Serialize)]
pub struct SynthReport {
    /// The folder.
    pub out: PathBuf,
    /// Pictures.
    pub images: usize,
    /// Instances on them.
    pub instances: usize,
    /// Whether all were written, and with them `labels.json`.
    pub complete: bool,
}

/// Writes the set. `progress(done, total)` returns false to stop.
///
/// # Errors
/// A folder that holds something, a size that is not made, a disk that refuses.
pub fn write(
    request: &SynthRequest,
    progress: &mut dyn FnMut(usize, usize) -> bool,
) -> Result<SynthReport, JobError> {
    if holds_something(&request.out) {
        return Err(JobError::NotEmpty {
            path: request.out.clone(),
        });
    }
    let summary = synth::write_set(
        &request.out,
        request.images,
        request.seed,
        request.size,
        request.contents,
        progress,
    )?;
    Ok(SynthReport {
        out: request.out.clone(),
        images: summary.images,
        instances: summary.instances,
        complete: summary.complete,
    })
}

/// Writes annotations without pictures, and predictions of them. `progress(done, total)` returns false to stop.
///
/// # Errors
/// As `write`.
pub fn write_annotations(
    request: &AnnotationsRequest,
    progress: &mut dyn FnMut(usize, usize) -> bool,
) -> Result<SynthReport, JobError> {
    if holds_something(&request.out) {
        return Err(JobError::NotEmpty {
            path: request.out.clone(),
        });
    }
    let summary = synth::write_annotations(request, progress)?;
    Ok(SynthReport {
        out: request.out.clone(),
        images: summary.images,
        instances: summary.instances,
        complete: summary.complete,
    })
}

/// A set of somebody's own must not be written over.
fn holds_something(folder: &Path) -> bool {
    std::fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some())
}
