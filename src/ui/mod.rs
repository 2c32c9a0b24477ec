//! The window.

pub mod canvas;
pub mod colour;
pub mod command;
pub mod gpu;
pub mod loader;
pub mod view;
