//! Every test against the library and the binary, in one program.

#[cfg(feature = "gui")]
mod canvas;
//! The one integration binary.

mod coco;
mod data;
