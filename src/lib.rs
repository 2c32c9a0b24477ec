#![doc = include_str!("ARCHITECTURE.md")]

pub mod alloc;

pub mod structures;

pub mod config;

pub mod coco;

pub mod eval;
pub mod query;

pub mod report;

pub mod ops;

pub mod weights;

pub mod model;

pub mod data;

pub mod train;

pub mod jobs;

pub mod document;

pub mod cli;

#[cfg(feature = "gui")]
pub mod ui;

#[global_allocator]
static ALLOCATOR: alloc::KeepLarge = alloc::KeepLarge;
