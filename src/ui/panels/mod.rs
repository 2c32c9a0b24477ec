//! Panels are functions: they read the document, change the view, and push commands.

pub mod filter_bar;
pub mod gallery;
pub mod inspector;
pub mod instances;
pub mod numbers;
mod parts;
pub mod selected;
pub mod show;
mod virtual_rows;

pub use gallery::gallery_ui;
pub use inspector::inspector_ui;
