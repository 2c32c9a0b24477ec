//! Convolution by panels: 16 to 48 output pixels of any images are gathered as `[I·kh·kw][pixels]` and multiplied
//! with all weights. An im2col that never exists as a whole.
//!
//! Axes: N images, I and O channels, H and W; rows are output channels, or 4 to a channel for the deconvolution.
#![allow(
    unsafe_code,
    reason = "panels are gathered and results stored through pointers; lengths are asserted on entry"
)]

use rayon::prelude::*;

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
                let panel = s.depth() * item.groups * GROUP;
                with_scratch(panel, |scratch| {
                    // SAFETY: the assertions above; items and parts write different pixels or channels.
                    unsafe { isa.run(ItemTask { item, scratch }) }
                });
            });
        };
        // SAFETY: items cover all pixels, parts all rows.
        unsafe { filled(s.out_len(), work) }
    }
}

/// A run of output pixels in one row of one image.
#[derive(Clone, Copy)]
struct Run {
    column: usize,
    len: usize,
    n: usize,
    oy: usize,
    ox: usize,
}

struct Item<'a> {
    conv: PanelConv<'a>,
    /// First pixel, counted over images and rows.
    first: usize,
    groups: usize,
    blocks: std::ops::Range<usize>,
    out: SharedMut,
}

impl Item<'_> {
    fn width(&self) -> usize {
        self.groups * GROUP
    }

    fn runs(&self) -> Vec<Run> {
        let s = &self.conv.shape;
        let total = s.n * s.out_plane();
        let mut runs = Vec::with_capacity(8);
        let mut column = 0;
        while column < self.width() && self.first + column < total {
            let pixel = self.first + column;
            let (row, ox) = (pixel / s.ow, pixel % s.ow);
            let len = (s.ow - ox).min(self.width() - column).min(total - pixel);
            runs.push(Run {
                column,
                len,
                n: row / s.oh,
                oy: row % s.oh,
                ox,
            });
            column += len;
        }
        runs
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
        let runs = item.runs();
        // Columns of one image follow each other in the output, whatever rows they are in.
        let whole = conv.store == Store::Plain
            && runs.iter().map(|r| r.len).sum::<usize>() == width
            && runs.first().map(|r| r.n) == runs.last().map(|r| r.n);
        let mut tile = Tile([0.0; ROWS * MAX_GROUPS * GROUP]);
        // SAFETY: the scratch holds depth·width values; direct stores are whole columns of one image and whole blocks
        // of rows, other products go through `tile`; `weights` and `bias` are filled up to whole blocks.
        unsafe {
            gather::<S>(item, &runs, self.scratch);
            for block in item.blocks.clone() {
                let product = Product {
                    depth: conv.weights.depth,
                    groups: item.groups,
                    a: conv
                        .weights
                        .values
                        .as_ptr()
                        .add(block * conv.weights.depth * ROWS),
                    b: self.scratch,
                    out: tile.0.as_mut_ptr(),
                    out_stride: width,
                    bias: conv.weights.bias.as_ptr().add(block * ROWS),
                    add: std::ptr::null(),
                    add_stride: 0,
                    relu: conv.relu && conv.residual.is_none(),
                };
                if whole && (block + 1) * ROWS <= conv.weights.rows {
                    let plane = s.out_plane();
                    let (n, pixel) = (item.first / plane, item.first % plane);
                    let at = (n * s.o + block * ROWS) * plane + pixel;
                    S::multiply(&Product {
                        out: item.out.get().add(at),
                        out_stride: plane,
                        add: conv
                            .residual
                            .map_or(std::ptr::null(), |r| r.as_ptr().add(at)),
                        add_stride: plane,
                        relu: conv.relu,
                        ..product
                    });
                } else {
                    S::multiply(&product);
                    match conv.store {
                        Store::Plain => scatter::<S>(item, &runs, block, &tile),
                        Store::Deconv2x2 => interleave::<S>(item, &runs, block, &tile),
                    }
                }
            }
        }
    }
}

/// A result that does not go to the output as it is.
#[repr(align(64))]
struct Tile([f32; ROWS * MAX_GROUPS * GROUP]);

/// Fills the panel `[I·kh·kw][width]`; columns behind the last pixel become 0.
///
/// # Safety
/// `panel` holds depth·width values; `x` has the length of its shape.
#[inline(always)]
unsafe fn gather<S: Simd>(item: &Item<'_>, runs: &[Run], panel: *mut f32) {
    let (s, width) = (&item.conv.shape, item.width());
    let filled = runs.iter().map(|r| r.len).sum::<usize>();
    let x = item.conv.x.as_ptr();
    let mut row = panel;
    // SAFETY: a row of the panel is `width` long and runs lie within it; sources are clipped to the image's row.
    unsafe {
        for i in 0..s.i {
            for ky in 0..s.kh {
                for kx in 0..s.kw {
                    for run in runs {
                        let plane = x.add((run.n * s.i + i) * s.h * s.w);
                        gather_run::<S>(s, run, plane, [ky, kx], row.add(run.column));
                    }
                    if filled < width {
                        zero::<S>(row.add(filled), width - filled);
                    }
                    row = row.wrapping_add(width);
                }
            }
        }
    }
}

/// The pixels that a run sees through one tap.
///
/// # Safety
/// `plane` holds (H,W), `to` the run.
#[inline(always)]
unsafe fn gather_run<S: Simd>(
    s: &ConvShape,
    run: &Run,
    plane: *const f32,
    [ky, kx]: [usize; 2],
    to: *mut f32,
) {
    let y = run.oy * s.stride + ky;
    // SAFETY: `lo..hi` are the pixels whose source column is inside the image.
    unsafe {
        if y < s.padding || y >= s.h + s.padding {
            return zero::<S>(to, run.len);
        }
        let end = run.ox + run.len;
        let lo = s
            .padding
            .saturating_sub(kx)
            .div_ceil(s.stride)
            .clamp(run.ox, end);
        let hi = (s.w + s.padding)
            .saturating_sub(kx)
            .div_ceil(s.stride)
            .clamp(lo, end);
        if lo > run.ox {
            zero::<S>(to, lo - run.ox);
        }
        if hi > lo {
            let from = plane.add((y - s.padding) * s.w + lo * s.stride + kx - s.padding);
            copy::<S>(from, to.add(lo - run.ox), hi - lo, s.stride);
        }
        if end > hi {
            zero::<S>(to.add(hi - run.ox), end - hi);
        }
    }
}

/// # Safety
/// `to` holds `len` values.
#[inline(always)]
unsafe fn zero<S: Simd>(to: *mut f32, len: usize) {
    for at in (0..len).step_by(S::LANES) {
        // SAFETY: at most `len - at` values are written.
        unsafe { S::store_n(to.add(at), S::zero(), (len - at).min(S::LANES)) }
    }
}

/// # Safety
/// `from` holds `(len - 1)·stride + 1` values and `to` `len`.
#[inline(always)]
unsafe fn copy<S: Simd>(from: *const f32, to: *mut f32, len: usize, stride: usize) {
    // SAFETY: the vector forms touch only the first `n` values.
    unsafe {
        match stride {
            1 | 2 => {
                for at in (0..len).step_by(S::LANES) {
                    let n = (len - at).min(S::LANES);
                    let v = match stride {
                        1 => S::load_n(from.add(at), n),
                        _ => S::load_even_n(from.add(2 * at), n),
                    };
                    S::store_n(to.add(at), v, n);
                }
            }
            _ => {
                for at in 0..len {
                    *to.add(at) = *from.add(at * stride);
                }
            }
        }
    }
}

/// Stores the valid part of a tile, adding the residual.
///
/// # Safety
/// The output and the residual have the length of the shape.
#[inline(always)]
unsafe fn scatter<S: Simd>(item: &Item<'_>, runs: &[Run], block: usize, tile: &Tile) {
    let (conv, s) = (&item.conv, &item.conv.shape);
    for row in 0..ROWS.min(s.o - block * ROWS) {
        for run in runs {
            let from = row * item.width() + run.column;
            let to = ((run.n * s.o + block * ROWS + row) * s.oh + run.oy) * s.ow + run.ox;
            for at in (0..run.len).step_by(S::LANES) {
                let n = (run.len - at).min(S::LANES);
                // SAFETY: the run lies in one row of the output and of the tile.
                unsafe {
                    let mut v = S::load_n(tile.0.as_ptr().add(from + at), n);
                    if let Some(residual) = conv.residual {
                        v = S::add(v, S::load_n(residual.as_ptr().add(to + at), n));
                        if conv.relu {
                            v = S::relu(v);
                        }
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
