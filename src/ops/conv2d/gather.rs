//! Gathers the input pixels that a panel's output pixels see: the implicit im2col.
//!
//! Axes: N images, I channels, H and W.
#![allow(
    unsafe_code,
    reason = "copies between image rows and panels through pointers, clipped to both"
)]

use std::ops::Range;

use super::kernel::prefetch;
use super::shape::ConvShape;
use super::simd::{GROUP, Simd};

/// Channels ahead of their use that a row of the next pixels is fetched: each lies in a page of its own, which the
/// machine's own prefetcher does not cross.
const AHEAD: usize = 8;

/// A run of output pixels in one row of one image.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run {
    /// First column of the panel.
    pub column: usize,
    /// Pixels.
    pub len: usize,
    /// Image.
    pub n: usize,
    /// Output row.
    pub oy: usize,
    /// First output column.
    pub ox: usize,
}

impl Run {
    /// The runs of the pixels `first..first + width`, counted over rows and images.
    pub(super) fn list(s: &ConvShape, first: usize, width: usize) -> Vec<Self> {
        let total = s.n * s.out_plane();
        let mut runs = Vec::with_capacity(8);
        let mut column = 0;
        while column < width && first + column < total {
            let pixel = first + column;
            let (row, ox) = (pixel / s.ow, pixel % s.ow);
            let len = (s.ow - ox).min(width - column).min(total - pixel);
            runs.push(Self {
                column,
                len,
                n: row / s.oh,
                oy: row % s.oh,
                ox,
            });
            column += len;
        }
        runs
    }
}

/// Fills `panel`: `[channels·kh·kw][width]`; columns behind the last run become 0.
///
/// # Safety
/// `x` points to (N,I,H,W), `panel` to as many values as given above; the runs lie within both.
#[inline(always)]
pub(super) unsafe fn gather<S: Simd>(
    s: &ConvShape,
    runs: &[Run],
    width: usize,
    channels: Range<usize>,
    x: *const f32,
    panel: *mut f32,
) {
    let filled = runs.iter().map(|r| r.len).sum::<usize>();
    let taps = s.kh * s.kw;
    // SAFETY: a row of the panel is `width` long and runs lie within it; sources are clipped to the image's row.
    unsafe {
        for run in runs {
            let first = x.add((run.n * s.i + channels.start) * s.h * s.w);
            for kx in 0..s.kw {
                let inside = columns_inside(s, run, kx);
                for ky in 0..s.kh {
                    let y = run.oy * s.stride + ky;
                    let to = panel.add((ky * s.kw + kx) * width + run.column);
                    let steps = Steps {
                        count: channels.len(),
                        from: s.h * s.w,
                        to: taps * width,
                    };
                    if y < s.padding || y >= s.h + s.padding || inside.is_empty() {
                        steps.zero::<S>(to, run.len);
                        continue;
                    }
                    let (left, right) = (inside.start - run.ox, run.ox + run.len - inside.end);
                    if left > 0 {
                        steps.zero::<S>(to, left);
                    }
                    if right > 0 {
                        steps.zero::<S>(to.add(run.len - right), right);
                    }
                    let column = inside.start * s.stride + kx - s.padding;
                    let from = first.add((y - s.padding) * s.w + column);
                    steps.copy::<S>(from, to.add(left), inside.len(), s.stride);
                }
            }
        }
        if filled < width {
            let steps = Steps {
                count: channels.len() * taps,
                from: 0,
                to: width,
            };
            steps.zero::<S>(panel.add(filled), width - filled);
        }
    }
}

/// The output columns of a run whose input column under tap `kx` is not padding.
fn columns_inside(s: &ConvShape, run: &Run, kx: usize) -> Range<usize> {
    let end = run.ox + run.len;
    let first_with = |column: usize| column.saturating_sub(kx).div_ceil(s.stride);
    let lo = first_with(s.padding).clamp(run.ox, end);
    lo..first_with(s.w + s.padding).clamp(lo, end)
}

/// The same rows of many channels.
#[derive(Clone, Copy)]
struct Steps {
    count: usize,
    /// Values from one source row to the next.
    from: usize,
    /// Values from one row of the panel to the next.
    to: usize,
}

impl Steps {
    /// # Safety
    /// `to` holds `len` values at each step.
    #[inline(always)]
    unsafe fn zero<S: Simd>(self, to: *mut f32, len: usize) {
        for step in 0..self.count {
            for at in (0..len).step_by(S::LANES) {
                let n = (len - at).min(S::LANES);
                // SAFETY: at most `len - at` values are written.
                unsafe { S::store_n(to.add(step * self.to + at), S::zero(), n) }
            }
        }
    }

    /// # Safety
    /// At each step `from` holds `(len - 1)·stride + 1` values and `to` `len`.
    #[inline(always)]
    unsafe fn copy<S: Simd>(self, from: *const f32, to: *mut f32, len: usize, stride: usize) {
        for step in 0..self.count {
            // SAFETY: as promised; what is fetched ahead need not exist.
            unsafe {
                let source = from.add(step * self.from);
                if step + AHEAD < self.count {
                    let next = source.wrapping_add(AHEAD * self.from);
                    // A row need not begin at a cache line.
                    prefetch(next, len * stride + GROUP - 1);
                }
                copy::<S>(source, to.add(step * self.to), len, stride);
            }
        }
    }
}

/// # Safety
/// `from` holds `(len - 1)·stride + 1` values and `to` `len`.
#[inline(always)]
pub(super) unsafe fn copy<S: Simd>(from: *const f32, to: *mut f32, len: usize, stride: usize) {
    // SAFETY: the vector forms touch only the first `n` values.
    unsafe {
        match stride {
            1 => {
                let whole = len - len % S::LANES;
                for at in (0..whole).step_by(S::LANES) {
                    S::store(to.add(at), S::load(from.add(at)));
                }
                let rest = S::load_n(from.add(whole), len - whole);
                S::store_n(to.add(whole), rest, len - whole);
            }
            2 => {
                for at in (0..len).step_by(S::LANES) {
                    let n = (len - at).min(S::LANES);
                    S::store_n(to.add(at), S::load_even_n(from.add(2 * at), n), n);
                }
            }
            _ => {
                for at in 0..len {
                    *to.add(at) = *from.add(at * stride);
                }
            }
        }
    }
}
