//! The gradient of the weights of a 3×3 convolution of stride 1 by the adjoint of Winograd's F(4×4, 3×3): input and dz are
//! transformed strip by strip, multiplied position by position over the tiles, and the sums are transformed back once.
//!
//! Axes: N images, I and O channels, H and W, 36 positions of the transformed tile, T tiles of a strip.
#![allow(
    unsafe_code,
    reason = "transformed tiles are written and read through pointers; lengths are asserted on entry"
)]

use rayon::prelude::*;

use super::shape::ConvShape;
use super::simd::{GROUP, Isa, SharedMut, Simd, Task, filled};
use super::tiles::{GroupPlan, TILE};
use super::transform::{self, POSITIONS};
use super::winograd::{InputTask, Item};
use crate::ops::gemm::{Matrix, product_at};

/// Values of both transformed strips together: they stay in the third-level cache.
const STRIP: usize = 2 << 20;
/// Bounds of the groups of 16 tiles in a strip.
const GROUPS: (usize, usize) = (3, 32);
/// Channels that a work item transforms.
const CHANNELS: usize = 16;
/// Output channels of a product: enough items for some threads, the same on every machine.
const ROWS: usize = 128;
/// Tiles below which the sums of 36 positions cost more than 9 products over all pixels.
const MIN_TILES: usize = 32;

/// Whether this path can do a convolution and is the faster one.
pub(super) fn suits(s: &ConvShape) -> bool {
    let tiles = s.oh.div_ceil(TILE) * s.ow.div_ceil(TILE);
    (s.kh, s.kw, s.stride) == (3, 3, 1)
        && s.n * tiles >= MIN_TILES
        && s.i >= CHANNELS
        && POSITIONS * tiles <= 9 * s.out_plane()
}

/// dW (O,I,3,3) from `x` (N,I,H,W) and `dz` (N,O,H',W').
pub(super) fn gradient(isa: Isa, s: &ConvShape, x: &[f32], dz: &[f32]) -> Vec<f32> {
    assert_eq!((s.kh, s.kw, s.stride), (3, 3, 1));
    assert_eq!(x.len(), s.in_len());
    assert_eq!(dz.len(), s.out_len());
    let tiles = s.n * s.oh.div_ceil(TILE) * s.ow.div_ceil(TILE);
    let groups = tiles.div_ceil(GROUP);
    let fitting = STRIP / (POSITIONS * (s.i + s.o) * GROUP);
    let per_strip = fitting.clamp(GROUPS.0, GROUPS.1);
    let strips = groups.div_ceil(per_strip);
    // (36,O,I)
    let mut sums: Vec<f32> = Vec::with_capacity(POSITIONS * s.o * s.i);
    for index in 0..strips {
        let range = index * groups / strips..(index + 1) * groups / strips;
        let plans = range.map(|group| GroupPlan::new(s, group, isa.lanes()));
        let item = Item {
            groups: plans.collect(),
        };
        let strip = Strip::new(isa, s, &item, x, dz);
        if index == 0 {
            // SAFETY: the products of all positions and rows cover the sums.
            sums = unsafe { filled(POSITIONS * s.o * s.i, |out| strip.multiply(out, true)) };
        } else {
            let out = SharedMut::of(&mut sums);
            strip.multiply(out, false);
        }
    }
    // SAFETY: every output channel is written.
    unsafe { filled(s.o * s.i * 9, |out| transform_back(isa, s, &sums, out)) }
}

/// The transforms of some tiles.
struct Strip<'a> {
    s: &'a ConvShape,
    item: &'a Item,
    /// `[36][I][T]` of the input and `[36][O][T]` of dz, each position `item.stride` after the one before.
    x: Vec<f32>,
    dz: Vec<f32>,
}

impl<'a> Strip<'a> {
    fn new(isa: Isa, s: &'a ConvShape, item: &'a Item, x: &[f32], dz: &[f32]) -> Self {
        let parts = |channels: usize| {
            let firsts: Vec<usize> = (0..channels).step_by(CHANNELS).collect();
            firsts
                .into_par_iter()
                .map(move |first| (first, (first + CHANNELS).min(channels)))
        };
        let transform_x = |v: SharedMut| {
            parts(s.i).for_each(|channels| {
                let v = v.get();
                let task = InputTask {
                    shape: s,
                    x,
                    item,
                    channels,
                    v,
                };
                // SAFETY: each job writes its own channels of the buffer.
                unsafe { isa.run(task) }
            });
            clear_skews(v, s.i, item);
        };
        let transform_dz = |v: SharedMut| {
            parts(s.o).for_each(|channels| {
                let v = v.get();
                let task = OutputTask {
                    shape: s,
                    dz,
                    item,
                    channels,
                    v,
                };
                // SAFETY: as above.
                unsafe { isa.run(task) }
            });
            clear_skews(v, s.o, item);
        };
        // SAFETY: all channels and what lies between the positions are written.
        unsafe {
            Self {
                s,
                item,
                x: filled(POSITIONS * item.stride(s.i), transform_x),
                dz: filled(POSITIONS * item.stride(s.o), transform_dz),
            }
        }
    }

    /// The products over the tiles, written to or added to `sums` (36,O,I).
    fn multiply(&self, sums: SharedMut, is_first: bool) {
        let (s, width) = (self.s, self.item.width());
        let parts = s.o.div_ceil(ROWS);
        (0..POSITIONS * parts).into_par_iter().for_each(|job| {
            let (position, row) = (job / parts, job % parts * ROWS);
            let rows = ROWS.min(s.o - row);
            let dz = &self.dz[position * self.item.stride(s.o) + row * width..];
            let x = &self.x[position * self.item.stride(s.i)..];
            let left = Matrix::new(dz, rows, width, width);
            let right = Matrix::new(x, s.i, width, width).transposed();
            let at = (position * s.o + row) * s.i;
            // SAFETY: jobs have rows of their own; the first strip writes them, later ones add.
            unsafe { product_at(sums.get().add(at), left, right, !is_first) };
        });
    }
}

/// What lies between two positions, so that the whole buffer is initialised.
fn clear_skews(v: SharedMut, channels: usize, item: &Item) {
    let (used, stride) = (channels * item.width(), item.stride(channels));
    for position in 0..POSITIONS {
        // SAFETY: the buffer has 36 positions of `stride`.
        unsafe {
            let skew = v.get().add(position * stride + used);
            std::ptr::write_bytes(skew, 0, stride - used);
        }
    }
}

/// The transform of dz of some channels of an item into `v`: `[36][O][T]`.
struct OutputTask<'a> {
    shape: &'a ConvShape,
    /// (N,O,H',W')
    dz: &'a [f32],
    item: &'a Item,
    channels: (usize, usize),
    v: *mut f32,
}

impl Task for OutputTask<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let s = self.shape;
        let (width, stride) = (self.item.width(), self.item.stride(s.o));
        for (g, plan) in self.item.groups.iter().enumerate() {
            let mut lines = [[0.0f32; TILE * GROUP]; TILE];
            for o in self.channels.0..self.channels.1 {
                // SAFETY: the plan's targets lie in image 0..N of channel o; `v` has 36 positions of `stride`.
                unsafe {
                    let plane = self.dz.as_ptr().add(o * s.out_plane());
                    let to = self.v.add(o * width + g * GROUP);
                    plan.load_output::<S>(plane, &mut lines);
                    transform::output_back::<S>(&lines, to, stride);
                }
            }
        }
    }
}

/// `sums` (36,O,I) to taps (O,I,3,3).
fn transform_back(isa: Isa, s: &ConvShape, sums: &[f32], out: SharedMut) {
    (0..s.o).into_par_iter().for_each(|o| {
        let task = BackTask {
            inputs: s.i,
            from: &sums[o * s.i..],
            stride: s.o * s.i,
            to: out.get().wrapping_add(o * s.i * 9),
        };
        // SAFETY: output channels lie apart.
        unsafe { isa.run(task) }
    });
}

/// The filters of one output channel.
struct BackTask<'a> {
    inputs: usize,
    /// I values of every position, `stride` apart.
    from: &'a [f32],
    stride: usize,
    /// (I,9)
    to: *mut f32,
}

impl Task for BackTask<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        assert!((POSITIONS - 1) * self.stride + self.inputs <= self.from.len());
        assert!(S::LANES <= GROUP && self.inputs >= GROUP);
        for at in (0..self.inputs).step_by(S::LANES) {
            // The last vector overlaps the one before where the channels do not fill it.
            let first = at.min(self.inputs - S::LANES);
            let mut lanes = [[0.0f32; GROUP]; 9];
            // SAFETY: LANES filters from `first` on exist in every position.
            unsafe {
                let from = self.from.as_ptr().add(first);
                let taps = transform::filters_back::<S>(from, self.stride);
                for (lanes, tap) in lanes.iter_mut().zip(taps) {
                    S::store(lanes.as_mut_ptr(), tap);
                }
                for lane in 0..S::LANES {
                    let to = self.to.add((first + lane) * 9);
                    for (tap, lanes) in lanes.iter().enumerate() {
                        *to.add(tap) = lanes[lane];
                    }
                }
            }
        }
    }
}
