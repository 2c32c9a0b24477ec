//! The stack machine of pickle protocols 2 to 5.

use std::collections::HashMap;
use std::ops::Range;

use super::globals::is_allowed;
use super::{Id, Node, Object, Pickle, PickleError, kind};

/// Nesting of values.
const MAX_DEPTH: u16 = 1_000;
/// Entries of memo and stack, and values in all.
const MAX_ENTRIES: usize = 10_000_000;
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

struct Machine<'a> {
    bytes: &'a [u8],
    /// Next byte.
    pos: usize,
    /// The instruction in hand.
    at: usize,
    nodes: Vec<Node>,
    /// Nesting below each node.
    depths: Vec<u16>,
    stack: Vec<Id>,
    marks: Vec<usize>,
    memo: HashMap<u64, Id>,
}

type Step<T> = Result<T, PickleError>;

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

    fn take(&mut self, len: u64) -> Step<Range<usize>> {
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

    fn array<const N: usize>(&mut self) -> Step<[u8; N]> {
        let range = self.take(N as u64)?;
        let bytes = self.bytes.get(range).and_then(|b| b.first_chunk::<N>());
        bytes.copied().ok_or(PickleError::Stack { at: self.at })
    }

    /// A string of at most `MAX_STRING` bytes.
    fn string_range(&mut self, len: u64) -> Step<Range<usize>> {
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
    fn line(&mut self) -> Step<Range<usize>> {
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

    fn text(&self, range: &Range<usize>) -> Step<&str> {
        std::str::from_utf8(self.bytes.get(range.clone()).unwrap_or_default()).map_err(|_| {
            PickleError::Text {
                what: "UTF-8 text",
                at: self.at,
            }
        })
    }

    // Stack.

    fn limit(&self, what: &'static str, limit: usize) -> PickleError {
        PickleError::Limit {
            what,
            limit,
            at: self.at,
        }
    }

    fn push_id(&mut self, id: Id) -> Step<()> {
        if self.stack.len() >= MAX_ENTRIES {
            return Err(self.limit("values on the stack", MAX_ENTRIES));
        }
        self.stack.push(id);
        Ok(())
    }

    /// A new node with nesting `depth` below it.
    fn push(&mut self, node: Node, depth: u16) -> Step<()> {
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
    fn depth_above(&self, ids: impl IntoIterator<Item = Id>) -> u16 {
        ids.into_iter()
            .filter_map(|id| self.depths.get(id as usize))
            .max()
            .map_or(0, |&depth| depth + 1)
    }

    /// Nesting of a container that `ids` were added to.
    fn deepen(&mut self, container: Id, ids: impl IntoIterator<Item = Id>) -> Step<()> {
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

    fn pop(&mut self) -> Step<Id> {
        if self.stack.len() <= self.floor() {
            return Err(PickleError::Stack { at: self.at });
        }
        self.stack.pop().ok_or(PickleError::Stack { at: self.at })
    }

    fn top(&self) -> Step<Id> {
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

    fn pop_mark(&mut self) -> Step<Vec<Id>> {
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

    fn misuse<T>(&self, instruction: &'static str, id: Id) -> Step<T> {
        let node = self.nodes.get(id as usize).unwrap_or(&Node::None);
        Err(PickleError::Misuse {
            instruction,
            kind: kind(node),
            at: self.at,
        })
    }

    // Instructions.

    fn protocol(&mut self) -> Step<()> {
        match self.array()? {
            [2..=5] => Ok(()),
            [other] => Err(PickleError::Protocol(other)),
        }
    }

    /// A frame only announces bytes that follow anyway.
    fn frame(&mut self) -> Step<()> {
        let claimed = u64::from_le_bytes(self.array()?);
        let left = self.bytes.len().saturating_sub(self.pos);
        if claimed > left as u64 {
            return Err(PickleError::Truncated {
                at: self.at,
                claimed,
                left,
            });
        }
        Ok(())
    }

    fn integer(&mut self, opcode: u8) -> Step<()> {
        let value = match opcode {
            b'J' => i64::from(i32::from_le_bytes(self.array()?)),
            b'K' => i64::from(u8::from_le_bytes(self.array()?)),
            b'M' => i64::from(u16::from_le_bytes(self.array()?)),
            _ => {
                let len = if opcode == 0x8a {
                    u64::from(u8::from_le_bytes(self.array()?))
                } else {
                    let len = i32::from_le_bytes(self.array()?);
                    u64::try_from(len).map_err(|_| PickleError::Text {
                        what: "length",
                        at: self.at,
                    })?
                };
                let range = self.string_range(len)?;
                let bytes = self.bytes.get(range).unwrap_or_default();
                return match long(bytes) {
                    Some(value) => self.push(Node::Int(value), 0),
                    None => self.push(Node::LongInt, 0),
                };
            }
        };
        self.push(Node::Int(value), 0)
    }

    fn string(&mut self, opcode: u8) -> Step<()> {
        let len = match opcode {
            b'X' => u64::from(u32::from_le_bytes(self.array()?)),
            0x8c => u64::from(u8::from_le_bytes(self.array()?)),
            _ => u64::from_le_bytes(self.array()?),
        };
        let range = self.string_range(len)?;
        self.text(&range)?;
        self.push(Node::Str(range), 0)
    }

    fn byte_string(&mut self, opcode: u8) -> Step<()> {
        let len = match opcode {
            b'U' | b'C' => u64::from(u8::from_le_bytes(self.array()?)),
            b'T' | b'B' => u64::from(u32::from_le_bytes(self.array()?)),
            _ => u64::from_le_bytes(self.array()?),
        };
        let range = self.string_range(len)?;
        self.push(Node::Bytes(range), 0)
    }

    fn memo(&mut self, opcode: u8) -> Step<()> {
        let key = match opcode {
            b'q' | b'h' => u64::from(u8::from_le_bytes(self.array()?)),
            b'r' | b'j' => u64::from(u32::from_le_bytes(self.array()?)),
            0x94 => self.memo.len() as u64,
            _ => {
                let range = self.line()?;
                self.text(&range)?.parse().map_err(|_| PickleError::Text {
                    what: "number",
                    at: self.at,
                })?
            }
        };
        if matches!(opcode, b'h' | b'j' | b'g') {
            let id = self.memo.get(&key).copied();
            return self.push_id(id.ok_or(PickleError::Memo { key, at: self.at })?);
        }
        if self.memo.len() >= MAX_ENTRIES {
            return Err(self.limit("stored references", MAX_ENTRIES));
        }
        self.memo.insert(key, self.top()?);
        Ok(())
    }

    fn allowed_global(&self, module: &Range<usize>, name: &Range<usize>) -> Step<()> {
        let (module, name) = (self.text(module)?, self.text(name)?);
        if is_allowed(module, name) {
            return Ok(());
        }
        Err(PickleError::Global {
            module: module.into(),
            name: name.into(),
            at: self.at,
        })
    }

    fn global(&mut self, opcode: u8) -> Step<()> {
        let (module, name) = if opcode == b'c' {
            (self.line()?, self.line()?)
        } else {
            let (name, module) = (self.pop()?, self.pop()?);
            match (
                self.nodes.get(module as usize),
                self.nodes.get(name as usize),
            ) {
                (Some(Node::Str(module)), Some(Node::Str(name))) => (module.clone(), name.clone()),
                _ => return self.misuse("STACK_GLOBAL", module),
            }
        };
        self.allowed_global(&module, &name)?;
        self.push(Node::Global(module, name), 0)
    }

    /// REDUCE, NEWOBJ, NEWOBJ_EX, INST, OBJ: noted, never carried out.
    fn construct(&mut self, opcode: u8) -> Step<()> {
        let (callable, args) = match opcode {
            b'i' => {
                let (module, name) = (self.line()?, self.line()?);
                self.allowed_global(&module, &name)?;
                let args = self.pop_mark()?;
                self.push(Node::Global(module, name), 0)?;
                let callable = self.pop()?;
                (callable, self.tuple(args)?)
            }
            b'o' => {
                let mut args = self.pop_mark()?;
                if args.is_empty() {
                    return Err(PickleError::Stack { at: self.at });
                }
                let callable = args.remove(0);
                (callable, self.tuple(args)?)
            }
            0x92 => {
                let (_keywords, args, callable) = (self.pop()?, self.pop()?, self.pop()?);
                (callable, args)
            }
            _ => {
                let (args, callable) = (self.pop()?, self.pop()?);
                (callable, args)
            }
        };
        if !matches!(self.nodes.get(callable as usize), Some(Node::Global(..))) {
            return self.misuse("a call", callable);
        }
        if !matches!(self.nodes.get(args as usize), Some(Node::Tuple(_))) {
            return self.misuse("a call with arguments", args);
        }
        let depth = self.depth_above([args]);
        let object = Object {
            callable,
            args,
            items: Vec::new(),
            state: None,
        };
        self.push(Node::Object(Box::new(object)), depth)
    }

    fn tuple(&mut self, ids: Vec<Id>) -> Step<Id> {
        let depth = self.depth_above(ids.iter().copied());
        self.push(Node::Tuple(ids), depth)?;
        self.pop()
    }

    fn build(&mut self) -> Step<()> {
        let state = self.pop()?;
        let target = self.top()?;
        self.deepen(target, [state])?;
        match self.nodes.get_mut(target as usize) {
            Some(Node::Object(object)) => object.state = Some(state),
            _ => return self.misuse("BUILD", target),
        }
        Ok(())
    }

    fn persistent(&mut self) -> Step<()> {
        let id = self.pop()?;
        let depth = self.depth_above([id]);
        self.push(Node::Persistent(id), depth)
    }

    fn container(&mut self, opcode: u8) -> Step<()> {
        match opcode {
            b']' => self.push(Node::List(Vec::new()), 0),
            b')' => self.push(Node::Tuple(Vec::new()), 0),
            b'}' => self.push(Node::Dict(Vec::new()), 0),
            0x8f => self.push(Node::Set, 0),
            b'a' => {
                let item = self.pop()?;
                self.append(vec![item])
            }
            b'e' => {
                let items = self.pop_mark()?;
                self.append(items)
            }
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?);
                self.set_items(&[key, value])
            }
            b'u' => {
                let items = self.pop_mark()?;
                self.set_items(&items)
            }
            0x90 => {
                let items = self.pop_mark()?;
                let target = self.top()?;
                match self.nodes.get(target as usize) {
                    Some(Node::Set) => self.deepen(target, items),
                    _ => self.misuse("ADDITEMS", target),
                }
            }
            0x91 => {
                let items = self.pop_mark()?;
                let depth = self.depth_above(items);
                self.push(Node::Set, depth)
            }
            b't' | b'l' | b'd' => self.from_mark(opcode),
            0x85..=0x87 => {
                let mut ids = Vec::new();
                for _ in 0x84..opcode {
                    ids.push(self.pop()?);
                }
                ids.reverse();
                let id = self.tuple(ids)?;
                self.push_id(id)
            }
            _ => Err(PickleError::Opcode {
                opcode,
                at: self.at,
            }),
        }
    }

    /// TUPLE, LIST, DICT: all values above the mark.
    fn from_mark(&mut self, opcode: u8) -> Step<()> {
        let ids = self.pop_mark()?;
        let depth = self.depth_above(ids.iter().copied());
        match opcode {
            b't' => self.push(Node::Tuple(ids), depth),
            b'l' => self.push(Node::List(ids), depth),
            _ => {
                self.push(Node::Dict(Vec::new()), depth)?;
                self.set_items(&ids)
            }
        }
    }

    fn append(&mut self, items: Vec<Id>) -> Step<()> {
        let target = self.top()?;
        self.deepen(target, items.iter().copied())?;
        let open = self.is_open_object(target);
        match self.nodes.get_mut(target as usize) {
            Some(Node::List(list)) => list.extend(items),
            // A subclass of list: nothing is read from it.
            Some(Node::Object(_)) if open => {}
            _ => return self.misuse("APPEND", target),
        }
        Ok(())
    }

    fn set_items(&mut self, items: &[Id]) -> Step<()> {
        let target = self.top()?;
        let (pairs, []) = items.as_chunks::<2>() else {
            return Err(PickleError::Stack { at: self.at });
        };
        self.deepen(target, items.iter().copied())?;
        let pairs = pairs.iter().map(|&[key, value]| (key, value));
        let open = self.is_open_object(target);
        match self.nodes.get_mut(target as usize) {
            Some(Node::Dict(dict)) => dict.extend(pairs),
            Some(Node::Object(object)) if open => object.items.extend(pairs),
            _ => return self.misuse("SETITEM", target),
        }
        Ok(())
    }

    /// Whether an object may be a dict or list of its own class: OrderedDict, mmcv's ConfigDict. Tensors and
    /// arrays never are.
    fn is_open_object(&self, id: Id) -> bool {
        let Some(Node::Object(object)) = self.nodes.get(id as usize) else {
            return false;
        };
        let Some(Node::Global(module, _)) = self.nodes.get(object.callable as usize) else {
            return false;
        };
        let module = self.text(module).unwrap_or_default();
        !matches!(
            module.split('.').next(),
            Some("torch" | "numpy" | "_codecs" | "builtins" | "__builtin__")
        )
    }
}

/// Two's complement, little-endian, of any length; `None` beyond 16 bytes or 64 bits.
fn long(bytes: &[u8]) -> Option<i64> {
    if bytes.len() > 16 {
        return None;
    }
    let negative = bytes.last().is_some_and(|&b| b >= 0x80);
    let mut wide = [if negative { 0xFF } else { 0 }; 16];
    wide.get_mut(..bytes.len())?.copy_from_slice(bytes);
    i64::try_from(i128::from_le_bytes(wide)).ok()
}
