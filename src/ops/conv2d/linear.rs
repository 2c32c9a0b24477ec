//! Fully connected layers on the micro kernel: 8 rows of the input times 48 outputs.
//!
//! Axes: R rows, I inputs, O outputs.
#![allow(
    unsafe_code,
    reason = "packed panels are read and results stored through pointers; lengths are asserted on entry"
)]

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
        let wanted = (ITEMS_PER_THREAD * rayon::current_num_threads()).div_ceil(panels.max(1));
        let parts = wanted.min(blocks).max(1);
        let work = |out: SharedMut| {
            (0..panels * parts).into_par_iter().for_each(|job| {
                let (panel, part) = (job / parts, job % parts);
                let task = PanelTask {
                    layer: &self,
                    packed: &packed,
                    panel,
                    blocks: part * blocks / parts..(part + 1) * blocks / parts,
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

/// All rows of some blocks for the 48 outputs of a panel.
struct PanelTask<'a> {
    layer: &'a LinearRun<'a>,
    packed: &'a [f32],
    panel: usize,
    blocks: std::ops::Range<usize>,
    out: SharedMut,
}

impl Task for PanelTask<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let weights = self.layer.weights;
        let column = self.panel * WIDTH;
        let whole_panel = column + WIDTH <= weights.outputs;
        // Blocks of 8 rows that can be stored as they are.
        let whole = if whole_panel {
            self.layer.rows / ROWS
        } else {
            0
        };
        let (first, end) = (self.blocks.start, self.blocks.end);
        for k in (0..weights.depth).step_by(CHUNK) {
            for block in first..end.min(whole) {
                // SAFETY: rows and columns are whole.
                unsafe { self.add_chunk::<S>(block, k) }
            }
        }
        for block in first.max(whole)..end {
            // SAFETY: only the valid part is stored.
            unsafe { self.ragged::<S>(block) }
        }
    }
}

impl PanelTask<'_> {
    /// The product of one block of rows over the reduction steps `k..k + depth`, without output.
    #[inline(always)]
    fn product(&self, block: usize, k: usize, depth: usize) -> Product {
        let weights = self.layer.weights;
        let column = self.panel * WIDTH;
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
    unsafe fn add_chunk<S: Simd>(&self, block: usize, k: usize) {
        let (outputs, total) = (self.layer.weights.outputs, self.layer.weights.depth);
        let depth = CHUNK.min(total - k);
        let mut product = self.product(block, k, depth);
        // SAFETY: the caller has checked that the tile is whole.
        unsafe {
            product.out = self
                .out
                .get()
                .add(block * ROWS * outputs + self.panel * WIDTH);
            product.out_stride = outputs;
            if k > 0 {
                (product.add, product.add_stride) = (product.out, outputs);
            }
            product.relu &= k + depth == total;
            S::multiply(&product);
        }
    }

    /// The whole reduction of a tile that sticks out of the output.
    #[inline(always)]
    unsafe fn ragged<S: Simd>(&self, block: usize) {
        let weights = self.layer.weights;
        let mut tile = [0.0f32; ROWS * WIDTH];
        let mut product = self.product(block, 0, weights.depth);
        product.out = tile.as_mut_ptr();
        // SAFETY: the tile holds 8 rows of at most 48; only rows and columns of the output are copied.
        unsafe {
            S::multiply(&product);
            let column = self.panel * WIDTH;
            let len = WIDTH.min(weights.outputs - column);
            for row in (block * ROWS..self.layer.rows).take(ROWS) {
                let from = tile.as_ptr().add(row % ROWS * product.out_stride);
                let to = self.out.get().add(row * weights.outputs + column);
                std::ptr::copy_nonoverlapping(from, to, len);
            }
        }
    }
}
