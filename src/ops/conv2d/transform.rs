//! Winograd's transforms with the points 0, ±5/8, ±3/2, ∞.
#![allow(
    unsafe_code,
    reason = "vector loads and stores; the callers vouch for the pointers"
)]

use super::simd::{GROUP, Simd};
use super::tiles::{Lines, PATCH, TILE};

/// Positions of a transformed tile: 6×6.
pub(super) const POSITIONS: usize = PATCH * PATCH;

/// The points.
const A: f64 = 5.0 / 8.0;
const B: f64 = 3.0 / 2.0;
const A2: f64 = A * A;
const B2: f64 = B * B;

/// Filters transformed together.
pub(super) const FILTERS: usize = 8;

/// G·g along one axis, in f64: a weight is transformed once for many tiles.
#[inline(always)]
fn filter_axis(g: [[f64; FILTERS]; 3]) -> [[f64; FILTERS]; PATCH] {
    const CA: f64 = 1.0 / (2.0 * A2 * (A2 - B2));
    const CB: f64 = 1.0 / (2.0 * B2 * (B2 - A2));
    const C0: f64 = 1.0 / (A2 * B2);
    let mut u = [[0.0; FILTERS]; PATCH];
    let [g0, g1, g2] = g;
    for (at, ((g0, g1), g2)) in g0.into_iter().zip(g1).zip(g2).enumerate() {
        let (even_a, odd_a) = (CA * g0 + CA * A2 * g2, CA * A * g1);
        let (even_b, odd_b) = (CB * g0 + CB * B2 * g2, CB * B * g1);
        u[0][at] = C0 * g0;
        u[1][at] = even_a + odd_a;
        u[2][at] = even_a - odd_a;
        u[3][at] = even_b + odd_b;
        u[4][at] = even_b - odd_b;
        u[5][at] = g2;
    }
    u
}

/// G·g·Gᵀ of the taps (3,3) of 8 filters; filter f of position p goes to `to + p·stride + f`.
///
/// # Safety
/// `to` points to 36 positions.
#[inline(always)]
pub(super) unsafe fn filters(taps: &[[f32; FILTERS]; 9], to: *mut f32, stride: usize) {
    let wide = |tap: usize| taps[tap].map(f64::from);
    let columns: [_; 3] = std::array::from_fn(|x| filter_axis([wide(x), wide(3 + x), wide(6 + x)]));
    let [first, second, third] = columns;
    for (y, ((g0, g1), g2)) in first.into_iter().zip(second).zip(third).enumerate() {
        let row = filter_axis([g0, g1, g2]);
        for (x, u) in row.into_iter().enumerate() {
            // SAFETY: as promised.
            unsafe {
                let to = to.add((y * PATCH + x) * stride).cast::<[f32; FILTERS]>();
                to.write_unaligned(u.map(|v| v as f32));
            }
        }
    }
}

/// Gᵀ·u along one axis.
#[inline(always)]
unsafe fn filter_back_axis<S: Simd>(u: [S::V; PATCH]) -> [S::V; 3] {
    const CA: f64 = 1.0 / (2.0 * A2 * (A2 - B2));
    const CB: f64 = 1.0 / (2.0 * B2 * (B2 - A2));
    // SAFETY: arithmetic only.
    unsafe {
        let of = |x: f64| S::splat(x as f32);
        let (sum_a, diff_a) = (S::add(u[1], u[2]), S::sub(u[1], u[2]));
        let (sum_b, diff_b) = (S::add(u[3], u[4]), S::sub(u[3], u[4]));
        let zero = S::mul(of(1.0 / (A2 * B2)), u[0]);
        [
            S::fma(of(CA), sum_a, S::fma(of(CB), sum_b, zero)),
            S::fma(of(CA * A), diff_a, S::mul(of(CB * B), diff_b)),
            S::fma(of(CA * A2), sum_a, S::fma(of(CB * B2), sum_b, u[5])),
        ]
    }
}

/// Gᵀ·u·G, the adjoint of `filters`, of `S::LANES` filters: position p at `from + p·stride`. Returns the 9 taps.
///
/// # Safety
/// `from` points to 36 positions.
#[inline(always)]
pub(super) unsafe fn filters_back<S: Simd>(from: *const f32, stride: usize) -> [S::V; 9] {
    // SAFETY: as promised.
    unsafe {
        let mut rows = [[S::zero(); PATCH]; 3];
        for x in 0..PATCH {
            let at = |y: usize| S::load(from.add((y * PATCH + x) * stride));
            let column = filter_back_axis::<S>([at(0), at(1), at(2), at(3), at(4), at(5)]);
            for (row, v) in rows.iter_mut().zip(column) {
                row[x] = v;
            }
        }
        let mut taps = [S::zero(); 9];
        for (taps, row) in taps.chunks_exact_mut(3).zip(rows) {
            taps.copy_from_slice(&filter_back_axis::<S>(row));
        }
        taps
    }
}

/// Bᵀ·d along one axis.
#[inline(always)]
unsafe fn input_axis<S: Simd>(d: [S::V; PATCH]) -> [S::V; PATCH] {
    // SAFETY: arithmetic only.
    unsafe {
        let (a, b) = (S::splat(A as f32), S::splat(B as f32));
        let (a2, b2) = (S::splat(A2 as f32), S::splat(B2 as f32));
        let (product, sum) = (S::splat((A2 * B2) as f32), S::splat((A2 + B2) as f32));
        let even_a = S::fnma(b2, d[2], d[4]);
        let odd_a = S::mul(a, S::fnma(b2, d[1], d[3]));
        let even_b = S::fnma(a2, d[2], d[4]);
        let odd_b = S::mul(b, S::fnma(a2, d[1], d[3]));
        [
            S::fma(product, d[0], S::fnma(sum, d[2], d[4])),
            S::add(even_a, odd_a),
            S::sub(even_a, odd_a),
            S::add(even_b, odd_b),
            S::sub(even_b, odd_b),
            S::fma(product, d[1], S::fnma(sum, d[3], d[5])),
        ]
    }
}

/// Aᵀ·m along one axis.
#[inline(always)]
unsafe fn output_axis<S: Simd>(m: [S::V; PATCH]) -> [S::V; TILE] {
    // SAFETY: arithmetic only.
    unsafe {
        let (sum_a, diff_a) = (S::add(m[1], m[2]), S::sub(m[1], m[2]));
        let (sum_b, diff_b) = (S::add(m[3], m[4]), S::sub(m[3], m[4]));
        let power = |x: f64| S::splat(x as f32);
        [
            S::add(m[0], S::add(sum_a, sum_b)),
            S::fma(power(B), diff_b, S::mul(power(A), diff_a)),
            S::fma(power(B2), sum_b, S::mul(power(A2), sum_a)),
            S::fma(power(B2 * B), diff_b, S::fma(power(A2 * A), diff_a, m[5])),
        ]
    }
}

/// Bᵀ·d·B of 16 tiles; position p goes to `to + p·stride`.
///
/// # Safety
/// `lines` points to valid rows, `to` to 36 positions.
#[inline(always)]
pub(super) unsafe fn input<S: Simd>(lines: &Lines, ends: u32, to: *mut f32, stride: usize) {
    for lane in (0..GROUP).step_by(S::LANES) {
        // SAFETY: a row holds 4 values a lane; the others as promised.
        unsafe {
            let mut t = [[S::zero(); PATCH]; PATCH];
            for (y, t) in t.iter_mut().enumerate() {
                let row = lines.row(y).add(TILE * lane);
                let [d0, d1, d2, d3] = S::deinterleave4([
                    S::load(row),
                    S::load(row.add(S::LANES)),
                    S::load(row.add(2 * S::LANES)),
                    S::load(row.add(3 * S::LANES)),
                ]);
                // Columns 4 and 5 of a tile are columns 0 and 1 of the next one in the row.
                let ends = ends >> lane;
                let d4 = S::next_lane(d0, lines.end(y, 0).add(lane), ends);
                let d5 = S::next_lane(d1, lines.end(y, 1).add(lane), ends);
                *t = input_axis::<S>([d0, d1, d2, d3, d4, d5]);
            }
            let [t0, t1, t2, t3, t4, t5] = t;
            let columns = t0.into_iter().zip(t1).zip(t2).zip(t3).zip(t4).zip(t5);
            for (x, (((((d0, d1), d2), d3), d4), d5)) in columns.enumerate() {
                let column = input_axis::<S>([d0, d1, d2, d3, d4, d5]);
                for (y, v) in column.into_iter().enumerate() {
                    S::store(to.add((y * PATCH + x) * stride + lane), v);
                }
            }
        }
    }
}

/// Aᵀ·m·A + bias of 16 tiles, position p at `from + p·stride`, to the 4 rows of the tiles side by side.
///
/// # Safety
/// `from` points to 36 positions.
#[inline(always)]
pub(super) unsafe fn output<S: Simd>(
    from: *const f32,
    stride: usize,
    bias: f32,
    lines: &mut [[f32; TILE * GROUP]; TILE],
) {
    for lane in (0..GROUP).step_by(S::LANES) {
        // SAFETY: as promised.
        unsafe {
            let mut t = [[S::zero(); PATCH]; TILE];
            for x in 0..PATCH {
                let at = |y: usize| S::load(from.add((y * PATCH + x) * stride + lane));
                let column = output_axis::<S>([at(0), at(1), at(2), at(3), at(4), at(5)]);
                for (t, v) in t.iter_mut().zip(column) {
                    t[x] = v;
                }
            }
            for (row, line) in t.into_iter().zip(lines.iter_mut()) {
                let y = output_axis::<S>(row).map(|v| S::add(v, S::splat(bias)));
                let line = line.as_mut_ptr().add(TILE * lane);
                for (part, v) in S::interleave4(y).into_iter().enumerate() {
                    S::store(line.add(part * S::LANES), v);
                }
            }
        }
    }
}

/// A·y along one axis, the adjoint of `output_axis`.
#[inline(always)]
unsafe fn output_back_axis<S: Simd>(y: [S::V; TILE]) -> [S::V; PATCH] {
    // SAFETY: arithmetic only.
    unsafe {
        let of = |x: f64| S::splat(x as f32);
        let even_a = S::fma(of(A2), y[2], y[0]);
        let odd_a = S::fma(of(A2 * A), y[3], S::mul(of(A), y[1]));
        let even_b = S::fma(of(B2), y[2], y[0]);
        let odd_b = S::fma(of(B2 * B), y[3], S::mul(of(B), y[1]));
        [
            y[0],
            S::add(even_a, odd_a),
            S::sub(even_a, odd_a),
            S::add(even_b, odd_b),
            S::sub(even_b, odd_b),
            y[3],
        ]
    }
}

/// A·y·Aᵀ of 16 tiles, the adjoint of `output`: the 4 rows of the tiles side by side, position p to `to + p·stride`.
///
/// # Safety
/// `to` points to 36 positions.
#[inline(always)]
pub(super) unsafe fn output_back<S: Simd>(
    lines: &[[f32; TILE * GROUP]; TILE],
    to: *mut f32,
    stride: usize,
) {
    for lane in (0..GROUP).step_by(S::LANES) {
        // SAFETY: as promised.
        unsafe {
            let mut t = [[S::zero(); TILE]; PATCH]; // (6 columns, 4 rows)
            for (y, line) in lines.iter().enumerate() {
                let line = line.as_ptr().add(TILE * lane);
                let row = S::deinterleave4([
                    S::load(line),
                    S::load(line.add(S::LANES)),
                    S::load(line.add(2 * S::LANES)),
                    S::load(line.add(3 * S::LANES)),
                ]);
                for (t, v) in t.iter_mut().zip(output_back_axis::<S>(row)) {
                    t[y] = v;
                }
            }
            for (x, column) in t.into_iter().enumerate() {
                for (y, v) in output_back_axis::<S>(column).into_iter().enumerate() {
                    S::store(to.add((y * PATCH + x) * stride + lane), v);
                }
            }
        }
    }
}
