//! The vector instructions the kernels are written in, once for every instruction set.
//!
//! Kernels are `Task`s generic over `Simd`; `Isa::run` compiles them once for each instruction set and picks at run time.
#![allow(
    unsafe_code,
    reason = "target_feature calls after run-time detection; vector loads and stores through pointers"
)]

use std::sync::OnceLock;

use super::portable::Portable;
#[cfg(target_arch = "x86_64")]
use super::{avx2::Avx2, avx512::Avx512};

/// Lanes of a lane group: the unit in which pixels, tiles and outputs are counted, whatever the vector length.
pub(super) const GROUP: usize = 16;
/// Most lane groups that one kernel call works on.
pub(super) const MAX_GROUPS: usize = 3;
/// Output channels (rows) of one kernel call.
pub(super) const ROWS: usize = 8;

/// Vectors of f32. Every method is unsafe because its instructions must exist on the machine and its pointers be valid.
pub(super) trait Simd: Copy {
    /// A vector register.
    type V: Copy;
    /// f32 in a vector; divides `GROUP`.
    const LANES: usize;
    /// All lanes 0.
    unsafe fn zero() -> Self::V;
    /// All lanes `x`.
    unsafe fn splat(x: f32) -> Self::V;
    /// `LANES` values from `p`.
    unsafe fn load(p: *const f32) -> Self::V;
    /// `LANES` values to `p`.
    unsafe fn store(p: *mut f32, v: Self::V);
    /// The first `n <= LANES` values from `p`, the other lanes 0; memory behind them is not touched.
    unsafe fn load_n(p: *const f32, n: usize) -> Self::V;
    /// The first `n <= LANES` lanes to `p`.
    unsafe fn store_n(p: *mut f32, v: Self::V, n: usize);
    /// `p[0], p[2], ..`: the first `n <= LANES` of them, the other lanes 0.
    unsafe fn load_even_n(p: *const f32, n: usize) -> Self::V;
    /// a + b
    unsafe fn add(a: Self::V, b: Self::V) -> Self::V;
    /// a - b
    unsafe fn sub(a: Self::V, b: Self::V) -> Self::V;
    /// a · b
    unsafe fn mul(a: Self::V, b: Self::V) -> Self::V;
    /// a · b + c, fused where the machine can.
    unsafe fn fma(a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// c - a · b, fused where the machine can.
    unsafe fn fnma(a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// max(v, 0); NaN stays NaN.
    unsafe fn relu(v: Self::V) -> Self::V;
    /// a0 b0 a1 b1 ..
    unsafe fn interleave2(a: Self::V, b: Self::V) -> [Self::V; 2];
    /// a0 b0 c0 d0 a1 ..
    unsafe fn interleave4(v: [Self::V; 4]) -> [Self::V; 4];
    /// The inverse of `interleave4`.
    unsafe fn deinterleave4(v: [Self::V; 4]) -> [Self::V; 4];
    /// Lane t is `v[t + 1]`, but `ends[t]` where bit t of `mask` is set; the last lane's bit must be set.
    unsafe fn next_lane(v: Self::V, ends: *const f32, mask: u32) -> Self::V;
    /// The product of one kernel call, see `kernel::Product`; overridden where the compiler does badly.
    #[inline(always)]
    unsafe fn multiply(p: &super::kernel::Product) {
        // SAFETY: passed on.
        unsafe { super::kernel::multiply_small::<Self>(p) }
    }
}

/// Work that is compiled for each instruction set.
pub(super) trait Task {
    /// Runs with the instructions of `S`. Implementations are `#[inline(always)]`, or they would be compiled without them.
    unsafe fn run<S: Simd>(self);
}

/// Holds convolutions to one of `avx512`, `avx2`, `portable`: to measure what the others are worth.
const HELD_TO: &str = "MASKSCOPE_SIMD";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    Portable,
}

/// An instruction set that this machine has: a value exists only after detection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Isa(Kind);

impl Isa {
    /// All that this machine has, the fastest first.
    pub(super) fn available() -> impl Iterator<Item = Self> {
        #[cfg(target_arch = "x86_64")]
        let kinds = [
            (Kind::Avx512, {
                is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512vl")
                    && is_x86_feature_detected!("avx512bw")
            }),
            (Kind::Avx2, {
                is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")
            }),
            (Kind::Portable, true),
        ];
        #[cfg(not(target_arch = "x86_64"))]
        let kinds = [(Kind::Portable, true)];
        kinds
            .into_iter()
            .filter_map(|(kind, has)| has.then_some(Self(kind)))
    }

    /// The fastest one, or a slower one that `HELD_TO` names.
    pub(super) fn best() -> Self {
        static BEST: OnceLock<Isa> = OnceLock::new();
        *BEST.get_or_init(|| {
            let held_to = std::env::var(HELD_TO).unwrap_or_default();
            let at_most = |isa: &Self| held_to.is_empty() || isa.name() == held_to;
            let found = Self::available().find(at_most);
            found.unwrap_or(Self(Kind::Portable))
        })
    }

    fn name(self) -> &'static str {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 => "avx512",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => "avx2",
            Kind::Portable => "portable",
        }
    }

    /// f32 in a vector.
    pub(super) fn lanes(self) -> usize {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 => Avx512::LANES,
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => Avx2::LANES,
            Kind::Portable => Portable::LANES,
        }
    }

    /// Runs `task` with these instructions.
    ///
    /// # Safety
    /// The task's pointers must be valid for what it does.
    pub(super) unsafe fn run<T: Task>(self, task: T) {
        // SAFETY: `Isa` exists only after its instructions were detected; the pointers are the caller's promise.
        unsafe {
            match self.0 {
                #[cfg(target_arch = "x86_64")]
                Kind::Avx512 => run_avx512(task),
                #[cfg(target_arch = "x86_64")]
                Kind::Avx2 => run_avx2(task),
                Kind::Portable => task.run::<Portable>(),
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512bw")]
unsafe fn run_avx512<T: Task>(task: T) {
    // SAFETY: the caller has detected the features.
    unsafe { task.run::<Avx512>() }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn run_avx2<T: Task>(task: T) {
    // SAFETY: the caller has detected the features.
    unsafe { task.run::<Avx2>() }
}

/// A pointer that worker threads share, each writing places of its own.
#[derive(Clone, Copy, Debug)]
pub(super) struct SharedMut(*mut f32);

// SAFETY: whoever writes through it promises (see the users) that no two threads touch the same element.
unsafe impl Send for SharedMut {}
// SAFETY: as above.
unsafe impl Sync for SharedMut {}

impl SharedMut {
    /// The first 64-byte boundary in a vector with room for `GROUP` more values than are used.
    pub(super) fn aligned(buffer: &mut Vec<f32>) -> Self {
        Self(align(buffer.as_mut_ptr()))
    }

    /// The beginning of a vector.
    pub(super) fn of(buffer: &mut Vec<f32>) -> Self {
        Self(buffer.as_mut_ptr())
    }

    /// The pointer itself.
    pub(super) fn get(self) -> *mut f32 {
        self.0
    }
}

/// A vector of `len` values that `write` fills, without writing zeros first.
///
/// # Safety
/// `write` must initialise all `len` elements.
pub(super) unsafe fn filled(len: usize, write: impl FnOnce(SharedMut)) -> Vec<f32> {
    let mut out: Vec<f32> = Vec::with_capacity(len);
    write(SharedMut(out.as_mut_ptr()));
    // SAFETY: `len` elements are reserved, and the caller promises that they are written.
    unsafe { out.set_len(len) };
    out
}

/// Runs `work` with this thread's scratch of at least `len` values, 64-byte aligned, of unspecified content.
/// It stays with the thread (a few MiB), since fresh pages would cost more than they hold.
pub(super) fn with_scratch(len: usize, work: impl FnOnce(*mut f32)) {
    thread_local! {
        static SCRATCH: std::cell::RefCell<Vec<f32>> = const { std::cell::RefCell::new(Vec::new()) };
    }
    SCRATCH.with_borrow_mut(|scratch| {
        if scratch.len() < len + GROUP {
            scratch.clear();
            scratch.resize(len + GROUP, 0.0);
        }
        work(align(scratch.as_mut_ptr()));
    });
}

/// The next 64-byte boundary, less than `GROUP` values away.
fn align(p: *mut f32) -> *mut f32 {
    p.wrapping_add(p.align_offset(64).min(GROUP))
}
