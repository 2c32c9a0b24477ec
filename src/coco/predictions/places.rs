//! Where the entries of a prediction file stand: read again, only when something of it is to be pointed at.

use std::collections::HashMap;
use std::path::Path;

use super::batches::{self, BATCH_BYTES};
use super::left_out::{Place, place};
use super::{ours, results};
use crate::coco::{CocoError, file};

/// An entry that could be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct EntryAt {
    /// Place among the results of the file; among the predictions of its image in our JSON.
    pub number: usize,
    pub offset: usize,
    /// Category id; the label in our JSON.
    pub category: i64,
}

/// The entries of a file by image.
pub struct Places {
    bytes: Vec<u8>,
    /// By the image's path, or its id as text, in file order.
    images: HashMap<String, Vec<EntryAt>>,
}

impl Places {
    /// Reads a file again.
    ///
    /// # Errors
    /// As `read`.
    pub fn read(path: &Path) -> Result<Self, CocoError> {
        let bytes = file::read(path)?;
        let open = bytes.iter().position(|byte| !byte.is_ascii_whitespace());
        let open = open.unwrap_or_default();
        // What is broken as a whole was refused before.
        let entries = match bytes.get(open) {
            Some(b'[') => {
                let begins = results::seems_to_begin;
                batches::read_elements(&bytes, open, BATCH_BYTES, begins, results::entry)
                    .map(results::places)
            }
            _ => {
                let begins = ours::seems_to_begin;
                batches::read_elements(&bytes, open, BATCH_BYTES, begins, ours::image)
                    .map(ours::places)
            }
        };
        let mut images: HashMap<String, Vec<EntryAt>> = HashMap::new();
        for (image, entry) in entries.unwrap_or_default() {
            images.entry(image).or_default().push(entry);
        }
        Ok(Self { bytes, images })
    }

    /// The entry at `index` among those of an image that could be read: its number and its place.
    pub fn of_image(&self, image: &str, index: usize) -> Option<(usize, Place)> {
        let entry = self.images.get(image)?.get(index)?;
        Some((entry.number, place(&self.bytes, entry.offset)))
    }

    /// The first entry of a category id, or of a label in our JSON.
    pub fn of_category(&self, category: i64) -> Option<(usize, Place)> {
        let entries = self.images.values().flatten();
        let first = entries
            .filter(|entry| entry.category == category)
            .min_by_key(|entry| entry.offset)?;
        Some((first.number, place(&self.bytes, first.offset)))
    }
}
