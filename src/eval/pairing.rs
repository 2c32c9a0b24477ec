//! Who matched whom at one threshold: what `Matches` leaves out to stay small.

use rayon::prelude::*;

use super::matching::{Area, Selection, Setup, cell_match};
use super::{Cell, Matches, Order};

/// Partners at one IoU threshold, all areas; matches with ignored ground truths among them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pairing {
    /// Index of the threshold.
    pub threshold: usize,
    /// By detection: the ground truth it matched.
    pub truth_of: Vec<Option<u32>>,
    /// By ground truth: the detection that matched it, of several on a crowd region the best ranked.
    pub detection_of: Vec<Option<u32>>,
}

/// Pairs a set up, on all cores: only cells in which `found` has a match are matched once more.
pub fn pair_up(
    setup: &Setup<'_>,
    order: &Order,
    selection: &Selection,
    found: &Matches,
    threshold: usize,
) -> Pairing {
    let has_match = |cell: &&Cell| {
        let flags = found.flags.get(cell.slots.clone()).unwrap_or(&[]);
        let matched = flags.iter().map(|flags| flags[Area::All as usize].matched);
        matched.fold(0, |all, bits| all | bits) >> threshold & 1 == 1
    };
    let pairs: Vec<(u32, u32)> = setup
        .cells
        .list
        .par_iter()
        .filter(has_match)
        .flat_map_iter(|cell| {
            let cell = cell_match(setup, order, selection, cell, Area::All);
            (0..cell.detections.len()).filter_map(move |row| {
                let truth = cell.matched[row].get(threshold).copied().flatten()?;
                Some((cell.detections[row], cell.truths[usize::from(truth)]))
            })
        })
        .collect();
    let mut pairing = Pairing {
        threshold,
        truth_of: vec![None; setup.input.detections.len()],
        detection_of: vec![None; setup.input.truths.len()],
    };
    for (detection, truth) in pairs {
        pairing.truth_of[detection as usize] = Some(truth);
        pairing.detection_of[truth as usize].get_or_insert(detection);
    }
    pairing
}
