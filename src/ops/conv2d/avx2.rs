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

use super::kernel::{self, PREFETCH, Product};
use super::simd::{GROUP, MAX_GROUPS, ROWS, Simd};

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
        if n == Self::LANES {
            return unsafe { _mm256_loadu_ps(p) };
        }
        unsafe { _mm256_maskload_ps(p, first(n)) }
    }
    #[inline(always)]
    unsafe fn store_n(p: *mut f32, v: __m256, n: usize) {
        // Masked stores take tens of cycles on some AMD processors.
        unsafe {
            if n == Self::LANES {
                return _mm256_storeu_ps(p, v);
            }
            let (mut rest, mut at) = (_mm256_castps256_ps128(v), p);
            if n & 4 != 0 {
                _mm_storeu_ps(at, rest);
                (rest, at) = (_mm256_extractf128_ps::<1>(v), at.add(4));
            }
            if n & 2 != 0 {
                _mm_storel_pd(at.cast(), _mm_castps_pd(rest));
                (rest, at) = (_mm_movehl_ps(rest, rest), at.add(2));
            }
            if n & 1 != 0 {
                _mm_store_ss(at, rest);
            }
        }
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
    #[inline(always)]
    unsafe fn multiply(p: &Product) {
        if p.groups < MAX_GROUPS {
            return unsafe { kernel::multiply_small::<Self>(p) };
        }
        for vec0 in [0, 3] {
            for row0 in [0, 4] {
                let mut sums = [[0.0; 24]; 4];
                unsafe {
                    sum_4x24(p, row0, vec0, &mut sums);
                    let sums = sums.map(|row| {
                        let at = row.as_ptr();
                        [
                            _mm256_loadu_ps(at),
                            _mm256_loadu_ps(at.add(8)),
                            _mm256_loadu_ps(at.add(16)),
                        ]
                    });
                    kernel::finish_block::<Self, 4, 3>(p, row0, vec0, sums);
                }
            }
        }
    }
}

/// The sums of 4 rows and 24 columns. In assembly: 12 sums, 3 vectors of the panel and one weight fill the 16 registers,
/// and the compiler, which wants one more, goes through memory instead, at half the speed.
///
/// # Safety
/// The pointers of `p` are valid for its sizes, `p.groups` is 3, and the machine has AVX2 and FMA.
#[target_feature(enable = "avx2,fma")]
unsafe fn sum_4x24(p: &Product, row0: usize, vec0: usize, sums: &mut [[f32; 24]; 4]) {
    if p.depth == 0 {
        return;
    }
    let a = p.a.wrapping_add(row0);
    let b = p.b.wrapping_add(vec0 * Avx2::LANES);
    unsafe {
        std::arch::asm!(
            "vxorps {s00}, {s00}, {s00}",
            "vxorps {s01}, {s01}, {s01}",
            "vxorps {s02}, {s02}, {s02}",
            "vxorps {s10}, {s10}, {s10}",
            "vxorps {s11}, {s11}, {s11}",
            "vxorps {s12}, {s12}, {s12}",
            "vxorps {s20}, {s20}, {s20}",
            "vxorps {s21}, {s21}, {s21}",
            "vxorps {s22}, {s22}, {s22}",
            "vxorps {s30}, {s30}, {s30}",
            "vxorps {s31}, {s31}, {s31}",
            "vxorps {s32}, {s32}, {s32}",
            "2:",
            "prefetcht0 [{b} + {ahead}]",
            "prefetcht0 [{b} + {ahead} + 64]",
            "vmovups {p0}, [{b}]",
            "vmovups {p1}, [{b} + 32]",
            "vmovups {p2}, [{b} + 64]",
            "vbroadcastss {w}, [{a}]",
            "vfmadd231ps {s00}, {p0}, {w}",
            "vfmadd231ps {s01}, {p1}, {w}",
            "vfmadd231ps {s02}, {p2}, {w}",
            "vbroadcastss {w}, [{a} + 4]",
            "vfmadd231ps {s10}, {p0}, {w}",
            "vfmadd231ps {s11}, {p1}, {w}",
            "vfmadd231ps {s12}, {p2}, {w}",
            "vbroadcastss {w}, [{a} + 8]",
            "vfmadd231ps {s20}, {p0}, {w}",
            "vfmadd231ps {s21}, {p1}, {w}",
            "vfmadd231ps {s22}, {p2}, {w}",
            "vbroadcastss {w}, [{a} + 12]",
            "vfmadd231ps {s30}, {p0}, {w}",
            "vfmadd231ps {s31}, {p1}, {w}",
            "vfmadd231ps {s32}, {p2}, {w}",
            "add {a}, {a_step}",
            "add {b}, {b_step}",
            "dec {n}",
            "jnz 2b",
            "vmovups [{to}], {s00}",
            "vmovups [{to} + 32], {s01}",
            "vmovups [{to} + 64], {s02}",
            "vmovups [{to} + 96], {s10}",
            "vmovups [{to} + 128], {s11}",
            "vmovups [{to} + 160], {s12}",
            "vmovups [{to} + 192], {s20}",
            "vmovups [{to} + 224], {s21}",
            "vmovups [{to} + 256], {s22}",
            "vmovups [{to} + 288], {s30}",
            "vmovups [{to} + 320], {s31}",
            "vmovups [{to} + 352], {s32}",
            a = inout(reg) a => _,
            b = inout(reg) b => _,
            n = inout(reg) p.depth => _,
            to = in(reg) sums.as_mut_ptr(),
            a_step = const ROWS * size_of::<f32>(),
            b_step = const MAX_GROUPS * GROUP * size_of::<f32>(),
            ahead = const PREFETCH * MAX_GROUPS * GROUP * size_of::<f32>(),
            s00 = out(ymm_reg) _,
            s01 = out(ymm_reg) _,
            s02 = out(ymm_reg) _,
            s10 = out(ymm_reg) _,
            s11 = out(ymm_reg) _,
            s12 = out(ymm_reg) _,
            s20 = out(ymm_reg) _,
            s21 = out(ymm_reg) _,
            s22 = out(ymm_reg) _,
            s30 = out(ymm_reg) _,
            s31 = out(ymm_reg) _,
            s32 = out(ymm_reg) _,
            p0 = out(ymm_reg) _,
            p1 = out(ymm_reg) _,
            p2 = out(ymm_reg) _,
            w = out(ymm_reg) _,
            options(nostack)
        );
    }
}
