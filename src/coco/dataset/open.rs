//! Opening a set: its JSON by hotcoco, its images by the layout.

use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::layout::{self, Role};
use super::lenient;
use super::{Dataset, DatasetImage};
use crate::coco::{CocoError, file};
use crate::structures::{ClassTable, Size};

/// Images that are looked up before a folder counts as the wrong one.
const PROBES: usize = 20;

impl Dataset {
    /// Opens the set at `path`, a JSON or a folder of any layout; its images are found by the layout.
    ///
    /// # Errors
    /// No set there, several, or a JSON that cannot be read.
    pub fn open(path: &Path) -> Result<Self, CocoError> {
        Self::open_as(path, Role::Any, None)
    }

    /// Opens the set for a role, with its images in `images` where that is given.
    ///
    /// # Errors
    /// As `open`.
    pub fn open_as(path: &Path, role: Role, images: Option<&Path>) -> Result<Self, CocoError> {
        let json = layout::find_json(path, role)?;
        let mut notes = Vec::new();
        let raw = read_json(&json, &mut notes)?;
        let folder = match images {
            Some(folder) => folder.to_owned(),
            None => folder_with_images(&json, &raw),
        };
        let classes = class_table(&raw, &mut notes);
        let files = Files::list(&folder);
        let images: Vec<DatasetImage> = raw
            .images
            .iter()
            .map(|image| dataset_image(image, &files))
            .collect();
        let annotations = annotations_by_image(&raw, &mut notes);
        Ok(Self {
            json,
            folder,
            images,
            classes,
            annotations,
            raw,
            notes,
        })
    }
}

fn read_json(json: &Path, notes: &mut Vec<String>) -> Result<hotcoco::Dataset, CocoError> {
    let length = std::fs::metadata(json)
        .map_err(|source| CocoError::read(json, source))?
        .len();
    if length == 0 {
        let path = json.to_owned();
        return Err(CocoError::Empty { path });
    }
    file::check_length(json, length)?;
    let kind = layout::kind_of_json(json)?;
    if kind != layout::JsonKind::Dataset {
        return Err(CocoError::Kind {
            path: json.to_owned(),
            wanted: "a COCO data set",
            found: match kind {
                layout::JsonKind::Results => "a list, as COCO results do: open it as predictions",
                layout::JsonKind::Predictions => {
                    "a key that no COCO data set has: open it as predictions"
                }
                _ => "no JSON object",
            }
            .into(),
        });
    }
    match hotcoco::COCO::new(json) {
        Ok(mut coco) => {
            notes.extend(coco.load_warnings().iter().cloned());
            Ok(std::mem::take(&mut coco.dataset))
        }
        Err(hotcoco::Error::Io(source)) => Err(CocoError::read(json, source)),
        Err(_) => {
            lenient::read(&file::read(json)?, notes).map_err(|error| CocoError::json(json, &error))
        }
    }
}

/// The folder that has most of the first images; without any, the layout's own.
fn folder_with_images(json: &Path, raw: &hotcoco::Dataset) -> PathBuf {
    let folders = layout::image_folders(json);
    let hits = |folder: &Path, name_of: fn(&str) -> &str| {
        let first = raw.images.iter().take(PROBES);
        first
            .filter(|image| !image.file_name.is_empty())
            .filter(|image| folder.join(name_of(&image.file_name)).is_file())
            .count()
    };
    // Names may carry a path of another machine: then their last part may still be here.
    for name_of in [whole_name as fn(&str) -> &str, base_name] {
        let counted = folders.iter().map(|folder| (hits(folder, name_of), folder));
        // Of equals the first, which is the likeliest.
        let best = counted.rev().max_by_key(|&(count, _)| count);
        if let Some((1.., folder)) = best {
            return folder.clone();
        }
    }
    folders.into_iter().next().unwrap_or_default()
}

fn whole_name(file_name: &str) -> &str {
    file_name
}

fn base_name(file_name: &str) -> &str {
    file_name.rsplit(['/', '\\']).next().unwrap_or(file_name)
}

/// The names in a folder, read once: a look-up per image would cost a system call each.
struct Files {
    folder: PathBuf,
    names: HashSet<OsString>,
}

impl Files {
    fn list(folder: &Path) -> Self {
        let entries = std::fs::read_dir(folder).into_iter().flatten();
        Self {
            folder: folder.to_owned(),
            names: entries
                .filter_map(|entry| Some(entry.ok()?.file_name()))
                .collect(),
        }
    }

    /// Where an image lies, and whether it does.
    fn find(&self, file_name: &str) -> (PathBuf, bool) {
        let name = Path::new(file_name);
        let is_flat = !file_name.contains(['/', '\\']);
        if is_flat {
            return (
                self.folder.join(name),
                self.names.contains(name.as_os_str()),
            );
        }
        let path = self.folder.join(name);
        if path.is_file() {
            return (path, true);
        }
        let base = base_name(file_name);
        if self.names.contains(Path::new(base).as_os_str()) {
            (self.folder.join(base), true)
        } else {
            (path, false)
        }
    }
}

fn dataset_image(image: &hotcoco::Image, files: &Files) -> DatasetImage {
    let (path, exists) = files.find(&image.file_name);
    let size = Size::new(image.width as usize, image.height as usize);
    DatasetImage {
        id: image.id,
        file_name: image.file_name.clone(),
        path,
        declared: (size.pixels() > 0).then_some(size),
        exists: exists && !image.file_name.is_empty(),
    }
}

/// Categories by ascending id; names that repeat carry their id.
fn class_table(raw: &hotcoco::Dataset, notes: &mut Vec<String>) -> ClassTable {
    let mut categories: Vec<(i64, String)> = raw
        .categories
        .iter()
        .map(|category| (category.id as i64, category_name(category)))
        .collect();
    categories.sort_by_key(|&(id, _)| id); // stable: of equal ids the first stays
    categories.dedup_by_key(|&mut (id, _)| id);
    let mut seen = HashSet::new();
    let mut table = ClassTable::default();
    for (id, name) in categories {
        let unique = if seen.insert(name.clone()) {
            name
        } else {
            let renamed = format!("{name}#{id}");
            notes.push(format!(
                "two categories are named `{name}`: the one with id {id} is shown as `{renamed}`"
            ));
            renamed
        };
        table.names.push(unique);
        table.category_ids.push(id);
    }
    table
}

fn category_name(category: &hotcoco::Category) -> String {
    if category.name.is_empty() {
        hotcoco::COCO::placeholder_cat_name(category.id)
    } else {
        category.name.clone()
    }
}

fn annotations_by_image(raw: &hotcoco::Dataset, notes: &mut Vec<String>) -> Vec<Vec<u32>> {
    let images = &raw.images;
    let index: HashMap<u64, usize> = images
        .iter()
        .enumerate()
        .rev() // of equal ids the first image has the annotations
        .map(|(position, image)| (image.id, position))
        .collect();
    if index.len() < images.len() {
        notes.push(format!(
            "{} images share an id with an earlier one; their annotations belong to the first",
            images.len() - index.len()
        ));
    }
    let mut by_image = vec![Vec::new(); images.len()];
    let mut lost = 0usize;
    for (position, annotation) in (0u32..).zip(&raw.annotations) {
        match index
            .get(&annotation.image_id)
            .and_then(|&image| by_image.get_mut(image))
        {
            Some(list) => list.push(position),
            None => lost += 1,
        }
    }
    if lost > 0 {
        notes.push(format!(
            "{lost} annotations belong to no image of the set and are left out"
        ));
    }
    by_image
}
