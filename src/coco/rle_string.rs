//! The compressed `counts` string of COCO masks: runs as differences, five bits a character, low bits first.

use crate::structures::{Rle, Size};

/// Every character holds five bits and a continuation bit, above this code.
const BASE: u8 = 48;
/// Set where another character follows.
const MORE: u8 = 0x20;
/// Sign of a finished number.
const SIGN: u8 = 0x10;
/// A difference of two u32 runs needs 33 bits and a sign: seven characters.
const MAX_CHARACTERS: u32 = 7;

/// Why a `counts` string was refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum RleStringError {
    /// A byte that no encoder writes.
    #[error("byte {byte:#04x} at position {at} of counts is none of COCO's characters")]
    Character {
        /// Position in the string.
        at: usize,
        /// The byte.
        byte: u8,
    },
    /// The string stops inside a number.
    #[error("counts ends inside a number")]
    Unfinished,
    /// A run that cannot be: negative or beyond 32 bits.
    #[error("run {run} of counts is {value}, no length of a run")]
    Run {
        /// Index of the run.
        run: usize,
        /// Its value.
        value: i64,
    },
    /// A number of more characters than any run needs.
    #[error("run {run} of counts is longer than any number")]
    TooLong {
        /// Index of the run.
        run: usize,
    },
    /// More pixels than the mask has.
    #[error("counts holds more than the {want} pixels of a {size} mask")]
    Overrun {
        /// Pixels of the mask.
        want: u64,
        /// Size of the mask.
        size: Size,
    },
    /// Fewer pixels than the mask has, where all are wanted.
    #[error("counts holds {got} of the {want} pixels of a {size} mask")]
    Short {
        /// Pixels that the runs hold.
        got: u64,
        /// Pixels of the mask.
        want: u64,
        /// Size of the mask.
        size: Size,
    },
    /// A size that COCO's 32-bit runs cannot hold.
    #[error("a mask of {size} is too large: at most {} pixels", u32::MAX)]
    Size {
        /// The size.
        size: Size,
    },
}

/// The `counts` string of a mask.
pub fn encode(mask: &Rle) -> String {
    let runs = mask.runs();
    let mut text = String::with_capacity(runs.len() * 2);
    for (index, &run) in runs.iter().enumerate() {
        let before = if index > 2 { runs[index - 2] } else { 0 };
        push_number(&mut text, i64::from(run) - i64::from(before));
    }
    text
}

fn push_number(text: &mut String, mut rest: i64) {
    loop {
        let mut bits = (rest & 0x1f) as u8;
        rest >>= 5;
        let more = if bits & SIGN == 0 {
            rest != 0
        } else {
            rest != -1
        };
        if more {
            bits |= MORE;
        }
        text.push(char::from(BASE + bits));
        if !more {
            return;
        }
    }
}

/// The mask of a `counts` string. Pixels that the string leaves out are background, as in pycocotools.
///
/// # Errors
/// A string that no encoder writes, or one that does not fit the size. Memory is bounded by the string's length.
pub fn decode(counts: &str, size: Size) -> Result<Rle, RleStringError> {
    let want = pixels(size)?;
    let (mut runs, total) = decode_runs(counts.as_bytes(), size)?;
    fill_with_background(&mut runs, (want - total) as u32);
    Rle::new(size, runs).map_err(|_| RleStringError::Overrun { want, size })
}

/// The mask of a `counts` string that must hold every pixel: pycocotools does not end where two masks are compared and
/// one stops short.
///
/// # Errors
/// As `decode`, and a string that leaves pixels out.
pub fn decode_whole(counts: &[u8], size: Size) -> Result<Rle, RleStringError> {
    let (runs, got) = decode_runs(counts, size)?;
    whole(runs, got, size)
}

/// The mask of uncompressed runs that must hold every pixel.
///
/// # Errors
/// Runs that hold more or fewer pixels than the mask.
pub fn from_whole_runs(runs: Vec<u32>, size: Size) -> Result<Rle, RleStringError> {
    let want = pixels(size)?;
    let got = runs.iter().map(|&run| u64::from(run)).sum::<u64>();
    if got > want {
        return Err(RleStringError::Overrun { want, size });
    }
    whole(runs, got, size)
}

fn whole(runs: Vec<u32>, got: u64, size: Size) -> Result<Rle, RleStringError> {
    let want = pixels(size)?;
    Rle::new(size, runs).map_err(|_| RleStringError::Short { got, want, size })
}

/// Pixels of a mask that 32-bit runs can hold.
fn pixels(size: Size) -> Result<u64, RleStringError> {
    let pixels = size.pixels() as u64;
    if pixels > u64::from(u32::MAX) {
        return Err(RleStringError::Size { size });
    }
    Ok(pixels)
}

/// The runs of a string and the sum of them, which is at most the mask's pixels.
fn decode_runs(counts: &[u8], size: Size) -> Result<(Vec<u32>, u64), RleStringError> {
    let want = pixels(size)?;
    let mut runs: Vec<u32> = Vec::with_capacity(counts.len() / 2 + 1);
    let (mut value, mut characters, mut total) = (0i64, 0u32, 0u64);
    for (at, &byte) in counts.iter().enumerate() {
        let bits = byte
            .checked_sub(BASE)
            .filter(|&bits| bits < 2 * MORE)
            .ok_or(RleStringError::Character { at, byte })?;
        let run = runs.len();
        if characters == MAX_CHARACTERS {
            return Err(RleStringError::TooLong { run });
        }
        value |= i64::from(bits & 0x1f) << (5 * characters);
        characters += 1;
        if bits & MORE != 0 {
            continue;
        }
        if bits & SIGN != 0 {
            value |= -1i64 << (5 * characters);
        }
        if run > 2 {
            value += i64::from(runs[run - 2]);
        }
        let length = u32::try_from(value).map_err(|_| RleStringError::Run { run, value })?;
        total += u64::from(length);
        if total > want {
            return Err(RleStringError::Overrun { want, size });
        }
        runs.push(length);
        (value, characters) = (0, 0);
    }
    if characters > 0 {
        return Err(RleStringError::Unfinished);
    }
    Ok((runs, total))
}

/// The mask of uncompressed runs. Pixels that they leave out are background, as in pycocotools.
///
/// # Errors
/// Runs that hold more pixels than the mask.
pub fn from_runs(mut runs: Vec<u32>, size: Size) -> Result<Rle, RleStringError> {
    let want = pixels(size)?;
    let total = runs.iter().map(|&run| u64::from(run)).sum::<u64>();
    let missing = want
        .checked_sub(total)
        .ok_or(RleStringError::Overrun { want, size })?;
    fill_with_background(&mut runs, missing as u32);
    Rle::new(size, runs).map_err(|_| RleStringError::Overrun { want, size })
}

/// Adds the pixels that the runs leave out.
fn fill_with_background(runs: &mut Vec<u32>, missing: u32) {
    if missing == 0 && !runs.is_empty() {
        return;
    }
    let ends_on_background = runs.len() % 2 == 1;
    match runs.last_mut() {
        Some(background) if ends_on_background => *background += missing,
        _ => runs.push(missing),
    }
}
