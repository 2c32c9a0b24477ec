//! The corrected set, and the report on it.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use serde_json::json;

use super::instances::write_images;
use super::{ExportSummary, Job, Progress};
use crate::coco::predictions::file_of;
use crate::coco::{CocoError, content_hash, save};
use crate::jobs::JobError;
use crate::jobs::doctor::VERSION;
use crate::jobs::evaluate::{EvaluateEvent, EvaluateRequest, ReportFacts, evaluate, write_report};
use crate::structures::ranking::RankBy;

/// The key of `info` that tells where a corrected set comes from.
const PROVENANCE: &str = "maskscope";

impl Job<'_> {
    /// A copy of the set's JSON with what was edited replaced. Without an edit it is the file to the byte.
    pub(super) fn write_coco(&self, out: &Path) -> Result<(), JobError> {
        let set = self.set.set();
        let mut edits = self.set.edits()?;
        if !edits.is_empty() {
            let name = set.json().file_name().unwrap_or_default();
            let provenance = json!({
                "version": VERSION,
                "source": { "file": name.to_string_lossy(), "hash": content_hash(set.json())? },
                "date": jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
                "edits": self.corrections.counts(),
            });
            edits.set_info(PROVENANCE, provenance);
        }
        Ok(save::save(set, out, &edits)?)
    }

    /// Evaluates the predictions against the corrected set and writes the report.
    pub(super) fn write_report(
        &self,
        summary: &mut ExportSummary,
        progress: Progress<'_>,
    ) -> Result<(), JobError> {
        let set = self.set.set();
        let predictions = self.request.predictions.clone();
        let predictions = predictions.ok_or(JobError::ReportWithoutPredictions)?;
        let folder = tempfile::tempdir().map_err(|source| JobError::Folder {
            path: std::env::temp_dir(),
            source,
        })?;
        // With its own name, which the report tells.
        let name = set.json().file_name().unwrap_or_default();
        let corrected = folder.path().join(name);
        self.write_coco(&corrected)?;
        let kept = folder.path().join("kept");
        let hash = self.prediction_hash(&predictions)?;
        let mut rejected = self.remarks.rejected.iter();
        let predictions = match rejected.any(|(_, source, _)| *source == hash) {
            false => predictions,
            // Under its own name, which the report tells.
            true => self.write_kept(&predictions, &kept, summary)?,
        };
        let stop = AtomicBool::new(false);
        let request = EvaluateRequest {
            data: corrected,
            images: Some(set.folder().to_owned()),
            predictions: Some(predictions),
            model: None,
            rank_by: RankBy::IouScore,
            pycocotools_ids: false,
            filter: None,
            details: true,
        };
        let mut tell = |event: EvaluateEvent<'_>| {
            let goes_on = match event {
                EvaluateEvent::Progress { done, total, .. } => progress(done, total),
                _ => true,
            };
            if !goes_on {
                stop.store(true, std::sync::atomic::Ordering::Relaxed);
            }
        };
        let found = evaluate(&request, &stop, &mut tell)?;
        let facts = ReportFacts {
            command_line: self.request.command_line.clone(),
            filter: None,
        };
        summary.written = write_report(&found, &facts, &self.request.out, &stop, &mut tell)?;
        summary.instances = found.detections;
        summary.notes.extend(found.notes);
        Ok(())
    }

    /// Writes the predictions that were not rejected into a folder.
    fn write_kept(
        &self,
        predictions: &Path,
        folder: &Path,
        summary: &mut ExportSummary,
    ) -> Result<PathBuf, JobError> {
        std::fs::create_dir(folder).map_err(|source| JobError::Folder {
            path: folder.to_owned(),
            source,
        })?;
        let name = file_of(predictions);
        let kept = folder.join(name.file_name().unwrap_or_default());
        let images = self.predicted(summary)?;
        write_images(&kept, images, self.set.classes())?;
        Ok(kept)
    }

    pub(super) fn cancelled(&self) -> CocoError {
        CocoError::Cancelled {
            path: self.set.set().json().to_owned(),
        }
    }
}
