//! The window.

pub mod canvas;
pub mod colour;
pub mod command;
pub mod fonts;
pub mod gpu;
pub mod icons;
pub mod keys;
pub mod loader;
pub mod navigate;
pub mod panels;
pub mod shown;
pub mod theme;
pub mod view;
mod widgets;
