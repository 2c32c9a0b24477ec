//! What several areas of the tests share.

pub mod compare;
pub mod fixtures;
pub mod memory;

#[global_allocator]
static ALLOCATOR: memory::Counting = memory::Counting;
