//! AVX2 with FMA: 8 lanes.
#![allow(
    unsafe_code,
    reason = "vector instructions; `simd::Isa` has detected them before any of these functions runs"
)]
#![allow(
    clippy::undocumented_unsafe_blocks,
    reason = "every block is one instruction under the contract of `Simd`"
)]

use std::arch::x86_64::*;

use super::simd::Simd;

/// The instruction set.
#[derive(Clone, Copy, Debug)]
pub(super) struct Avx2;

/// All bits set in the first `n` lanes.
#[inline(always)]
unsafe fn first(n: usize) -> __m256i {
    unsafe {
        let lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
        _mm256_cmpgt_epi32(_mm256_set1_epi32(n as i32), lane)
    }
}

/// Lanes 0 to 3 of a and b, and lanes 4 to 7.
#[inline(always)]
unsafe fn halves(a: __m256, b: __m256) -> [__m256; 2] {
    unsafe {
        [
            _mm256_permute2f128_ps::<0x20>(a, b),
            _mm256_permute2f128_ps::<0x31>(a, b),
        ]
    }
}

/// The even lanes of a then b, and the odd ones.
#[inline(always)]
unsafe fn split2(a: __m256, b: __m256) -> [__m256; 2] {
    unsafe {
        let [low, high] = halves(a, b);
        [
            _mm256_shuffle_ps::<0b10_00_10_00>(low, high),
            _mm256_shuffle_ps::<0b11_01_11_01>(low, high),
        ]
    }
}

impl Simd for Avx2 {
    type V = __m256;
    const LANES: usize = 8;

    #[inline(always)]
    unsafe fn zero() -> __m256 {
        unsafe { _mm256_setzero_ps() }
    }
    #[inline(always)]
    unsafe fn splat(x: f32) -> __m256 {
        unsafe { _mm256_set1_ps(x) }
    }
    #[inline(always)]
    unsafe fn load(p: *const f32) -> __m256 {
        unsafe { _mm256_loadu_ps(p) }
    }
    #[inline(always)]
    unsafe fn store(p: *mut f32, v: __m256) {
        unsafe { _mm256_storeu_ps(p, v) }
    }
    #[inline(always)]
    unsafe fn load_n(p: *const f32, n: usize) -> __m256 {
        unsafe { _mm256_maskload_ps(p, first(n)) }
    }
    #[inline(always)]
    unsafe fn store_n(p: *mut f32, v: __m256, n: usize) {
        unsafe { _mm256_maskstore_ps(p, first(n), v) }
    }
    #[inline(always)]
    unsafe fn load_even_n(p: *const f32, n: usize) -> __m256 {
        // 2n - 1 values are read: the last odd one may lie behind the buffer.
        let count = (2 * n).saturating_sub(1);
        unsafe {
            let low = _mm256_maskload_ps(p, first(count.min(8)));
            let high = _mm256_maskload_ps(p.wrapping_add(8), first(count.saturating_sub(8)));
            split2(low, high)[0]
        }
    }
    #[inline(always)]
    unsafe fn add(a: __m256, b: __m256) -> __m256 {
        unsafe { _mm256_add_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn sub(a: __m256, b: __m256) -> __m256 {
        unsafe { _mm256_sub_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn mul(a: __m256, b: __m256) -> __m256 {
        unsafe { _mm256_mul_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn fma(a: __m256, b: __m256, c: __m256) -> __m256 {
        unsafe { _mm256_fmadd_ps(a, b, c) }
    }
    #[inline(always)]
    unsafe fn fnma(a: __m256, b: __m256, c: __m256) -> __m256 {
        unsafe { _mm256_fnmadd_ps(a, b, c) }
    }
    #[inline(always)]
    unsafe fn relu(v: __m256) -> __m256 {
        // The second operand is what the instruction returns for NaN.
        unsafe { _mm256_max_ps(_mm256_setzero_ps(), v) }
    }
    #[inline(always)]
    unsafe fn interleave2(a: __m256, b: __m256) -> [__m256; 2] {
        unsafe { halves(_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b)) }
    }
    #[inline(always)]
    unsafe fn interleave4([a, b, c, d]: [__m256; 4]) -> [__m256; 4] {
        unsafe {
            let [ac0, ac1] = Self::interleave2(a, c);
            let [bd0, bd1] = Self::interleave2(b, d);
            let [v0, v1] = Self::interleave2(ac0, bd0);
            let [v2, v3] = Self::interleave2(ac1, bd1);
            [v0, v1, v2, v3]
        }
    }
    #[inline(always)]
    unsafe fn deinterleave4([a, b, c, d]: [__m256; 4]) -> [__m256; 4] {
        unsafe {
            let [e0, o0] = split2(a, b);
            let [e1, o1] = split2(c, d);
            let [v0, v2] = split2(e0, e1);
            let [v1, v3] = split2(o0, o1);
            [v0, v1, v2, v3]
        }
    }
    #[inline(always)]
    unsafe fn next_lane(v: __m256, ends: *const f32, mask: u32) -> __m256 {
        unsafe {
            let moved = _mm256_permutevar8x32_ps(v, _mm256_setr_epi32(1, 2, 3, 4, 5, 6, 7, 0));
            let bit = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
            let set =
                _mm256_cmpeq_epi32(_mm256_and_si256(_mm256_set1_epi32(mask as i32), bit), bit);
            _mm256_blendv_ps(moved, _mm256_loadu_ps(ends), _mm256_castsi256_ps(set))
        }
    }
}
