//! A second reading of sets that hotcoco refuses: a record that does not fit costs itself, not the file.
//!
//! Roboflow, for one, writes the year of `info` as text. Nothing here needs `info` or `licenses`.

use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, SeqAccess, Visitor};
use serde_json::Value;

/// Reasons that are told one by one.
const SHOWN: usize = 3;

#[derive(Deserialize)]
struct Raw {
    images: Records<hotcoco::Image>,
    #[serde(default)]
    annotations: Records<hotcoco::Annotation>,
    #[serde(default)]
    categories: Records<hotcoco::Category>,
}

/// Reads a set record by record; what was left out is added to the notes.
pub(super) fn read(bytes: &[u8], notes: &mut Vec<String>) -> serde_json::Result<hotcoco::Dataset> {
    let raw: Raw = serde_json::from_slice(bytes)?;
    raw.images.tell("images", notes);
    raw.annotations.tell("annotations", notes);
    raw.categories.tell("categories", notes);
    Ok(hotcoco::Dataset {
        info: None,
        images: raw.images.kept,
        annotations: raw.annotations.kept,
        categories: raw.categories.kept,
        licenses: Vec::new(),
    })
}

/// A list of records, those that fit and why others did not.
struct Records<T> {
    kept: Vec<T>,
    dropped: usize,
    reasons: Vec<String>,
}

impl<T> Default for Records<T> {
    fn default() -> Self {
        Self {
            kept: Vec::new(),
            dropped: 0,
            reasons: Vec::new(),
        }
    }
}

impl<T> Records<T> {
    fn tell(&self, kind: &str, notes: &mut Vec<String>) {
        if self.dropped > 0 {
            notes.push(format!(
                "{} {kind} could not be read and are left out: {}",
                self.dropped,
                self.reasons.join("; ")
            ));
        }
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Records<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(RecordsVisitor(PhantomData))
    }
}

struct RecordsVisitor<T>(PhantomData<T>);

impl<'de, T: DeserializeOwned> Visitor<'de> for RecordsVisitor<T> {
    type Value = Records<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of records")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut records: A) -> Result<Self::Value, A::Error> {
        let mut found = Records::default();
        let mut index = 0usize;
        while let Some(value) = records.next_element::<Value>()? {
            match T::deserialize(value) {
                Ok(record) => found.kept.push(record),
                Err(error) => {
                    found.dropped += 1;
                    if found.reasons.len() < SHOWN {
                        found.reasons.push(format!("number {index}: {error}"));
                    }
                }
            }
            index += 1;
        }
        Ok(found)
    }
}
