//! A set made of another one: some of its images, its classes renamed, merged or left out. Every record keeps its unknown
//! keys; images are named by their whole path, so that the JSON may lie anywhere.

use std::collections::{BTreeMap, HashSet};
use std::io::Write;
use std::path::Path;

use serde_json::{Value, json};

use super::dataset::Dataset;
use super::save::{NotAnObject, with_fields};
use super::{CocoError, write_whole};

/// What the new set holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Derivation {
    /// Positions of the images that stay; all of them without.
    pub images: Option<Vec<usize>>,
    /// The new name of each class of the set, by label; `None` leaves its annotations out. Equal names become one class.
    pub classes: Vec<Option<String>>,
}

/// Writes the derived set; a file that was there stays until the new one is whole.
///
/// # Errors
/// The set's file was changed since it was opened; the disk or folder refuses.
pub fn write_derived(
    set: &Dataset,
    derivation: &Derivation,
    output: &Path,
) -> Result<(), CocoError> {
    let ids = new_ids(set, derivation);
    let kept: Vec<usize> = match &derivation.images {
        Some(images) => images.clone(),
        None => (0..set.images().len()).collect(),
    };
    write_whole(output, |out| {
        out.write_all(b"{\"images\": [")?;
        let mut comma = Comma::default();
        for &position in &kept {
            image(set, position, &mut comma, out)?;
        }
        out.write_all(b"],\n\"annotations\": [")?;
        let mut comma = Comma::default();
        for &position in &kept {
            annotations(set, position, &ids, &mut comma, out)?;
        }
        out.write_all(b"],\n\"categories\": ")?;
        let categories = categories(set, derivation, &ids);
        out.write_all(categories.to_string().as_bytes())?;
        out.write_all(b"}\n")
    })
}

/// Between the records of a list.
#[derive(Default)]
struct Comma(bool);

impl Comma {
    fn put(&mut self, record: &[u8], out: &mut dyn Write) -> std::io::Result<()> {
        if std::mem::replace(&mut self.0, true) {
            out.write_all(b",")?;
        }
        out.write_all(b"\n")?;
        out.write_all(record)
    }
}

fn image(
    set: &Dataset,
    position: usize,
    comma: &mut Comma,
    out: &mut dyn Write,
) -> std::io::Result<()> {
    let (images, records) = (set.images(), &set.index().images);
    let known = images.get(position).and_then(|image| {
        let record = records.iter().find(|record| record.id == image.id)?;
        Some((image, record))
    });
    let Some((image, record)) = known else {
        return Ok(());
    };
    let mut text = Vec::new();
    set.read_span(record.span, &mut text)
        .map_err(std::io::Error::other)?;
    let path = std::fs::canonicalize(&image.path).unwrap_or_else(|_| image.path.clone());
    let name = json!(path.to_string_lossy());
    comma.put(&fields(&text, &[("file_name", name)])?, out)
}

fn annotations(
    set: &Dataset,
    position: usize,
    ids: &BTreeMap<i64, i64>,
    comma: &mut Comma,
    out: &mut dyn Write,
) -> std::io::Result<()> {
    for head in set.heads_of(position) {
        let Some(&id) = ids.get(&head.category_id) else {
            continue;
        };
        let text = set.record(head).map_err(std::io::Error::other)?;
        if id == head.category_id {
            comma.put(&text, out)?;
        } else {
            comma.put(&fields(&text, &[("category_id", json!(id))])?, out)?;
        }
    }
    Ok(())
}

fn fields(record: &[u8], values: &[(&str, Value)]) -> std::io::Result<Vec<u8>> {
    with_fields(record, values).map_err(|error: NotAnObject| std::io::Error::other(error))
}

/// Old category id -> new one: classes of one name take the id of the first of them.
fn new_ids(set: &Dataset, derivation: &Derivation) -> BTreeMap<i64, i64> {
    let mut by_name: BTreeMap<&str, i64> = BTreeMap::new();
    let mut ids = BTreeMap::new();
    for (name, &id) in derivation.classes.iter().zip(&set.classes().category_ids) {
        if let Some(name) = name {
            ids.insert(id, *by_name.entry(name).or_insert(id));
        }
    }
    ids
}

fn categories(set: &Dataset, derivation: &Derivation, ids: &BTreeMap<i64, i64>) -> Value {
    let mut seen = HashSet::new();
    let named = derivation.classes.iter().zip(&set.classes().category_ids);
    let rows = named.filter_map(|(name, id)| {
        let new = *ids.get(id)?;
        seen.insert(new)
            .then(|| json!({"id": new, "name": name.as_deref().unwrap_or_default()}))
    });
    Value::Array(rows.collect())
}
