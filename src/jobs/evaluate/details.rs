//! What follows the numbers: what went wrong, whether the model knows, and the files of `--out`.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use serde::Serialize;

use super::tell::Teller;
use super::{EvaluateEvent, Evaluated, EvaluatedKind, Stage};
use crate::coco::{write_json, write_whole};
use crate::eval::knows::{self, Analysis, Subject};
use crate::eval::{Diagnosis, DiagnosisRules, Kind, diagnose, measured_ious};
use crate::jobs::JobError;
use crate::jobs::doctor::VERSION;
use crate::report::{self, KindView, Report};

/// What is not in the numbers themselves, for the page.
#[derive(Clone, Debug, Default)]
pub struct ReportFacts {
    /// The command line that made it.
    pub command_line: String,
    /// The query that restricted it.
    pub filter: Option<String>,
}

/// Analyses an evaluation that was made with `details` and writes its files into `folder`: `report.html`, `numbers.json`,
/// `analysis.json`, `images.csv`, `matches.csv`, `truths.csv`, `left_out.csv`. Each is replaced whole; other files stay.
///
/// # Errors
/// A folder that cannot be written; `Interrupted` when told to stop.
pub fn write_report(
    found: &Evaluated,
    facts: &ReportFacts,
    folder: &Path,
    stop: &AtomicBool,
    report: &mut (dyn FnMut(EvaluateEvent<'_>) + Send),
) -> Result<Vec<PathBuf>, JobError> {
    let teller = Teller::new(stop, report);
    teller.stage(Stage::Analyse);
    let page = make(found, facts, &teller)?;
    teller.check()?;
    teller.stage(Stage::WriteReport);
    std::fs::create_dir_all(folder).map_err(|source| JobError::Folder {
        path: folder.to_owned(),
        source,
    })?;
    let mut written = Vec::new();
    let mut place = |name: &str| {
        let path = folder.join(name);
        written.push(path.clone());
        path
    };
    write_json(&place("numbers.json"), &found.to_numbers())?;
    let analysis = AnalysisFile {
        analysis: page.analysis.as_ref(),
        diagnosis: page.diagnosis.as_ref(),
    };
    write_json(&place("analysis.json"), &analysis)?;
    write_whole(&place("images.csv"), |out| report::images_csv(&page, out))?;
    write_whole(&place("matches.csv"), |out| report::matches_csv(&page, out))?;
    write_whole(&place("truths.csv"), |out| report::truths_csv(&page, out))?;
    write_whole(&place("left_out.csv"), |out| {
        report::left_out_csv(&page, out)
    })?;
    write_whole(&place("report.html"), |out| report::write_page(&page, out))?;
    Ok(written)
}

#[derive(Serialize)]
struct AnalysisFile<'a> {
    analysis: Option<&'a Analysis>,
    diagnosis: Option<&'a Diagnosis>,
}

fn make<'a>(
    found: &'a Evaluated,
    facts: &ReportFacts,
    teller: &Teller<'_>,
) -> Result<Report<'a>, JobError> {
    let primary = found.segm.as_ref().or(found.bbox.as_ref());
    let measured = found.segm.as_ref().map(measured_of).unwrap_or_default();
    let mut diagnosis = match primary {
        Some(kind) => Some(diagnosis(kind, &measured, teller)?),
        None => None,
    };
    if found.segm.is_none()
        && let Some(diagnosis) = &mut diagnosis
    {
        // Its rules are about masks.
        diagnosis.suspects = Default::default();
    }
    let analysis = match &found.segm {
        Some(masks) => Some(analysis(masks, found.bbox.as_ref(), teller)?),
        None => None,
    };
    let left_out = found.left_out.iter().map(|entry| {
        let file = entry.file.display().to_string();
        [file, entry.what.clone(), entry.reason.clone()]
    });
    Ok(Report {
        title: title(&found.set),
        facts: all_facts(found, facts),
        bbox: found.bbox.as_ref().map(view),
        segm: found.segm.as_ref().map(view),
        measured,
        diagnosis,
        analysis,
        notes: found.notes.clone(),
        left_out: left_out.collect(),
        left_out_count: found.left_out_count,
    })
}

/// Measured IoU of each detection.
pub(super) fn measured_of(masks: &EvaluatedKind) -> Vec<Option<f64>> {
    measured_ious(&masks.input, &masks.overlaps)
}

fn diagnosis(
    kind: &EvaluatedKind,
    measured: &[Option<f64>],
    teller: &Teller<'_>,
) -> Result<Diagnosis, JobError> {
    let found = diagnose(
        &kind.setup(),
        &kind.order,
        &kind.selection,
        &kind.matches,
        measured,
        &DiagnosisRules::default(),
        &|_| !teller.is_stopped(),
    );
    found.ok_or(JobError::Interrupted)
}

fn analysis(
    masks: &EvaluatedKind,
    boxes: Option<&EvaluatedKind>,
    teller: &Teller<'_>,
) -> Result<Analysis, JobError> {
    // Boxes of a list of their own are other detections.
    let boxes = boxes.filter(|boxes| Arc::ptr_eq(&boxes.input, &masks.input));
    let subject = Subject {
        masks: masks.setup(),
        boxes: boxes.map(EvaluatedKind::setup),
        selection: &masks.selection,
    };
    const WHOLE: f32 = 100.0;
    let step = |share: f32| teller.step((share * WHOLE) as usize, WHOLE as usize);
    knows::analyse(&subject, knows::Options::default(), &step).ok_or(JobError::Interrupted)
}

fn view(kind: &EvaluatedKind) -> KindView<'_> {
    KindView {
        setup: kind.setup(),
        rank_by: kind.rank_by.key(),
        selection: &kind.selection,
        order: &kind.order,
        matches: &kind.matches,
        curves: &kind.curves,
        numbers: kind.numbers,
    }
}

/// The JSON's name, with its folder where the name alone says little.
fn title(set: &Path) -> String {
    let name = |path: &Path| {
        path.file_name()
            .map(|name| name.to_string_lossy().into_owned())
    };
    match (set.parent().and_then(name), name(set)) {
        (Some(folder), Some(file)) => format!("{folder}/{file}"),
        (None, Some(file)) => file,
        _ => set.display().to_string(),
    }
}

fn all_facts(found: &Evaluated, facts: &ReportFacts) -> Vec<(&'static str, String)> {
    let shown = |paths: &[PathBuf]| {
        let paths: Vec<String> = paths
            .iter()
            .map(|path| path.display().to_string())
            .collect();
        paths.join(", ")
    };
    let sources = match found.sources.as_slice() {
        [] => found.model.clone().unwrap_or_default(),
        files => shown(files),
    };
    let ranked = format!("boxes by score, masks by {}", found.rank_by.key());
    let counts = format!("{} images, {} detections", found.images, found.detections);
    let mut all = vec![
        ("Ground truth", found.set.display().to_string()),
        ("Predictions", sources),
        ("Evaluated", counts),
        ("Ranked", ranked),
    ];
    let of = |kind: Kind| match kind {
        Kind::Bbox => &found.bbox,
        Kind::Segm => &found.segm,
    };
    if of(Kind::Segm).is_none() {
        all.push(("Masks", "the predictions have none".into()));
    }
    all.extend(facts.filter.clone().map(|filter| ("Restricted to", filter)));
    all.push(("Command", facts.command_line.clone()));
    all.push(("Made by", format!("maskscope {VERSION}")));
    all
}
