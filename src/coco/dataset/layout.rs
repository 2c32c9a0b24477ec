//! Where a set's JSON and its images lie: the layouts people have.

use std::io::Read;
use std::path::{Path, PathBuf};

use crate::coco::{CocoError, file};

/// Which of several sets in one folder is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Role {
    /// The only one.
    #[default]
    Any,
    /// The one to train on.
    Train,
    /// The one to validate on.
    Val,
}

/// What a JSON file seems to hold, from its first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JsonKind {
    /// A COCO data set.
    Dataset,
    /// An object of image paths: our predictions.
    Predictions,
    /// A list: COCO results.
    Results,
    /// No JSON object or list.
    Other,
}

/// The head is enough to see the first key.
const HEAD_BYTES: u64 = 4096;
const DATASET_KEYS: [&str; 6] = [
    "info",
    "images",
    "annotations",
    "categories",
    "licenses",
    "type",
];

/// What a JSON file seems to hold.
///
/// # Errors
/// The file cannot be read.
pub fn kind_of_json(path: &Path) -> Result<JsonKind, CocoError> {
    let io = |source| CocoError::read(path, source);
    let mut head = Vec::new();
    std::fs::File::open(path)
        .map_err(io)?
        .take(HEAD_BYTES)
        .read_to_end(&mut head)
        .map_err(io)?;
    let text = String::from_utf8_lossy(&head);
    // Some editors of Windows begin a file with a byte-order mark.
    let text = text.trim_start_matches('\u{feff}').trim_start();
    if text.starts_with('[') {
        return Ok(JsonKind::Results);
    }
    let Some(inside) = text.strip_prefix('{') else {
        return Ok(JsonKind::Other);
    };
    let key = inside.trim_start().strip_prefix('"').unwrap_or_default();
    let is_dataset = DATASET_KEYS.iter().any(|name| {
        key.strip_prefix(name)
            .is_some_and(|rest| rest.starts_with('"'))
    });
    Ok(if is_dataset {
        JsonKind::Dataset
    } else {
        JsonKind::Predictions
    })
}

/// The JSON of the set at `path`: the file itself, or the one that the folder's layout has.
pub(super) fn find_json(path: &Path, role: Role) -> Result<PathBuf, CocoError> {
    let kind = std::fs::metadata(path).map_err(|source| CocoError::read(path, source))?;
    if !kind.is_dir() {
        return Ok(path.to_owned());
    }
    for certain in ["labels.json", "_annotations.coco.json"] {
        let candidate = path.join(certain);
        if candidate.is_file() {
            return Ok(candidate);
        }
    }
    // By its real name, so that `.` and links are known too.
    let name = std::fs::canonicalize(path)
        .ok()
        .and_then(|path| Some(path.file_name()?.to_string_lossy().into_owned()));
    let inside = path.join("annotations");
    let mut found = data_sets_in(&inside, |name| name.starts_with("instances_"));
    if found.is_empty() {
        found = data_sets_in(&inside, |_| true);
    }
    if found.is_empty() {
        found = data_sets_in(path, |_| true);
    }
    if found.is_empty() {
        found = name
            .as_deref()
            .map_or_else(Vec::new, |name| beside_images(path, name));
    }
    if found.is_empty() && name.as_deref() == Some("data") {
        found.extend(Some(above(path).join("labels.json")).filter(|json| json.is_file()));
    }
    choose(path, found, role)
}

/// The folder that holds `path`, without a `..` in its name where there is a shorter one.
fn above(path: &Path) -> PathBuf {
    match (path.file_name(), path.parent()) {
        (Some(_), Some(parent)) if parent.as_os_str().is_empty() => PathBuf::from("."),
        (Some(_), Some(parent)) => parent.to_owned(),
        _ => path.join(".."),
    }
}

/// The JSON of a folder of images in `../annotations`: of its name, else of its split.
fn beside_images(path: &Path, name: &str) -> Vec<PathBuf> {
    let annotations = above(path).join("annotations");
    let exact = annotations.join(format!("instances_{name}.json"));
    if exact.is_file() {
        return vec![exact];
    }
    let split = ["train", "val", "test"]
        .into_iter()
        .find(|split| name.to_lowercase().starts_with(split))
        .unwrap_or(name);
    data_sets_in(&annotations, |json| json.to_lowercase().contains(split))
}

fn choose(path: &Path, mut found: Vec<PathBuf>, role: Role) -> Result<PathBuf, CocoError> {
    let word = match role {
        Role::Any => "",
        Role::Train => "train",
        Role::Val => "val",
    };
    if found.len() > 1 && !word.is_empty() {
        found.retain(|json| file_name(json).to_lowercase().contains(word));
    }
    match (found.len(), found.pop()) {
        (1, Some(json)) => Ok(json),
        (0, _) | (_, None) => Err(CocoError::NoDataset {
            path: path.to_owned(),
            looked_for: "looked for labels.json beside data/, annotations/instances_*.json, \
                         _annotations.coco.json, and a COCO JSON among the images; name the JSON itself"
                .into(),
        }),
        (_, Some(last)) => {
            found.push(last);
            let names: Vec<String> = found.iter().map(|json| file_name(json)).collect();
            Err(CocoError::Ambiguous {
                path: path.to_owned(),
                found: names.join(", "),
            })
        }
    }
}

fn file_name(path: &Path) -> String {
    path.file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
}

/// JSON files of a folder that begin as data sets do, in name order.
fn data_sets_in(folder: &Path, wanted: impl Fn(&str) -> bool) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut found: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            let name = file_name(path);
            name.to_lowercase().ends_with(".json")
                && wanted(&name)
                && kind_of_json(path).is_ok_and(|kind| kind == JsonKind::Dataset)
        })
        .collect();
    found.sort();
    found
}

/// Folders in which a JSON's images may lie, the likeliest first.
pub(super) fn image_folders(json: &Path) -> Vec<PathBuf> {
    let here = file::folder_of(json);
    let stem = json
        .file_stem()
        .map(|stem| stem.to_string_lossy().into_owned())
        .unwrap_or_default();
    let split = stem.strip_prefix("instances_").unwrap_or(&stem);
    let mut folders = Vec::new();
    if stem == "labels" {
        folders.push(here.join("data"));
    }
    if here.file_name().is_some_and(|name| name == "annotations") {
        let above = file::folder_of(here);
        folders.extend([
            above.join(split),
            above.join("images").join(split),
            above.join("images"),
            above.to_owned(),
        ]);
        folders.extend(subfolders(above));
    }
    folders.extend([
        here.to_owned(),
        here.join(split),
        here.join("data"),
        here.join("images"),
        here.join("images").join(split),
    ]);
    folders
}

fn subfolders(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    let mut found: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.is_dir())
        .collect();
    found.sort();
    found
}
