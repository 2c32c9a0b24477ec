//! What took no part, each with its file and its place there.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use super::kinds::Kinds;
use super::source::{LeftOutEntry, Source};
use super::tell::Teller;
use crate::coco::check::{self, Finding};
use crate::coco::correspond::ImageRef;
use crate::coco::dataset::Dataset;
use crate::coco::predictions::{Place, Places};
use crate::eval::{Kind, LeftOut, Subject};
use crate::jobs::JobError;

/// Entries of a file whose place is looked up; more carry what is known without.
const PLACED: usize = 200;
/// Entries that are kept.
const KEPT: usize = 10_000;

/// What took no part, and what was read otherwise than it stands there.
#[derive(Default)]
pub(super) struct Remarks {
    pub left_out: Vec<LeftOutEntry>,
    pub left_out_count: usize,
    pub notes: Vec<String>,
    /// The first annotation with the id 0.
    pub id_zero: Option<String>,
}

/// Gathers the remarks on both sides. The set is looked through once more only where something of it was left out.
pub(super) fn remarks(
    dataset: &Dataset,
    source: &mut Source,
    kinds: &Kinds,
    teller: &Teller<'_>,
) -> Result<Remarks, JobError> {
    let mut found = Remarks {
        left_out: std::mem::take(&mut source.left_out),
        left_out_count: source.left_out_count,
        ..Remarks::default()
    };
    let mut of_set = Vec::new();
    for (kind, input) in kinds.inputs() {
        let file = match kind {
            Kind::Bbox => source.files.first(),
            Kind::Segm => source.files.last(),
        };
        let (set, predictions): (Vec<&LeftOut>, Vec<&LeftOut>) = input
            .left_out
            .iter()
            .partition(|left_out| left_out.subject == Subject::Set);
        let listed = set.len() + predictions.len();
        found.left_out_count += input.left_out_count - listed + predictions.len();
        found.predictions(source, file, &predictions);
        // Two lists of predictions meet the same annotations.
        of_set = set;
    }
    let is_altered = kinds.inputs().iter().any(|(_, input)| input.is_altered);
    let has_zero = kinds.id_zero.is_some();
    if !of_set.is_empty() || !dataset.notes().is_empty() || is_altered || has_zero {
        found.set(dataset, &of_set, teller)?;
    }
    found.left_out.truncate(KEPT);
    Ok(found)
}

impl Remarks {
    fn predictions(&mut self, source: &Source, file: Option<&PathBuf>, left_out: &[&LeftOut]) {
        if left_out.is_empty() {
            return;
        }
        // A file that went away meanwhile costs the places alone.
        let places = file.and_then(|file| Places::read(file).ok());
        let file = file.cloned().unwrap_or_else(|| PathBuf::from("the model"));
        for (at, entry) in left_out.iter().enumerate() {
            let place = places.as_ref().filter(|_| at < PLACED);
            let place = place.and_then(|places| place_of(places, source, &entry.subject));
            let what = match place {
                Some((number, Place { line, column, .. })) => format!(
                    "{}, prediction {number} of the file (line {line}, column {column})",
                    entry.what
                ),
                None => entry.what.clone(),
            };
            self.left_out.push(LeftOutEntry {
                file: file.clone(),
                what,
                reason: entry.reason.clone(),
            });
        }
    }

    /// The health check knows the place of everything that it finds.
    fn set(
        &mut self,
        dataset: &Dataset,
        left_out: &[&LeftOut],
        teller: &Teller<'_>,
    ) -> Result<(), JobError> {
        let report = check::check(dataset, None, &mut |_, _| !teller.is_stopped());
        teller.check()?;
        let report = report?;
        let json = dataset.json();
        let entry = |what: String, reason: String| LeftOutEntry {
            file: json.to_owned(),
            what,
            reason,
        };
        // Records that no image has: only the check lists them.
        for kind in [check::Kind::UnreadableRecord, check::Kind::UnknownImage] {
            self.left_out_count += report.count(kind);
            let findings = report.of(kind).iter();
            self.left_out
                .extend(findings.map(|finding| entry(placed(finding), finding.text.clone())));
        }
        let places = places_of(dataset, left_out)?;
        self.left_out_count += left_out.len();
        for left_out in left_out {
            let place = subject_id(left_out).and_then(|id| places.get(&id));
            let what = &left_out.what;
            let what = match (place, finding_of_image(&report, what)) {
                (Some((line, column)), _) => format!("{what}, line {line}, column {column}"),
                (None, Some(finding)) => format!("{what}, {}", placed(finding)),
                (None, None) => what.clone(),
            };
            self.left_out.push(entry(what, left_out.reason.clone()));
        }
        let zero = report.of(check::Kind::AnnotationIdZero).first();
        self.id_zero = zero.map(|zero| format!("{}, {}", json.display(), placed(zero)));
        for kind in check::Kind::ALL.iter().filter(|kind| alters(**kind)) {
            if let Some(first) = report.of(*kind).first() {
                self.notes
                    .push(note(json, *kind, report.count(*kind), first));
            }
        }
        Ok(())
    }
}

/// Lines and columns of annotations that were left out, by id.
fn places_of(
    dataset: &Dataset,
    left_out: &[&LeftOut],
) -> Result<HashMap<u64, (usize, usize)>, JobError> {
    let ids: HashSet<u64> = left_out
        .iter()
        .filter_map(|entry| subject_id(entry))
        .collect();
    let heads = dataset.heads().iter().filter(|head| ids.contains(&head.id));
    let mut starts: Vec<(u64, u64)> = heads.map(|head| (head.span.start, head.id)).collect();
    starts.sort_unstable();
    let offsets: Vec<u64> = starts.iter().map(|&(start, _)| start).collect();
    let places = dataset.lines_and_columns(&offsets)?;
    let mut found = HashMap::new();
    for ((_, id), place) in starts.into_iter().zip(places) {
        found.entry(id).or_insert(place); // of equal ids the first
    }
    Ok(found)
}

/// The finding about an image that was left out, `image 3 (name)`.
fn finding_of_image<'a>(report: &'a check::Report, what: &str) -> Option<&'a Finding> {
    if !what.starts_with("image ") {
        return None;
    }
    let kinds = [check::Kind::RepeatedImageId, check::Kind::ImageWithoutSize];
    let mut findings = kinds.iter().flat_map(|kind| report.of(*kind));
    findings.find(|finding| {
        let image = finding.image.as_deref();
        image.is_some_and(|image| what.ends_with(&format!("({image})")))
    })
}

fn subject_id(entry: &LeftOut) -> Option<u64> {
    annotation_id(&entry.what).or(annotation_id(&entry.reason))
}

/// The id in `annotation 17 of …`.
fn annotation_id(text: &str) -> Option<u64> {
    let rest = text.strip_prefix("annotation ")?;
    rest.split(' ').next()?.parse().ok()
}

/// Findings of what is read otherwise than it stands there, and takes part.
fn alters(kind: check::Kind) -> bool {
    use check::Kind as K;
    matches!(
        kind,
        K::RepeatedImageId
            | K::RepeatedAnnotationId
            | K::RepeatedCategoryId
            | K::RepeatedKey
            | K::AlteredField
            | K::NotUtf8
            | K::ShortPolygon
            | K::OddCoordinates
            | K::ShortRle
    )
}

fn placed(finding: &Finding) -> String {
    match (finding.line, finding.column) {
        (Some(line), Some(column)) => format!("line {line}, column {column}"),
        _ => "the set".into(),
    }
}

fn note(json: &Path, kind: check::Kind, count: usize, first: &Finding) -> String {
    let (json, title, place) = (json.display(), kind.title(), placed(first));
    match count {
        1 => format!("{json}: {title}: {} ({place})", first.text),
        _ => format!(
            "{json}: {title}: {count}; the first: {} ({place})",
            first.text
        ),
    }
}

fn place_of(places: &Places, source: &Source, subject: &Subject) -> Option<(usize, Place)> {
    match subject {
        Subject::Set => None,
        Subject::Image(ImageRef::Id(id)) => places.of_image(&id.to_string(), 0),
        Subject::Image(ImageRef::Path(path)) => places.of_image(path, 0),
        Subject::Image(ImageRef::Position(_)) => None,
        Subject::Class(label) => {
            let predicted = source.segm.as_ref().or(source.bbox.as_ref())?;
            let id = match predicted.by_category_id {
                true => predicted.classes.category_id(*label)?,
                false => *label as i64,
            };
            places.of_category(id)
        }
        Subject::Prediction { image_id, index } => places.of_image(&image_id.to_string(), *index),
    }
}
