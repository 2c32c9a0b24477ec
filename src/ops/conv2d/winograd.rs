//! 3×3 convolution of stride 1 by Winograd's F(4×4, 3×3): 36 products instead of 144 for 4×4 output pixels.
//!
//! Points 0, ±5/8, ±3/2, ∞: in f32 a quarter of the error of the usual 0, ±1, ±2, ∞ at the same speed.
//! Tiles of 4×4 outputs are numbered over rows and images, 16 to a lane group, so small maps and RoIs fill the vectors.
//!
//! Axes: N images, I and O channels, H and W, 36 positions of the transformed tile.
#![allow(
    unsafe_code,
    reason = "transformed tiles are written and read through pointers; lengths are asserted on entry"
)]

use rayon::prelude::*;

use super::kernel::Product;
use super::shape::ConvShape;
use super::simd::{GROUP, Isa, MAX_GROUPS, ROWS, SharedMut, Simd, Task, filled, with_scratch};
use super::tiles::{GroupPlan, TILE};
use super::transform::{self, POSITIONS};

/// Weights (O,I,3,3) transformed: `[O / 8][36][I][8]`, the last block filled up with zeros.
#[derive(Debug)]
pub(super) struct WinogradWeights {
    outputs: usize,
    inputs: usize,
    values: Vec<f32>,
    bias: Vec<f32>,
}

impl WinogradWeights {
    /// `weight` (O,I,3,3), `bias` (O). In parallel; a layer of 512 channels takes some milliseconds.
    pub(super) fn new(isa: Isa, inputs: usize, weight: &[f32], bias: &[f32]) -> Self {
        let outputs = bias.len();
        let blocks = outputs.div_ceil(ROWS);
        let position = inputs * ROWS;
        assert_eq!(weight.len(), outputs * inputs * 9);
        let work = |out: SharedMut| {
            (0..blocks).into_par_iter().for_each(|block| {
                // (O,I,3,3): the 8 output channels of this block, fewer in the last.
                let rows = ROWS.min(outputs - block * ROWS);
                let filters = &weight[block * ROWS * inputs * 9..][..rows * inputs * 9];
                let to = out.get().wrapping_add(block * POSITIONS * position);
                // SAFETY: a block's weights lie where no other block writes.
                unsafe {
                    isa.run(FilterTask {
                        inputs,
                        filters,
                        to,
                    });
                }
            });
        };
        // SAFETY: the blocks cover all weights.
        let values = unsafe { filled(blocks * POSITIONS * position, work) };
        let mut padded = bias.to_vec();
        padded.resize(blocks * ROWS, 0.0);
        Self {
            outputs,
            inputs,
            values,
            bias: padded,
        }
    }

    fn blocks(&self) -> usize {
        self.outputs.div_ceil(ROWS)
    }
}

/// Transforms the filters of up to 8 output channels.
struct FilterTask<'a> {
    inputs: usize,
    /// (up to 8,I,3,3)
    filters: &'a [f32],
    /// `[36][I][8]`
    to: *mut f32,
}

impl Task for FilterTask<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let position = self.inputs * ROWS;
        for i in 0..self.inputs {
            let mut taps = [[0.0; ROWS]; 9];
            let filters = self.filters.chunks_exact(self.inputs * 9);
            for (row, filter) in filters.enumerate() {
                for (tap, &value) in taps.iter_mut().zip(&filter[i * 9..][..9]) {
                    tap[row] = value;
                }
            }
            // SAFETY: the caller vouches for 36 positions of I blocks.
            unsafe { transform::filters(&taps, self.to.add(i * ROWS), position) };
        }
    }
}

/// One call of the layer.
#[derive(Clone, Copy)]
pub(super) struct WinogradConv<'a> {
    /// Sizes: kernel 3×3, stride 1.
    pub shape: ConvShape,
    /// (N,I,H,W)
    pub x: &'a [f32],
    /// The layer's weights.
    pub weights: &'a WinogradWeights,
    /// (N,O,H',W')
    pub residual: Option<&'a [f32]>,
    /// Whether negative results become 0.
    pub relu: bool,
}

/// Blocks of 8 output channels multiplied before their output transform: the products stay in the second-level cache.
const BLOCKS: usize = 4;
/// Items a thread must have for whole items to be shared out evenly.
const ITEMS_PER_THREAD: usize = 4;
/// Values between two positions beyond their content: with a power of two their accesses would share cache sets.
const SKEW: usize = 16;

/// Tiles that are transformed and multiplied together.
pub(super) struct Item {
    /// 16 tiles each.
    pub groups: Vec<GroupPlan>,
}

impl Item {
    /// Tiles, places without one included.
    pub(super) fn width(&self) -> usize {
        self.groups.len() * GROUP
    }

    /// Values from one position to the next, `[I][width]` and some.
    pub(super) fn stride(&self, inputs: usize) -> usize {
        inputs * self.width() + SKEW
    }
}

impl WinogradConv<'_> {
    /// Whether this path can do a convolution and multiplies no more than panels would. Decided by the map alone: an
    /// image must not come out differently in another batch.
    pub(super) fn suits(shape: &ConvShape) -> bool {
        let tiles = shape.oh.div_ceil(TILE) * shape.ow.div_ceil(TILE);
        (shape.kh, shape.kw, shape.stride) == (3, 3, 1)
            && POSITIONS * tiles <= 9 * shape.out_plane()
    }

    /// The output (N,O,H',W').
    pub(super) fn run(self, isa: Isa) -> Vec<f32> {
        let s = self.shape;
        assert_eq!((s.kh, s.kw, s.stride), (3, 3, 1));
        assert_eq!(self.x.len(), s.in_len());
        assert_eq!((self.weights.outputs, self.weights.inputs), (s.o, s.i));
        assert!(self.residual.is_none_or(|r| r.len() == s.out_len()));
        let tiles = s.n * s.oh.div_ceil(TILE) * s.ow.div_ceil(TILE);
        let groups = tiles.div_ceil(GROUP);
        let items = groups.div_ceil(MAX_GROUPS);
        let threads = rayon::current_num_threads();
        let work = |out: SharedMut| {
            if items >= ITEMS_PER_THREAD * threads {
                self.by_items(isa, items, groups, out);
            } else {
                self.by_channels(isa, items, groups, out);
            }
        };
        // SAFETY: the tiles cover all output pixels, the blocks all channels.
        unsafe { filled(s.out_len(), work) }
    }

    fn item(&self, isa: Isa, index: usize, items: usize, groups: usize) -> Item {
        let range = index * groups / items..(index + 1) * groups / items;
        Item {
            groups: range
                .map(|g| GroupPlan::new(&self.shape, g, isa.lanes()))
                .collect(),
        }
    }

    /// Large maps: a thread takes an item through all three steps, everything in its own cache.
    fn by_items(&self, isa: Isa, items: usize, groups: usize, out: SharedMut) {
        let s = &self.shape;
        (0..items).into_par_iter().for_each(|index| {
            let item = self.item(isa, index, items, groups);
            let transformed = POSITIONS * item.stride(s.i);
            let products = BLOCKS * POSITIONS * ROWS * item.width();
            with_scratch(transformed + products, |v| {
                let (items, v) = (std::slice::from_ref(&item), [v]);
                // SAFETY: the scratch has the size of both buffers; items write different pixels.
                unsafe {
                    isa.run(InputTask {
                        shape: s,
                        x: self.x,
                        item: &item,
                        channels: (0, s.i),
                        v: v[0],
                    });
                    let m = v[0].add(transformed);
                    for block in (0..self.weights.blocks()).step_by(BLOCKS) {
                        let count = BLOCKS.min(self.weights.blocks() - block);
                        isa.run(OutputTask {
                            conv: self,
                            items,
                            v: &v,
                            blocks: (block, count),
                            m,
                            out,
                        });
                    }
                }
            });
        });
    }

    /// Small maps: all threads transform the input, then each takes output channels, so that the weights, which are
    /// larger than the maps, are read once.
    fn by_channels(&self, isa: Isa, items: usize, groups: usize, out: SharedMut) {
        let s = &self.shape;
        let items: Vec<Item> = (0..items)
            .map(|i| self.item(isa, i, items, groups))
            .collect();
        let mut buffers: Vec<Vec<f32>> = items
            .iter()
            .map(|item| Vec::with_capacity(POSITIONS * item.stride(s.i) + GROUP))
            .collect();
        let v: Vec<SharedMut> = buffers.iter_mut().map(SharedMut::aligned).collect();
        let parts = (ITEMS_PER_THREAD * rayon::current_num_threads()).min(s.i);
        (0..parts * items.len()).into_par_iter().for_each(|job| {
            let (part, index) = (job % parts, job / parts);
            let channels = (part * s.i / parts, (part + 1) * s.i / parts);
            let task = InputTask {
                shape: s,
                x: self.x,
                item: &items[index],
                channels,
                v: v[index].get(),
            };
            // SAFETY: each job writes its own channels of one buffer.
            unsafe { isa.run(task) }
        });
        let count = if items.len() > 2 { BLOCKS / 2 } else { BLOCKS };
        let starts = (0..self.weights.blocks()).step_by(count);
        let starts: Vec<usize> = starts.collect();
        starts.into_par_iter().for_each(|block| {
            let v: Vec<*mut f32> = v.iter().map(|v| v.get()).collect();
            let count = count.min(self.weights.blocks() - block);
            let width: usize = items.iter().map(Item::width).sum();
            with_scratch(count * POSITIONS * ROWS * width, |m| {
                let blocks = (block, count);
                // SAFETY: the scratch holds the products of all items; jobs write different channels.
                unsafe {
                    isa.run(OutputTask {
                        conv: self,
                        items: &items,
                        v: &v,
                        blocks,
                        m,
                        out,
                    });
                }
            });
        });
    }
}

/// The input transform of some channels of an item into `v`: `[36][I][width]`.
pub(super) struct InputTask<'a> {
    /// Of the layer.
    pub shape: &'a ConvShape,
    /// (N,I,H,W)
    pub x: &'a [f32],
    /// What is transformed.
    pub item: &'a Item,
    /// First and behind the last.
    pub channels: (usize, usize),
    /// 36 positions of `item.stride(I)`.
    pub v: *mut f32,
}

impl Task for InputTask<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let s = self.shape;
        let (width, stride) = (self.item.width(), self.item.stride(s.i));
        for (g, plan) in self.item.groups.iter().enumerate() {
            let mut lines = plan.lines();
            for i in self.channels.0..self.channels.1 {
                // SAFETY: the plan's sources lie in image 0..N of channel i; `v` has 36 positions of `stride`.
                unsafe {
                    let plane = self.x.as_ptr().add(i * s.h * s.w);
                    let to = self.v.add(i * width + g * GROUP);
                    plan.load::<S>(plane, &mut lines);
                    transform::input::<S>(&lines, plan.ends, to, stride);
                }
            }
        }
    }
}

/// Products and output transform of some blocks of channels for all `items`.
struct OutputTask<'a> {
    conv: &'a WinogradConv<'a>,
    items: &'a [Item],
    v: &'a [*mut f32],
    blocks: (usize, usize),
    /// `[item][block][36][8][width]`
    m: *mut f32,
    out: SharedMut,
}

impl Task for OutputTask<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let (first, count) = self.blocks;
        // SAFETY: see `products` and `finish`; `m` advances by what each item's products take.
        unsafe {
            for position in 0..POSITIONS {
                let mut m = self.m;
                for (item, &v) in self.items.iter().zip(self.v) {
                    let tile = ROWS * item.width();
                    for block in first..first + count {
                        self.multiply::<S>(item, v, position, block, m.add(position * tile));
                        m = m.add(POSITIONS * tile);
                    }
                }
            }
            let mut m = self.m;
            for item in self.items {
                for block in first..first + count {
                    self.finish::<S>(item, block, m);
                    m = m.add(POSITIONS * ROWS * item.width());
                }
            }
        }
    }
}

impl OutputTask<'_> {
    /// `to[8][width] = U[block][position]ᵀ · V[position]`
    #[inline(always)]
    unsafe fn multiply<S: Simd>(
        &self,
        item: &Item,
        v: *mut f32,
        position: usize,
        block: usize,
        to: *mut f32,
    ) {
        let inputs = self.conv.shape.i;
        let weights = &self.conv.weights.values;
        // SAFETY: block < blocks and position < 36 lie within the weights and `v`.
        unsafe {
            S::multiply(&Product {
                depth: inputs,
                groups: item.groups.len(),
                a: weights
                    .as_ptr()
                    .add((block * POSITIONS + position) * inputs * ROWS),
                b: v.add(position * item.stride(inputs)),
                out: to,
                out_stride: item.width(),
                bias: std::ptr::null(),
                add: std::ptr::null(),
                add_stride: 0,
                relu: false,
            });
        }
    }

    /// Output transform, bias, residual and activation of a block of 8 channels.
    #[inline(always)]
    unsafe fn finish<S: Simd>(&self, item: &Item, block: usize, m: *const f32) {
        let (conv, s) = (self.conv, &self.conv.shape);
        for row in 0..ROWS.min(s.o - block * ROWS) {
            let o = block * ROWS + row;
            for (g, plan) in item.groups.iter().enumerate() {
                let mut lines = [[0.0f32; TILE * GROUP]; TILE];
                // SAFETY: `m` holds `[36][8][width]`; the plan's targets lie in image 0..N of channel o.
                unsafe {
                    let from = m.add(row * item.width() + g * GROUP);
                    let bias = conv.weights.bias[o];
                    transform::output::<S>(from, ROWS * item.width(), bias, &mut lines);
                    let plane = o * s.out_plane();
                    let residual = conv.residual.map(|r| r.as_ptr().add(plane));
                    plan.store::<S>(&lines, self.out.get().add(plane), residual, conv.relu);
                }
            }
        }
    }
}
