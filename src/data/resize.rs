//! Bilinear resize of 8-bit pictures, bit for bit OpenCV's INTER_LINEAR (semantics.md 2.2).

use rayon::prelude::*;

use super::RgbImage;
use crate::structures::Size;

/// OpenCV's weights are 11-bit fixed point.
const ONE: f32 = 2048.0;
/// Rows that one thread makes at a time; neighbours share the horizontal pass of their source rows.
const ROWS_PER_TASK: usize = 16;

/// Where an output pixel takes its two inputs along one axis, and their weights.
#[derive(Clone, Copy)]
struct Tap {
    first: usize,
    second: usize,
    weights: [i32; 2],
}

/// Resizes to `size`; the same size is a copy. Both sizes must have pixels.
pub fn resize(image: &RgbImage, size: Size) -> RgbImage {
    let from = image.size;
    if from == size || from.pixels() == 0 || size.pixels() == 0 {
        return image.clone();
    }
    let rgb = resized::<3>(&image.rgb, from, size);
    RgbImage { size, rgb }
}

/// Resizes a mask of 0 and 1 by the same rule and rounding; what is not 0 then is 1. Both sizes must have pixels.
pub fn resize_mask(mask: &[u8], from: Size, size: Size) -> Vec<u8> {
    if from == size || from.pixels() == 0 || size.pixels() == 0 {
        return mask.to_vec();
    }
    let mut values = resized::<1>(mask, from, size);
    for value in &mut values {
        *value = u8::from(*value != 0);
    }
    values
}

/// C bytes a pixel.
fn resized<const C: usize>(values: &[u8], from: Size, size: Size) -> Vec<u8> {
    let mut out = vec![0u8; size.pixels() * C];
    if from == Size::new(2 * size.width, 2 * size.height) {
        halve::<C>(values, from, size, &mut out);
    } else {
        interpolate::<C>(values, from, size, &mut out);
    }
    out
}

/// Exactly half in both axes: OpenCV takes its area path, the rounded mean of 2×2.
fn halve<const C: usize>(values: &[u8], from: Size, size: Size, out: &mut [u8]) {
    let source_row = from.width * C;
    out.par_chunks_mut(size.width * C)
        .zip(values.par_chunks(2 * source_row))
        .for_each(|(out, pair)| {
            let (upper, lower) = pair.split_at(source_row);
            let blocks = upper.chunks_exact(2 * C).zip(lower.chunks_exact(2 * C));
            for (pixel, (a, b)) in out.chunks_exact_mut(C).zip(blocks) {
                for c in 0..C {
                    let sum = [a[c], a[c + C], b[c], b[c + C]].map(u32::from);
                    pixel[c] = ((sum.iter().sum::<u32>() + 2) >> 2) as u8;
                }
            }
        });
}

fn interpolate<const C: usize>(values: &[u8], from: Size, size: Size, out: &mut [u8]) {
    let columns = column_taps(from.width, size.width);
    let rows = row_taps(from.height, size.height);
    let source_row = from.width * C;
    out.par_chunks_mut(ROWS_PER_TASK * size.width * C)
        .zip(rows.par_chunks(ROWS_PER_TASK))
        .for_each(|(out, taps)| {
            let mut upper = Pass::<C>::new(size.width);
            let mut lower = Pass::<C>::new(size.width);
            for (line, tap) in out.chunks_exact_mut(size.width * C).zip(taps) {
                if lower.row == Some(tap.first) {
                    std::mem::swap(&mut upper, &mut lower);
                }
                for (pass, row) in [(&mut upper, tap.first), (&mut lower, tap.second)] {
                    pass.fill(
                        row,
                        &values[row * source_row..(row + 1) * source_row],
                        &columns,
                    );
                }
                blend(line, &upper.values, &lower.values, tap.weights);
            }
        });
}

/// One source row after the horizontal pass, kept while the next output row may need it.
struct Pass<const C: usize> {
    row: Option<usize>,
    /// `(a0·S[i] + a1·S[i+1]) >> 4`: at most 255·2048/16, which fits.
    values: Vec<i16>,
}

impl<const C: usize> Pass<C> {
    fn new(width: usize) -> Self {
        Self {
            row: None,
            values: vec![0; width * C],
        }
    }

    fn fill(&mut self, row: usize, source: &[u8], columns: &[Tap]) {
        if self.row == Some(row) {
            return;
        }
        self.row = Some(row);
        for (out, tap) in self.values.chunks_exact_mut(C).zip(columns) {
            let left = &source[C * tap.first..][..C];
            let right = &source[C * tap.second..][..C];
            for c in 0..C {
                let sum =
                    tap.weights[0] * i32::from(left[c]) + tap.weights[1] * i32::from(right[c]);
                out[c] = (sum >> 4) as i16;
            }
        }
    }
}

/// The vertical pass: both products lose 16 bits before they are added, as in OpenCV.
fn blend(out: &mut [u8], upper: &[i16], lower: &[i16], [b0, b1]: [i32; 2]) {
    for ((out, &a), &b) in out.iter_mut().zip(upper).zip(lower) {
        let a = (b0 * i32::from(a)) >> 16;
        let b = (b1 * i32::from(b)) >> 16;
        *out = ((a + b + 2) >> 2) as u8;
    }
}

fn column_taps(from: usize, to: usize) -> Vec<Tap> {
    taps(from, to, |at, fraction| {
        if at < 0 || at >= from as i64 - 1 {
            (at.clamp(0, from as i64 - 1), 0.0)
        } else {
            (at, fraction)
        }
    })
}

/// Rows outside are clamped one by one and the fraction is kept.
fn row_taps(from: usize, to: usize) -> Vec<Tap> {
    taps(from, to, |at, fraction| (at, fraction))
}

fn taps(from: usize, to: usize, edge: impl Fn(i64, f32) -> (i64, f32)) -> Vec<Tap> {
    let scale = 1.0 / (to as f64 / from as f64);
    let inside = |at: i64| at.clamp(0, from as i64 - 1) as usize;
    (0..to)
        .map(|out| {
            let position = ((out as f64 + 0.5) * scale - 0.5) as f32;
            let floor = position.floor();
            let (at, fraction) = edge(floor as i64, position - floor);
            let weight = |share: f32| (share * ONE).round_ties_even() as i32;
            Tap {
                first: inside(at),
                second: inside(at + 1),
                weights: [weight(1.0 - fraction), weight(fraction)],
            }
        })
        .collect()
}
