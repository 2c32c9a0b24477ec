//! The configuration: one YAML document with the key names of the MindSpore `ms_rcnn` model.

mod defaults;
mod dialect;
mod schema;

pub use defaults::COCO_CLASSES;
pub use dialect::{Dialect, DialectChoice};
pub use schema::*;
