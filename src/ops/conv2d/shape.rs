//! Sizes of a convolution, checked once.

use candle_core::{Result, bail};

/// Axes: N images, I and O channels, H and W.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ConvShape {
    /// Images.
    pub n: usize,
    /// Input channels.
    pub i: usize,
    /// Input height.
    pub h: usize,
    /// Input width.
    pub w: usize,
    /// Output channels.
    pub o: usize,
    /// Kernel height.
    pub kh: usize,
    /// Kernel width.
    pub kw: usize,
    /// On both axes.
    pub stride: usize,
    /// Zeros on each side of both axes.
    pub padding: usize,
    /// Output height.
    pub oh: usize,
    /// Output width.
    pub ow: usize,
}

impl ConvShape {
    /// Sizes of `x` (N,I,H,W) and `weight` (O,I,kh,kw).
    ///
    /// # Errors
    /// Ranks or channels that do not fit, a kernel larger than the padded input, a stride of 0.
    pub(crate) fn new(
        x: &[usize],
        weight: &[usize],
        stride: usize,
        padding: usize,
    ) -> Result<Self> {
        let (&[n, i, h, w], &[o, wi, kh, kw]) = (x, weight) else {
            bail!(
                "conv2d: the input {x:?} must be (N,I,H,W) and the weight {weight:?} (O,I,kh,kw)"
            );
        };
        if wi != i {
            bail!("conv2d: the input {x:?} has {i} channels, the weight {weight:?} needs {wi}");
        }
        if stride == 0 || kh == 0 || kw == 0 {
            bail!("conv2d: stride {stride} and kernel {kh}x{kw} must be positive");
        }
        let out = |size: usize, kernel: usize| {
            Some((size + 2 * padding).checked_sub(kernel)? / stride + 1)
        };
        let (Some(oh), Some(ow)) = (out(h, kh), out(w, kw)) else {
            bail!(
                "conv2d: the kernel {kh}x{kw} is larger than the input {h}x{w} with padding {padding}"
            );
        };
        Ok(Self {
            n,
            i,
            h,
            w,
            o,
            kh,
            kw,
            stride,
            padding,
            oh,
            ow,
        })
    }

    /// Pixels of an output channel.
    pub(super) fn out_plane(&self) -> usize {
        self.oh * self.ow
    }

    /// Values of the output.
    pub(super) fn out_len(&self) -> usize {
        self.n * self.o * self.out_plane()
    }

    /// Values of the input.
    pub(super) fn in_len(&self) -> usize {
        self.n * self.i * self.h * self.w
    }

    /// Length of the reduction: I·kh·kw.
    pub(super) fn depth(&self) -> usize {
        self.i * self.kh * self.kw
    }

    /// The same convolution, with whole images as single rows where a 1×1 kernel allows it.
    pub(super) fn flattened(mut self) -> Self {
        if (self.kh, self.kw, self.stride, self.padding) == (1, 1, 1, 0) {
            (self.h, self.w) = (1, self.h * self.w);
            (self.oh, self.ow) = (1, self.w);
        }
        self
    }
}
