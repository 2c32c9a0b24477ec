//! What each group of instructions does to the stack.

use std::ops::Range;

use super::globals::is_allowed;
use super::machine::{MAX_ENTRIES, Machine, Step};
use super::{Id, Node, Object, PickleError};

impl Machine<'_> {
    pub(super) fn protocol(&mut self) -> Step<()> {
        match self.array()? {
            [2..=5] => Ok(()),
            [other] => Err(PickleError::Protocol(other)),
        }
    }

    /// A frame only announces bytes that follow anyway.
    pub(super) fn frame(&mut self) -> Step<()> {
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

    pub(super) fn integer(&mut self, opcode: u8) -> Step<()> {
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

    pub(super) fn string(&mut self, opcode: u8) -> Step<()> {
        let len = match opcode {
            b'X' => u64::from(u32::from_le_bytes(self.array()?)),
            0x8c => u64::from(u8::from_le_bytes(self.array()?)),
            _ => u64::from_le_bytes(self.array()?),
        };
        let range = self.string_range(len)?;
        self.text(&range)?;
        self.push(Node::Str(range), 0)
    }

    pub(super) fn byte_string(&mut self, opcode: u8) -> Step<()> {
        let len = match opcode {
            b'U' | b'C' => u64::from(u8::from_le_bytes(self.array()?)),
            b'T' | b'B' => u64::from(u32::from_le_bytes(self.array()?)),
            _ => u64::from_le_bytes(self.array()?),
        };
        let range = self.string_range(len)?;
        self.push(Node::Bytes(range), 0)
    }

    pub(super) fn memo(&mut self, opcode: u8) -> Step<()> {
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

    pub(super) fn global(&mut self, opcode: u8) -> Step<()> {
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
    pub(super) fn construct(&mut self, opcode: u8) -> Step<()> {
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

    pub(super) fn build(&mut self) -> Step<()> {
        let state = self.pop()?;
        let target = self.top()?;
        self.deepen(target, [state])?;
        match self.nodes.get_mut(target as usize) {
            Some(Node::Object(object)) => object.state = Some(state),
            _ => return self.misuse("BUILD", target),
        }
        Ok(())
    }

    pub(super) fn persistent(&mut self) -> Step<()> {
        let id = self.pop()?;
        let depth = self.depth_above([id]);
        self.push(Node::Persistent(id), depth)
    }

    pub(super) fn container(&mut self, opcode: u8) -> Step<()> {
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
            b't' | b'l' | b'd' => self.collect_marked(opcode),
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
    fn collect_marked(&mut self, opcode: u8) -> Step<()> {
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
