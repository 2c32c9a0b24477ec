//! What the text of a JSON value means where COCO expects an id, a number, a flag or a name.
//!
//! Tools write ids as `1.0` or `"1"`, flags as `true`, and numbers that do not exist as `NaN`: what is meant is read.

use std::borrow::Cow;

/// A number that is not negative and has no fraction, as an integer, a float or text of either.
pub(super) fn uint(text: &[u8]) -> Option<u64> {
    if let Some(value) = digits(text) {
        return Some(value);
    }
    let value = number(text)?;
    let is_whole = value.fract() == 0.0 && (0.0..9_007_199_254_740_992.0).contains(&value);
    is_whole.then_some(value as u64)
}

/// The plain spelling: digits alone.
fn digits(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0u64, |value, &byte| {
        let digit = byte.checked_sub(b'0').filter(|&digit| digit < 10)?;
        value.checked_mul(10)?.checked_add(u64::from(digit))
    })
}

/// A number, or text of one; it may be infinite or NaN.
pub(super) fn number(text: &[u8]) -> Option<f64> {
    let text = std::str::from_utf8(text).ok()?;
    let text = text
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'))
        .unwrap_or(text);
    text.trim().parse().ok()
}

/// 0, 1, `true`, `false` or text of a number; what is `null` is not set.
pub(super) fn flag(text: &[u8]) -> Option<bool> {
    match text {
        b"0" | b"false" | b"null" => Some(false),
        b"1" | b"true" => Some(true),
        _ => number(text).map(|value| value != 0.0),
    }
}

/// A box: a list of four finite numbers.
pub(super) fn four_numbers(text: &[u8]) -> Option<[f64; 4]> {
    let inside = text.strip_prefix(b"[")?.strip_suffix(b"]")?;
    let mut values = [0.0; 4];
    let mut parts = inside.split(|&byte| byte == b',');
    for value in &mut values {
        *value = number(parts.next()?.trim_ascii()).filter(|value| value.is_finite())?;
    }
    parts.next().is_none().then_some(values)
}

/// The text of a string, and whether it is as it stands in the file: bytes that are no UTF-8 are replaced.
pub(super) fn string(text: &[u8]) -> Option<(Cow<'_, str>, bool)> {
    let inside = text.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    if !inside.contains(&b'\\') {
        let text = String::from_utf8_lossy(inside);
        let is_whole = matches!(text, Cow::Borrowed(_));
        return Some((text, is_whole));
    }
    let whole = String::from_utf8_lossy(text);
    let is_whole = matches!(whole, Cow::Borrowed(_));
    match serde_json::from_str::<String>(&whole) {
        Ok(text) => Some((text.into(), is_whole)),
        // An escape that is none: the text as it stands.
        Err(_) => Some((String::from_utf8_lossy(inside), false)),
    }
}

/// A key as it is meant: escapes resolved.
pub(in crate::coco) fn key(raw: &[u8]) -> Cow<'_, [u8]> {
    if !raw.contains(&b'\\') {
        return raw.into();
    }
    let quoted = [b"\"", raw, b"\""].concat();
    match serde_json::from_slice::<String>(&quoted) {
        Ok(text) => text.into_bytes().into(),
        Err(_) => raw.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_meant() {
        for (text, want) in [
            ("12", Some(12)),
            ("18446744073709551615", Some(u64::MAX)),
            ("1.0", Some(1)),
            ("\"7\"", Some(7)),
            ("1e3", Some(1000)),
            ("-1", None),
            ("1.5", None),
            ("null", None),
            ("\"three\"", None),
            ("NaN", None),
            ("1e300", None),
            ("", None),
        ] {
            assert_eq!(uint(text.as_bytes()), want, "{text}");
        }
        for (text, want) in [
            ("0", Some(false)),
            ("1", Some(true)),
            ("1.0", Some(true)),
            ("true", Some(true)),
            ("\"0\"", Some(false)),
            ("null", Some(false)),
            ("[]", None),
        ] {
            assert_eq!(flag(text.as_bytes()), want, "{text}");
        }
        assert_eq!(
            four_numbers(b"[1, 2.5,3 ,4e1]"),
            Some([1.0, 2.5, 3.0, 40.0])
        );
        for text in [
            "[1,2,3]",
            "[1,2,3,4,5]",
            "[1,2,3,NaN]",
            "[1,2,3,null]",
            "null",
            "[]",
        ] {
            assert_eq!(four_numbers(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn names() {
        assert_eq!(string(br#""a\u00e4""#), Some(("aä".into(), true)));
        assert_eq!(string("\"ä\"".as_bytes()), Some(("ä".into(), true)));
        assert_eq!(string(b"\"\xff\""), Some(("\u{fffd}".into(), false)));
        assert_eq!(string(br#""\x""#), Some((r"\x".into(), false)));
        assert_eq!(string(b"3"), None);
        assert_eq!(&*key(br"\u0069d"), b"id");
        assert_eq!(&*key(b"id"), b"id");
    }
}
