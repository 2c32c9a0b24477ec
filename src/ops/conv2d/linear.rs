//! Fully connected layers on the micro kernel: 8 rows of the input times 48 outputs.
//!
//! Axes: R rows, I inputs, O outputs.
#![allow(
    unsafe_code,
    reason = "packed panels are read and results stored through pointers; lengths are asserted on entry"
)]

use std::ops::Range;

use rayon::prelude::*;

use super::kernel::Product;
use super::pack::PackedColumns;
use super::simd::{GROUP, Isa, MAX_GROUPS, ROWS, SharedMut, Simd, Task, filled};

/// One call of the layer.
#[derive(Clone, Copy)]
pub(super) struct LinearRun<'a> {
    /// R
    pub rows: usize,
    /// (R,I)
    pub x: &'a [f32],
    /// The layer's weights.
    pub weights: &'a PackedColumns,
    /// Whether negative results become 0.
    pub relu: bool,
}

/// Columns of a panel.
const WIDTH: usize = MAX_GROUPS * GROUP;
/// Steps of the reduction taken at once: 96 KiB of weights stay in the second-level cache for all rows.
const CHUNK: usize = 512;
/// Blocks of 8 rows taken at once: 512 KiB of a chunk stay in the second-level cache for all panels.
const BLOCKS: usize = 32;
/// Work items a thread should get at least, for an even end.
const ITEMS_PER_THREAD: usize = 8;

impl LinearRun<'_> {
    /// (R,O)
    pub(super) fn run(self, isa: Isa) -> Vec<f32> {
        let (outputs, depth) = (self.weights.outputs, self.weights.depth);
        assert_eq!(self.x.len(), self.rows * depth);
        let blocks = self.rows.div_ceil(ROWS);
        let packed = self.packed_rows();
        let panels = outputs.div_ceil(WIDTH);
        let wanted = ITEMS_PER_THREAD * rayon::current_num_threads();
        let row_parts = blocks
            .div_ceil(BLOCKS)
            .max(wanted / panels.max(1))
            .min(blocks)
            .max(1);
        let panel_parts = wanted.div_ceil(row_parts).min(panels).max(1);
        let work = |out: SharedMut| {
            let jobs = row_parts * panel_parts;
            (0..jobs).into_par_iter().for_each(|job| {
                let (p, r) = (job / row_parts, job % row_parts);
                let task = PartTask {
                    layer: &self,
                    packed: &packed,
                    panels: p * panels / panel_parts..(p + 1) * panels / panel_parts,
                    blocks: r * blocks / row_parts..(r + 1) * blocks / row_parts,
                    out,
                };
                // SAFETY: lengths are asserted above; jobs write different rows or columns.
                unsafe { isa.run(task) }
            });
        };
        // SAFETY: panels cover all columns, parts all rows.
        unsafe { filled(self.rows * outputs, work) }
    }

    /// x as `[R / 8][I][8]`; what lies behind the last row is 0.
    fn packed_rows(&self) -> Vec<f32> {
        let depth = self.weights.depth;
        let block = depth * ROWS;
        let len = self.rows.div_ceil(ROWS) * block;
        let write = |out: SharedMut| {
            (0..self.rows.div_ceil(ROWS)).into_par_iter().for_each(|b| {
                let first = b * ROWS;
                let rows: [Option<&[f32]>; ROWS] = std::array::from_fn(|r| {
                    let row = first + r;
                    (row < self.rows).then(|| &self.x[row * depth..(row + 1) * depth])
                });
                for k in 0..depth {
                    for (r, row) in rows.iter().enumerate() {
                        let value = row.map_or(0.0, |row| row[k]);
                        // SAFETY: b·block + k·8 + r < len; blocks are written by one job each.
                        unsafe { *out.get().add(b * block + k * ROWS + r) = value }
                    }
                }
            });
        };
        // SAFETY: every block, step and row is written.
        unsafe { filled(len, write) }
    }
}

/// Some blocks of 8 rows for some panels of 48 outputs.
struct PartTask<'a> {
    layer: &'a LinearRun<'a>,
    packed: &'a [f32],
    panels: Range<usize>,
    blocks: Range<usize>,
    out: SharedMut,
}

impl Task for PartTask<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let weights = self.layer.weights;
        // What can be stored as it is.
        let whole_blocks = self.layer.rows / ROWS;
        let whole_panels = weights.outputs / WIDTH;
        for k in (0..weights.depth).step_by(CHUNK) {
            for panel in self.panels.start..self.panels.end.min(whole_panels) {
                for block in self.blocks.start..self.blocks.end.min(whole_blocks) {
                    // SAFETY: rows and columns are whole.
                    unsafe { self.add_chunk::<S>(panel, block, k) }
                }
            }
        }
        for panel in self.panels.clone() {
            for block in self.blocks.clone() {
                if panel >= whole_panels || block >= whole_blocks {
                    // SAFETY: only the valid part is stored.
                    unsafe { self.ragged::<S>(panel, block) }
                }
            }
        }
    }
}

impl PartTask<'_> {
    /// The product of one block of rows over the reduction steps `k..k + depth`, without output.
    #[inline(always)]
    fn product(&self, panel: usize, block: usize, k: usize, depth: usize) -> Product {
        let weights = self.layer.weights;
        let column = panel * WIDTH;
        let width = WIDTH.min(weights.outputs.next_multiple_of(GROUP) - column);
        Product {
            depth,
            groups: width / GROUP,
            a: self.packed[(block * weights.depth + k) * ROWS..].as_ptr(),
            b: weights.values[column * weights.depth + k * width..].as_ptr(),
            out: std::ptr::null_mut(),
            out_stride: width,
            bias: std::ptr::null(),
            // The bias belongs to columns: the same row for all.
            add: weights.bias[column..].as_ptr(),
            add_stride: 0,
            relu: self.layer.relu,
        }
    }

    /// Adds one chunk of the reduction to a whole tile of the output.
    #[inline(always)]
    unsafe fn add_chunk<S: Simd>(&self, panel: usize, block: usize, k: usize) {
        let (outputs, total) = (self.layer.weights.outputs, self.layer.weights.depth);
        let depth = CHUNK.min(total - k);
        let mut product = self.product(panel, block, k, depth);
        // SAFETY: the caller has checked that the tile is whole.
        unsafe {
            product.out = self.out.get().add(block * ROWS * outputs + panel * WIDTH);
            product.out_stride = outputs;
            if k > 0 {
                (product.add, product.add_stride) = (product.out, outputs);
            }
            product.relu &= k + depth == total;
            S::multiply(&product);
        }
    }

    /// All chunks of a tile that sticks out of the output, summed in the same order.
    #[inline(always)]
    unsafe fn ragged<S: Simd>(&self, panel: usize, block: usize) {
        let weights = self.layer.weights;
        let mut tile = [0.0f32; ROWS * WIDTH];
        let mut stride = 0;
        // SAFETY: the tile holds 8 rows of at most 48; only rows and columns of the output are copied.
        unsafe {
            for k in (0..weights.depth).step_by(CHUNK) {
                let depth = CHUNK.min(weights.depth - k);
                let mut product = self.product(panel, block, k, depth);
                product.out = tile.as_mut_ptr();
                stride = product.out_stride;
                if k > 0 {
                    (product.add, product.add_stride) = (product.out, stride);
                }
                product.relu &= k + depth == weights.depth;
                S::multiply(&product);
            }
            let column = panel * WIDTH;
            let len = WIDTH.min(weights.outputs - column);
            for row in (block * ROWS..self.layer.rows).take(ROWS) {
                let from = tile.as_ptr().add(row % ROWS * stride);
                let to = self.out.get().add(row * weights.outputs + column);
                std::ptr::copy_nonoverlapping(from, to, len);
            }
        }
    }
}
