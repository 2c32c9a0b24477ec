//! Opening a set: the index of its JSON as a stream, its images by the layout.

use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::index::{self, ImageRecord, Index, Problem};
use super::layout::{self, Role};
use super::stream::{MAX_VALUE, StreamError};
use super::{ByImage, Dataset, DatasetImage, List, Source};
use crate::coco::{CocoError, file};
use crate::structures::ClassTable;

/// Images that are looked up before a folder counts as the wrong one.
const PROBES: usize = 20;
/// Reasons that are told one by one.
const SHOWN: usize = 3;

/// How far opening has come.
pub struct OpenProgress<'a> {
    /// Bytes of the JSON read so far.
    pub done: u64,
    /// Bytes of the JSON.
    pub total: u64,
    /// The images, once, as soon as all of them are known; their annotations follow. The list is the one that the
    /// opened set will hold.
    pub images: Option<&'a Arc<[DatasetImage]>>,
}

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
        Self::open_with(path, role, images, &mut |_| true)
    }

    /// As `open_as`; `progress` is called with every few megabytes read, and once with the images, which most files
    /// have before their annotations. Where it returns false, opening ends. Blocks: call it on a thread of its own.
    ///
    /// # Errors
    /// As `open`; `CocoError::Cancelled` where `progress` ended it.
    pub fn open_with(
        path: &Path,
        role: Role,
        images: Option<&Path>,
        progress: &mut dyn FnMut(OpenProgress<'_>) -> bool,
    ) -> Result<Self, CocoError> {
        let json = layout::find_json(path, role)?;
        check_kind(&json)?;
        let source = Source::open(&json)?;
        let mut place = Place::new(&json, images);
        let index = read_index(&source, &mut place, progress)?;
        // A file without the key has none.
        let (folder, images) = place
            .known
            .unwrap_or_else(|| place_images(&json, images, &[]));
        let mut notes = notes_of(&index);
        let classes = class_table(&index, &mut notes);
        let by_image = annotations_by_image(&index, &mut notes);
        Ok(Self {
            source,
            folder,
            images,
            classes,
            index,
            by_image,
            notes,
        })
    }
}

/// Refuses what is no data set by its first bytes.
fn check_kind(json: &Path) -> Result<(), CocoError> {
    let length = std::fs::metadata(json)
        .map_err(|source| CocoError::read(json, source))?
        .len();
    if length == 0 {
        let path = json.to_owned();
        return Err(CocoError::Empty { path });
    }
    file::check_length(json, length)?;
    let kind = layout::kind_of_json(json)?;
    if kind == layout::JsonKind::Dataset {
        return Ok(());
    }
    Err(CocoError::Kind {
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
    })
}

/// The images with their files, once their records are known.
struct Place<'a> {
    json: &'a Path,
    asked: Option<&'a Path>,
    known: Option<(PathBuf, Arc<[DatasetImage]>)>,
}

impl<'a> Place<'a> {
    fn new(json: &'a Path, asked: Option<&'a Path>) -> Self {
        Self {
            json,
            asked,
            known: None,
        }
    }
}

fn read_index(
    source: &Source,
    place: &mut Place<'_>,
    progress: &mut dyn FnMut(OpenProgress<'_>) -> bool,
) -> Result<Index, CocoError> {
    let total = source.length();
    let progress = std::cell::RefCell::new(progress);
    let done = std::cell::Cell::new(0);
    let mut tick = |bytes| {
        done.set(bytes);
        let images = None;
        (progress.borrow_mut())(OpenProgress {
            done: bytes,
            total,
            images,
        })
    };
    let mut images_known = |records: &[ImageRecord]| {
        let (_, images) = place
            .known
            .insert(place_images(place.json, place.asked, records));
        let (done, images) = (done.get(), Some(&*images));
        (progress.borrow_mut())(OpenProgress {
            done,
            total,
            images,
        })
    };
    index::read(source.file(), &mut tick, &mut images_known).map_err(|error| refused(source, error))
}

/// Why a JSON cannot be used as a whole, with its place.
fn refused(source: &Source, error: StreamError) -> CocoError {
    match error {
        StreamError::Io(error) => CocoError::read(source.path(), error),
        StreamError::Cancelled => CocoError::Cancelled {
            path: source.path().to_owned(),
        },
        StreamError::Syntax(at, expected) => source.mistake(at, format!("expected {expected}")),
        StreamError::End => source.mistake(
            source.length().saturating_sub(1),
            "the file ends in the middle: copy or download it again".into(),
        ),
        StreamError::TooLong(at) => source.mistake(
            at,
            format!("a value longer than the {MAX_VALUE} bytes that are read begins here"),
        ),
    }
}

/// The records that were left out or read otherwise, by list.
fn notes_of(index: &Index) -> Vec<String> {
    let mut notes = Vec::new();
    for (list, _) in &index.repeated {
        notes.push(format!(
            "`{}` stands in the file twice; the last one counts",
            list.key()
        ));
    }
    for list in [List::Images, List::Annotations, List::Categories] {
        let of_list = || {
            index
                .problems
                .iter()
                .filter(move |problem| problem.list == list)
        };
        let told = |problems: Vec<&Problem>| {
            let shown: Vec<String> = problems
                .iter()
                .take(SHOWN)
                .map(|problem| format!("number {}: {}", problem.number, problem.reason.words()))
                .collect();
            shown.join("; ")
        };
        let (out, altered): (Vec<&Problem>, Vec<&Problem>) =
            of_list().partition(|problem| problem.reason.is_left_out());
        if !out.is_empty() {
            notes.push(format!(
                "{} {} could not be read and are left out: {}",
                out.len(),
                list.key(),
                told(out)
            ));
        }
        if !altered.is_empty() {
            notes.push(format!(
                "{} fields of {} are not read as they stand: {}",
                altered.len(),
                list.key(),
                told(altered)
            ));
        }
    }
    notes
}

/// The folder of the images, and where each one lies.
fn place_images(
    json: &Path,
    asked: Option<&Path>,
    records: &[ImageRecord],
) -> (PathBuf, Arc<[DatasetImage]>) {
    let folder = match asked {
        Some(folder) => folder.to_owned(),
        None => folder_with_images(json, records),
    };
    let files = Files::list(&folder);
    let images = records.iter().map(|image| dataset_image(image, &files));
    let images = images.collect();
    (folder, images)
}

/// The folder that has most of the first images; without any, the layout's own.
fn folder_with_images(json: &Path, records: &[ImageRecord]) -> PathBuf {
    let first = records.iter().take(PROBES);
    let names: Vec<&str> = first.map(|image| image.file_name.as_str()).collect();
    let found = folder_of_names(json, &names).map(|(folder, _)| folder);
    found.unwrap_or_else(|| {
        let folders = layout::image_folders(json);
        folders.into_iter().next().unwrap_or_default()
    })
}

/// The folder that has most files of these names, and how many; none where none has any.
fn folder_of_names(json: &Path, names: &[&str]) -> Option<(PathBuf, usize)> {
    let folders = layout::image_folders(json);
    let hits = |folder: &Path, name_of: fn(&str) -> &str| {
        let named = names.iter().filter(|name| !name.is_empty());
        named
            .filter(|name| folder.join(name_of(name)).is_file())
            .count()
    };
    // Names may carry a path of another machine: then their last part may still be here.
    for name_of in [whole_name as fn(&str) -> &str, base_name] {
        let counted = folders.iter().map(|folder| (hits(folder, name_of), folder));
        // Of equals the first, which is the likeliest.
        let best = counted.rev().max_by_key(|&(count, _)| count);
        if let Some((count @ 1.., folder)) = best {
            return Some((folder.clone(), count));
        }
    }
    None
}

impl Dataset {
    /// Whether the images are found as well from a JSON that lies at `json`. Looks at the first ones alone.
    pub fn is_at_home(&self, json: &Path) -> bool {
        let first = || self.images.iter().take(PROBES);
        let names: Vec<&str> = first().map(|image| image.file_name.as_str()).collect();
        let there = first().filter(|image| image.path.is_file()).count();
        let found = folder_of_names(json, &names).map_or(0, |(_, count)| count);
        found >= there
    }
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

fn dataset_image(image: &ImageRecord, files: &Files) -> DatasetImage {
    let (path, exists) = files.find(&image.file_name);
    DatasetImage {
        id: image.id,
        file_name: image.file_name.clone(),
        path,
        declared: image.declared,
        exists: exists && !image.file_name.is_empty(),
    }
}

/// Categories by ascending id; names that repeat carry their id.
fn class_table(index: &Index, notes: &mut Vec<String>) -> ClassTable {
    let mut categories: Vec<(i64, String)> = index
        .categories
        .iter()
        .map(|category| (category.id, category_name(category.id, &category.name)))
        .collect();
    let nameless = index
        .categories
        .iter()
        .filter(|c| c.name.is_empty())
        .count();
    if nameless > 0 {
        notes.push(format!(
            "{nameless} categories have no name; they are shown as cat_ and their id"
        ));
    }
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

fn category_name(id: i64, name: &str) -> String {
    if name.is_empty() {
        format!("cat_{id}")
    } else {
        name.to_owned()
    }
}

/// Sorts the annotations to their images, and notes ids that do not fit.
fn annotations_by_image(index: &Index, notes: &mut Vec<String>) -> ByImage {
    let images = &index.images;
    let position_of: HashMap<u64, u32> = images
        .iter()
        .enumerate()
        .rev() // of equal ids the first image has the annotations
        .map(|(position, image)| (image.id, position as u32))
        .collect();
    if position_of.len() < images.len() {
        notes.push(format!(
            "{} images share an id with an earlier one; their annotations belong to the first",
            images.len() - position_of.len()
        ));
    }
    let owners: Vec<Option<u32>> = index
        .annotations
        .iter()
        .map(|annotation| position_of.get(&annotation.image_id).copied())
        .collect();
    let lost = owners.iter().filter(|owner| owner.is_none()).count();
    if lost > 0 {
        notes.push(format!(
            "{lost} annotations belong to no image of the set and are left out"
        ));
    }
    if let Some((count, first)) = repeated_ids(index) {
        notes.push(format!(
            "{count} annotations have the id of an earlier one (the first such id is {first}); all of them are kept"
        ));
    }
    by_image(images.len(), &owners)
}

/// Number of annotations whose id an earlier one has, and the smallest such id.
fn repeated_ids(index: &Index) -> Option<(usize, u64)> {
    let ids = index.annotations.iter().map(|annotation| annotation.id);
    if ids.clone().is_sorted_by(|a, b| a < b) {
        return None;
    }
    let mut ids: Vec<u64> = ids.collect();
    ids.sort_unstable();
    let repeated = ids.windows(2).filter(|pair| pair[0] == pair[1]);
    let first = repeated.clone().next().map(|pair| pair[0]);
    Some((repeated.count(), first?))
}

/// A counting sort: it keeps the JSON's order within an image.
fn by_image(images: usize, owners: &[Option<u32>]) -> ByImage {
    let mut starts = vec![0u32; images + 1];
    for owner in owners.iter().flatten() {
        if let Some(count) = starts.get_mut(*owner as usize + 1) {
            *count += 1;
        }
    }
    for image in 0..images {
        starts[image + 1] += starts[image];
    }
    let mut next = starts.clone();
    let mut positions = vec![0u32; starts.last().map_or(0, |&all| all as usize)];
    for (position, owner) in (0u32..).zip(owners) {
        let Some(next) = owner.and_then(|owner| next.get_mut(owner as usize)) else {
            continue;
        };
        if let Some(slot) = positions.get_mut(*next as usize) {
            *slot = position;
        }
        *next += 1;
    }
    ByImage { starts, positions }
}
