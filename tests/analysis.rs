//! What is learnt from an evaluation, beside its twelve numbers.

mod one;
mod one_numbers;
mod one_set;
mod two;
