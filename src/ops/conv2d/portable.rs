//! No vector instructions named: 4 lanes that every compiler turns into SSE2 or NEON.
#![allow(
    unsafe_code,
    reason = "loads and stores through pointers under the contract of `Simd`"
)]
#![allow(
    clippy::undocumented_unsafe_blocks,
    reason = "every block is a read or write under the contract of `Simd`"
)]

use std::array::from_fn;

use super::simd::Simd;

/// The fallback.
#[derive(Clone, Copy, Debug)]
pub(super) struct Portable;

const N: usize = 4;
type V = [f32; N];

impl Simd for Portable {
    type V = V;
    const LANES: usize = N;

    #[inline(always)]
    unsafe fn zero() -> V {
        [0.0; N]
    }
    #[inline(always)]
    unsafe fn splat(x: f32) -> V {
        [x; N]
    }
    #[inline(always)]
    unsafe fn load(p: *const f32) -> V {
        unsafe { p.cast::<V>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn store(p: *mut f32, v: V) {
        unsafe { p.cast::<V>().write_unaligned(v) }
    }
    #[inline(always)]
    unsafe fn load_n(p: *const f32, n: usize) -> V {
        from_fn(|i| if i < n { unsafe { *p.add(i) } } else { 0.0 })
    }
    #[inline(always)]
    unsafe fn store_n(p: *mut f32, v: V, n: usize) {
        for (i, x) in v.into_iter().enumerate().take(n) {
            unsafe { *p.add(i) = x }
        }
    }
    #[inline(always)]
    unsafe fn load_even_n(p: *const f32, n: usize) -> V {
        from_fn(|i| if i < n { unsafe { *p.add(2 * i) } } else { 0.0 })
    }
    #[inline(always)]
    unsafe fn add(a: V, b: V) -> V {
        from_fn(|i| a[i] + b[i])
    }
    #[inline(always)]
    unsafe fn sub(a: V, b: V) -> V {
        from_fn(|i| a[i] - b[i])
    }
    #[inline(always)]
    unsafe fn mul(a: V, b: V) -> V {
        from_fn(|i| a[i] * b[i])
    }
    #[inline(always)]
    unsafe fn fma(a: V, b: V, c: V) -> V {
        // Not `mul_add`: without the instruction it is a call into libm.
        from_fn(|i| a[i] * b[i] + c[i])
    }
    #[inline(always)]
    unsafe fn fnma(a: V, b: V, c: V) -> V {
        from_fn(|i| c[i] - a[i] * b[i])
    }
    #[inline(always)]
    unsafe fn relu(v: V) -> V {
        // The comparison is false for NaN, which therefore stays.
        v.map(|x| if x < 0.0 { 0.0 } else { x })
    }
    #[inline(always)]
    unsafe fn interleave2(a: V, b: V) -> [V; 2] {
        [[a[0], b[0], a[1], b[1]], [a[2], b[2], a[3], b[3]]]
    }
    #[inline(always)]
    unsafe fn interleave4(v: [V; 4]) -> [V; 4] {
        from_fn(|i| from_fn(|j| v[j][i]))
    }
    #[inline(always)]
    unsafe fn deinterleave4(v: [V; 4]) -> [V; 4] {
        from_fn(|i| from_fn(|j| v[j][i]))
    }
    #[inline(always)]
    unsafe fn next_lane(v: V, ends: *const f32, mask: u32) -> V {
        from_fn(|i| {
            if mask >> i & 1 == 1 {
                unsafe { *ends.add(i) }
            } else {
                v[(i + 1) % N]
            }
        })
    }
}
