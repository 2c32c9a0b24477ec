//! The little of protobuf that MindSpore's checkpoints use: numbers and length-delimited fields.

use std::ops::Range;

use super::mindspore::MindsporeError;

/// One field of a message.
pub(super) struct Field {
    pub at: usize,
    pub number: u64,
    pub wire: u8,
    pub payload: Payload,
}

#[derive(Clone)]
pub(super) enum Payload {
    Number(u64),
    Bytes(Range<usize>),
}

impl Field {
    /// The error of a field that does not belong where it is.
    pub fn misplaced(&self) -> MindsporeError {
        MindsporeError::Field {
            at: self.at,
            field: self.number,
            wire: self.wire,
        }
    }
}

/// Walks the fields of one message.
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    end: usize,
}

impl<'a> Reader<'a> {
    /// The fields in a range.
    pub fn new(bytes: &'a [u8], range: Range<usize>) -> Self {
        Self {
            bytes,
            at: range.start,
            end: range.end.min(bytes.len()),
        }
    }

    /// Whether all was read.
    pub fn is_empty(&self) -> bool {
        self.at >= self.end
    }

    /// A number of 7 bits a byte, at most 64 bits.
    pub fn varint(&mut self) -> Result<u64, MindsporeError> {
        let at = self.at;
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = match self.bytes.get(self.at) {
                Some(&byte) if self.at < self.end => byte,
                _ => return Err(MindsporeError::Varint { at }),
            };
            self.at += 1;
            let part = u64::from(byte & 0x7F);
            if shift == 63 && part > 1 {
                return Err(MindsporeError::Varint { at });
            }
            value |= part << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(MindsporeError::Varint { at })
    }

    /// The next field; `None` at the end.
    pub fn next_field(&mut self) -> Result<Option<Field>, MindsporeError> {
        if self.is_empty() {
            return Ok(None);
        }
        let at = self.at;
        let key = self.varint()?;
        let (number, wire) = (key >> 3, (key & 7) as u8);
        let payload = match wire {
            0 => Payload::Number(self.varint()?),
            2 => {
                let claimed = self.varint()?;
                let left = self.end - self.at;
                let Some(len) = usize::try_from(claimed).ok().filter(|&len| len <= left) else {
                    return Err(MindsporeError::Truncated { at, claimed, left });
                };
                let start = self.at;
                self.at += len;
                Payload::Bytes(start..self.at)
            }
            // Fixed-width fields and groups appear nowhere in a checkpoint.
            _ => {
                return Err(MindsporeError::Field {
                    at,
                    field: number,
                    wire,
                });
            }
        };
        Ok(Some(Field {
            at,
            number,
            wire,
            payload,
        }))
    }
}
