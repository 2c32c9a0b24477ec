//! Detections and ground truths grouped by class and image: within such a cell matches are sought.

use std::ops::Range;

use super::EvalInput;

/// One class in one image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    /// Position in `EvalInput::images`.
    pub image: u32,
    /// Class.
    pub label: u32,
    /// Its slots: where its detections lie in `Cells::detections`.
    pub slots: Range<usize>,
    /// Where its ground truths lie in `Cells::truths`.
    pub truths: Range<usize>,
}

/// The cells of a set by class, then image. A *slot* is a position in `detections`: what is kept per detection of one
/// class then lies side by side.
#[derive(Debug, Default)]
pub struct Cells {
    /// Cells with a detection or a ground truth.
    pub list: Vec<Cell>,
    /// Positions in `EvalInput::detections`, cell by cell, in the file's order.
    pub detections: Vec<u32>,
    /// Positions in `EvalInput::truths`, cell by cell, in the JSON's order.
    pub truths: Vec<u32>,
    /// Slot of each detection.
    pub slot_of: Vec<u32>,
    /// Cell of each slot.
    pub cell_of: Vec<u32>,
    /// Cells of each class.
    pub of_class: Vec<Range<usize>>,
}

impl Cells {
    /// Groups an input.
    pub fn new(input: &EvalInput) -> Self {
        let classes = input.classes.len();
        let detections = sorted(input.detections.iter().map(|d| (d.label, d.image)));
        let truths = sorted(input.truths.iter().map(|t| (t.label, t.image)));
        let mut cells = Self {
            slot_of: vec![0; detections.len()],
            ..Self::default()
        };
        let (mut d, mut t) = (detections.iter().peekable(), truths.iter().peekable());
        while let Some(key) = smaller(d.peek().map(|d| d.0), t.peek().map(|t| t.0)) {
            let (slots, truths) = (cells.detections.len(), cells.truths.len());
            while let Some((_, position)) = d.next_if(|d| d.0 == key) {
                cells.slot_of[*position as usize] = cells.detections.len() as u32;
                cells.cell_of.push(cells.list.len() as u32);
                cells.detections.push(*position);
            }
            while let Some((_, position)) = t.next_if(|t| t.0 == key) {
                cells.truths.push(*position);
            }
            let (label, image) = key;
            cells.list.push(Cell {
                image,
                label,
                slots: slots..cells.detections.len(),
                truths: truths..cells.truths.len(),
            });
        }
        cells.of_class = (0..classes as u32)
            .map(|label| {
                let start = cells.list.partition_point(|cell| cell.label < label);
                start..cells.list.partition_point(|cell| cell.label <= label)
            })
            .collect();
        cells
    }

    /// Slots of a class.
    pub fn slots_of_class(&self, label: usize) -> Range<usize> {
        let cells = self.of_class.get(label).cloned().unwrap_or_default();
        match self.list.get(cells) {
            Some([first, .., last]) => first.slots.start..last.slots.end,
            Some([only]) => only.slots.clone(),
            _ => 0..0,
        }
    }

    /// The cell of a class in an image, where there is one.
    pub fn find(&self, label: u32, image: u32) -> Option<&Cell> {
        let key = (label, image);
        let at = self
            .list
            .binary_search_by_key(&key, |cell| (cell.label, cell.image));
        self.list.get(at.ok()?)
    }
}

type Key = (u32, u32);

/// Positions by key; equal keys keep their order.
fn sorted(keys: impl Iterator<Item = Key>) -> Vec<(Key, u32)> {
    let mut list: Vec<(Key, u32)> = keys.zip(0u32..).collect();
    list.sort_unstable(); // the position settles equal keys
    list
}

fn smaller(a: Option<Key>, b: Option<Key>) -> Option<Key> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (one, other) => one.or(other),
    }
}
