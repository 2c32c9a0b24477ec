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
///
/// Eight characters are looked at together: which of them end a number is one comparison, and their bits, packed, hold
/// every number between two ends as neighbours. A character at a time costs a mispredicted branch for most numbers.
fn decode_runs(counts: &[u8], size: Size) -> Result<(Vec<u32>, u64), RleStringError> {
    let want = pixels(size)?;
    let mut runs = Vec::with_capacity(count_numbers(counts)?);
    let (mut before, mut last, mut total, mut at) = (0i64, 0i64, 0u64, 0);
    while at < counts.len() {
        let block = Block::of(counts.get(at..).unwrap_or_default());
        let (mut ends, mut start) = (block.ends, 0);
        if ends == 0 {
            return Err(if counts.len() - at > MAX_CHARACTERS as usize {
                RleStringError::TooLong { run: runs.len() }
            } else {
                RleStringError::Unfinished
            });
        }
        while ends != 0 {
            let run = runs.len();
            let end = ends.trailing_zeros() / 8 + 1;
            let difference = block.number(start, end);
            if end - start > MAX_CHARACTERS {
                return Err(RleStringError::TooLong { run });
            }
            let value = difference + if run > 2 { before } else { 0 };
            let length = u32::try_from(value).map_err(|_| RleStringError::Run { run, value })?;
            total += u64::from(length);
            if total > want {
                return Err(RleStringError::Overrun { want, size });
            }
            runs.push(length);
            (before, last) = (last, value);
            (start, ends) = (end, ends & (ends - 1));
        }
        at += start as usize;
    }
    Ok((runs, total))
}

/// How many numbers end in a string, all of whose characters are COCO's.
fn count_numbers(counts: &[u8]) -> Result<usize, RleStringError> {
    let is_known = |byte: u8| byte.wrapping_sub(BASE) < 2 * MORE;
    // Without a way out of the loop it is done sixteen bytes at a time.
    let (mut unknown, mut numbers) = (0usize, 0usize);
    for &byte in counts {
        unknown += usize::from(!is_known(byte));
        numbers += usize::from(byte.wrapping_sub(BASE) & MORE == 0);
    }
    if unknown == 0 {
        return Ok(numbers);
    }
    let found = counts
        .iter()
        .enumerate()
        .find(|&(_, &byte)| !is_known(byte));
    let (at, &byte) = found.unwrap_or((0, &0));
    Err(RleStringError::Character { at, byte })
}

/// Up to eight characters that `count_numbers` has seen.
struct Block {
    /// A bit in every byte that ends a number.
    ends: u64,
    /// The five bits of each character, the first one's lowest.
    packed: u64,
}

impl Block {
    const BYTES: usize = 8;

    fn of(rest: &[u8]) -> Self {
        let every = |byte: u8| u64::from_le_bytes([byte; Self::BYTES]);
        let bytes = rest.first_chunk().copied().unwrap_or_else(|| {
            // What is not there ends no number.
            let mut bytes = [BASE + MORE; Self::BYTES];
            bytes
                .iter_mut()
                .zip(rest)
                .for_each(|(to, &from)| *to = from);
            bytes
        });
        let codes = u64::from_le_bytes(bytes) - every(BASE);
        // 8 groups of 5 bits -> 4 of 10 -> 2 of 20 -> 40 bits
        let fives = codes & every(MORE - 1);
        let tens = (fives & 0x001f_001f_001f_001f) | ((fives >> 3) & 0x03e0_03e0_03e0_03e0);
        let twenties = (tens & 0x0000_03ff_0000_03ff) | ((tens >> 6) & 0x000f_fc00_000f_fc00);
        Self {
            ends: !codes & every(MORE),
            packed: (twenties & 0xf_ffff) | ((twenties >> 12) & 0xff_fff0_0000),
        }
    }

    /// The number of the characters `start..end`, with the sign of its highest bit.
    fn number(&self, start: u32, end: u32) -> i64 {
        let above = (self.packed << (u64::BITS - 5 * end)) as i64;
        above >> (u64::BITS - 5 * (end - start))
    }
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
