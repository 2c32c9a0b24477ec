//! COCO evaluation against files that pycocotools made and against an evaluator written for nothing but clarity.

mod adapter;
pub mod bad_input;
pub mod case;
mod generator;
mod golden;
mod parity;
mod pixels;
mod random;
mod slow;
