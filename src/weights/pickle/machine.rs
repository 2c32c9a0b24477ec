//! The stack machine of pickle protocols 2 to 5.

use std::collections::HashMap;
use std::ops::Range;

use super::{Id, Node, Pickle, PickleError, kind};

/// Nesting of values.
const MAX_DEPTH: u16 = 1_000;
/// Entries of memo and stack, and values in all.
pub(super) const MAX_ENTRIES: usize = 10_000_000;
/// Instructions.
const MAX_INSTRUCTIONS: usize = 100_000_000;
/// Bytes of one string.
const MAX_STRING: u64 = 64_000_000;

/// Reads one pickle that begins at `start`.
pub(in super::super) fn parse(bytes: &[u8], start: usize) -> Result<Pickle<'_>, PickleError> {
    let mut machine = Machine {
        bytes,
        pos: start,
        at: start,
        nodes: Vec::new(),
        depths: Vec::new(),
        stack: Vec::new(),
        marks: Vec::new(),
        memo: HashMap::new(),
    };
    for _ in 0..MAX_INSTRUCTIONS {
        if let Some(root) = machine.step()? {
            return Ok(Pickle {
                bytes,
                nodes: machine.nodes,
                root,
                end: machine.pos,
            });
        }
    }
    Err(machine.limit("instructions", MAX_INSTRUCTIONS))
}

pub(super) struct Machine<'a> {
    pub(super) bytes: &'a [u8],
    /// Next byte.
    pub(super) pos: usize,
    /// The instruction in hand.
    pub(super) at: usize,
    pub(super) nodes: Vec<Node>,
    /// Nesting below each node.
    depths: Vec<u16>,
    stack: Vec<Id>,
    marks: Vec<usize>,
    pub(super) memo: HashMap<u64, Id>,
}

pub(super) type Step<T> = Result<T, PickleError>;

impl Machine<'_> {
    /// One instruction; the value of the whole at STOP.
    fn step(&mut self) -> Step<Option<Id>> {
        self.at = self.pos;
        let [opcode] = self.array()?;
        match opcode {
            b'.' => return self.pop().map(Some),
            0x80 => self.protocol()?,
            0x95 => self.frame()?,
            b'(' => self.mark()?,
            b'0' => self.discard()?,
            b'1' => drop(self.pop_mark()?),
            b'2' => {
                let top = self.top()?;
                self.push_id(top)?;
            }
            b'N' => self.push(Node::None, 0)?,
            0x88 => self.push(Node::Bool(true), 0)?,
            0x89 => self.push(Node::Bool(false), 0)?,
            b'J' | b'K' | b'M' | 0x8a | 0x8b => self.integer(opcode)?,
            b'G' => {
                self.array::<8>()?;
                self.push(Node::Float, 0)?;
            }
            b'X' | 0x8c | 0x8d => self.string(opcode)?,
            b'T' | b'U' | b'B' | b'C' | 0x8e | 0x96 => self.byte_string(opcode)?,
            b'q' | b'r' | b'p' | 0x94 | b'h' | b'j' | b'g' => self.memo(opcode)?,
            b'c' | 0x93 => self.global(opcode)?,
            b'R' | 0x81 | 0x92 | b'i' | b'o' => self.construct(opcode)?,
            b'b' => self.build()?,
            b'Q' => self.persistent()?,
            _ => self.container(opcode)?,
        }
        Ok(None)
    }

    // Bytes.

    pub(super) fn take(&mut self, len: u64) -> Step<Range<usize>> {
        let left = self.bytes.len().saturating_sub(self.pos);
        match usize::try_from(len) {
            Ok(len) if len <= left => {
                let start = self.pos;
                self.pos += len;
                Ok(start..self.pos)
            }
            _ => Err(PickleError::Truncated {
                at: self.at,
                claimed: len,
                left,
            }),
        }
    }

    pub(super) fn array<const N: usize>(&mut self) -> Step<[u8; N]> {
        let range = self.take(N as u64)?;
        let bytes = self.bytes.get(range).and_then(|b| b.first_chunk::<N>());
        bytes.copied().ok_or(PickleError::Stack { at: self.at })
    }

    /// A string of at most `MAX_STRING` bytes.
    pub(super) fn string_range(&mut self, len: u64) -> Step<Range<usize>> {
        if len > MAX_STRING {
            return Err(PickleError::TooLong {
                at: self.at,
                claimed: len,
                limit: MAX_STRING,
            });
        }
        self.take(len)
    }

    /// Up to a line feed, without it.
    pub(super) fn line(&mut self) -> Step<Range<usize>> {
        /// Longest name of a module or class.
        const MAX_LINE: usize = 4_096;
        let rest = self.bytes.get(self.pos..).unwrap_or_default();
        let rest = rest.get(..MAX_LINE).unwrap_or(rest);
        match rest.iter().position(|&b| b == b'\n') {
            Some(len) => {
                let range = self.take(len as u64)?;
                self.pos += 1;
                Ok(range)
            }
            None => Err(PickleError::Text {
                what: "line",
                at: self.at,
            }),
        }
    }

    pub(super) fn text(&self, range: &Range<usize>) -> Step<&str> {
        std::str::from_utf8(self.bytes.get(range.clone()).unwrap_or_default()).map_err(|_| {
            PickleError::Text {
                what: "UTF-8 text",
                at: self.at,
            }
        })
    }

    // Stack.

    pub(super) fn limit(&self, what: &'static str, limit: usize) -> PickleError {
        PickleError::Limit {
            what,
            limit,
            at: self.at,
        }
    }

    pub(super) fn push_id(&mut self, id: Id) -> Step<()> {
        if self.stack.len() >= MAX_ENTRIES {
            return Err(self.limit("values on the stack", MAX_ENTRIES));
        }
        self.stack.push(id);
        Ok(())
    }

    /// A new node with nesting `depth` below it.
    pub(super) fn push(&mut self, node: Node, depth: u16) -> Step<()> {
        if self.nodes.len() >= MAX_ENTRIES {
            return Err(self.limit("values", MAX_ENTRIES));
        }
        let id = self.nodes.len() as Id;
        self.nodes.push(node);
        self.depths.push(self.checked_depth(depth)?);
        self.push_id(id)
    }

    fn checked_depth(&self, depth: u16) -> Step<u16> {
        if depth > MAX_DEPTH {
            return Err(self.limit("levels of nesting", MAX_DEPTH.into()));
        }
        Ok(depth)
    }

    /// One more than the deepest of `ids`.
    pub(super) fn depth_above(&self, ids: impl IntoIterator<Item = Id>) -> u16 {
        ids.into_iter()
            .filter_map(|id| self.depths.get(id as usize))
            .max()
            .map_or(0, |&depth| depth + 1)
    }

    /// Nesting of a container that `ids` were added to.
    pub(super) fn deepen(&mut self, container: Id, ids: impl IntoIterator<Item = Id>) -> Step<()> {
        let depth = self.checked_depth(self.depth_above(ids))?;
        if let Some(known) = self.depths.get_mut(container as usize) {
            *known = depth.max(*known);
        }
        Ok(())
    }

    /// Values above the last mark belong to it: nothing below may be taken.
    fn floor(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }

    pub(super) fn pop(&mut self) -> Step<Id> {
        if self.stack.len() <= self.floor() {
            return Err(PickleError::Stack { at: self.at });
        }
        self.stack.pop().ok_or(PickleError::Stack { at: self.at })
    }

    pub(super) fn top(&self) -> Step<Id> {
        match self.stack.last() {
            Some(&id) if self.stack.len() > self.floor() => Ok(id),
            _ => Err(PickleError::Stack { at: self.at }),
        }
    }

    fn mark(&mut self) -> Step<()> {
        if self.marks.len() >= MAX_DEPTH.into() {
            return Err(self.limit("levels of nesting", MAX_DEPTH.into()));
        }
        self.marks.push(self.stack.len());
        Ok(())
    }

    pub(super) fn pop_mark(&mut self) -> Step<Vec<Id>> {
        let mark = self.marks.pop().ok_or(PickleError::Stack { at: self.at })?;
        Ok(self.stack.split_off(mark.min(self.stack.len())))
    }

    /// POP takes a value, or a mark that nothing lies on.
    fn discard(&mut self) -> Step<()> {
        if self.stack.len() == self.floor() && self.marks.pop().is_some() {
            return Ok(());
        }
        self.pop().map(drop)
    }

    pub(super) fn misuse<T>(&self, instruction: &'static str, id: Id) -> Step<T> {
        let node = self.nodes.get(id as usize).unwrap_or(&Node::None);
        Err(PickleError::Misuse {
            instruction,
            kind: kind(node),
            at: self.at,
        })
    }
}
