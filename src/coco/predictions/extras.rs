//! Keys beside ours: kept through reading and writing.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::json::{Cursor, Syntax};
use super::left_out::{EntryKind, Refused};
use super::text::Text;

/// Keys of an image and its predictions that are not ours.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Extras {
    /// Beside `height`, `width` and `predictions`.
    pub image: Map<String, Value>,
    /// Beside the keys of a prediction, by its place among the image's detections.
    pub detections: BTreeMap<usize, Map<String, Value>>,
}

impl Extras {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.image.is_empty() && self.detections.is_empty()
    }
}

/// Such keys as they stand in the file; nothing is allocated where there are none.
#[derive(Debug, Default)]
pub(super) struct RawExtras<'a>(Vec<RawExtra<'a>>);

#[derive(Debug)]
struct RawExtra<'a> {
    offset: usize,
    key: Text<'a>,
    value: &'a [u8],
}

impl<'a> RawExtras<'a> {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes the value of a key.
    pub fn add(&mut self, key: Text<'a>, cursor: &mut Cursor<'a>) -> Result<(), Syntax> {
        let offset = cursor.place();
        let value = cursor.raw_value()?;
        self.0.push(RawExtra { offset, key, value });
        Ok(())
    }

    /// Moves the values into `map`; what JSON cannot hold, or no tree of values can, is refused.
    pub fn into_map(self, map: &mut Map<String, Value>, image: &str) -> Vec<Refused> {
        let mut refused = Vec::new();
        for RawExtra { offset, key, value } in self.0 {
            match (key.text(), serde_json::from_slice(value)) {
                (Some(key), Ok(value)) => {
                    map.insert(key.into_owned(), value);
                }
                (name, value) => {
                    let why = match (name, value) {
                        (Some(_), Err(error)) => error.to_string(),
                        _ => "the key is not UTF-8".into(),
                    };
                    refused.push(Refused {
                        entry: EntryKind::Extra,
                        offset,
                        image: image.to_owned(),
                        reason: format!("`{}` is not kept: {why}", key.lossy()),
                        is_foreign: false,
                    });
                }
            }
        }
        refused
    }
}
