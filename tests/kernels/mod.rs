//! The CUDA kernels without a card: they compile by NVIDIA's run-time compiler, and their bodies, run on the processor, give
//! what the processor's own operations give.

#![allow(
    unsafe_code,
    reason = "libraries are loaded at run time: the compiled kernels and NVIDIA's compiler"
)]

mod boxes;
mod dense;
mod host;
mod nvrtc;
mod paste;
mod roi_align;

pub use host::Host;
pub use roi_align::OnHost;

/// Numbers in -1..1 that look like nothing.
fn noise(count: usize, seed: u32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(1);
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state as f32 / u32::MAX as f32 * 2.0 - 1.0
    };
    (0..count).map(|_| next()).collect()
}
