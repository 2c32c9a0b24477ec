//! ResNets without a detector: torchvision's ImageNet weights, MindSpore's.

use super::{Place, mindspore, to};

/// Classifier heads of both.
fn is_classifier(name: &str) -> bool {
    ["fc.", "end_point.", "head."]
        .iter()
        .any(|head| name.starts_with(head))
}

fn is_resnet(name: &str) -> bool {
    name.starts_with("conv1.") || name.starts_with("bn1.") || name.starts_with("layer")
}

pub(super) fn torch(name: &str) -> Option<Place> {
    match name {
        _ if is_classifier(name) => Some(Place::Skip),
        _ if is_resnet(name) => to(format!("backbone.{name}")),
        _ => None,
    }
}

pub(super) fn mindspore(name: &str) -> Option<Place> {
    match name {
        _ if is_classifier(name) => Some(Place::Skip),
        _ if is_resnet(name) => to(format!("backbone.{}", mindspore::batch_norm(name))),
        _ => None,
    }
}
