//! Numbers and strings of a JSON as they stand in the file; what they mean is found out only where it is wanted.

use std::borrow::Cow;

/// A number as written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Number<'a>(&'a [u8]);

impl<'a> Number<'a> {
    /// Of bytes that JSON's grammar, or Python's, calls a number.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Its text.
    pub fn text(self) -> &'a str {
        std::str::from_utf8(self.0).unwrap_or_default() // ASCII
    }

    /// Its value, if it is written with digits alone.
    pub fn digits(self) -> Option<u64> {
        if self.0.len() > 19 || self.0.is_empty() {
            return self.text().parse().ok(); // perhaps beyond 64 bits
        }
        self.0.iter().try_fold(0u64, |value, byte| {
            let digit = byte.wrapping_sub(b'0');
            (digit <= 9).then_some(10 * value + u64::from(digit))
        })
    }
}

/// A string between its quotes, escapes checked but not resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Text<'a> {
    pub raw: &'a [u8],
    has_escapes: bool,
}

impl<'a> Text<'a> {
    /// Of the bytes between two quotes.
    pub fn new(raw: &'a [u8], has_escapes: bool) -> Self {
        Self { raw, has_escapes }
    }

    /// The bytes meant; borrowed where nothing is escaped.
    pub fn bytes(self) -> Cow<'a, [u8]> {
        if !self.has_escapes {
            return Cow::Borrowed(self.raw);
        }
        let mut bytes = Vec::with_capacity(self.raw.len());
        let mut rest = self.raw;
        loop {
            let (plain, tail) = rest.split_at(plain_length(rest));
            bytes.extend_from_slice(plain);
            // In a checked string nothing but backslashes ends the plain bytes.
            let Some((_, escape)) = tail.split_first() else {
                break;
            };
            rest = unescape(escape, &mut bytes);
        }
        Cow::Owned(bytes)
    }

    /// The text meant; `None` where it is not UTF-8.
    pub fn text(self) -> Option<Cow<'a, str>> {
        match self.bytes() {
            Cow::Borrowed(bytes) => std::str::from_utf8(bytes).ok().map(Cow::Borrowed),
            Cow::Owned(bytes) => String::from_utf8(bytes).ok().map(Cow::Owned),
        }
    }

    /// The text meant, with a mark for every byte that is not UTF-8: for messages.
    pub fn lossy(self) -> String {
        String::from_utf8_lossy(&self.bytes()).into_owned()
    }
}

/// Adds what the escape behind a backslash means; returns what follows it. Halves of pairs that stand alone become
/// U+FFFD.
fn unescape<'a>(rest: &'a [u8], bytes: &mut Vec<u8>) -> &'a [u8] {
    let Some((&letter, rest)) = rest.split_first() else {
        return rest;
    };
    bytes.push(match letter {
        b'b' => 8,
        b'f' => 12,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'u' => return unescape_unicode(rest, bytes),
        itself => itself,
    });
    rest
}

fn unescape_unicode<'a>(rest: &'a [u8], bytes: &mut Vec<u8>) -> &'a [u8] {
    let (first, mut rest) = hex4(rest);
    let mut unit = char::from_u32(first);
    if unit.is_none()
        && let Some(tail) = rest.strip_prefix(b"\\u")
    {
        let (second, after) = hex4(tail);
        let pair = [first as u16, second as u16];
        unit = char::decode_utf16(pair).next().and_then(Result::ok);
        if unit.is_some() {
            rest = after;
        }
    }
    let unit = unit.unwrap_or(char::REPLACEMENT_CHARACTER);
    bytes.extend_from_slice(unit.encode_utf8(&mut [0; 4]).as_bytes());
    rest
}

/// Four hexadecimal digits, which `Cursor::string` has checked.
fn hex4(rest: &[u8]) -> (u32, &[u8]) {
    let (digits, rest) = rest.split_at(rest.len().min(4));
    let value = digits.iter().fold(0, |value, &digit| {
        value * 16 + char::from(digit).to_digit(16).unwrap_or(0)
    });
    (value, rest)
}

/// Bytes before the next quote, backslash or control character.
pub(super) fn plain_length(bytes: &[u8]) -> usize {
    let is_plain = |byte: &u8| !matches!(byte, b'"' | b'\\' | 0..0x20);
    let (words, rest) = bytes.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let ends = ends_in(u64::from_le_bytes(*word));
        if ends != 0 {
            return 8 * index + ends.trailing_zeros() as usize / 8;
        }
    }
    let tail = rest.iter().take_while(|byte| is_plain(byte)).count();
    8 * words.len() + tail
}

/// The high bit of every byte that is no plain one; of those above the lowest such byte some may be set wrongly.
fn ends_in(word: u64) -> u64 {
    let every = |byte: u8| u64::from_le_bytes([byte; 8]);
    // A byte below a limit borrows from its high bit, unless that was set before.
    let below = |word: u64, limit: u8| word.wrapping_sub(every(limit)) & !word;
    let quotes = below(word ^ every(b'"'), 1);
    let backslashes = below(word ^ every(b'\\'), 1);
    (quotes | backslashes | below(word, b' ')) & every(0x80)
}
