//! Decoded images in memory, the least recently used leave first.

use std::collections::HashMap;
use std::sync::Arc;

use super::ImageResult;

/// Images and failures by number.
#[derive(Debug, Default)]
pub(super) struct Memory {
    entries: HashMap<usize, Entry>,
    clock: u64,
}

#[derive(Debug)]
struct Entry {
    result: ImageResult,
    last_use: u64,
}

impl Entry {
    fn bytes(&self) -> usize {
        self.result.as_ref().map_or(0, |image| image.rgba.len())
    }
}

impl Memory {
    /// The image, which counts as a use.
    pub(super) fn get(&mut self, index: usize) -> Option<ImageResult> {
        self.clock += 1;
        let entry = self.entries.get_mut(&index)?;
        entry.last_use = self.clock;
        Some(match &entry.result {
            Ok(image) => Ok(Arc::clone(image)),
            Err(error) => Err(Arc::clone(error)),
        })
    }

    /// Marks an image as used; says whether it is here.
    pub(super) fn touch(&mut self, index: usize) -> bool {
        self.get(index).is_some()
    }

    /// Keeps an image. Others leave until at most `limit` bytes are used; the new one stays in any case.
    pub(super) fn insert(&mut self, index: usize, result: ImageResult, limit: usize) {
        self.clock += 1;
        let last_use = self.clock;
        self.entries.insert(index, Entry { result, last_use });
        let mut total: usize = self.entries.values().map(Entry::bytes).sum();
        while total > limit {
            let oldest = self
                .entries
                .iter()
                .filter(|(i, entry)| **i != index && entry.bytes() > 0)
                .min_by_key(|(_, entry)| entry.last_use)
                .map(|(&i, _)| i);
            let Some(entry) = oldest.and_then(|i| self.entries.remove(&i)) else {
                return;
            };
            total -= entry.bytes();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jobs::images::DecodedImage;
    use crate::structures::Size;

    #[test]
    fn the_least_recently_used_leaves() {
        let image = || {
            Ok(Arc::new(DecodedImage::from_rgb(
                Size::new(10, 10),
                &[0; 300],
            )))
        };
        let mut memory = Memory::default();
        for i in 0..3 {
            memory.insert(i, image(), 1200);
        }
        assert!(memory.touch(0));
        memory.insert(3, image(), 1200);
        assert!(!memory.touch(1), "1 was used least recently");
        assert!(memory.touch(0) && memory.touch(2) && memory.touch(3));
        memory.insert(4, image(), 10);
        assert!(
            memory.touch(4) && !memory.touch(0),
            "the new one stays alone"
        );
    }
}
