//! Boundary IoU (Cheng et al. 2021): how well the rims of two masks agree, for which mask IoU is blind on large objects.
//!
//! The rim of a mask is what an erosion by a band of 2 % of the image's diagonal takes away; beyond the image lies
//! background. As in the authors' evaluation a pair counts with the smaller of its mask IoU and its boundary IoU, and a
//! crowd region with its share of the mask. The erosion is by a square: along a column on the runs themselves, along the
//! rows on bits, 64 rows a word, within the box of the mask.

use rayon::prelude::*;

use super::{EvalInput, Overlap, Overlaps, iou_thresholds};
use crate::structures::{Rle, Size};

/// Width of the band, as a share of the image's diagonal.
pub const BAND_SHARE: f64 = 0.02;

/// Width of the band in pixels, at least 1.
pub fn band_width(image: Size) -> usize {
    let diagonal = (image.width as f64).hypot(image.height as f64);
    let width = (BAND_SHARE * diagonal).round_ties_even(); // as Python rounds
    (width as usize).max(1)
}

/// IoU of the rims of two masks of one size; 0 where either has no foreground.
pub fn boundary_iou(a: &Rle, b: &Rle) -> f64 {
    let band = band_width(a.size());
    Rim::new(a, band).iou(&Rim::new(b, band))
}

/// Overlaps for boundary AP from those of masks, on all cores. With them the engine counts as it does with masks; areas
/// stay those of the masks. Pairs whose mask IoU is below the lowest threshold cannot match, whatever their rims do, and
/// are left out.
///
/// `progress` gets images done and may return false to stop: then `None`.
pub fn boundary_overlaps(
    input: &EvalInput,
    masks: &Overlaps,
    progress: &(dyn Fn(usize) -> bool + Sync),
) -> Option<Overlaps> {
    let done = std::sync::atomic::AtomicUsize::new(0);
    let of_images: Vec<Vec<(u32, Overlap)>> = (0..input.images.len())
        .into_par_iter()
        .map(|image| {
            let done = done.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            progress(done).then(|| measure_image(input, masks, image))
        })
        .collect::<Option<_>>()?;
    Some(Overlaps::from_lists(input.detections.len(), of_images))
}

fn measure_image(input: &EvalInput, masks: &Overlaps, image: usize) -> Vec<(u32, Overlap)> {
    let lowest = iou_thresholds()[0];
    let image = &input.images[image];
    let mut of_truths: Vec<Option<Rim>> = vec![None; image.truths.len()];
    let mut found = Vec::new();
    for position in image.detections.clone() {
        let mut own: Option<Rim> = None;
        for pair in masks.of(position).iter().filter(|pair| pair.iou >= lowest) {
            let truth = &input.truths[pair.truth as usize];
            let mask = &input.detection(position).mask;
            let band = band_width(truth.mask.size());
            let iou = if truth.is_crowd {
                pair.iou
            } else {
                let other = &mut of_truths[pair.truth as usize - image.truths.start];
                let other = other.get_or_insert_with(|| Rim::new(&truth.mask, band));
                let own = own.get_or_insert_with(|| Rim::new(mask, band));
                pair.iou.min(own.iou(other))
            };
            if iou > 0.0 {
                let truth = pair.truth;
                found.push((position as u32, Overlap { truth, iou }));
            }
        }
    }
    found
}

/// Rows in a word.
const WORD: usize = 64;

/// The rim of a mask as bits, within the box of the mask; its words begin at multiples of 64 rows, so that two rims lie
/// on each other word by word.
#[derive(Clone, Debug, Default)]
struct Rim {
    /// First column.
    left: usize,
    /// First word of a column.
    top: usize,
    /// Words of a column.
    words: usize,
    /// Column by column.
    bits: Vec<u64>,
    /// Pixels.
    area: u64,
}

impl Rim {
    fn new(mask: &Rle, band: usize) -> Self {
        let bbox = mask.bbox();
        let (columns, height) = (bbox.width as usize, mask.size().height);
        if columns == 0 {
            return Self::default();
        }
        let (left, top) = (bbox.x as usize, bbox.y as usize / WORD);
        let bottom = (bbox.y + bbox.height) as usize;
        let words = bottom.div_ceil(WORD) - top;
        let mut bits = vec![0u64; columns * words];
        let mut inner = vec![0u64; columns * words];
        for (start, end) in joined(mask) {
            for x in start / height..=(end - 1) / height {
                let (from, to) = (start.max(x * height), end.min((x + 1) * height));
                let (from, to) = (from - x * height, to - x * height);
                let column = (x - left) * words..(x - left + 1) * words;
                fill(
                    &mut bits[column.clone()],
                    from - top * WORD,
                    to - top * WORD,
                );
                // A run loses the band at both ends, be they in the mask or at the image's border.
                if to - from > 2 * band {
                    let (from, to) = (from + band - top * WORD, to - band - top * WORD);
                    fill(&mut inner[column], from, to);
                }
            }
        }
        erode_rows(&mut inner, words, band);
        for (bits, inner) in bits.iter_mut().zip(&inner) {
            *bits &= !inner;
        }
        let area = bits.iter().map(|bits| u64::from(bits.count_ones())).sum();
        Self {
            left,
            top,
            words,
            bits,
            area,
        }
    }

    fn iou(&self, other: &Self) -> f64 {
        let inter = self.intersection(other);
        hotcoco::primitives::sim::iou_from_counts(inter, self.area, other.area)
    }

    fn intersection(&self, other: &Self) -> u64 {
        let (columns, others) = (self.columns(), other.columns());
        let left = self.left.max(other.left);
        let right = (self.left + columns).min(other.left + others);
        let top = self.top.max(other.top);
        let bottom = (self.top + self.words).min(other.top + other.words);
        if left >= right || top >= bottom {
            return 0;
        }
        let column = |rim: &'_ Self, x: usize| {
            let start = (x - rim.left) * rim.words;
            start + top - rim.top..start + bottom - rim.top
        };
        (left..right)
            .map(|x| {
                let (a, b) = (&self.bits[column(self, x)], &other.bits[column(other, x)]);
                a.iter()
                    .zip(b)
                    .map(|(a, b)| u64::from((a & b).count_ones()))
                    .sum::<u64>()
            })
            .sum()
    }

    fn columns(&self) -> usize {
        self.bits.len().checked_div(self.words).unwrap_or(0)
    }
}

/// Foreground runs, column-major; runs that touch become one, since a file may split a run by an empty one.
fn joined(mask: &Rle) -> Vec<(usize, usize)> {
    let mut runs: Vec<(usize, usize)> = Vec::with_capacity(mask.runs().len() / 2 + 1);
    for (start, end) in mask.spans() {
        let (start, end) = (start as usize, end as usize);
        match runs.last_mut() {
            Some(last) if last.1 == start => last.1 = end,
            _ => runs.push((start, end)),
        }
    }
    runs
}

/// Sets the bits `from..to` of a column.
fn fill(column: &mut [u64], from: usize, to: usize) {
    let (first, last) = (from / WORD, (to - 1) / WORD);
    for (index, word) in column.iter_mut().enumerate().take(last + 1).skip(first) {
        let low = if index == first { from % WORD } else { 0 };
        let high = if index == last {
            (to - 1) % WORD
        } else {
            WORD - 1
        };
        *word |= (u64::MAX << low) & (u64::MAX >> (WORD - 1 - high));
    }
}

/// Keeps what is set in all of the `2 * band + 1` columns around; beyond the box nothing is.
fn erode_rows(bits: &mut Vec<u64>, words: usize, band: usize) {
    let columns = bits.len() / words;
    let window = 2 * band + 1;
    if columns < window {
        bits.fill(0);
        return;
    }
    // Column x becomes the intersection of x.. x + reach; doubling the reach takes few passes.
    let mut reach = 1;
    while reach < window {
        let step = reach.min(window - reach);
        let last = columns - reach - step + 1;
        for at in 0..last * words {
            bits[at] &= bits[at + step * words];
        }
        reach += step;
    }
    let kept = (columns - window + 1) * words;
    bits.truncate(kept);
    bits.splice(0..0, std::iter::repeat_n(0, band * words));
    bits.resize(columns * words, 0);
}
