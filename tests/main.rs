//! The one integration binary.

mod coco;
mod data;
