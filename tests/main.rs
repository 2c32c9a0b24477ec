//! One integration-test binary: linking is most of the cost of another.

mod coco;
mod data;
mod golden;
mod ops;
mod support;
mod weights;
