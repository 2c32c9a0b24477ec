//! Convolution by panels: 16 to 48 output pixels of any images are gathered as `[I·kh·kw][pixels]` and multiplied
//! with all weights. An im2col that never exists as a whole.
//!
//! Axes: N images, I and O channels, H and W; rows are output channels, or 4 to a channel for the deconvolution.
#![allow(
    unsafe_code,
    reason = "panels are gathered and results stored through pointers; lengths are asserted on entry"
)]

use std::ops::Range;

use rayon::prelude::*;

use super::gather::{Run, copy, gather};
use super::kernel::Product;
use super::pack::PackedRows;
use super::shape::ConvShape;
use super::simd::{GROUP, Isa, MAX_GROUPS, ROWS, SharedMut, Simd, Task, filled, with_scratch};

/// Where the rows of the product go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Store {
    /// Row o is output channel o.
    Plain,
    /// Row 4o + 2i + j is the pixel (2y + i, 2x + j) of output channel o.
    Deconv2x2,
}

/// One call of the layer.
#[derive(Clone, Copy)]
pub(super) struct PanelConv<'a> {
    /// Sizes; `o` counts rows.
    pub shape: ConvShape,
    /// (N,I,H,W)
    pub x: &'a [f32],
    /// Rows as in `store`, depth in the order I, kh, kw.
    pub weights: &'a PackedRows,
    /// As the output; not for the deconvolution.
    pub residual: Option<&'a [f32]>,
    /// See `Store`.
    pub store: Store,
    /// Whether negative results become 0.
    pub relu: bool,
}

/// Blocks of rows below which an item is not split further: packing the panel anew must not show.
const MIN_BLOCKS: usize = 8;
/// Steps of the reduction gathered at once. Some hundreds do equally well.
const CHUNK: usize = 512;
/// Work items a thread should get at least, for an even end.
const ITEMS_PER_THREAD: usize = 8;

impl PanelConv<'_> {
    /// The output: (N,O,H',W'), or (N,O,2H,2W) for the deconvolution.
    pub(super) fn run(mut self, isa: Isa) -> Vec<f32> {
        if self.store == Store::Plain {
            self.shape = self.shape.flattened();
        }
        let s = self.shape;
        assert_eq!(self.x.len(), s.in_len());
        assert_eq!((self.weights.rows, self.weights.depth), (s.o, s.depth()));
        assert!(self.residual.is_none_or(|r| r.len() == s.out_len()));
        let groups = (s.n * s.out_plane()).div_ceil(GROUP);
        let items = groups.div_ceil(MAX_GROUPS);
        let blocks = self.weights.blocks();
        let wanted = (ITEMS_PER_THREAD * rayon::current_num_threads()).div_ceil(items.max(1));
        let parts = wanted.min(blocks / MIN_BLOCKS).max(1);
        let work = |out: SharedMut| {
            (0..items * parts).into_par_iter().for_each(|job| {
                let (item, part) = (job / parts, job % parts);
                let first = item * groups / items;
                let item = Item {
                    conv: self,
                    first: first * GROUP,
                    groups: (item + 1) * groups / items - first,
                    blocks: part * blocks / parts..(part + 1) * blocks / parts,
                    out,
                };
                let panel = self.channels_at_once() * s.kh * s.kw * item.groups * GROUP;
                with_scratch(panel, |scratch| {
                    // SAFETY: the assertions above; items and parts write different pixels or channels.
                    unsafe { isa.run(ItemTask { item, scratch }) }
                });
            });
        };
        // SAFETY: items cover all pixels, parts all rows.
        unsafe { filled(s.out_len(), work) }
    }

    /// Channels gathered at once: their panel stays in the second-level cache beside the weights.
    fn channels_at_once(&self) -> usize {
        let s = &self.shape;
        match self.store {
            Store::Plain => (CHUNK / (s.kh * s.kw)).clamp(1, s.i),
            // Its interleaved output cannot be added to.
            Store::Deconv2x2 => s.i,
        }
    }
}

struct Item<'a> {
    conv: PanelConv<'a>,
    /// First pixel, counted over images and rows.
    first: usize,
    groups: usize,
    blocks: Range<usize>,
    out: SharedMut,
}

impl Item<'_> {
    fn width(&self) -> usize {
        self.groups * GROUP
    }
}

struct ItemTask<'a> {
    item: Item<'a>,
    scratch: *mut f32,
}

impl Task for ItemTask<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let item = &self.item;
        let (conv, s, width) = (&item.conv, &item.conv.shape, item.width());
        let runs = Run::list(s, item.first, width);
        let step = conv.channels_at_once();
        for first in (0..s.i).step_by(step) {
            let channels = first..(first + step).min(s.i);
            let x = conv.x.as_ptr();
            // SAFETY: the scratch holds what `step` channels need; the runs were made for this item.
            unsafe {
                gather::<S>(s, &runs, width, channels.clone(), x, self.scratch);
                for block in item.blocks.clone() {
                    item.multiply::<S>(&runs, channels.clone(), block, self.scratch);
                }
            }
        }
    }
}

impl Item<'_> {
    /// The product of a block of rows with the panel of some channels, added to what earlier channels gave.
    ///
    /// # Safety
    /// `panel` holds `[channels·kh·kw][width]`.
    #[inline(always)]
    unsafe fn multiply<S: Simd>(
        &self,
        runs: &[Run],
        channels: Range<usize>,
        block: usize,
        panel: *const f32,
    ) {
        let (conv, s, width, plane) = (
            &self.conv,
            &self.conv.shape,
            self.width(),
            self.conv.shape.out_plane(),
        );
        let (weights, taps) = (conv.weights, s.kh * s.kw);
        let mut tile = Tile([0.0; ROWS * MAX_GROUPS * GROUP]);
        // What is added: the sum over earlier channels, or the residual.
        let add = match conv.residual {
            _ if channels.start > 0 => self.out.get().cast_const(),
            Some(residual) => residual.as_ptr(),
            None => std::ptr::null(),
        };
        let relu = conv.relu && channels.end == s.i;
        // SAFETY: direct stores are whole columns of one image and whole blocks of rows, other products go through
        // `tile`; `weights` and `bias` are filled up to whole blocks.
        unsafe {
            let a = (block * weights.depth + channels.start * taps) * ROWS;
            let mut product = Product {
                depth: channels.len() * taps,
                groups: self.groups,
                a: weights.values.as_ptr().add(a),
                b: panel,
                out: tile.0.as_mut_ptr(),
                out_stride: width,
                bias: std::ptr::null(),
                add: std::ptr::null(),
                add_stride: plane,
                relu: false,
            };
            if channels.start == 0 {
                product.bias = weights.bias.as_ptr().add(block * ROWS);
            }
            if conv.store == Store::Deconv2x2 {
                product.relu = relu;
                S::multiply(&product);
                interleave::<S>(self, runs, block, &tile);
            } else if self.is_whole(runs, block) {
                let (n, pixel) = (self.first / plane, self.first % plane);
                let at = (n * s.o + block * ROWS) * plane + pixel;
                product.out = self.out.get().add(at);
                product.out_stride = plane;
                if !add.is_null() {
                    product.add = add.add(at);
                }
                product.relu = relu;
                S::multiply(&product);
            } else {
                S::multiply(&product);
                scatter::<S>(self, runs, block, &tile, add, relu);
            }
        }
    }

    /// Whether a block's columns follow each other in the output and all its rows exist.
    fn is_whole(&self, runs: &[Run], block: usize) -> bool {
        runs.iter().map(|r| r.len).sum::<usize>() == self.width()
            && runs.first().map(|r| r.n) == runs.last().map(|r| r.n)
            && (block + 1) * ROWS <= self.conv.weights.rows
    }
}

/// A result that does not go to the output as it is.
#[repr(align(64))]
struct Tile([f32; ROWS * MAX_GROUPS * GROUP]);

/// Stores the valid part of a tile plus `add`, a tensor like the output, if it is not null.
///
/// # Safety
/// The output and `add` have the length of the shape.
#[inline(always)]
unsafe fn scatter<S: Simd>(
    item: &Item<'_>,
    runs: &[Run],
    block: usize,
    tile: &Tile,
    add: *const f32,
    relu: bool,
) {
    let s = &item.conv.shape;
    for row in 0..ROWS.min(s.o - block * ROWS) {
        for run in runs {
            let from = row * item.width() + run.column;
            let to = ((run.n * s.o + block * ROWS + row) * s.oh + run.oy) * s.ow + run.ox;
            for at in (0..run.len).step_by(S::LANES) {
                let n = (run.len - at).min(S::LANES);
                // SAFETY: the run lies in one row of the output and of the tile.
                unsafe {
                    let mut v = S::load_n(tile.0.as_ptr().add(from + at), n);
                    if !add.is_null() {
                        v = S::add(v, S::load_n(add.add(to + at), n));
                    }
                    if relu {
                        v = S::relu(v);
                    }
                    S::store_n(item.out.get().add(to + at), v, n);
                }
            }
        }
    }
}

/// Stores a tile of the deconvolution: rows 4o + 2i and 4o + 2i + 1 alternate in the output row 2y + i.
///
/// # Safety
/// The output has 4 values a pixel and channel.
#[inline(always)]
unsafe fn interleave<S: Simd>(item: &Item<'_>, runs: &[Run], block: usize, tile: &Tile) {
    let (s, width) = (&item.conv.shape, item.width());
    let mut line = [0.0f32; 2 * MAX_GROUPS * GROUP];
    // Rows are multiples of 4, so a block of 8 may be half filled.
    for pair in (0..ROWS.min(s.o - block * ROWS)).step_by(2) {
        let (channel, i) = ((block * ROWS + pair) / 4, pair / 2 % 2);
        // SAFETY: `line` holds twice a row of the tile; a run lies in one row of the output.
        unsafe {
            let rows = tile.0.as_ptr().add(pair * width);
            for at in (0..width).step_by(S::LANES) {
                let even = S::load(rows.add(at));
                let odd = S::load(rows.add(width + at));
                let [low, high] = S::interleave2(even, odd);
                S::store(line.as_mut_ptr().add(2 * at), low);
                S::store(line.as_mut_ptr().add(2 * at + S::LANES), high);
            }
            for run in runs {
                let row = (run.n * s.o / 4 + channel) * 2 * s.oh + 2 * run.oy + i;
                let to = item.out.get().add(row * 2 * s.ow + 2 * run.ox);
                copy::<S>(line.as_ptr().add(2 * run.column), to, 2 * run.len, 1);
            }
        }
    }
}
