//! The one switch between mmdetection's and MindSpore's way of preparing images and clipping boxes.

use std::fmt;
use std::str::FromStr;

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

impl DialectChoice {
    /// The dialect in use: an explicit choice wins, `auto` takes what the checkpoint's format says.
    pub fn or(self, of_checkpoint: Dialect) -> Dialect {
        match self {
            Self::Auto => of_checkpoint,
            Self::Mindspore => Dialect::Mindspore,
            Self::Mmdet => Dialect::Mmdet,
        }
    }
}

impl Dialect {
    /// The dialect in use for a checkpoint whose format stands for `of_checkpoint` (`None`: its format says
    /// nothing, as a bare safetensors file; then `auto` means MindSpore).
    pub fn resolve(choice: DialectChoice, of_checkpoint: Option<Dialect>) -> Self {
        choice.or(of_checkpoint.unwrap_or(Self::Mindspore))
    }

    /// `mindspore` or `mmdet`, as in the configuration and in checkpoint metadata.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mindspore => "mindspore",
            Self::Mmdet => "mmdet",
        }
    }
}

impl From<Dialect> for DialectChoice {
    fn from(dialect: Dialect) -> Self {
        match dialect {
            Dialect::Mindspore => Self::Mindspore,
            Dialect::Mmdet => Self::Mmdet,
        }
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that is no dialect's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no dialect, expected mindspore or mmdet")]
pub struct UnknownDialect(pub String);

impl FromStr for Dialect {
    type Err = UnknownDialect;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        [Self::Mindspore, Self::Mmdet]
            .into_iter()
            .find(|dialect| dialect.name() == name)
            .ok_or_else(|| UnknownDialect(name.into()))
    }
}
