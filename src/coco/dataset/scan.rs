//! Finds where JSON values begin and end without making them: one look at each byte, no recursion, no allocation.

use std::ops::Range;

/// Levels whose kinds of brackets are checked; deeper ones are only counted.
const CHECKED_LEVELS: u32 = u64::BITS;
/// Bytes that are looked at together.
const STRIDE: usize = 16;

/// Where a scan stopped, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::coco) struct ScanError {
    /// Position in the bytes given.
    pub at: usize,
    pub stop: Stop,
}

/// Why a scan stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::coco) enum Stop {
    /// The bytes end inside a value.
    End,
    /// No JSON; what was expected.
    Syntax(&'static str),
}

type Scanned<T> = Result<T, ScanError>;

fn syntax<T>(at: usize, expected: &'static str) -> Scanned<T> {
    Err(ScanError {
        at,
        stop: Stop::Syntax(expected),
    })
}

fn end<T>(bytes: &[u8]) -> Scanned<T> {
    Err(ScanError {
        at: bytes.len(),
        stop: Stop::End,
    })
}

/// The first byte at or after `at` that is no white space, or the end.
pub(in crate::coco) fn skip_space(bytes: &[u8], mut at: usize) -> usize {
    while matches!(bytes.get(at), Some(b' ' | b'\n' | b'\r' | b'\t')) {
        at += 1;
    }
    at
}

/// Just after the value that begins at `at`.
pub(in crate::coco) fn value_end(bytes: &[u8], at: usize) -> Scanned<usize> {
    match bytes.get(at) {
        None => end(bytes),
        Some(b'"') => string_end(bytes, at),
        Some(b'{' | b'[') => nested_end(bytes, at),
        Some(b'-' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z') => token_end(bytes, at),
        Some(_) => syntax(at, "a value"),
    }
}

/// Just after the string whose opening quote is at `at`.
pub(in crate::coco) fn string_end(bytes: &[u8], at: usize) -> Scanned<usize> {
    let mut at = at + 1;
    loop {
        at = skip_while(bytes, at, |byte| byte != b'"' && byte != b'\\');
        match bytes.get(at) {
            None => return end(bytes),
            Some(b'"') => return Ok(at + 1),
            Some(_) => at += 2, // whatever is escaped
        }
    }
}

/// Just after a number or a word.
fn token_end(bytes: &[u8], mut at: usize) -> Scanned<usize> {
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'+' | b'-' | b'.' => at += 1,
            b',' | b']' | b'}' | b' ' | b'\n' | b'\r' | b'\t' => return Ok(at),
            _ => return syntax(at, "the end of a number"),
        }
    }
    end(bytes) // more of it may follow
}

/// Just after the list or object at `at`, however deep.
fn nested_end(bytes: &[u8], mut at: usize) -> Scanned<usize> {
    // One bit a level: set for an object.
    let (mut kinds, mut depth, mut deepest) = (0u64, 0u32, 0u32);
    loop {
        // Numbers, commas and space lie below the letters: a polygon is passed in strides.
        at = skip_while(bytes, at, |byte| byte < b'@' && byte != b'"');
        match bytes.get(at) {
            None => return end(bytes),
            Some(b'"') => at = string_end(bytes, at)?,
            Some(&open @ (b'{' | b'[')) => {
                kinds = kinds << 1 | u64::from(open == b'{');
                depth += 1;
                deepest = deepest.max(depth);
                at += 1;
            }
            Some(&close @ (b'}' | b']')) => {
                if deepest <= CHECKED_LEVELS && (kinds & 1 == 1) != (close == b'}') {
                    return syntax(at, "the bracket that was opened");
                }
                kinds >>= 1;
                depth -= 1; // the first byte opened one, and at zero the loop ends
                at += 1;
                if depth == 0 {
                    return Ok(at);
                }
            }
            Some(_) => at += 1,
        }
    }
}

/// The first byte at or after `at` that is not `plain`, or the end.
fn skip_while(bytes: &[u8], mut at: usize, plain: impl Fn(u8) -> bool) -> usize {
    while let Some(stride) = bytes.get(at..at + STRIDE) {
        // No early exit, so that the compiler compares all of them at once.
        let all_plain = stride.iter().fold(true, |all, &byte| all & plain(byte));
        if !all_plain {
            break;
        }
        at += STRIDE;
    }
    while bytes.get(at).is_some_and(|&byte| plain(byte)) {
        at += 1;
    }
    at
}

/// Calls `each` with the bytes of every key (between its quotes, escapes as they are) and the span of its value, for
/// the object at `at`; just after it.
pub(in crate::coco) fn members<'a>(
    bytes: &'a [u8],
    at: usize,
    mut each: impl FnMut(&'a [u8], Range<usize>),
) -> Scanned<usize> {
    if bytes.get(at) != Some(&b'{') {
        return syntax(at, "an object");
    }
    let mut at = skip_space(bytes, at + 1);
    if bytes.get(at) == Some(&b'}') {
        return Ok(at + 1);
    }
    loop {
        match bytes.get(at) {
            Some(b'"') => {}
            None => return end(bytes),
            Some(_) => return syntax(at, "a key in quotes"),
        }
        let key_end = string_end(bytes, at)?;
        let key = &bytes[at + 1..key_end - 1];
        at = skip_space(bytes, key_end);
        match bytes.get(at) {
            Some(b':') => {}
            None => return end(bytes),
            Some(_) => return syntax(at, "a colon"),
        }
        let start = skip_space(bytes, at + 1);
        let stop = value_end(bytes, start)?;
        each(key, start..stop);
        at = skip_space(bytes, stop);
        match bytes.get(at) {
            Some(b',') => at = skip_space(bytes, at + 1),
            Some(b'}') => return Ok(at + 1),
            None => return end(bytes),
            Some(_) => return syntax(at, "a comma or the end of the object"),
        }
    }
}

/// Calls `each` with the span of every value of the list at `at`; just after it.
pub(in crate::coco) fn elements(
    bytes: &[u8],
    at: usize,
    mut each: impl FnMut(Range<usize>),
) -> Scanned<usize> {
    if bytes.get(at) != Some(&b'[') {
        return syntax(at, "a list");
    }
    let mut at = skip_space(bytes, at + 1);
    if bytes.get(at) == Some(&b']') {
        return Ok(at + 1);
    }
    loop {
        let stop = value_end(bytes, at)?;
        each(at..stop);
        at = skip_space(bytes, stop);
        match bytes.get(at) {
            Some(b',') => at = skip_space(bytes, at + 1),
            Some(b']') => return Ok(at + 1),
            None => return end(bytes),
            Some(_) => return syntax(at, "a comma or the end of the list"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_of_values() {
        for (text, want) in [
            ("12,", Ok(2)),
            ("12", Err(Stop::End)),
            ("-1.5e+3]", Ok(7)),
            ("NaN}", Ok(3)),
            (r#""a\"]",1"#, Ok(6)),
            (r#""a\"#, Err(Stop::End)),
            ("[]", Ok(2)),
            ("[[1,2],{\"a]\":[3]}] ", Ok(18)),
            ("[1}", Err(Stop::Syntax("the bracket that was opened"))),
            ("[1,2", Err(Stop::End)),
            ("*", Err(Stop::Syntax("a value"))),
            ("", Err(Stop::End)),
            ("1*2", Err(Stop::Syntax("the end of a number"))),
        ] {
            let got = value_end(text.as_bytes(), 0).map_err(|error| error.stop);
            assert_eq!(got, want, "{text}");
        }
    }

    #[test]
    fn depth_costs_no_stack() {
        for depth in [64, 65, 100_000] {
            let text = "[".repeat(depth) + &"]".repeat(depth) + ",";
            assert_eq!(value_end(text.as_bytes(), 0), Ok(2 * depth));
        }
        let open = "[".repeat(100_000);
        assert_eq!(value_end(open.as_bytes(), 0).unwrap_err().stop, Stop::End);
    }

    #[test]
    fn members_and_elements() {
        let text = br#"{ "a" : [1, 2] ,"b\"":"}" }x"#;
        let mut found = Vec::new();
        let end = members(text, 0, |key, span| found.push((key, &text[span]))).unwrap();
        assert_eq!(end, text.len() - 1);
        assert_eq!(found, [(&b"a"[..], &b"[1, 2]"[..]), (b"b\\\"", b"\"}\"")]);
        let mut found = Vec::new();
        elements(b"[1 , [2,3],{}]", 0, |span| found.push(span)).unwrap();
        assert_eq!(found, [1..2, 5..10, 11..13]);
        for (text, expected) in [
            ("{1:2}", "a key in quotes"),
            ("{\"a\" 2}", "a colon"),
            ("{\"a\":2 3}", "a comma or the end of the object"),
            ("{\"a\":2,}", "a key in quotes"),
            ("[]", "an object"),
        ] {
            let error = members(text.as_bytes(), 0, |_, _| {}).unwrap_err();
            assert_eq!(error.stop, Stop::Syntax(expected), "{text}");
        }
        let error = elements(b"[1,]", 0, |_| {}).unwrap_err();
        assert_eq!(error.stop, Stop::Syntax("a value"));
    }
}
