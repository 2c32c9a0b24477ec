//! Panels are functions: they read the document, change the view, and push commands.

pub mod canvas_area;
mod canvas_tools;
pub mod compare;
pub mod evaluate;
pub mod filter_bar;
mod filter_field;
pub mod fine_tune;
pub mod gallery;
pub mod health;
pub mod inspector;
pub mod instances;
mod judged;
pub mod keys_sheet;
pub mod log_panel;
pub mod numbers;
mod parts;
pub mod review;
pub mod selected;
pub mod settings;
pub mod show;
pub mod start;
pub mod status_bar;
pub mod top_bar;
pub mod train;
pub mod unsaved;
mod view_menu;
mod virtual_rows;
mod wipe;

pub use canvas_area::canvas_area_ui;
pub use gallery::gallery_ui;
pub use inspector::inspector_ui;
