//! mmdetection 2 and 3: the canonical names themselves.

use super::{Place, to};

/// Parts of the detector. What is not a tensor of the model is left over when shapes are compared.
pub(super) fn canonical(name: &str) -> Option<Place> {
    let known = ["backbone.", "neck.", "rpn_head.", "roi_head."]
        .iter()
        .any(|part| name.starts_with(part));
    if known { to(name) } else { None }
}
