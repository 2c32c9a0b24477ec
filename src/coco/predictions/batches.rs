//! Splits a JSON list or object into runs of whole elements, and reads the runs on all threads.
//!
//! Splitting only counts brackets outside strings; whether a run is JSON is found out where it is read.

use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;

use super::json::{Cursor, Syntax};

/// Large enough that handing out runs costs nothing, small enough that all threads end together.
pub(super) const BATCH_BYTES: usize = 1 << 18;

/// Elements that follow each other, without the brackets around all and the comma behind.
struct Batch {
    start: usize,
    end: usize,
    /// First run of the file, which may hold nothing where it is the last too.
    is_first: bool,
    last: Option<Last>,
}

/// How the last run ends.
#[derive(Clone, Copy, PartialEq)]
enum Last {
    /// Before the closing bracket.
    Closed,
    /// At the end of the file, with brackets or a string open.
    Cut,
}

/// Walks over the elements of the outermost list or object.
struct Splitter<'a> {
    bytes: &'a [u8],
    batch_bytes: usize,
    at: usize,
    /// Brackets open inside the outermost.
    depth: usize,
    is_first: bool,
    is_done: bool,
}

impl Iterator for Splitter<'_> {
    type Item = Batch;

    fn next(&mut self) -> Option<Batch> {
        if self.is_done {
            return None;
        }
        let start = self.at;
        let (end, last) = self.walk();
        self.is_done = last.is_some();
        let is_first = std::mem::take(&mut self.is_first);
        Some(Batch {
            start,
            end,
            is_first,
            last,
        })
    }
}

impl Splitter<'_> {
    /// Goes on to the end of a run.
    fn walk(&mut self) -> (usize, Option<Last>) {
        let enough = self.at + self.batch_bytes;
        let mut at = self.at;
        while let Some(&byte) = self.bytes.get(at) {
            at += 1;
            match byte {
                b'"' => at = behind_string(self.bytes, at),
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' if self.depth == 0 => {
                    self.at = at;
                    return (at - 1, Some(Last::Closed));
                }
                b'}' | b']' => self.depth -= 1,
                b',' if self.depth == 0 && at >= enough => {
                    self.at = at;
                    return (at - 1, None);
                }
                _ => {}
            }
        }
        self.at = self.bytes.len();
        (self.bytes.len(), Some(Last::Cut))
    }
}

/// Offset behind the string whose first character is at `at`; the file's end where it has none.
fn behind_string(bytes: &[u8], mut at: usize) -> usize {
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// Reads every element of the list or object that begins at `open`; in file order, a vector a run.
///
/// # Errors
/// The first place in the file that is no JSON, or that `element` refuses.
pub(super) fn read_elements<'a, T: Send>(
    bytes: &'a [u8],
    open: usize,
    batch_bytes: usize,
    element: impl Fn(&mut Cursor<'a>) -> Result<T, Syntax> + Sync,
) -> Result<Vec<Vec<T>>, Syntax> {
    let mut splitter = Splitter {
        bytes,
        batch_bytes,
        at: open + 1,
        depth: 0,
        is_first: true,
        is_done: false,
    };
    let read = |batch: &Batch| read_batch(bytes, batch, &element);
    let runs = if bytes.len() - open <= batch_bytes {
        splitter
            .by_ref()
            .map(|batch| read(&batch))
            .collect::<Result<_, _>>()?
    } else {
        read_parallel(&mut splitter, &read)?
    };
    check_end(bytes, open, splitter.at)?;
    Ok(runs)
}

type Run<T> = (usize, Result<Vec<T>, Syntax>);

fn read_parallel<T: Send>(
    splitter: &mut Splitter<'_>,
    read: &(impl Fn(&Batch) -> Result<Vec<T>, Syntax> + Sync),
) -> Result<Vec<Vec<T>>, Syntax> {
    // Runs behind a broken one are not wanted; those before it are, since they may hold the first error.
    let broken = AtomicUsize::new(usize::MAX);
    let mut runs: Vec<Run<T>> = splitter
        .enumerate()
        .par_bridge()
        .filter_map(|(index, batch)| {
            if index > broken.load(Ordering::Relaxed) {
                return None;
            }
            let elements = read(&batch);
            if elements.is_err() {
                broken.fetch_min(index, Ordering::Relaxed);
            }
            Some((index, elements))
        })
        .collect();
    runs.sort_unstable_by_key(|&(index, _)| index);
    runs.into_iter().map(|(_, elements)| elements).collect()
}

fn read_batch<'a, T>(
    bytes: &'a [u8],
    batch: &Batch,
    element: impl Fn(&mut Cursor<'a>) -> Result<T, Syntax>,
) -> Result<Vec<T>, Syntax> {
    let mut cursor = Cursor::new(bytes, batch.start, batch.end);
    let mut elements = Vec::new();
    let may_be_empty = batch.is_first && batch.last.is_some();
    if may_be_empty && cursor.peek().is_none() {
        return cut(&mut cursor, batch).map(|()| elements);
    }
    loop {
        elements.push(element(&mut cursor)?);
        if cursor.peek().is_none() {
            break;
        }
        if !cursor.take(b',') {
            return Err(cursor.error("`,`"));
        }
    }
    cut(&mut cursor, batch).map(|()| elements)
}

fn cut(cursor: &mut Cursor<'_>, batch: &Batch) -> Result<(), Syntax> {
    match batch.last {
        Some(Last::Cut) => Err(cursor.error("`,` or the closing bracket")),
        _ => Ok(()),
    }
}

/// The closing bracket is of the opening one's kind, and nothing follows it.
fn check_end(bytes: &[u8], open: usize, behind: usize) -> Result<(), Syntax> {
    let closer = match bytes.get(open) {
        Some(b'{') => b'}',
        _ => b']',
    };
    let mut cursor = Cursor::new(bytes, behind.saturating_sub(1), bytes.len());
    if !cursor.take(closer) {
        return Err(cursor.error("the other closing bracket"));
    }
    match cursor.peek() {
        None => Ok(()),
        Some(_) => Err(cursor.error("the end of the file")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, batch_bytes: usize) -> Result<Vec<String>, Syntax> {
        let runs = read_elements(text.as_bytes(), 0, batch_bytes, |cursor| {
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
            let want = read(text, usize::MAX).unwrap();
            let value: serde_json::Value = serde_json::from_str(text).unwrap();
            let count = value
                .as_array()
                .map(Vec::len)
                .or(value.as_object().map(|o| o.len()));
            assert_eq!(Some(want.len()), count, "{text}");
            for batch_bytes in 0..text.len() {
                assert_eq!(read(text, batch_bytes).unwrap(), want, "{text}");
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
            let want = read(text, usize::MAX).unwrap_err();
            for batch_bytes in 0..text.len() {
                assert_eq!(read(text, batch_bytes).unwrap_err(), want, "{text}");
            }
        }
    }
}
