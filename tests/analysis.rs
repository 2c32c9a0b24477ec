//! What evaluation learns beyond the twelve numbers.

mod two;
