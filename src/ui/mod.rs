//! The window.

mod app;
pub mod canvas;
pub mod colour;
pub mod command;
mod dialogs;
mod dispatch;
mod drop;
pub mod fonts;
pub mod gpu;
pub mod icons;
pub mod keys;
pub mod loader;
pub mod navigate;
mod palette;
pub mod panels;
mod path_field;
pub mod persist;
pub mod picked;
pub mod plot;
pub mod review_command;
mod review_dispatch;
pub mod review_queue;
mod saved_views;
mod shell;
pub mod shown;
mod start;
pub mod theme;
mod toasts;
pub mod train_command;
pub mod view;
mod widgets;

pub use app::{App, StartOptions};
pub use start::{run, settings_path};
