//! Finding out what a path is, and opening it on a thread.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::opening::Teller;
use super::{ImageEntry, ImageState, PathKind, Source, SourceKind};
use crate::coco::dataset::{Dataset, DatasetImage, JsonKind, Role, kind_of_json};
use crate::coco::{CocoError, predictions};
use crate::jobs::{JobError, sets};
use crate::structures::ClassTable;

/// Suffixes of weights.
const CHECKPOINTS: [&str; 5] = ["safetensors", "pth", "pt", "ckpt", "pkl"];

/// What an opening thread hands over.
pub(super) struct Opened {
    pub source: Source,
    pub images: Vec<ImageEntry>,
    pub classes: ClassTable,
    pub dataset: Option<Arc<Dataset>>,
    /// What the user should know: missing files, dropped annotations.
    pub notes: Vec<String>,
    /// The model that belongs to it: the demo's.
    pub checkpoint: Option<PathBuf>,
}

/// Why nothing was opened: what, where, what to do.
#[derive(Debug, thiserror::Error)]
pub(super) enum OpenError {
    #[error(transparent)]
    Coco(#[from] CocoError),
    #[error(transparent)]
    Job(#[from] JobError),
    #[error("{0} is no image, COCO set, prediction file or checkpoint that Maskscope knows")]
    Unknown(PathBuf),
    #[error("{0} does not exist")]
    Absent(PathBuf),
}

pub(super) fn kind_of(path: &Path) -> PathKind {
    if path.is_dir() {
        let marks = ["labels.json", "_annotations.coco.json", "annotations"];
        let is_set = marks.iter().any(|mark| path.join(mark).exists());
        return if is_set {
            PathKind::CocoSet
        } else {
            PathKind::Folder
        };
    }
    let suffix = path.extension().map(|e| e.to_string_lossy().to_lowercase());
    match suffix.as_deref() {
        Some(suffix) if CHECKPOINTS.contains(&suffix) => PathKind::Checkpoint,
        Some("json") => match kind_of_json(path) {
            Ok(JsonKind::Dataset) => PathKind::CocoSet,
            Ok(JsonKind::Predictions | JsonKind::Results) => PathKind::Predictions,
            Ok(JsonKind::Other) | Err(_) => PathKind::Unknown,
        },
        _ if sets::is_image(path) => PathKind::Image,
        _ => PathKind::Unknown,
    }
}

/// Opens `path`; `teller` hears of it meanwhile.
pub(super) fn open(path: &Path, teller: &Teller) -> Result<Opened, OpenError> {
    if !path.exists() {
        return Err(OpenError::Absent(path.to_owned()));
    }
    match kind_of(path) {
        PathKind::Folder | PathKind::CocoSet if path.is_dir() => open_folder(path, teller),
        PathKind::CocoSet => open_set(path, SourceKind::CocoSet, teller),
        PathKind::Predictions => open_predictions(path, teller),
        PathKind::Image => Ok(open_image(path)),
        PathKind::Folder | PathKind::Checkpoint | PathKind::Unknown => {
            Err(OpenError::Unknown(path.to_owned()))
        }
    }
}

/// Makes the demo set where it is not there yet, and opens it.
pub(super) fn open_demo(teller: &Teller) -> Result<Opened, OpenError> {
    let folder = sets::demo_folder(&mut |done| teller.found(done))?;
    let dataset = Dataset::open(&folder)?;
    let mut opened = opened_set(dataset, SourceKind::Demo, &folder);
    opened.source.title = "Demo".into();
    opened.checkpoint = Some(sets::demo_checkpoint()?);
    Ok(opened)
}

/// A folder with a COCO JSON is a set; without one it is a folder of images.
fn open_folder(path: &Path, teller: &Teller) -> Result<Opened, OpenError> {
    let mut notes = Vec::new();
    match open_set(path, SourceKind::CocoSet, teller) {
        Ok(opened) => return Ok(opened),
        Err(OpenError::Coco(CocoError::NoDataset { .. })) => {}
        Err(error) if sets::list_folder(path)?.is_empty() => return Err(error),
        Err(error) => notes.push(format!("opened as a folder of images: {error}")),
    }
    let files = sets::list_folder(path)?;
    if files.is_empty() {
        let hint = "; choose another folder, or one inside it";
        return Err(JobError::NoImages {
            path: path.to_owned(),
            hint,
        }
        .into());
    }
    teller.found(files.len());
    Ok(Opened {
        source: source(SourceKind::Folder, path),
        images: files.into_iter().map(|file| entry(file, path)).collect(),
        classes: ClassTable::default(),
        dataset: None,
        notes,
        checkpoint: None,
    })
}

fn open_image(path: &Path) -> Opened {
    let folder = path.parent().unwrap_or(Path::new(""));
    Opened {
        source: source(SourceKind::Image, path),
        images: vec![entry(path.to_owned(), folder)],
        classes: ClassTable::default(),
        dataset: None,
        notes: Vec::new(),
        checkpoint: None,
    }
}

fn open_set(path: &Path, kind: SourceKind, teller: &Teller) -> Result<Opened, OpenError> {
    let dataset = Dataset::open_with(path, Role::Any, None, &mut |step| {
        if let Some(images) = step.images {
            teller.images(Opened {
                source: source(kind, path),
                images: images.iter().map(|image| set_entry(image, 0)).collect(),
                classes: ClassTable::default(),
                dataset: None,
                notes: Vec::new(),
                checkpoint: None,
            });
        }
        teller.read(step.done, step.total)
    })?;
    Ok(opened_set(dataset, kind, path))
}

fn opened_set(dataset: Dataset, kind: SourceKind, path: &Path) -> Opened {
    let mut notes = dataset.notes().to_vec();
    if dataset.missing() > 0 {
        let (missing, all) = (dataset.missing(), dataset.images().len());
        notes.push(format!(
            "{missing} of {all} images are not in {}",
            dataset.folder().display()
        ));
    }
    let images = dataset.images().iter().enumerate();
    Opened {
        source: source(kind, path),
        images: images
            .map(|(index, image)| set_entry(image, dataset.annotations_of(index)))
            .collect(),
        classes: dataset.classes().clone(),
        dataset: Some(Arc::new(dataset)),
        notes,
        checkpoint: None,
    }
}

fn set_entry(image: &DatasetImage, annotations: usize) -> ImageEntry {
    ImageEntry {
        path: image.path.clone(),
        name: image.file_name.clone(),
        key: key(&image.path),
        declared: image.declared,
        size: image.declared,
        state: ImageState::Idle,
        annotations,
    }
}

fn open_predictions(path: &Path, teller: &Teller) -> Result<Opened, OpenError> {
    let file = predictions::read(path)?;
    teller.found(file.images.len());
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut missing = 0;
    let images: Vec<_> = file
        .images
        .into_iter()
        .map(|mut image| {
            let at = find_image(&image.path, folder);
            missing += usize::from(at.is_none());
            let name = Path::new(&image.path).file_name();
            let is_known = image.size.pixels() > 0; // lists of boxes do not tell
            image.detections.sort_by(|a, b| b.score.total_cmp(&a.score));
            ImageEntry {
                path: at.unwrap_or_else(|| PathBuf::from(&image.path)),
                name: name.map_or_else(|| image.path.clone(), |n| n.to_string_lossy().into_owned()),
                key: image.path,
                declared: None,
                size: is_known.then_some(image.size),
                state: ImageState::Done(Arc::new(image.detections)),
                annotations: 0,
            }
        })
        .collect();
    let mut notes = file.notes;
    if missing > 0 {
        notes.push(format!(
            "{missing} of {} images of {} were not found: put the JSON beside them",
            images.len(),
            path.display()
        ));
    }
    Ok(Opened {
        source: source(SourceKind::Predictions, path),
        images,
        classes: file.classes,
        dataset: None,
        notes,
        checkpoint: None,
    })
}

/// The image that a prediction file names: as it says, below the file's folder, or by its bare name beside the file.
fn find_image(key: &str, folder: &Path) -> Option<PathBuf> {
    let given = Path::new(key);
    let name = given.file_name().unwrap_or_default();
    [
        given.to_owned(),
        folder.join(given),
        folder.join(name),
        folder.join("images").join(name),
    ]
    .into_iter()
    .find(|candidate| candidate.is_file())
}

fn source(kind: SourceKind, path: &Path) -> Source {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let names: Vec<_> = absolute
        .components()
        .rev()
        .filter_map(|part| match part {
            std::path::Component::Normal(name) => Some(name.to_string_lossy().into_owned()),
            _ => None,
        })
        .take(2)
        .collect();
    let title = names.into_iter().rev().collect::<Vec<_>>().join(" / ");
    Source {
        kind,
        path: absolute,
        title,
    }
}

fn entry(path: PathBuf, folder: &Path) -> ImageEntry {
    let name = path
        .strip_prefix(folder)
        .unwrap_or(&path)
        .to_string_lossy()
        .into_owned();
    let key = key(&path);
    ImageEntry {
        path,
        name,
        key,
        declared: None,
        size: None,
        state: ImageState::Idle,
        annotations: 0,
    }
}

fn key(path: &Path) -> String {
    path.to_string_lossy().replace('\\', "/")
}

/// Adds the names of `other` that `classes` lacks; returns the label in `classes` of each label of `other`.
pub(super) fn merge_classes(classes: &mut ClassTable, other: &ClassTable) -> Vec<usize> {
    if classes.is_empty() {
        *classes = other.clone();
    }
    let known: HashSet<String> = classes.names.iter().cloned().collect();
    classes.names.extend(
        other
            .names
            .iter()
            .filter(|name| !known.contains(*name))
            .cloned(),
    );
    let position = |name: &String| classes.names.iter().position(|known| known == name);
    other
        .names
        .iter()
        .map(|name| position(name).unwrap_or_default())
        .collect()
}
