//! AVX-512: 16 lanes.
#![allow(
    unsafe_code,
    reason = "vector instructions; `simd::Isa` has detected them before any of these functions runs"
)]
#![allow(
    clippy::undocumented_unsafe_blocks,
    reason = "every block is one instruction under the contract of `Simd`"
)]

use std::arch::x86_64::*;

use super::kernel::{self, Product};
use super::simd::Simd;

/// The instruction set.
#[derive(Clone, Copy, Debug)]
pub(super) struct Avx512;

#[inline(always)]
fn first(n: usize) -> __mmask16 {
    ((1u32 << n) - 1) as __mmask16
}

impl Simd for Avx512 {
    type V = __m512;
    const LANES: usize = 16;

    #[inline(always)]
    unsafe fn zero() -> __m512 {
        unsafe { _mm512_setzero_ps() }
    }
    #[inline(always)]
    unsafe fn splat(x: f32) -> __m512 {
        unsafe { _mm512_set1_ps(x) }
    }
    #[inline(always)]
    unsafe fn load(p: *const f32) -> __m512 {
        unsafe { _mm512_loadu_ps(p) }
    }
    #[inline(always)]
    unsafe fn store(p: *mut f32, v: __m512) {
        unsafe { _mm512_storeu_ps(p, v) }
    }
    #[inline(always)]
    unsafe fn load_n(p: *const f32, n: usize) -> __m512 {
        unsafe { _mm512_maskz_loadu_ps(first(n), p) }
    }
    #[inline(always)]
    unsafe fn store_n(p: *mut f32, v: __m512, n: usize) {
        unsafe { _mm512_mask_storeu_ps(p, first(n), v) }
    }
    #[inline(always)]
    unsafe fn load_even_n(p: *const f32, n: usize) -> __m512 {
        // 2n - 1 values are read: the last odd one may lie behind the buffer.
        let mask = if n == 0 { 0 } else { (1u64 << (2 * n - 1)) - 1 };
        unsafe {
            let low = _mm512_maskz_loadu_ps(mask as __mmask16, p);
            let high = _mm512_maskz_loadu_ps((mask >> 16) as __mmask16, p.wrapping_add(16));
            let even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
            _mm512_permutex2var_ps(low, even, high)
        }
    }
    #[inline(always)]
    unsafe fn add(a: __m512, b: __m512) -> __m512 {
        unsafe { _mm512_add_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn sub(a: __m512, b: __m512) -> __m512 {
        unsafe { _mm512_sub_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn mul(a: __m512, b: __m512) -> __m512 {
        unsafe { _mm512_mul_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn fma(a: __m512, b: __m512, c: __m512) -> __m512 {
        unsafe { _mm512_fmadd_ps(a, b, c) }
    }
    #[inline(always)]
    unsafe fn fnma(a: __m512, b: __m512, c: __m512) -> __m512 {
        unsafe { _mm512_fnmadd_ps(a, b, c) }
    }
    #[inline(always)]
    unsafe fn relu(v: __m512) -> __m512 {
        // The second operand is what the instruction returns for NaN.
        unsafe { _mm512_max_ps(_mm512_setzero_ps(), v) }
    }
    #[inline(always)]
    unsafe fn interleave2(a: __m512, b: __m512) -> [__m512; 2] {
        unsafe {
            let low = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
            let high =
                _mm512_setr_epi32(8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
            [
                _mm512_permutex2var_ps(a, low, b),
                _mm512_permutex2var_ps(a, high, b),
            ]
        }
    }
    #[inline(always)]
    unsafe fn interleave4([a, b, c, d]: [__m512; 4]) -> [__m512; 4] {
        unsafe {
            let [ac0, ac1] = Self::interleave2(a, c);
            let [bd0, bd1] = Self::interleave2(b, d);
            let [v0, v1] = Self::interleave2(ac0, bd0);
            let [v2, v3] = Self::interleave2(ac1, bd1);
            [v0, v1, v2, v3]
        }
    }
    #[inline(always)]
    unsafe fn deinterleave4([a, b, c, d]: [__m512; 4]) -> [__m512; 4] {
        unsafe {
            let even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
            let odd = _mm512_setr_epi32(1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
            let e0 = _mm512_permutex2var_ps(a, even, b);
            let e1 = _mm512_permutex2var_ps(c, even, d);
            let o0 = _mm512_permutex2var_ps(a, odd, b);
            let o1 = _mm512_permutex2var_ps(c, odd, d);
            [
                _mm512_permutex2var_ps(e0, even, e1),
                _mm512_permutex2var_ps(o0, even, o1),
                _mm512_permutex2var_ps(e0, odd, e1),
                _mm512_permutex2var_ps(o0, odd, o1),
            ]
        }
    }
    #[inline(always)]
    unsafe fn next_lane(v: __m512, ends: *const f32, mask: u32) -> __m512 {
        unsafe {
            let bits = _mm512_castps_si512(v);
            let moved = _mm512_castsi512_ps(_mm512_alignr_epi32::<1>(bits, bits));
            _mm512_mask_loadu_ps(moved, mask as __mmask16, ends)
        }
    }
    #[inline(always)]
    unsafe fn multiply(p: &Product) {
        // 32 registers hold 8 rows of 3 vectors.
        unsafe {
            match p.groups {
                1 => kernel::multiply_block::<Self, 8, 1>(p, 0, 0),
                2 => kernel::multiply_block::<Self, 8, 2>(p, 0, 0),
                _ => kernel::multiply_block::<Self, 8, 3>(p, 0, 0),
            }
        }
    }
}
