//! The micro kernel that everything runs on: 8 rows times up to 48 columns, the whole reduction in registers.
#![allow(
    unsafe_code,
    reason = "inner loop over packed panels through pointers; bounds are checked once by the callers"
)]

use super::simd::{GROUP, ROWS, Simd};

/// `out[r][j] = act(Σ_k a[k][r]·b[k][j] + bias[r] + add[r][j])` for 8 rows and `16·groups` columns.
#[derive(Clone, Copy, Debug)]
pub(super) struct Product {
    /// Length of the reduction.
    pub depth: usize,
    /// Columns in groups of 16: 1, 2 or 3.
    pub groups: usize,
    /// `[depth][8]`
    pub a: *const f32,
    /// `[depth][16·groups]`
    pub b: *const f32,
    /// Where row r begins: `out + r·out_stride`.
    pub out: *mut f32,
    /// See `out`.
    pub out_stride: usize,
    /// 8 values, one a row; null: none.
    pub bias: *const f32,
    /// Added before the activation, row r at `add + r·add_stride`; may be `out` itself; null: none.
    pub add: *const f32,
    /// See `add`; 0 adds the same row to every row.
    pub add_stride: usize,
    /// Whether negative results become 0.
    pub relu: bool,
}

/// How far ahead of its use the panel is fetched, in steps of the reduction.
pub(super) const PREFETCH: usize = 16;

/// Rows `row0..row0 + R` and vectors `vec0..vec0 + NV` of a product.
///
/// # Safety
/// The pointers of `p` are valid for its sizes, and the machine has the instructions of `S`.
#[inline(always)]
pub(super) unsafe fn multiply_block<S: Simd, const R: usize, const NV: usize>(
    p: &Product,
    row0: usize,
    vec0: usize,
) {
    let width = p.groups * GROUP;
    // SAFETY: row0 + R <= 8 and the vectors lie within the columns, so all accesses are inside what the caller vouches for.
    unsafe {
        let mut acc = [[S::zero(); NV]; R];
        let mut a = p.a.add(row0);
        let mut b = p.b.add(vec0 * S::LANES);
        for _ in 0..p.depth {
            prefetch(b.wrapping_add(PREFETCH * width), NV * S::LANES);
            let mut panel = [S::zero(); NV];
            for (v, x) in panel.iter_mut().enumerate() {
                *x = S::load(b.add(v * S::LANES));
            }
            for (r, row) in acc.iter_mut().enumerate() {
                let weight = S::splat(*a.add(r));
                for (sum, x) in row.iter_mut().zip(panel) {
                    *sum = S::fma(weight, x, *sum);
                }
            }
            a = a.wrapping_add(ROWS);
            b = b.wrapping_add(width);
        }
        finish_block::<S, R, NV>(p, row0, vec0, acc);
    }
}

/// Bias, addition, activation and store of the sums of a block.
///
/// # Safety
/// As `multiply_block`.
#[inline(always)]
pub(super) unsafe fn finish_block<S: Simd, const R: usize, const NV: usize>(
    p: &Product,
    row0: usize,
    vec0: usize,
    sums: [[S::V; NV]; R],
) {
    // SAFETY: as promised.
    unsafe {
        for (r, row) in sums.into_iter().enumerate() {
            let r = row0 + r;
            let bias = S::splat(if p.bias.is_null() {
                0.0
            } else {
                *p.bias.add(r)
            });
            for (v, sum) in row.into_iter().enumerate() {
                let at = (vec0 + v) * S::LANES;
                let mut y = S::add(sum, bias);
                if !p.add.is_null() {
                    y = S::add(y, S::load(p.add.add(r * p.add_stride + at)));
                }
                if p.relu {
                    y = S::relu(y);
                }
                S::store(p.out.add(r * p.out_stride + at), y);
            }
        }
    }
}

/// The product in blocks of 4 rows and 2 vectors, for machines with 16 registers.
///
/// # Safety
/// As `multiply_block`.
#[inline(always)]
pub(super) unsafe fn multiply_small<S: Simd>(p: &Product) {
    for vec0 in (0..p.groups * GROUP / S::LANES).step_by(2) {
        // SAFETY: passed on; both blocks lie within 8 rows.
        unsafe {
            multiply_block::<S, 4, 2>(p, 0, vec0);
            multiply_block::<S, 4, 2>(p, 4, vec0);
        }
    }
}

/// Asks for `len` values at `p`, which need not be valid, to be in the cache soon.
#[inline(always)]
pub(super) fn prefetch(p: *const f32, len: usize) {
    #[cfg(target_arch = "x86_64")]
    for line in (0..len).step_by(16) {
        // SAFETY: a prefetch does not access memory as far as the program can tell; SSE is part of x86-64.
        unsafe {
            std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(
                p.wrapping_add(line).cast(),
            );
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (p, len);
}
