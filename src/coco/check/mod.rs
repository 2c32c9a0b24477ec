//! The health of a set: everything that is left out or altered on reading, and everything suspicious.

mod annotation;
mod files;
mod ids;
mod kind;

use std::path::PathBuf;

use rayon::prelude::*;
use serde::Serialize;

pub use annotation::{AREA_TOLERANCE, BOX_TOLERANCE, BOX_TOLERANCE_PIXELS};
pub use kind::{Kind, Severity};

use super::dataset::{AnnotationHead, Dataset, DatasetImage};
use super::{CocoError, dataset};
use crate::structures::Size;

/// Images looked at between two looks at whether to stop.
const BATCH: usize = 256;
/// Findings of one kind that are kept one by one; all are counted.
pub const KEPT: usize = 100_000;

/// One thing that is wrong or worth knowing.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    /// How much it matters.
    pub severity: Severity,
    /// What it is about.
    pub kind: Kind,
    /// Position in the JSON, in bytes from 0; `None` where it concerns no place of it.
    pub byte: Option<u64>,
    /// Line of that position, from 1.
    pub line: Option<usize>,
    /// Column of that position in bytes, from 1.
    pub column: Option<usize>,
    /// The annotation's id.
    pub annotation_id: Option<u64>,
    /// File name of the image, as the set has it.
    pub image: Option<String>,
    /// What is wrong, in a sentence.
    pub text: String,
}

/// How many findings of a kind there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct KindCount {
    /// How much they matter.
    pub severity: Severity,
    /// What they are about.
    pub kind: Kind,
    /// Their number, those not kept included.
    pub count: usize,
}

/// The health report of a set.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// The JSON.
    pub json: PathBuf,
    /// The folder of its images.
    pub folder: PathBuf,
    /// Images.
    pub images: usize,
    /// Annotations, those left out included.
    pub annotations: usize,
    /// Annotations that are left out.
    pub left_out: usize,
    /// Categories.
    pub categories: usize,
    /// By kind, within a kind in the order of the file; of each kind the first `KEPT`.
    pub findings: Vec<Finding>,
    /// Of the kinds that were found.
    pub counts: Vec<KindCount>,
}

impl Report {
    /// Number of findings of a kind.
    pub fn count(&self, kind: Kind) -> usize {
        let known = self.counts.iter().find(|known| known.kind == kind);
        known.map_or(0, |known| known.count)
    }

    /// The findings of a kind that are kept.
    pub fn of(&self, kind: Kind) -> &[Finding] {
        let start = self.findings.partition_point(|finding| finding.kind < kind);
        let end = self
            .findings
            .partition_point(|finding| finding.kind <= kind);
        self.findings.get(start..end).unwrap_or_default()
    }
}

/// The size of an image's file by its header, or why it cannot be read: the caller knows the formats.
pub type Probe<'a> = &'a (dyn Fn(&DatasetImage) -> Result<Size, String> + Sync);

/// Checks a set: every record, every mask, and with `probe` every image file that is there. Uses all cores.
/// `progress(done, total)` counts images; where it returns false the check ends.
///
/// # Errors
/// The JSON was changed since the set was opened, or the disk fails; `CocoError::Cancelled`.
pub fn check(
    set: &Dataset,
    probe: Option<Probe<'_>>,
    progress: &mut dyn FnMut(usize, usize) -> bool,
) -> Result<Report, CocoError> {
    set.source().check_unchanged()?;
    let total = set.images().len();
    let mut found = Findings::default();
    ids::check(set, &mut found);
    for start in (0..total).step_by(BATCH) {
        let batch = start..total.min(start + BATCH);
        let done = batch.end;
        let texts: Vec<Findings> = batch
            .into_par_iter()
            .map(|image| check_image(set, image, probe))
            .collect::<Result<_, CocoError>>()?;
        for of_image in texts {
            found.join(of_image);
        }
        if !progress(done, total) {
            return Err(CocoError::Cancelled {
                path: set.json().to_owned(),
            });
        }
    }
    set.source().check_unchanged()?;
    found.into_report(set)
}

fn check_image(
    set: &Dataset,
    position: usize,
    probe: Option<Probe<'_>>,
) -> Result<Findings, CocoError> {
    let mut found = Findings::default();
    let Some(image) = set.images().get(position) else {
        return Ok(found);
    };
    files::check(set, position, image, probe, &mut found);
    let mut record = Vec::new();
    for head in set.heads_of(position) {
        set.read_span(head.span, &mut record)?;
        annotation::check(set, image, head, &record, &mut found);
    }
    Ok(found)
}

/// Findings by kind while they are collected.
#[derive(Default)]
struct Findings {
    list: Vec<Finding>,
    counts: std::collections::BTreeMap<Kind, usize>,
    left_out: usize,
}

impl Findings {
    fn add(&mut self, kind: Kind, byte: Option<u64>, text: String) -> Option<&mut Finding> {
        let count = self.counts.entry(kind).or_default();
        *count += 1;
        if *count > KEPT {
            return None;
        }
        self.list.push(Finding {
            severity: kind.severity(),
            kind,
            byte,
            line: None,
            column: None,
            annotation_id: None,
            image: None,
            text,
        });
        self.list.last_mut()
    }

    fn add_of_image(&mut self, kind: Kind, byte: u64, image: &DatasetImage, text: &str) {
        let text = format!("{}: {text}", image.file_name);
        if let Some(finding) = self.add(kind, Some(byte), text) {
            finding.image = Some(image.file_name.clone());
        }
    }

    fn add_of_annotation(
        &mut self,
        kind: Kind,
        head: &AnnotationHead,
        image: Option<&DatasetImage>,
        text: &str,
    ) {
        let text = match image {
            Some(image) => format!("annotation {} of {}: {text}", head.id, image.file_name),
            None => format!("annotation {}: {text}", head.id),
        };
        if let Some(finding) = self.add(kind, Some(head.span.start), text) {
            finding.annotation_id = Some(head.id);
            finding.image = image.map(|image| image.file_name.clone());
        }
    }

    fn join(&mut self, other: Self) {
        self.left_out += other.left_out;
        for finding in other.list {
            let count = self.counts.entry(finding.kind).or_default();
            *count += 1;
            if *count <= KEPT {
                self.list.push(finding);
            }
        }
    }

    /// Sorts, and counts lines in one pass over the file.
    fn into_report(mut self, set: &Dataset) -> Result<Report, CocoError> {
        self.list.sort_by_key(|finding| finding.byte);
        let bytes: Vec<u64> = self
            .list
            .iter()
            .filter_map(|finding| finding.byte)
            .collect();
        let mut places = set.source().lines_and_columns(&bytes)?.into_iter();
        for finding in self
            .list
            .iter_mut()
            .filter(|finding| finding.byte.is_some())
        {
            (finding.line, finding.column) = places.next().unzip();
        }
        self.list.sort_by_key(|finding| finding.kind); // stable
        let index = set.index();
        let is_annotation = |problem: &&dataset::Problem| {
            problem.list == dataset::List::Annotations && problem.reason.is_left_out()
        };
        let unreadable = index.problems.iter().filter(is_annotation).count();
        Ok(Report {
            json: set.json().to_owned(),
            folder: set.folder().to_owned(),
            images: set.images().len(),
            annotations: index.annotations.len() + unreadable,
            left_out: self.left_out + unreadable,
            categories: set.classes().len(),
            findings: self.list,
            counts: self
                .counts
                .into_iter()
                .map(|(kind, count)| KindCount {
                    severity: kind.severity(),
                    kind,
                    count,
                })
                .collect(),
        })
    }
}
