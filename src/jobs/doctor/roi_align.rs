//! What RoIAlign runs on while the network runs on the processor.

use serde_json::json;

use super::{Check, State};
use crate::jobs::adapter::measure;

pub(super) fn check() -> Check {
    let choice = measure();
    let used = if choice.use_adapter {
        format!("the adapter: {}", choice.why)
    } else {
        format!("the processor: {}", choice.why)
    };
    Check {
        id: "roi_align",
        state: State::Ok,
        found: match &choice.adapter {
            Some(adapter) => format!("compute shaders on {adapter}"),
            None => "no adapter that computes".into(),
        },
        used,
        remedy: None,
        details: json!({ "adapter": choice.adapter, "timings": choice.timings, "use_adapter": choice.use_adapter }),
    }
}
