//! How exactly products of the network are formed.

use std::fmt;

/// The numbers that are multiplied. Sums are always kept in float32 at least.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Precision {
    /// Full float32: what the reference checks ask for, and all that the processor does.
    #[default]
    Float32,
    /// float32 rounded to 10 bits of fraction on the way into a tensor core, as PyTorch's convolutions do it.
    TensorFloat32,
    /// float16: 10 bits of fraction, up to 65,504.
    Float16,
    /// bfloat16: 7 bits of fraction, the range of float32.
    Bfloat16,
}

impl Precision {
    /// All of them, the most exact first.
    pub const ALL: [Self; 4] = [
        Self::Float32,
        Self::TensorFloat32,
        Self::Float16,
        Self::Bfloat16,
    ];

    /// As results and the window have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Float32 => "float32",
            Self::TensorFloat32 => "tf32",
            Self::Float16 => "float16",
            Self::Bfloat16 => "bfloat16",
        }
    }

    /// Whether values have two bytes.
    pub fn is_half(self) -> bool {
        matches!(self, Self::Float16 | Self::Bfloat16)
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
