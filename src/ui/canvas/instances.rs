//! The instances of one image, ready for the GPU and for hit tests.

use std::sync::Arc;

use crate::structures::{ClassTable, Detection};

/// One instance as the canvas needs it.
#[derive(Clone, Debug)]
pub struct Instance {}

/// The instances of one image. Built once; thresholds, ranking and colours never build it again.
#[derive(Debug)]
pub struct InstanceSet {}

impl InstanceSet {
    /// From detections, in their order: instance `i` is `detections[i]`.
    pub fn new(_detections: &[Detection], _classes: &ClassTable) -> Arc<Self> {
        Arc::new(Self {})
    }
}
