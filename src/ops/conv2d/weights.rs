//! The gradient of a convolution's weights. Large 3×3 maps go the way of `adjoint`; for the rest each tap is the product of
//! dz with the input shifted by that tap.
//!
//! Both sides are laid out channel by channel with the zeros of the padding between rows and images, so that a shift is an
//! offset and all images go into one product. With a stride the input is taken apart into its phases first.
//!
//! Axes: N images, I and O channels, H and W.

use rayon::prelude::*;

use super::adjoint;
use super::shape::ConvShape;
use super::simd::Isa;
use crate::ops::gemm::{Matrix, add_product};

/// Input channels below which one product over all taps pays: the first layer of a network.
const FEW_CHANNELS: usize = 8;
/// Parts of a tap's output channels: work items for more threads than there are taps.
const PARTS: usize = 4;
/// Output pixels whose taps are written out at once there.
const PIXELS: usize = 1024;

/// dW (O,I,kh,kw) from `x` (N,I,H,W) and `dz` (N,O,H',W').
pub(super) fn gradient(s: &ConvShape, x: &[f32], dz: &[f32]) -> Vec<f32> {
    assert_eq!(x.len(), s.in_len());
    assert_eq!(dz.len(), s.out_len());
    if adjoint::suits(s) {
        adjoint::gradient(Isa::best(), s, x, dz)
    } else if (s.kh, s.kw, s.padding) == (1, 1, 0) {
        if s.stride == 1 {
            pointwise(s, x, dz)
        } else {
            pointwise(s, &every_nth(s, x), dz)
        }
    } else if s.i < FEW_CHANNELS {
        by_columns(s, x, dz)
    } else {
        by_taps(s, x, dz)
    }
}

/// The pixels that a 1×1 convolution with a stride reads: (N,I,H',W').
fn every_nth(s: &ConvShape, x: &[f32]) -> Vec<f32> {
    let mut out = vec![0.0; s.n * s.i * s.out_plane()];
    out.par_chunks_mut(s.out_plane().max(1))
        .zip(x.par_chunks_exact((s.h * s.w).max(1)))
        .for_each(|(out, plane)| {
            let rows = plane.chunks_exact(s.w).step_by(s.stride);
            for (out, row) in out.chunks_exact_mut(s.ow).zip(rows) {
                for (out, &value) in out.iter_mut().zip(row.iter().step_by(s.stride)) {
                    *out = value;
                }
            }
        });
    out
}

/// 1×1, `x` (N,I,H',W'): dz · xᵀ of every image as they are.
fn pointwise(s: &ConvShape, x: &[f32], dz: &[f32]) -> Vec<f32> {
    let plane = s.out_plane();
    let mut dw = vec![0.0; s.o * s.i];
    let block = s.o.div_ceil(4).max(32);
    dw.par_chunks_mut((block * s.i).max(1))
        .enumerate()
        .for_each(|(index, dw)| {
            let count = dw.len() / s.i;
            for n in 0..s.n {
                let dz = &dz[(n * s.o + index * block) * plane..];
                let x = &x[n * s.i * plane..];
                let left = Matrix::new(dz, count, plane, plane);
                add_product(dw, left, Matrix::new(x, s.i, plane, plane).transposed());
            }
        });
    dw
}

/// Where the taps of one axis read: tap t of output position p reads position p + shift of phase `phase`.
#[derive(Clone, Copy)]
struct Tap {
    phase: usize,
    shift: isize,
}

impl Tap {
    fn of(tap: usize, s: &ConvShape) -> Self {
        let from = tap as isize - s.padding as isize;
        let stride = s.stride as isize;
        Self {
            phase: from.rem_euclid(stride) as usize,
            shift: from.div_euclid(stride),
        }
    }
}

/// One axis of the layout with zeros between.
#[derive(Clone, Copy)]
struct Axis {
    /// Zeros before the first position.
    before: usize,
    /// From one row, or image, to the next.
    step: usize,
}

impl Axis {
    fn new(kernel: usize, outputs: usize, s: &ConvShape) -> Self {
        let shifts = || (0..kernel).map(|tap| Tap::of(tap, s).shift);
        let before = shifts().min().unwrap_or(0).min(0).unsigned_abs();
        let after = shifts().max().unwrap_or(0).max(0).unsigned_abs();
        // The zeros after a row serve before the next one where nothing but zeros is read there.
        let padded = s.stride == 1 && 2 * s.padding + 1 == kernel;
        let extra = if padded {
            before.max(after)
        } else {
            before + after
        };
        Self {
            before,
            step: outputs + extra,
        }
    }

    fn offset(&self, shift: isize) -> usize {
        (self.before as isize + shift).max(0) as usize
    }
}

fn by_taps(s: &ConvShape, x: &[f32], dz: &[f32]) -> Vec<f32> {
    let rows = Axis::new(s.kh, s.oh, s);
    let columns = Axis::new(s.kw, s.ow, s);
    let (image, row) = (rows.step * columns.step, columns.step);
    // Up to the last output position, and as far as the farthest tap reads from there.
    let len = (s.n - 1) * image + (s.oh - 1) * row + s.ow;
    let farthest = |kernel: usize, axis: &Axis| {
        let shifts = (0..kernel).map(|tap| axis.offset(Tap::of(tap, s).shift));
        shifts.max().unwrap_or(0)
    };
    let reach = farthest(s.kh, &rows) * row + farthest(s.kw, &columns);
    let spread_dz = channels(s.o, len, |o, out| {
        for n in 0..s.n {
            for y in 0..s.oh {
                let from = &dz[((n * s.o + o) * s.oh + y) * s.ow..][..s.ow];
                out[n * image + y * row..][..s.ow].copy_from_slice(from);
            }
        }
    });
    let phases = s.stride.min(s.kh.max(s.kw));
    let spread_x: Vec<Vec<f32>> = (0..phases * phases)
        .map(|phase| {
            let (a, b) = (phase / phases, phase % phases);
            channels(s.i, len + reach, |i, out| {
                for n in 0..s.n {
                    let plane = &x[(n * s.i + i) * s.h * s.w..][..s.h * s.w];
                    spread_phase(s, plane, (a, b), (rows, columns), &mut out[n * image..]);
                }
            })
        })
        .collect();
    let taps = s.kh * s.kw;
    let mut by_tap = vec![0.0; taps * s.o * s.i]; // (kh·kw,O,I)
    let parts = if s.o.is_multiple_of(PARTS) { PARTS } else { 1 };
    let rows_of_part = s.o / parts;
    by_tap
        .par_chunks_mut((rows_of_part * s.i).max(1))
        .enumerate()
        .for_each(|(job, dw)| {
            let (tap, part) = (job / parts, job % parts);
            let (ty, tx) = (Tap::of(tap / s.kw, s), Tap::of(tap % s.kw, s));
            let x = &spread_x[ty.phase * phases + tx.phase];
            let offset = rows.offset(ty.shift) * row + columns.offset(tx.shift);
            let dz = &spread_dz[part * rows_of_part * len..];
            let left = Matrix::new(dz, rows_of_part, len, len);
            let right = Matrix::new(&x[offset..], s.i, len, len + reach);
            add_product(dw, left, right.transposed());
        });
    let mut dw = vec![0.0; by_tap.len()];
    dw.par_chunks_mut(taps).enumerate().for_each(|(pair, dw)| {
        for (tap, value) in dw.iter_mut().enumerate() {
            *value = by_tap[tap * s.o * s.i + pair];
        }
    });
    dw
}

/// `count` rows of `len` zeros, each filled by `fill`.
fn channels(count: usize, len: usize, fill: impl Fn(usize, &mut [f32]) + Sync) -> Vec<f32> {
    let mut out = vec![0.0; count * len];
    out.par_chunks_mut(len.max(1))
        .enumerate()
        .for_each(|(channel, out)| fill(channel, out));
    out
}

/// Rows a, a + stride, .. and columns b, b + stride, .. of a plane, to their places.
fn spread_phase(
    s: &ConvShape,
    plane: &[f32],
    (a, b): (usize, usize),
    (rows, columns): (Axis, Axis),
    out: &mut [f32],
) {
    let last = |axis: &Axis| axis.step - axis.before;
    for (at, y) in (a..s.h).step_by(s.stride).enumerate().take(last(&rows)) {
        let from = &plane[y * s.w..][..s.w];
        let to = (rows.before + at) * columns.step + columns.before;
        let width = last(&columns);
        // Positions behind the last one that any tap reads may not be there.
        let Some(to) = out.get_mut(to..) else { return };
        if s.stride == 1 {
            let width = width.min(s.w).min(to.len());
            to[..width].copy_from_slice(&from[..width]);
        } else {
            let values = from.iter().skip(b).step_by(s.stride).take(width);
            for (to, &value) in to.iter_mut().zip(values) {
                *to = value;
            }
        }
    }
}

/// Few input channels: the pixels under all taps are written out, (I·kh·kw, pixels), strip by strip.
fn by_columns(s: &ConvShape, x: &[f32], dz: &[f32]) -> Vec<f32> {
    let (depth, plane) = (s.depth(), s.out_plane());
    let strips: Vec<(usize, usize)> = (0..s.n)
        .flat_map(|n| (0..plane).step_by(PIXELS).map(move |first| (n, first)))
        .collect();
    // A fixed number of sums, so that their order does not depend on the threads.
    const SUMS: usize = 8;
    let sums: Vec<Vec<f32>> = (0..SUMS)
        .into_par_iter()
        .map(|part| {
            let mut dw = vec![0.0; s.o * depth];
            for &(n, first) in strips.iter().skip(part).step_by(SUMS) {
                let count = PIXELS.min(plane - first);
                let columns = columns_of(s, &x[n * s.i * s.h * s.w..], first, count);
                let left = Matrix::new(&dz[n * s.o * plane + first..], s.o, count, plane);
                let right = Matrix::new(&columns, depth, count, count);
                add_product(&mut dw, left, right.transposed());
            }
            dw
        })
        .collect();
    let mut dw = vec![0.0; s.o * depth];
    for part in sums {
        for (sum, value) in dw.iter_mut().zip(part) {
            *sum += value;
        }
    }
    dw
}

/// What the taps read for `count` output pixels from `first` on: (I·kh·kw, count).
fn columns_of(s: &ConvShape, image: &[f32], first: usize, count: usize) -> Vec<f32> {
    let mut out = vec![0.0; s.depth() * count];
    for (row, out) in out.chunks_exact_mut(count).enumerate() {
        let (i, tap) = (row / (s.kh * s.kw), row % (s.kh * s.kw));
        let (ky, kx) = (tap / s.kw, tap % s.kw);
        let plane = &image[i * s.h * s.w..][..s.h * s.w];
        for (out, pixel) in out.iter_mut().zip(first..) {
            let y = (pixel / s.ow * s.stride + ky).wrapping_sub(s.padding);
            let x = (pixel % s.ow * s.stride + kx).wrapping_sub(s.padding);
            if y < s.h && x < s.w {
                *out = plane[y * s.w + x];
            }
        }
    }
    out
}
