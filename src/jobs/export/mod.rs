//! Writing a reviewed set in one of many formats: each output whole or not at all, the set itself never touched.

mod coco_file;
mod instances;
mod pictures;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use serde::Serialize;

use super::JobError;
use crate::coco::dataset::Dataset;
use crate::coco::{
    CocoError, CorrectedSet, Corrections, Counts, FormatCounts, write_cvat, write_voc, write_yolo,
};

/// What can be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// The corrected set.
    Coco,
    /// COCO results: `OUT.bbox.json` and `OUT.segm.json`.
    Results,
    /// The prediction JSON.
    Predictions,
    /// One row an annotation.
    Csv,
    /// YOLO segmentation labels.
    Yolo,
    /// Pascal VOC boxes.
    Voc,
    /// CVAT for images 1.1.
    Cvat,
    /// Pictures with their masks, as PNG.
    Overlays,
    /// The report of an evaluation.
    Html,
}

impl Format {
    /// Whether predictions are what it writes, where there are any.
    pub fn is_of_predictions(self) -> bool {
        matches!(self, Self::Results | Self::Predictions | Self::Html)
    }

    /// As `--format` takes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Coco => "coco",
            Self::Results => "results",
            Self::Predictions => "predictions",
            Self::Csv => "csv",
            Self::Yolo => "yolo",
            Self::Voc => "voc",
            Self::Cvat => "cvat",
            Self::Overlays => "overlays",
            Self::Html => "html",
        }
    }
}

/// What somebody said of an annotation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Remark {
    /// The verdict in words; empty for none.
    pub verdict: String,
    /// Tags.
    pub tags: Vec<String>,
    /// The note.
    pub note: String,
}

/// What a review said, as far as files hold it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Remarks {
    /// By annotation id.
    pub annotations: BTreeMap<u64, Remark>,
    /// Rejected predictions: image id, hash of their file, fingerprint of their mask.
    pub rejected: BTreeSet<(u64, String, String)>,
}

/// What to write and where.
#[derive(Clone, Debug)]
pub struct ExportRequest {
    /// The format.
    pub format: Format,
    /// A file; a folder for YOLO, VOC, overlays and the report; a prefix for results.
    pub out: PathBuf,
    /// Predictions to write instead of the annotations, or to report on: a file, or the prefix of a pair.
    pub predictions: Option<PathBuf>,
    /// What verdicts on them belong to, where it is not the content of that file: of the checkpoint that made them.
    pub prediction_hash: Option<String>,
    /// The command line, for the report.
    pub command_line: String,
}

/// What was written; `--json` prints it.
#[derive(Clone, Debug, Serialize)]
pub struct ExportSummary {
    /// The format.
    pub format: Format,
    /// Files or folders that were written.
    pub written: Vec<PathBuf>,
    /// Images.
    pub images: usize,
    /// Annotations or predictions.
    pub instances: usize,
    /// What the review changed.
    pub edits: Counts,
    /// What the format cannot hold, what was left out, in sentences.
    pub notes: Vec<String>,
}

/// How far an export has come: images done, of all. Returns false to stop.
pub type Progress<'a> = &'a mut (dyn FnMut(usize, usize) -> bool + Send);

/// What every format is made of.
struct Job<'a> {
    set: CorrectedSet<'a>,
    corrections: &'a Corrections,
    remarks: &'a Remarks,
    request: &'a ExportRequest,
}

/// Writes a set with what a review made of it. Blocks: call it on a thread.
///
/// # Errors
/// Something stands in the way of the output, the set's file was changed, the format cannot hold the set, or `progress`
/// stopped it. What was at the output stays then.
pub fn export(
    set: &Dataset,
    corrections: &Corrections,
    remarks: &Remarks,
    request: &ExportRequest,
    progress: Progress<'_>,
) -> Result<ExportSummary, JobError> {
    check_output(set, &request.out)?;
    let job = Job {
        set: CorrectedSet::new(set, corrections),
        corrections,
        remarks,
        request,
    };
    let mut summary = ExportSummary {
        format: request.format,
        written: vec![request.out.clone()],
        images: set.images().len(),
        instances: 0,
        edits: corrections.counts(),
        notes: Vec::new(),
    };
    job.write(&mut summary, progress)?;
    Ok(summary)
}

impl Job<'_> {
    fn write(&self, summary: &mut ExportSummary, progress: Progress<'_>) -> Result<(), JobError> {
        let out = &self.request.out;
        let total = summary.images;
        let mut tick = |done: usize| progress(done, total);
        match self.request.format {
            Format::Coco => {
                let counts = summary.edits;
                summary.instances = self.set.set().heads().len() + counts.added - counts.deleted;
                self.write_coco(out)?;
                if !self.set.set().is_at_home(out) {
                    let folder = self.set.set().folder().display();
                    summary.notes.push(format!(
                        "its images lie in {folder} and are not found from there: open it with --images {folder}"
                    ));
                }
                Ok(())
            }
            Format::Csv => self.write_csv(summary, &mut tick),
            Format::Predictions => self.write_predictions(summary, &mut tick),
            Format::Results => self.write_results(summary, &mut tick),
            Format::Yolo => {
                let write = |folder: &Path| write_yolo(&self.set, folder, &mut tick);
                summary.take(into_folder(out, write)?, "joined into one ring");
                Ok(())
            }
            Format::Voc => {
                let write = |folder: &Path| write_voc(&self.set, folder, &mut tick);
                summary.take(into_folder(out, write)?, "told otherwise");
                Ok(())
            }
            Format::Cvat => {
                let write = |file: &Path| write_cvat(&self.set, file, &mut tick);
                let told = "written as several polygons, or without their holes";
                summary.take(into_file(out, write)?, told);
                Ok(())
            }
            Format::Overlays => {
                let written = into_folder(out, |folder| {
                    self.write_overlays(folder, summary, &mut tick)
                });
                written.map(|_| ())
            }
            Format::Html => self.write_report(summary, progress),
        }
    }
}

impl ExportSummary {
    fn take(&mut self, counts: FormatCounts, altered: &str) {
        self.images = counts.images;
        self.instances = counts.annotations;
        for (count, what) in [
            (
                counts.crowds_left_out,
                "crowds are left out: the format has none",
            ),
            (
                counts.empty_left_out,
                "annotations without a usable mask are left out",
            ),
            (
                counts.altered,
                &format!("annotations of several parts or with holes are {altered}"),
            ),
        ] {
            if count > 0 {
                self.notes.push(format!("{count} {what}"));
            }
        }
    }
}

/// Refuses an output that is the set itself, by whatever name.
///
/// # Errors
/// `JobError::OntoItself`.
pub fn check_output(set: &Dataset, out: &Path) -> Result<(), JobError> {
    let itself = std::fs::canonicalize(set.json()).ok();
    if itself.is_some() && std::fs::canonicalize(out).ok() == itself {
        let path = out.to_owned();
        return Err(JobError::OntoItself { path });
    }
    Ok(())
}

/// Whether a flag asks to stop; for `progress`.
pub fn goes_on(stop: &AtomicBool) -> bool {
    !stop.load(Ordering::Relaxed)
}

/// Lets a folder be written beside its place and moves it there when it is whole. A folder that holds something is refused.
fn into_folder<T, E: Into<JobError>>(
    out: &Path,
    write: impl FnOnce(&Path) -> Result<T, E>,
) -> Result<T, JobError> {
    let holds_something = std::fs::read_dir(out).is_ok_and(|mut entries| entries.next().is_some());
    if holds_something || out.is_file() {
        let path = out.to_owned();
        return Err(JobError::NotEmpty { path });
    }
    let (temporary, failed) = beside(out)?;
    let made = temporary.path().join("whole");
    std::fs::create_dir(&made).map_err(&failed)?;
    let result = write(&made).map_err(Into::into)?;
    if out.is_dir() {
        std::fs::remove_dir(out).map_err(&failed)?; // it is empty
    }
    std::fs::rename(&made, out).map_err(&failed)?;
    Ok(result)
}

/// As `into_folder`, for a writer that wants the name of a file.
fn into_file<T>(
    out: &Path,
    write: impl FnOnce(&Path) -> Result<T, CocoError>,
) -> Result<T, JobError> {
    let (temporary, failed) = beside(out)?;
    let made = temporary.path().join("whole");
    let result = write(&made)?;
    std::fs::rename(&made, out).map_err(&failed)?;
    Ok(result)
}

/// A folder beside the output that goes away with everything in it.
fn beside(
    out: &Path,
) -> Result<(tempfile::TempDir, impl Fn(std::io::Error) -> JobError), JobError> {
    let path = out.to_owned();
    let failed = move |source| JobError::Folder {
        path: path.clone(),
        source,
    };
    let parent = out.parent().filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or(Path::new("."));
    std::fs::create_dir_all(parent).map_err(&failed)?;
    let mut builder = tempfile::Builder::new();
    let made = builder.prefix(".maskscope-").tempdir_in(parent);
    Ok((made.map_err(&failed)?, failed))
}
