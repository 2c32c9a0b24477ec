//! Every test against the library and the binary, in one program.

#[cfg(feature = "gui")]
mod canvas;
mod coco;
mod data;
mod images;
