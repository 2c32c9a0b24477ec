//! All differences between a checkpoint and the model at once.

use std::fmt;

use serde::Serialize;

/// A tensor whose shape is not the model's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Misshapen {
    /// Name in the file.
    pub name: String,
    /// Canonical name.
    pub canonical: String,
    /// Shape in the file, under canonical row order.
    pub got: Vec<usize>,
    /// Shape of the model.
    pub want: Vec<usize>,
}

/// Everything in which a checkpoint differs from the model.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Mismatch {
    /// Canonical name and shape of tensors that the file lacks.
    pub missing: Vec<(String, Vec<usize>)>,
    /// Name in the file and shape of tensors that the model has no place for.
    pub left_over: Vec<(String, Vec<usize>)>,
    /// Tensors of another shape.
    pub misshapen: Vec<Misshapen>,
    /// Canonical name, and the two names in the file that both map to it.
    pub doubled: Vec<(String, String, String)>,
    /// What explains the differences, for example another number of classes.
    pub hints: Vec<String>,
}

impl Mismatch {
    /// Whether the checkpoint fits.
    pub fn is_empty(&self) -> bool {
        self.missing.is_empty()
            && self.left_over.is_empty()
            && self.misshapen.is_empty()
            && self.doubled.is_empty()
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = [
            (self.missing.len(), "missing"),
            (self.misshapen.len(), "of another shape"),
            (self.doubled.len(), "twice"),
            (self.left_over.len(), "left over"),
        ];
        let counts: Vec<_> = counts
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!("{count} {what}"))
            .collect();
        write!(
            f,
            "the checkpoint does not fit the model: {}",
            counts.join(", ")
        )?;
        for hint in &self.hints {
            write!(f, "\n  {hint}")?;
        }
        for (name, want) in &self.missing {
            write!(f, "\n  missing: {name}, the model needs {want:?}")?;
        }
        for tensor in &self.misshapen {
            let Misshapen {
                name,
                canonical,
                got,
                want,
            } = tensor;
            write!(f, "\n  shape: {name} has {got:?}, the model needs {want:?}")?;
            if name != canonical {
                write!(f, " for {canonical}")?;
            }
        }
        for (canonical, first, second) in &self.doubled {
            write!(f, "\n  twice: {first} and {second} both give {canonical}")?;
        }
        for (name, got) in &self.left_over {
            write!(f, "\n  left over: {name} {got:?}")?;
        }
        // The file follows on a line of its own.
        if f.alternate() {
            Ok(())
        } else {
            write!(f, "\n ")
        }
    }
}
