//! The same weights in every format.
