//! What a checkpoint says about itself: the strings of its header (semantics.md 5.4).

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value, json};

use crate::config::{Config, Dialect};
use crate::structures::ClassTable;
use crate::weights::load::IouHead;

/// What a checkpoint says about itself.
#[derive(Clone, Debug)]
pub struct CheckpointMetadata<'a> {
    /// The configuration in force.
    pub config: &'a Config,
    /// Foreground classes.
    pub classes: &'a ClassTable,
    /// The dialect in use.
    pub dialect: Dialect,
    /// Whether the mask-IoU head was trained.
    pub iou_head: IouHead,
    /// Epoch and step of the training, where there was one.
    pub progress: Option<TrainingProgress>,
    /// When it was made.
    pub created: SystemTime,
}

/// How far a training was.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TrainingProgress {
    /// Epoch, from 1.
    pub epoch: usize,
    /// Step within all of the training, from 1.
    pub step: u64,
    /// Box AP, where it was measured.
    pub bbox_map: Option<f64>,
    /// Mask AP, where it was measured.
    pub seg_map: Option<f64>,
    /// Mean loss of the epoch, where one is over.
    pub loss: Option<f64>,
}

impl CheckpointMetadata<'_> {
    /// All values are strings, as the format has it.
    pub(super) fn to_json(&self) -> Value {
        let classes = self.classes;
        let mut object = json!({
            "format": "maskscope",
            "version": "1",
            "config": self.config.to_yaml(),
            "classes": json!(classes.names).to_string(),
            "dialect": self.dialect.name(),
            "iou_head": self.iou_head.name(),
            "created": utc(self.created),
        });
        let mut insert = |key: &str, value: String| {
            if let Some(object) = object.as_object_mut() {
                object.insert(key.into(), Value::String(value));
            }
        };
        if !classes.category_ids.is_empty() {
            let categories: Vec<Value> = classes
                .category_ids
                .iter()
                .zip(&classes.names)
                .map(|(id, name)| json!({"id": id, "name": name}))
                .collect();
            insert("categories", Value::Array(categories).to_string());
        }
        if let Some(progress) = &self.progress {
            insert("epoch", progress.epoch.to_string());
            insert("step", progress.step.to_string());
            let mut metrics = Map::new();
            for (key, value) in [
                ("bbox_mAP", progress.bbox_map),
                ("seg_mAP", progress.seg_map),
                ("loss", progress.loss),
            ] {
                if let Some(value) = value {
                    metrics.insert(key.into(), json!(value));
                }
            }
            insert("metrics", Value::Object(metrics).to_string());
        }
        object
    }
}

/// `2026-11-24T15:07:00Z`.
fn utc(time: SystemTime) -> String {
    let seconds = time
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (rest / 3_600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// Year, month and day of a day since 1970, in years that begin in March (Hinnant's algorithm).
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn times_are_utc() {
        let check = |seconds, text| {
            assert_eq!(utc(UNIX_EPOCH + Duration::from_secs(seconds)), text);
        };
        check(0, "1970-01-01T00:00:00Z");
        check(951_827_696, "2000-02-29T12:34:56Z");
        check(1_709_251_199, "2024-02-29T23:59:59Z");
        check(4_102_444_800, "2100-01-01T00:00:00Z");
    }
}
