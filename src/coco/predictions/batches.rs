//! Reads the elements of a JSON list or object on all threads.
//!
//! The file is cut where an element seems to begin. A cut is a guess: it counts only if the reader of the elements before
//! it, going from one to the next, comes to exactly that place; otherwise the rest is read in one go. What is read is
//! therefore the same whatever the cuts.

use rayon::prelude::*;

use super::json::{Cursor, Syntax};

/// Large enough that handing out parts costs nothing, small enough that all threads end together.
pub(super) const BATCH_BYTES: usize = 1 << 18;

/// Whether an element of the outermost list or object seems to begin at an offset.
pub(super) type SeemsToBegin = fn(&[u8], usize) -> bool;

/// Where the reader of a part stopped.
enum End {
    /// Before an element that is another part's.
    Next(usize),
    /// At the closing bracket.
    Closed(usize),
}

/// The elements of a part.
struct Part<T> {
    elements: Vec<T>,
    end: Result<End, Syntax>,
}

/// Reads every element of the list or object that begins at `open`; in file order, a vector a part.
///
/// # Errors
/// The first place in the file that is no JSON, or that `element` refuses.
pub(super) fn read_elements<'a, T: Send>(
    bytes: &'a [u8],
    open: usize,
    batch_bytes: usize,
    seems_to_begin: SeemsToBegin,
    element: impl Fn(&mut Cursor<'a>) -> Result<T, Syntax> + Sync,
) -> Result<Vec<Vec<T>>, Syntax> {
    let (first, closer) = (open + 1, closer_of(bytes, open));
    let mut cursor = Cursor::new(bytes, first);
    if cursor.peek() == Some(closer) {
        return check_end(bytes, cursor.place()).map(|()| Vec::new());
    }
    let starts = cuts(bytes, first, batch_bytes, seems_to_begin);
    let read = |start, limit| read_part(bytes, start, limit, closer, &element);
    let parts: Vec<Part<T>> = match starts.as_slice() {
        [only] => vec![read(*only, None)],
        all => (0..all.len())
            .into_par_iter()
            .map(|index| read(all[index], all.get(index + 1).copied()))
            .collect(),
    };
    let mut runs = Vec::with_capacity(parts.len());
    let mut at = first;
    for (start, part) in starts.into_iter().zip(parts) {
        // A wrong cut: from here on there is one part.
        let is_wrong = start != at;
        let part = if is_wrong { read(at, None) } else { part };
        runs.push(part.elements);
        match part.end? {
            End::Closed(bracket) => {
                check_end(bytes, bracket)?;
                return Ok(runs);
            }
            End::Next(next) => at = next,
        }
    }
    // The last part has no limit: it ends at the bracket, or is an error.
    Err(Cursor::new(bytes, bytes.len()).error("the closing bracket"))
}

fn closer_of(bytes: &[u8], open: usize) -> u8 {
    match bytes.get(open) {
        Some(b'{') => b'}',
        _ => b']',
    }
}

/// `first`, and the first place that looks like a start in each stretch of `batch_bytes` behind it.
fn cuts(
    bytes: &[u8],
    first: usize,
    batch_bytes: usize,
    seems_to_begin: SeemsToBegin,
) -> Vec<usize> {
    let stretch = batch_bytes.max(1);
    let stretches = (first..bytes.len()).step_by(stretch).skip(1);
    let found = stretches.filter_map(|from| {
        let mut places = from..bytes.len().min(from + stretch);
        places.find(|&at| seems_to_begin(bytes, at))
    });
    std::iter::once(first).chain(found).collect()
}

/// Reads elements from `start` up to the first that begins at `limit` or behind it.
fn read_part<'a, T>(
    bytes: &'a [u8],
    start: usize,
    limit: Option<usize>,
    closer: u8,
    element: impl Fn(&mut Cursor<'a>) -> Result<T, Syntax>,
) -> Part<T> {
    let mut cursor = Cursor::new(bytes, start);
    let mut elements = Vec::new();
    let mut read = || {
        loop {
            elements.push(element(&mut cursor)?);
            if cursor.take(b',') {
                let next = cursor.place();
                if limit.is_some_and(|limit| next >= limit) {
                    return Ok(End::Next(next));
                }
            } else if cursor.peek() == Some(closer) {
                return Ok(End::Closed(cursor.place()));
            } else {
                return Err(cursor.error("`,` or the closing bracket"));
            }
        }
    };
    let end = read();
    Part { elements, end }
}

/// Nothing follows the closing bracket.
fn check_end(bytes: &[u8], bracket: usize) -> Result<(), Syntax> {
    let mut cursor = Cursor::new(bytes, bracket + 1);
    match cursor.peek() {
        None => Ok(()),
        Some(_) => Err(cursor.error("the end of the file")),
    }
}

/// Offset of the byte before `at` that is not blank.
pub(super) fn before(bytes: &[u8], at: usize) -> Option<usize> {
    bytes
        .get(..at)?
        .iter()
        .rposition(|byte| !matches!(byte, b' ' | b'\n' | b'\r' | b'\t'))
}

/// Whether a comma behind a closed object comes before `at`.
pub(super) fn follows_an_object(bytes: &[u8], at: usize) -> bool {
    let comma = before(bytes, at).filter(|&comma| bytes.get(comma) == Some(&b','));
    let brace = comma.and_then(|comma| before(bytes, comma));
    brace.is_some_and(|brace| bytes.get(brace) == Some(&b'}'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, batch_bytes: usize, guess: SeemsToBegin) -> Result<Vec<String>, Syntax> {
        let runs = read_elements(text.as_bytes(), 0, batch_bytes, guess, |cursor| {
            if text.starts_with('{') {
                cursor.key()?;
            }
            cursor.raw_value()
        })?;
        let texts = runs.into_iter().flatten();
        Ok(texts
            .map(|raw| String::from_utf8_lossy(raw).into_owned())
            .collect())
    }

    fn never(_: &[u8], _: usize) -> bool {
        false
    }

    /// Right about most texts below.
    fn behind_commas(bytes: &[u8], at: usize) -> bool {
        at > 0 && bytes[at - 1] == b','
    }

    /// Wrong nearly everywhere.
    fn always(_: &[u8], _: usize) -> bool {
        true
    }

    fn cuttings(text: &str) -> impl Iterator<Item = (usize, SeemsToBegin)> {
        let guesses: [SeemsToBegin; 2] = [behind_commas, always];
        guesses
            .into_iter()
            .flat_map(move |guess| (0..text.len()).map(move |bytes| (bytes, guess)))
    }

    #[test]
    fn runs_of_any_length_hold_the_same_elements() {
        let texts = [
            "[]",
            "[ ]",
            "{ }",
            "[1]",
            "[1,2 , 3]",
            r#"["]", "\"]", "\\", [[1],{"a":"}"}]]"#,
            r#"{"a": 1, "b": [1, 2], "c,": {"d": "{"}}"#,
        ];
        for text in texts {
            let want = read(text, usize::MAX, never).unwrap();
            let value: serde_json::Value = serde_json::from_str(text).unwrap();
            let count = value
                .as_array()
                .map(Vec::len)
                .or(value.as_object().map(|o| o.len()));
            assert_eq!(Some(want.len()), count, "{text}");
            for (batch_bytes, guess) in cuttings(text) {
                assert_eq!(read(text, batch_bytes, guess).unwrap(), want, "{text}");
            }
        }
    }

    #[test]
    fn the_first_error_is_told_whatever_the_runs() {
        for text in [
            "[",
            "{",
            "[1",
            "[1,",
            "[1,]",
            "[,1]",
            "[1,,2]",
            "[1 2]",
            "[1}",
            "[1] 2",
            "[\"a]",
            "{\"a\"}",
            "[1, nul, 3, x, 5]",
            "[[1}, 2]",
            "[1, [2, 3]",
            "{\"a\": 1, 5}",
            "[1, \"\\",
            "[1]]",
        ] {
            let want = read(text, usize::MAX, never).unwrap_err();
            for (batch_bytes, guess) in cuttings(text) {
                assert_eq!(read(text, batch_bytes, guess).unwrap_err(), want, "{text}");
            }
        }
    }
}
