//! The full-size model with weights from a formula.
