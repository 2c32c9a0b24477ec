//! What several areas of the tests share.

pub mod fixtures;
