//! The one switch between mmdetection's and MindSpore's way of preparing images and clipping boxes.

/// What the configuration asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum DialectChoice {
    /// Decided by the checkpoint's format.
    #[default]
    Auto,
    /// As the MindSpore original.
    Mindspore,
    /// As mmdetection.
    Mmdet,
}

/// The dialect in use; resize, padding and clipping follow from it (semantics.md section 0).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// Fit inside the canvas, pad before normalising, clip proposals to the padded size, clip only reported boxes.
    Mindspore,
    /// Long and short side limits, pad after normalising, clip to the resized size before NMS.
    Mmdet,
}
