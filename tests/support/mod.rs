//! What several areas of the tests share.

pub mod compare;
pub mod device;
pub mod fixtures;
pub mod hang;
pub mod memory;
