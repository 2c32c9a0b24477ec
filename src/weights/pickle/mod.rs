//! Pickles as inert trees: a small stack machine that executes nothing (semantics.md 5.3).

mod globals;
mod instructions;
mod machine;

use std::ops::Range;

pub(super) use machine::parse;

/// Why a pickle was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PickleError {
    /// It mentions something that could run code.
    #[error(
        "pickle: refused, it mentions {module}.{name} (at byte {at}), which no checkpoint needs and which may run code"
    )]
    Global {
        /// Module.
        module: String,
        /// Name in it.
        name: String,
        /// Offset.
        at: usize,
    },
    /// An instruction that is not known or not allowed.
    #[error("pickle: instruction {opcode:#04x} at byte {at} is not one that checkpoints use")]
    Opcode {
        /// The instruction.
        opcode: u8,
        /// Offset.
        at: usize,
    },
    /// A protocol outside 2 to 5.
    #[error("pickle: protocol {0} is not known (2 to 5 are)")]
    Protocol(u8),
    /// The bytes end early, or a length claims more than there is.
    #[error(
        "pickle: at byte {at} {claimed} bytes are needed, {left} are left: truncated or damaged"
    )]
    Truncated {
        /// Offset.
        at: usize,
        /// Bytes needed.
        claimed: u64,
        /// Bytes left.
        left: usize,
    },
    /// A string or number longer than allowed.
    #[error("pickle: at byte {at} a value claims {claimed} bytes, at most {limit} are allowed")]
    TooLong {
        /// Offset.
        at: usize,
        /// Claimed.
        claimed: u64,
        /// Limit.
        limit: u64,
    },
    /// One of the counting limits.
    #[error("pickle: more than {limit} {what} (at byte {at})")]
    Limit {
        /// What is counted.
        what: &'static str,
        /// Limit.
        limit: usize,
        /// Offset.
        at: usize,
    },
    /// An instruction needs more values than there are.
    #[error("pickle: the instruction at byte {at} finds too few values on the stack")]
    Stack {
        /// Offset.
        at: usize,
    },
    /// A reference to a value that was never stored.
    #[error("pickle: at byte {at} is a reference to {key}, which was never stored")]
    Memo {
        /// Key.
        key: u64,
        /// Offset.
        at: usize,
    },
    /// An instruction applied to a value of the wrong kind, such as SETITEM on a list.
    #[error("pickle: {instruction} on {kind} at byte {at}")]
    Misuse {
        /// The instruction.
        instruction: &'static str,
        /// Kind of the value.
        kind: &'static str,
        /// Offset.
        at: usize,
    },
    /// A string that is not UTF-8, or a number that is none.
    #[error("pickle: at byte {at} is no valid {what}")]
    Text {
        /// What it should be.
        what: &'static str,
        /// Offset.
        at: usize,
    },
}

/// Index of a node.
pub(super) type Id = u32;

/// One value. Containers hold indices, so cycles and shared values cost nothing.
#[derive(Debug)]
pub(super) enum Node {
    /// None.
    None,
    /// True or False.
    Bool(bool),
    /// An integer of 64 bits.
    Int(i64),
    /// A longer integer, not read.
    LongInt,
    /// A float, not read: checkpoints keep no weights in them.
    Float,
    /// Text.
    Str(Range<usize>),
    /// Bytes, or a string of Python 2.
    Bytes(Range<usize>),
    /// A list.
    List(Vec<Id>),
    /// A tuple.
    Tuple(Vec<Id>),
    /// A set or frozenset.
    Set,
    /// A dict in its order.
    Dict(Vec<(Id, Id)>),
    /// `module.name`, as ranges of text.
    Global(Range<usize>, Range<usize>),
    /// A call or construction that is not carried out.
    Object(Box<Object>),
    /// A persistent id.
    Persistent(Id),
}

/// `callable(*args)`, then what was set on the result.
#[derive(Debug)]
pub(super) struct Object {
    /// A global.
    pub callable: Id,
    /// A tuple.
    pub args: Id,
    /// Set by SETITEM.
    pub items: Vec<(Id, Id)>,
    /// Set by BUILD.
    pub state: Option<Id>,
}

/// A parsed pickle over the bytes that its texts lie in.
#[derive(Debug)]
pub(super) struct Pickle<'a> {
    bytes: &'a [u8],
    nodes: Vec<Node>,
    /// The value of the whole.
    pub root: Id,
    /// Offset after the end.
    pub end: usize,
}

impl Pickle<'_> {
    /// Every node.
    pub fn ids(&self) -> impl Iterator<Item = Id> {
        0..self.nodes.len() as Id
    }

    /// A node.
    pub fn node(&self, id: Id) -> &Node {
        self.nodes.get(id as usize).unwrap_or(&Node::None)
    }

    /// Text, of a string of Python 2 too.
    pub fn text(&self, id: Id) -> Option<&str> {
        match self.node(id) {
            Node::Str(range) | Node::Bytes(range) => {
                std::str::from_utf8(self.bytes.get(range.clone())?).ok()
            }
            _ => None,
        }
    }

    /// Range of a text or bytes in the pickle.
    pub fn byte_range(&self, id: Id) -> Option<Range<usize>> {
        match self.node(id) {
            Node::Str(range) | Node::Bytes(range) => Some(range.clone()),
            _ => None,
        }
    }

    /// An integer.
    pub fn int(&self, id: Id) -> Option<i64> {
        match self.node(id) {
            Node::Int(value) => Some(*value),
            _ => None,
        }
    }

    /// Members of a tuple or list.
    pub fn sequence(&self, id: Id) -> Option<&[Id]> {
        match self.node(id) {
            Node::Tuple(ids) | Node::List(ids) => Some(ids),
            _ => None,
        }
    }

    /// Module and name of a global.
    pub fn global(&self, id: Id) -> Option<(&str, &str)> {
        let part = |range: &Range<usize>| std::str::from_utf8(self.bytes.get(range.clone())?).ok();
        match self.node(id) {
            Node::Global(module, name) => Some((part(module)?, part(name)?)),
            _ => None,
        }
    }

    /// An object, its module and name.
    pub fn object(&self, id: Id) -> Option<(&Object, &str, &str)> {
        match self.node(id) {
            Node::Object(object) => {
                let (module, name) = self.global(object.callable)?;
                Some((object, module, name))
            }
            _ => None,
        }
    }

    /// Pairs of a dict, an OrderedDict or another object that items were set on.
    pub fn pairs(&self, id: Id) -> Option<&[(Id, Id)]> {
        match self.node(id) {
            Node::Dict(pairs) => Some(pairs),
            Node::Object(object) => Some(&object.items),
            _ => None,
        }
    }

    /// The last value under a key of a dict.
    pub fn get(&self, dict: Id, key: &str) -> Option<Id> {
        self.pairs(dict)?
            .iter()
            .rev()
            .find(|(k, _)| self.text(*k) == Some(key))
            .map(|(_, value)| *value)
    }

    /// For messages: the kind of a value.
    pub fn describe(&self, id: Id) -> String {
        match self.object(id) {
            Some((_, module, name)) => format!("{module}.{name}"),
            None => kind(self.node(id)).into(),
        }
    }
}

/// For messages.
pub(super) fn kind(node: &Node) -> &'static str {
    match node {
        Node::None => "None",
        Node::Bool(_) => "a bool",
        Node::Int(_) | Node::LongInt => "an int",
        Node::Float => "a float",
        Node::Str(_) => "a str",
        Node::Bytes(_) => "bytes",
        Node::List(_) => "a list",
        Node::Tuple(_) => "a tuple",
        Node::Set => "a set",
        Node::Dict(_) => "a dict",
        Node::Global(..) => "a global",
        Node::Object(_) => "an object",
        Node::Persistent(_) => "a persistent id",
    }
}
