//! The kernels of `kernels/*.cu` as functions: how large, in which order of arguments, into which arrays.
//!
//! A `Launcher` runs them: CUDA's, or one that runs the same bodies on the processor, which is how they are tested where
//! there is no such card. What is left to a launcher is memory and the launch itself.

pub mod boxes;
pub mod dense;
pub mod paste;
pub mod roi_align;

use candle_core::{Result, bail};

/// The source of each file of kernels. They include nothing, so that any CUDA compiler takes them as they are.
pub const SOURCES: [(&str, &str); 4] = [
    ("boxes", include_str!("../../../kernels/boxes.cu")),
    ("dense", include_str!("../../../kernels/dense.cu")),
    ("paste", include_str!("../../../kernels/paste.cu")),
    ("roi_align", include_str!("../../../kernels/roi_align.cu")),
];

/// One function of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kernel {
    /// As in `SOURCES`.
    pub file: &'static str,
    /// As in the file.
    pub name: &'static str,
}

/// How many blocks of how many threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Blocks on three axes.
    pub grid: [u32; 3],
    /// Threads of a block, on one axis.
    pub threads: u32,
}

/// What a kernel is given.
#[derive(Debug)]
pub enum Arg<'a, B> {
    /// Memory of the device, read or written.
    Buffer(&'a B),
    /// `int`
    Int(i32),
    /// `float`
    Float(f32),
}

// Derived, they would ask it of the buffer as well.
impl<B> Clone for Arg<'_, B> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<B> Copy for Arg<'_, B> {}

/// What runs kernels. Memory is an array of words: f32 or u32.
pub trait Launcher {
    /// Memory of the device.
    type Buffer;

    /// Memory for so many words, with anything in it.
    ///
    /// # Errors
    /// No memory is left.
    fn alloc(&self, words: usize) -> Result<Self::Buffer>;

    /// A copy on the device.
    ///
    /// # Errors
    /// No memory is left; a failed copy.
    fn upload(&self, words: &[u32]) -> Result<Self::Buffer>;

    /// A copy of the first `words` on the host, when everything before it is done.
    ///
    /// # Errors
    /// A failed copy, or a kernel before it that failed.
    fn download(&self, buffer: &Self::Buffer, words: usize) -> Result<Vec<u32>>;

    /// Starts a kernel behind all that was started before.
    ///
    /// # Errors
    /// The device does not take it.
    fn launch(&self, kernel: Kernel, size: Size, args: &[Arg<'_, Self::Buffer>]) -> Result<()>;
}

/// Threads of a block where each has its own value.
const THREADS: u32 = 256;

/// A thread for each of `count` values.
fn each(count: usize) -> Result<Size> {
    Ok(Size {
        grid: [int(count.div_ceil(THREADS as usize))? as u32, 1, 1],
        threads: THREADS,
    })
}

/// A size as the kernels count.
fn int(size: usize) -> Result<i32> {
    match i32::try_from(size) {
        Ok(size) => Ok(size),
        Err(_) => bail!("an array of {size} values is too large for a kernel"),
    }
}

/// `Arg::Int` of a size.
fn size_arg<'a, B>(size: usize) -> Result<Arg<'a, B>> {
    Ok(Arg::Int(int(size)?))
}

pub(crate) fn bits(values: impl IntoIterator<Item = f32>) -> Vec<u32> {
    values.into_iter().map(f32::to_bits).collect()
}
