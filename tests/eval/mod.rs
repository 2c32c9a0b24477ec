//! COCO evaluation against files that pycocotools made and against an evaluator written for nothing but clarity.

mod adapter;
mod bad_input;
mod case;
mod generator;
mod golden;
mod parity;
mod pixels;
mod random;
mod slow;
