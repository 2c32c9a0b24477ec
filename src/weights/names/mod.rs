//! Whose names a checkpoint has, and the canonical name of each tensor (semantics.md 5.5 and 5.6).

mod backbone;
mod benchmark;
mod detectron2;
mod mindspore;
mod mmdet;
mod torchvision;

/// A naming of tensors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Naming {
    /// mmdetection 2 and 3, and our own files.
    Mmdet,
    /// ms_rcnn and its siblings.
    Mindspore,
    /// torchvision's Mask R-CNN.
    Torchvision,
    /// detectron2's Mask R-CNN.
    Detectron2,
    /// The paper's code and maskrcnn-benchmark, on which it stands.
    Benchmark,
    /// mmdetection 1, which is refused.
    Mmdet1,
    /// A ResNet of torchvision, for the backbone alone.
    TorchBackbone,
    /// A ResNet of MindSpore, for the backbone alone.
    MindsporeBackbone,
    /// None of these.
    Unknown,
}

impl Naming {
    /// For messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mmdet => "mmdetection 2 or 3",
            Self::Mindspore => "MindSpore ms_rcnn",
            Self::Torchvision => "torchvision Mask R-CNN",
            Self::Detectron2 => "detectron2 Mask R-CNN",
            Self::Benchmark => "maskscoring_rcnn (maskrcnn-benchmark)",
            Self::Mmdet1 => "mmdetection 1",
            Self::TorchBackbone => "a ResNet backbone (torchvision)",
            Self::MindsporeBackbone => "a ResNet backbone (MindSpore)",
            Self::Unknown => "no program that is known",
        }
    }
}

/// Where a tensor goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// To this canonical name.
    Canonical(String),
    /// Nowhere, and rightly: optimiser state, counters.
    Skip,
    /// Unknown.
    LeftOver,
}

/// Whose names these are.
pub(super) fn recognise<'a>(names: impl Iterator<Item = &'a str> + Clone) -> Naming {
    let plain = || names.clone().map(strip).filter(|name| !is_skipped(name));
    let any = |test: &dyn Fn(&str) -> bool| plain().any(test);
    let starts = |prefix: &str| any(&|name| name.starts_with(prefix));
    if starts("roi_heads.maskiou.") || starts("roi_heads.box.feature_extractor.") {
        return Naming::Benchmark;
    }
    if starts("backbone.bottom_up.") {
        return Naming::Detectron2;
    }
    if starts("backbone.body.") {
        return Naming::Torchvision;
    }
    if starts("roi_head.") {
        return Naming::Mmdet;
    }
    let gamma = any(&|name| name.ends_with(".gamma") || name.ends_with(".moving_mean"));
    if starts("bbox_head.fc_cls.") {
        return if gamma || starts("rpn_head.rpn_convs_layer.") {
            Naming::Mindspore
        } else {
            Naming::Mmdet1
        };
    }
    if any(&|name| name == "conv1.weight") && starts("layer4.") {
        return if gamma {
            Naming::MindsporeBackbone
        } else {
            Naming::TorchBackbone
        };
    }
    Naming::Unknown
}

/// Without the prefixes that wrappers add.
fn strip(name: &str) -> &str {
    ["module.", "net.", "network."]
        .iter()
        .find_map(|prefix| name.strip_prefix(prefix))
        .unwrap_or(name)
}

/// Optimiser state, counters, shadow weights and constants of all programs.
fn is_skipped(name: &str) -> bool {
    const PREFIXES: [&str; 7] = [
        "accum.",
        "stat.",
        "moments.",
        "moment1.",
        "moment2.",
        "ema_",
        "data_preprocessor.",
    ];
    const NAMES: [&str; 10] = [
        "momentum",
        "learning_rate",
        "global_step",
        "epoch_num",
        "step_num",
        "loss_scale",
        "mean",
        "std",
        "pixel_mean",
        "pixel_std",
    ];
    PREFIXES.iter().any(|prefix| name.starts_with(prefix))
        || NAMES.contains(&name)
        || name.ends_with("num_batches_tracked")
}

/// Where a tensor of a file in this naming goes.
pub(super) fn place(naming: Naming, name: &str) -> Place {
    let name = strip(name);
    if is_skipped(name) {
        return Place::Skip;
    }
    let canonical = match naming {
        Naming::Mmdet => mmdet::canonical(name),
        Naming::Mindspore => mindspore::canonical(name),
        Naming::Torchvision => torchvision::canonical(name),
        Naming::Detectron2 => detectron2::canonical(name),
        Naming::Benchmark => benchmark::canonical(name),
        Naming::TorchBackbone => backbone::torch(name),
        Naming::MindsporeBackbone => backbone::mindspore(name),
        Naming::Mmdet1 | Naming::Unknown => Some(Place::LeftOver),
    };
    canonical.unwrap_or(Place::LeftOver)
}

/// A canonical place.
fn to(name: impl Into<String>) -> Option<Place> {
    Some(Place::Canonical(name.into()))
}

/// `3.weight` after a prefix -> `3` and `weight`.
fn index_and_rest(rest: &str) -> Option<(usize, &str)> {
    let (index, rest) = rest.split_once('.')?;
    Some((index.parse().ok()?, rest))
}

/// The first prefix that fits is exchanged.
fn exchange(name: &str, prefixes: &[(&str, &str)]) -> Option<Place> {
    prefixes.iter().find_map(|(from, into)| {
        let rest = name.strip_prefix(from)?;
        to(format!("{into}{rest}"))
    })
}
