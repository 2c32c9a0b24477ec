//! Flags to typed jobs: the command line.

pub mod convert;
pub mod inspect;
