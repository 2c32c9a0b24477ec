//! What is learnt from an evaluation, beside its twelve numbers.

#[path = "analysis/one.rs"]
mod one;
#[path = "analysis/one_numbers.rs"]
mod one_numbers;
#[path = "analysis/one_set.rs"]
mod one_set;
