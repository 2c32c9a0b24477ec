//! The `segmentation` of a record: polygons, or run lengths in either spelling.

use std::borrow::Cow;

use super::{fields, scan};
use crate::structures::Size;

/// What an annotation's mask is made of.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::coco) enum Segmentation {
    /// Not there, `null` or an empty list.
    Absent,
    /// Flat `x, y, x, y, ..` of each part.
    Polygons(Vec<Vec<f64>>),
    /// The compressed string.
    Compressed { size: Size, counts: String },
    /// The run lengths themselves.
    Runs { size: Size, counts: Vec<u32> },
}

/// The segmentation in the text of an annotation's record.
pub(in crate::coco) fn of_record(record: &[u8]) -> Result<Segmentation, String> {
    let mut found = None;
    scan::members(record, 0, |key, span| {
        if &*fields::key(key) == b"segmentation" {
            found = record.get(span);
        }
    })
    .map_err(|_| "its record is no JSON object")?;
    match found {
        None | Some(b"null") => Ok(Segmentation::Absent),
        Some(text) => read(text),
    }
}

pub(in crate::coco) fn read(text: &[u8]) -> Result<Segmentation, String> {
    match text.first() {
        Some(b'[') => {
            let parts = polygons(text)?;
            Ok(if parts.is_empty() {
                Segmentation::Absent
            } else {
                Segmentation::Polygons(parts)
            })
        }
        Some(b'{') => runs(text),
        _ => Err("its segmentation is neither polygons nor run lengths".into()),
    }
}

/// A list of parts; a part that is not in a list of its own counts as the only one.
fn polygons(text: &[u8]) -> Result<Vec<Vec<f64>>, String> {
    let first = text.get(scan::skip_space(text, 1));
    if first.is_some_and(|&byte| byte != b'[' && byte != b']') {
        return Ok(vec![numbers(text)?]);
    }
    let mut parts = Vec::new();
    let mut wrong = None;
    scan::elements(text, 0, |span| {
        match text.get(span).map_or_else(|| Err(String::new()), numbers) {
            Ok(part) => parts.push(part),
            Err(reason) => wrong = Some(reason),
        }
    })
    .map_err(|_| "its polygons are no JSON")?;
    match wrong {
        None => Ok(parts),
        Some(reason) => Err(reason),
    }
}

/// The coordinates of a part, all finite.
fn numbers(text: &[u8]) -> Result<Vec<f64>, String> {
    if let Ok(values) = serde_json::from_slice::<Vec<f64>>(text) {
        return Ok(values);
    }
    let mut values = Vec::new();
    let mut wrong = None;
    let scanned = scan::elements(text, 0, |span| {
        let value = text.get(span).unwrap_or_default();
        match fields::number(value).filter(|value| value.is_finite()) {
            Some(value) => values.push(value),
            None => wrong = wrong.take().or_else(|| Some(shortened(value))),
        }
    });
    match (scanned, wrong) {
        (Ok(_), None) => Ok(values),
        (Ok(_), Some(value)) => Err(format!("`{value}` in its polygons is no finite number")),
        (Err(_), _) => Err("its polygons are no lists of numbers".into()),
    }
}

fn runs(text: &[u8]) -> Result<Segmentation, String> {
    let (mut size, mut counts) = (None, None);
    scan::members(text, 0, |key, span| match &*fields::key(key) {
        b"size" => size = text.get(span),
        b"counts" => counts = text.get(span),
        _ => {}
    })
    .map_err(|_| "its run lengths are no JSON object")?;
    let size = size
        .and_then(uints)
        .and_then(|sides| match sides.as_slice() {
            &[height, width] => Some(Size::new(width as usize, height as usize)),
            _ => None,
        })
        .ok_or("its run lengths have no `size` of two whole numbers")?;
    match counts {
        Some(text) if text.starts_with(b"\"") => {
            let counts = fields::string(text).map_or(Cow::Borrowed(""), |(text, _)| text);
            let counts = counts.into_owned();
            Ok(Segmentation::Compressed { size, counts })
        }
        Some(text) => match uints(text) {
            Some(counts) => Ok(Segmentation::Runs { size, counts }),
            None => Err("its `counts` are neither a string nor whole numbers from 0 up".into()),
        },
        None => Err("its run lengths have no `counts`".into()),
    }
}

/// A list of whole numbers of 32 bits, floats without a fraction among them.
fn uints(text: &[u8]) -> Option<Vec<u32>> {
    if let Ok(values) = serde_json::from_slice::<Vec<u32>>(text) {
        return Some(values);
    }
    let mut values = Vec::new();
    let mut is_right = true;
    scan::elements(text, 0, |span| {
        let value = text.get(span).and_then(fields::uint);
        match value.and_then(|value| u32::try_from(value).ok()) {
            Some(value) => values.push(value),
            None => is_right = false,
        }
    })
    .ok()?;
    is_right.then_some(values)
}

/// The beginning of a text that goes into a message.
fn shortened(text: &[u8]) -> String {
    const LONGEST: usize = 20;
    let text = String::from_utf8_lossy(text);
    text.chars().take(LONGEST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling() {
        let size = Size::new(6, 4);
        let triangle = vec![0.0, 1.0, 2.0, 1.5, 3.0, 4.0];
        for (text, want) in [
            (
                "[[0,1,2,1.5,3,4]]",
                Segmentation::Polygons(vec![triangle.clone()]),
            ),
            (
                "[ 0,1, 2,1.5,3,4 ]",
                Segmentation::Polygons(vec![triangle.clone()]),
            ),
            (
                "[[\"0\",1,2,1.5,3,4]]",
                Segmentation::Polygons(vec![triangle]),
            ),
            ("[]", Segmentation::Absent),
            ("null", Segmentation::Absent),
            (
                "{\"size\":[4,6],\"counts\":\"4\\u0038\"}",
                Segmentation::Compressed {
                    size,
                    counts: "48".into(),
                },
            ),
            (
                "{\"counts\":[1,2.0,3],\"size\":[4.0,6]}",
                Segmentation::Runs {
                    size,
                    counts: vec![1, 2, 3],
                },
            ),
        ] {
            let record = format!("{{\"id\":1,\"segmentation\":{text} }}");
            assert_eq!(of_record(record.as_bytes()), Ok(want), "{text}");
        }
        for (text, words) in [
            ("[[0,NaN]]", "`NaN` in its polygons"),
            ("[[0,,1]]", "no lists of numbers"),
            ("[[0],3]", "no lists of numbers"),
            ("\"x\"", "neither polygons nor"),
            ("{\"counts\":\"4\"}", "no `size`"),
            ("{\"size\":[4,6]}", "no `counts`"),
            ("{\"size\":[4,6],\"counts\":[-1]}", "neither a string nor"),
        ] {
            let record = format!("{{\"segmentation\":{text}}}");
            let reason = of_record(record.as_bytes()).unwrap_err();
            assert!(reason.contains(words), "{text}: {reason}");
        }
    }
}
