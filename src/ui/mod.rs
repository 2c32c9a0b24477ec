//! The window.

pub mod canvas;
pub mod colour;
pub mod gpu;
pub mod loader;
