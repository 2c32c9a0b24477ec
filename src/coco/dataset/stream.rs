//! A JSON file as a stream of values: a window of bytes moves over it, so that the file is never in memory as a whole.

use std::io::Read;
use std::ops::Range;

use super::scan::{self, ScanError, Stop};

/// Bytes read at a time.
const BLOCK: usize = 4 << 20;
/// A value that is looked at as a whole is no longer; COCO's largest are a thousandth of it.
pub(super) const MAX_VALUE: usize = 256 << 20;

/// Why the stream ended early.
#[derive(Debug)]
pub(super) enum StreamError {
    Io(std::io::Error),
    /// No JSON at that position of the file; what was expected.
    Syntax(u64, &'static str),
    /// The file ends inside a value.
    End,
    /// A value beyond `MAX_VALUE` begins at that position.
    TooLong(u64),
    Cancelled,
}

impl From<std::io::Error> for StreamError {
    fn from(error: std::io::Error) -> Self {
        Self::Io(error)
    }
}

type Streamed<T> = Result<T, StreamError>;

/// The stream. `tick(bytes read so far)` is called with every block; where it returns false, all ends.
pub(super) struct Stream<'a, R> {
    reader: R,
    tick: &'a mut dyn FnMut(u64) -> bool,
    buffer: Vec<u8>,
    /// What is already done of the buffer.
    at: usize,
    /// Position in the file of the buffer's first byte.
    base: u64,
    is_done: bool,
}

impl<'a, R: Read> Stream<'a, R> {
    pub fn new(reader: R, tick: &'a mut dyn FnMut(u64) -> bool) -> Self {
        Self {
            reader,
            tick,
            buffer: Vec::new(),
            at: 0,
            base: 0,
            is_done: false,
        }
    }

    /// Position in the file.
    pub fn position(&self) -> u64 {
        self.base + self.at as u64
    }

    /// Reads another block behind what is not done yet.
    fn fill(&mut self) -> Streamed<()> {
        let mut block = BLOCK;
        self.buffer.drain(..self.at);
        self.base += self.at as u64;
        self.at = 0;
        // A long value is looked at again from its start: twice as much each time.
        block = block.max(self.buffer.len());
        self.buffer.reserve_exact(block);
        let count = (&mut self.reader)
            .take(block as u64)
            .read_to_end(&mut self.buffer)?;
        self.is_done = count < block;
        if (self.tick)(self.base + self.buffer.len() as u64) {
            Ok(())
        } else {
            Err(StreamError::Cancelled)
        }
    }

    /// The next byte that is no white space, not taken yet.
    pub fn peek(&mut self) -> Streamed<u8> {
        loop {
            self.at = scan::skip_space(&self.buffer, self.at);
            match self.buffer.get(self.at) {
                Some(&byte) => return Ok(byte),
                None if self.is_done => return Err(StreamError::End),
                None => self.fill()?,
            }
        }
    }

    /// Whether nothing but white space follows.
    pub fn is_at_end(&mut self) -> Streamed<bool> {
        match self.peek() {
            Ok(_) => Ok(false),
            Err(StreamError::End) => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// Takes a mark of one byte.
    pub fn take(&mut self, mark: u8, expected: &'static str) -> Streamed<()> {
        if self.peek()? == mark {
            self.at += 1;
            Ok(())
        } else {
            Err(StreamError::Syntax(self.position(), expected))
        }
    }

    /// Passes the bytes of a byte-order mark.
    pub fn skip_byte_order_mark(&mut self) -> Streamed<()> {
        self.fill()?;
        if self.buffer.starts_with(b"\xef\xbb\xbf") {
            self.at = 3;
        }
        Ok(())
    }

    /// Scans what begins at the next byte: `scan` gets the window and the place in it, and is called again with a longer
    /// window where it ends inside. The position in the file of the window's first byte comes with it.
    pub fn scan<T>(
        &mut self,
        mut scan: impl FnMut(&[u8], usize, u64) -> Result<(T, usize), ScanError>,
    ) -> Streamed<T> {
        self.peek()?;
        loop {
            match scan(&self.buffer, self.at, self.base) {
                Ok((value, end)) => {
                    self.at = end;
                    return Ok(value);
                }
                Err(ScanError {
                    at,
                    stop: Stop::Syntax(expected),
                }) => {
                    return Err(StreamError::Syntax(self.base + at as u64, expected));
                }
                Err(_) if self.is_done => return Err(StreamError::End),
                Err(_) if self.buffer.len() - self.at > MAX_VALUE => {
                    return Err(StreamError::TooLong(self.position()));
                }
                Err(_) => self.fill()?,
            }
        }
    }

    /// Passes a value; its span in the file.
    pub fn skip(&mut self) -> Streamed<Range<u64>> {
        self.peek()?;
        let start = self.position();
        match self.scan(|bytes, at, _| scan::value_end(bytes, at).map(|end| ((), end))) {
            Ok(()) => Ok(start..self.position()),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A reader that gives a byte at a time must not change what is found.
    struct Drip<'a>(&'a [u8]);

    impl Read for Drip<'_> {
        fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
            let (Some((&first, rest)), Some(slot)) = (self.0.split_first(), into.first_mut())
            else {
                return Ok(0);
            };
            *slot = first;
            self.0 = rest;
            Ok(1)
        }
    }

    #[test]
    fn values_cross_blocks() {
        let long = format!("[{}1]", "1,".repeat(3 * BLOCK));
        let text = format!("  {long} \"x\" ");
        let mut ticks = 0;
        let mut tick = |_| {
            ticks += 1;
            true
        };
        let mut stream = Stream::new(Drip(text.as_bytes()), &mut tick);
        assert_eq!(stream.skip().unwrap(), 2..2 + long.len() as u64);
        let start = 3 + long.len() as u64;
        assert_eq!(stream.skip().unwrap(), start..start + 3);
        assert!(stream.is_at_end().unwrap());
        assert!(matches!(stream.skip(), Err(StreamError::End)));
        assert!(ticks >= 2);
    }

    #[test]
    fn a_tick_can_end_it() {
        let mut tick = |_| false;
        let mut stream = Stream::new(&b"[1]"[..], &mut tick);
        assert!(matches!(stream.skip(), Err(StreamError::Cancelled)));
    }
}
