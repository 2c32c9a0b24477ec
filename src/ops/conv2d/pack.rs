//! Weights rearranged once for the micro kernel.

use rayon::prelude::*;

use super::simd::{GROUP, MAX_GROUPS, ROWS};

/// A matrix (rows, depth) as `[rows / 8][depth][8]`, the last block filled up with zeros.
#[derive(Debug)]
pub(super) struct PackedRows {
    /// Rows without filling.
    pub rows: usize,
    /// Length of the reduction.
    pub depth: usize,
    /// The values.
    pub values: Vec<f32>,
    /// One a row, zeros behind the last row.
    pub bias: Vec<f32>,
}

impl PackedRows {
    /// `at(row, k)` is the element of the matrix.
    pub(super) fn new(
        rows: usize,
        depth: usize,
        bias: impl Fn(usize) -> f32,
        at: impl Fn(usize, usize) -> f32 + Sync,
    ) -> Self {
        let blocks = rows.div_ceil(ROWS);
        let mut values = vec![0.0; blocks * depth * ROWS];
        values
            .par_chunks_mut((depth * ROWS).max(1))
            .enumerate()
            .for_each(|(block, out)| {
                for row in (block * ROWS..rows).take(ROWS) {
                    for (k, step) in out.chunks_exact_mut(ROWS).enumerate() {
                        step[row % ROWS] = at(row, k);
                    }
                }
            });
        let mut padded: Vec<f32> = (0..rows).map(bias).collect();
        padded.resize(blocks * ROWS, 0.0);
        Self {
            rows,
            depth,
            values,
            bias: padded,
        }
    }

    /// Blocks of 8 rows.
    pub(super) fn blocks(&self) -> usize {
        self.rows.div_ceil(ROWS)
    }
}

/// A matrix (outputs, depth) as panels `[depth][16·groups]` one after the other, filled up with zeros.
#[derive(Debug)]
pub(super) struct PackedColumns {
    /// Columns without filling.
    pub outputs: usize,
    /// Length of the reduction.
    pub depth: usize,
    /// The values; the panel of the first column j begins at `j·depth`.
    pub values: Vec<f32>,
    /// One a column, zeros behind the last.
    pub bias: Vec<f32>,
}

impl PackedColumns {
    /// `weight` (outputs, depth), `bias` (outputs).
    pub(super) fn new(weight: &[f32], bias: &[f32]) -> Self {
        let outputs = bias.len();
        let depth = weight.len() / outputs.max(1);
        let columns = outputs.next_multiple_of(GROUP);
        let mut values = vec![0.0; columns * depth];
        let width = MAX_GROUPS * GROUP;
        values
            .par_chunks_mut((width * depth).max(1))
            .enumerate()
            .for_each(|(panel, out)| {
                let rows = weight.chunks_exact(depth).skip(panel * width).take(width);
                // The last panel may be narrower.
                let width = out.len() / depth;
                for (column, row) in rows.enumerate() {
                    for (step, &w) in out.chunks_exact_mut(width).zip(row) {
                        step[column] = w;
                    }
                }
            });
        let mut padded = bias.to_vec();
        padded.resize(columns, 0.0);
        Self {
            outputs,
            depth,
            values,
            bias: padded,
        }
    }
}
